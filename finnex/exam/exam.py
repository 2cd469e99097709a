"""Audit every kind of leak in a market of its own, and say of each what became of it.

A kind is *caught* when a finding names what is wrong: one of the kind's tables, and one of its features where both
name features; or when the readers refuse its table. A finding of something else does not count. For some kinds no
audit of the files can know: they are audited all the same, and the reason is given.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from finnex.audit import AuditReport, Finding, audit
from finnex.errors import ConfigError, InputError, nearest
from finnex.exam.kinds import ALL, HONEST, LEAKS
from finnex.exam.plant import Kind, Planted
from finnex.exam.random_market import random_market, write_market
from finnex.store import ImageStore

Outcome = Literal["caught", "caught elsewhere", "missed", "cannot be known", "no alarm", "false alarm"]
Audit = Callable[..., AuditReport]
Progress = Callable[[int, int, str], None]
AUDITED = 4
"""Random sessions that an audit of the exam rebuilds, in addition to those it always rebuilds."""
SESSIONS = 420


@dataclass(frozen=True)
class ExamAnswer:
    """Result of the audit of one kind.

    Attributes
    ----------
    right
        The findings that name what is wrong, each as 'kind (table: features)'.
    wrong
        The other findings: of a leak, all that do not name it; of honest data, every finding.
    why
        Of a kind that cannot be known, why; else ''.
    """

    kind: str
    about: str
    listed: bool
    outcome: Outcome
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    why: str
    seconds: float


@dataclass(frozen=True)
class ExamReport:
    """All answers of an exam, in the order of the kinds."""

    sessions: int
    seed: int
    answers: tuple[ExamAnswer, ...]

    def of(self, *outcomes: Outcome) -> tuple[ExamAnswer, ...]:
        """Return the answers with one of some outcomes."""
        return tuple(one for one in self.answers if one.outcome in outcomes)

    @property
    def passed(self) -> bool:
        """Whether every leak that can be known was caught, and nothing honest raised an alarm."""
        return not self.of("caught elsewhere", "missed", "false alarm")

    @property
    def summary(self) -> str:
        """One line of figures."""
        caught, unknown = self.of("caught"), self.of("cannot be known")
        missed, honest = self.of("missed", "caught elsewhere"), self.of("no alarm", "false alarm")
        parts = []
        if leaks := len(self.answers) - len(honest):
            parts.append(
                f"{len(caught)} of {leaks} kinds caught, {len(unknown)} cannot be known, {len(missed)} missed."
            )
        if honest:
            parts.append(f"{len(self.of('false alarm'))} of {len(honest)} honest kinds raised a false alarm.")
        return " ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report in plain types, for JSON."""
        return {
            "passed": self.passed,
            "summary": self.summary,
            "sessions": self.sessions,
            "seed": self.seed,
            "answers": [asdict(one) for one in self.answers],
        }


@dataclass(frozen=True)
class NullAnswer:
    """Result of the audit of one clean market; every finding is a false alarm."""

    seed: int
    sessions: int
    alarms: tuple[str, ...]
    seconds: float


def run_exam(
    kinds: Iterable[str] | None = None,
    sessions: int = SESSIONS,
    seed: int = 0,
    *,
    honest: bool = False,
    ask: Audit = audit,
    on_progress: Progress | None = None,
) -> ExamReport:
    """Plant each kind in a random market, audit it from its files, and judge what was found.

    Parameters
    ----------
    kinds
        Names; absent, every leak.
    sessions, seed
        Of the markets; each kind draws its own noise from the seed and its name.
    honest
        Add every honest kind.
    ask
        The audit.
    on_progress
        Called with the kinds done, all, and the kind that is asked about.

    Returns
    -------
    ExamReport
        An answer for each kind, in order.

    Raises
    ------
    ConfigError
        There is no kind of a name; says the nearest.
    """
    chosen = _chosen(kinds, honest=honest)
    answers = []
    for number, one in enumerate(chosen):
        if on_progress is not None:
            on_progress(number, len(chosen), one.name)
        answers.append(_ask(one, sessions, seed, ask))
    return ExamReport(sessions, seed, tuple(answers))


def _chosen(kinds: Iterable[str] | None, *, honest: bool) -> tuple[Kind, ...]:
    names = list(LEAKS) if kinds is None else list(dict.fromkeys(kinds))
    if unknown := [name for name in names if name not in ALL]:
        raise ConfigError(f"there is no kind '{unknown[0]}'. {nearest(unknown[0], ALL)}")
    return tuple(ALL[name] for name in dict.fromkeys([*names, *(HONEST if honest else ())]))


def plant(one: Kind, sessions: int, seed: int) -> Planted:
    """Return a kind planted in a random market of its exchange."""
    market = random_market(sessions, seed, one.exchange, enhanced=one.enhanced)
    return one.plant(market, np.random.default_rng([seed, zlib.crc32(one.name.encode())]))


