"""The table of companies against configuration and prices: what is refused, and what is only said."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.data.remarks import some
from finnex.data.universe import universe_of
from finnex.errors import Problem, first_of, nearest

LATE = np.timedelta64(15, "D")
"""Days by which a first bar may follow the beginning of a membership, and the end of one a last bar."""


def configured_but_no_company(companies: pd.DataFrame, config: Config, left_out: Collection[str] = ()) -> list[Problem]:
    """Refuse configured symbols that the table of companies lacks: they would never be members.

    Parameters
    ----------
    companies
        The table.
    config
        Configuration.
    left_out
        Companies whose rows of the table are left out.

    Returns
    -------
    list of Problem
        One for each of the first such symbols; the last is of all further ones too.
    """
    known = {*companies["symbol"], *left_out}
    place = config.inputs.place_of("companies")
    absent = [symbol for symbol in config.symbols if symbol not in known]
    return [
        Problem(
            place,
            f"symbol '{symbol}' is configured and has no row in the table of companies",
            f"{nearest(symbol, known)} Add its row, or take the symbol out of the configuration.",
            column="symbol",
            further=further,
            companies=tuple(absent[number : number + 1 + further]),
        )
        for number, (symbol, further) in enumerate(first_of(absent))
    ]


def members_without_bars(
    companies: pd.DataFrame | None, prices: pd.DataFrame, config: Config, left_out: Collection[str] = ()
) -> list[Problem]:
    """Refuse members without any bar, where memberships are dated: a cross-section without them would be another one.

    Memberships that ended before the first bar of the table do not count, nor companies whose rows are left out.

    Parameters
    ----------
    companies, prices
        The two tables; None where there is no table of companies.
    config
        Configuration, for the place that a problem names.
    left_out
        Companies whose rows of the prices are left out.

    Returns
    -------
    list of Problem
        One for each of the first members without a bar.
    """
    universe = universe_of(companies)
    if universe is None or companies is None or not universe.dated or prices.empty:
        return []
    priced, first = set(prices["symbol"].unique()), prices["date"].min()
    inside = companies[companies["to"].isna() | (companies["to"] >= first)]
    absent = [name for name in inside["symbol"].unique() if name not in priced and name not in left_out]
    return [
        Problem(
            config.inputs.place_of("companies"),
            f"'{symbol}' is a member while the prices run, and has no bar in them",
            f"{nearest(str(symbol), priced)} Give its bars, or take its row out of the table of companies.",
            column="symbol",
            further=further,
        )
        for symbol, further in first_of(absent)
    ]


def odd_memberships(companies: pd.DataFrame | None, prices: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for members whose bars begin after, or end before, their membership; and those without bars.

    Parameters
    ----------
    companies
        The table of companies; None where there is none.
    prices
        The table of prices.
    """
    universe = universe_of(companies)
    if universe is None or companies is None:
        return
    each = prices.groupby("symbol")["date"].agg(["min", "max"])
    limits = {str(name): (first, last) for name, first, last in each.itertuples()}
    absent = [name for name in universe.symbols if name not in limits]
    if absent:
        yield (
            f"companies: {some(absent)} {'has' if len(absent) == 1 else 'have'} no bar in the prices and "
            f"{'is' if len(absent) == 1 else 'are'} in no cross-section. Give the bars, or remove the rows."
        )
    if not universe.dated:
        return
    oldest, newest = prices["date"].min(), prices["date"].max()
    late, gone = [], []
    for symbol, own in companies[companies["symbol"].isin(list(limits))].groupby("symbol", sort=True):
        first, last = limits[str(symbol)]
        begins = oldest if own["from"].isna().any() else max(own["from"].min(), oldest)
        if first - begins > LATE:
            late.append(f"{symbol} ({begins.date()}, bars from {first.date()})")
        ends = newest if own["to"].isna().any() else min(own["to"].max(), newest)
        if ends - last > LATE:
            gone.append(f"{symbol} (until {'today' if ends == newest else ends.date()}, bars to {last.date()})")
    if late:
        yield (
            f"companies: the bars of {some(late)} begin after the membership does; it has no image before. Give the "
            "earlier bars, or correct from."
        )
    if gone:
        yield (
            f"companies: the bars of {some(gone)} end before the membership does. Labels relative to the section wait "
            "for them: give the bars, or say in to when the membership ended."
        )
