"""The input tables of a run: all read, all checked, or refused together with everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config
from finnex.data.bad_companies import ABSENT
from finnex.data.calendar import last_close
from finnex.data.kept_tables import KeptSentences, KeptTables
from finnex.data.names import SERIES
from finnex.data.readers import READERS, read_bars_of_enhanced
from finnex.data.reading import Reading, readings
from finnex.data.remarks import left_out, reports
from finnex.data.universe import DATED, Universe, universe_of
from finnex.data.universe_checks import configured_but_no_company, members_without_bars
from finnex.errors import InputError, Problem, nearest

OF_NO_COMPANY = ("macro", "events")
"""Tables whose rows belong to a series or an event: a ticker that their file has too, ^VIX, leaves none out."""


@dataclass(frozen=True)
class Tables:
    """The input tables of a run, each checked, or None where the configuration gives none."""

    prices: pd.DataFrame
    companies: pd.DataFrame | None = None
    macro: pd.DataFrame | None = None
    fundamentals: pd.DataFrame | None = None
    sentiment: pd.DataFrame | None = None
    competitive: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    options: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    enhanced: pd.DataFrame | None = None

    def of(self, name: str, symbol: str) -> pd.DataFrame:
        """Return the rows of a table that are of one symbol, in its order; none where the table is absent.

        Parameters
        ----------
        name
            A table with a column `symbol`.
        symbol
            A symbol, whether the table has rows of it or not.
        """
        return self.of_some(name, (symbol,))

    def of_some(self, name: str, symbols: Iterable[str]) -> pd.DataFrame:
        """Return the rows of a table that are of any of some symbols, in its order."""
        frame: pd.DataFrame | None = getattr(self, name)
        if frame is None:
            return pd.DataFrame(columns=["symbol"])
        rows = self.rows(name)
        found = [rows[symbol] for symbol in symbols if symbol in rows]
        return frame.iloc[np.sort(np.concatenate(found))] if found else frame.iloc[:0]

    def rows(self, name: str) -> Mapping[str, npt.NDArray[np.intp]]:
        """Return the positions of each symbol's rows in a table that is given and has a column `symbol`."""
        if (found := self._rows.get(name)) is None:
            indices = getattr(self, name).groupby("symbol", sort=False).indices
            found = {str(symbol): np.asarray(rows) for symbol, rows in indices.items()}
            self._rows[name] = found  # another thread may make it too: it is the same
        return found

    @cached_property
    def _rows(self) -> dict[str, dict[str, npt.NDArray[np.intp]]]:
        """By table, the positions of each symbol's rows: looked up once for all symbols."""
        return {}

    @cached_property
    def universe(self) -> Universe | None:
        """Which companies are members at a session; None without a table of companies."""
        return universe_of(self.companies)

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """What others computed from these tables and keep as long as the tables are kept, by keys of their own."""
        return {}

    def limits(self) -> dict[str, tuple[date, date]]:
        """Return the first and the last date of every table that is given and has a value: where the inputs end.

        Of the companies, the first day and the last day of a membership that are given; absent where none is.
        """
        found = {}
        if self.companies is not None and self.universe is not None and self.universe.dated:
            days = pd.concat([self.companies[name] for name in DATED]).dropna()
            found["companies"] = (days.min().date(), days.max().date())
        for field in fields(self):
            frame = getattr(self, field.name)
            if frame is not None and len(frame) and field.name != "companies":
                column = next(name for name in ("date", "available", "timestamp") if name in frame.columns)
                found[field.name] = (frame[column].min().date(), frame[column].max().date())
        return found


def read_tables(config: Config) -> Tables:
    """Read every table the configuration names, and check them together.

    Raises
    ------
    InputError
        With every problem of every file, and the configured symbols and peers that have no prices.
    """
    tables, problems = _read(config, leave_out=False)
    if problems:
        raise InputError(problems)
    return tables


def read_sound_tables(config: Config) -> tuple[Tables, list[Problem]]:
    """Read every table without the rows of companies that have a problem in it.

    Parameters
    ----------
    config
        Configuration; sector funds and other references are no companies: all features look at them.

    Returns
    -------
    Tables
        A company that has a problem in one table keeps its rows of the others.
    list of Problem
        What is wrong with companies, each with their names.

    Raises
    ------
    InputError
        With every problem, where one is of no company, or of all that are configured.
    """
    tables, problems = _read(config, leave_out=True)
    bad = {symbol for problem in problems for symbol in problem.companies}
    references = {*config.sectors, *SERIES}
    known = {*config.symbols, *config.peers, *(name for one in reports(tables.prices) for name in one.names)}
    if (
        not all(problem.companies for problem in problems)
        or bad & references
        or bad.issuperset(config.symbols)
        or any(problem.row is None and not known.issuperset(problem.companies) for problem in problems)
    ):
        raise InputError(problems)
    return tables, problems


