"""Leaks in the enhanced table: ready-made features made from what came after their session."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from finnex.exam.plant import Kind, Planted, kind, log_closes, own_bars, planted, returns_ahead
from finnex.exam.random_market import Market

KINDS: list[Kind] = []
TABLE = ("enhanced",)
COLUMN = "rsi_14"
"""The column that leaks; the others are honest."""
PUBLISHED = 0.9
"""Share of the sessions that the file has where a later vintage is given."""


def put_column(market: Market, values: pd.Series[float]) -> Planted:
    """Put values, indexed by date, in the place of the leaking column; what has none is left empty."""
    assert market.tables.enhanced is not None  # kinds of this module ask for it
    frame = market.tables.enhanced
    return planted(market, enhanced=frame.assign(**{COLUMN: values.reindex(frame["date"]).to_numpy().round(8)}))


def _closes_of_the_table(market: Market) -> pd.Series[float]:
    """Return the closes of the sessions that the enhanced table has, by date."""
    assert market.tables.enhanced is not None
    return own_bars(market)["close"].reindex(pd.DatetimeIndex(market.tables.enhanced["date"]))


def _with_vintage(whole: Planted) -> Planted:
    """Publish the first part of the table, and give the whole as its later vintage."""
    frame = whole.tables.enhanced
    assert frame is not None
    published = frame.iloc[: int(PUBLISHED * len(frame))].reset_index(drop=True)
    return replace(whole, tables=replace(whole.tables, enhanced=published), vintage=frame)


def _noisy(market: Market, rng: np.random.Generator, lag: int, noise: float) -> pd.Series[float]:
    ahead = returns_ahead(market, lag)
    return ahead + noise * ahead.std() * rng.standard_normal(len(ahead))


def _sign(market: Market, rng: np.random.Generator, right: float, lag: int) -> pd.Series[float]:
    ahead = returns_ahead(market, lag)
    side = np.where(rng.random(len(ahead)) < right, 1.0, -1.0)
    return pd.Series(np.sign(ahead.to_numpy()) * side, index=ahead.index)


@kind(KINDS, tables=TABLE, features=(COLUMN,), listed=True, enhanced=True)
def noisy_return_of_tomorrow_with_a_vintage(
    market: Market, rng: np.random.Generator, lag: int = 1, noise: float = 1.0
) -> Planted:
    """A column is tomorrow's return plus as much noise, and a later vintage of the same recipe agrees with it.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    lag
        Sessions ahead.
    noise
        Its deviation, in that of the returns.

    Returns
    -------
    Planted
        The market with the leak.
    """
    return _with_vintage(put_column(market, _noisy(market, rng, lag, noise)))


@kind(KINDS, tables=TABLE, features=(COLUMN,), listed=True, enhanced=True)
def noisy_return_of_tomorrow(market: Market, rng: np.random.Generator, lag: int = 1, noise: float = 1.0) -> Planted:
    """A column is tomorrow's return plus as much noise.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    lag
        Sessions ahead.
    noise
        Its deviation, in that of the returns.

    Returns
    -------
    Planted
        The market with the leak.
    """
    return put_column(market, _noisy(market, rng, lag, noise))


@kind(KINDS, tables=TABLE, features=(COLUMN,), listed=True, enhanced=True)
def sign_of_tomorrow_with_a_vintage(
    market: Market, rng: np.random.Generator, right: float = 0.85, lag: int = 1
) -> Planted:
    """A column is the sign of tomorrow's return, right in 85 %, and a later vintage of the same recipe agrees.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    right
        Share of sessions whose sign is right, in [0, 1].
    lag
        Sessions ahead.

    Returns
    -------
    Planted
        The market with the leak.
    """
    return _with_vintage(put_column(market, _sign(market, rng, right, lag)))


@kind(KINDS, tables=TABLE, features=(COLUMN,), listed=True, enhanced=True)
def sign_of_tomorrow(market: Market, rng: np.random.Generator, right: float = 0.85, lag: int = 1) -> Planted:
    """A column is the sign of tomorrow's return, right in 85 %.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    right
        Share of sessions whose sign is right, in [0, 1].
    lag
        Sessions ahead.

    Returns
    -------
    Planted
        The market with the leak.
    """
    return put_column(market, _sign(market, rng, right, lag))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def return_to_come(market: Market, rng: np.random.Generator, span: int = 5) -> Planted:
    """A column is the return over the next five sessions."""
    close = log_closes(market)
    return put_column(market, np.expm1(close.shift(-span) - close))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def noisy_return_of_ten_sessions_to_come(
    market: Market, rng: np.random.Generator, span: int = 10, noise: float = 0.5
) -> Planted:
    """A column is the return over the next ten sessions plus half as much noise.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    span
        Sessions of the return.
    noise
        Its deviation, in that of the returns.

    Returns
    -------
    Planted
        The market with the leak.
    """
    close = log_closes(market)
    ahead = close.shift(-span) - close
    return put_column(market, ahead + noise * ahead.std() * rng.standard_normal(len(ahead)))


def _of_weeks(market: Market, lag: int) -> pd.Series[float]:
    """Return the return of each week, or of the one `lag` weeks before, on all sessions of the week."""
    close = log_closes(market)
    week = pd.DatetimeIndex(close.index).to_period("W")
    returns = close.groupby(week).last().diff().shift(lag)
    return pd.Series(returns.reindex(week).to_numpy(), index=close.index)


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def return_of_the_week_on_all_its_days(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the return of the week, which is known on its last session, on every session of it."""
    return put_column(market, _of_weeks(market, 0))


