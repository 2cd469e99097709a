"""`finnex inputs`: what each table gives, how its files were read, and which features nothing feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    SymbolOption,
    check_symbols,
    err,
    out,
    print_json,
    print_wrapped,
)

if TYPE_CHECKING:
    from finnex.data.remarks import FileReport
    from finnex.pipeline.inputs_report import TableReport

FILES_SHOWN, SENTENCES_SHOWN = 3, 6


def inputs(config: ConfigOption, symbol: SymbolOption = None, as_json: JsonOption = False) -> None:
    """Show how each input file is read: rows, symbols, dates, columns, what was detected, and features without a value.

    Features are asked of the configured symbols, of the first twenty where there are more.
    """
    from finnex.config import load_config
    from finnex.pipeline import read_run
    from finnex.pipeline.inputs_report import MOST_SYMBOLS, inputs_report

    settings = load_config(config)
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}")
    asked = chosen or settings.symbols[:MOST_SYMBOLS]
    with err().status("Reading the inputs"):
        run = read_run(settings)
        found = inputs_report(run, asked)
    if as_json:
        print_json(_answer(found, asked, run.warnings))
        return
    console = out()
    for table in found:
        if table.files:
            print_wrapped(_lines_of(table))
    print_wrapped(_features(found, asked, len(settings.symbols)))
    for warning in run.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)


def _answer(found: Sequence[TableReport], asked: Sequence[str], warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "tables": {
            table.table: {
                "files": [_file(one) for one in table.files],
                "synthetic": table.synthetic,
                "features_without_a_value": list(table.unfed),
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


def _lines_of(table: TableReport) -> Iterator[tuple[int, str]]:
    """Yield the lines of a table, each with its indentation."""
    rows, kept = sum(one.rows for one in table.files), sum(one.kept for one in table.files)
    names = sorted({name for one in table.files for name in one.names})
    days = [day for one in table.files for day in (one.first, one.last) if day is not None]
    of = "series" if table.table == "macro" else "events" if table.table == "events" else "symbols"
    synthetic = " SYNTHETIC" if table.synthetic else ""
    files = "" if len(table.files) == 1 else f" in {len(table.files)} files"
    span = f"; {min(days)} to {max(days)}" if days else ""
    yield 0, f"{table.table}{synthetic}: {rows:,} rows{files}, {kept:,} used{span}"
    yield 2, f"{of}: {_some(names, 10)}"
    for one in table.files[:FILES_SHOWN]:
        yield from _lines_of_file(one, alone=len(table.files) == 1)
    if len(table.files) > FILES_SHOWN:
        yield 2, f"and {len(table.files) - FILES_SHOWN} more files; --json lists them all"
    yield 0, ""


def _lines_of_file(one: FileReport, *, alone: bool) -> Iterator[tuple[int, str]]:
    yield 2, f"{one.path.name} ({one.kind})" + ("" if alone else f": {one.rows:,} rows, {one.kept:,} used")
    if one.detected:
        yield 4, f"detected: {', '.join(one.detected)}"
    for note in one.notes:
        yield 4, f"it {note}"
    for sentence in one.said[:SENTENCES_SHOWN]:
        yield 4, sentence
    if len(one.said) > SENTENCES_SHOWN:
        yield 4, f"and {len(one.said) - SENTENCES_SHOWN} more such sentences; --json has them all"
    if renamed := [f"{ours} is '{theirs}'" for ours, theirs in one.used.items() if ours != theirs]:
        yield 4, f"columns: {', '.join(renamed)}"
    if one.ignored:
        yield 4, f"left out on purpose: {_some(one.ignored, 12)}"
    if one.unread:
        yield 4, f"not read: {_some(one.unread, 12)}"
    if one.others:
        most = sorted(one.others, key=lambda name: -one.others[name])
        yield 4, f"of other symbols: {sum(one.others.values()):,} rows ({_some(most, 5)})"


def _features(found: Sequence[TableReport], asked: Sequence[str], configured: int) -> Iterator[tuple[int, str]]:
    """Yield what is said of features without a value."""
    of = _some(asked, 10) if len(asked) == configured else f"{len(asked)} of {configured} symbols"
    lacking = [table for table in found if table.unfed]
    if not lacking:
        yield 0, f"Every feature has a value on some session ({of})."
    else:
        yield 0, f"Features without a value on any session ({of}); they are drawn as 'not known':"
    for table in lacking:
        why = "" if table.files or table.table == "calendar" else " (the table is not given)"
        yield 2, f"{table.table}{why}: {len(table.unfed)}: {_some(table.unfed, 8)}"
    for table in found:
        for name, symbols in list(table.partly.items())[:FILES_SHOWN]:
            yield 2, f"{table.table}: {name}: without a value for {_some(symbols, 5)}"
        if len(table.partly) > FILES_SHOWN:
            yield 2, f"{table.table}: and {len(table.partly) - FILES_SHOWN} more features that some symbols lack"


def _some(names: Sequence[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
