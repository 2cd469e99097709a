"""Leaks in macro series and filings: values that were not out yet, or are another period's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.exam.hidden_paths import SYMBOL, ZONES
from finnex.exam.plant import Kind, Planted, kind, own_bars, planted, with_inputs
from finnex.exam.random_market import Market
from finnex.exam.random_tables import to_utc

KINDS: list[Kind] = []
MACRO, FILINGS = ("macro",), ("fundamentals",)
ENDED_INCOME = ("revenue", "gross_profit", "operating_income", "net_income", "operating_cf", "capex")
NOON = pd.Timedelta(hours=17)
"""Noon in New York, in UTC, in winter."""


def macro_of(market: Market) -> pd.DataFrame:
    """Return the market's macro table."""
    assert market.tables.macro is not None  # a random market has one
    return market.tables.macro


def filings_of(market: Market) -> pd.DataFrame:
    """Return the market's table of fundamentals."""
    assert market.tables.fundamentals is not None
    return market.tables.fundamentals


def in_order(macro: pd.DataFrame) -> pd.DataFrame:
    """Return macro rows sorted as the reader sorts them, without those that have no value."""
    return macro.dropna(subset=["value"]).sort_values(["series", "available", "date"], ignore_index=True)


def filed_in_order(filings: pd.DataFrame) -> pd.DataFrame:
    """Return filings sorted as the reader sorts them."""
    return filings.sort_values(["symbol", "available", "period_end"], ignore_index=True, kind="stable")


def _released(market: Market, series: str, available: pd.Series[pd.Timestamp], *, only_date: bool) -> Planted:
    """Give the rows of a series other release dates; `available` has the index of these rows."""
    macro = macro_of(market).copy()
    macro.loc[available.index, "available"] = available
    macro.loc[available.index, "available_is_date"] = only_date
    last = market.tables.prices["date"].max()
    return planted(market, macro=in_order(macro[macro["available"] <= last]))


def _rows(market: Market, series: str) -> pd.DataFrame:
    macro = macro_of(market)
    return macro[macro["series"] == series]


@kind(KINDS, tables=MACRO, features=("oil_",), listed=True)
def macro_series_is_the_close_of_tomorrow(
    market: Market, rng: np.random.Generator, lag: int = 1, noise: float = 0.0
) -> Planted:
    """A macro series is the stock's own close of tomorrow, available at noon of today.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    lag
        Sessions ahead.
    noise
        Deviation of the noise, in log price.

    Returns
    -------
    Planted
        The market with the leak.
    """
    close = own_bars(market)["close"].shift(-lag).dropna()
    value = close * np.exp(noise * rng.standard_normal(len(close)))
    rows = pd.DataFrame({"series": "WTI", "date": close.index, "available": pd.DatetimeIndex(close.index) + NOON})
    rows = rows.assign(available_is_date=False, value=value.round(2).to_numpy())
    macro = macro_of(market)
    return planted(market, macro=in_order(pd.concat([macro[macro["series"] != "WTI"], rows], ignore_index=True)))


def _early_values(market: Market, series: str, lag: int) -> Planted:
    rows = _rows(market, series).sort_values("date")
    macro = macro_of(market).copy()
    macro.loc[rows.index, "value"] = rows["value"].shift(-lag)
    return planted(market, macro=in_order(macro))


