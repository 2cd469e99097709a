"""Macro series with their vintages from FRED and ALFRED, read by fredapi.

fredapi, not pandas-datareader: it is released still, and reads vintages, which pandas-datareader does not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pandas as pd

from finnex.config.inputs import AMERICAN_QUOTES_MINUTES, REFERENCE_FUNDS
from finnex.data.names import SERIES as READ
from finnex.data.names import SERIES_ALIASES
from finnex.errors import ConfigError, FetchError, first_line
from finnex.fetching.archive import Answer
from finnex.fetching.asking import Asker, Unreachable
from finnex.fetching.sources import KEY

_NEWEST: Final = {ours: theirs for theirs, ours in SERIES_ALIASES.items()}
SERIES: Final = tuple(_NEWEST.get(name, name) for name in READ if name not in REFERENCE_FUNDS)
"""FRED's names of the series that features read; of several the newest."""
QUOTES: Final = frozenset(_NEWEST.get(name, name) for name in AMERICAN_QUOTES_MINUTES)
"""Quotes that FinNeX knows from their own close on: no vintages."""
WINDOW_YEARS = 5
"""FRED answers for at most 2,000 vintages a request; a daily series has some 260 a year."""
ONE_DAY = timedelta(days=1)
EARLIEST, FEW_UNTIL = date(1776, 7, 4), date(1949, 12, 31)
"""FRED knows no earlier day; until the second one there are so few vintages that one request gets them all."""
NO_VINTAGES = "does not exist in ALFRED"
"""Part of FRED's refusal of a span that ends before the first vintage of a series."""
NAME = re.compile(r"[A-Z0-9_.-]{1,60}")
COLUMNS: Final = ("series", "date", "available_date", "value")


def checked_series(names: Iterable[str]) -> tuple[str, ...]:
    """Return FRED's names of series, from these or from FinNeX's own (VIX for VIXCLS), in any case.

    Raises
    ------
    ConfigError
        One is no name of a series, or two are of the same series.
    """
    seen: dict[str, str] = {}
    for given in dict.fromkeys(names):
        name = _NEWEST.get(given.upper(), given.upper())
        if not NAME.fullmatch(name):
            raise ConfigError(f"--series: {given!r} is no name of FRED's. Write it as FRED does, such as DGS10.")
        other = seen.setdefault(SERIES_ALIASES.get(name, name), name)
        if other != name:
            raise ConfigError(f"--series: {other} and {name} are one series here. Choose one of them.")
    return tuple(seen.values())


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
            windows = list(_windows(max(start, EARLIEST + ONE_DAY) - ONE_DAY, end))
            rows = _releases([(first, _known(reader, name, first, last)) for first, last in windows])
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"FRED gives no values of {name} ({first_line(error)[:200].rstrip('.')}). Check the name, or leave it out "
            "by naming the others with --series."
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
        if NO_VINTAGES not in str(error):
            raise
        return pd.DataFrame()
    return frame


def _windows(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield spans of releases that end where whole blocks of years do: a span that is over never changes again."""
    while first <= last:
        block_end = max(date((first.year // WINDOW_YEARS + 1) * WINDOW_YEARS - 1, 12, 31), FEW_UNTIL)
        yield first, min(block_end, last)
        first = block_end + ONE_DAY


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

        def __init__(self, api_key: str) -> None:  # the base's would set a proxy for all of the process's urllib
            self.api_key = api_key

        def _parse(self, date_str: str, format: str = "") -> datetime:
            """Return a date; the base's takes a minute for the vintages of one daily series."""
            return datetime.fromisoformat(date_str)

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
            answer = asker.get(address, parameters | {"api_key": self.api_key}, _sound, headers={})
            root = _root(answer)
            if root is None:
                raise ValueError(f"HTTP {answer.status}, and no XML")
            message = root.get("message") or f"HTTP {answer.status}"
            if answer.status in {400, 401, 403} and "api_key" in message:
                raise Unreachable(
                    f"FRED refuses the key in {KEY} ({message.replace(self.api_key, '...').rstrip('.')}). Get one for "
                    "free at https://fred.stlouisfed.org/docs/api/api_key.html."
                )
            if answer.status != 200:
                raise ValueError(message)
            return root

    return Fred(os.environ.get(KEY, "").strip() or "none is needed for kept answers")


def _root(answer: Answer) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        return None


def _sound(answer: Answer) -> bool:
    """Return whether an answer is kept: observations, or that there are no vintages yet, which stays so."""
    root = _root(answer)
    if root is None:
        return False
    no_vintages = answer.status == 400 and NO_VINTAGES in (root.get("message") or "")
    return no_vintages or (answer.status == 200 and root.tag == "observations")
