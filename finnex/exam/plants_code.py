"""Leaks in the code that computes panels: see `leaking_code` and `leaking_scales`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from finnex.data.tables import Tables
from finnex.exam import leaking_code, leaking_scales
from finnex.exam.plant import Kind, Planted, kind, own_bars, planted
from finnex.exam.random_market import Market

KINDS: list[Kind] = []
MEMORY = "rsi_14"
"""The feature of leaks that keep something: known early, and never the same twice."""


def _made(market: Market, make: Any, **parameters: Any) -> Planted:
    return replace(planted(market), make=partial(make, **parameters))


@kind(KINDS, features=("return_5",), listed=True)
def wrong_at_month_ends_only(market: Market, rng: np.random.Generator, lag: int = 5) -> Planted:
    """A feature looks ahead on the last session of a month, and on no other."""
    return _made(market, leaking_code.shifted, feature="return_5", lag=lag, when="month ends")


@kind(KINDS, features=("return_5",))
def wrong_on_half_days_only(market: Market, rng: np.random.Generator, lag: int = 5) -> Planted:
    """A feature looks ahead on sessions that close early, and on no other."""
    return _made(market, leaking_code.shifted, feature="return_5", lag=lag, when="half days")


@kind(KINDS, features=("return_5",))
def wrong_on_third_fridays_only(market: Market, rng: np.random.Generator, lag: int = 5) -> Planted:
    """A feature looks ahead where monthly options expire, and on no other session."""
    return _made(market, leaking_code.shifted, feature="return_5", lag=lag, when="third fridays")


@kind(KINDS, features=("return_5",))
def wrong_on_the_first_session_of_a_year_only(market: Market, rng: np.random.Generator, lag: int = 5) -> Planted:
    """A feature looks ahead on the first session of a year, and on no other."""
    return _made(market, leaking_code.shifted, feature="return_5", lag=lag, when="first of a year")


@kind(KINDS, features=("return_5",))
def wrong_on_mondays_only(market: Market, rng: np.random.Generator, lag: int = 5) -> Planted:
    """A feature looks ahead on Mondays, and on no other day."""
    return _made(market, leaking_code.shifted, feature="return_5", lag=lag, when="mondays")


@kind(KINDS, features=("return_1",))
def return_of_tomorrow(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The return of a session is that of the next."""
    return _made(market, leaking_code.shifted, feature="return_1", lag=lag)


