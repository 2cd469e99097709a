"""The hidden paths of a random market: sessions, returns, volatility, bars, from which its tables are made.

Every array of random numbers is drawn session by session from a generator of its own purpose. So a shorter market of
the same seed is the exact beginning of a longer one, which is how its promise is tested: nothing knows the future.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days, SessionCalendar, session_calendar

Floats = npt.NDArray[np.floating[Any]]
SYMBOL = "ACME"
PEERS = ("BOLT", "CRUX", "DYNE")
SECTORS = ("XLE", "XLF", "XLK", "XLU", "XLV")
ZONES = {"XNYS": "America/New_York", "XLON": "Europe/London", "XTKS": "Asia/Tokyo"}
"""Exchange to the zone of its clocks."""
AMERICAN = "XNYS"
FIRST_START, STARTS = np.datetime64("2012-01-03"), 3_600
"""A market starts on one of so many days from this one on: until November 2021."""
OVERNIGHT = 0.25
"""Share of a day's variance that falls between close and open."""
NEWS = 0.35
"""Correlation of a company's own return with the news of the evening before."""
USUAL, DRIFT = 0.010, 0.0003
"""Standard deviation of the factor's daily return in the long run, and its mean."""
ALPHA, ASYMMETRY, BETA = 0.04, 0.08, 0.90
"""GARCH of Glosten, Jagannathan and Runkle (1993): reaction to a move, further reaction to a fall, persistence."""


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one purpose: another purpose, or a longer draw, moves none of them."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def wander(steps: Floats, persistence: float = 1.0, start: float = 0.0) -> Floats:
    """Return x[t] = persistence * x[t-1] + steps[t], with x[-1] = start."""
    level, path = start, []
    for step in steps.tolist():
        level = persistence * level + step
        path.append(level)
    return np.asarray(path)


def clustered(shocks: Floats, volatility: float) -> tuple[Floats, Floats]:
    """Return daily log returns whose volatility clusters, and the volatility expected of each before it.

    Parameters
    ----------
    shocks
        (days,) of mean 0 and variance 1.
    volatility
        Standard deviation of a day in the long run.
    """
    usual = volatility**2
    constant = usual * (1 - ALPHA - ASYMMETRY / 2 - BETA)
    variance, returns, expected = usual, [], []
    for shock in shocks.tolist():
        expected.append(np.sqrt(variance))
        step = expected[-1] * shock
        returns.append(step)
        variance = constant + (ALPHA + ASYMMETRY * (step < 0)) * step**2 + BETA * variance
    return np.asarray(returns), np.asarray(expected)


@dataclass(frozen=True, eq=False)
class Paths:
    """Sessions of a market, and its factor.

    Attributes
    ----------
    days, closes
        Sessions of the exchange, and their closes in UTC (`datetime64[ns]`).
    """

    exchange: str
    seed: int
    days: Days
    closes: npt.NDArray[np.datetime64]

    @property
    def zone(self) -> str:
        """Zone of the exchange's clocks."""
        return ZONES[self.exchange]

    @cached_property
    def every_day(self) -> Days:
        """All calendar days from the first session to the last."""
        return np.arange(self.days[0], self.days[-1] + 1)

    @cached_property
    def american(self) -> tuple[Days, Floats, Floats]:
        """Sessions in New York, the factor's return on each, and the volatility expected after it."""
        first, last = self.days[0], self.days[-1]
        every = _all_sessions(AMERICAN).days
        days = self.days if self.exchange == AMERICAN else every[(every >= first - 5) & (every <= last)]
        shocks = generator(self.seed, "factor").standard_t(6, len(days)) * np.sqrt(4 / 6)
        returns, expected = clustered(np.append(shocks, 0.0), USUAL)  # one more, for what is expected after the last
        return days, returns[:-1] + DRIFT, expected[1:]

    @cached_property
    def factor(self) -> Floats:
        """Return of the factor on each session; elsewhere than in New York, what New York did since, and its own."""
        days, returns, _ = self.american
        if self.exchange == AMERICAN:
            return returns
        # New York's session of the same date ends after this one: it is the next session's news.
        total = np.concatenate([[0.0], np.cumsum(returns)])
        before = np.searchsorted(days, self.days, side="left")
        since = np.searchsorted(days, np.concatenate([self.days[:1] - 1, self.days[:-1]]), side="left")
        own = generator(self.seed, "factor elsewhere").standard_normal(len(self.days)) * 0.006
        moved: Floats = 0.7 * (total[before] - total[since]) + own
        return moved

    @cached_property
    def half_days(self) -> npt.NDArray[np.bool_]:
        """Sessions that close early."""
        local = pd.DatetimeIndex(self.closes).tz_localize("UTC").tz_convert(self.zone)
        minutes = local.hour.to_numpy() * 60 + local.minute.to_numpy()
        return np.asarray(minutes < 14 * 60)


