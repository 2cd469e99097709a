"""Fetch tables from all sources: what one source or symbol fails to give leaves the others."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from finnex.config.inputs import SECTOR_ETFS
from finnex.data.calendar import last_close
from finnex.data.names import SERIES_ALIASES
from finnex.errors import FetchError
from finnex.fetching import fred
from finnex.fetching.asking import Asker, Unreachable
from finnex.fetching.filings import company_numbers, edgartools_apart, fetch_filings
from finnex.fetching.sources import FRED, SEC, SOURCES, YAHOO, check_ready
from finnex.fetching.tables import Folder
from finnex.fetching.yahoo import fetch_history, yfinance_apart

FUNDS: Final = ("SPY", "TLT", "IEF", "LQD", "TIP", "EEM", "EFA", *SECTOR_ETFS)
"""Reference funds that features read."""
LOGGERS: Final = ("yfinance", "edgar", "httpxthrottlecache")
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched.

    Attributes
    ----------
    symbols
        Companies, as Yahoo spells them.
    start, end
        First and last session of bars; `end` absent, the last that has closed.
    series
        FRED's names of macro series.
    sources
        Names of `SOURCES`.
    funds
        Fetch bars of the reference funds too.
    exchange
        Whose sessions count, as `exchange_calendars` names it.
    """

    symbols: tuple[str, ...]
    start: date
    end: date | None = None
    series: tuple[str, ...] = fred.SERIES
    sources: tuple[str, ...] = tuple(SOURCES)
    funds: bool = True
    exchange: str = "XNYS"


@dataclass
class Fetched:
    """What was fetched.

    Attributes
    ----------
    tables
        Table to its rows, of those that were written.
    failures
        What was not, one sentence each.
    asked
        Requests that were sent.
    closed
        The last session that had closed.
    """

    closed: date
    tables: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    asked: int = 0


def fetch(wanted: Wanted, folder: Path, *, offline: bool = False, report: Report = lambda *_: None) -> Fetched:
    """Fetch tables into a folder.

    Parameters
    ----------
    wanted
        What is fetched.
    folder
        Where tables, manifest and answers are; made where it is absent.
    offline
        Use kept answers alone, as of the day of the run that fetched them.
    report
        Called with steps done, steps in all, and the step.

    Returns
    -------
    Fetched
        What is in the tables now, and what failed.

    Raises
    ------
    FetchError
        A library, key or identity is missing, a table here is not FinNeX's, or another process fetches here. Nothing
        was asked.
    """
    check_ready(wanted.sources, offline=offline)
    with _alone(folder):
        there = Folder(folder)
        closed = last_close(wanted.exchange, np.datetime64("now"))
        if offline:
            closed = _kept_day(there)
        end = min(wanted.end or closed, closed)
        if wanted.start > end:
            raise FetchError(f"there is no closed session from {wanted.start} to {end}. Choose an earlier --start.")
        done = Fetched(closed)
        if not offline:
            there.write_manifest(_said(wanted, closed))
        with _quiet(), tempfile.TemporaryDirectory(prefix="finnex-fetch-") as scratch:
            work = _Work(wanted, there, end, offline, report, done)
            if YAHOO.name in wanted.sources:
                with yfinance_apart():
                    work.yahoo()
            if FRED.name in wanted.sources:
                work.fred()
            if SEC.name in wanted.sources:
                with edgartools_apart(Path(scratch)):
                    work.sec()
        there.write_manifest()
    return done


def _kept_day(there: Folder) -> date:
    try:
        return date.fromisoformat(there.run["closed"])
    except (KeyError, TypeError, ValueError):
        raise FetchError(
            f"{there.path} holds no kept answers. Run the same command without --offline first, or name its folder "
            "with --to."
        ) from None


