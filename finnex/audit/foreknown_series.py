"""Ask every feature and every table's own series for foreknowledge, and say which table's clock is out of step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.clock import known_session
from finnex.audit.enhanced import columns_of
from finnex.audit.equal_figures import KnownFiling
from finnex.audit.filed_figures import filed_figures
from finnex.audit.foreknowledge import Bars, Foreknowledge, Search, foreknowing
from finnex.audit.innovations import Floats
from finnex.audit.next_filing import OPINIONS, FilingSearch, knowing_the_next_filing
from finnex.audit.series import WEIGHTS, table_series
from finnex.audit.shifted_dates import MOST_COMPARED, closes_of_others, out_of_step, stock_indices
from finnex.audit.timing import Timing
from finnex.audit.verdicts import Tested
from finnex.data.features import symbol_bars
from finnex.data.panel import Panel
from finnex.data.peers import peers_of
from finnex.pipeline import Run

Known = Foreknowledge | KnownFiling
IN_STEP = 0.2
"""Partial correlation with the return of its own session from which a series keeps step with the bars."""
NAMED = 4
REMEDY = (
    "Find how these values are made: each must be computed from what was known at its own session, and dated by when "
    "it was known. A market that was generated to be predictable is foreknowing by design."
)
REMEDY_OF_FILINGS = (
    "Find how these values are made and by what they are dated: a figure is known from its announcement on, and not "
    "when its quarter ends. Where the series is right, the fundamentals table is late: compare both with a filing."
)


@dataclass(frozen=True)
class Asked:
    """What the test of foreknowledge found of one symbol.

    Attributes
    ----------
    features
        Name to how it was tested.
    tables
        Table to its series, each with how it was tested; of the enhanced table its columns, which are features.
    filings
        What was asked of figures of the next filing, in a sentence.
    """

    findings: list[Finding]
    features: dict[str, Tested] = field(default_factory=dict)
    tables: dict[str, dict[str, Tested]] = field(default_factory=dict)
    filings: str = ""


def others_of(run: Run, symbol: str) -> list[str]:
    """Return the symbols of the prices table that features of a symbol read: sector funds, then its peers."""
    config, known = run.config, set(run.tables.prices["symbol"])
    named = dict.fromkeys([*config.sectors, *peers_of(config, symbol, known, run.tables.universe)])
    return [name for name in named if name in known and name != symbol]


def bars_of(timing: Timing, others: pd.DataFrame) -> Bars:
    """Return the bars of a symbol on all its sessions, with the mean return of others (session, symbol), closes."""
    own = symbol_bars(timing.run.tables, timing.symbol, timing.full.calendar)
    wide = own.reindex(range(len(timing.full.calendar)))
    columns = {name: wide[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")}
    logs = pd.DataFrame(np.log(others.to_numpy(dtype=np.float64)))
    return Bars(**columns, market=logs.diff().mean(axis=1).fillna(0.0).to_numpy(dtype=np.float64))


def ask(timing: Timing, seed: int) -> Asked:
    """Test all features of a symbol, and the series of the tables that feed them."""
    run, full = timing.run, timing.full
    others = others_of(run, timing.symbol)
    closes = closes_of_others(run.tables.prices, others, full.calendar)
    raw = table_series(
        {name: frame for name, frame in timing.frames.items() if name != "enhanced"},  # its columns are features
        full.calendar, timing.symbol, others[:MOST_COMPARED], run.config.inputs.quote_delay_minutes,
    )  # fmt: skip
    features = {name: full.original[:, column] for column, name in enumerate(full.features)}
    bars = bars_of(timing, closes)
    series = {name: values for name, (_, values) in raw.items()}
    search = foreknowing([features, series], bars, seed)
    strongest = sorted(search.found, key=lambda one: -abs(one.correlation))
    filings = _ask_filings(timing, raw, bars.close, seed)
    findings = _findings(strongest, REMEDY, timing, raw) + _findings(filings.found, REMEDY_OF_FILINGS, timing, raw)
    steps = out_of_step(timing.symbol, bars, closes, stock_indices(run.tables.macro, full.calendar))
    shifted = None if steps else _bars_out_of_step(search, raw, timing.symbol)
    findings += steps if shifted is None else [shifted]
    tested = {name: _tested(search, name) for name in features}
    tables = {
        table: {name: _tested(search, name) for name, (of, _) in raw.items() if of == table} for table in timing.frames
    }
    if (enhanced := run.tables.enhanced) is not None:
        tables["enhanced"] = {name: tested[name] for name in columns_of(enhanced) if name in tested}
    return Asked(findings, tested, tables, filings.said)


def _tested(search: Search, name: str) -> Tested:
    if untested := search.untested.get(name, ""):
        return Tested(0, untested)
    return Tested(search.slow[name] if name in search.slow else len(search.statistics[name].rows))


def _weighs(series: str) -> bool:
    """Return whether a series of a table is the weight of a score."""
    return series.startswith("sentiment ") and series.endswith(WEIGHTS)


def filing_series(run: Run, panel: Panel, raw: Mapping[str, tuple[str, Floats]]) -> tuple[dict[str, Floats], set[str]]:
    """Return the series that are asked for the next filing, name to (sessions,), and the names of opinions.

    Parameters
    ----------
    raw
        Series of the tables, as `table_series` gives them.
    """
    raw = {name: one for name, one in raw.items() if not _weighs(name)}
    enhanced = run.tables.enhanced
    given = set() if enhanced is None else set(enhanced.columns)
    entries = run.layout.catalogue.entries
    opinions = {one.name for one in entries if one.table in OPINIONS and one.name not in given}
    opinions |= {name for name, (table, _) in raw.items() if table in OPINIONS}
    series = {name: panel.original[:, column] for column, name in enumerate(panel.features)}
    return series | {name: values for name, (_, values) in raw.items()}, opinions


def _ask_filings(timing: Timing, raw: Mapping[str, tuple[str, Floats]], close: Floats, seed: int) -> FilingSearch:
    """Ask all features and series of the tables for the figures of the next filing."""
    frame, calendar = timing.run.tables.fundamentals, timing.full.calendar
    if frame is None:
        return FilingSearch([], "not tested: there is no fundamentals table")
    own = frame[frame["symbol"] == timing.symbol]
    known = known_session("fundamentals", own, calendar, timing.run.config.inputs.quote_delay_minutes)
    series, opinions = filing_series(timing.run, timing.full, raw)
    return knowing_the_next_filing(series, opinions, filed_figures(own, known, calendar), close, seed)


def _findings(
    known: Sequence[Known], remedy: str, timing: Timing, raw: Mapping[str, tuple[str, Floats]]
) -> list[Finding]:
    """Return a finding for each table with such series, in their order."""
    by_table: dict[str, list[Known]] = {}
    names = {one.name for one in known}
    for one in known:
        table = raw[one.name][0] if one.name in raw else _table_of(one.name, timing, names, raw)
        by_table.setdefault(table, []).append(one)
    features, findings = set(timing.full.features), []
    for table, ones in by_table.items():
        more = f"; and {len(ones) - NAMED} more series" if len(ones) > NAMED else ""
        text = f"{timing.symbol}: {'; '.join(f'{one.name} {one.evidence}' for one in ones[:NAMED])}{more}."
        named = tuple(one.name for one in ones if one.name in features)
        findings.append(Finding("foreknowing", table, named, text, remedy, timing.symbol))
    return findings


def _table_of(feature: str, timing: Timing, hits: Collection[str], raw: Mapping[str, tuple[str, object]]) -> str:
    """Return the table to blame for a feature: one that feeds it and is foreknowing itself, else its own."""
    guilty = {raw[name][0] for name in hits if name in raw}
    fed = [table for table, names in timing.fed.items() if feature in names]
    for table in fed:
        if table in guilty:
            return table
    enhanced = timing.run.tables.enhanced
    if enhanced is not None and feature in enhanced.columns:
        return "enhanced"
    own = timing.run.layout.catalogue.entries[timing.full.features.index(feature)].table
    return own if own in timing.frames else fed[0] if fed else "calendar"


def _bars_out_of_step(search: Search, raw: Mapping[str, tuple[str, object]], symbol: str) -> Finding | None:
    """Say that the bars may be late where other tables lead them by a session, and no table keeps step with them."""
    leading = {
        one.name: raw[one.name][0]
        for one in search.found
        if one.name in raw and one.lead == 1 and abs(one.correlation) > abs(one.now)
    }
    in_step = [
        name
        for name, one in search.statistics.items()
        if name in raw and raw[name][0] != "prices" and name not in leading and abs(one.now) > IN_STEP
    ]
    if not leading or (in_step and len(set(leading.values())) == 1):
        return None  # where two tables lead the bars, the bars are late
    tables = sorted(set(leading.values()))
    text = (
        f"{symbol}: {', '.join(sorted(leading)[:NAMED])} move with the return of the next session and not with "
        f"that of their own: either {' and '.join(tables)} {'is' if len(tables) == 1 else 'are'} early by one, or the "
        "bars of the prices table are a session late."
    )
    remedy = "Compare a few dates of both with another source, and correct the one that is wrong."
    return Finding("out_of_step", "prices", (), text, remedy, symbol)
