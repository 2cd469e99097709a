"""Fetch tables from all sources: what one source or symbol fails to give leaves the others."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from finnex.config.inputs import REFERENCE_FUNDS, SECTOR_ETFS
from finnex.data.calendar import last_close
from finnex.data.names import SERIES_ALIASES
from finnex.data.remarks import some
from finnex.errors import FetchError
from finnex.fetching import fred
from finnex.fetching.asking import Asker, NoData, NotKept, Unreachable
from finnex.fetching.filings import company_numbers, edgartools_apart, fetch_filings
from finnex.fetching.sources import FRED, SEC, YAHOO, Source, check_ready
from finnex.fetching.tables import MANIFEST, Folder
from finnex.fetching.yahoo import fetch_history, yfinance_apart

FUNDS: Final = (*REFERENCE_FUNDS, *SECTOR_ETFS)
"""Funds that features read."""
EXCHANGE: Final = "XNYS"
"""Whose sessions count, as `exchange_calendars` names it."""
LOGGERS: Final = ("yfinance", "edgar", "httpxthrottlecache")
LOCK: Final = ".finnex-fetch.lock"
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
    """

    symbols: tuple[str, ...]
    start: date
    end: date | None
    series: tuple[str, ...]
    sources: tuple[str, ...]
    funds: bool


@dataclass
class Fetched:
    """What was fetched.

    Attributes
    ----------
    tables
        Table to its rows, of those that were written.
    priced
        The wanted symbols that have bars in the table.
    failures
        What was not, in sentences.
    notes
        What a source has nothing of, in sentences.
    asked
        Requests that were sent.
    days
        Source to the last session that had closed when it was asked.
    """

    tables: dict[str, int] = field(default_factory=dict)
    priced: tuple[str, ...] = ()
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asked: int = 0
    days: dict[str, date] = field(default_factory=dict)


