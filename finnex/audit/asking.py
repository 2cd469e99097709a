"""Ask every feature and every table's own series for foreknowledge, and say which table's clock is out of step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from finnex.audit.foreknowledge import Bars, Foreknowledge, Search, foreknowing
from finnex.audit.report import Finding
from finnex.audit.series import table_series
from finnex.audit.steps import MOST_COMPARED, closes_of_others, out_of_step, stock_indices
from finnex.audit.timing import Timing
from finnex.audit.verdicts import Tested
from finnex.build import Run
from finnex.data.features import symbol_bars

IN_STEP = 0.2
"""Partial correlation with the return of its own session from which a series keeps step with the bars."""
NAMED = 4
REMEDY = (
    "Find how these values are made: each must be computed from what was known at its own session, and dated by when "
    "it was known. A market that was generated to be predictable is foreknowing by design."
)


@dataclass(frozen=True)
class Asked:
    """What the test of foreknowledge found of one symbol.

    Attributes
    ----------
    features, tables
        Name to what the test says of it.
    """

    findings: list[Finding]
    features: dict[str, Tested] = field(default_factory=dict)
    tables: dict[str, Tested] = field(default_factory=dict)


def others_of(run: Run, symbol: str) -> list[str]:
    """Return the symbols of the prices table that features of a symbol look at: sector funds, then its peers."""
    config, known = run.config, set(run.tables.prices["symbol"])
    peers = config.peers or sorted(known - set(config.sectors))
    return [name for name in dict.fromkeys([*config.sectors, *peers]) if name in known and name != symbol]


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
    hits, untested = {one.name: one for one in search.found}, search.untested
    by_table: dict[str, list[Foreknowledge]] = {}
    for name, one in hits.items():
        by_table.setdefault(raw[name][0] if name in raw else _table_of(name, timing, hits, raw), []).append(one)
    findings = [_finding(timing.symbol, table, ones, set(features)) for table, ones in by_table.items()]
    steps = out_of_step(timing.symbol, bars, closes, stock_indices(run.tables.macro, full.calendar))
    shifted = None if steps else _bars_out_of_step(search, raw, timing.symbol)
    findings += steps if shifted is None else [shifted]
    sessions = int((~np.isnan(full.original)).any(axis=1).sum())
    tested = {name: Tested(int((~np.isnan(values)).sum()), untested.get(name, "")) for name, values in features.items()}
    tables = {}
    for table in timing.frames:
        names = [name for name, (of, _) in raw.items() if of == table]
        answered = any(name not in untested for name in names) or table == "enhanced"
        tables[table] = Tested(sessions, "" if answered else "too few values that change from session to session")
    return Asked(findings, tested, tables)


def _table_of(
    feature: str, timing: Timing, hits: Mapping[str, Foreknowledge], raw: Mapping[str, tuple[str, object]]
) -> str:
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


def _finding(symbol: str, table: str, ones: Sequence[Foreknowledge], features: set[str]) -> Finding:
    strongest = sorted(ones, key=lambda one: -abs(one.correlation))
    said = "; ".join(
        f"{one.name} with {one.what}: partial rank correlation {one.correlation:+.2f}, {abs(one.z):.1f} "
        f"standard errors ({one.threshold:.1f} needed), {one.now:+.2f} with the "
        f"return of its own session, {one.sessions} sessions"
        for one in strongest[:NAMED]
    )
    more = f"; and {len(ones) - NAMED} more series" if len(ones) > NAMED else ""
    names = tuple(one.name for one in strongest if one.name in features)
    return Finding("foreknowing", table, names, f"{symbol}: {said}{more}.", REMEDY, symbol)


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
