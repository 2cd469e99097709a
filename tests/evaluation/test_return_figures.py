"""Figures of returns: each by hand or by a library, none where nothing can be said, no claim from noise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kurtosis, linregress, norm, skew

from finnex.config import TradingSettings
from finnex.errors import TrainingError
from finnex.evaluation.benchmark_line import BenchmarkLine, benchmark_line
from finnex.evaluation.calendar_returns import calendar_returns
from finnex.evaluation.course_checks import check_course
from finnex.evaluation.drawdowns import below_high, drawdowns
from finnex.evaluation.interval import ratio_estimate
from finnex.evaluation.portfolio import Course
from finnex.evaluation.return_figures import SCALED, ReturnFigures, return_figures
from finnex.evaluation.rolling_figures import rolling_figures
from finnex.evaluation.tail_figures import expected_shortfall, tail_ratio, value_at_risk
from finnex.evaluation.trading import BUY_AND_HOLD, EQUAL_WEIGHT, trade_without_a_model
from tests.helpers.courses import Floats, course_of, noise
from tests.helpers.trades import decisions, market, until

EXACT = {"rel": 1e-9, "abs": 1e-12}


def figures(course: Course, horizon: int = 1, cost_bps: float = 0.0) -> ReturnFigures:
    return return_figures(course, sessions_per_year=252, horizon=horizon, cost_bps=cost_bps)


def line(course: Course, benchmark: Course, horizon: int = 1) -> BenchmarkLine:
    return benchmark_line(course, benchmark, sessions_per_year=252, horizon=horizon)


# ---- by hand -----------------------------------------------------------------------------------------------


def test_every_figure_of_a_year_follows_its_formula() -> None:
    """Ten times the same four days: up 2 %, down 1 %, 0, up 1 %."""
    found = figures(course_of([0.02, -0.01, 0.0, 0.01] * 10, [0.5, 0.0, 0.0, 0.1] * 10), cost_bps=10)
    wealth = (1.02 * 0.99 * 1.01) ** 10
    spread = math.sqrt((0.015**2 + 0.015**2 + 0.005**2 + 0.005**2) * 10 / 39)  # around the mean of 0.005
    assert found.total_return == pytest.approx(wealth - 1, **EXACT)
    assert found.return_per_year == pytest.approx(wealth ** (252 / 40) - 1, **EXACT)
    assert found.volatility == pytest.approx(spread * math.sqrt(252), **EXACT)
    assert found.sharpe_ratio is not None
    assert found.sharpe_ratio.value == pytest.approx(0.005 / spread * math.sqrt(252), **EXACT)
    assert found.sortino_ratio == pytest.approx(0.005 / math.sqrt(0.01**2 / 4) * math.sqrt(252), **EXACT)
    assert found.max_drawdown == pytest.approx(0.01, **EXACT)
    assert found.calmar_ratio == pytest.approx((wealth ** (252 / 40) - 1) / 0.01, **EXACT)
    assert (found.best_day.when, found.worst_day.when) == ("2020-01-01", "2020-01-02")
    assert (found.best_day.value, found.worst_day.value, found.positive_days) == (0.02, -0.01, 0.5)
    # 2 of 40 returns are a twentieth: the two lowest are -1 %. Percentiles between the second and third: -1 %, 2 %.
    assert found.value_at_risk == pytest.approx(0.01, **EXACT)
    assert found.expected_shortfall == pytest.approx(0.01, **EXACT)
    assert found.tail_ratio == pytest.approx(2, **EXACT)
    third = (0.015**3 - 0.015**3 - 0.005**3 + 0.005**3) / 4
    second, fourth = (2 * 0.015**2 + 2 * 0.005**2) / 4, (2 * 0.015**4 + 2 * 0.005**4) / 4
    assert found.skewness == pytest.approx(third / second**1.5, **EXACT)
    assert found.kurtosis == pytest.approx(fourth / second**2, **EXACT)
    assert found.turnover == pytest.approx(0.15 * 252, **EXACT)
    assert found.costs_per_year == pytest.approx(0.15 * 252 * 0.001, **EXACT)
    assert found.reasons == {}


def test_costs_are_paid_on_the_wealth_of_the_close_before() -> None:
    found = figures(course_of([0.5, 0.0, -0.2], [1.0, 0.4, 2.0]), cost_bps=100)
    assert found.costs_paid == pytest.approx(0.01 * (1.0 * 1 + 0.4 * 1.5 + 2.0 * 1.5), **EXACT)


def test_costs_paid_are_what_a_free_portfolio_has_more() -> None:
    """A price that never moves: all that is lost between buying and selling is costs."""
    prices = market(1, 30, 1, 0.0)
    made, dear = decisions(prices, until(np.ones((30, 1)), 20), 3), TradingSettings(cost_bps=50, borrow_fee_per_year=0)
    course = trade_without_a_model(made, prices, dear)[BUY_AND_HOLD].course
    assert figures(course, cost_bps=50).costs_paid == pytest.approx(1 - course.wealth[-1], **EXACT)
    assert course.wealth[-1] < 0.991


def test_moments_and_the_sharpe_ratio_are_those_of_the_libraries() -> None:
    returns = noise(1, 500, 0.0005)
    found = figures(course_of(returns), horizon=5)
    assert found.skewness == pytest.approx(skew(returns), **EXACT)
    assert found.kurtosis == pytest.approx(kurtosis(returns, fisher=False), **EXACT)
    assert found.volatility == pytest.approx(pd.Series(returns).std() * np.sqrt(252), **EXACT)
    assert found.sharpe_ratio == ratio_estimate(returns, 5).interval().scaled(math.sqrt(252))


def test_drawdowns_have_their_days_and_the_deepest_comes_first() -> None:
    days = np.datetime64("2020-01-01") + np.arange(8)
    wealth = np.array([0.9, 1.0, 1.2, 0.6, 0.9, 1.2, 1.5, 1.2])
    found = drawdowns(days, wealth)
    assert [(one.first, one.trough, one.recovered, one.sessions) for one in found] == [
        ("2020-01-04", "2020-01-04", "2020-01-06", 2),
        ("2020-01-08", "2020-01-08", "", 1),
        ("2020-01-01", "2020-01-01", "2020-01-02", 1),
    ]
    assert [one.depth for one in found] == pytest.approx([0.5, 0.2, 0.1], **EXACT)
    assert found[1].record()["recovered"] is None
    assert drawdowns(days, np.ones(8)) == []


def test_five_drawdowns_are_kept_and_the_earlier_of_two_equal_ones_is_first() -> None:
    found = figures(course_of([1.0, -0.5] * 8))
    assert [one.first for one in found.largest_drawdowns] == [f"2020-01-{day:02}" for day in (2, 4, 6, 8, 10)]


def test_months_and_years_are_those_of_the_wealth() -> None:
    returns = noise(2, 800)
    course = course_of(returns, begin="2019-12-17")
    series = pd.Series(1 + returns, index=pd.DatetimeIndex(course.days.astype("datetime64[ns]")))
    for unit, rule, form in (("month", "ME", "%Y-%m"), ("year", "YE", "%Y")):
        expected = series.resample(rule).prod() - 1
        found = calendar_returns(course, unit)  # type: ignore[arg-type]
        assert list(found) == list(expected.index.strftime(form))
        assert list(found.values()) == pytest.approx(expected.to_numpy(), **EXACT)
    months = calendar_returns(course, "month")
    kept = figures(course)
    assert kept.best_month is not None
    assert kept.worst_month is not None
    assert (kept.best_month.value, kept.worst_month.value) == (max(months.values()), min(months.values()))
    assert months[kept.best_month.when] == kept.best_month.value
    assert kept.positive_months == np.mean([value > 0 for value in months.values()])


@pytest.mark.parametrize("n", [21, 39, 41, 58, 250, 777])
def test_tails_are_those_of_numpy_and_of_the_integral_of_quantiles(n: int) -> None:
    returns = noise(n, n)
    assert value_at_risk(returns) == pytest.approx(-np.quantile(returns, 0.05, method="inverted_cdf"), **EXACT)
    levels = (np.arange(200_000) + 0.5) / 200_000 * 0.05
    integral = -np.quantile(returns, levels, method="inverted_cdf").mean()
    assert expected_shortfall(returns) == pytest.approx(integral, abs=1e-6)
    low, high = np.percentile(returns, [5, 95])
    assert tail_ratio(returns) == pytest.approx(abs(high) / abs(low), **EXACT)


def test_a_twentieth_is_exact_at_multiples_of_twenty() -> None:
    returns = np.arange(-70.0, 70.0) / 1000
    assert value_at_risk(returns) == 0.064
    assert expected_shortfall(returns) == pytest.approx(np.mean(np.arange(64, 71)) / 1000, **EXACT)


def test_the_expected_shortfall_of_normal_returns_is_that_of_the_distribution() -> None:
    returns = noise(3, 400_000, spread=1.0)
    assert value_at_risk(returns) == pytest.approx(-norm.ppf(0.05), abs=0.01)
    assert expected_shortfall(returns) == pytest.approx(norm.pdf(norm.ppf(0.05)) / 0.05, abs=0.01)


def test_rolling_figures_are_those_of_pandas_and_end_with_a_bankruptcy() -> None:
    returns = noise(4, 300, 0.001)
    sharpe, volatility = rolling_figures(course_of(returns), 252)
    window = pd.Series(returns).rolling(126)
    np.testing.assert_allclose(volatility, window.std() * np.sqrt(252), rtol=1e-9)
    np.testing.assert_allclose(sharpe, window.mean() / window.std() * np.sqrt(252), rtol=1e-9)
    broke = course_of([*returns[:150], -1.0, *np.zeros(100)])
    known = ~np.isnan(rolling_figures(broke, 252)[1])
    assert np.flatnonzero(known)[[0, -1]].tolist() == [125, 150]
    assert np.isnan(rolling_figures(course_of(returns[:125]), 252)).all()
    flat = rolling_figures(course_of(np.zeros(130)), 252)
    assert np.isnan(flat[0]).all()
    assert (flat[1][125:] == 0).all()


# ---- against a benchmark -----------------------------------------------------------------------------------


def test_the_line_is_that_of_least_squares() -> None:
    m = noise(5, 400, 0.0004)
    r = 0.0003 + 0.6 * m + noise(6, 400)
    found, expected = line(course_of(r), course_of(m)), linregress(m, r)
    assert found.beta == pytest.approx(expected.slope, **EXACT)
    assert found.correlation == pytest.approx(expected.rvalue, **EXACT)
    assert found.alpha_per_year is not None
    assert found.excess_per_year is not None
    assert found.alpha_per_year.value == pytest.approx(252 * expected.intercept, **EXACT)
    assert found.excess_per_year.value == pytest.approx(252 * (r - m).mean(), **EXACT)
    # Of independent sessions with one variance the interval is about the textbook's, whose t is narrower.
    half = 252 * expected.intercept_stderr * 1.97
    width = found.alpha_per_year.high - found.alpha_per_year.low  # type: ignore[operator]
    assert 0.6 < width / 2 / half < 1.6


def changing(rng: np.random.Generator, sessions: int) -> tuple[Floats, Floats]:
    """A portfolio without alpha on a market with a mean, whose volatility grows with the market's moves."""
    m = 0.0005 + 0.01 * rng.standard_t(5, sessions)
    return 0.7 * m + (0.3 * np.abs(m) + 0.004) * rng.standard_normal(sessions), m


