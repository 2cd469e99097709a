"""`finnex train`: learn, judge, report, record, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_json, print_scores, progress_bar

if TYPE_CHECKING:
    from finnex.training import Progress


def train(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Train the configured model and its baselines, write the report, and record the run in MLflow.

    Without [mlflow] uri, a running `finnex up` records it; without one, a server is started for the time being.
    """
    from finnex.config import load_config
    from finnex.reporting.tracking import log_training
    from finnex.store import ImageStore
    from finnex.training import train as train_model
    from flows.learning import progress_words, score_rows, write_report
    from flows.recording import recording_server
    from flows.services import answers

    settings = load_config(config)
    store = ImageStore.open(settings.store.path)
    with recording_server(settings) as uri:
        with progress_bar("Training", counted=False) as show:

            def tell(at: Progress) -> None:
                done, text = progress_words(at)
                show(round(100 * done), 100, text)

            result = train_model(settings, store, on_progress=tell)
        with err().status("Checking quality, writing the report"):
            report, path = write_report(settings, store, result)
        with err().status("Recording the run in MLflow"):
            pictures = {picture.name: picture.png for picture in report.pictures}
            tracked = log_training(settings, store, result, report.html, pictures, uri)
    assert report.card is not None  # there was a training
    rows = score_rows(report.card)
    if as_json:
        print_json(
            {
                "scores": rows,
                "verdict": report.card.verdict(),
                "epochs": len(result.history),
                "seconds": round(result.seconds, 3),
                "fingerprint": result.fingerprint,
                "failed_checks": [check.name for check in report.failed],
                "report": str(path),
                "mlflow_run": tracked.run_id,
                "mlflow_url": tracked.url,
            }
        )
        return
    screen = out()
    print_scores(screen, rows)
    screen.print(report.card.verdict())
    recorded = tracked.url if answers(f"{uri.rstrip('/')}/health") else f"run {tracked.run_id}; `finnex up` shows it"
    screen.print(f"Report  {path}\nMLflow  {recorded}")
