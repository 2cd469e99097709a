"""When a model had better not answer: sets of classes that hold the outcome with a stated chance, and a threshold.

Sets: a class is in the set of a row where its probability is at least a threshold, which is chosen on validation so
that the true class reaches it in the stated share of rows (split conformal prediction: Vovk, Gammerman and Shafer 2005;
for classes Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, 2019, with
one threshold for all classes). For exchangeable rows the set of a new one holds its outcome with at least that chance.
Rows of a market are not exchangeable: labels overlap, companies move together, and times change. So the coverage is
measured on the test part, and the measured one counts.

Threshold: answers are given where the largest probability is at least what the wished share of validation rows
reached. Share and accuracy on the test part are measured, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.errors import TrainingError
from finnex.evaluation.scorecard import CLASS_NAMES
from finnex.evaluation.session_answers import VALIDATION, SessionAnswers

COVERAGE, WISHED = 0.9, 0.5
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ConformalSets:
    """A fitted rule that gives each row a set of classes.

    Attributes
    ----------
    model, fold
        Whose, and of which fold's validation part.
    coverage
        Stated chance that a set holds what happens, were rows exchangeable.
    least_probability
        Probability from which on a class is in the set; 0 where there were too few rows for any other, so that every
        set is full.
    rows, sessions
        Validation rows that it was chosen on, and distinct decision dates among them.
    classes
        Names of the columns of the probabilities.
    remark
        Why it is not to be relied on, in words; empty where its sessions are enough.
    """

    model: str
    fold: int
    coverage: float
    least_probability: float
    rows: int
    sessions: int
    classes: tuple[str, ...] = tuple(CLASS_NAMES)
    remark: str = ""

    def sets(self, probabilities: Floats) -> Flags:
        """Return which classes are in the set of each row.

        Parameters
        ----------
        probabilities
            (rows, classes) in [0, 1], no NaN.

        Returns
        -------
        numpy.ndarray
            (rows, classes) bool. A set may be empty: no class is probable enough.

        Raises
        ------
        TrainingError
            A probability is no number, or there are not as many as classes.

        Examples
        --------
        >>> rule = ConformalSets("cnn", 0, 0.9, 0.25, 500, 100)
        >>> rule.sets(np.array([[0.6, 0.3, 0.1]])).tolist()
        [[True, True, False]]
        """
        return np.asarray(_checked(probabilities, self.classes) >= self.least_probability)

    def record(self) -> dict[str, Any]:
        """Return plain values, from which `ConformalSets.from_record` makes it again.

        Returns
        -------
        dict
            The attributes; `classes` as a list.
        """
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> ConformalSets:
        """Return the rule of a record.

        Parameters
        ----------
        record
            What `record` returned, also through JSON.

        Returns
        -------
        ConformalSets
            Equal to the one that was recorded.
        """
        return cls(**{**record, "classes": tuple(record["classes"])})


@dataclass(frozen=True)
class ConfidenceThreshold:
    """A fitted rule that answers only where the model is sure enough.

    Attributes
    ----------
    model, fold
        Whose, and of which fold's validation part.
    wished
        Share of rows that were to be answered.
    least_confidence
        Largest probability of a row from which on it is answered.
    rows, sessions
        Validation rows that it was chosen on, and distinct decision dates among them.
    answered_on_validation
        Share of them that it answers: above `wished` where ties are answered together.
    remark
        Why it is not to be relied on, in words; empty where its sessions are enough.
    """

    model: str
    fold: int
    wished: float
    least_confidence: float
    rows: int
    sessions: int
    answered_on_validation: float
    remark: str = ""

    def answered(self, probabilities: Floats) -> Flags:
        """Return which rows are answered.

        Parameters
        ----------
        probabilities
            (rows, classes) in [0, 1], no NaN.

        Returns
        -------
        numpy.ndarray
            (rows,) bool.

        Raises
        ------
        TrainingError
            A probability is no number, or there are not as many as classes.

        Examples
        --------
        >>> rule = ConfidenceThreshold("cnn", 0, 0.5, 0.55, 500, 100, 0.5)
        >>> rule.answered(np.array([[0.6, 0.3, 0.1], [0.4, 0.3, 0.3]])).tolist()
        [True, False]
        """
        return np.asarray(_checked(probabilities, CLASS_NAMES).max(axis=1) >= self.least_confidence)

    def record(self) -> dict[str, Any]:
        """Return plain values, from which `ConfidenceThreshold.from_record` makes it again."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> ConfidenceThreshold:
        """Return the rule of a record.

        Parameters
        ----------
        record
            What `record` returned, also through JSON.

        Returns
        -------
        ConfidenceThreshold
            Equal to the one that was recorded.
        """
        return cls(**record)