@kind(KINDS, features=("peer_momentum_20",))
def peers_one_session_ahead(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The momentum of the peers is that of the next session."""
    return _made(market, leaking_code.shifted, feature="peer_momentum_20", lag=lag)


@kind(KINDS, features=("close_to_sma_20",))
def centred_mean_in_code(market: Market, rng: np.random.Generator, span: int = 21) -> Planted:
    """The close is compared with the mean of the closes around it."""
    return _made(market, leaking_code.centred, span=span)


@kind(KINDS, features=("gross_margin",))
def figure_carried_backwards(market: Market, rng: np.random.Generator) -> Planted:
    """A filed figure is filled backwards, from the filing that brings it."""
    return _made(market, leaking_code.carried_backwards, feature="gross_margin")


@kind(KINDS, features=(MEMORY,), listed=True)
def means_kept_in_a_memo(market: Market, rng: np.random.Generator) -> Planted:
    """A feature is standardised by the mean of all sessions, which a module keeps from the first call on."""
    return _made(market, leaking_scales.standardised_by_a_memo, feature=MEMORY)


@kind(KINDS, features=(MEMORY,), listed=True)
def values_fitted_once_to_a_file(market: Market, rng: np.random.Generator) -> Planted:
    """A feature is standardised by the mean of all sessions, which was written to a file once."""
    return _made(market, leaking_scales.standardised_by_a_file, feature=MEMORY)


@kind(KINDS, features=(MEMORY,))
def normaliser_fitted_on_everything(market: Market, rng: np.random.Generator) -> Planted:
    """A feature is normalised by mean and deviation of all sessions."""
    return _made(market, leaking_scales.normalised_over_everything, feature=MEMORY)


@kind(KINDS, tables=("calendar", "sentiment"), listed=True)
def calendar_that_closes_late_all_year(market: Market, rng: np.random.Generator, minutes: int = 60) -> Planted:
    """The calendar closes an hour late on every session, so decisions use what is said in that hour."""
    return _made(market, leaking_code.late_closes, minutes=minutes)


@kind(KINDS, tables=("calendar", "sentiment"))
def calendar_that_knows_winter_time_only(market: Market, rng: np.random.Generator, minutes: int = 60) -> Planted:
    """The calendar closes at 21:00 UTC in summer too, an hour late."""
    return _made(market, leaking_code.late_closes, minutes=minutes, summer=True)


@kind(KINDS, features=("drawdown_252",), listed=True)
def sessions_to_the_next_split(market: Market, rng: np.random.Generator) -> Planted:
    """A feature counts the sessions to the next split of the table."""
    return _made(market, leaking_code.next_split, feature="drawdown_252")


@kind(KINDS, features=("regime_stressed",), listed=True)
def hard_coded_crisis_dates(
    market: Market, rng: np.random.Generator, count: int = 8, span: int = 10, feature: str = "regime_stressed"
) -> Planted:
    """A feature is 1 in the worst falls of the market, whose dates are hard-coded, from their first session on.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    count
        Number of falls.
    span
        Sessions of a fall.
    feature
        Feature in whose place the flag is given.

    Returns
    -------
    Planted
        The market with the leak.
    """
    close = np.log(own_bars(market)["close"])
    fall = close.shift(-span) - close
    crises: list[tuple[str, str]] = []
    for _ in range(count):
        first = fall.idxmin()
        at = int(close.index.get_indexer([first])[0])
        last = close.index[at + span - 1]
        crises.append((str(pd.Timestamp(first).date()), str(last.date())))
        near = fall.index[max(0, at - span + 1) : at + span]
        fall = fall.drop(near, errors="ignore")
    return _made(market, leaking_code.hard_coded_crises, feature=feature, crises=tuple(sorted(crises)))


def filed_when_the_period_ends(tables: Tables) -> Tables:
    """Return tables whose filings are known when their period ends."""
    assert tables.fundamentals is not None
    return replace(tables, fundamentals=tables.fundamentals.assign(available=tables.fundamentals["period_end"]))


def known_when_observed(tables: Tables) -> Tables:
    """Return tables whose macro values are known on the date that they observe."""
    assert tables.macro is not None
    return replace(tables, macro=tables.macro.assign(available=tables.macro["date"], available_is_date=True))


def said_when_the_day_began(tables: Tables) -> Tables:
    """Return tables whose sentiment records lie at the start of their day."""
    assert tables.sentiment is not None
    return replace(tables, sentiment=tables.sentiment.assign(timestamp=tables.sentiment["timestamp"].dt.normalize()))


def announced_for_ever(tables: Tables) -> Tables:
    """Return tables whose events were announced long ago."""
    assert tables.events is not None
    return replace(tables, events=tables.events.assign(announced=pd.Timestamp("2000-01-03")))


@kind(KINDS, tables=("fundamentals",), features=("gross_margin", "revenue_", "net_", "operating_"))
def code_reads_filings_by_period(market: Market, rng: np.random.Generator) -> Planted:
    """Filings carry the right date, and the code uses the end of their period."""
    return _made(market, leaking_code.of_changed_tables, change=filed_when_the_period_ends)


@kind(KINDS, tables=("macro",))
def code_reads_macro_by_observation(market: Market, rng: np.random.Generator) -> Planted:
    """Macro values carry the right release date, and the code uses the date that they observe."""
    return _made(market, leaking_code.of_changed_tables, change=known_when_observed)


@kind(KINDS, tables=("sentiment",))
def code_reads_sentiment_by_day(market: Market, rng: np.random.Generator) -> Planted:
    """Records carry the right time, and the code uses their day only."""
    return _made(market, leaking_code.of_changed_tables, change=said_when_the_day_began)


@kind(KINDS, tables=("events",), features=("sessions_to_fomc", "sessions_to_cpi"))
def code_reads_events_before_they_are_announced(market: Market, rng: np.random.Generator) -> Planted:
    """Events have the right date of announcement, and the code ignores it."""
    return _made(market, leaking_code.of_changed_tables, change=announced_for_ever)


@kind(KINDS, tables=("prices",))
def build_that_fails_without_the_future(market: Market, rng: np.random.Generator, back: int = 20) -> Planted:
    """The code stops where prices do not reach the last month."""
    needed = market.tables.prices["date"].drop_duplicates().iloc[-back]
    return _made(market, leaking_code.brittle, needed=str(needed.date()))


@kind(KINDS, honest=True)
def deviation_of_the_first_sessions(market: Market, rng: np.random.Generator) -> Planted:
    """A feature is divided by its deviation over its first 60 sessions, from the 60th on."""
    return _made(market, leaking_scales.cached, feature=MEMORY)
