"""Scores of class predictions; every one comes with the number of samples it is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    recall_score,
)


@dataclass(frozen=True)
class ClassificationScores:
    """Scores over `n` samples. Macro averages run over the classes that occur in the truth.

    Attributes
    ----------
    balanced_accuracy
        Mean recall of the classes: 1 / classes for any answer that does not look.
    mcc
        Matthews' correlation coefficient, 0 for any answer that does not look.
    log_loss
        Mean negative natural logarithm of the probability given to what happened.
    """

    n: int
    accuracy: float
    balanced_accuracy: float
    precision: float
    recall: float
    f1: float
    mcc: float
    log_loss: float


def classification_scores(
    labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]
) -> ClassificationScores:
    """Score probabilities (sample, class) against labels (sample,) that count into the classes.

    Raises
    ------
    ValueError
        No samples, or shapes that disagree.
    """
    if len(labels) == 0 or len(labels) != len(probabilities):
        raise ValueError(f"{len(labels)} labels and {len(probabilities)} predictions cannot be scored")
    classes = np.arange(probabilities.shape[1])
    answers = probabilities.argmax(axis=1)
    present = np.unique(labels)
    macro = {"labels": present, "average": "macro", "zero_division": 0.0}
    recall = float(recall_score(labels, answers, **macro))
    return ClassificationScores(
        n=len(labels),
        accuracy=float(accuracy_score(labels, answers)),
        balanced_accuracy=recall,
        precision=float(precision_score(labels, answers, **macro)),
        recall=recall,
        f1=float(f1_score(labels, answers, **macro)),
        mcc=float(matthews_corrcoef(labels, answers)),
        log_loss=float(log_loss(labels, probabilities.astype(np.float64), labels=classes)),
    )


def confusion(labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return counts (truth, answer) over all classes."""
    classes = np.arange(probabilities.shape[1])
    return np.asarray(confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes), dtype=np.int64)
