"""`finnex fetch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.terminal import JsonOption, err, out, parse_date, print_json, progress_bar


def fetch(
    symbols: Annotated[
        list[str], typer.Argument(metavar="SYMBOL...", help="Companies, as Yahoo spells them: AAPL, BRK-B.")
    ],
    start: Annotated[str, typer.Option(metavar="DATE", help="First session of bars, YYYY-MM-DD.")],
    end: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Last session of bars, and last day of releases and filings.  [default: the last that has closed]",
            show_default=False,
        ),
    ] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables; made when absent.")] = Path("inputs"),
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this source: yahoo, fred or sec; repeat for more.  [default: all]",
            show_default=False,
        ),
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this series of FRED; repeat for more.  [default: all that features read]",
            show_default=False,
        ),
    ] = None,
    funds: Annotated[bool, typer.Option(help="Bars of the sector and reference funds that features read.")] = True,
    offline: Annotated[
        bool, typer.Option("--offline", help="Make the tables from answers that are kept; ask no source.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download input tables from Yahoo Finance, FRED and the SEC, with a finnex.toml that is ready for `build`.

    Needs the extra finnex[fetch], a key of FRED in FRED_API_KEY, and your name and e-mail address for the SEC in
    EDGAR_IDENTITY. Answers are kept: the same command run again asks only for what is missing.
    """
    from finnex.config.symbol import checked_symbol
    from finnex.errors import ConfigError, FetchError, nearest
    from finnex.fetching.fetch import Wanted
    from finnex.fetching.fetch import fetch as fetch_tables
    from finnex.fetching.fred import SERIES, checked_series
    from finnex.fetching.sources import SOURCES

    try:
        chosen = tuple(dict.fromkeys(checked_symbol(symbol.upper()) for symbol in symbols))
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    for name in source or []:
        if name not in SOURCES:
            raise ConfigError(f"--source: '{name}' is no source. {nearest(name, SOURCES)}")
    first, last = parse_date(start, "--start"), parse_date(end, "--end")
    if first is None:  # the option is required
        raise ConfigError("--start is missing. Write it as YYYY-MM-DD.")
    if last is not None and first > last:
        raise ConfigError(f"the range is empty: --start {first} is after --end {last}. Swap the two dates.")
    sources = tuple(name for name in SOURCES if not source or name in source)
    wanted = Wanted(chosen, first, last, checked_series(series or SERIES), sources, funds)
    with progress_bar("Fetching") as show:
        done = fetch_tables(wanted, to, offline=offline, report=show)
    config = configuration(to, done.priced)
    for failure in done.failures:
        err().print(f"failed: {failure}")
    for note in done.notes:
        err().print(f"note: {note}")
    if as_json:
        print_json(
            {
                "tables": done.tables, "failures": done.failures, "notes": done.notes, "requests": done.asked,
                "days": done.days, "config": None if config is None else str(config[0]),
            }
        )  # fmt: skip
    else:
        rows = ", ".join(f"{name} {count} rows" for name, count in done.tables.items())
        days = ", ".join(f"{SOURCES[name].title} until {day}" for name, day in done.days.items())
        out().print(f"{to}: {rows or 'no table written'}; {done.asked} requests; {days or 'no source answered'}.")
        if config is not None:
            out().print(f"{config[1]} Draw images: finnex build --config {config[0]}")
    if not done.tables and not done.failures:
        raise FetchError(f"nothing was fetched into {to}. Choose other dates, symbols or sources.")
    if done.failures:
        raise typer.Exit(2)


def configuration(folder: Path, symbols: Sequence[str]) -> tuple[Path, str] | None:
    """Write the configuration of fetched tables where there is none; one that exists is kept.

    Parameters
    ----------
    folder
        Of the tables.
    symbols
        Companies that have bars there.

    Returns
    -------
    tuple of Path and str, or None
        The configuration and a sentence on what was done with it; None where no company has bars.
    """
    from finnex.cli.template import FILE, configuration_text, write_new

    path = folder / FILE
    tables = {name: f"{name}.csv" for name in ("prices", "macro", "fundamentals", "splits")}
    there = {name: file for name, file in tables.items() if (folder / file).exists()}
    if not symbols:
        return None
    if path.exists():
        return path, f"{path} is kept as it is{_lacking(path, there, symbols)}."
    write_new(path, configuration_text(there, symbols))
    return path, f"Wrote {path}."


def _lacking(path: Path, tables: Mapping[str, str], symbols: Sequence[str]) -> str:
    """Return what a configuration does not name yet, '' where it names all."""
    import tomllib

    try:
        said = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        named, inputs = list(said.get("symbols", [])), dict(said.get("inputs", {}))
    except (OSError, ValueError, TypeError):
        return ", though it cannot be read"
    lacks = [f'{name} = "{file}" in its [inputs]' for name, file in tables.items() if name not in inputs]
    if new := [symbol for symbol in symbols if symbol not in named]:
        lacks.append(f"{', '.join(new)} in its symbols")
    return f"; add {' and '.join(lacks)}" if lacks else ""