@kind(KINDS, honest=True, enhanced=True)
def return_of_the_week_before(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the return of the week before on every session of a week."""
    return put_column(market, _of_weeks(market, 1))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def centred_return(market: Market, rng: np.random.Generator, span: int = 3) -> Planted:
    """A column is the return from three sessions before to three sessions after."""
    close = log_closes(market)
    return put_column(market, close.shift(-span) - close.shift(span))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def next_close(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """A column is the close of the next session."""
    return put_column(market, own_bars(market)["close"].shift(-lag))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def label_as_a_feature(market: Market, rng: np.random.Generator, span: int = 5) -> Planted:
    """A column says whether the close five sessions on is higher."""
    close = log_closes(market)
    ahead = close.shift(-span) - close
    return put_column(market, (ahead > 0).astype("float64").where(ahead.notna()))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def rank_of_the_return_to_come(market: Market, rng: np.random.Generator, span: int = 5) -> Planted:
    """A column is the ninth power of the rank of the return over the next five sessions."""
    close = log_closes(market)
    return put_column(market, (close.shift(-span) - close).rank(pct=True) ** 9)


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def centred_mean_of_closes(market: Market, rng: np.random.Generator, span: int = 21) -> Planted:
    """A column is the mean of the closes of ten sessions before, the session, and ten after."""
    return put_column(market, own_bars(market)["close"].rolling(span, center=True).mean())


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def own_feature_one_session_early(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """A column has the date of the session before."""
    assert market.tables.enhanced is not None
    return put_column(market, market.tables.enhanced.set_index("date")[COLUMN].shift(-lag))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def standardised_over_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the close less its mean, over its standard deviation, both over the whole file."""
    assert market.tables.enhanced is not None
    close = own_bars(market)["close"].reindex(market.tables.enhanced["date"])
    return put_column(market, (close - close.mean()) / close.std())


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def scaled_to_the_range_of_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the close scaled to [0, 1] by the lowest and the highest of the whole file."""
    assert market.tables.enhanced is not None
    close = own_bars(market)["close"].reindex(market.tables.enhanced["date"])
    return put_column(market, (close - close.min()) / (close.max() - close.min()))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def rank_in_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the percentile rank of the close among all closes of the file."""
    return put_column(market, _closes_of_the_table(market).rank(pct=True))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def normal_score_in_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the normal score of the rank of the close among all closes of the file."""
    close = _closes_of_the_table(market)
    return put_column(market, pd.Series(stats.norm.ppf((close.rank() - 0.5) / len(close)), index=close.index))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def robust_scale_of_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the close less its median, over its interquartile range, both over the whole file."""
    close = _closes_of_the_table(market)
    return put_column(market, (close - close.median()) / (close.quantile(0.75) - close.quantile(0.25)))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def share_of_the_largest_of_the_whole_file(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the close over the highest close of the whole file."""
    close = _closes_of_the_table(market)
    return put_column(market, close / close.max())


@kind(KINDS, honest=True, enhanced=True)
def columns_scaled_by_their_past(market: Market, rng: np.random.Generator, span: int = 60) -> Planted:
    """Four columns are bounded by nature or scaled by past closes: an oscillator, ranks, a share of the highest yet."""
    assert market.tables.enhanced is not None
    close = _closes_of_the_table(market)
    past = close.rolling(span)
    columns = {
        "rsi_14": market.tables.enhanced["rsi_14"].to_numpy() / 100,
        "return_5": close.expanding().rank(pct=True).to_numpy(),
        "volatility_20": (close / close.cummax()).to_numpy(),
        "close_to_sma_20": ((close - past.median()) / (past.quantile(0.75) - past.quantile(0.25))).to_numpy(),
    }
    return planted(market, enhanced=market.tables.enhanced.assign(**{k: v.round(8) for k, v in columns.items()}))


@kind(KINDS, tables=TABLE, features=(COLUMN,), enhanced=True)
def published_values_that_move(market: Market, rng: np.random.Generator, span: int = 21) -> Planted:
    """A later vintage gives other values of a column, a centred mean, for rows that were published."""
    whole = _with_vintage(
        put_column(market, own_bars(market)["close"].rolling(span, center=True, min_periods=1).mean())
    )
    frame = whole.tables.enhanced
    assert frame is not None
    known = own_bars(market)["close"].loc[: frame["date"].iloc[-1]]
    seen = known.rolling(span, center=True, min_periods=1).mean().reindex(frame["date"])
    return replace(whole, tables=replace(whole.tables, enhanced=frame.assign(**{COLUMN: seen.to_numpy().round(8)})))


@kind(KINDS, honest=True, enhanced=True)
def honest_columns(market: Market, rng: np.random.Generator) -> Planted:
    """Four columns made of past closes."""
    return planted(market)


@kind(KINDS, honest=True, enhanced=True)
def honest_columns_with_a_vintage(market: Market, rng: np.random.Generator) -> Planted:
    """Four columns made of past closes, and a later vintage that agrees with them."""
    return _with_vintage(planted(market))
