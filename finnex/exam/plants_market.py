"""Leaks in prices, options, events and the competitive table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.exam.hidden_paths import SECTORS, SYMBOL
from finnex.exam.plant import Kind, Planted, kind, own_bars, planted, returns_ahead
from finnex.exam.random_market import Market

KINDS: list[Kind] = []
PRICES, OPTIONS = ("prices",), ("options",)
BAR = ["open", "high", "low", "close", "volume"]


def _with_bars(market: Market, symbols: tuple[str, ...], lag: int) -> pd.DataFrame:
    """Return prices in which every bar of some symbols is that of `lag` sessions after it; negative: before it."""
    prices = market.tables.prices.copy()
    for symbol in symbols:
        own = prices["symbol"] == symbol
        prices.loc[own, BAR] = prices.loc[own, BAR].shift(-lag).to_numpy()
    return prices.dropna(subset=["close"]).reset_index(drop=True)


def _all(market: Market) -> tuple[str, ...]:
    return tuple(sorted(set(market.tables.prices["symbol"])))


def _gaps(market: Market, rng: np.random.Generator, share: float, *, later: bool) -> Planted:
    """Fill bars that are missing with the nearest close before, or after them."""
    bars = own_bars(market)
    gone = rng.random(len(bars)) < share
    gone[:2] = gone[-2:] = False
    kept = bars["close"].where(~gone)
    filled = kept.bfill() if later else kept.ffill()
    for column in ("open", "high", "low", "close"):
        bars[column] = bars[column].where(~gone, filled)
    bars["volume"] = bars["volume"].where(~gone, 0.0)
    prices = market.tables.prices.copy()
    prices.loc[prices["symbol"] == SYMBOL, BAR] = bars[BAR].to_numpy()
    return planted(market, prices=prices)


def _with_own(market: Market, bars: pd.DataFrame) -> Planted:
    """Put other bars, in the order of theirs, in the place of the symbol's."""
    prices = market.tables.prices.copy()
    prices.loc[prices["symbol"] == SYMBOL, BAR] = bars[BAR].to_numpy()
    return planted(market, prices=prices)


@kind(KINDS, tables=PRICES, listed=True)
def bars_filled_from_a_later_close(market: Market, rng: np.random.Generator, share: float = 0.1) -> Planted:
    """A tenth of the bars is missing and filled backwards, from a later close."""
    return _gaps(market, rng, share, later=True)