def _ask(one: Kind, sessions: int, seed: int, ask: Audit) -> ExamAnswer:
    planted = plant(one, sessions, seed)
    with tempfile.TemporaryDirectory(prefix="finnex-exam-") as folder:
        began = time.perf_counter()
        try:
            findings = ask_about(planted, Path(folder), seed, ask).findings
        except InputError as error:
            findings = refused(error)
        seconds = time.perf_counter() - began
    return judge(one, findings, seconds)


def refused(error: InputError) -> tuple[Finding, ...]:
    """Return a refusal of the files as findings, one per table. A leak that is refused does no harm."""
    first = {Path(problem.file).stem: problem for problem in reversed(error.problems)}
    return tuple(Finding("refused", table, (), str(problem), problem.remedy) for table, problem in first.items())


def ask_about(planted: Planted, folder: Path, seed: int, ask: Audit = audit) -> AuditReport:
    """Write what was planted into a folder, and return what the audit says of it.

    Parameters
    ----------
    planted
        Tables, settings and code to audit.
    folder
        Folder to write into.
    seed
        Seed of the audit.
    ask
        The audit.

    Returns
    -------
    AuditReport
        What the audit reports.
    """
    config = write_market(folder, planted.tables, planted.settings, planted.zone)
    more: dict[str, Any] = {}
    if planted.vintage is not None:
        later = replace(planted.tables, enhanced=planted.vintage)
        write_market(folder / "later", later, planted.settings, planted.zone)
        more["vintage"] = folder / "later" / "enhanced.csv"
    if planted.store is not None:
        more["store"] = ImageStore.open(planted.store(config))
    return ask(config, sessions=AUDITED, seed=seed, make=planted.make, labels=planted.labels, **more)


def judge(one: Kind, findings: Sequence[Finding], seconds: float = 0.0) -> ExamAnswer:
    """Return what became of a kind, from the findings alone."""
    right = tuple(_words(finding) for finding in findings if not one.honest and names(one, finding))
    wrong = tuple(_words(finding) for finding in findings if one.honest or not names(one, finding))
    outcome: Outcome
    if one.honest:
        outcome = "false alarm" if findings else "no alarm"
    elif right:
        outcome = "caught"
    elif one.unknowable:
        outcome = "cannot be known"
    else:
        outcome = "caught elsewhere" if wrong else "missed"
    why = one.unknowable if outcome == "cannot be known" else ""
    return ExamAnswer(one.name, one.about, one.listed, outcome, right, wrong, why, round(seconds, 2))


def names(one: Kind, finding: Finding) -> bool:
    """Return whether a finding names what is wrong in a kind."""
    table = not one.tables or finding.table in one.tables
    named = one.features and (finding.features or not one.tables)
    feature = not named or any(name.startswith(one.features) for name in finding.features)
    return table and feature


def _words(finding: Finding) -> str:
    shown = ", ".join(finding.features[:3]) + (", ..." if len(finding.features) > 3 else "")
    return f"{finding.kind} ({finding.table}{': ' if shown else ''}{shown})"


def null_market(seed: int, sessions: int, ask: Audit = audit) -> NullAnswer:
    """Audit one clean market from its files."""
    market = random_market(sessions, seed)
    planted = Planted(market.tables, market.settings)
    with tempfile.TemporaryDirectory(prefix="finnex-exam-") as folder:
        began = time.perf_counter()
        report = ask_about(planted, Path(folder), seed, ask)
        seconds = time.perf_counter() - began
    return NullAnswer(seed, sessions, tuple(_words(finding) for finding in report.findings), round(seconds, 2))


def null_sizes(markets: int, sessions: tuple[int, int], seed: int) -> list[tuple[int, int]]:
    """Return seed and number of sessions of each clean market: sizes evenly drawn between two bounds."""
    sizes = np.random.default_rng(seed).integers(sessions[0], sessions[1] + 1, markets)
    return [(seed * 1_000_000 + number, int(size)) for number, size in enumerate(sizes)]


def run_null(
    markets: int = 100,
    sessions: tuple[int, int] = (260, 1000),
    seed: int = 0,
    *,
    ask: Audit = audit,
    on_progress: Progress | None = None,
) -> tuple[NullAnswer, ...]:
    """Audit clean random markets: any finding in them is a false alarm.

    Parameters
    ----------
    markets
        Number of markets.
    sessions
        Least and most sessions of a market; sizes are drawn evenly between them.
    seed
        Decides sizes and markets.
    ask
        The audit.
    on_progress
        Called with the markets done, all, and the size of the next.

    Returns
    -------
    tuple of NullAnswer
        An answer for each market, in order.
    """
    found = []
    for number, (own_seed, size) in enumerate(null_sizes(markets, sessions, seed)):
        if on_progress is not None:
            on_progress(number, markets, f"{size} sessions")
        found.append(null_market(own_seed, size, ask))
    return tuple(found)
