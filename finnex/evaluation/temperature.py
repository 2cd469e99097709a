"""One temperature for a model's probabilities, fitted on validation rows alone.

Probabilities become proportional to themselves to the power 1 / T (Guo, Pleiss, Sun and Weinberger, On Calibration of
Modern Neural Networks, 2017): T above 1 makes a model less sure, below 1 surer, and no answer changes. The log loss is
convex in 1 / T, so that its smallest value is where the slope is 0. The validation part also chose the epoch of a
network, so that it may be too hopeful on it; what the temperature is worth is measured on the test part.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from finnex.errors import TrainingError
from finnex.evaluation.session_answers import SMALLEST_PROBABILITY, VALIDATION, Floats, SessionAnswers

LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked through: at the highest, 0.98 becomes 0.39 of three classes."""


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature.

    Attributes
    ----------
    model, fold
        Whose, and of which fold's validation part.
    temperature
        T, in [`LOWEST`, `HIGHEST`].
    rows, sessions
        Validation rows that it was fitted on, and distinct decision dates among them.
    remark
        What is odd about the fit, in words; empty where nothing is.
    """

    model: str
    fold: int
    temperature: float
    rows: int
    sessions: int
    remark: str = ""

    def apply(self, probabilities: Floats) -> Floats:
        """Return probabilities at this temperature.

        Parameters
        ----------
        probabilities
            (rows, classes) in [0, 1]; of a row with a NaN all are NaN. A 0 counts as 1e-12.

        Returns
        -------
        numpy.ndarray
            (rows, classes) float64, rows summing to 1.

        Examples
        --------
        >>> one = Temperature("cnn", 0, 2.0, 500, 100)
        >>> one.apply(np.array([[0.64, 0.32, 0.04]])).round(3).tolist()  # 8 : 5.66 : 2
        [[0.511, 0.361, 0.128]]
        """
        return np.asarray(softmax(_logarithms(probabilities) / self.temperature, axis=1))

    def record(self) -> dict[str, Any]:
        """Return plain values, from which `Temperature(**record)` makes it again."""
        return asdict(self)


def fit_temperature(answers: SessionAnswers) -> Temperature:
    """Fit a temperature by log loss on validation answers of one fold.

    Parameters
    ----------
    answers
        Of split 'validation' of one fold.

    Returns
    -------
    Temperature
        With a remark where the best one is at the end of what is looked through, or where no temperature matters.

    Raises
    ------
    TrainingError
        They are of another part, or of several folds, or there are none.

    Examples
    --------
    >>> days, names = np.datetime64("2015-03-02") + np.arange(5), np.array(["NVDA"] * 5)
    >>> said = np.tile([0.8, 0.1, 0.1], (5, 1))  # eight times as likely as each other, and three times as frequent
    >>> known = SessionAnswers("cnn", "validation", 5, np.zeros(5, int), days, names, said, np.array([0, 0, 0, 1, 2]))
    >>> round(fit_temperature(known).temperature, 3)  # log 8 / log 3
    1.893
    """
    if answers.split != VALIDATION:
        raise TrainingError(
            f"a temperature is fitted on split '{VALIDATION}', and these {len(answers)} answers of '{answers.model}' "
            f"are of split '{answers.split}': what is fitted on it cannot be judged on it. Give the validation part."
        )
    if len(folds := np.unique(answers.fold)) != 1:
        raise TrainingError(
            f"the answers of '{answers.model}' are of folds {folds.tolist()}; each fold has a temperature of its own, "
            "because the validation part of one may be the test part of another. Give those of one."
        )
    scores = _logarithms(answers.probabilities)
    happened = scores[np.arange(len(answers)), answers.label]

    def slope(inverse: float) -> float:
        """Return the derivative of the log loss by 1 / T, which rises with it."""
        return float(((softmax(inverse * scores, axis=1) * scores).sum(axis=1) - happened).mean())

    def found(temperature: float, *remarks: str) -> Temperature:
        said = "; ".join([*remarks, answers.few] if answers.few else remarks)
        return Temperature(answers.model, int(folds[0]), temperature, len(answers), answers.sessions, said)

    if np.ptp(scores, axis=1).max() < 1e-9:
        return found(1.0, "all classes have the same probability in every row: no temperature changes it")
    if slope(1 / HIGHEST) >= 0:
        return found(HIGHEST, f"the best is {HIGHEST:g} or more: the probabilities know nothing of validation labels")
    if slope(1 / LOWEST) <= 0:
        return found(LOWEST, f"the best is {LOWEST:g} or less: nearly every answer on validation is right")
    return found(1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-13, rtol=1e-14)))


def _logarithms(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities.astype(np.float64), SMALLEST_PROBABILITY, None)))
