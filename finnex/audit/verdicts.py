"""Derive three verdicts for each table and each feature from the observations of an audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finnex.audit.audit_report import (
    AVAILABILITY_FINDINGS,
    CAVEATS,
    CAVEATS_OF,
    FOREKNOWLEDGE_FINDINGS,
    Answer,
    Finding,
    Verdict,
)
from finnex.audit.clock import CLOCKS
from finnex.audit.enhanced import Vintage, columns_of
from finnex.audit.timing import COMPANIES, Timing
from finnex.pipeline import Run

COARSE = "coarse_stamps"
AS_CLAIMED = Answer("as claimed", "its dates are plausible; that they are right is not provable from one file")


NAMED = 3
"""Series that were not tested, of which a table's answer gives the name and the reason."""


@dataclass(frozen=True)
class Tested:
    """How a feature, or one series of a table, was tested for foreknowledge, for one symbol.

    Attributes
    ----------
    sessions
        Sessions compared.
    untested
        Why it was not tested; '' where it was.
    """

    sessions: int
    untested: str = ""


def answer_of_feature(tested: Sequence[Tested]) -> Answer:
    """Return the answer for a feature without a finding, from what was tested of it for each symbol."""
    compared = [one for one in tested if not one.untested]
    if not compared:
        return Answer("not tested", "; ".join(dict.fromkeys(one.untested for one in tested)) or "never known")
    where = f" of {len(compared)} of {len(tested)} symbols" if len(tested) > 1 else ""
    return Answer("none found", f"in {sum(one.sessions for one in compared):,} sessions{where}")


def answer_of_table(series: Mapping[str, Tested]) -> Answer:
    """Return the answer for a table without a finding: how many of its series were tested, and which were not."""
    untested = [f"{name} ({one.untested})" for name, one in series.items() if one.untested]
    compared = [one.sessions for one in series.values() if not one.untested]
    listed = ", ".join(untested[:NAMED]) + (f" and {len(untested) - NAMED} more" if len(untested) > NAMED else "")
    if not series:
        return Answer("not tested", "no series of numbers")
    if not compared:
        return Answer("not tested", f"none of {len(series)} series: {listed}")
    said = f"in {len(compared)} of {len(series)} series, over at most {max(compared):,} sessions"
    return Answer("none found", f"{said}; not tested: {listed}" if untested else said)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def caveats(tables: Iterable[str], coarse: str) -> dict[str, str]:
    """Return what is not shown of the tables given, by name.

    Parameters
    ----------
    coarse
        What `finnex.audit.coarse_stamps` says.
    """
    names = [name for table in (*tables, "calendar") for name in CAVEATS_OF[table]]
    found = {name: CAVEATS[name] for name in dict.fromkeys(names)}
    return found | {COARSE: f"{CAVEATS[COARSE]} Here: {coarse}."} if coarse else found


def _kinds(findings: Iterable[Finding], kinds: frozenset[str] | None) -> str:
    """Return the findings of a sort as words; None asks for those about computation."""
    others = AVAILABILITY_FINDINGS | FOREKNOWLEDGE_FINDINGS
    chosen = [one for one in findings if (one.kind not in others if kinds is None else one.kind in kinds)]
    return "; ".join(dict.fromkeys(f"{one.kind} ({one.table})" for one in chosen))


def table_verdicts(
    timings: Sequence[Timing], findings: Sequence[Finding], tested: Mapping[str, Mapping[str, Tested]], coarse: str
) -> tuple[Verdict, ...]:
    """Return the answers for each table, and for the calendar.

    Parameters
    ----------
    timings
        The audit of each symbol.
    findings
        All findings of the audit.
    tested
        Table to its series, each with how it was tested.
    coarse
        As in `caveats`.

    Returns
    -------
    tuple of Verdict
        In the order of the tables; splits and companies, where there are any, and the calendar are last.
    """
    found, no_series = [], answer_of_table({})
    for table in timings[0].frames:
        own = [finding for finding in findings if finding.table == table]
        rows = sum(timing.altered[table] for timing in timings)
        fed = set().union(*(timing.fed.get(table, set()) for timing in timings))
        if kinds := _kinds(own, None):
            computation = Answer("leak", kinds)
        elif table == "enhanced":
            computation = Answer("not shown", "its columns are used as given: how they were made is not seen")
        elif not fed:
            computation = Answer(
                "not shown", "no feature of a later session follows its rows: nothing could have failed"
            )
        else:
            reason = f"{_count(rows, 'later row')} changed nothing before, and {_count(len(fed), 'feature')} after"
            computation = Answer("causal", reason)
        known = answer_of_table(tested.get(table, {}))
        notes = (*CAVEATS_OF[table], *([COARSE] if coarse and table == "sentiment" else []))
        found.append(_verdict(table, computation, own, known, (table,), notes))
    if timings[0].run.tables.splits is not None:
        own = [finding for finding in findings if finding.table == "splits"]
        kinds = _kinds(own, None)
        computation = (
            Answer("leak", kinds)
            if kinds
            else Answer("causal", "a later split, with the prices it adjusts, changed nothing before it")
        )
        found.append(_verdict("splits", computation, own, no_series, ("splits",), CAVEATS_OF["splits"]))
    if timings[0].run.tables.companies is not None:
        own = [finding for finding in findings if finding.table == COMPANIES]
        computation = _of_companies(timings, own)
        found.append(_verdict(COMPANIES, computation, own, no_series, (COMPANIES,), CAVEATS_OF[COMPANIES]))
    own = [finding for finding in findings if finding.table == "calendar"]
    computation = Answer("not shown", "sessions are taken from the exchange's calendar")
    found.append(_verdict("calendar", computation, own, no_series, (), CAVEATS_OF["calendar"]))
    return tuple(found)


