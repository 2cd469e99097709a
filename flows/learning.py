"""What a training comes to, for people: progress in words, a report on disk, rows of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finnex.config import Config
from finnex.data.tables import read_tables
from finnex.errors import StoreError
from finnex.evaluation.scorecard import Scorecard
from finnex.reporting.report import Report, make_report
from finnex.store import ImageStore
from finnex.training import Progress, TrainingResult

READING_SHARE = 0.1


def progress_words(progress: Progress) -> tuple[float, str]:
    """Return how much of a training is done, 0 to 1, and what it is about."""
    within = progress.done / max(progress.total, 1)
    if progress.stage == "read":
        return READING_SHARE * within, f"{progress.done} of {progress.total} images read"
    epochs = max(progress.epochs, progress.total if progress.stage == "epoch" else 1)
    if progress.report is not None:
        done, last = float(progress.report.epoch), progress.report
        text = f"epoch {last.epoch} of {epochs}: validation accuracy {last.validation_accuracy:.3f}"
    else:
        done = max(progress.epoch, 1) - 1 + within
        text = f"epoch {progress.epoch} of {epochs}: batch {progress.done} of {progress.total}"
    return READING_SHARE + (1 - READING_SHARE) * done / epochs, text


def write_report(config: Config, store: ImageStore, result: TrainingResult) -> tuple[Report, Path]:
    """Check the store, judge the training, and write `report/report.html` and its pictures beside the store.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    limits = {name: (str(first), str(last)) for name, (first, last) in read_tables(config).limits().items()}
    report = make_report(config, store, result, input_limits=limits)
    path = config.store.path.parent / "report" / "report.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.html, encoding="utf-8")
        for picture in report.pictures:
            (path.parent / f"{picture.name}.png").write_bytes(picture.png)
    except OSError as error:
        raise StoreError(f"the report {path} cannot be written ({error.strerror}). Free the folder.") from None
    return report, path


def score_rows(card: Scorecard) -> list[dict[str, Any]]:
    """Return the scorecard as a person reads it: a row a model, the judged one first."""
    return [
        {
            "model": line.model,
            "accuracy": round(line.accuracy.value, 4),
            "low": round(line.accuracy.low, 4),
            "high": round(line.accuracy.high, 4),
            "test_sessions": card.sessions,
            "test_predictions": card.rows,
        }
        for line in card.lines
    ]