def plain(rng: np.random.Generator, sessions: int) -> tuple[Floats, Floats]:
    m = rng.normal(0.0005, 0.01, sessions)
    return rng.normal(0, 0.01, sessions), m


@pytest.mark.parametrize(
    ("make", "sessions", "excess"),
    [(plain, 120, -0.0005), (plain, 500, -0.0005), (changing, 250, -0.00015), (changing, 750, -0.00015)],
)
def test_the_intervals_against_a_benchmark_hold_the_truth_as_often_as_they_say(
    make: Callable[[np.random.Generator, int], tuple[Floats, Floats]], sessions: int, excess: float
) -> None:
    repeats = 600
    for name, truth in (("alpha_per_year", 0.0), ("excess_per_year", 252 * excess)):
        held = above = silent = 0
        for seed in range(repeats):
            r, m = make(np.random.default_rng([7, sessions, seed]), sessions)
            found = getattr(line(course_of(r), course_of(m), horizon=5), name)
            if found.reason:  # one session makes nearly all of the difference: it says nothing then
                silent += 1
                continue
            held += found.low <= truth <= found.high
            above += found.low > truth
        assert silent <= 3, name
        assert held >= binom.ppf(0.001, repeats, 0.93), name
        assert above <= binom.ppf(0.999, repeats, 0.035), name


