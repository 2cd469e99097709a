"""From what was seen to one answer for each table and each feature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from finnex.audit.clock import CLOCKS
from finnex.audit.enhanced import Vintage, columns_of
from finnex.audit.report import CAVEATS, CAVEATS_OF, Finding, Verdict
from finnex.audit.timing import Timing
from finnex.build import Run

ENHANCED_NOTE = "enhanced_as_given"


def caveats(tables: Iterable[str]) -> dict[str, str]:
    """Return what cannot be proved of the tables given, by name."""
    names = [name for table in (*tables, "calendar") for name in CAVEATS_OF[table]]
    return {name: CAVEATS[name] for name in dict.fromkeys(names)}


def table_verdicts(timings: Sequence[Timing], findings: Sequence[Finding], vintage: Vintage) -> tuple[Verdict, ...]:
    """Return one verdict a table."""
    found = []
    for table in timings[0].frames:
        leaks = [finding for finding in findings if finding.table == table]
        rows = sum(timing.altered[table] for timing in timings)
        fed = set().union(*(timing.fed.get(table, set()) for timing in timings))
        notes = CAVEATS_OF[table]
        if leaks:
            kinds = ", ".join(dict.fromkeys(finding.kind for finding in leaks))
            found.append(
                Verdict(
                    table, "leak", f"{len(leaks)} finding{'' if len(leaks) == 1 else 's'}: {kinds}", (table,), notes
                )
            )
        elif table == "enhanced" and not _stays(timings[0], vintage):
            reason = "columns are used as they are, and no later vintage of the file was given"
            found.append(Verdict(table, "unprovable", reason, (table,), notes))
        elif not fed:
            reason = "its later rows move no feature of any later session, so the comparison could not have failed"
            found.append(Verdict(table, "unprovable", reason, (table,), notes))
        else:
            notes = () if table == "enhanced" else notes
            reason = f"{rows:,} later rows cut, scrambled or added move nothing before, and {len(fed)} features after"
            found.append(Verdict(table, "proved", reason, (table,), notes))
    if timings[0].run.tables.splits is not None:
        reason = "a basis, no knowledge: later rows undo what prices are already adjusted for, so none is cut"
        found.append(Verdict("splits", "unprovable", reason, ("splits",), CAVEATS_OF["splits"]))
    return tuple(found)


def _stays(timing: Timing, vintage: Vintage) -> bool:
    enhanced = timing.run.tables.enhanced
    return enhanced is not None and set(columns_of(enhanced)) <= set(vintage.stayed)


def feature_verdicts(
    run: Run, timings: Sequence[Timing], findings: Sequence[Finding], vintage: Vintage
) -> tuple[Verdict, ...]:
    """Return one verdict a feature of the catalogue, in its order, and one for anything else that leaked."""
    leaks: dict[str, list[str]] = {}
    for finding in findings:
        for name in finding.features:
            leaks.setdefault(name, []).append(f"{finding.kind} ({finding.table})")
    given = set() if run.tables.enhanced is None else set(columns_of(run.tables.enhanced))
    sessions = sum(len(timing.full.calendar) for timing in timings)
    found = []
    for column, entry in enumerate(run.layout.catalogue.entries):
        name = entry.name
        known = sum(int((~np.isnan(timing.full.original[:, column])).sum()) for timing in timings)
        moved = any(name in timing.moved for timing in timings)
        fed = {table for timing in timings for table, names in timing.fed.items() if name in names}
        tables = tuple(table for table in (*CLOCKS, "calendar") if table in fed or table == entry.table == "calendar")
        tables = tables or (entry.table,)
        notes = tuple(dict.fromkeys(note for table in tables for note in CAVEATS_OF.get(table, ())))
        if name in leaks:
            found.append(Verdict(name, "leak", "; ".join(dict.fromkeys(leaks[name])), tables, notes))
        elif name in given and name not in vintage.stayed:
            reason = "an enhanced column without a later vintage: its own making is not seen"
            found.append(Verdict(name, "unprovable", reason, tables, notes))
        elif known == 0:
            found.append(Verdict(name, "unprovable", "never known: the inputs lack what it is made of", tables, notes))
        elif not moved and entry.table != "calendar":
            reason = "no later row moved it in a later session, so the comparison could not have failed"
            found.append(Verdict(name, "unprovable", reason, tables, notes))
        else:
            stayed = f"; {vintage.stayed[name]:,} published values stay in a later vintage" if name in given else ""
            kept = tuple(note for note in notes if not (stayed and note == ENHANCED_NOTE))
            reason = f"later rows move it later and never before, known in {known:,} of {sessions:,} sessions{stayed}"
            if entry.table == "calendar" and not moved:
                reason = f"follows from the exchange calendar alone, known in {known:,} of {sessions:,} sessions"
            found.append(Verdict(name, "proved", reason, tables, kept))
    listed = {verdict.name for verdict in found}
    for name, kinds in leaks.items():
        if name not in listed:
            found.append(Verdict(name, "leak", "; ".join(dict.fromkeys(kinds))))
    return tuple(found)
