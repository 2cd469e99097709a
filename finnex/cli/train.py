"""`finnex train`: learn, judge, report, record, in this process."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_json, print_scores, print_trading

ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue the newest training that was interrupted.")]


def train(config: ConfigOption, resume: ResumeOption = False, as_json: JsonOption = False) -> None:
    """Train the configured model and its baselines, write the report, and record the run in MLflow.

    Ctrl-C leaves a checkpoint; --resume continues from it, with the result of an uninterrupted run. Several GPUs:
    torchrun --nproc_per_node 2 -m finnex.cli train --config F. Without [mlflow] uri, a running `finnex up` records
    it; without one, a server is started for the time being.
    """
    from finnex.cli.learning_display import training_display
    from finnex.config import load_config
    from finnex.evaluation.universe_words import universe_words
    from finnex.store import ImageStore, study_companies
    from finnex.tracking import champion_words, recording
    from finnex.training import train as train_model
    from finnex.training import unfinished_study, until_recorded
    from flows.learning import score_rows, trading_rows, write_report
    from flows.recording import recording_server
    from flows.servers.services import answers
    from flows.servers.stop_signals import stop_on_signals

    settings = load_config(config)
    store = ImageStore.open(settings.store.path)
    if int(os.environ.get("RANK", "0")) > 0:  # one of several processes: the first one prints and records
        train_model(settings, store, resume=resume)
        return
    folder = unfinished_study(settings) if resume else None
    try:
        with stop_on_signals(), recording_server(settings) as uri, recording(settings, store, uri) as recorder:
            with training_display() as show:
                result = train_model(
                    settings, store, folder=folder, resume=resume, observers=[recorder], on_progress=show
                )
            with until_recorded(result.study.folder):
                with err().status("Checking quality, writing the report"):
                    report, path = write_report(settings, store, result, champion=champion_words(settings, uri))
                with err().status("Recording the model in MLflow"):
                    pictures = {picture.name: picture.png for picture in report.pictures}
                    tracked = recorder.finish(result, report.html, pictures)
    except KeyboardInterrupt:
        err().print(f"Stopped. finnex train --config {config} --resume continues from there.")
        raise typer.Exit(130) from None
    assert report.card is not None  # there was a training
    assert report.trading is not None
    rows, money = score_rows(report.card), trading_rows(report.trading)
    if as_json:
        print_json(
            {
                "scores": rows,
                "verdict": report.card.verdict(),
                "trading": money,
                "trading_notes": report.trading.words(),
                "universe": universe_words(store, study_companies(settings, store)),
                "epochs": len(result.history),
                "seconds": round(result.seconds, 3),
                "fingerprint": result.fingerprint,
                "failed_checks": [check.name for check in report.failed],
                "report": str(path),
                "mlflow_run": tracked.run_id,
                "mlflow_url": tracked.url,
                "model_version": tracked.version,
            }
        )
        return
    screen = out()
    print_scores(screen, rows)
    screen.print(report.card.verdict())
    print_trading(screen, money)
    for words in report.trading.words():
        screen.print(words)
    screen.print(f"Universe  {universe_words(store, study_companies(settings, store))}")
    recorded = tracked.url if answers(f"{uri.rstrip('/')}/health") else f"run {tracked.run_id}; `finnex up` shows it"
    screen.print(f"Report  {path}\nMLflow  {recorded}")
    screen.print(f"Model   version {tracked.version} of '{settings.mlflow.model}'; finnex promote --config {config}")