@lru_cache
def _all_sessions(exchange: str) -> SessionCalendar:
    """Return every session that a market can have: made once, since a calendar takes seconds."""
    return session_calendar(exchange, date(2011, 12, 1), date(2026, 3, 31))


def make_paths(sessions: int, seed: int, exchange: str, start: np.datetime64 | None = None) -> Paths:
    """Return the sessions of a market.

    Parameters
    ----------
    sessions
        How many.
    seed
        Of the market.
    exchange
        Whose sessions, of `ZONES`.
    start
        First day; absent, it follows from the seed.

    Returns
    -------
    Paths
        Sessions, and what moves all symbols on them.
    """
    calendar = _all_sessions(exchange)
    if start is None:
        start = FIRST_START + int(generator(seed, "start").integers(STARTS))
    here = slice(first := int(np.searchsorted(calendar.days, start)), first + sessions)
    return Paths(exchange, seed, calendar.days[here], calendar.decision_time[here])


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars of one symbol on all sessions, split-adjusted, and what its returns were made of.

    Attributes
    ----------
    returns, overnight
        Log returns: close to close, and close to open.
    expected
        Volatility of each session as expected before it.
    news
        What is known of the company between a session's close and midnight: it opens the next session.
    """

    symbol: str
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    returns: Floats
    overnight: Floats
    expected: Floats
    news: Floats


def make_bars(paths: Paths, symbol: str, *, own: float, jumps: Floats | None = None) -> Bars:
    """Return the bars of a symbol: its share of the factor, and a part of its own.

    Parameters
    ----------
    paths
        What moves all symbols: days, the factor, and the seed.
    symbol
        Its name seeds what is its own.
    own
        Volatility of the part of its own, a day.
    jumps
        Log returns that its filings add, by session.

    Returns
    -------
    Bars
        Open, high, low, close (4 decimals) and volume, each (sessions,) float64, with the returns they were made of.
    """
    random, sessions = generator(paths.seed, f"bars of {symbol}"), len(paths.days)
    beta, first = random.uniform(0.8, 1.3), random.uniform(20, 200)
    shocks = random.standard_normal((sessions, 6))
    news = shocks[:, 5]
    before = np.concatenate([[0.0], news[:-1]])
    single, expected = clustered(np.sqrt(1 - NEWS**2) * shocks[:, 0] + NEWS * before, own)
    gap = expected * NEWS * before
    seen = wander(0.06 * paths.factor**2, 0.94, USUAL**2)
    expected = np.hypot(expected, beta * np.sqrt(np.concatenate([[USUAL**2], seen[:-1]])))
    returns = beta * paths.factor + single + (0.0 if jumps is None else jumps)
    overnight = gap + OVERNIGHT * (returns - gap) + np.sqrt(OVERNIGHT * (1 - OVERNIGHT)) * expected * shocks[:, 1]
    close = first * np.exp(np.cumsum(returns))
    opened = np.concatenate([[first], close[:-1]]) * np.exp(overnight)
    high = np.maximum(opened, close) * np.exp(np.abs(shocks[:, 2]) * 0.4 * expected)
    low = np.minimum(opened, close) * np.exp(-np.abs(shocks[:, 3]) * 0.4 * expected)
    before_close = np.concatenate([[first], close[:-1]])
    moved = np.log(np.maximum(high, before_close) / np.minimum(low, before_close)) / expected
    busy = wander(0.45 * np.log(moved / 1.4) + 0.2 * shocks[:, 4], 0.5)
    volume = np.exp(generator(paths.seed, f"volume of {symbol}").uniform(14, 17) + busy)
    volume *= np.where(paths.half_days, 0.55, 1.0)
    opened, high, low, close = (np.round(values, 4) for values in (opened, high, low, close))
    return Bars(symbol, opened, high, low, close, np.round(volume), returns, overnight, expected, news)
