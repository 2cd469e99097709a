"""What the product says with 95 % is true as often, simulated with the product's own functions; seeds are fixed.

A simulated share of r repeats is off by sqrt(p (1 - p) / r) on average; each limit below is the promise and three of
these: 0.93 - 0.062 and 0.98 + 0.034 of 150 repeats, 0.05 + 0.033 of 400, 0.05 + 0.103 of 40. `make accept` runs the
long simulations, with 2,000 repeats and 400 ladders.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import coverage, limits
from benchmarks.verdicts import CHALLENGERS, ladder, limit, study
from finnex.evaluation.interval import mean_estimate
from tests.helpers.stores import sessions

REPEATS, STUDIES, LADDERS = 150, 400, 40
TRUE_SESSIONS = 20_000
"""For the true Sharpe ratio: its error is a twentieth of the narrowest interval's half."""


@pytest.mark.parametrize(
    ("horizon", "length"),
    [pytest.param(1, 60, marks=pytest.mark.accept), (5, 60), (5, 150), pytest.param(20, 240, marks=pytest.mark.accept)],
)
def test_an_interval_holds_the_truth_as_often_as_it_says(horizon: int, length: int) -> None:
    """Constant, random and persistent answers, gaps to two baselines, log loss, the Sharpe ratio."""
    for name, (share, printed) in coverage(horizon, length, 1, REPEATS, 3, TRUE_SESSIONS).items():
        low, high = limits(horizon, length, printed)
        assert printed > REPEATS // 2, name
        assert low <= share <= high, name


def test_an_interval_over_rows_would_hold_it_far_too_seldom() -> None:
    """Five-session overlap and two symbols that move as one: the simulation tells a wrong interval from a right one."""
    rng, days, covered, naive = np.random.default_rng(0), np.tile(sessions(400), 2), 0, 0
    for _ in range(150):
        values = np.tile((np.convolve(rng.normal(size=404), np.ones(5), "valid") > 0).astype(float), 2)
        found = mean_estimate(values, days, 5, share=True).interval()
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
        naive += abs(values.mean() - 0.5) <= 1.96 * values.std() / np.sqrt(len(values))
    assert covered / 150 >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / 150)
    assert naive / 150 < 0.7


@pytest.mark.parametrize(("horizon", "length"), [(1, 60), (5, 250), (20, 240)])
def test_noise_beats_a_baseline_or_is_worse_in_at_most_5_of_100_studies(horizon: int, length: int) -> None:
    rng = np.random.default_rng(horizon)
    said = [set(study(rng, horizon, length, 1, 0.0).values()) for _ in range(STUDIES)]
    assert np.mean([said_ != {"open"} for said_ in said]) <= limit(STUDIES)


@pytest.mark.parametrize(("horizon", "length"), [(1, 60), (5, 250), (20, 240)])
def test_an_equal_of_the_champion_takes_its_place_in_at_most_5_of_100_comparisons(horizon: int, length: int) -> None:
    rng = np.random.default_rng(horizon)
    promoted = [ladder(rng, horizon, length, 1, 0.3, challengers=1, champion=True)[0] for _ in range(STUDIES)]
    assert np.mean(promoted) <= limit(STUDIES)


@pytest.mark.parametrize(("gain", "champion"), [(0.0, False), (0.3, True)])
def test_of_50_challengers_in_turn_none_is_promoted_in_95_of_100_ladders(gain: float, champion: bool) -> None:
    """Noise without a champion; and equals of a champion that beat the baselines, so that only the champion matters."""
    rng = np.random.default_rng(5)
    false = [any(ladder(rng, 5, 250, 1, gain, challengers=CHALLENGERS, champion=champion)) for _ in range(LADDERS)]
    assert np.mean(false) <= limit(LADDERS)


def test_a_model_that_knows_is_found() -> None:
    """Ten points of accuracy over a guess, ten companies, 500 sessions: never saying a word would pass the others."""
    rng = np.random.default_rng(5)
    assert np.mean([set(study(rng, 5, 500, 10, 0.1).values()) == {"beats"} for _ in range(20)]) >= 0.8
    assert np.mean([ladder(rng, 5, 500, 10, 0.3, challengers=1, champion=False)[0] for _ in range(20)]) == 1
