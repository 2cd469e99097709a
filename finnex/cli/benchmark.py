"""`finnex benchmark`: exams of what FinNeX says, with planted cases whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import JsonOption, out, print_json, progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from finnex.exam.exam import ExamReport

benchmark = typer.Typer(
    help="Examine FinNeX itself on planted cases whose answers are known.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
MARKS = {"caught": "green", "no alarm": "green", "cannot be known": "yellow"}


@benchmark.callback()
def group() -> None:
    """Keep `leaks` a command of the group: typer would let a single one take its place."""


@benchmark.command()
def leaks(
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME", help="Only this kind; repeat for more.  [default: every leak]"),
    ] = None,
    honest: Annotated[bool, typer.Option("--honest", help="Ask about honest data that look like a leak, too.")] = False,
    sessions: Annotated[int, typer.Option(min=260, max=1000, help="Sessions of each market.")] = 420,
    seed: Annotated[int, typer.Option(min=0, help="Decides the markets and what is planted in them.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Plant leaks in random markets, one a market, and say which of them `finnex audit` catches.

    Exit code 1 where a leak that can be known is missed, or honest data raise an alarm.
    """
    from finnex.exam.exam import run_exam

    with progress_bar("Examining") as show:
        report = run_exam(kind or None, sessions, seed, honest=honest, on_progress=show)
    if as_json:
        print_json(report.as_dict())
    else:
        _print(out(), report)
    if not report.passed:
        raise typer.Exit(1)


def _print(screen: Console, report: ExamReport) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from finnex.cli.plain_console import coloured

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))  # fits into 80 columns
    table.add_column("kind", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("seconds", no_wrap=True, justify="right")
    for one in report.answers:
        color = MARKS.get(one.outcome, "bold red")
        table.add_row(one.kind, coloured(one.outcome, color), f"{one.seconds:.0f}")
    screen.print(table)
    for one in report.of("missed", "caught elsewhere", "cannot be known", "false alarm"):
        screen.print(f"{one.kind}: {one.outcome}. {one.about}", soft_wrap=False)
        if one.why:
            screen.print(f"   It cannot be known, because {one.why}", soft_wrap=False)
        for finding in one.wrong:
            screen.print(f"   Found: {finding}.", soft_wrap=False)
    screen.print(f"\n{report.summary} (Markets of {report.sessions} sessions, seed {report.seed}.)", soft_wrap=False)
