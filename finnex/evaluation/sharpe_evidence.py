"""What a Sharpe ratio proves: probabilistic and deflated, with what is needed for more and what cannot be said.

Standard errors are the project's own (`finnex.evaluation.sharpe_of_returns`), which hold where positions over several
sessions overlap. What the formulas for independent sessions give is returned too, as `..._independent`.
`tests/evaluation/test_sharpe_levels.py` simulates both on noise with overlapping positions and fat tails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.errors import TrainingError, shown
from finnex.evaluation.interval import LEVEL, ratio_estimate
from finnex.evaluation.metrics import listed
from finnex.evaluation.sharpe_of_returns import SharpeTest
from finnex.evaluation.sharpe_tests import Convention, deflated_reference, whole
from finnex.evaluation.track_record import minimum_backtest_years

Floats = npt.NDArray[np.float64]
NAMES = {
    "value": "Sharpe ratio", "probabilistic": "probabilistic Sharpe ratio", "deflated": "deflated Sharpe ratio",
    "minimum_track_record": "minimum track record", "minimum_backtest_years": "minimum backtest",
}  # fmt: skip
"""What has a value or a reason, with its name in sentences."""
NEED_AN_ERROR = tuple(NAMES)[1:]
COMPUTED = (*NAMES, "skew", "kurtosis", "effective_sessions", "probabilistic_independent", "deflated_independent")
SOURCES = {
    "estimate": "standard error at the estimate: Bailey and Lopez de Prado 2012 and 2014",
    "reference": "standard error at the reference: Lopez de Prado, Lipton and Zoonekynd 2025",
}


@dataclass(frozen=True)
class SharpeEvidence:
    """How much a Sharpe ratio can be believed.

    Attributes
    ----------
    value
        Sharpe ratio a year; None where the returns do not vary.
    sessions, horizon
        Returns, and the sessions that a position is held.
    sessions_per_year
        By which ratios of a year are made.
    convention
        Where the standard error is taken: see `finnex.evaluation.sharpe_tests`.
    skew, kurtosis
        Of the returns, moments over n; kurtosis is not excess. None where they do not vary.
    effective_sessions
        Independent sessions that have the same standard error where the true ratio is 0. More than there are where
        returns offset each other, or by the error of the estimate.
    probabilistic, probabilistic_independent
        How often a true ratio of 0 shows less, in [0, 1]; and by the formula for independent sessions.
    trials, trials_known
        Trials of which this is one, and those among them whose ratio is known.
    deflated_reference
        Ratio a year that the best of so many trials without skill shows on average.
    deflated, deflated_independent
        How often a trial whose true ratio is that shows less, in [0, 1]; and by the formula for independent sessions.
        The probabilistic ones where there is one trial.
    minimum_track_record
        Sessions from which on a ratio like this, with returns like these, is above 0 at the level of 95 %.
    minimum_backtest_years
        Years below which the best of so many trials without skill is expected to show this ratio or more.
    reasons
        By attribute, why it is None, in words: of `value`, `probabilistic`, `deflated`, `minimum_track_record` and
        `minimum_backtest_years`.

    Examples
    --------
    >>> returns = np.random.default_rng(0).normal(0.001, 0.01, 504)
    >>> found = sharpe_evidence(returns, 5, [1.1, 0.3, -0.2, None])
    >>> found.trials, found.trials_known, found.record()["sessions"]
    (4, 3, 504)
    >>> found.words()[0]
    'Sharpe ratio ...
    """

    value: float | None
    sessions: int
    horizon: int
    sessions_per_year: float
    convention: Convention
    skew: float | None
    kurtosis: float | None
    effective_sessions: float | None
    probabilistic: float | None
    probabilistic_independent: float | None
    trials: int
    trials_known: int
    deflated_reference: float | None
    deflated: float | None
    deflated_independent: float | None
    minimum_track_record: int | None
    minimum_backtest_years: float | None
    reasons: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is no value, and `reasons` by attribute.

        Returns
        -------
        dict[str, Any]
            By attribute.
        """
        return {**vars(self), "reasons": dict(self.reasons)}

    def words(self) -> list[str]:
        """Say what the ratio proves, and what cannot be said.

        Returns
        -------
        list of str
            Sentences.
        """
        said = []
        if self.value is not None:
            weight = (
                f", which weigh as about {self.effective_sessions:.0f} independent ones"
                if self.effective_sessions
                else ""
            )
            said.append(f"Sharpe ratio {self.value:.2f} a year over {self.sessions} sessions{weight}.")
        if self.probabilistic is not None:
            said.append(
                f"Probabilistic Sharpe ratio {self.probabilistic:.3f}: the share of samples in which a true ratio of 0 "
                f"shows less ({self.probabilistic_independent:.3f} if sessions were independent; "
                f"{SOURCES[self.convention]})."
            )
        if self.trials == 1 and self.deflated is not None:
            said.append("One trial: nothing was chosen, and the deflated Sharpe ratio is the probabilistic one.")
        elif self.deflated is not None:
            said.append(
                f"Deflated Sharpe ratio {self.deflated:.3f}: the best of {self.trials} trials without skill shows "
                f"{self.deflated_reference:.2f} a year on average ({self.deflated_independent:.3f} if sessions were "
                "independent)."
            )
        if self.minimum_track_record is not None:
            years = self.minimum_track_record / self.sessions_per_year
            said.append(
                f"Minimum track record {self.minimum_track_record:,} sessions ({years:.1f} years): from there on a "
                f"ratio like this is above 0 at the level of {LEVEL:.0%}."
            )
        if self.minimum_backtest_years is not None:
            said.append(
                f"Minimum backtest {self.minimum_backtest_years:.1f} years: in less, the best of {self.trials} trials "
                "without skill is expected to show this ratio."
            )
        if 0 < self.trials_known < self.trials:
            said.append(f"The ratios of {self.trials_known} of {self.trials} trials are known.")
        missing: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            missing.setdefault(reason, []).append(NAMES[name])
        return said + [f"No {listed(names)}: {reason}." for reason, names in missing.items()]


