"""The complete audit in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import AuditReport, Finding, LeakedRow
from finnex.audit.coarse_stamps import coarse_stamps
from finnex.audit.constants import CONFIRMING, SHUFFLES, as_findings, frozen_runs
from finnex.audit.declarations import (
    Declared,
    events_announced_too_early,
    fundamentals_dated_by_period_end,
    macro_dated_by_observation,
)
from finnex.audit.enhanced import Vintage, compare_vintage, fitted_on_everything
from finnex.audit.exchange_hours import decision_times
from finnex.audit.filled_bars import bars_filled_backwards, bars_on_a_line, close_after_hours
from finnex.audit.foreknown_series import ask, others_of
from finnex.audit.label_inputs import MakeLabels, label_inputs
from finnex.audit.quote_clocks import quotes_of_other_markets
from finnex.audit.sampling import companies_to_audit, sampled, special
from finnex.audit.stored_images import StoredAudit, audit_stored, what_was_compared
from finnex.audit.time_of_day import released_at_midnight, sentiment_clocks
from finnex.audit.timing import SEVERAL, Leak, Make, Timing
from finnex.audit.verdicts import Tested, caveats, feature_verdicts, table_verdicts
from finnex.config import Config
from finnex.data.features import symbol_bars
from finnex.data.labels import make_labels
from finnex.data.panel import make_panel
from finnex.data.readers import read_enhanced
from finnex.data.reading import reading_of, readings
from finnex.data.tables import Tables
from finnex.errors import ConfigError, InputError, Problem
from finnex.pipeline import Run, read_run, sessions_wanted
from finnex.store import ImageStore

STORED_IMAGES = 4
"""Published images of each symbol that are drawn again."""


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
    store: ImageStore | None = None,
) -> AuditReport:
    """Rebuild sampled sessions from tables with another future, ask all series for it, and check the published images.

    For every sampled session the rows that are not known at its decision are cut, scrambled, and joined by new ones,
    each time in a fresh process; original values, normalised values and images up to it must stay the same to the last
    bit. Every feature and every series of the tables is tested for association with what came after. Dates are held
    against what is known of their sources. Published images are drawn again.

    Parameters
    ----------
    config
        Configuration; its files are read unless `tables` is given.
    sessions
        Random sessions of each symbol, among those a build would draw; one more for every four at the edge of a
        table's longest silence.
    seed
        Seed of the sampled sessions and of the made-up rows; the same seed gives the same report.
    symbols
        Symbols to audit; by default all that are configured.
    vintage
        A later vintage of the enhanced file: its values for published rows must not differ.
    on_progress
        Called with the steps done, the total (which grows when a leak is traced), and the current step's description.
    make, labels
        What computes the panel and the labels, should it not be the shipped code.
    tables
        The tables, should they not be those of the configuration's files.
    store
        The published store to audit, if there is one.

    Returns
    -------
    AuditReport
        Findings, and the three answers for each feature and table.

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
    chosen = companies_to_audit(run, symbols)
    counter = _Counter(on_progress)
    findings: list[Finding] = []
    timings: list[Timing] = []
    days: dict[str, tuple[date, ...]] = {}
    tested: dict[str, list[Tested]] = {}
    of_tables: dict[str, dict[str, Tested]] = {}
    filings: dict[str, str] = {}
    published: dict[str, StoredAudit] = {}
    for number, symbol in enumerate(chosen):
        rng = np.random.default_rng([seed, number])
        timing = Timing(run, symbol, make, seed, counter.tick)
        positions, kinds = _sample(run, timing, sessions, rng)
        stored = 0 if store is None else STORED_IMAGES
        each = 1 + len(timing.frames) + 3 * len(positions) + 2 * len(kinds) + SHUFFLES + stored
        counter.expect(len(chosen) * each)
        timing.feeds(positions[0])
        for position in positions:
            timing.session(position)
        for position in kinds.values():
            timing.session(position, ("scrambled",))
        timing.later_split(positions[-1])
        timing.later_members(positions[0])
        every = sorted({*positions, *kinds.values()})
        timings.append(timing)
        days[symbol] = tuple(timing.full.calendar.days[every].tolist())
        findings += [_leak_finding(leak, timing) for leak in timing.leaks]
        findings += _constants(timing) + _opened(timing) + _labels(run, timing, every, labels, rng)
        asked = ask(timing, seed)
        findings += asked.findings + decision_times(timing.full.calendar)
        for name, one in asked.features.items():
            tested.setdefault(name, []).append(one)
        for table, series in asked.tables.items():
            named = {name if len(chosen) == 1 else f"{symbol}: {name}": one for name, one in series.items()}
            of_tables.setdefault(table, {}).update(named)
        filings[symbol] = asked.filings
        for look in (bars_filled_backwards, bars_on_a_line, close_after_hours):
            findings += _declared(look(run.tables.prices, symbol), timing)
        if store is not None:
            published[symbol] = audit_stored(timing, store, STORED_IMAGES, rng, counter.tick)
            findings += published[symbol].findings
    findings += _declarations(run, timings[0])
    seen = Vintage([], {})
    if (enhanced := run.tables.enhanced) is not None:
        scaled = fitted_on_everything(enhanced)
        findings += [replace(one, rows=(_first_row(one, enhanced, timings[0]),)) for one in scaled]
        if later is not None and vintage is not None:
            seen = compare_vintage(enhanced, later, readings(config, "enhanced"), vintage)
            findings += seen.findings
    findings = list(dict.fromkeys(findings))
    coarse = coarse_stamps(run.tables.sentiment, config.exchange)
    return AuditReport(
        sessions=days,
        seed=seed,
        rebuilds=sum(one.rebuilds for one in timings),
        seconds=time.perf_counter() - began,
        tables=table_verdicts(timings, findings, of_tables, coarse),
        features=feature_verdicts(run, timings, findings, seen, tested),
        caveats=caveats([*timings[0].frames, *timings[0].without_a_clock], coarse),
        findings=tuple(findings),
        store=_of_store(published, store),
        next_filing=filings,
        left_out=run.bad,
    )


