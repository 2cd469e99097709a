"""Of strategies without skill at most 5 in 100 have a probabilistic or deflated Sharpe ratio above 0.95.

Simulated with the product's own functions; seeds are fixed. A share of r repeats is off by sqrt(p (1 - p) / r) on
average, and each limit is the promise and three of these.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from finnex.evaluation.interval import ratio_estimate
from finnex.evaluation.sharpe_evidence import SharpeEvidence, sharpe_evidence
from finnex.evaluation.sharpe_of_returns import SharpeTest
from finnex.evaluation.sharpe_tests import Convention, deflated_reference

REPEATS = 400


def limit(repeats: int = REPEATS, level: float = 0.05) -> float:
    return level + 3 * math.sqrt(level * (1 - level) / repeats)


def shocks(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> np.ndarray:
    """Return shocks of mean 0: normal, of Student's t with 3 degrees of freedom, or with rare crashes or gains."""
    if kind == "normal":
        return rng.standard_normal(shape)
    if kind == "fat tails":
        return rng.standard_t(3, shape)
    crashes = rng.standard_normal(shape) - 8.0 * (rng.random(shape) < 0.02) + 0.16
    return crashes if kind == "rare crashes" else -crashes


def strategies(
    rng: np.random.Generator, sessions: int, horizon: int, trials: int, kind: str, shared: float
) -> np.ndarray:
    """Return what trials without skill earn (sessions, trials): each row is the return of `horizon` sessions."""
    shape = (sessions + horizon - 1, trials)
    drive = math.sqrt(1 - shared) * shocks(rng, shape, kind) + math.sqrt(shared) * shocks(rng, (shape[0], 1), kind)
    total = np.cumsum(np.vstack([np.zeros((1, trials)), drive]), axis=0)
    return np.asarray(total[horizon:] - total[:-horizon])


def best_of(returns: np.ndarray, horizon: int, convention: Convention = "estimate") -> SharpeEvidence:
    ratios = math.sqrt(252) * returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    return sharpe_evidence(returns[:, ratios.argmax()], horizon, ratios.tolist(), convention=convention)


@pytest.mark.parametrize("kind", ["normal", "fat tails", "rare crashes", "rare gains"])
@pytest.mark.parametrize(("horizon", "sessions"), [(1, 250), (20, 240)])
def test_one_strategy_without_skill_is_above_095_in_5_of_100(kind: str, horizon: int, sessions: int) -> None:
    rng = np.random.default_rng(horizon)
    found = [best_of(strategies(rng, sessions, horizon, 1, kind, 0), horizon).probabilistic for _ in range(REPEATS)]
    known = np.array([one for one in found if one is not None])
    assert len(known) > 0.9 * REPEATS
    assert np.mean(known > 0.95) <= limit(len(known))
    assert np.mean(known < 0.05) <= limit(len(known))
    assert np.mean(known > 0.95) >= 0.05 - 3 * math.sqrt(0.05 * 0.95 / len(known))  # and says something


@pytest.mark.parametrize("kind", ["normal", "fat tails", "rare crashes"])
@pytest.mark.parametrize(("horizon", "sessions"), [(1, 250), (20, 240)])
@pytest.mark.parametrize(("trials", "shared"), [(2, 0.0), (10, 0.8), (50, 0.5)])
def test_the_best_of_many_without_skill_is_above_095_in_at_most_5_of_100(
    kind: str, horizon: int, sessions: int, trials: int, shared: float
) -> None:
    rng = np.random.default_rng(trials + horizon)
    found = [best_of(strategies(rng, sessions, horizon, trials, kind, shared), horizon).deflated for _ in range(200)]
    known = [one for one in found if one is not None]
    assert len(known) > 180
    assert np.mean(np.array(known) > 0.95) <= limit(len(known))


def test_not_deflated_the_best_of_many_is_above_095_far_more_often() -> None:
    rng = np.random.default_rng(1)
    found = [best_of(strategies(rng, 250, 1, 10, "normal", 0), 1).probabilistic for _ in range(200)]
    assert np.mean([one is not None and one > 0.95 for one in found]) > 0.3


def test_the_formulas_for_independent_sessions_find_skill_in_overlapping_noise() -> None:
    """Why the standard error is the project's: 5 sessions of overlap, deflated too."""
    rng, one, many = np.random.default_rng(2), [], []
    for _ in range(200):
        one.append(best_of(strategies(rng, 250, 5, 1, "normal", 0), 5).probabilistic_independent)
        many.append(best_of(strategies(rng, 250, 5, 10, "normal", 0.8), 5).deflated_independent)
    assert np.mean(np.array(one, dtype=float) > 0.95) > 0.15
    assert np.mean(np.array(many, dtype=float) > 0.95) > 0.15


def test_the_default_convention_keeps_the_level_under_skewness_where_the_other_one_does_not() -> None:
    """Why it is the default: with rare crashes the other one is above 0.95 more often than below 0.05, by a third."""
    rng, repeats = np.random.default_rng(3), 3000
    found: dict[str, list[float]] = {"estimate": [], "reference": []}
    for _ in range(repeats):
        returns = strategies(rng, 250, 1, 1, "rare crashes", 0)[:, 0]
        estimate = ratio_estimate(returns, 1)
        if not estimate.reason:
            found["estimate"].append(SharpeTest(estimate, returns, 1, "estimate").below(0.0))
            found["reference"].append(SharpeTest(estimate, returns, 1, "reference").below(0.0))
    kept, other = (np.array(found[name]) for name in ("estimate", "reference"))
    assert len(kept) > 0.9 * repeats
    margin = limit(len(kept)) - 0.05
    assert abs(np.mean(kept > 0.95) - 0.05) <= margin
    assert abs(np.mean(kept < 0.05) - 0.05) <= margin
    assert np.mean(other > 0.95) - np.mean(other < 0.05) > math.sqrt(2) * margin


def test_the_error_of_a_maximum_of_independent_trials_is_too_small_for_trials_that_move_together() -> None:
    """Why the paper of 2025 is not followed there: the best of ten varies by 0.587 of one, if they are independent."""
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(REPEATS):
        returns = strategies(rng, 250, 1, 10, "normal", 0.8)
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        against = deflated_reference(10, float(ratios.var(ddof=1)))
        wrong += norm.cdf((ratios.max() - against) * math.sqrt(250) / 0.587) > 0.95
    assert wrong / REPEATS > 0.1


def test_skill_is_found() -> None:
    """One trial of ten that earns three times its volatility a year: never saying so would pass the others."""
    rng, found = np.random.default_rng(5), []
    for _ in range(60):
        returns = strategies(rng, 1000, 1, 10, "fat tails", 0.3)
        returns[:, 3] += 3 / math.sqrt(252) * math.sqrt(3)
        found.append(best_of(returns, 1).deflated)
    assert np.mean([one is not None and one > 0.95 for one in found]) >= 0.8
