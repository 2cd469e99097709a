"""Whether probabilities are as large as what they are given to is frequent: Brier score, reliability, expected error.

The Brier score (Verification of Forecasts Expressed in Terms of Probability, 1950) is the mean over rows of the sum
over classes of the squared difference between the probability and 1 for the class that happened, 0 for the others. It
is in [0, 2]: scikit-learn's `brier_score_loss` with `scale_by_half=False`, and twice its value for two classes by
default. A reliability curve (Murphy and Winkler, Reliability of Subjective Probability Forecasts, 1977) compares mean
probability and share of what happened in bins of rows with similar probabilities. The expected calibration error
(Naeini, Cooper and Hauskrecht 2015; Guo et al., On Calibration of Modern Neural Networks, 2017) is the mean over rows
of the absolute difference of the two in their bin. It is above 0 by chance also of a model that is calibrated, the more
the fewer rows a bin has: `finnex.evaluation.calibration_by_chance` says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from finnex.data.calendar import Days
from finnex.evaluation.interval import Interval, mean_estimate
from finnex.evaluation.scorecard import CLASS_NAMES
from finnex.evaluation.session_answers import SessionAnswers

BINS = 10
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bin:
    """Rows whose probabilities are close to each other.

    Attributes
    ----------
    low, high
        Smallest and largest probability in it.
    rows, sessions
        Rows, and distinct decision dates among them.
    claimed
        Mean probability.
    share
        Of the rows in which it happened, with its interval or the reason why there is none.
    """

    low: float
    high: float
    rows: int
    sessions: int
    claimed: float
    share: Interval

    def record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "sessions": self.sessions,
            "claimed": self.claimed,
            "share": self.share.value,
            "share_low": self.share.low,
            "share_high": self.share.high,
            "share_reason": self.share.reason,
        }


def brier_by_row(probabilities: Floats, labels: Integers) -> Floats:
    """Return the Brier score of each row, (rows,) in [0, 2]; its mean is the score.

    Parameters
    ----------
    probabilities
        (rows, classes) in [0, 1]; a NaN gives NaN.
    labels
        (rows,) integers in [0, classes).

    Examples
    --------
    >>> brier_by_row(np.array([[0.7, 0.2, 0.1]]), np.array([0])).round(3).tolist()  # 0.09 + 0.04 + 0.01
    [0.14]
    """
    happened = np.eye(probabilities.shape[1])[labels]
    return np.asarray(((probabilities - happened) ** 2).sum(axis=1))


def brier_score(probabilities: Floats, labels: Integers) -> float:
    """Return the Brier score of several classes: the mean over rows of the sum over classes, in [0, 2], 0 the best.

    Parameters
    ----------
    probabilities
        (rows, classes) in [0, 1]; a NaN gives NaN.
    labels
        (rows,) integers in [0, classes).

    Raises
    ------
    ValueError
        There is no row.

    Examples
    --------
    >>> round(brier_score(np.full((2, 3), 1 / 3), np.array([0, 2])), 4)  # of who knows nothing of three classes
    0.6667
    """
    if not len(labels):
        raise ValueError("0 rows cannot be scored")
    return float(brier_by_row(probabilities, labels).mean())


def bin_numbers(probability: Floats, bins: int = BINS) -> Integers:
    """Return the bin of each row: equal numbers of rows a bin, equal probabilities always in one.

    A value goes where the first of its equals in ascending order would go. So bins that ties leave empty are dropped,
    and a constant gives one bin.

    Parameters
    ----------
    probability
        (rows,), no NaN.
    bins
        At most so many.

    Returns
    -------
    numpy.ndarray
        (rows,) int64, 0 for the smallest probabilities, without gaps.

    Examples
    --------
    >>> bin_numbers(np.array([0.5, 0.4, 0.9, 0.4]), 2).tolist()
    [1, 0, 1, 0]
    >>> bin_numbers(np.array([0.4, 0.4, 0.4, 0.9]), 2).tolist()
    [0, 0, 0, 1]
    """
    first = rankdata(probability, method="min").astype(np.int64) - 1
    return np.asarray(np.unique(first * bins // max(1, len(probability)), return_inverse=True)[1], dtype=np.int64)


def reliability_curve(
    probability: Floats, happened: npt.NDArray[np.floating], days: Days, horizon: int, *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Return mean probability and share of what happened, by bins of equal numbers of rows.

    Parameters
    ----------
    probability
        (rows,) in [0, 1], no NaN.
    happened
        (rows,) 1 where that to which it was given happened, else 0.
    days
        (rows,) decision dates: rows of one date, and of dates within `horizon`, count as dependent.
    horizon
        Sessions that a label looks ahead.
    bins
        At most so many; ties make them fewer.

    Returns
    -------
    tuple of Bin
        From the smallest probabilities to the largest.

    Examples
    --------
    >>> days = np.datetime64("2015-03-02") + np.arange(4)
    >>> curve = reliability_curve(np.array([0.4, 0.5, 0.8, 0.6]), np.array([0, 1, 1, 1]), days, 1, bins=2)
    >>> [(one.rows, round(one.claimed, 2), one.share.value) for one in curve]
    [(2, 0.45, 0.5), (2, 0.7, 1.0)]
    >>> curve[0].share.reason
    'no interval: 2 sessions, at least 60 are needed at horizon 1'
    """
    number, found = bin_numbers(probability, bins), []
    for one in range(number.max() + 1 if len(number) else 0):
        mine = number == one
        found.append(
            Bin(
                low=float(probability[mine].min()),
                high=float(probability[mine].max()),
                rows=int(mine.sum()),
                sessions=len(np.unique(days[mine])),
                claimed=float(probability[mine].mean()),
                share=mean_estimate(happened[mine].astype(np.float64), days[mine], horizon, share=True).interval(),
            )
        )
    return tuple(found)


def expected_error(probability: Floats, happened: npt.NDArray[np.floating], *, bins: int = BINS) -> float:
    """Return the expected calibration error, in [0, 1], over the bins of `reliability_curve`.

    Parameters
    ----------
    probability
        (rows,) in [0, 1], no NaN.
    happened
        (rows,) 1 or 0.
    bins
        At most so many.

    Raises
    ------
    ValueError
        There is no row.

    Examples
    --------
    >>> round(expected_error(np.array([0.4, 0.5, 0.8, 0.6]), np.array([0, 1, 1, 1]), bins=2), 4)  # (0.05 + 0.3) / 2
    0.175
    """
    if not len(probability):
        raise ValueError("0 rows have no calibration error")
    return float(abs(np.bincount(bin_numbers(probability, bins), weights=probability - happened)).sum()) / len(happened)


def class_curves(answers: SessionAnswers, bins: int = BINS) -> dict[str, tuple[Bin, ...]]:
    """Return the reliability curve of each class' probability, whether it is the answer or not, by its name."""
    return {
        name: reliability_curve(
            answers.probabilities[:, code], answers.label == code, answers.days, answers.horizon, bins=bins
        )
        for code, name in enumerate(CLASS_NAMES)
    }


def class_errors(answers: SessionAnswers, bins: int = BINS) -> dict[str, float]:
    """Return the expected calibration error of each class' probability, by its name.

    Their mean is the class-wise error of Kull et al., Beyond Temperature Scaling, 2019, with bins of equal counts.
    """
    return {
        name: expected_error(answers.probabilities[:, code], answers.label == code, bins=bins)
        for code, name in enumerate(CLASS_NAMES)
    }
