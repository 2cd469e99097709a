"""Warnings about tables that passed every check: the build continues and prints them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config, files_of
from finnex.data.calendar import SessionCalendar
from finnex.data.csv_file import is_unended
from finnex.data.csv_format import remedy_of
from finnex.data.features import symbol_calendar
from finnex.data.features.fundamental import SPLIT_JUMP, on_prices_basis, views
from finnex.data.flow_warnings import odd_periods
from finnex.data.freshness import ended, ends
from finnex.data.kept_tables import KeptSentences
from finnex.data.names import EVENTS, METRICS, SERIES, unread
from finnex.data.odd_units import odd_units
from finnex.data.remarks import SHOWN, Caution, FileReport, left_out, remarks, reports, rows_by_symbol, some
from finnex.data.tables import Tables
from finnex.data.universe_checks import odd_memberships
from finnex.data.unmatched import matches_no_symbol, meets_no_session
from finnex.errors import LONGEST_VALUE, nearest

FALL, RISE = 0.6, 1.7
"""A close at most or at least this share of the close before is nearly always a split that the prices still show."""
SPLITS = np.array([3 / 2, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50])
HUNDRED, NEAR_HUNDRED = 100, 0.25
"""A close of so many times the close before, or of that part of it, is in another unit; and how near to it, in logs:
the share moved too."""
NEAR_SPLIT = 0.02
"""How near a move must be to a usual ratio, relative, to be taken for a smaller split."""
BEYOND_HISTORY = 1.25
"""And by how much it must exceed the largest move that the history before it shows."""
LEAST_HISTORY = 63
MOST_CAUTIONS = 6
"""Sentences of a table about what was changed, left out or assumed in reading its files."""
FILING_COLUMNS = ("symbol", "period_end", "available", "available_is_date", "origin", "derived")


def _matches_nothing(tables: Tables, config: Config) -> list[str]:
    """Say which series, events, columns and symbols of the tables are read by no feature."""
    found = []
    if tables.macro is not None:
        read = (*SERIES, *config.sectors)
        found += [("macro: the series", unread(tables.macro["series"].unique().tolist(), read))]
    if tables.events is not None:
        found += [("events: the name", unread(tables.events["name"].str.upper().unique().tolist(), EVENTS))]
    if tables.fundamentals is not None:
        own = [name for name in tables.fundamentals.columns if name not in FILING_COLUMNS]
        found += [("fundamentals: the column", unread(own, METRICS))]
    said = [
        f"{what}{'' if len(names) == 1 else 's' if what[-1] != 's' else ''} {some(names)} "
        f"{'is' if len(names) == 1 else 'are'} read by no feature. {_unread_remedy(names)}"
        for what, names in found
        if names
    ]
    for table in ("fundamentals", "options", "competitive", "enhanced"):
        frame = getattr(tables, table)
        if frame is None:
            continue
        given = [*frame["symbol"].unique().tolist(), *left_out(frame)]
        if absent := [symbol for symbol in config.symbols if symbol not in given]:
            said.append(
                f"{table} of {some(absent)}: the table has no row of "
                f"{'it' if len(absent) == 1 else 'them'}; its features are not known. "
                f"{nearest(absent[0], given)} Check the symbol's name."
            )
    return said


def _unread_remedy(names: Sequence[str]) -> str:
    """Return what to do about names that no feature reads: most are right, and features use others.

    Parameters
    ----------
    names
        As `unread` returns them, of which the message shows the first.
    """
    right = [name.strip("'") for name in names if "did you mean" not in name]
    said = ["Correct the name (docs/inputs.md lists every name that is read)."] if len(right) < len(names) else []
    shown = [name for name in right if f"'{name}'" in names[:SHOWN] and len(name) < LONGEST_VALUE - 1]
    if shown:
        listed = ", ".join(json.dumps(name, ensure_ascii=False) for name in shown)
        others = len(right) - len(shown)
        line = f"In the table's line of [inputs], ignore = [{listed}] silences this"
        more = f", and so {'does the other' if others == 1 else f'do the {others} others'} there" if others else ""
        said.append(f"{line}{more}.")
    return " ".join(said)


def reading_notes(tables: Tables, config: Config) -> list[str]:
    """Return how files were read that do not say it themselves: a sentence for each kind of note of a table.

    None says that values were changed or may be wrong; `input_warnings` says that.
    """
    return [sentence for name, _ in config.inputs.tables() for sentence in _notes(getattr(tables, name))]


def _notes(table: pd.DataFrame | None) -> Iterator[str]:
    written: dict[tuple[str, ...], list[FileReport]] = {}
    for report in reports(table):
        if report.detected:
            written.setdefault(report.detected, []).append(report)
    for found, files in written.items():
        yield (
            f"{files[0].table}: {_files(files)} {'is' if len(files) == 1 else 'are'} read with {', '.join(found)}, as "
            f"the first rows show. {remedy_of(found)}"
        )
    noted: dict[str, list[FileReport]] = {}
    for report in reports(table):
        own = [sentence for sentence in report.said if not isinstance(sentence, Caution)]
        for note in (*(f" {note}" for note in report.notes), *(f": {sentence}" for sentence in own)):
            noted.setdefault(note, []).append(report)
    for note, files in noted.items():
        yield f"{files[0].table}: {_files(files)}{note}."


def _cautions(table: pd.DataFrame | None) -> list[str]:
    """Return what was changed, left out or assumed in reading, files alike in one sentence; of many the first.

    Each ticker of a wide file may have a sentence of its own.
    """
    alike: dict[str, list[FileReport]] = {}
    for report in reports(table):
        for sentence in report.said:
            if isinstance(sentence, Caution):
                alike.setdefault(sentence, []).append(report)
    found = [f"{files[0].table}: {_files(files)}: {sentence}." for sentence, files in alike.items()]
    if (more := len(found) - MOST_CAUTIONS) > 0:
        name = reports(table)[0].table
        found[MOST_CAUTIONS:] = [f"{name}: {more} more like these; `finnex inputs --all` has them all."]
    if blank := sum(report.others.get("", 0) for report in reports(table)):
        found.append(
            f"{reports(table)[0].table}: {blank} row{' has' if blank == 1 else 's have'} no symbol and "
            f"{'is' if blank == 1 else 'are'} left out. Fill it in where the company is known."
        )
    return found


def _files(found: list[FileReport]) -> str:
    return str(found[0].path) + (f" and {len(found) - 1} more" if len(found) > 1 else "")


def input_warnings(tables: Tables, config: Config) -> list[str]:
    """Return one sentence for each kind of oddity of each symbol, with its first cases and what to do.

    Of tables as `read_tables` returns them they are kept, under the hash of the files and the configuration.
    """
    unended = [
        f"{name}: the last line of {path} has no end; its last cell may be cut. Give the file again, or end the line."
        for name, sources in config.inputs.tables()
        for source, path in files_of(sources)
        if is_unended(path, source)
    ]
    kept = tables.memo.get(KeptSentences)
    found = kept.get(config) if isinstance(kept, KeptSentences) else None
    if found is None:
        found = _warnings(tables, config)
        if isinstance(kept, KeptSentences):
            kept.put(config, found)
    return unended + found


def _warnings(tables: Tables, config: Config) -> list[str]:
    """Return the sentences that follow from the tables and the configuration alone."""
    found = [sentence for name, _ in config.inputs.tables() for sentence in _cautions(getattr(tables, name))]
    found += [said for name, _ in config.inputs.tables() for said in remarks(getattr(tables, name))]
    found += odd_memberships(tables.companies, tables.prices)
    found += _matches_nothing(tables, config)
    found += matches_no_symbol(tables, config) + meets_no_session(tables, config) + odd_units(tables, config)
    gone = ended(ends(tables.prices, "symbol"), tables.prices["date"].max().date())
    for symbol in config.symbols:
        bars = tables.of("prices", symbol)
        calendar = symbol_calendar(tables, config, symbol)
        days = bars["date"].to_numpy().astype("datetime64[D]")
        step = bars["close"].to_numpy()[1:] / bars["close"].to_numpy()[:-1]
        hundred = np.abs(np.abs(np.log(step)) - np.log(HUNDRED)) < NEAR_HUNDRED
        if (units := np.flatnonzero(hundred)).size:
            found.append(
                f"prices of {symbol}: a close of {step[units[0]]:.3g} times the close before on "
                f"{some(days[units + 1])}: pence and pounds, or cents and dollars? Give all rows in one unit; of a "
                "file in pence, scale = 0.01."
            )
        jump = np.flatnonzero(_looks_like_a_split(step) & ~hundred)
        if len(jump):
            found.append(
                f"prices of {symbol}: a close of {step[jump[0]]:.3g} times the close before on {some(days[jump + 1])} "
                "looks like a split; give prices that are split-adjusted over their whole history."
            )
        strange = days[calendar.index_of(days) < 0]
        if len(strange):
            found.append(
                f"prices of {symbol}: {some(strange)} is no session of {config.exchange}; the bar is left out. "
                "Remove it, or set the exchange."
            )
        if symbol in gone:
            found.append(
                f"prices of {symbol}: they end on {gone[symbol]}, long before others of their table, so no night waits "
                "for them. Take the symbol out of the configuration if it is no longer traded, or correct the table."
            )
        absent = calendar.days[~np.isin(calendar.days, days)]
        if len(absent):
            found.append(
                f"prices of {symbol}: no bar on {len(absent)} of {len(calendar)} sessions ({some(absent)}); "
                "they have no image."
            )
        found += _repeats(tables, symbol) + _unmatched(tables, symbol, calendar)
        found += odd_periods(tables.of("fundamentals", symbol), symbol)
        found += _left_out(tables, symbol, calendar, config.exchange) + _silent(tables, symbol)
    return found


def _left_out(tables: Tables, symbol: str, calendar: SessionCalendar, exchange: str) -> list[str]:
    if tables.enhanced is None:
        return []
    days = tables.of("enhanced", symbol)["date"].to_numpy().astype("datetime64[D]")
    days = days[(days >= calendar.days[0]) & (days <= calendar.days[-1])]
    strange = days[calendar.index_of(days) < 0]
    return (
        [f"enhanced of {symbol}: {some(strange)} is no session of {exchange}; the row is left out. Correct the date."]
        if len(strange)
        else []
    )


def _silent(tables: Tables, symbol: str) -> list[str]:
    if tables.sentiment is None or symbol in tables.rows("sentiment"):
        return []
    return [
        f"sentiment of {symbol}: the table has no record of it; its regions are not known. "
        f"{nearest(symbol, rows_by_symbol(tables.sentiment))} Check the symbol's name."
    ]


def _unmatched(tables: Tables, symbol: str, calendar: SessionCalendar) -> list[str]:
    """Say which share counts are neither on the basis of their filing nor on that of the prices."""
    if tables.splits is None:
        return []
    known, figures = views(tables.of("fundamentals", symbol), calendar)
    if "_shares" not in figures:
        return []
    filed = calendar.days[known.astype(np.intp)]
    matched = on_prices_basis(figures["_shares"], filed, tables.of("splits", symbol))
    odd = filed[np.isnan(matched) & (figures["_shares"] > 0)]
    if not len(odd):
        return []
    return [
        f"fundamentals of {symbol}: the share count filed by {some(odd)} jumps by more than {SPLIT_JUMP} for no split "
        "of the splits table; its market value is not known until the next filing. Correct the count or the table."
    ]


def _looks_like_a_split(step: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which one-day moves are splits that the prices still show.

    Very large ones, and those near a usual ratio that exceed all that the split-adjusted history before them allows.
    """
    size = np.abs(np.log(step))
    before = np.concatenate([[np.inf], np.maximum.accumulate(size)[:-1]]) if len(size) else size
    unheard = (size > BEYOND_HISTORY * before) & (np.arange(len(size)) >= LEAST_HISTORY)
    near = (np.abs(size[:, None] - np.log(SPLITS)) < NEAR_SPLIT).any(axis=1)
    return np.asarray((step <= FALL) | (step >= RISE) | (unheard & near))


def _repeats(tables: Tables, symbol: str) -> list[str]:
    if tables.sentiment is None:
        return []
    own = tables.of("sentiment", symbol)
    again = int(own.duplicated(["timestamp", "source", "provider", "score"]).sum())
    if not again:
        return []
    return [
        f"sentiment of {symbol}: {again} of {len(own)} rows repeat an earlier record (time, source, provider, score); "
        "each counts, so attention may be overstated. Remove copies, or mark reposts."
    ]