def sharpe_evidence(
    returns: npt.NDArray[np.floating],
    horizon: int,
    trial_ratios: Sequence[float | None] = (),
    *,
    trials: int | None = None,
    sessions_per_year: float = 252,
    convention: Convention = "estimate",
) -> SharpeEvidence:
    """Return how much the Sharpe ratio of a series of returns can be believed.

    Parameters
    ----------
    returns
        (sessions,) in order of time, per session; finite.
    horizon
        Sessions that a position is held, 1 or more: returns so close may be correlated.
    trial_ratios
        Sharpe ratios a year of all trials, this one among them, on the same sessions; None where one has no ratio.
    trials
        Number of trials where it is more than the ratios that are given; None counts these.
    sessions_per_year
        By which ratios of a year are made, above 0.
    convention
        Where the standard error is taken: see `finnex.evaluation.sharpe_tests`.

    Returns
    -------
    SharpeEvidence
        Without values, and with the reasons, where something cannot be said: returns that do not vary, fewer sessions
        than an interval needs, several trials with less than two known ratios.

    Raises
    ------
    TrainingError
        Returns of another shape or not finite, an argument outside its range.

    Notes
    -----
    The variance of the trials' ratios (over n - 1) has the correlation of their returns in it: no factor is needed for
    it. The expected maximum counts every trial, near copies too: then it is too high, and the deflated ratio too low,
    as where trials differ in true skill.

    The minimum track record is the smallest number of sessions that an interval can be given for and at which the same
    ratio, with the same long-run variance a session, has a probabilistic ratio of 0.95. The minimum backtest of the
    paper is multiplied by sessions over effective sessions.

    Examples
    --------
    >>> returns = np.random.default_rng(0).normal(0.001, 0.01, 40)
    >>> sharpe_evidence(returns, 1).words()[-1]
    'No ...: 40 sessions, at least 60 are needed at horizon 1.'
    """
    checked = _checked(returns, horizon, sessions_per_year, convention)
    scale = math.sqrt(sessions_per_year)
    known, count = _trials(trial_ratios, trials)
    against, unknown = _against(known / scale, count)
    test = SharpeTest(ratio_estimate(checked, horizon), checked, int(horizon), convention)
    ratio, why = test.estimate.value, test.estimate.reason.removeprefix("no interval: ")
    found: dict[str, Any] = dict.fromkeys(COMPUTED)
    reasons = dict.fromkeys(NEED_AN_ERROR, why) if why else {}
    if math.isfinite(ratio):
        found |= {"value": ratio * scale, "skew": test.skew, "kurtosis": test.kurtosis}
    else:
        alike = f"the same return in all {len(checked)} sessions" if len(checked) > 1 else "one session"
        reasons = dict.fromkeys(NAMES, alike)
    if not reasons:
        found |= _tested(test, against, count, scale)
        if against is None:
            reasons["deflated"] = unknown
        if count == 1:
            reasons["minimum_backtest_years"] = "of one trial nothing was chosen"
        if ratio <= 0:
            reasons |= dict.fromkeys(("minimum_track_record", "minimum_backtest_years"), "the ratio is not above 0")
    return SharpeEvidence(
        sessions=len(checked), horizon=int(horizon), sessions_per_year=sessions_per_year, convention=convention,
        trials=count, trials_known=len(known), deflated_reference=None if against is None else against * scale,
        reasons=reasons, **found,
    )  # fmt: skip