@kind(KINDS, tables=MACRO, features=("vix_", "fear_greed", "greed_", "implied_to"), listed=True)
def vix_a_day_early(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every VIX has the date of the session before."""
    return _early_values(market, "VIX", lag)


@kind(KINDS, tables=MACRO, features=("vix_", "fear_greed", "greed_", "implied_to"))
def vix_two_days_early(market: Market, rng: np.random.Generator, lag: int = 2) -> Planted:
    """Every VIX has the date of two sessions before."""
    return _early_values(market, "VIX", lag)


@kind(KINDS, tables=MACRO, features=("sp500_",))
def index_of_tomorrow(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every close of the stock index has the date of the session before."""
    return _early_values(market, "SP500", lag)


@kind(KINDS, tables=MACRO, listed=True)
def monthly_series_before_their_month_is_over(market: Market, rng: np.random.Generator, day: int = 20) -> Planted:
    """The unemployment rate of a month is available on the 21st of that month."""
    rows = _rows(market, "UNRATE")
    return _released(market, "UNRATE", rows["date"] + pd.Timedelta(days=day), only_date=True)


@kind(KINDS, tables=MACRO)
def monthly_series_out_on_the_first_day_after(market: Market, rng: np.random.Generator, days: int = 1) -> Planted:
    """Consumer prices of a month are available on the first day after it, ten days before their release."""
    rows = _rows(market, "CPILFESL")
    ended = rows["date"] + pd.offsets.MonthBegin(1) + pd.Timedelta(days=days - 1)
    return _released(market, "CPILFESL", ended, only_date=True)


@kind(KINDS, tables=MACRO)
def macro_dated_by_observation(market: Market, rng: np.random.Generator) -> Planted:
    """A monthly series is available on the date it observes, the first day of its month."""
    rows = _rows(market, "BAA")
    return _released(market, "BAA", rows["date"], only_date=True)


@kind(KINDS, tables=MACRO)
def weekly_claims_on_their_saturday(market: Market, rng: np.random.Generator) -> Planted:
    """Weekly claims are available on the Saturday that ends their week, five days before their release."""
    rows = _rows(market, "ICSA")
    return _released(market, "ICSA", rows["date"], only_date=True)


@kind(KINDS, tables=MACRO, features=("core_cpi", "real_rate"))
def monthly_figure_declared_a_quote(market: Market, rng: np.random.Generator) -> Planted:
    """`quote_delay_minutes` names a monthly figure, which is then known on the first day of its month."""
    quotes = {"VIX": 15, "SP500": 0, "CPILFESL": 0}
    return Planted(market.tables, with_inputs(market, quote_delay_minutes=quotes))


@kind(KINDS, tables=MACRO, features=("sp500_", "vix_"), listed=True, exchange="XTKS")
def new_york_quotes_of_the_same_date_in_tokyo(market: Market, rng: np.random.Generator, minutes: int = 15) -> Planted:
    """Tokyo's decision uses New York's closes of the same date, fourteen hours before they are made."""
    return Planted(market.tables, with_inputs(market, quote_delay_minutes={"VIX": minutes, "SP500": 0}))


@kind(
    KINDS,
    tables=MACRO,
    unknowable="the file has one value a month, and nothing in it or in another table shows which was printed first.",
)
def final_values_under_the_first_release_date(
    market: Market, rng: np.random.Generator, revision: float = 0.001
) -> Planted:
    """Payrolls are as revised years later, under the date of their first release."""
    rows, macro = _rows(market, "PAYEMS"), macro_of(market).copy()
    moved = rows["value"] * np.exp(revision * rng.standard_normal(len(rows)))
    macro.loc[rows.index, "value"] = moved.round(0)
    return planted(market, macro=macro)


def _filed(market: Market, days: int) -> Planted:
    filings = filings_of(market)
    available = filings["period_end"] + pd.Timedelta(days=days)
    frame = filings.assign(available=available)
    last = market.tables.prices["date"].max()
    return planted(market, fundamentals=filed_in_order(frame[frame["available"] < last]))


@kind(KINDS, tables=FILINGS, listed=True)
def filings_nine_days_after_the_period(market: Market, rng: np.random.Generator, days: int = 9) -> Planted:
    """Every filing is available nine days after its period's end."""
    return _filed(market, days)


@kind(KINDS, tables=FILINGS)
def filings_on_the_last_day_of_the_period(market: Market, rng: np.random.Generator, days: int = 0) -> Planted:
    """Every filing is available on the day on which its period ends."""
    return _filed(market, days)


@kind(
    KINDS,
    tables=FILINGS,
    listed=True,
    unknowable="the file has one origin and one value a quarter; nothing in it says of which quarter a figure is, and "
    "six filings are too few to show it by what prices do at the next.",
)
def filings_hold_the_next_quarter(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """Every filing holds the income and cash flow of the quarter after its own."""
    filings = filings_of(market).copy()
    for _, own in filings.sort_values("period_end").groupby("symbol"):
        filings.loc[own.index, list(ENDED_INCOME)] = own[list(ENDED_INCOME)].shift(-lag)
    return planted(market, fundamentals=filings.dropna(subset=["revenue"]).reset_index(drop=True))


@kind(
    KINDS,
    tables=FILINGS,
    unknowable="the file has one origin and one value a quarter; what was first filed is not in it.",
)
def restated_figures_under_their_first_date(
    market: Market, rng: np.random.Generator, restated: float = 0.05
) -> Planted:
    """Net income is as restated a year later, under the date of the first filing."""
    filings = filings_of(market)
    moved = filings["net_income"] * (1 + restated * rng.standard_normal(len(filings)))
    return planted(market, fundamentals=filings.assign(net_income=moved.round(-5)))


@kind(KINDS, tables=FILINGS, listed=True)
def filings_at_midnight_of_their_day(market: Market, rng: np.random.Generator) -> Planted:
    """Filings made after the close say 00:00 New York of their day, which is before it: a session early."""
    filings = filings_of(market)
    midnight = to_utc(pd.DatetimeIndex(filings["available"]), ZONES[market.exchange]).astype("datetime64[ns]")
    return planted(market, fundamentals=filings.assign(available=midnight, available_is_date=False))


@kind(KINDS, tables=FILINGS)
def second_origin_a_week_after_the_period(market: Market, rng: np.random.Generator, days: int = 7) -> Planted:
    """A second origin gives the same figures a week after the period's end."""
    filings = filings_of(market)
    early = filings.assign(origin="yahoo", available=filings["period_end"] + pd.Timedelta(days=days))
    return planted(market, fundamentals=filed_in_order(pd.concat([filings, early], ignore_index=True)))


@kind(KINDS, tables=FILINGS)
def own_filings_on_the_last_day_of_the_period(market: Market, rng: np.random.Generator) -> Planted:
    """Only the symbol's own filings are dated by the end of their period; those of its peers are right."""
    filings = filings_of(market)
    own = filings["symbol"] == SYMBOL
    available = filings["available"].where(~own, filings["period_end"])
    return planted(market, fundamentals=filed_in_order(filings.assign(available=available)))


@kind(KINDS, honest=True)
def filings_always_after_45_days(market: Market, rng: np.random.Generator, days: int = 45) -> Planted:
    """Every filing is available exactly 45 days after its period's end, for lack of the filing date."""
    return _filed(market, days)


@kind(KINDS, honest=True)
def monthly_series_with_a_careful_lag(market: Market, rng: np.random.Generator, days: int = 47) -> Planted:
    """Every monthly series is available 47 days after the first day of its month, for lack of the release date."""
    macro = macro_of(market)
    monthly = (macro["date"].dt.day == 1) & macro["series"].isin(["AAA", "BAA", "CPILFESL", "FEDFUNDS",
                                                                "PAYEMS", "UNRATE"])  # fmt: skip
    careful = macro["date"] + pd.Timedelta(days=days)
    frame = macro.assign(
        available=macro["available"].where(~monthly, careful),
        available_is_date=macro["available_is_date"] | monthly,
    )
    return planted(market, macro=in_order(frame[frame["available"] < market.tables.prices["date"].max()]))


@kind(KINDS, honest=True, exchange="XTKS")
def new_york_quotes_after_their_close_in_tokyo(market: Market, rng: np.random.Generator) -> Planted:
    """Tokyo's decision uses New York's closes of the date before, as their delay is declared."""
    return planted(market)