def test_a_sharpe_ratio_of_noise_is_called_chance_as_often_as_it_says() -> None:
    repeats, words = 600, {"chance": 0, "above": 0}
    for seed in range(repeats):
        said = figures(course_of(noise(seed, 250)), horizon=5).words("noise")[0]
        words["chance"] += "it holds 0, so chance alone" in said
        words["above"] += ": above 0" in said
    assert words["chance"] >= binom.ppf(0.001, repeats, 0.93)
    assert 0 < words["above"] <= binom.ppf(0.999, repeats, 0.035)


def test_alpha_that_is_there_is_found_and_none_is_claimed_from_beta() -> None:
    m = noise(8, 1500, 0.001)
    good = line(course_of(0.001 + 0.5 * m + noise(9, 1500, spread=0.005)), course_of(m))
    assert "alpha a year" in good.words("it", "the market")[1]
    assert "above 0, if nothing else was tried" in good.words("it", "the market")[1]
    leveraged = line(course_of(1.5 * m), course_of(m))
    assert leveraged.beta == pytest.approx(1.5, **EXACT)
    assert leveraged.alpha_per_year is not None
    assert leveraged.alpha_per_year.value == pytest.approx(0, abs=1e-12)
    assert leveraged.alpha_per_year.low is None


# ---- properties --------------------------------------------------------------------------------------------