def _tested(test: SharpeTest, against: float | None, trials: int, scale: float) -> dict[str, Any]:
    """Return the fields that need a standard error."""
    ratio, found = test.estimate.value, {}
    if against is not None:
        found = {"deflated": test.below(against), "deflated_independent": test.below_independent(against)}
    if ratio > 0:
        found["minimum_track_record"] = test.track_record()
    if ratio > 0 and trials > 1:
        years = minimum_backtest_years(trials, ratio * scale)
        found["minimum_backtest_years"] = years * len(test.returns) / test.effective_sessions
    return found | {
        "effective_sessions": test.effective_sessions, "probabilistic": test.below(0.0),
        "probabilistic_independent": test.below_independent(0.0),
    }  # fmt: skip


def _against(known: Floats, trials: int) -> tuple[float | None, str]:
    """Return what the best of the trials shows without skill, per session; or why that is not known."""
    if trials == 1:
        return 0.0, ""
    if len(known) < 2:
        return None, f"the ratios of {len(known)} of {trials} trials are known, at least two are needed"
    return deflated_reference(trials, float(known.var(ddof=1))), ""


def _trials(ratios: Sequence[float | None], trials: int | None) -> tuple[Floats, int]:
    """Return the known ratios and the number of trials."""
    for place, ratio in enumerate(ratios):
        if ratio is not None and math.isinf(ratio):
            raise TrainingError(f"trial_ratios: {shown(ratio)} in place {place}. Give None where a trial has no ratio.")
    known = np.array([ratio for ratio in ratios if ratio is not None and not math.isnan(ratio)], dtype=np.float64)
    count = max(1, len(ratios)) if trials is None else trials
    if not whole(count) or count < max(1, len(ratios)):
        raise TrainingError(
            f"trials: {shown(trials)} is no number of trials with {len(ratios)} ratios. Give all of them, this one too."
        )
    return known, int(count)


def _checked(returns: npt.NDArray[np.floating], horizon: int, sessions_per_year: float, convention: str) -> Floats:
    checked: Floats = np.asarray(returns, dtype=np.float64)
    if checked.ndim != 1 or len(checked) == 0:
        raise TrainingError(f"returns: {checked.shape} is not (sessions,). Give one return a session, at least one.")
    if not (finite := np.isfinite(checked)).all():
        place = int(np.argmin(finite))
        raise TrainingError(
            f"returns: {shown(float(checked[place]))} in session {place}, counted from 0. Leave out sessions without a "
            "return, or give 0 where nothing was held."
        )
    if not whole(horizon) or horizon < 1:
        raise TrainingError(f"horizon: {shown(horizon)} is no number of sessions. Give 1 or more.")
    if not math.isfinite(sessions_per_year) or sessions_per_year <= 0:
        raise TrainingError(f"sessions_per_year: {shown(sessions_per_year)} is none. Give a number above 0, as 252.")
    if convention not in SOURCES:
        raise TrainingError(f"convention: {shown(convention)} is not known. Give 'estimate' or 'reference'.")
    return checked
