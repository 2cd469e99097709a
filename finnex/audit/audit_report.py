"""What an audit answers: three answers per feature and table, findings with the row that leaked, and what is not shown.

The answers are of three kinds, and none implies another. *Computation*: the feature is the same, bit for bit, from
tables without later rows, at the sessions compared. *Availability*: the dates of the rows are plausible; that they are
right is not provable from one file. *Foreknowledge*: its values are not associated with what came after, beyond chance.
What none of them can show (today's revised values, the choice of symbols) is named in notes, each explained once in
`AuditReport.caveats`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from finnex.data.bad_companies import BadCompany, rows_of
from finnex.errors import nearest

AVAILABILITY_FINDINGS = frozenset(
    (
        *("fundamentals_dated_by_period_end", "macro_dated_by_observation", "sentiment_stamped_at_one_hour"),
        *("sentiment_in_wall_time", "sentiment_at_night", "quotes_from_the_future", "bars_filled_backwards"),
        *("decision_time_is_not_the_close", "released_at_midnight", "events_announced_too_early"),
        *("bars_interpolated", "close_after_hours"),
    )
)
"""Findings about the dates of rows."""
FOREKNOWLEDGE_FINDINGS = frozenset(
    (
        *("foreknowing", "out_of_step", "normalizer_fitted_on_everything", "enhanced_vintage_differs"),
        *("enhanced_vintage_lost_rows", "enhanced_vintage_lost_columns"),
    )
)
"""Findings about the values of rows. All others are about computation."""

CAVEATS = {
    "adjusted_prices": "prices are adjusted for splits (and dividends) that came later; the file cannot show what "
    "stood there on the day. Features are free of the price's scale, so a split moves none of them.",
    "chosen_symbols": "symbols, peers and sector funds were chosen today, from companies that are still there.",
    "revised_macro": "macro values are as revised today; only their dates are point in time. Of weekly and daily "
    "series the file cannot show whether a value was out on the day it observes: their available_date is trusted.",
    "restated_filings": "a provider may have overwritten a filed figure under its old filing date.",
    "scored_later": "a sentiment model trained after the record may have scored it; the file holds its score only.",
    "coarse_stamps": "stamps that lie on a grid of minutes may be the beginnings of buckets: a record then enters a "
    "session that closed before it was written, and no file shows it. Date each record by its bucket's end.",
    "supplier_rows": "rows are taken as supplied; nothing shows whether they were corrected afterwards.",
    "split_basis": "splits that came later are read ahead of their day, to undo the adjustment that prices carry: "
    "market value is then that of the day. A later split moves no picture.",
    "members_as_supplied": "members and their dates are taken as supplied: the file cannot show on which day a "
    "membership was known, nor which companies are absent from it.",
    "calendar_closures": "the exchange calendar knows closures not announced before (2001-09-11, 2012-10-29): counts "
    "of sessions ahead of one are short by it.",
    "enhanced_as_given": "an enhanced column is used as it is: only a later vintage of the file shows whether its "
    "published values stay (--vintage FILE).",
}
"""What is not shown: name to what it means."""
CAVEATS_OF = {
    "prices": ("adjusted_prices", "chosen_symbols"),
    "macro": ("revised_macro",),
    "fundamentals": ("restated_filings", "chosen_symbols"),
    "sentiment": ("scored_later",),
    "competitive": ("supplier_rows", "chosen_symbols"),
    "options": ("supplier_rows",),
    "events": ("supplier_rows",),
    "splits": ("split_basis",),
    "companies": ("members_as_supplied",),
    "calendar": ("calendar_closures",),
    "enhanced": ("enhanced_as_given",),
}
"""Table name to what is not shown of it."""


@dataclass(frozen=True)
class LeakedRow:
    """A table row, as the file has it.

    Attributes
    ----------
    file_row
        Line in the file as an editor counts it, the header being line 1; None where the row is in no file.
    added
        Whether the audit made the row up: a later row of this kind would have changed the past.
    """

    table: str
    key: str
    day: str
    file: str = ""
    file_row: int | None = None
    added: bool = False

    def __str__(self) -> str:
        place = f"{self.file}, row {self.file_row}" if self.file_row is not None else self.table
        return f"{place} ({self.key}, dated {self.day}{'; added by the audit' if self.added else ''})"


@dataclass(frozen=True)
class Finding:
    """One leak: what was seen, where, and what to do about it."""

    kind: str
    table: str
    features: tuple[str, ...]
    evidence: str
    remedy: str
    symbol: str | None = None
    session: date | None = None
    rows: tuple[LeakedRow, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One of the three answers, with what it rests on."""

    word: str
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """The three answers for one feature or table.

    Attributes
    ----------
    computation
        `causal` at the sessions compared, `leak`, or `not shown`: the comparison could not have failed.
    availability
        `as claimed` (plausible, never proved) or `implausible`.
    foreknowledge
        `none found`, `foreknowing`, or `not tested`.
    tables
        Tables whose rows were seen to move it; for a table, itself.
    notes
        Names of what is not shown of it: keys of `AuditReport.caveats`.
    """

    name: str
    computation: Answer
    availability: Answer
    foreknowledge: Answer
    tables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether any of the three is a finding."""
        return (
            self.computation.word == "leak"
            or self.availability.word == "implausible"
            or self.foreknowledge.word == "foreknowing"
        )


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit.

    Attributes
    ----------
    sessions
        Symbol to the sessions that were rebuilt.
    rebuilds
        How many panels were computed.
    caveats
        What is not shown of the inputs given, by name; independent of the verdicts.
    store
        What was seen of the published store, in a sentence.
    next_filing
        Symbol to what was asked of the figures of its next filing: of how many quarters, or why not.
    left_out
        Configured companies that were not audited, because their rows are refused.
    """

    sessions: Mapping[str, tuple[date, ...]]
    seed: int
    rebuilds: int
    seconds: float
    tables: tuple[Verdict, ...]
    features: tuple[Verdict, ...]
    caveats: Mapping[str, str]
    findings: tuple[Finding, ...]
    store: str = ""
    next_filing: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[BadCompany, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def feature(self, name: str) -> Verdict:
        """Return the verdict of a feature.

        Raises
        ------
        KeyError
            There is none of this name; says the nearest.
        """
        return _find(self.features, name)

    def table(self, name: str) -> Verdict:
        """Return the verdict of a table.

        Raises
        ------
        KeyError
            There is none of this name; says the nearest.
        """
        return _find(self.tables, name)

    def counts(self) -> dict[str, int]:
        """Return how many features are causal, leak, not shown, implausibly dated, foreknowing."""
        words = Counter(verdict.computation.word for verdict in self.features)
        return {
            "causal": words["causal"],
            "leak": words["leak"],
            "not shown": words["not shown"],
            "implausible": sum(verdict.availability.word == "implausible" for verdict in self.features),
            "foreknowing": sum(verdict.foreknowledge.word == "foreknowing" for verdict in self.features),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the report in plain types, for JSON."""
        return {
            "passed": self.passed,
            "sessions": {symbol: [str(day) for day in days] for symbol, days in self.sessions.items()},
            "seed": self.seed,
            "rebuilds": self.rebuilds,
            "seconds": round(self.seconds, 3),
            "counts": self.counts(),
            "findings": [asdict(finding) for finding in self.findings],
            "tables": [asdict(verdict) for verdict in self.tables],
            "features": [asdict(verdict) for verdict in self.features],
            "store": self.store,
            "next_filing": dict(self.next_filing),
            "not_shown": dict(self.caveats),
            "left_out": rows_of(self.left_out),
        }


def _find(verdicts: tuple[Verdict, ...], name: str) -> Verdict:
    for verdict in verdicts:
        if verdict.name == name:
            return verdict
    raise KeyError(f"'{name}' was not audited. {nearest(name, [verdict.name for verdict in verdicts])}")
