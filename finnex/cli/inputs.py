"""`finnex inputs`: what each table gives, how its files were read, and which features nothing feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    SymbolOption,
    check_symbols,
    err,
    print_bad,
    print_json,
    print_warnings,
    print_wrapped,
)

if TYPE_CHECKING:
    from finnex.data.remarks import FileReport
    from finnex.pipeline.inputs_report import TableReport

FILES_SHOWN, SENTENCES_SHOWN = 3, 6


def inputs(
    config: ConfigOption,
    symbol: SymbolOption = None,
    every: Annotated[bool, typer.Option("--all", help="Print every file, note, name and feature.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how each input file is read: rows, symbols, dates, columns, what was detected, and features without a value.

    Features are asked of the configured symbols, of the first twenty where there are more. What changes values or may
    be wrong is printed last, as a warning, as `build` does.
    """
    from finnex.config import load_config
    from finnex.data.bad_companies import rows_of
    from finnex.pipeline import read_run
    from finnex.pipeline.inputs_report import MOST_SYMBOLS, inputs_report

    settings = load_config(config)
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}")
    with err().status("Reading the inputs"):
        run = read_run(settings)
        left = run.config.symbols  # without those that are left out
        asked = tuple(one for one in chosen if one in left) or left[:MOST_SYMBOLS]
        found = inputs_report(run, asked, every=every)
    if as_json:
        print_json(_answer(found, asked, run.warnings) | {"left_out": rows_of(run.bad)})
        return
    for table in found:
        if table.files:
            print_wrapped(_lines_of(table, every=every))
    print_wrapped(_features(found, asked, len(left), every=every))
    print_warnings(run.warnings)
    print_bad(run.bad)


def _answer(found: Sequence[TableReport], asked: Sequence[str], warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "tables": {
            table.table: {
                "files": [_file(one) for one in table.files],
                "synthetic": table.synthetic,
                "features_without_a_value": list(table.unfed),
                "missing": table.lacks,
                "features_without_a_value_for": {name: list(those) for name, those in table.partly.items()},
            }
            for table in found
        },
        "asked_symbols": list(asked),
        "warnings": list(warnings),
    }


def _file(one: FileReport) -> dict[str, Any]:
    return {
        "path": str(one.path), "kind": one.kind, "detected": list(one.detected),
        "notes": list(one.notes), "said": list(one.said),
        "rows": one.rows, "rows_kept": one.kept, "names": list(one.names), "first": one.first, "last": one.last,
        "columns": dict(one.used), "columns_ignored": list(one.ignored), "columns_not_read": list(one.unread),
        "rows_of_other_symbols": dict(one.others),
    }  # fmt: skip


def _lines_of(table: TableReport, *, every: bool) -> Iterator[tuple[int, str]]:
    """Yield the lines of a table, each with its indentation."""
    names = sorted({name for one in table.files for name in one.names})
    days = [day for one in table.files for day in (one.first, one.last) if day is not None]
    of = "series" if table.table == "macro" else "events" if table.table == "events" else "symbols"
    synthetic = " SYNTHETIC" if table.synthetic else ""
    files = "" if len(table.files) == 1 else f" in {len(table.files)} files"
    span = f"; {min(days)} to {max(days)}" if days else ""
    yield 0, f"{table.table}{synthetic}: {_rows(table.table, table.files, files)}{span}"
    yield 2, f"{of}: {_some(names, 10, every=every)}"
    shown = table.files if every else table.files[:FILES_SHOWN]
    for one in shown:
        yield from _lines_of_file(one, alone=len(table.files) == 1, every=every)
    if left := len(table.files) - len(shown):
        yield 2, f"and {left} more file{'' if left == 1 else 's'}; --all lists them"
    yield 0, ""


def _rows(table: str, files: Sequence[FileReport], where: str = "") -> str:
    """Return how many rows some files have, and how many of them are used, or what they become."""
    rows, kept = sum(one.rows for one in files), sum(one.kept for one in files)
    if kept <= rows:
        return f"{rows:,} rows{where}, {kept:,} used"
    names = len({name for one in files for name in one.names})
    if table == "prices":
        return f"{rows:,} rows{where}: {kept:,} bars of {names} companies"
    return f"{rows:,} rows{where}: {kept:,} values" + (f" of {names} series" if table == "macro" else "")


def _lines_of_file(one: FileReport, *, alone: bool, every: bool) -> Iterator[tuple[int, str]]:
    from finnex.data.remarks import Caution

    yield 2, f"{one.path.name} ({one.kind})" + ("" if alone else f": {_rows(one.table, [one])}")
    if one.detected:
        yield 4, f"detected: {', '.join(one.detected)}"
    for note in one.notes:
        yield 4, f"it {note}"
    own = [sentence for sentence in one.said if every or not isinstance(sentence, Caution)]
    shown = own if every else own[:SENTENCES_SHOWN]
    for sentence in shown:
        yield 4, sentence
    if left := len(own) - len(shown):
        yield 4, f"and {left} more such sentence{'' if left == 1 else 's'}; --all prints them"
    if renamed := [f"{ours} is '{theirs}'" for ours, theirs in one.used.items() if ours != theirs]:
        yield 4, f"columns: {', '.join(renamed)}"
    if one.ignored:
        yield 4, f"left out on purpose: {_some(one.ignored, 12, every=every)}"
    if one.unread:
        yield 4, f"not read: {_some(one.unread, 12, every=every)}"
    if one.others:
        most = sorted(one.others, key=lambda name: -one.others[name])
        yield 4, f"of other symbols: {sum(one.others.values()):,} rows ({_some(most, 5, every=every)})"


def _features(
    found: Sequence[TableReport], asked: Sequence[str], configured: int, *, every: bool
) -> Iterator[tuple[int, str]]:
    """Yield what is said of features without a value."""
    of = _some(asked, 10) if len(asked) == configured else f"{len(asked)} of {configured} symbols"
    lacking = [table for table in found if table.unfed]
    if not lacking:
        yield 0, f"Every feature has a value on some session ({of})."
    else:
        yield 0, f"Features without a value on any session ({of}); they are drawn as 'not known':"
    for table in lacking:
        yield 2, f"{table.table}: {len(table.unfed)}: {_some(table.unfed, 8, every=every)}"
        if table.lacks:
            yield 4, f"missing: {table.lacks}"
    for table in found:
        shown = list(table.partly.items()) if every else list(table.partly.items())[:FILES_SHOWN]
        for name, symbols in shown:
            yield 2, f"{table.table}: {name}: without a value for {_some(symbols, 5, every=every)}"
        if left := len(table.partly) - len(shown):
            yield 2, f"{table.table}: and {left} more feature{'' if left == 1 else 's'} that some symbols lack; --all"


def _some(names: Sequence[str], most: int, *, every: bool = False) -> str:
    shown = names if every else names[:most]
    text = ", ".join(shown)
    return text if len(names) == len(shown) else f"{text} and {len(names) - len(shown)} more"