RETURNS = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=120)


@settings(max_examples=150, deadline=None)
@given(RETURNS)
def test_figures_are_in_their_ranges_and_never_nan(returns: list[float]) -> None:
    course = course_of(returns, np.abs(returns))
    found = figures(course, cost_bps=5)
    fall = below_high(course.wealth)
    assert ((fall >= 0) & (fall <= 1)).all()
    assert found.max_drawdown == (max(fall) if max(fall) > 0 else 0)
    assert 0 <= found.positive_days <= 1
    assert found.worst_day.value <= found.best_day.value
    assert math.prod(1 + value for value in found.months.values()) == pytest.approx(1 + found.total_return)
    assert math.prod(1 + value for value in found.years.values()) == pytest.approx(1 + found.total_return)
    if found.value_at_risk is not None:
        assert found.expected_shortfall is not None
        assert found.expected_shortfall >= found.value_at_risk - 1e-12
    assert all(earlier.depth >= later.depth for earlier, later in pairwise(found.largest_drawdowns))
    record = found.record()
    json.dumps(record, allow_nan=False)
    assert {name for name in SCALED if record[name] is None} == set(found.reasons)
    assert not any("nan" in words.lower() for words in found.words("it"))
    against = line(course, course_of(np.resize([0.01, -0.02], len(returns)))).record()
    json.dumps(against, allow_nan=False)
    assert against["correlation"] is None or -1 <= against["correlation"] <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 200), st.floats(0.1, 3))
