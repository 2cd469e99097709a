"""The table of prices: daily bars. A bar without prices is none, and rounding between its four prices is mended."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data import checks, parse
from finnex.data.bar_intervals import longer_than_a_day, several_of_a_day
from finnex.data.cells import empty
from finnex.data.market_readers import by_symbol_and_date, symbol_and_date
from finnex.data.own_columns import PRICE_COLUMNS
from finnex.data.remarks import SHOWN, remark, some, unread_columns
from finnex.data.rows import Rows, Where
from finnex.data.table_reader import Part, TableReader
from finnex.errors import Problem

LEAST = 1e-12
"""Of a price, and of a volume that is not zero."""
ROUNDING = 1e-3
"""Relative slack for high and low: vendors round prices, and adjusted ones column by column. Of a price of 10 it is a
cent, which is what two prices that are rounded to cents may be apart."""
FOUR = list(PRICE_COLUMNS[:4])
COLUMNS = ("symbol", "date", *PRICE_COLUMNS)


def bars_from(part: Part, problems: list[Problem]) -> pd.DataFrame:
    """Return the bars in a file's cells: symbol, date, open, high, low, close (split-adjusted), volume (shares).

    A row without any of the four prices is left out; a high or low that is passed by at most `ROUNDING` is set to the
    largest or least of the four. Both are counted in a remark.
    """
    cells, where = part.cells, part.where
    said = []
    bare = np.logical_and.reduce([empty(cells[column]) for column in FOUR])
    if bare.any():
        days = parse.text_of(cells.loc[bare, "date"]) if cells["date"].dtype.kind not in "fM" else cells["date"][bare]
        shown = some([str(day)[:10] for day in days])
        one = int(bare.sum()) == 1
        said.append(
            f"prices: {where.files[0][0]} has {int(bare.sum())} row{'' if one else 's'} without prices ({shown}); "
            f"{'it is not a bar and is' if one else 'they are not bars and are'} left out."
        )
        cells = cells[~bare]
    kept = Part(cells, where, part.reading)
    frame = pd.DataFrame(
        symbol_and_date(kept, problems)
        | {column: parse.number(cells[column], where, problems, optional=False) for column in PRICE_COLUMNS}
    )
    for column in FOUR:
        what, remedy = "a price must be above zero", "Correct the price or remove the row."
        problems += checks.refuse(frame, frame[column] <= 0, where, column, what, remedy)
    for column in PRICE_COLUMNS:
        tiny = (frame[column] > 0) & (frame[column] < LEAST)
        what, remedy = f"a price or volume lies between 0 and {LEAST}", "Correct the cell, or give another unit."
        problems += checks.refuse(frame, tiny, where, column, what, remedy)
    what, remedy = "a volume must not be negative", "Correct the volume; 0 means no trade."
    problems += checks.refuse(frame, frame["volume"] < 0, where, "volume", what, remedy)
    return remark(frame, [*said, *_mended(frame, where, problems)])


def _mended(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> list[str]:
    """Check and mend high and low in place; return what was mended, in words."""
    prices = frame[FOUR].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        sound = (prices > 0).all(axis=1)
        largest, least = prices.max(axis=1), prices.min(axis=1)
        high, low = prices[:, 1], prices[:, 2]
        crossed = sound & (high < low * (1 - ROUNDING))
        over = sound & ~crossed & (largest > high * (1 + ROUNDING))
        under = sound & ~crossed & (least < low * (1 - ROUNDING))
        mend = sound & ~crossed & ~over & ~under & ((largest > high) | (least < low))
    index = frame.index
    what, remedy = "high is below low", "Check whether the two columns are swapped."
    problems += checks.refuse(frame, pd.Series(crossed, index=index), where, "high", what, remedy, than="low")
    for bad, column, words, extreme in ((over, "high", "below", "max"), (under, "low", "above", "min")):
        if not bad.any():
            continue
        two = frame[["open", "close"]]
        other = two.idxmax(axis=1) if extreme == "max" else two.idxmin(axis=1)
        for name in ("open", "close"):
            rows = pd.Series(bad, index=index) & (other == name)
            what = f"{column} is {words} open or close"
            problems += checks.refuse(frame, rows, where, column, what, "Correct the bar.", than=name)
    if not mend.any():
        return []
    frame.loc[mend, "high"], frame.loc[mend, "low"] = largest[mend], least[mend]
    count = int(mend.sum())
    days = frame.loc[mend, ["symbol", "date"]].head(SHOWN).itertuples(index=False)
    shown = ", ".join(f"{symbol} {str(day)[:10]}" for symbol, day in days)
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return [
        f"prices: in {count} bar{'' if count == 1 else 's'} ({shown}{more}) open or close passes high or low by at "
        f"most {ROUNDING:.1%}, as rounding does; high is set to the largest, low to the least of the four."
    ]


def _prices(part: Part, problems: list[Problem]) -> pd.DataFrame:
    return remark(bars_from(part, problems), unread_columns("prices", part.cells.columns, COLUMNS))


def whole_prices(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    """Refuse bars that are not one a session, and a table without any bar; return the bars by symbol and date."""
    if frame.empty and not problems and isinstance(where, Rows):
        what, remedy = "has no row with prices", "Give at least one bar."
        problems += [Problem(str(path), what, remedy) for path, _ in where.files]
    twice: list[Problem] = []
    table = by_symbol_and_date(frame, where, twice)
    problems += (several_of_a_day(frame, where) or twice) if twice else longer_than_a_day(frame, table, where)
    return table


read_prices = TableReader("prices", COLUMNS, _prices, whole_prices)
"""Daily bars: symbol, date, open, high, low, close (currency, split-adjusted), volume (shares)."""
