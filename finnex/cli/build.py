"""`finnex init` and `finnex build`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    Progress,
    SymbolOption,
    check_symbols,
    err,
    out,
    parse_date,
    print_bad,
    print_json,
    print_warnings,
    progress_bar,
)

if TYPE_CHECKING:
    from finnex.config import Config
    from finnex.pipeline import BuildResult

SYMBOLS_SHOWN = 5


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for finnex.toml; made when absent.")],
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file of bars, or a folder with a file for each symbol; relative to the current folder.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose file it is: yfinance, stooq, ... (docs/presets.md); or a TOML file, relative to the current "
            "folder as --prices is.",
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol",
            "-s",
            metavar="SYMBOL",
            help="What to draw; repeat for more. Of a file without symbols, its symbol.  [default: all of the file]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a commented finnex.toml with every key; a file that is there is never overwritten.

    With --prices the file of bars is read first, and named in the configuration with the symbols that it has.
    """
    from finnex.cli.new_run import new_run
    from finnex.cli.template import FILE, configuration_text, write_new
    from finnex.errors import ConfigError

    path = directory / FILE
    if prices is None:
        if preset or symbol:
            raise ConfigError("--preset and --symbol describe a file of prices. Name it too: --prices FILE.")
        write_new(path, configuration_text({"prices": "prices.csv"}, ["AAPL"]))
        out().print(f"Wrote {path}. Name your tables and symbols in it, then: finnex build --config {path}")
        return
    run = new_run(path, prices, preset, symbol)
    write_new(path, configuration_text({"prices": run.source}, run.symbols))
    shown = ", ".join(run.symbols[:5]) + (f" and {len(run.symbols) - 5} more" if len(run.symbols) > 5 else "")
    if run.said:
        out().print(run.said)
    out().print(f"Wrote {path} for {shown}. Draw with: finnex build --config {path}")


class _Counter:
    """Counts images company by company: the number to draw is known only when a company is prepared."""

    def __init__(self, show: Progress, companies: int) -> None:
        self._show, self._companies = show, companies
        self._due: dict[str, int] = {}
        self._done: Counter[str] = Counter()

    def start(self, symbol: str, due: int) -> None:
        self._due[symbol] = due
        self.count(symbol, 0)

    def count(self, symbol: str, images: int) -> None:
        self._done[symbol] += images
        of = f", {len(self._due)} of {self._companies}" if self._companies > 1 else ""
        self._show(self._done[symbol], self._due[symbol], f"{symbol}{of}")


def _speed(result: BuildResult) -> str:
    """Return how fast images were drawn: over the time of drawing alone, so not built over seconds."""
    return f", drawing at {result.images_per_second:.3g} images/s" if result.built else ""


def _sessions(settings: Config, symbols: Sequence[str]) -> Iterator[str]:
    """Yield the first and last published session of the first symbols, those that were there before included."""
    from finnex.store import READY, ImageStore

    store = ImageStore.open(settings.store.path)
    symbols = [symbol for symbol in symbols if symbol in store.symbols]
    for symbol in symbols[:SYMBOLS_SHOWN]:
        state = store.state(symbol)
        if len(days := state.days[state.status == READY]):
            yield f"{symbol}: {len(days)} images, {days[0]} to {days[-1]}"
    if (left := len(symbols) - SYMBOLS_SHOWN) > 0:
        yield f"and {left} more symbols: finnex info"


def build(
    config: ConfigOption,
    symbol: SymbolOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="First session to draw, YYYY-MM-DD.  [default: the configuration's]",
            show_default=False,
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Last session to draw, YYYY-MM-DD.  [default: the configuration's]",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Worker processes; 0 draws in this one.  [default: the configuration's]",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Draw published sessions too, and take out those whose bar is gone.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw every session that is missing or whose picture changed, and publish it in the store.

    Exit code 0, too, where companies were left out because the configuration says on_bad_company = "leave out".
    """
    from finnex.config import load_config
    from finnex.data.bad_companies import rows_of
    from finnex.errors import ConfigError
    from finnex.pipeline import build as build_images
    from finnex.pipeline import unexcused
    from flows.clusters.cluster import cluster_on_demand

    began = time.perf_counter()
    settings = load_config(config)
    first, last = parse_date(start, "--start"), parse_date(end, "--end")
    if first is not None and last is not None and first > last:
        raise ConfigError(f"the range is empty: --start {first} is after --end {last}. Swap the two dates.")
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}")
    if workers is not None:
        settings = settings.model_copy(
            update={"dask": settings.dask.model_copy(update={"address": None, "cluster": "local", "workers": workers})}
        )

    def say(sentence: str) -> None:
        err().print(sentence, markup=False)

    with progress_bar("Drawing") as show, cluster_on_demand(settings) as client:
        counter = _Counter(show, len(chosen or settings.symbols))
        result = build_images(
            settings, symbols=chosen or None, start=first, end=last, force=force, client=client,
            on_mended=say, on_redrawn=say, on_start=counter.start, on_progress=counter.count,
        )  # fmt: skip
    seconds = time.perf_counter() - began  # of the command: with tables and workers
    print_warnings(result.warnings, result.notes, config)
    if as_json:
        print_json(
            {
                "built": result.built,
                "skipped": result.skipped,
                "failed": result.failed,
                "seconds": round(seconds, 3),
                "images_per_second": round(result.images_per_second, 1),
                "fingerprint": result.fingerprint,
                "left_out": rows_of(result.bad),
            }
        )
    else:
        out().print(
            f"{result.built} images drawn, {result.skipped} up to date, {result.failed} failed, "
            f"in {seconds:.1f} s{_speed(result)}. Store: {settings.store.path}"
        )
        for sentence in _sessions(settings, chosen or settings.symbols):
            out().print(sentence)
    print_bad(result.bad)
    if failures := unexcused(result):
        for name, day, reason in failures[:10]:
            err().print(f"{name} {day}: {reason}")
        raise typer.Exit(2)