def test_scaled_returns_scale_what_has_their_unit_and_nothing_else(seed: int, n: int, factor: float) -> None:
    returns, m = noise(seed, n, 0.001), noise(seed + 1, n)
    one, other = figures(course_of(returns)), figures(course_of(factor * returns))
    for name in ("volatility", "value_at_risk", "expected_shortfall"):
        assert getattr(other, name) == pytest.approx(factor * getattr(one, name), rel=1e-9)
    for name in ("sortino_ratio", "skewness", "kurtosis", "tail_ratio", "positive_days"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-7)
    assert one.sharpe_ratio is not None
    assert other.sharpe_ratio is not None
    assert other.sharpe_ratio.value == pytest.approx(one.sharpe_ratio.value, rel=1e-9)
    own, scaled = line(course_of(returns), course_of(m)), line(course_of(factor * returns), course_of(m))
    assert own.beta is not None
    assert scaled.beta == pytest.approx(factor * own.beta, rel=1e-9)
    assert scaled.correlation == pytest.approx(own.correlation, rel=1e-9)


# ---- where little can be said ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 20])
def test_below_a_month_nothing_is_scaled_to_a_year_and_the_words_say_so(n: int) -> None:
    found = figures(course_of(noise(1, n)), cost_bps=5)
    assert {name: getattr(found, name) for name in SCALED} == dict.fromkeys(SCALED)
    assert set(found.reasons) == set(SCALED)
    (said,) = found.words("coin")
    assert said.startswith("coin: no return a year, volatility a year, Sharpe ratio")
    assert said.endswith(f": {n} session{'' if n == 1 else 's'}, fewer than a month's 21.")
    assert found.total_return == pytest.approx(np.prod(1 + noise(1, n)) - 1, **EXACT)
    assert line(course_of(noise(1, n)), course_of(noise(2, n))).words("a", "b")[0].startswith("a against b: no beta")


def test_returns_that_never_vary_have_no_ratio_and_the_words_say_so() -> None:
    nothing, always = figures(course_of(np.zeros(100))), figures(course_of(np.full(100, 0.001)))
    assert nothing.volatility == 0
    assert set(nothing.reasons) == {
        "sharpe_ratio",
        "skewness",
        "kurtosis",
        "sortino_ratio",
        "calmar_ratio",
        "tail_ratio",
    }
    assert set(always.reasons) == {"sharpe_ratio", "skewness", "kurtosis", "sortino_ratio", "calmar_ratio"}
    said = " ".join(nothing.words("cash"))
    assert "cash: no Sharpe ratio, skewness, kurtosis: returns are the same in all 100 sessions." in said
    assert "cash: no Sortino ratio: no session lost." in said
    assert "cash: no Calmar ratio: the wealth never fell." in said
    assert "cash: no tail ratio: the 5th percentile of the returns is 0." in said
    flat = line(course_of(noise(1, 100)), course_of(np.zeros(100)))
    assert (flat.beta, flat.correlation, flat.alpha_per_year) == (None, None, None)
    assert "the benchmark's returns are the same in all 100 sessions" in flat.words("a", "cash")[1]
    cash = line(course_of(np.zeros(100)), course_of(noise(1, 100)))
    assert (cash.beta, cash.correlation) == (0, None)


def test_too_few_sessions_for_an_interval_are_said_with_the_ratio() -> None:
    (said,) = figures(course_of(noise(1, 45))).words("coin")
    assert "no interval: 45 sessions, at least 60 are needed at horizon 1), so nothing follows from it." in said


def test_a_bankruptcy_ends_the_figures() -> None:
    until_then = [*noise(1, 99), -1.0]
    found = figures(course_of([*until_then, *np.zeros(50)], np.ones(150)), cost_bps=5)
    assert (found.sessions, found.last, found.bankrupt) == (100, "2020-04-09", "2020-04-09")
    assert (found.total_return, found.return_per_year, found.max_drawdown, found.calmar_ratio) == (-1, -1, 1, -1)
    assert found.largest_drawdowns[0].recovered == ""
    alone = figures(course_of(until_then, np.ones(100)), cost_bps=5)
    assert replace(alone, largest_drawdowns=found.largest_drawdowns) == found
    assert list(found.months)[-1] == "2020-04"
    assert "bankrupt on 2020-04-09" in found.words("it")[1]
    assert line(course_of([*until_then, *np.zeros(50)]), course_of(noise(3, 150))).sessions == 100