def _of_companies(timings: Sequence[Timing], own: Sequence[Finding]) -> Answer:
    rows = sum(timing.altered[COMPANIES] for timing in timings)
    fed = set().union(*(timing.fed.get(COMPANIES, set()) for timing in timings))
    if kinds := _kinds(own, None):
        return Answer("leak", kinds)
    if not rows:
        return Answer("not shown", "no other company joins or leaves after the sessions compared")
    if not fed:
        return Answer("not shown", "no feature of a later session follows its dates: nothing could have failed")
    reason = (
        f"{_count(rows, 'later first or last day')} changed nothing before, and {_count(len(fed), 'feature')} after"
    )
    return Answer("causal", reason)


def feature_verdicts(
    run: Run,
    timings: Sequence[Timing],
    findings: Sequence[Finding],
    vintage: Vintage,
    tested: Mapping[str, Sequence[Tested]],
) -> tuple[Verdict, ...]:
    """Return the answers for each feature of the catalogue, in its order, and for anything else that leaked.

    Parameters
    ----------
    run
        Inputs and layout.
    timings
        The audit of each symbol.
    findings
        All findings of the audit.
    vintage
        How the enhanced table compares with its later vintage.
    tested
        Feature to how it was tested, for each symbol.

    Returns
    -------
    tuple of Verdict
        One for each feature of the catalogue; then the others that leaked.
    """
    of: dict[str, list[Finding]] = {}
    for finding in findings:
        for name in finding.features:
            of.setdefault(name, []).append(finding)
    given = set() if run.tables.enhanced is None else set(columns_of(run.tables.enhanced))
    compared = sum(timing.sessions_compared for timing in timings)
    found = []
    for column, entry in enumerate(run.layout.catalogue.entries):
        name = entry.name
        known = sum(int((~np.isnan(timing.full.original[:, column])).sum()) for timing in timings)
        fed = {table for timing in timings for table, names in timing.fed.items() if name in names}
        tables = tuple(table for table in (*CLOCKS, "calendar") if table in fed or table == entry.table == "calendar")
        tables = tables or (entry.table,)
        notes = tuple(dict.fromkeys(note for table in tables for note in CAVEATS_OF.get(table, ())))
        own = of.get(name, [])
        moved = any(name in timing.moved for timing in timings)
        if kinds := _kinds(own, None):
            computation = Answer("leak", kinds)
        elif name in given:
            stayed = vintage.stayed.get(name)
            stable = "" if stayed is None else f"; {stayed:,} published values are the same in a later vintage"
            computation = Answer("not shown", f"a column as given: how it was made is not seen{stable}")
        elif known == 0:
            computation = Answer("not shown", "never known: the inputs lack what it is made of")
        elif entry.table == "calendar" and not moved:
            computation = Answer("not shown", "follows from the calendar and announced events: no later row moves it")
        elif not moved:
            computation = Answer("not shown", "no later row moved it in a later session: nothing could have failed")
        else:
            computation = Answer("causal", f"at {_count(compared, 'sampled session')}")
        found.append(_verdict(name, computation, own, answer_of_feature(tested.get(name, ())), tables, notes))
    listed = {verdict.name for verdict in found}
    for name, own in of.items():
        if name not in listed:
            computation = Answer("leak", kinds) if (kinds := _kinds(own, None)) else Answer("not shown", "no feature")
            found.append(_verdict(name, computation, own, answer_of_feature(()), (), ()))
    return tuple(found)


def _verdict(
    name: str,
    computation: Answer,
    own: Sequence[Finding],
    unless_found: Answer,
    tables: tuple[str, ...],
    notes: tuple[str, ...],
) -> Verdict:
    implausible = _kinds(own, AVAILABILITY_FINDINGS)
    foreknowing = _kinds(own, FOREKNOWLEDGE_FINDINGS)
    availability = Answer("implausible", implausible) if implausible else AS_CLAIMED
    foreknowledge = Answer("foreknowing", foreknowing) if foreknowing else unless_found
    return Verdict(name, computation, availability, foreknowledge, tables, notes)