def _of_store(published: Mapping[str, StoredAudit], store: ImageStore | None) -> str:
    if store is None:
        return "no published store was audited"
    others = sum(one.other_inputs for one in published.values())
    found = sum(len(one.findings) for one in published.values())
    said = f"computed again of the store: {what_was_compared([*published.values()])}; "
    said += f"{found or 'no'} finding{'' if found == 1 else 's'} in it"
    if others:
        said += f"; {others} further image{'' if others == 1 else 's'} of other inputs than these, which show nothing"
    return said


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
    frame = read_enhanced(path, problems, reading_of(run.config, "enhanced"))
    if problems:
        raise InputError(problems)
    return frame


def _sample(run: Run, timing: Timing, count: int, rng: np.random.Generator) -> tuple[list[int], dict[str, int]]:
    full = timing.full
    wanted = sessions_wanted(run, timing.symbol)
    wanted = wanted[full.traded[wanted] & (wanted < len(full.calendar) - 1)]
    if len(wanted) == 0:
        raise ConfigError(
            f"there is no session of {timing.symbol} to audit: one needs a bar, and a later one to hide. "
            "Widen start and end, or give later prices."
        )
    chosen = sampled(full.calendar.days, wanted, timing.frames, timing.symbol, count, rng)
    kinds = special(full.calendar, wanted, run.tables.splits, timing.symbol, rng)
    return chosen, {name: position for name, position in kinds.items() if position not in chosen}


def _constants(timing: Timing) -> list[Finding]:
    others = _shuffles(timing, 0, SHUFFLES)
    if len(others) < SHUFFLES:
        return []
    tables = {entry.name: entry.table for entry in timing.run.layout.catalogue.entries}
    dated = [name for name in timing.full.features if tables[name] in ("calendar", "events")]
    skipped = np.isin(timing.full.features, dated)
    original = np.where(skipped, np.nan, timing.full.original)
    moved = timing.moved.union(*timing.fed.values())
    unmoved = {*timing.full.features} - moved
    found = frozen_runs(original, others, timing.full.features, unmoved)
    if found:  # sessions that are alike, as Mondays with the records of three days, may agree six times by chance
        others += _shuffles(timing, SHUFFLES, SHUFFLES + CONFIRMING)
        found = frozen_runs(original, others, timing.full.features, unmoved)
    return as_findings(found, timing.full.calendar.days, timing.symbol, tables, len(others))


def _shuffles(timing: Timing, first: int, end: int) -> list[npt.NDArray[np.float64]]:
    return [panel.original for number in range(first, end) if (panel := timing.shuffle(number)) is not None]


def _opened(timing: Timing) -> list[Finding]:
    names = timing.without_what_was_opened() if timing.opened else ()
    return [
        Finding(
            "reads_beside_the_tables",
            SEVERAL,
            names,
            f"{timing.symbol}: {one.by} opened {one.what} while features were computed: values that were fitted to "
            "it are seen by no comparison of tables.",
            "Compute from the tables alone, at every session from what was known then.",
            timing.symbol,
        )
        for one in timing.opened.values()
    ]


def _leak_finding(leak: Leak, timing: Timing) -> Finding:
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
        else "Let the feature use only rows that were available at the decision: see finnex.data.point_in_time."
    )
    rows = () if leak.row is None else (leak.row,)
    kind = "normalizer_looks_ahead" if normalizer else "look_ahead"
    return Finding(kind, leak.table, names, evidence, remedy, leak.symbol, leak.session, rows)


def _bars(tables: Tables, timing: Timing, until: int | None = None) -> pd.DataFrame:
    own = tables.prices[tables.prices["symbol"] == timing.symbol]
    position = timing.full.calendar.index_of(own["date"].to_numpy().astype("datetime64[D]"))
    keep = (position >= 0) & (position <= (len(timing.full.calendar) if until is None else until))
    return own.assign(position=position)[keep].set_index("position")[["open", "high", "low", "close", "volume"]]


def _labels(
    run: Run, timing: Timing, positions: list[int], make: MakeLabels, rng: np.random.Generator
) -> list[Finding]:
    days, settings = timing.full.calendar.days, run.config.labels
    bars = symbol_bars(run.tables, timing.symbol, timing.full.calendar)
    return label_inputs(make, bars, days, settings, positions, rng, timing.symbol)


def _first_row(finding: Finding, enhanced: pd.DataFrame, timing: Timing) -> LeakedRow:
    """Return the first row of an enhanced column that a finding names."""
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
        declared += sentiment_clocks(tables.sentiment, timing.full.calendar, config.exchange)
    if tables.events is not None:
        declared += events_announced_too_early(tables.events)
    for table, frame in timing.frames.items():
        if "available_is_date" in frame.columns:
            declared += released_at_midnight(table, frame, config.exchange)
    others = others_of(run, timing.symbol)
    quotes = config.inputs.quote_delay_minutes
    declared += quotes_of_other_markets(tables.macro, tables.prices, timing.full.calendar, quotes, others)
    return _declared(declared, timing)


def _declared(declared: list[Declared], timing: Timing) -> list[Finding]:
    """Name the rows and the features that they feed."""
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