def spoiled(what: str, place: int, value: float) -> Course:
    course = course_of(noise(1, 30), np.zeros(30))
    values = getattr(course, what).copy()
    values[place] = value
    return replace(course, **{what: values})


@pytest.mark.parametrize(
    ("course", "said"),
    [
        (spoiled("returns", 3, np.nan), "return on 2020-01-04 is nan"),
        (spoiled("returns", 3, -1.5), "return on 2020-01-04 is -1.5"),
        (spoiled("wealth", 2, np.inf), "wealth on 2020-01-03 is inf"),
        (spoiled("wealth", 2, -0.1), "wealth on 2020-01-03 is -0.1"),
        (spoiled("wealth", 2, 3.0), "wealth on 2020-01-03 is 3, and the returns up to it make"),
        (spoiled("traded", 0, np.nan), "traded on 2020-01-01 is nan"),
        (replace(course_of([0.1, 0.1]), traded=np.zeros(3)), "have [2, 2, 2, 3] values"),
        (Course(*[np.zeros(0)] * 4, None), "have [0, 0, 0, 0] values"),  # type: ignore[arg-type]
        (replace(course_of([0.1, 0.1]), days=np.full(2, np.datetime64("2020-01-02"))), "2020-01-02 does not come"),
    ],
)  # fmt: skip
def test_what_is_no_course_is_refused_with_value_place_and_remedy(course: Course, said: str) -> None:
    with pytest.raises(TrainingError, match="'mine': ") as refused:
        check_course("mine", course)
    assert said in str(refused.value)
    assert str(refused.value).endswith("Give the course that finnex.evaluation.portfolio.simulate returns.")
    with pytest.raises(TrainingError, match="the strategy"):
        figures(course)


@pytest.mark.parametrize(
    "wrong",
    [{"sessions_per_year": 0}, {"sessions_per_year": np.nan}, {"horizon": 0}, {"cost_bps": -1}, {"cost_bps": 2000}],
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    given_ = {"sessions_per_year": 252, "horizon": 1, "cost_bps": 0} | wrong
    with pytest.raises(TrainingError, match=next(iter(wrong))):
        return_figures(course_of([0.1]), **given_)  # type: ignore[arg-type]


def test_benchmarks_of_other_sessions_are_refused() -> None:
    with pytest.raises(TrainingError, match="'the benchmark' has 3 sessions, 2020-01-01 to 2020-01-03"):
        line(course_of([0.1, 0.1]), course_of([0.1] * 3))


# ---- benchmarks --------------------------------------------------------------------------------------------


def test_what_is_held_without_a_model_has_the_strategys_sessions() -> None:
    prices = market(3, 200, 4, 0.02, missing=0.1)
    positions = until(np.random.default_rng(3).integers(-1, 2, (200, 4)).astype(float), 180)
    positions[:7] = np.nan
    found = trade_without_a_model(decisions(prices, positions, 5), prices)
    for held in found.values():
        assert held.course.wealth[-1] - 1 == held.performance.total_return
        assert (held.course.days[0], held.course.days[-1]) == (prices.days[8], prices.days[185])


def test_equal_weight_is_the_mean_return_of_the_companies() -> None:
    """Held for a session at a time without costs, it earns the companies' mean from open to close and overnight."""
    prices = market(4, 60, 3, 0.02)
    free = TradingSettings(cost_bps=0, borrow_fee_per_year=0)
    made = decisions(prices, until(np.zeros((60, 3)), 50), 1)
    found = trade_without_a_model(made, prices, free)[EQUAL_WEIGHT].course
    close, opened = prices.close, prices.open
    shares = 1 / 3 / opened[1]
    wealth = [float(shares @ close[1])]
    for session in range(2, 52):
        value = float(shares @ opened[session])
        shares = value / 3 / opened[session]
        wealth.append(float(shares @ close[session]))
    np.testing.assert_allclose(found.wealth, wealth, rtol=1e-9)
