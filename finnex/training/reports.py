"""What a training reports while it runs: an epoch's figures, and its progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from finnex.plain_text import plain_text


@dataclass(frozen=True)
class EpochReport:
    """What one pass over the training part came to.

    Attributes
    ----------
    loss
        Mean training loss, with label smoothing and class weights.
    validation_loss, validation_accuracy
        Plain log loss and share of correct answers, by session; the lowest validation loss is the best epoch.
    images_per_second
        Training images (or patches), validation not counted.
    waiting_share
        Part of the training time in which the network waited for data.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    images_per_second: float
    waiting_share: float
    seconds: float
    best: bool


def tell_epoch(report: EpochReport) -> None:
    """Print one line on an epoch; `train_model` calls it by default.

    Parameters
    ----------
    report
        The epoch: losses, accuracy on validation in [0, 1], and seconds.

    Examples
    --------
    >>> tell_epoch(EpochReport(1, 1.1, 1.0, 0.5, 0.001, 100.0, 0.0, 2.0, True))
    epoch 1: loss 1.100, validation loss 1.000, accuracy 0.50, 2 s, best so far
    """
    words = (
        f"epoch {report.epoch}: loss {report.loss:.3f}, validation loss {report.validation_loss:.3f}, "
        f"accuracy {report.validation_accuracy:.2f}, {report.seconds:.0f} s{', best so far' if report.best else ''}"
    )
    print(plain_text(words), flush=True)


@dataclass(frozen=True)
class Progress:
    """How far a study is: which of its trainings, and what of that one is done (an epoch comes with its report).

    Before trainings, images of compared layouts are drawn and images are read into memory; baselines come last.
    """

    stage: Literal["draw", "read", "train", "epoch", "baselines"]
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float = math.nan
    report: EpochReport | None = None
    member: int = 1
    members: int = 1


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Show nothing."""
