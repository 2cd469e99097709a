"""The calibration error that a model shows by chance although its probabilities are right.

Labels are drawn from the model's own probabilities. They cannot be drawn row by row: labels over h sessions overlap,
and companies of one session move together, so that their errors do not cancel as fast. So each row has a standard
normal number behind it, whose place among the cumulated probabilities of sell, hold and buy is the label (a Gaussian
copula: Li, On Default Correlation, 2000; Joe, Dependence Modeling with Copulas, 2014). A company's number is a moving
sum of h shocks over the sessions, one shock a session, and any two companies share a part of their shocks. That part is
estimated from the labels: the product of two companies' generalised residuals (Gourieroux, Monfort, Renault and
Trognon 1987), the mean of the number given the label, has to first order the expectation of that part times the product
of their variances. Higher orders make the estimate too large rather than too small.

What it assumes: probabilities right given all that was known at the decision, so that errors of sessions a label's
length apart are independent; one correlation for all pairs of companies; labels whose order is that of a return. A
model whose probabilities are right on average only, over slow regimes that it does not see, errs for longer than that,
and its error exceeds the one by chance more often than in 5 % of cases: in 17 %, of a constant answer in 500 sessions,
where regimes of ten sessions make 30 % of the variance. Such an error is one of all bins together. So words on
calibration are not said by it, but by the mean of all bins, which has the project's interval, and by how much bins
differ from that mean. They are wrong in 6 % of those cases; where regimes last 50 sessions, too long for that interval
in 500, in 24 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from finnex.evaluation.calibration import BINS, bin_numbers, expected_error
from finnex.evaluation.interval import LEVEL, least_sessions
from finnex.evaluation.session_answers import SessionAnswers

DRAWS = 1000
NUMBERS_AT_A_TIME = 2_000_000
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ErrorByChance:
    """The expected calibration error of the answers, and what it would be by chance.

    Attributes
    ----------
    error
        That of the model.
    mean, most
        Mean and 95th percentile where its probabilities were right; None where nothing is said.
    p_value
        Of 'its probabilities are right' against a larger error: 1 where nothing is said.
    uneven_p_value
        Of the same against bins that differ more from each other: the error after the mean difference of claim and
        share has been taken from every bin. 1 where nothing is said, and of a single bin.
    correlation
        Of two companies' numbers behind the labels of one session, as estimated; None of one company.
    draws
        Sets of labels that were drawn.
    reason
        Why nothing is said, in words; empty where it is.
    """

    error: float
    mean: float | None
    most: float | None
    p_value: float
    uneven_p_value: float
    correlation: float | None
    draws: int
    reason: str = ""


def shared_part(answers: SessionAnswers) -> float | None:
    """Return the estimated correlation, in [0, 1], of two companies' numbers in one session; None of one company.

    Parameters
    ----------
    answers
        Answers of several companies, whose probabilities are taken as right.
    """
    session = np.unique(answers.days, return_inverse=True)[1]
    low, high = _bounds(answers.probabilities)
    density = [np.exp(-(bound**2) / 2) / np.sqrt(2 * np.pi) for bound in (low, high)]
    known = answers.probabilities > 0
    residual = np.divide(density[0] - density[1], answers.probabilities, out=np.zeros_like(low), where=known)
    variance = (answers.probabilities * residual**2).sum(axis=1)
    own = residual[np.arange(len(answers)), answers.label]

    def pairs(values: Floats) -> float:
        """Return the sum over pairs of rows of one session of the products of their values."""
        return float(((np.bincount(session, weights=values)) ** 2 - np.bincount(session, weights=values**2)).sum())

    expected = pairs(variance)
    if len(np.unique(answers.symbols)) == 1:
        return None
    return 0.0 if expected <= 0 else float(np.clip(pairs(own) / expected, 0.0, 1.0))


def error_by_chance(answers: SessionAnswers, *, bins: int = BINS, draws: int = DRAWS, seed: int = 0) -> ErrorByChance:
    """Return a model's expected calibration error with that of right probabilities for as many sessions.

    Parameters
    ----------
    answers
        What was said and what happened. Sessions are counted as they come; where some are left out in between, the
        labels drawn overlap more than the true ones, and the error by chance is too large rather than too small.
    bins
        At most so many.
    draws
        Sets of labels that are drawn; the smallest p value is 1 / (draws + 1).
    seed
        Of the draws.

    Returns
    -------
    ErrorByChance
        With a reason, and without the error by chance, where there are fewer sessions than an interval needs.
    """
    error = expected_error(answers.confidence, answers.right, bins=bins)
    if (count := answers.sessions) < (least := least_sessions(answers.horizon)):
        reason = f"{count} sessions, at least {least} are needed at horizon {answers.horizon}"
        return ErrorByChance(error, None, None, 1.0, 1.0, None, 0, reason)
    shared = shared_part(answers)
    number = bin_numbers(answers.confidence, bins)
    rows = np.bincount(number).astype(np.int64)
    observed = np.bincount(number, weights=answers.confidence - answers.right).astype(np.float64)
    drawn = _excesses(answers, shared or 0.0, number, draws, seed)
    by_chance, uneven = (abs(one).sum(axis=1) / len(answers) for one in (drawn, _centred(drawn, rows)))
    own_uneven = abs(_centred(observed[None], rows)).sum() / len(answers)
    return ErrorByChance(
        error=error,
        mean=float(by_chance.mean()),
        most=float(np.quantile(by_chance, LEVEL)),
        p_value=_p_value(by_chance, error),
        uneven_p_value=_p_value(uneven, own_uneven),
        correlation=shared,
        draws=draws,
    )


def _p_value(by_chance: Floats, observed: float) -> float:
    """Return the share of as large values, the observed one among them (Davison and Hinkley 1997, section 4.2)."""
    return float(1 + (by_chance >= observed - 1e-12).sum()) / (1 + len(by_chance))


def _centred(excess: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Return sums of claim less share (..., bins), each less its part of the sum over all bins."""
    return np.asarray(excess - excess.sum(axis=-1, keepdims=True) * rows / rows.sum())