def fit_conformal_sets(answers: SessionAnswers, coverage: float = COVERAGE) -> ConformalSets:
    """Choose the threshold of conformal sets on validation answers of one fold.

    Of n rows, it is the k-th largest probability of what happened, k = ceil((n + 1) coverage).

    Parameters
    ----------
    answers
        Of split 'validation' of one fold.
    coverage
        Stated chance that a set holds what happens, above 0 and below 1.

    Returns
    -------
    ConformalSets
        The rule. With fewer than coverage / (1 - coverage) rows all its sets are full.

    Raises
    ------
    TrainingError
        The answers are of another part or of several folds, or the coverage is out of range.

    Examples
    --------
    >>> days, names = np.datetime64("2015-03-02") + np.arange(4), np.array(["NVDA"] * 4)
    >>> said = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.3, 0.4, 0.3]])
    >>> known = SessionAnswers("cnn", "validation", 5, np.zeros(4, int), days, names, said, np.array([0, 1, 2, 0]))
    >>> fit_conformal_sets(known, 0.6).least_probability  # the third largest of 0.6, 0.4, 0.5 and 0.3
    0.4
    """
    _check_fitting(answers, "conformal sets are", "coverage", coverage)
    n = len(answers)
    place = _up((n + 1) * coverage)
    least = float(np.sort(answers.given)[n - place]) if place <= n else 0.0
    return ConformalSets(answers.model, int(answers.fold[0]), coverage, least, n, answers.sessions, remark=answers.few)


def fit_confidence_threshold(answers: SessionAnswers, wished: float = WISHED) -> ConfidenceThreshold:
    """Choose on validation answers of one fold from which confidence on a model answers.

    Parameters
    ----------
    answers
        Of split 'validation' of one fold.
    wished
        Share of rows to answer, above 0 and below 1. Of rows that are equally sure all are answered.

    Returns
    -------
    ConfidenceThreshold
        The largest threshold that answers at least the wished share of these rows.

    Raises
    ------
    TrainingError
        The answers are of another part or of several folds, or the share is out of range.

    Examples
    --------
    >>> days, names = np.datetime64("2015-03-02") + np.arange(4), np.array(["NVDA"] * 4)
    >>> said = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.3, 0.4, 0.3]])
    >>> known = SessionAnswers("cnn", "validation", 5, np.zeros(4, int), days, names, said, np.array([0, 1, 2, 0]))
    >>> rule = fit_confidence_threshold(known, 0.5)
    >>> rule.least_confidence, rule.answered_on_validation
    (0.5, 0.75)
    """
    _check_fitting(answers, "a confidence threshold is", "wished", wished)
    n, confidence = len(answers), answers.confidence
    least = float(np.sort(confidence)[n - max(1, _up(n * wished))])
    share = float((confidence >= least).mean())
    fold, sessions = int(answers.fold[0]), answers.sessions
    return ConfidenceThreshold(answers.model, fold, wished, least, n, sessions, share, answers.few)


def _up(number: float) -> int:
    """Round up, but for what floating point adds: 0.9 x 30 is 27.000000000000004 in places."""
    return ceil(number - 1e-9)


def _check_fitting(answers: SessionAnswers, what: str, name: str, share: float) -> None:
    if answers.split != VALIDATION:
        raise TrainingError(
            f"{what} chosen on split '{VALIDATION}', and these {len(answers)} answers of '{answers.model}' are of "
            f"split '{answers.split}': what is chosen on it cannot be judged on it. Give the validation part."
        )
    if len(folds := np.unique(answers.fold)) != 1:
        raise TrainingError(
            f"the answers of '{answers.model}' are of folds {folds.tolist()}; each fold has a rule of its own, because "
            "the validation part of one may be the test part of another. Give those of one."
        )
    if not 0 < share < 1:
        raise TrainingError(f"{name} is {share:g}; it is a share above 0 and below 1, such as 0.9.")


def _checked(probabilities: Floats, classes: Sequence[str]) -> Floats:
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        raise TrainingError(
            f"probabilities have shape {probabilities.shape}; give (rows, {len(classes)}), for {', '.join(classes)}."
        )
    if (wrong := np.isnan(probabilities).any(axis=1)).any():
        raise TrainingError(
            f"row {int(wrong.argmax())} of the probabilities has one that is no number, so that it has no set and no "
            "answer. Leave the row out."
        )
    return probabilities
