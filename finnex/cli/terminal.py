"""What all commands share: the one door to the terminal, dates, and the options that repeat.

Every text that a command prints goes through `out`, `err`, `print_error` or `progress_bar`, which print it as it is: no
markup is read in it, and control characters are made visible (`finnex.plain_text`).
"""

from __future__ import annotations

import difflib
import json
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.errors import ConfigError
from finnex.plain_text import plain_text

if TYPE_CHECKING:
    from rich.console import Console

    from finnex.data.bad_companies import BadCompany

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", help="The run configuration; `finnex init DIR` writes one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Folder of databases, artifacts and logs.  [default: that of the configuration; without one, "
        "$FINNEX_HOME or ./state]",
        show_default=False,
    ),
]
SymbolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        "-s",
        metavar="SYMBOL",
        help="Only this symbol; repeat for more.  [default: all of the configuration]",
        show_default=False,
    ),
]

WIDTH = 80
"""Columns of text that is wrapped."""

Progress = Callable[[int, int, str], None]
"""Called with the number of steps done, the number in all, and the current step in words."""


def out() -> Console:
    """Return the console of results: stdout."""
    from finnex.cli.plain_console import PlainConsole

    return PlainConsole()


def err() -> Console:
    """Return the console of everything else: stderr."""
    from finnex.cli.plain_console import PlainConsole

    return PlainConsole(stderr=True)


def print_error(message: object) -> None:
    """Print the one message of a command that failed, on stderr and without loading Rich."""
    print(plain_text(f"finnex: {message}"), file=sys.stderr)


def print_wrapped(lines: Iterable[tuple[int, str]], console: Console | None = None) -> None:
    """Print lines, on stdout unless a console is given, each with its indentation, wrapped at `WIDTH` columns."""
    for indent, text in lines:
        room = " " * indent
        parts = textwrap.wrap(
            text, WIDTH - indent, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        for part in parts or [""]:
            (console or out()).print(room + part)


def print_warnings(warnings: Iterable[str], notes: Sequence[str] = (), config: Path | None = None) -> None:
    """Print what is odd about inputs on stderr, in every command alike, and in one line how many notes there are.

    Parameters
    ----------
    warnings
        Sentences.
    notes
        On how files are read; `finnex inputs` prints them.
    config
        The configuration whose notes they are.
    """
    from finnex.data.remarks import where_notes_are

    for warning in warnings:
        err().print(f"warning: {warning}")
    if notes:
        err().print(where_notes_are(notes, f"finnex inputs --config {shlex.quote(str(config))}"))


def print_bad(bad: Sequence[BadCompany]) -> None:
    """Print on stderr which companies a run left out and why, a line for each kind of problem; nothing without any."""
    from finnex.data.bad_companies import sentences, title

    if bad:
        print_wrapped([(0, f"warning: {title(bad)}"), *((2, sentence) for sentence in sentences(bad))], err())


def ask(question: str) -> bool:
    """Return whether a person at the terminal agrees."""
    return typer.confirm(plain_text(question))


def print_json(answer: Mapping[str, object]) -> None:
    """Print the one JSON object of a command called with --json."""
    typer.echo(json.dumps(answer, indent=2, default=str))


@contextmanager
def progress_bar(title: str, *, counted: bool = True) -> Iterator[Progress]:
    """Show a bar on stderr for as long as the block lasts; hidden where stderr is no terminal.

    Parameters
    ----------
    counted
        Show 'done/total'; else a percentage.

    Yields
    ------
    callable
        Takes (done, total, what). The bar turns into a spinner while the total is 0.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bar

    from finnex.cli.plain_console import PlainColumn

    console = err()
    columns = (
        *(SpinnerColumn(), PlainColumn("description"), BarColumn(bar_width=30)),
        MofNCompleteColumn() if counted else TaskProgressColumn(),
        *(TimeElapsedColumn(), PlainColumn("what", "dim")),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, what="")

        def show(done: int, total: int, what: str = "") -> None:
            bar.update(task, completed=done, total=total or None, what=what)

        yield show


def parse_date(text: str | None, option: str) -> date | None:
    """Return an option's date.

    Raises
    ------
    ConfigError
        It is no calendar day written YYYY-MM-DD.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{option}: '{text}' is not a date. Write it as YYYY-MM-DD, such as 2015-03-31.") from None


def check_symbols(wanted: list[str], known: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return `wanted` without repetition.

    Raises
    ------
    ConfigError
        One is not among `known`; the message suggests the nearest.
    """
    for symbol in wanted:
        if symbol not in known:
            near = difflib.get_close_matches(symbol.upper(), known, n=1, cutoff=0.4)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known[:12])}."
            raise ConfigError(f"symbol '{symbol}' is not in {where}. {hint}")
    return tuple(dict.fromkeys(wanted))


def print_scores(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a model and its baselines, with the number of sessions they were judged on."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)  # fits into 80 columns
    for heading in ("model", "accuracy", "95 % interval", "sessions", "rows"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "model" else "right")
    for row in rows:
        interval = "none" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        counts = (str(row["test_sessions"]), str(row["test_predictions"]))
        table.add_row(str(row["model"]), f"{row['accuracy']:.3f}", interval, *counts)
    screen.print(table)


def print_trading(screen: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what acting on predictions would have earned, with the words of the names in the report and MLflow."""
    from rich.box import SIMPLE
    from rich.table import Table

    if not rows:
        return
    names = ("volatility", "max_drawdown", "win_rate", "total_return", "turnover")
    table = Table(box=SIMPLE, pad_edge=False)  # fits into 80 columns
    table.add_column("model", max_width=16)
    for name in ("sharpe_ratio", *names):
        table.add_column(name.replace("_", "\n"), no_wrap=True, justify="right")
    for row in rows:
        figures = ["-" if row[name] is None else f"{row[name]:.2f}" for name in ("sharpe_ratio", *names)]
        if row["sharpe_ratio_low"] is not None:
            figures[0] += f"\n{row['sharpe_ratio_low']:.2f} to {row['sharpe_ratio_high']:.2f}"
        table.add_row(str(row["model"]).replace("_", " "), *figures)
    screen.print(table)
