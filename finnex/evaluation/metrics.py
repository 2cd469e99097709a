"""Scores of class predictions; every one comes with the number of samples it is computed from.

Balanced accuracy, precision, recall and F1 are macro averages: the plain mean over the classes that occur in the truth.
A class that does not occur has no recall, so it is left out, and who prints such a score says which classes it averages
(`averaged_classes`). Answers of an absent class still count, as errors of the classes that are there. A class that
occurs and is never answered counts with 0. So balanced accuracy is scikit-learn's `balanced_accuracy_score`, while its
`average="macro"` without `labels` averages the classes that were answered too.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Scores over `n` samples.

    Attributes
    ----------
    classes
        Numbers of the classes that occur in the truth, ascending: balanced accuracy, precision, recall and F1 are means
        over these.
    balanced_accuracy
        Mean recall: 1 / len(classes) for any answer of one of them that does not look.
    mcc
        Matthews' correlation coefficient, 0 for any answer that does not look.
    log_loss
        Mean negative natural logarithm of the probability given to what happened.
    n
        Number of samples.
    accuracy
        Share of samples whose answer is right, in [0, 1].
    precision, recall, f1
        Macro averages, in [0, 1].

    Examples
    --------
    >>> scores = classification_scores(np.array([0, 2]), np.array([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]]))
    >>> scores.n, scores.classes, scores.accuracy, scores.recall
    (2, (0, 2), 0.5, 0.5)
    """

    n: int
    classes: tuple[int, ...]
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

    Parameters
    ----------
    labels
        (sample,) integers in [0, classes).
    probabilities
        (sample, class) in [0, 1], rows summing to 1; the answer is the largest.

    Returns
    -------
    ClassificationScores
        The scores; macro averages run over the classes that occur in `labels`.

    Raises
    ------
    ValueError
        No samples, or shapes that disagree.

    Notes
    -----
    Precision, recall, F1 and Matthews' coefficient are those of scikit-learn, with 0 where a denominator is 0.

    Examples
    --------
    >>> scores = classification_scores(np.array([0, 2]), np.array([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]]))
    >>> scores.accuracy, round(scores.log_loss, 3)  # -(log 0.7 + log 0.3) / 2
    (0.5, 0.78)
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
        classes=tuple(int(one) for one in present),
        accuracy=float(accuracy_score(labels, answers)),
        balanced_accuracy=recall,
        precision=float(precision_score(labels, answers, **macro)),
        recall=recall,
        f1=float(f1_score(labels, answers, **macro)),
        mcc=float(matthews_corrcoef(labels, answers)),
        log_loss=float(log_loss(labels, probabilities.astype(np.float64), labels=classes)),
    )


def averaged_classes(classes: Sequence[int], names: Sequence[str]) -> str:
    """Say which classes the macro averages run over, of all that have these names."""
    there = [names[number] for number in classes]
    absent = [name for number, name in enumerate(names) if number not in classes]
    words = f"Balanced accuracy, precision, recall and F1 are means over {listed(there)}"
    return f"{words}; no session is labelled {listed(absent)}." if absent else f"{words}."


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def confusion(labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return counts (truth, answer) over all classes.

    Parameters
    ----------
    labels
        (sample,) integers in [0, classes).
    probabilities
        (sample, class); the answer is the largest.

    Returns
    -------
    numpy.ndarray
        (classes, classes) int64: row is the truth, column the answer.

    Examples
    --------
    >>> confusion(np.array([0, 2]), np.array([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]])).tolist()
    [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    classes = np.arange(probabilities.shape[1])
    return np.asarray(confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes), dtype=np.int64)
