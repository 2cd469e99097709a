"""`finnex audit`: whether anything in the images was not known at its decision time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    SymbolOption,
    check_symbols,
    out,
    print_bad,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from finnex.audit import Answer, AuditReport


MOST_SYMBOLS = 6
"""Number of companies whose next-filing questions the terminal prints; JSON has those of all."""


def audit(
    config: ConfigOption,
    sessions: Annotated[int, typer.Option(min=1, help="Random sessions of each symbol to rebuild.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the sessions and the scrambling.")] = 0,
    symbol: SymbolOption = None,
    vintage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A later vintage of the enhanced file: published values must not differ."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild sampled sessions from tables with an altered future, and name every feature and row that leaks.

    Exit code 1 on any finding. What is not shown is listed by name. Published images are drawn again, where there is a
    store.
    """
    from finnex.audit import audit as run_audit
    from finnex.config import load_config
    from finnex.store import ImageStore, holds_a_store

    settings = load_config(config)
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}")
    with progress_bar("Auditing") as show:
        report = run_audit(
            settings,
            sessions=sessions,
            seed=seed,
            symbols=chosen or None,
            vintage=vintage,
            on_progress=show,
            store=ImageStore.open(settings.store.path) if holds_a_store(settings.store.path) else None,
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(out(), report)
    print_bad(report.left_out)
    if not report.passed:
        raise typer.Exit(1)


def _print(screen: Console, report: AuditReport) -> None:
    from rich.table import Table

    from finnex.cli.plain_console import coloured

    tables = Table("table", "computation", "dates", "foreknowledge", title="tables", title_justify="left")
    for verdict in report.tables:
        answers = (verdict.computation, verdict.availability, verdict.foreknowledge)
        tables.add_row(verdict.name, *(_colour(_text(one)) for one in answers))
    screen.print(tables)
    groups: dict[tuple[bool, str, str, str], list[str]] = {}
    for verdict in report.features:
        # Figures in the evidence of foreknowledge differ from feature to feature; the words do not.
        key = (verdict.leaks, _text(verdict.computation), verdict.availability.word, verdict.foreknowledge.word)
        groups.setdefault(key, []).append(verdict.name)
    features = Table("features", "computation", "dates", "foreknowledge", title="features", title_justify="left")
    for (leaks, computation, dates, known), names in sorted(groups.items(), key=lambda item: not item[0][0]):
        listed = ", ".join(names) if leaks or len(names) <= 4 else f"{', '.join(names[:3])}, ..."
        features.add_row(f"{len(names)}: {listed}", *(_colour(one) for one in (computation, dates, known)))
    screen.print(features)
    notes = Table("not shown", "why", title="what no audit of these tables can show", title_justify="left")
    for name, meaning in report.caveats.items():
        notes.add_row(name, meaning)
    screen.print(notes)
    for number, finding in enumerate(report.findings, start=1):
        screen.print(coloured(f"\n{number}. {finding.kind}", "bold red"), f"in {finding.table}")
        screen.print(f"   {finding.evidence}")
        if len(finding.features) > 6:
            screen.print(f"   Features: {', '.join(finding.features)}.")
        for row in finding.rows:
            screen.print(f"   Row: {row}")
        screen.print(f"   {finding.remedy}")
    found = "1 finding" if len(report.findings) == 1 else f"{len(report.findings) or 'No'} findings"
    counts, days = report.counts(), sum(len(days) for days in report.sessions.values())
    screen.print(
        f"\n{found} at {days} sessions of {', '.join(report.sessions)} (seed {report.seed}); {report.store}.\n"
        f"Features: {counts['causal']} causal at the sessions compared, {counts['leak']} leak, "
        f"{counts['not shown']} not shown; {counts['implausible']} implausibly dated; "
        f"{counts['foreknowing']} foreknowing. "
        f"{report.rebuilds} rebuilds in {report.seconds:.0f} s."
    )
    for symbol, asked in [*report.next_filing.items()][:MOST_SYMBOLS]:
        screen.print(f"Figures of the next filing, {symbol}: {asked}.")
    if len(report.next_filing) > MOST_SYMBOLS:
        screen.print(f"Of {len(report.next_filing) - MOST_SYMBOLS} more symbols: --json.")


def _text(one: Answer) -> str:
    return f"{one.word}: {one.evidence}"


def _colour(text: str) -> Text:
    """Return an answer in the colour of its word."""
    from finnex.cli.plain_console import coloured

    word = text.split(":", maxsplit=1)[0]
    if word in ("leak", "implausible", "foreknowing"):
        return coloured(text, "bold red")
    return coloured(text, "green" if word in ("causal", "as claimed", "none found") else "yellow")
