"""Results of a training for display: progress in words, a report on disk, rows of scores."""

from __future__ import annotations

import math
from typing import Any

from finnex.config import Config
from finnex.errors import StoreError
from finnex.evaluation.scorecard import Scorecard
from finnex.evaluation.trading_card import TradingCard
from finnex.files.output import write_output
from finnex.pipeline import Run, read_run
from finnex.pipeline.lacking import lacking
from finnex.quality import drawn_again
from finnex.reporting.report import Report, make_report
from finnex.store import ImageStore
from finnex.store_path import StorePath
from finnex.training import Progress, TrainingResult

READING_SHARE, BASELINES_SHARE = 0.1, 0.1


def progress_words(progress: Progress) -> tuple[float, str]:
    """Return the fraction of a study that is done, 0 to 1, and its current step in words."""
    within = progress.done / max(progress.total, 1)
    if progress.stage == "draw":
        return 0.0, f"{progress.done} images of a compared layout drawn"
    if progress.stage == "read":
        return READING_SHARE * within, f"{progress.done} of {progress.total} images read"
    if progress.stage == "baselines":
        return 1 - BASELINES_SHARE * (1 - within), f"baseline {progress.done + 1} of {progress.total}"
    epochs = max(progress.epochs, 1)
    if progress.report is not None:
        done, last = float(progress.report.epoch), progress.report
        text = f"epoch {last.epoch} of {epochs}: validation accuracy {last.validation_accuracy:.3f}"
    else:
        done = max(progress.epoch, 1) - 1 + within
        text = f"epoch {progress.epoch} of {epochs}: batch {progress.done} of {progress.total}"
    if progress.members > 1:
        text = f"training {progress.member} of {progress.members}, {text}"
    trained = (progress.member - 1 + done / epochs) / progress.members
    return READING_SHARE + (1 - READING_SHARE - BASELINES_SHARE) * trained, text


def write_report(
    config: Config,
    store: ImageStore,
    result: TrainingResult | None = None,
    *,
    sample: int = 64,
    champion: str = "",
    run: Run | None = None,
) -> tuple[Report, StorePath]:
    """Check the store, judge the training, and write the report and its pictures next to the store.

    It is `report/report.html` where there is a training, `report/quality.html` where there is none.

    Parameters
    ----------
    config
        Configuration; the report lies next to its store.
    store
        Store to look at.
    result
        The training; None where there is none.
    sample
        Sessions whose pixels the quality checks read.
    champion
        Which version is the champion and how it became one, as `champion_words` says it.
    run
        The inputs, where they have been read already.

    Returns
    -------
    tuple
        The report, and the path of its HTML.

    Raises
    ------
    StoreError
        The folder cannot be written.
    ExportError
        Something else than a report lies where it goes.
    """
    redrawn, lacks = None, None
    if result is None:
        run = run or read_run(config)
        redrawn, lacks = drawn_again(run, store), lacking(run, run.config.symbols)
    report = make_report(config, store, result, sample=sample, champion=champion, redrawn=redrawn, lacks=lacks)
    path = write_page(config, report.html, "quality.html" if result is None else "report.html")
    for picture in report.pictures:
        _write(path.parent / f"{picture.name}.png", picture.png)
    return report, path


def write_page(config: Config, html: str, name: str, path: StorePath | None = None) -> StorePath:
    """Write a page to a path, by default by its name next to the store, in `report`; return the path.

    Parameters
    ----------
    config
        Configuration; `report` lies next to its store.
    html
        The page.
    name
        Of the file in `report`.
    path
        Another place.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    StoreError
        The folder cannot be written.
    ExportError
        Something else than a page of FinNeX lies where it goes.
    """
    path = path or config.store.path.parent / "report" / name
    _write(path, html.encode())
    return path


def _write(path: StorePath, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, content)
    except OSError as error:
        raise StoreError(f"the report {path} cannot be written ({error.strerror}). Free the folder.") from None


def score_rows(card: Scorecard) -> list[dict[str, Any]]:
    """Return the scorecard as a person reads it: a row a model, the judged one first."""
    return [
        {
            "model": line.model,
            "accuracy": round(line.accuracy.value, 4),
            "low": None if line.accuracy.low is None else round(line.accuracy.low, 4),
            "high": None if line.accuracy.high is None else round(line.accuracy.high, 4),
            "test_sessions": card.sessions,
            "test_predictions": card.rows,
        }
        for line in card.lines
    ]


def trading_rows(card: TradingCard) -> list[dict[str, Any]]:
    """Return the trading figures as a person reads them: a row a model; None where a figure is not known."""
    return [
        {
            key: (None if math.isnan(value) else round(value, 4)) if isinstance(value, float) else value
            for key, value in record.items()
        }
        for record in card.records()
    ]
