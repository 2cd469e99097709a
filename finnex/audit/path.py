"""The whole audit in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.declarations import (
    Declared,
    fundamentals_dated_by_period_end,
    macro_dated_by_observation,
    sentiment_dated_by_day,
)
from finnex.audit.enhanced import Market, Vintage, compare_vintage, fitted_on_everything, knows_the_future
from finnex.audit.labels import REMEDY, audit_labels, changed_before_their_end
from finnex.audit.report import AuditReport, Finding, LeakedRow
from finnex.audit.timing import SEVERAL, Leak, Make, Timing, sampled
from finnex.audit.verdicts import caveats, feature_verdicts, table_verdicts
from finnex.build import Run, read_run, sessions_wanted
from finnex.config import Config, LabelSettings
from finnex.data.features import compute, make_context, symbol_bars
from finnex.data.labels import Labels, make_labels
from finnex.data.mapping import reading_of
from finnex.data.panel import make_panel
from finnex.data.readers import read_enhanced
from finnex.data.tables import Tables
from finnex.errors import ConfigError, InputError, Problem

MakeLabels = Callable[[pd.DataFrame, npt.NDArray[np.datetime64], LabelSettings], dict[str, Labels]]


def audit(
    config: Config,
    *,
    sessions: int = 8,
    seed: int = 0,
    symbols: Iterable[str] | None = None,
    vintage: Path | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
    make: Make = make_panel,
    labels: MakeLabels = make_labels,
    tables: Tables | None = None,
) -> AuditReport:
    """Rebuild sampled sessions from tables with another future, and check what the tables say of themselves.

    For every sampled session the rows that nobody could know at its decision are cut, scrambled, and joined by new
    ones; original values, normalised values and images up to it must stay the same to the last bit.

    Parameters
    ----------
    sessions
        Random sessions of each symbol, among those a build would draw; one more for every four at the edge of a
        table's longest silence.
    vintage
        A later vintage of the enhanced file: its values for published rows must not differ.
    on_progress
        Called with what is done, what there is to do (it grows when a leak is traced), and what it is about.
    make, labels
        What computes the panel and the labels, should it not be the shipped code.
    tables
        The tables, should they not be those of the configuration's files.

    Raises
    ------
    ConfigError
        There is no such symbol or no session to audit, or a vintage is given without an enhanced file.
    InputError, LayoutError
        The inputs cannot be read.
    """
    began = time.perf_counter()
    run = read_run(config) if tables is None else replace(read_run(config), tables=tables)
    later = None if vintage is None else _read_vintage(run, vintage)
    chosen = tuple(dict.fromkeys(symbols or config.symbols))
    for symbol in chosen:
        sessions_wanted(run, symbol)
    counter = _Counter(on_progress)
    findings: list[Finding] = []
    timings = []
    for number, symbol in enumerate(chosen):
        timing = Timing(run, symbol, make, seed, counter.tick)
        positions = _sample(run, timing, sessions, np.random.default_rng([seed, number]))
        counter.expect(len(chosen) * (1 + len(timing.frames) + 3 * len(positions)))
        timing.feeds(positions[0])
        for position in positions:
            timing.session(position)
        timings.append((timing, positions))
        findings += [_told(leak, timing) for leak in timing.leaks]
        findings += _labels(run, timing, positions, labels)
    findings += _declarations(run, timings[0][0])
    seen = Vintage([], {})
    if (enhanced := run.tables.enhanced) is not None:
        asked = fitted_on_everything(enhanced)
        for symbol in chosen:
            counter.tick(f"{symbol}, enhanced columns")
            asked += knows_the_future(enhanced, _market(run, symbol))
        findings += [replace(one, rows=(_first_row(one, enhanced, timings[0][0]),)) for one in asked]
        if later is not None and vintage is not None:
            seen = compare_vintage(enhanced, later, (config.inputs.enhanced, vintage))
            findings += seen.findings
    days = {one.symbol: tuple(one.full.calendar.days[where].tolist()) for one, where in timings}
    given = [one for one, _ in timings]
    return AuditReport(
        sessions=days,
        seed=seed,
        rebuilds=sum(one.rebuilds for one in given),
        seconds=time.perf_counter() - began,
        tables=table_verdicts(given, findings, seen),
        features=feature_verdicts(run, given, findings, seen),
        caveats=caveats([*given[0].frames, *(["splits"] if run.tables.splits is not None else [])]),
        findings=tuple(findings),
    )


class _Counter:
    """Counts rebuilds; the total grows when a leak has to be traced."""

    def __init__(self, show: Callable[[int, int, str], None] | None) -> None:
        self._show, self._done, self._total = show, 0, 0

    def expect(self, total: int) -> None:
        self._total = max(self._total, total)

    def tick(self, what: str) -> None:
        if self._show is not None:
            self._show(self._done, max(self._total, self._done), what)
        self._done += 1


def _read_vintage(run: Run, path: Path) -> pd.DataFrame:
    if run.tables.enhanced is None:
        raise ConfigError(
            f"--vintage {path}: the configuration has no [inputs] enhanced to compare it with. "
            "Name the earlier file there."
        )
    if not path.is_file():
        raise ConfigError(f"--vintage: {path} does not exist. Correct the path.")
    problems: list[Problem] = []
    reading = reading_of(run.config, "enhanced")
    frame = read_enhanced(path, problems, reading)
    if problems:
        raise InputError([reading.in_the_files_words(problem) for problem in problems])
    return frame


def _sample(run: Run, timing: Timing, count: int, rng: np.random.Generator) -> list[int]:
    full = timing.full
    wanted = sessions_wanted(run, timing.symbol)
    wanted = wanted[full.traded[wanted] & (wanted < len(full.calendar) - 1)]
    if len(wanted) == 0:
        raise ConfigError(
            f"there is no session of {timing.symbol} to audit: one needs a bar, and a later one to hide. "
            "Widen start and end, or give later prices."
        )
    return sampled(full.calendar.days, wanted, timing.frames, timing.symbol, count, rng)


def _told(leak: Leak, timing: Timing) -> Finding:
    names = tuple(leak.features)
    arrays = sorted({where for places in leak.features.values() for where in places})
    normalizer = set(arrays) <= {"normalized", "location", "scale"}
    days = {day for name in names for day in timing.sessions_of.get(name, [])}
    listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    done = {"cut": "are cut", "scrambled": "are scrambled", "added": "join"}[leak.how]
    table = leak.table if leak.table == SEVERAL else f"table {leak.table}"
    evidence = (
        f"{leak.symbol} {leak.session}: {listed} differ ({', '.join(arrays)}) when later rows of {table} {done}, at "
        f"{len(days)} of the sampled sessions; the image {'differs too' if leak.shown else 'stays the same'}; "
        + (f"the first row that matters: {leak.row}." if leak.row is not None else "the row was not searched for.")
    )
    remedy = (
        "Fit the normaliser on rows up to each session."
        if normalizer
        else "Let the feature use only rows that were available at the decision: see finnex.data.align."
    )
    rows = () if leak.row is None else (leak.row,)
    kind = "normalizer_looks_ahead" if normalizer else "look_ahead"
    return Finding(kind, leak.table, names, evidence, remedy, leak.symbol, leak.session, rows)


def _bars(tables: Tables, timing: Timing, until: int | None = None) -> pd.DataFrame:
    own = tables.prices[tables.prices["symbol"] == timing.symbol]
    position = timing.full.calendar.index_of(own["date"].to_numpy().astype("datetime64[D]"))
    keep = (position >= 0) & (position <= (len(timing.full.calendar) if until is None else until))
    return own.assign(position=position)[keep].set_index("position")[["open", "high", "low", "close", "volume"]]


def _labels(run: Run, timing: Timing, positions: list[int], make: MakeLabels) -> list[Finding]:
    days, settings = timing.full.calendar.days, run.config.labels
    bars = _bars(run.tables, timing)
    full = make(bars, days, settings)
    found = audit_labels(full, bars, run.layout.lookback, days, symbol=timing.symbol)
    changed: dict[str, date] = {}
    for position in positions:
        blind = make(_bars(run.tables, timing, until=position), days, settings)
        for name in changed_before_their_end(full, blind, days, position):
            changed.setdefault(name, days[position].item())
    for name, day in changed.items():
        text = f"label_{name} says by {day} how it ended, and changes when later bars are cut."
        found.append(Finding("label_end_too_early", "prices", (f"label_{name}",), text, REMEDY, timing.symbol, day))
    return found


def _market(run: Run, symbol: str) -> Market:
    context = make_context(run.tables, run.config, symbol)
    own = symbol_bars(run.tables, symbol, context.calendar)
    bars = {name: context.on_sessions(own[name]) for name in ("open", "high", "low", "close")}
    with np.errstate(all="ignore"):
        computed = compute(context)
    return Market(symbol, context.calendar.days, bars, computed)


def _first_row(finding: Finding, enhanced: pd.DataFrame, timing: Timing) -> LeakedRow:
    """Return the first row of an enhanced column that a finding speaks of."""
    own = enhanced["symbol"] == finding.symbol if finding.symbol else enhanced["symbol"].notna()
    rows = enhanced[own & enhanced[finding.features[0]].notna()]
    return timing.describe("enhanced", rows.iloc[0])


def _declarations(run: Run, timing: Timing) -> list[Finding]:
    tables, config = run.tables, run.config
    declared: list[Declared] = []
    if tables.fundamentals is not None:
        declared += fundamentals_dated_by_period_end(tables.fundamentals)
    if tables.macro is not None:
        declared += macro_dated_by_observation(tables.macro, config.inputs.quote_delay_minutes)
    if tables.sentiment is not None:
        declared += sentiment_dated_by_day(tables.sentiment, timing.full.calendar, config.exchange)
    found = []
    for one in declared:
        frame: Mapping[str, pd.DataFrame] = timing.frames
        rows = tuple(
            timing.describe(one.finding.table, frame[one.finding.table].iloc[number])
            for number in np.flatnonzero(one.rows)[:3]
        )
        features = timing.fed_by(one.finding.table, one.rows)
        found.append(replace(one.finding, features=features, rows=rows))
    return found
