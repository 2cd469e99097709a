"""Macro series with their vintages from FRED and ALFRED, read by fredapi.

fredapi, not pandas-datareader: it is released still, and reads vintages, which pandas-datareader does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pandas as pd

from finnex.errors import FetchError, first_line
from finnex.fetching.asking import Asker
from finnex.fetching.sources import KEY

SERIES: Final = (
    *("AAA", "BAA", "CPILFESL", "DEXUSEU", "DGORDER", "DGS10", "DGS2", "DGS30", "DGS3MO", "DGS5", "FEDFUNDS", "ICSA"),
    *("MORTGAGE30US", "NASDAQCOM", "PAYEMS", "PERMIT", "SP500", "STLFSI4", "TB3MS", "UMCSENT", "UNRATE", "VIXCLS"),
    *("WALCL", "DCOILWTICO"),
)
"""FRED's names of the series that features read."""
QUOTES: Final = frozenset({"VIXCLS", "SP500", "NASDAQCOM"})
"""Quotes that FinNeX knows from their own close on (`finnex.config.inputs.AMERICAN_QUOTES_MINUTES`): no vintages."""
WINDOW_YEARS = 5
"""FRED answers for at most 2,000 vintages a request; a daily series has some 260 a year."""
COLUMNS: Final = ("series", "date", "available_date", "value")


def fetch_series(name: str, start: date, end: date, asker: Asker) -> pd.DataFrame:
    """Return what was known of a series from `start` on, and when.

    Parameters
    ----------
    name
        FRED's name of the series.
    start, end
        First and last session: vintages before `start` are taken together as what was known on the day before.
    asker
        Asks FRED.

    Returns
    -------
    pandas.DataFrame
        series, date, available_date, value: a row a release, as FRED's `realtime_start`. Of quotes a row a date.

    Raises
    ------
    FetchError
        FRED does not know the series, or its answer cannot be read.
    Unreachable
        FRED cannot be asked.
    """
    reader = _reader(asker)
    try:
        if name in QUOTES:
            values = reader.get_series(name, observation_end=end)
            rows = pd.DataFrame({"date": values.index, "available_date": values.index, "value": values.to_numpy()})
            rows = rows.dropna(subset=["value"])
        else:
            windows = list(_windows(start - timedelta(days=1), end))
            rows = _releases([(first, _known(reader, name, first, last)) for first, last in windows])
    except (ValueError, KeyError, TypeError, ElementTree.ParseError) as error:
        raise FetchError(
            f"FRED gives no values of {name} ({first_line(error)[:200].rstrip('.')}). Check the name."
        ) from None
    if rows.empty:
        raise FetchError(f"FRED gives no values of {name} until {end}. Choose other dates, or leave it out.")
    days = {column: pd.to_datetime(rows[column]).dt.date for column in ("date", "available_date")}
    return rows.assign(series=name, **days)[list(COLUMNS)].reset_index(drop=True)


def _known(reader: Any, name: str, first: date, last: date) -> pd.DataFrame:
    """Return the releases of a span; FRED refuses a span before the first release of a series, which has none."""
    try:
        frame: pd.DataFrame = reader.get_series_all_releases(name, first, last)
    except ValueError as error:
        if "does not exist in ALFRED" not in str(error):
            raise
        return pd.DataFrame()
    return frame


def _windows(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield spans of releases that end where whole blocks of years do: a span that is over never changes again."""
    while first <= last:
        block_end = date((first.year // WINDOW_YEARS + 1) * WINDOW_YEARS - 1, 12, 31)
        yield first, min(block_end, last)
        first = block_end + timedelta(days=1)


def _releases(windows: list[tuple[date, pd.DataFrame]]) -> pd.DataFrame:
    """Return the releases of all spans. FRED repeats at a span's first day what is known: that is left out."""
    parts = []
    for number, (first, frame) in enumerate(windows):
        if len(frame):
            parts.append(frame.assign(repeated=(number > 0) & (frame["realtime_start"] == pd.Timestamp(first))))
    if not parts:
        return pd.DataFrame(columns=["date", "available_date", "value"])
    rows = pd.concat(parts, ignore_index=True)
    rows["value"] = rows["value"].astype("float64")
    rows = rows.sort_values(["date", "realtime_start"], kind="stable", ignore_index=True)
    before = rows.groupby("date")["value"].shift()
    same = (rows["value"] == before) | (rows["value"].isna() & before.isna())
    rows = rows[~(rows["repeated"] & same)].dropna(subset=["value"])
    available = rows["realtime_start"].where(rows["realtime_start"] >= rows["date"], rows["date"])
    # A value that was released before its own date counts from that date on; of several the newest.
    return rows.assign(available_date=available).drop_duplicates(["date", "available_date"], keep="last")


def _reader(asker: Asker) -> Any:
    """Return fredapi's reader, whose requests go through the asker."""
    from fredapi import Fred as Published  # noqa: PLC0415  of the extra

    class Fred(Published):  # type: ignore[misc]
        """Named as its base: all of fredapi's requests are made by `__fetch_data`, whose name holds the class's."""

        def __fetch_data(self, url: str) -> ElementTree.Element:
            """Return an answer's XML, all pages of it."""
            root = self.__page(url, 0)
            while len(root) < int(root.get("count") or 0):
                page = self.__page(url, len(root))
                if not len(page):
                    raise ValueError(f"the answer ends at row {len(root)} of {root.get('count')}")
                root.extend(page)
            return root

        def __page(self, url: str, offset: int) -> ElementTree.Element:
            parts = urlsplit(url)
            parameters = dict(parse_qsl(parts.query)) | ({"offset": str(offset)} if offset else {})
            address = parts._replace(query="").geturl()
            as_of = "" if {"realtime_end", "observation_end"} & parameters.keys() else "now"
            answer = asker.get(address, parameters | {"api_key": self.api_key}, headers={}, as_of=as_of)
            root = ElementTree.fromstring(answer.body)
            if answer.status != 200:
                raise ValueError(root.get("message") or f"HTTP {answer.status}")
            return root

    return Fred(api_key=os.environ.get(KEY, "").strip() or "none is needed for kept answers")