def fetch(wanted: Wanted, folder: Path, *, offline: bool = False, report: Report = lambda *_: None) -> Fetched:
    """Fetch tables into a folder.

    Parameters
    ----------
    wanted
        What is fetched.
    folder
        Where tables, manifest and answers are; made where it is absent.
    offline
        Use kept answers alone, of each source those of its last run that was not cut short.
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
    if offline and not (folder / MANIFEST).exists():
        raise FetchError(
            f"{folder} holds no kept answers. Run the same command without --offline first, or name another folder "
            "with --to."
        )
    check_ready(wanted.sources, offline=offline)
    with _alone(folder):
        there = Folder(folder)
        closed = last_close(EXCHANGE, np.datetime64("now"))
        if not offline and wanted.start > min(wanted.end or closed, closed):
            raise FetchError(
                f"there is no closed session from {wanted.start} to {min(wanted.end or closed, closed)}. Choose an "
                "earlier --start."
            )
        done = Fetched()
        if not offline:
            there.write_manifest(_said(wanted, closed))
        try:
            with _quiet(), tempfile.TemporaryDirectory(prefix="finnex-fetch-") as scratch:
                _Work(wanted, there, None if offline else closed, report, done).all(Path(scratch))
        finally:
            there.write_manifest()
        done.priced = there.keys_in("prices", wanted.symbols)
    return done


def _without_nothing(folder: Path) -> None:
    """Remove a folder that this run made and that has neither a table nor an answer."""
    own = {MANIFEST, LOCK, "raw"}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - own:
        return
    if any(path.is_file() for path in (folder / "raw").rglob("*")):
        return
    shutil.rmtree(folder, ignore_errors=True)


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

    def __init__(self, wanted: Wanted, there: Folder, closed: date | None, report: Report, done: Fetched) -> None:
        self._wanted, self._there, self._closed = wanted, there, closed
        self._report, self._done = report, done

    def all(self, scratch: Path) -> None:
        """Fetch from all sources; edgartools makes its folders in `scratch`."""
        wanted = self._wanted
        if YAHOO.name in wanted.sources:
            self._yahoo(self._asker(YAHOO))
        if FRED.name in wanted.sources:
            self._fred(self._asker(FRED))
        if SEC.name in wanted.sources:
            with edgartools_apart(scratch):
                self._sec(self._asker(SEC))

    def _yahoo(self, asker: Asker) -> None:
        from finnex.fetching.yahoo_session import ArchivedSession  # noqa: PLC0415  of the extra

        wanted = self._wanted
        funds = [fund for fund in FUNDS if fund not in wanted.symbols] if wanted.funds else []
        with yfinance_apart(), ArchivedSession(asker) as session:

            def history(name: str, day: date) -> Mapping[str, pd.DataFrame]:
                found = fetch_history(name, wanted.start, self._end(day), day, session)
                if found.prices.empty:
                    said = f"Yahoo Finance has no bars of {name} from {wanted.start} to {self._end(day)}."
                    if name in funds:  # some are younger than others
                        raise NoData(f"{said} Features of it are 'not known'.")
                    raise FetchError(f"{said} Choose other dates, or leave it out.")
                return vars(found)

            self._each(asker, [*wanted.symbols, *funds], history)

    def _fred(self, asker: Asker) -> None:
        def series(name: str, day: date) -> Mapping[str, pd.DataFrame]:
            frame = fred.fetch_series(name, self._wanted.start, self._end(day), asker)
            return {"macro": frame.assign(series=SERIES_ALIASES.get(name, name))}

        self._each(asker, self._wanted.series, series)

    def _sec(self, asker: Asker) -> None:
        numbers = cache(lambda day: company_numbers(day, asker))

        def filings(name: str, day: date) -> Mapping[str, pd.DataFrame]:
            return {"fundamentals": fetch_filings(name, numbers(day), self._end(day), day, asker)}

        self._each(asker, self._wanted.symbols, filings)

    def _asker(self, source: Source) -> Asker:
        return Asker(source, self._there.archive, offline=self._closed is None)

    def _end(self, day: date) -> date:
        return min(self._wanted.end or day, day)

    def _each(self, asker: Asker, names: Sequence[str], get: Callable[[str, date], Mapping[str, pd.DataFrame]]) -> None:
        """Fetch each name as of a day and write the tables; a source that cannot be reached is not asked for more."""
        source = asker.source
        before = self._there.days.get(source.name)
        day = self._closed or before
        if day is None:
            self._done.failures.append(
                f"{source.title}: {self._there.path} holds no kept answers of it. Run the same command without "
                "--offline, or name the other sources with --source."
            )
            return
        self._there.days[source.name] = before or day  # so that an interrupted first run can be used
        found: dict[str, dict[str, pd.DataFrame]] = {}
        absent: list[str] = []
        for done, name in enumerate(names):
            self._report(done, len(names), f"{source.title}: {name}")
            try:
                for table, frame in get(name, day).items():
                    found.setdefault(table, {})[name] = frame
            except Unreachable as error:
                self._done.failures.append(f"{error} Not fetched: {', '.join(names[done:])}.")
                break
            except NotKept:
                absent.append(name)
            except NoData as error:
                self._done.notes.append(str(error))
            except FetchError as error:
                self._done.failures.append(f"{name}: {error}")
        else:
            self._there.days[source.name] = day
        if absent:
            self._done.failures.append(
                f"{source.title}: no kept answers of {some(absent)} for this range. Run the same command once without "
                "--offline, or name the start, symbols and series of an earlier run."
            )
        if found:
            self._done.days[source.name] = day
        self._done.asked += asker.asked
        for table, parts in found.items():
            self._write(table, {SERIES_ALIASES.get(name, name): frame for name, frame in parts.items()})

    def _write(self, table: str, parts: Mapping[str, pd.DataFrame]) -> None:
        if not any(map(len, parts.values())) and not self._there.place(table).exists():
            return
        try:
            self._done.tables[table] = self._there.write(table, parts)
        except FetchError as error:
            self._done.failures.append(str(error))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, and under it remove the folder where this run made it and nothing is in it."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(str(folder / LOCK), timeout=0):
            try:
                yield
            finally:
                if made:
                    _without_nothing(folder)
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