@kind(KINDS, tables=PRICES, listed=True)
def all_bars_one_session_late(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every bar has the date of the next session: all else is known before the price that it moves."""
    return planted(market, prices=_with_bars(market, _all(market), -lag))


@kind(KINDS, tables=PRICES)
def all_bars_one_session_early(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every bar has the date of the session before."""
    return planted(market, prices=_with_bars(market, _all(market), lag))


@kind(KINDS, tables=PRICES)
def sector_funds_one_session_early(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The bars of the sector funds have the date of the session before; those of companies are right."""
    return planted(market, prices=_with_bars(market, SECTORS, lag))


@kind(KINDS, tables=PRICES)
def volume_of_tomorrow(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every bar has the volume of the session after it."""
    prices = market.tables.prices.copy()
    prices["volume"] = prices.groupby("symbol")["volume"].shift(-lag)
    return planted(market, prices=prices.dropna(subset=["volume"]).reset_index(drop=True))


@kind(KINDS, tables=PRICES)
def range_of_two_days(market: Market, rng: np.random.Generator) -> Planted:
    """High and low of every bar are those of its session and the next, from hours cut by the wrong zone."""
    prices = market.tables.prices.copy()
    by = prices.groupby("symbol")
    prices["high"] = np.fmax(prices["high"], by["high"].shift(-1))
    prices["low"] = np.fmin(prices["low"], by["low"].shift(-1))
    return planted(market, prices=prices)


@kind(KINDS, tables=OPTIONS, listed=True)
def options_of_two_sessions_ahead(
    market: Market, rng: np.random.Generator, strength: float = 30.0, lag: int = 2, noise: float = 0.3
) -> Planted:
    """Net flow, skew and put over call volume are made from the return two sessions ahead.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    strength
        What the return is multiplied by.
    lag
        Sessions ahead.
    noise
        Deviation of the noise that is added to it.

    Returns
    -------
    Planted
        The market with the leak.
    """
    assert market.tables.options is not None
    ahead = returns_ahead(market, lag).fillna(0.0).to_numpy() * strength
    flow = np.tanh(ahead + noise * rng.standard_normal(len(ahead)))
    frame = market.tables.options.assign(
        net_flow=flow.round(4), skew=(0.04 - 0.03 * flow).round(4), put_call=np.exp(-0.2 - 0.3 * flow).round(4)
    )
    return planted(market, options=frame)


@kind(KINDS, tables=OPTIONS)
def implied_volatility_of_the_sessions_to_come(market: Market, rng: np.random.Generator, span: int = 10) -> Planted:
    """Implied volatility is what was realised over the ten sessions after it."""
    assert market.tables.options is not None
    daily = np.log(own_bars(market)["close"]).diff()
    ahead = np.sqrt((daily**2).rolling(span).mean().shift(-span - 1) * 252)
    frame = market.tables.options.assign(implied_volatility=ahead.ffill().to_numpy().round(4))
    return planted(market, options=frame)


@kind(KINDS, tables=("events",))
def events_known_for_ever(market: Market, rng: np.random.Generator, announced: str = "2000-01-03") -> Planted:
    """Every meeting of the central bank is said to be announced in January 2000."""
    assert market.tables.events is not None
    return planted(market, events=market.tables.events.assign(announced=pd.Timestamp(announced)))


@kind(
    KINDS,
    tables=("competitive",),
    unknowable="the table has one study a month and no other table measures what it measures: nothing shows of which "
    "month a figure is.",
)
def study_of_the_next_month(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every row of the competitive table holds the figures of the study after it."""
    assert market.tables.competitive is not None
    frame = market.tables.competitive.copy()
    metrics = ["market_share", "satisfaction"]
    frame[metrics] = frame.groupby("peer")[metrics].shift(-lag)
    return planted(market, competitive=frame.dropna(subset=metrics).reset_index(drop=True))


@kind(KINDS, honest=True)
def bars_filled_from_the_close_before(market: Market, rng: np.random.Generator, share: float = 0.1) -> Planted:
    """A tenth of the bars is missing and filled forwards, from the close before, with no volume."""
    return _gaps(market, rng, share, later=False)


@kind(KINDS, tables=PRICES)
def bars_interpolated(market: Market, rng: np.random.Generator, share: float = 0.1) -> Planted:
    """A tenth of the bars is missing and interpolated between the bars before and after."""
    bars = own_bars(market)
    gone = rng.random(len(bars)) < share
    gone[:2] = gone[-2:] = False
    return _with_own(market, bars[BAR].apply(lambda one: one.mask(gone)).interpolate().round(4))


@kind(KINDS, tables=PRICES)
def close_taken_after_hours(market: Market, rng: np.random.Generator) -> Planted:
    """The close of every bar is the next session's open; high and low are widened to hold it."""
    bars = own_bars(market)
    close = bars["open"].shift(-1).fillna(bars["close"])
    high, low = np.fmax(bars["high"], close), np.fmin(bars["low"], close)
    return _with_own(market, bars.assign(close=close, high=high, low=low))


@kind(KINDS, honest=True)
def open_taken_from_the_close_before(market: Market, rng: np.random.Generator) -> Planted:
    """The open of every bar is the close of the session before; high and low are widened to hold it."""
    bars = own_bars(market)
    opened = bars["close"].shift(1).fillna(bars["open"])
    high, low = np.fmax(bars["high"], opened), np.fmin(bars["low"], opened)
    return _with_own(market, bars.assign(open=opened, high=high, low=low))


@kind(KINDS, honest=True)
def penny_stock(market: Market, rng: np.random.Generator, idle: float = 0.15) -> Planted:
    """Prices are some ticks high, and a seventh of the sessions has no trade and the price before."""
    bars = own_bars(market)
    prices = ["open", "high", "low", "close"]
    coarse = (bars[prices] * (0.05 / bars["close"].iloc[0])).round(3).clip(lower=0.001)
    quiet = rng.random(len(bars)) < idle
    quiet[0] = False
    before = coarse["close"].mask(quiet).ffill()
    coarse = coarse.apply(lambda one: one.mask(quiet, before))
    return _with_own(market, bars.assign(**coarse, volume=bars["volume"].where(~quiet, 0.0)))


@kind(KINDS, honest=True)
def bars_missing(market: Market, rng: np.random.Generator, share: float = 0.05) -> Planted:
    """One bar in twenty is not in the file."""
    prices = market.tables.prices
    gone = (prices["symbol"] == SYMBOL) & (rng.random(len(prices)) < share)
    return planted(market, prices=prices[~gone].reset_index(drop=True))


@kind(KINDS, honest=True)
def nothing_planted(market: Market, rng: np.random.Generator) -> Planted:
    """The market as it is."""
    return planted(market)
