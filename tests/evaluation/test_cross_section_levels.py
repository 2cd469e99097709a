"""What is said of a cross-section with 95 % is true as often, where scores know nothing; seeds are fixed.

Companies share a market, each with a beta of its own; returns over h sessions overlap; scores are persistent. A share
of r repeats is off by sqrt(p (1 - p) / r): limits are the promise of `benchmarks.coverage`, 0.93 to 0.98, and three of
these.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.coverage import limits
from benchmarks.verdicts import limit
from finnex.evaluation.characteristics import market_returns
from finnex.evaluation.exposures import exposures_of_scores
from finnex.evaluation.information_coefficient import information_coefficient
from finnex.evaluation.interval import Interval
from finnex.evaluation.market_regression import regression
from finnex.evaluation.quantile_portfolio import long_short
from finnex.evaluation.quantile_returns import quantile_returns
from finnex.evaluation.score_panel import correlations, forward_returns
from tests.helpers.scores import market_of, panel_of
from tests.helpers.trades import FREE

REPEATS = 150


def figures(rng: np.random.Generator, horizon: int, sessions: int, memory: float) -> Iterator[tuple[str, Interval]]:
    """Yield what is said of scores that know nothing; each of it is 0 in truth, but the share above 0."""
    panel = panel_of(rng, sessions, 12, horizon, memory=memory)
    found, fifths = information_coefficient(panel), quantile_returns(panel)
    yield "rank coefficient", found.rank.interval()
    yield "Pearson's coefficient", found.pearson.interval()
    yield "information ratio", found.ratio
    yield "decay", found.decay[2]
    yield "highest less lowest", fifths.spread
    yield "lowest, demeaned", fifths.demeaned[0]
    share = found.above_zero
    if share.low is not None and share.high is not None:
        yield "share above 0", Interval(share.value - 0.5, share.low - 0.5, share.high - 0.5)


@pytest.mark.parametrize(
    ("horizon", "sessions", "memory"),
    [
        (1, 62, 0.9),
        pytest.param(5, 100, 0.0, marks=pytest.mark.accept),
        (5, 250, 0.95),
        pytest.param(20, 240, 0.9, marks=pytest.mark.accept),
    ],
)
def test_scores_that_know_nothing_have_figures_around_nothing(horizon: int, sessions: int, memory: float) -> None:
    rng, held = np.random.default_rng(horizon + sessions), {}
    informed = 0
    for _ in range(REPEATS):
        for name, one in figures(rng, horizon, sessions, memory):
            assert one.low is not None, name
            assert one.high is not None, name
            held.setdefault(name, []).append(one.low <= 0 <= one.high)
            informed += name == "rank coefficient" and not held[name][-1]
    for name, each in held.items():
        low, high = limits(horizon, sessions, REPEATS)
        assert low <= np.mean(each) <= high, name
    assert informed / REPEATS <= limit(REPEATS)


def test_information_is_said_of_scores_that_know_nothing_in_at_most_5_of_100_and_of_each_sign() -> None:
    rng = np.random.default_rng(1)
    words = [information_coefficient(panel_of(rng, 100, 10, 5, memory=0.9)).word() for _ in range(400)]
    assert np.mean([word != "open" for word in words]) <= limit(400)
    for sign in ("beats", "worse"):
        assert np.mean([word == sign for word in words]) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)


def test_an_interval_that_takes_sessions_for_independent_would_not_hold() -> None:
    """The simulation tells a wrong interval from a right one: scores that stay, and returns that overlap."""
    rng, naive = np.random.default_rng(2), []
    for _ in range(REPEATS):
        panel = panel_of(rng, 250, 12, 5, memory=0.95)
        each = correlations(panel.scores, forward_returns(panel.prices, 5), ranks=True)[:250]
        naive.append(abs(each.mean()) <= 1.96 * each.std() / np.sqrt(250))
    assert np.mean(naive) < 0.75


@pytest.mark.parametrize("sign", [1, -1])
def test_planted_information_is_found_with_its_sign(sign: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        panel = panel_of(rng, 250, 20, 5, memory=0.9, known=0.3 * sign)
        found, fifths = information_coefficient(panel), quantile_returns(panel)
        assert found.word() == ("beats" if sign > 0 else "worse")
        assert sign * fifths.spread.value > 0
        assert sign * fifths.monotonicity > 0.6
        assert (long_short(panel, FREE).net.total_return > 0) == (sign > 0)
        # information of the next five sessions is denser in the first ones than in twenty
        assert sign * found.decay[5].value > sign * found.decay[20].value > 0


def test_exposures_of_scores_that_lean_on_nothing_hold_0_where_an_interval_is_given() -> None:
    rng = np.random.default_rng(4)
    for horizon, sessions, memory in ((5, 100, 0.0), (1, 260, 0.9)):
        held: dict[str, list[bool]] = {}
        for _ in range(150):
            panel = panel_of(rng, sessions, 15, horizon, memory=memory, before=253)
            sizes = np.exp(rng.normal(size=15)) * np.ones(panel.scores.shape)
            for name, one in exposures_of_scores(panel, sizes).items():
                if one.low is not None and one.high is not None:
                    held.setdefault(name, []).append(one.low <= 0 <= one.high)
        assert len(held) == 3
        for name, each in held.items():
            assert len(each) > 100, name
            assert np.mean(each) >= limits(horizon, sessions, len(each))[0], name


def test_slope_and_intercept_on_the_market_are_held_as_often_as_is_said() -> None:
    """Noise whose spread follows the market's size, and that lasts for some sessions."""
    rng = np.random.default_rng(5)
    held: dict[str, list[bool]] = {"alpha": [], "beta": []}
    for _ in range(REPEATS):
        market = market_returns(market_of(rng, 251, 12))[1:]
        noise = np.convolve(rng.normal(size=254), np.ones(5) / 5, "valid") * (0.01 + np.abs(market))
        for each, truth, found in zip(
            held.values(), (0.0, 0.3), regression(0.3 * market + noise, market, 5), strict=True
        ):
            one = found.interval()
            if one.low is not None and one.high is not None:
                each.append(one.low <= truth <= one.high)
    for name, each in held.items():
        low, high = limits(5, 250, len(each))
        assert len(each) > 0.9 * REPEATS, name
        assert low <= np.mean(each) <= high, name