def _said(wanted: Wanted, closed: date) -> dict[str, Any]:
    return {
        "symbols": list(wanted.symbols),
        "start": wanted.start.isoformat(),
        "end": None if wanted.end is None else wanted.end.isoformat(),
        "closed": closed.isoformat(),
        "series": list(wanted.series),
        "sources": list(wanted.sources),
        "funds": wanted.funds,
    }


class _Work:
    """One run: each source in turn."""

    def __init__(self, wanted: Wanted, there: Folder, end: date, offline: bool, report: Report, done: Fetched) -> None:
        self._wanted, self._there, self._end, self._offline = wanted, there, end, offline
        self._report, self._done = report, done

    def yahoo(self) -> None:
        """Fetch bars, splits and dividends of companies and funds."""
        wanted = self._wanted
        funds = [fund for fund in FUNDS if fund not in wanted.symbols] if wanted.funds else []
        asker = self._asker(YAHOO.name)

        def one(symbol: str) -> Any:
            return fetch_history(symbol, wanted.start, self._end, self._done.closed, asker)

        found = self._each([*wanted.symbols, *funds], one, asker)
        if found:
            for table in ("prices", "splits", "dividends"):
                self._write(table, [getattr(history, table) for history in found.values()])

    def fred(self) -> None:
        """Fetch macro series."""
        asker = self._asker(FRED.name)

        def one(name: str) -> pd.DataFrame:
            frame = fred.fetch_series(name, self._wanted.start, self._end, asker)
            return frame.assign(series=SERIES_ALIASES.get(name, name))

        if found := self._each(self._wanted.series, one, asker):
            self._write("macro", list(found.values()))

    def sec(self) -> None:
        """Fetch filed figures of the companies."""
        asker, as_of = self._asker(SEC.name), self._done.closed
        try:
            numbers = company_numbers(as_of, asker)
        except FetchError as error:
            self._fail(SEC.title, error, asker)
            return

        def one(symbol: str) -> pd.DataFrame:
            if symbol.upper() not in numbers:
                raise FetchError(
                    f"The SEC lists no company under {symbol}. Indices, funds and foreign companies often file "
                    "nothing: leave it out with --source yahoo --source fred."
                )
            return fetch_filings(symbol, numbers[symbol.upper()], self._end, as_of, asker)

        if found := self._each(self._wanted.symbols, one, asker):
            self._write("fundamentals", list(found.values()))

    def _asker(self, name: str) -> Asker:
        return Asker(SOURCES[name], self._there.archive, offline=self._offline)

    def _each(self, names: Sequence[str], one: Callable[[str], Any], asker: Asker) -> dict[str, Any]:
        """Return what was got of each name; a source that cannot be reached is not asked for the rest."""
        found: dict[str, Any] = {}
        for done, name in enumerate(names):
            self._report(done, len(names), f"{asker.source.title}: {name}")
            try:
                found[name] = one(name)
            except Unreachable as error:
                rest = ", ".join(names[done:])
                self._done.failures.append(f"{asker.source.title}: {error}. Not fetched: {rest}.")
                break
            except FetchError as error:
                self._done.failures.append(f"{name}: {error}")
        self._done.asked += asker.asked
        return found

    def _fail(self, what: str, error: FetchError, asker: Asker) -> None:
        self._done.failures.append(f"{what}: {error}")
        self._done.asked += asker.asked

    def _write(self, table: str, parts: list[pd.DataFrame]) -> None:
        if sum(len(part) for part in parts) == 0 and not self._there.place(table).exists():
            return
        try:
            self._done.tables[table] = self._there.write(table, parts)
        except FetchError as error:
            self._done.failures.append(str(error))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder / ".finnex-fetch.lock"), timeout=0):
            yield
    except Timeout:
        raise FetchError(
            f"another `finnex fetch` works in {folder}. Wait for it, or choose another folder with --to."
        ) from None
    except OSError as error:
        raise FetchError(
            f"{folder} cannot be written ({error.strerror or type(error).__name__}). Choose a folder that you may "
            "write to with --to."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the libraries log nothing and warn of no deprecation: what matters is in the messages here."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
