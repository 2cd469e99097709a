"""Bars and volumes under the date of another session are found by what moves with them; honest ones raise no alarm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from finnex.audit.audit_report import Finding
from finnex.audit.foreknowledge import Bars
from finnex.audit.shifted_dates import closes_of_others, out_of_step, step, stock_indices
from finnex.data.calendar import session_calendar
from finnex.exam.hidden_paths import PEERS, SECTORS, SYMBOL
from finnex.exam.random_market import Market, random_market


@lru_cache
def market(seed: int, sessions: int = 420) -> Market:
    return random_market(sessions, seed)


def asked(one: Market, prices: pd.DataFrame, macro: pd.DataFrame | None = None) -> list[Finding]:
    days = one.tables.prices["date"]
    calendar = session_calendar("XNYS", days.min().date(), days.max().date())
    own = prices[prices["symbol"] == SYMBOL]
    wide = own.set_index(calendar.index_of(own["date"].to_numpy().astype("datetime64[D]"))).reindex(
        range(len(calendar))
    )
    bars = Bars(**{name: wide[name].to_numpy(dtype=float) for name in BARS}, market=np.zeros(len(calendar)))
    others = closes_of_others(prices, [*SECTORS, *PEERS], calendar)
    return out_of_step(SYMBOL, bars, others, stock_indices(one.tables.macro if macro is None else macro, calendar))


def moved(prices: pd.DataFrame, symbols: list[str], sessions: int, columns: list[str]) -> pd.DataFrame:
    """Return prices in which some columns of some symbols show the session `sessions` later."""
    other = prices.copy()
    rows = other["symbol"].isin(symbols)
    other.loc[rows, columns] = prices[rows].groupby("symbol")[columns].shift(-sessions)
    return other.dropna(subset=columns).reset_index(drop=True)


BARS = ["open", "high", "low", "close", "volume"]
EVERYONE = [SYMBOL, *PEERS, *SECTORS]
CASES = {
    "all early": (EVERYONE, 1, BARS, "either all bars are a session early, or SP500 of the macro table late"),
    "all late": (EVERYONE, -1, BARS, "either all bars are a session late, or SP500 of the macro table early"),
    "the symbol early": (
        [SYMBOL],
        1,
        BARS,
        f"either the bars of {SYMBOL} are a session early, or prices of the others follow",
    ),
    "the symbol late": (
        [SYMBOL],
        -2,
        BARS,
        f"either the bars of {SYMBOL} are 2 sessions late, or prices of {SYMBOL}",
    ),
    "funds early": (list(SECTORS), 1, BARS, "either the bars of XLE, "),
    "volumes early": (
        EVERYONE,
        1,
        ["volume"],
        f"either the volumes of {SYMBOL} are a session early, or its highs",
    ),
    "volumes late": (
        EVERYONE,
        -1,
        ["volume"],
        f"either the volumes of {SYMBOL} are a session late, or its highs",
    ),
}


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_what_stands_at_another_session_is_named(case: str, seed: int) -> None:
    one = market(seed)
    symbols, sessions, columns, words = CASES[case]
    found = asked(one, moved(one.tables.prices, symbols, sessions, columns))
    assert any(finding.evidence.startswith(words) for finding in found), [finding.evidence for finding in found]
    assert {(finding.kind, finding.table) for finding in found} == {("out_of_step", "prices")}


def test_a_thin_stock_that_follows_the_others_is_given_as_the_other_explanation() -> None:
    """Its dates are right: every close is what the others were worth a session before."""
    one = market(2)
    close = one.tables.prices.pivot(index="date", columns="symbol", values="close")
    follows = np.exp(np.log(close[[*SECTORS, *PEERS]]).mean(axis=1).shift(1)).bfill()
    prices = one.tables.prices.copy()
    own = prices["symbol"] == SYMBOL
    prices.loc[own, "close"] = follows.reindex(prices.loc[own, "date"]).to_numpy()
    (finding,) = (each for each in asked(one, prices) if "the bars of" in each.evidence)
    assert finding.evidence.startswith(f"either the bars of {SYMBOL} are a session late, or prices of {SYMBOL} follow")
    assert "those of the others a session later, as in thin trading" in finding.evidence
    assert "where they are right" in finding.remedy


@pytest.mark.parametrize("sessions", [260, 420, 1000])
def test_honest_markets_raise_no_alarm(sessions: int) -> None:
    for seed in range(8):
        one = market(seed, sessions)
        assert asked(one, one.tables.prices) == []


def test_series_that_do_not_move_together_are_not_out_of_step() -> None:
    rng, alarms = np.random.default_rng(5), 0
    for _ in range(400):
        left, right = rng.standard_t(3, (2, 260)) * np.exp(0.3 * rng.standard_normal((2, 260)).cumsum(axis=1) / 5)
        alarms += step(left, right) is not None
    assert alarms == 0


def test_one_index_in_step_clears_the_bars() -> None:
    one = market(1)
    assert one.tables.macro is not None
    prices = moved(one.tables.prices, EVERYONE, 1, BARS)
    own = prices[prices["symbol"] == SECTORS[0]]
    quotes = pd.DataFrame({"series": "NASDAQ", "date": own["date"], "available": own["date"], "value": own["close"]})
    both = pd.concat([one.tables.macro, quotes], ignore_index=True)
    assert any("all bars" in finding.evidence for finding in asked(one, prices))
    assert asked(one, prices, both) == []
