"""`finnex fetch`."""

from __future__ import annotations

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
    from finnex.fetching.fred import SERIES
    from finnex.fetching.sources import SOURCES

    for symbol in symbols:
        try:
            checked_symbol(symbol)
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
    chosen = tuple(dict.fromkeys(symbols))
    wanted = Wanted(
        chosen, first, last, tuple(dict.fromkeys(series or SERIES)), tuple(dict.fromkeys(source or SOURCES)), funds
    )
    with progress_bar("Fetching") as show:
        done = fetch_tables(wanted, to, offline=offline, report=show)
    config = _configuration(to, chosen)
    for failure in done.failures:
        err().print(f"failed: {failure}")
    if as_json:
        print_json(
            {
                "tables": done.tables, "failures": done.failures, "requests": done.asked,
                "closed": done.closed, "config": None if config is None else str(config[0]),
            }
        )  # fmt: skip
    else:
        rows = ", ".join(f"{name} {count} rows" for name, count in done.tables.items())
        out().print(f"{to}: {rows or 'no table written'}; {done.asked} requests, sessions closed until {done.closed}.")
        if config is not None:
            out().print(f"{config[1]} Draw images: finnex build --config {config[0]}")
    if not done.tables and not done.failures:
        raise FetchError(f"nothing was fetched into {to}. Choose other dates or sources.")
    if done.failures:
        raise typer.Exit(2)


def _configuration(folder: Path, symbols: tuple[str, ...]) -> tuple[Path, str] | None:
    """Write the configuration where there is none; return it with a sentence on it, None where there are no prices."""
    from finnex.cli.template import FILE, configuration_text, write_new

    path = folder / FILE
    tables = {name: f"{name}.csv" for name in ("prices", "macro", "fundamentals", "splits")}
    there = {name: file for name, file in tables.items() if (folder / file).exists()}
    if "prices" not in there:
        return None
    if path.exists():
        return path, f"{path} is kept as it is; name new symbols and tables in it."
    write_new(path, configuration_text(there, symbols))
    return path, f"Wrote {path}."
