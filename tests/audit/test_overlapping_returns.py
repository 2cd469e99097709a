"""Returns over several sessions overlap: a series of long windows comes no nearer to them by chance than to others."""

from __future__ import annotations

import numpy as np

from finnex.audit.foreknowledge import SUMS, targets_of
from finnex.audit.innovations import Floats, standard_errors
from tests.audit.test_audit_slow import bars_of

SESSIONS, SERIES, WINDOW = 700, 400, 15


def statistics(rng: np.random.Generator, lags: bool) -> dict[int, Floats]:
    """Return the statistics of independent series, moving means of noise, with returns over 1 to 20 sessions."""
    noise = rng.standard_t(5, (SESSIONS + WINDOW, SERIES)).cumsum(axis=0)
    series = noise[WINDOW:] - noise[:-WINDOW]
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    targets = targets_of(bars_of(rng.normal(0, 0.015, SESSIONS), rng))
    found = {}
    for h in SUMS:
        (target,) = (one for one in targets if one.what == f"the return over the next {h} sessions")
        known = ~np.isnan(target.outcome)
        outcome = (target.outcome[known] - target.outcome[known].mean())[:, None]
        errors = standard_errors(series[known], outcome, np.array([target.lags if lags else 0]))
        found[h] = (series[known].T @ outcome / errors)[:, 0]
    return found


def test_noise_reaches_a_bound_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    for h, z in statistics(rng, lags=True).items():
        assert np.mean(np.abs(z) > 2.576) <= (0.05 if h < 10 else 0.12), (
            h
        )  # of 1 % stated, before the thresholds of 5.5


def test_without_the_overlap_noise_would_pass_for_knowledge() -> None:
    z = statistics(np.random.default_rng(0), lags=False)
    assert np.mean(np.abs(z[5]) > 2.576) > 0.15
    assert np.mean(np.abs(z[20]) > 2.576) > 0.4


def test_what_knows_the_return_to_come_is_as_clear_as_before() -> None:
    rng = np.random.default_rng(1)
    (target,) = (
        one
        for one in targets_of(bars_of(rng.normal(0, 0.015, SESSIONS), rng))
        if one.what == "the return over the next 5 sessions"
    )
    known = ~np.isnan(target.outcome)
    outcome = target.outcome[known] / target.outcome[known].std()
    for noise, least in ((0.0, 9.0), (0.5, 8.0), (1.0, 6.5)):
        series = (outcome + noise * rng.normal(size=len(outcome)))[:, None]
        error = standard_errors(series, outcome[:, None], np.array([target.lags]))
        assert (series.T @ outcome[:, None] / error)[0, 0] > least, noise
