"""The steps of a training after the images are there: learn, check, report, record. Prefect and the CLI share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finnex.evaluation.scorecard import Scorecard
from finnex.training import Progress

STAGES = {"read": "reading images", "train": "training", "epoch": "training"}


def progress_words(progress: Progress) -> tuple[float, str]:
    """Return how much of the training is done, 0 to 1, and what it is about in words.

    Reading images counts for a tenth, the epochs for the rest.
    """
    if progress.stage == "read":
        return 0.1 * progress.done / max(progress.total, 1), f"{progress.done} of {progress.total} images read"
    epochs = max(progress.epochs, 1)
    if progress.report is not None:
        told = progress.report
        text = f"epoch {told.epoch} of {epochs}: validation accuracy {told.validation_accuracy:.3f}"
        return 0.1 + 0.9 * told.epoch / epochs, text
    within = progress.done / max(progress.total, 1)
    done = (max(progress.epoch, 1) - 1 + within) / epochs
    return 0.1 + 0.9 * done, f"epoch {progress.epoch} of {epochs}: batch {progress.done} of {progress.total}"


def score_rows(card: Scorecard) -> list[dict[str, Any]]:
    """Return the scorecard as a person reads it: a row a model, the judged one first."""
    return [
        {
            "model": line.model,
            "test sessions": card.sessions,
            "predictions": card.rows,
            "accuracy": round(line.accuracy.value, 4),
            "95% low": round(line.accuracy.low, 4),
            "95% high": round(line.accuracy.high, 4),
        }
        for line in card.lines
    ]