def _bounds(probabilities: Floats) -> tuple[Floats, Floats]:
    """Return between which numbers each class lies, (rows, classes) each."""
    high = np.minimum(np.cumsum(probabilities, axis=1), 1.0)
    high[:, -1] = 1.0
    low = np.concatenate([np.zeros((len(high), 1)), high[:, :-1]], axis=1)
    return np.asarray(ndtri(low)), np.asarray(ndtri(high))


def _excesses(answers: SessionAnswers, shared: float, number: npt.NDArray[np.int64], draws: int, seed: int) -> Floats:
    """Return sums of claim less share (draws, bins) for labels drawn from the answers' own probabilities."""
    rng, h = np.random.default_rng(seed), answers.horizon
    days, session = np.unique(answers.days, return_inverse=True)
    names, company = np.unique(answers.symbols, return_inverse=True)
    order = np.argsort(number, kind="stable")  # by bin, so that a bin's rows can be added up
    starts = np.searchsorted(number[order], np.arange(number.max() + 1))
    at = np.arange(len(answers)), answers.answer
    low, high = (bound[at][order] for bound in _bounds(answers.probabilities))
    claimed = np.add.reduceat(answers.confidence[order], starts)
    length = len(days) + h - 1
    found: list[Floats] = []
    at_a_time = max(1, NUMBERS_AT_A_TIME // (length * len(names)))
    for first in range(0, draws, at_a_time):
        some = min(draws - first, at_a_time)
        behind = np.sqrt(1 - shared) * rng.standard_normal((some, length, len(names)))
        if shared > 0:
            behind += np.sqrt(shared) * rng.standard_normal((some, length, 1))
        if h > 1:
            total = np.concatenate([np.zeros((some, 1, len(names))), behind.cumsum(axis=1)], axis=1)
            behind = (total[:, h:] - total[:, :-h]) / np.sqrt(h)
        drawn = behind[:, session[order], company[order]]
        right = np.add.reduceat(((drawn > low) & (drawn <= high)).astype(np.float64), starts, axis=1)
        found.append(claimed - right)
    return np.concatenate(found)
