"""Daily portfolio simulation: against a clerk's account book, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from finnex.data.session_prices import SessionPrices
from finnex.evaluation.portfolio import Course, simulate
from tests.helpers.account_book import Clerk
from tests.helpers.trades import Floats, market, prices_of

Study = tuple[SessionPrices, Floats, int, float, float]
"""Prices, positions, horizon, cost in basis points, borrow fee a year."""


def course(prices: SessionPrices, positions: Floats, horizon: int, cost_bps: float = 0.0, fee: float = 0.0) -> Course:
    return simulate(
        prices, positions, horizon=horizon, cost_bps=cost_bps, borrow_fee_per_year=fee, sessions_per_year=252
    )


@st.composite
def studies(draw: st.DrawFn) -> Study:
    seed, sessions, companies = draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, 24)), draw(st.integers(1, 4))
    spread = draw(st.sampled_from([0.0, 0.01, 0.05, 0.4, 1.5]))  # the last ones ruin who is short
    prices = market(seed, sessions, companies, spread, draw(st.sampled_from([0.0, 0.1, 0.5])))
    rng = np.random.default_rng(seed + 1)
    kind = draw(st.sampled_from(["classes", "shares", "long", "short"]))
    shape = (sessions, companies)
    positions = {
        "classes": rng.integers(-1, 2, shape).astype(float), "shares": rng.uniform(-1, 1, shape),
        "long": np.ones(shape), "short": -np.ones(shape),
    }[kind]  # fmt: skip
    positions[rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.7]))] = np.nan
    positions[: draw(st.integers(0, 3))] = np.nan
    positions[sessions - draw(st.integers(0, 6)) :] = np.nan
    cost, fee = draw(st.sampled_from([0.0, 5.0, 100.0, 1000.0])), draw(st.sampled_from([0.0, 0.005, 0.5, 20.0]))
    return prices, positions, draw(st.sampled_from([1, 2, 3, 5, 10, 20])), cost, fee


@settings(max_examples=300, deadline=None)
@given(studies())
def test_every_session_agrees_with_a_clerks_account_book(
    study: tuple[SessionPrices, Floats, int, float, float],
) -> None:
    prices, positions, horizon, cost_bps, fee = study
    assume(not np.isnan(positions[:-1]).all())
    found = course(prices, positions, horizon, cost_bps, fee)
    clerk = Clerk(
        prices.open.tolist(), prices.close.tolist(), positions.tolist(), horizon, cost_bps / 10_000, fee / 252
    )
    wealth, traded, bankrupt = clerk.run()
    scale = max(1.0, *wealth)
    np.testing.assert_allclose(found.wealth, wealth, rtol=1e-9, atol=1e-9 * scale)
    before = np.concatenate([[1.0], found.wealth[:-1]])
    np.testing.assert_allclose(found.traded * np.where(before > 0, before, 1), traded, rtol=1e-9, atol=1e-9 * scale)
    assert (None if found.bankrupt is None else found.active_sessions - 1) == bankrupt


def test_the_studies_hold_what_they_are_to_test() -> None:
    """Bankruptcies, missing bars and waiting exits occur among random studies; else the agreement says little."""
    bankrupt = 0
    for seed in range(40):
        prices = market(seed, 20, 2, 0.4, 0.2)
        found = course(prices, np.where(np.arange(20)[:, None] < 15, -1.0, np.nan) * np.ones((1, 2)), 5)
        bankrupt += found.bankrupt is not None
    assert 5 <= bankrupt <= 40


def test_a_position_is_entered_at_the_open_and_left_at_the_close_of_the_horizon() -> None:
    opens = np.array([[10.0], [10.0], [13.0], [16.0]])
    closes = np.array([[10.0], [12.0], [15.0], [99.0]])
    positions = np.array([[1.0], [np.nan], [np.nan], [np.nan]])
    found = course(prices_of(opens, closes), positions, 2)
    np.testing.assert_allclose(found.wealth, [1.2, 1.5])
    assert [str(day) for day in found.days] == ["2020-01-02", "2020-01-03"]
    np.testing.assert_allclose(found.traded, [1.0, 1.5 / 1.2])
    short = course(prices_of(opens, closes), -positions, 2)
    np.testing.assert_allclose(short.wealth, [0.8, 0.5])


def test_what_is_held_is_not_sold_and_bought_again() -> None:
    """Every session says buy: costs are paid at the entries and the exits, and nights between are held through."""
    prices = market(1, 60, 1, 0.02)
    positions = np.ones((60, 1))
    positions[50:] = np.nan
    found = course(prices, positions, 5, cost_bps=50)
    assert found.traded[5:49] == pytest.approx(0, abs=1e-12)
    assert found.traded[:5].sum() == pytest.approx(1.0, abs=0.1)
    assert found.traded[49:].sum() == pytest.approx(1.0, abs=0.1)
    held = prices.close[10:50, 0] / prices.close[9:49, 0] - 1
    np.testing.assert_allclose(found.returns[9:49], held, atol=1e-12)


def test_a_change_of_mind_is_left_at_the_close_and_entered_at_the_next_open() -> None:
    opens, closes = np.array([[10.0], [10.0], [20.0]]), np.array([[10.0], [11.0], [15.0]])
    found = course(prices_of(opens, closes), np.array([[1.0], [-1.0], [np.nan]]), 1)
    np.testing.assert_allclose(found.wealth, [1.1, 1.1 * 1.25])  # the night from 11 to 20 is nobody's


def test_a_fall_between_entry_and_exit_is_seen() -> None:
    closes = np.array([[10.0], [10.0], [4.0], [10.0], [10.0]])
    found = course(prices_of(closes, closes), np.array([[1.0], *[[np.nan]] * 4]), 4)
    np.testing.assert_allclose(found.wealth, [1.0, 0.4, 1.0, 1.0])


def test_a_company_without_a_bar_keeps_its_last_price_and_is_left_at_the_next_one() -> None:
    gap = np.nan
    opens = np.array([[10.0], [10.0], [gap], [30.0], [40.0]])
    closes = np.array([[10.0], [20.0], [gap], [35.0], [40.0]])
    positions = np.array([[1.0], *[[gap]] * 4])
    ended_in_the_gap = course(prices_of(opens, closes), positions, 2)
    np.testing.assert_allclose(ended_in_the_gap.wealth, [2.0, 2.0])  # the simulation ends with the horizon
    positions[1] = 0.0
    left = course(prices_of(opens, closes), positions, 2)
    # Half of the capital is in the company, whose exit waits for the open at 30; the other half was never invested.
    np.testing.assert_allclose(left.wealth, [1.5, 1.5, 2.0])


def test_an_entry_without_a_bar_lapses_and_its_capital_goes_to_the_others() -> None:
    opens, closes = np.array([[10.0, 10.0]] * 3), np.array([[10.0, 10.0], [11.0, 10.0], [12.0, 10.0]])
    opens[1, 1] = closes[1, 1] = np.nan
    found = course(prices_of(opens, closes), np.array([[1.0, 1.0], [np.nan] * 2, [np.nan] * 2]), 2)
    np.testing.assert_allclose(found.wealth, [1.1, 1.2])


def test_a_bankrupt_account_stays_bankrupt() -> None:
    closes = np.array([[10.0], [10.0], [25.0], [5.0], [5.0], [1.0]])
    positions = np.array([[-1.0], [-1.0], [-1.0], [-1.0], [np.nan], [np.nan]])
    found = course(prices_of(closes, closes), positions, 1)
    np.testing.assert_allclose(found.wealth, [1.0, 0, 0, 0])
    assert str(found.bankrupt) == "2020-01-03"
    np.testing.assert_allclose(found.returns, [0, -1, 0, 0])
    assert found.active_sessions == 2


def test_an_account_that_is_ruined_at_an_open_does_not_live_to_the_close() -> None:
    opens, closes = np.array([[10.0], [10.0], [25.0], [10.0]]), np.array([[10.0], [10.0], [5.0], [5.0]])
    found = course(prices_of(opens, closes), np.array([[-1.0], [np.nan], [np.nan], [np.nan]]), 3)
    np.testing.assert_allclose(found.wealth, [1.0, 0, 0])
    assert str(found.bankrupt) == "2020-01-03"


def test_a_short_position_pays_its_fee_every_session_it_is_held() -> None:
    flat = np.full((12, 1), 10.0)
    positions = np.where(np.arange(12)[:, None] == 0, -1.0, np.nan)
    found = course(prices_of(flat, flat), positions, 10, fee=0.252)
    np.testing.assert_allclose(found.wealth, 1 - 0.001 * np.arange(1, 11))
    assert course(prices_of(flat, flat), -positions, 10, fee=0.252).wealth == pytest.approx(1.0)


def test_costs_come_out_of_what_is_invested_so_that_nothing_is_borrowed() -> None:
    flat = np.full((4, 2), 10.0)
    positions = np.vstack([np.ones((1, 2)), np.full((3, 2), np.nan)])
    found = course(prices_of(flat, flat), positions, 3, cost_bps=100)
    np.testing.assert_allclose(found.wealth, [1 / 1.01, 1 / 1.01, 0.99 / 1.01])
    np.testing.assert_allclose(found.traded, [1 / 1.01, 0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon": 0}, "horizon 0"), ({"cost_bps": -1}, "cost_bps -1"), ({"cost_bps": 1001}, "cost_bps 1001"),
        ({"borrow_fee_per_year": -0.1}, "borrow_fee_per_year -0.1"), ({"sessions_per_year": 0}, "sessions_per_year 0"),
        ({"positions": np.full((5, 1), 1.5)}, "outside"), ({"positions": np.full((5, 1), np.nan)}, "nothing was"),
        ({"positions": np.ones((5, 2))}, "shape"),
        ({"positions": np.array([[np.nan]] * 4 + [[1.0]])}, "no session follows"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(change: dict[str, object], words: str) -> None:
    right = {"horizon": 1, "cost_bps": 0.0, "borrow_fee_per_year": 0.0, "sessions_per_year": 252}
    given = {"positions": np.ones((5, 1)), **right, **change}
    with pytest.raises(ValueError, match=words):
        simulate(market(0, 5, 1, 0.01), **given)  # type: ignore[arg-type]