def _read(config: Config, *, leave_out: bool) -> tuple[Tables, list[Problem]]:
    """Return the tables, to be used only where every problem names its companies, and the problems."""
    problems: list[Problem] = []
    frames: dict[str, pd.DataFrame] = {}
    bars = "prices" if config.inputs.prices else "enhanced"
    kept = KeptTables(config)
    for name, _ in config.inputs.tables():
        wanted = _wanted(config, name, frames)
        files = _files(config, name, wanted)
        found: list[Problem] = []
        alone = leave_out and name not in OF_NO_COMPANY
        try:
            frames[name] = kept.read(READERS[name], files, found, leave_out=alone)
            if name == bars == "enhanced":
                again = _files(config, name, wanted)  # a reading fills while its file is read
                frames["prices"] = kept.read(read_bars_of_enhanced, again, found, leave_out=alone)
        except InputError as error:
            found += error.problems
        if name == bars and (not found or (leave_out and all(problem.companies for problem in found))):
            found += _not_closed(frames["prices"], files[0][0], config.exchange)
            bad = {symbol for problem in found for symbol in problem.companies}
            found += _without_bars(frames["prices"], [path for path, _ in files], config, bad)
            frames["prices"] = _without(frames["prices"], bad)
            found += members_without_bars(frames.get("companies"), frames["prices"], config, bad)
        if name == "companies" and (not found or (leave_out and all(problem.companies for problem in found))):
            bad = {symbol for problem in found for symbol in problem.companies}
            found += configured_but_no_company(frames[name], config, bad)
        problems += [replace(one, table=one.table or name) for one in dict.fromkeys(found)]
    tables = Tables(**{"prices": pd.DataFrame(), **frames})
    sentences = kept.sentences()
    if not problems:  # else rows are left out
        tables.memo[KeptSentences] = sentences
    return tables, problems


def _files(config: Config, table: str, wanted: frozenset[str] | None) -> list[tuple[Path, Reading]]:
    """Return the files of a table with how each is read."""
    return [(path, replace(reading, wanted=wanted)) for path, reading in readings(config, table)]


def read_bars(config: Config) -> pd.DataFrame:
    """Read the prices alone, of every symbol that they have.

    Raises
    ------
    InputError
        With every problem of the files.
    """
    problems: list[Problem] = []
    frame = READERS["prices"].read(readings(config, "prices"), problems)
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return frame


def _wanted(config: Config, table: str, frames: Mapping[str, pd.DataFrame]) -> frozenset[str] | None:
    """Return the symbols whose rows of a table the run uses; None where it uses all.

    Without configured peers and a table of companies every company of the prices is a peer.
    """
    if table == "companies":
        return None
    prices, companies = frames.get("prices"), frames.get("companies")
    if table == "prices":
        members = () if companies is None or companies.empty else companies["symbol"].unique()
        own = (*config.symbols, *config.peers, *config.sectors, *SERIES, *members)
        return frozenset(own) if config.peers or len(members) else None
    if prices is None or prices.empty or table in OF_NO_COMPANY:
        return None
    return frozenset((*config.symbols, *config.peers, *prices["symbol"].unique()))


def _without(prices: pd.DataFrame, symbols: Collection[str]) -> pd.DataFrame:
    """Return the bars of other companies than some."""
    if not symbols or prices.empty:
        return prices
    kept = prices[~prices["symbol"].isin(symbols)].reset_index(drop=True)
    kept.attrs = prices.attrs
    return kept


def _without_bars(prices: pd.DataFrame, files: list[Path], config: Config, refused: Collection[str]) -> list[Problem]:
    """Refuse symbols and peers without a row: their names are wrong, or the file was cut short."""
    known = set(prices["symbol"].unique()) if len(prices) else set()
    where = "this file" if len(files) == 1 else f"these {len(files)} files"
    return [
        Problem(
            str(files[0]) if len(files) == 1 else str(files[0].parent),
            f"symbol '{symbol}' has no rows in {where}", nearest(symbol, (*known, *left_out(prices))), column="symbol",
            companies=(symbol,), table=ABSENT,
        )
        for symbol in dict.fromkeys((*config.symbols, *config.peers))
        if symbol not in known and symbol not in refused
    ]  # fmt: skip


def _not_closed(prices: pd.DataFrame, path: Path, exchange: str) -> list[Problem]:
    """Refuse bars of sessions that have not closed: an image or prediction made from one would be kept."""
    closed = last_close(exchange, np.datetime64("now"))
    if prices.empty or (late := prices[prices["date"] > pd.Timestamp(closed)]).empty:
        return []
    first = late.iloc[0]
    return [
        Problem(
            str(path),
            f"{len(late)} bars are of days after {closed}, the last session of {exchange} that has closed; the first "
            f"is of {first['symbol']}, {first['date'].date()}",
            "Read the file again after the close, or remove these rows.",
            column="date",
            companies=tuple(late["symbol"].unique()),
        )
    ]
