"""`finnex audit`: whether anything in the images knows what nobody knew."""

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
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from finnex.audit import AuditReport


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
    """Rebuild sampled sessions from tables with another future, and name every feature and row that leaks.

    Exit code 1 on any finding. What no comparison can show is listed as unprovable; it is never passed over.
    """
    from finnex.audit import audit as run_audit
    from finnex.config import load_config

    settings = load_config(config)
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}")
    with progress_bar("Auditing") as show:
        report = run_audit(
            settings, sessions=sessions, seed=seed, symbols=chosen or None, vintage=vintage, on_progress=show
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _print(out(), report)
    if not report.passed:
        raise typer.Exit(1)


def _print(screen: Console, report: AuditReport) -> None:
    from rich.table import Table

    from finnex.cli.plain_console import coloured

    tables = Table("table", "answer", "why", "not provable", title="tables", title_justify="left")
    for verdict in report.tables:
        tables.add_row(verdict.name, _word(verdict.verdict), verdict.reason, ", ".join(verdict.notes))
    screen.print(tables)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for verdict in report.features:
        # Figures in a reason differ from feature to feature; what is before them says why.
        key = (verdict.verdict, ", ".join(verdict.tables), verdict.reason.split(", known in")[0])
        groups.setdefault(key, []).append(verdict.name)
    features = Table("answer", "fed by", "features", "why", title="features", title_justify="left")
    for (word, fed, reason), names in sorted(groups.items(), key=lambda item: (item[0][0] == "proved", item[0])):
        listed = ", ".join(names) if word == "leak" or len(names) <= 4 else f"{', '.join(names[:3])}, ..."
        features.add_row(_word(word), fed, f"{len(names)}: {listed}", reason)
    screen.print(features)
    unprovable = Table("not provable", "why", title="what no audit of these tables can show", title_justify="left")
    for name, meaning in report.caveats.items():
        unprovable.add_row(name, meaning)
    screen.print(unprovable)
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
        f"\n{found} at {days} sessions of {', '.join(report.sessions)} (seed {report.seed}). "
        f"Features: {counts['proved']} proved, {counts['leak']} leak, {counts['unprovable']} unprovable. "
        f"{report.rebuilds} rebuilds in {report.seconds:.0f} s."
    )


def _word(verdict: str) -> Text:
    from finnex.cli.plain_console import coloured

    return coloured(verdict, {"leak": "bold red", "unprovable": "yellow"}.get(verdict, "green"))
