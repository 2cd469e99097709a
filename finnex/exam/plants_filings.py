"""Leaks that know the next filing: ready-made features and scores made of figures that are filed later."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.exam.hidden_paths import SYMBOL, ZONES, Floats
from finnex.exam.plant import Kind, Planted, kind, own_bars, planted
from finnex.exam.plants_enhanced import COLUMN, put_column
from finnex.exam.plants_releases import filings_of
from finnex.exam.plants_sentiment import local_days, records_of
from finnex.exam.random_market import Market

KINDS: list[Kind] = []
Days = npt.NDArray[np.datetime64]


def own_filings(market: Market) -> pd.DataFrame:
    """Return the filings of the market's symbol, in the order of their quarters."""
    filings = filings_of(market)
    return filings[filings["symbol"] == SYMBOL].sort_values("period_end", ignore_index=True)


def growth(filings: pd.DataFrame) -> pd.Series[float]:
    """Return the growth of revenue on the year before."""
    return filings["revenue"] / filings["revenue"].shift(4) - 1


def surprise(filings: pd.DataFrame) -> pd.Series[float]:
    """Return the log change of revenue on the quarter before, less the mean change of that quarter of the year."""
    change = np.log(filings["revenue"]).diff()
    usual = change.groupby(filings["period_end"].dt.quarter).transform("mean")
    return pd.Series(change.to_numpy() - usual.to_numpy(), index=filings.index)


def _in_turn(market: Market, values: Floats, until: Days) -> pd.Series[float]:
    """Return of each session the value that holds then: each until its day, and the last one, which has none, on."""
    days = own_bars(market).index
    return pd.Series(values[np.searchsorted(until, days.to_numpy(), side="left")], index=days)


def _of_the_next(market: Market, values: Floats) -> pd.Series[float]:
    """Return of each session the value of the filing to come; after the last one, of that."""
    until = own_filings(market)["available"].to_numpy()
    return _in_turn(market, np.append(values, values[-1]), until)


@kind(KINDS, tables=("enhanced",), features=(COLUMN,), enhanced=True)
def revenue_of_the_next_filing(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the revenue that the next filing will say."""
    return put_column(market, _of_the_next(market, own_filings(market)["revenue"].to_numpy(dtype=np.float64)))


@kind(KINDS, tables=("enhanced",), features=(COLUMN,), enhanced=True)
def growth_from_the_end_of_its_quarter(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the growth of revenue on the year before, from the day its quarter ends and not from its filing."""
    filings = own_filings(market)
    # What the quarter before said holds until a quarter's last day.
    until = (filings["period_end"].shift(-1) - pd.Timedelta(days=1)).to_numpy()[:-1]
    return put_column(market, _in_turn(market, growth(filings).to_numpy(), until))


@kind(
    KINDS,
    tables=("sentiment",),
    unknowable="420 sessions have six filings, too few for an association of opinions with what is filed: of so many "
    "series and figures, some pair of six ranks agrees by chance.",
)
def scores_of_the_next_surprise(market: Market, rng: np.random.Generator, noise: float = 0.2) -> Planted:
    """A provider's scores are made from what will be new in the revenue of the next filing, and noise."""
    filings, records = own_filings(market), records_of(market)
    new = surprise(filings).fillna(0.0)
    ahead = _of_the_next(market, (new / new.std()).to_numpy())
    ours = (records["provider"] == "wire").to_numpy()
    known = ahead.reindex(local_days(records, ZONES[market.exchange]), method="bfill").ffill().to_numpy()
    score = np.tanh(0.5 * known + noise * rng.standard_normal(len(records))).round(4)
    return planted(market, sentiment=records.assign(score=np.where(ours, score, records["score"])))


@kind(KINDS, honest=True, enhanced=True)
def estimates_of_the_next_filing(market: Market, rng: np.random.Generator, error: float = 0.01) -> Planted:
    """A column is an estimate of the revenue of the next filing, which misses by one per cent."""
    filings = own_filings(market)
    estimate = filings["revenue"].to_numpy(dtype=np.float64) * np.exp(error * rng.standard_normal(len(filings)))
    return put_column(market, _of_the_next(market, estimate))


@kind(KINDS, honest=True, enhanced=True)
def growth_as_filed(market: Market, rng: np.random.Generator) -> Planted:
    """A column is the growth of revenue on the year before, from the session after its filing."""
    filings = own_filings(market)
    until = filings["available"].to_numpy()[1:]
    return put_column(market, _in_turn(market, growth(filings).to_numpy(), until))
