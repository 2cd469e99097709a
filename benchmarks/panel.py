"""What a night costs as companies grow.

    python -m benchmarks.panel [--companies 10 200] [--sessions 2520] [--some 10] [--workers 2] [--opened 500]
    python -m benchmarks.panel --backfill 1 200    (250 sessions of each company: 0.3 MB an image)
    python -m benchmarks.panel --layout 100

Makes Parquet tables of random companies (prices, macro series, filings, one sentiment record a session; the first ten
are the peers of all) and a store that lacks the newest session. Times in a process of its own: a build of that session,
with the start of its workers (`--workers 0` draws in this process); the same build again; reading the tables; Stage 1
of some companies, in this process. Prints a Markdown table: what a company costs relative to the smallest panel, then
seconds, for the first build those of the processor in the process that writes too, then the most memory of that
process; and how long it takes to list and open a store of many companies. With `--backfill`: images a second of
sessions that are all new, of the whole build, the most memory of the process that writes, and of the least busy worker
the share of the time in which it held no task, and in which its processor did not compute: workers share cores with the
process that writes. With `--layout`: seconds of the processor to lay out the calendars of companies in an empty store,
and to extend them by a year, together relative to one by one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from distributed import get_task_stream

from finnex.config import Config, load_config
from finnex.data.calendar import session_calendar
from finnex.data.features import symbol_calendar
from finnex.data.names import METRICS
from finnex.data.panel import make_panel
from finnex.pipeline import BuildResult, build
from finnex.pipeline.run_inputs import read_run
from finnex.store import ImageStore, StoreWriter, writing
from finnex.store.place import place_of
from finnex.store.record import write_record
from flows.clusters.cluster import cluster_client, cluster_on_demand

LAST_DAY = date(2024, 12, 31)
PEERS, KEPT = 10, 5
BACKFILL, FIRST_ROWS = 250, 260
MACRO = ("DGS2", "DGS10", "VIX", "FEDFUNDS", "UNRATE", "CPILFESL")


def symbols_of(companies: int) -> list[str]:
    """Return the names of the companies."""
    return [f"C{number:04d}" for number in range(companies)]


def write_tables(folder: Path, companies: int, sessions: int, seed: int = 0) -> None:
    """Write the tables of a panel, whose companies do not depend on how many there are."""
    calendar = session_calendar("XNYS", LAST_DAY - timedelta(days=sessions * 3 // 2), LAST_DAY)
    days = pd.DatetimeIndex(calendar.days[-sessions:])
    prices, filings, records = [], [], []
    for number, symbol in enumerate(symbols_of(companies)):
        rng = np.random.default_rng([seed, number])
        close = np.round(50 * np.exp(np.cumsum(rng.normal(2e-4, 0.015, sessions))) + 1, 2)
        spread = 1 + np.abs(rng.normal(0, 0.005, (2, sessions)))
        open_ = np.round(close * np.exp(rng.normal(0, 0.004, sessions)), 2)
        prices.append(
            pd.DataFrame(
                {
                    "symbol": symbol, "date": days, "open": open_,
                    "high": np.round(np.maximum(open_, close) * spread[0], 2),
                    "low": np.round(np.minimum(open_, close) / spread[1], 2), "close": close,
                    "volume": rng.integers(100_000, 10_000_000, sessions),
                }
            )
        )  # fmt: skip
        ends = pd.date_range(days[0] - pd.Timedelta(days=400), days[-1] - pd.Timedelta(days=60), freq="QE")
        figures = {name: np.round(rng.lognormal(18, 0.1, len(ends))) for name in METRICS if name != "free_cash_flow"}
        filings.append(
            pd.DataFrame({"symbol": symbol, "period_end": ends, "filed": ends + pd.Timedelta(days=45)} | figures)
        )
        records.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "timestamp": days.tz_localize("UTC") + pd.Timedelta(hours=15),
                    "source": np.where(np.arange(sessions) % 2, "news", "social"),
                    "score": np.round(np.tanh(rng.normal(0, 0.5, sessions)), 3),
                }
            )
        )
    rng = np.random.default_rng([seed, 10**6])
    values = {name: 3 + np.cumsum(rng.normal(0, 0.02, sessions)).clip(-2) for name in MACRO}
    macro = pd.concat(
        [
            pd.DataFrame({"date": days, "available_date": days + pd.Timedelta(days=1), "series": name, "value": found})
            for name, found in values.items()
        ]
    )
    for name, parts in (("prices", prices), ("filings", filings), ("sentiment", records), ("macro", [macro])):
        pd.concat(parts, ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)


def write_config(folder: Path, companies: int, start: date | None = None, workers: int = 0) -> Path:
    """Write the configuration of a panel: peers are the first `PEERS` companies."""
    path = folder / "finnex.toml"
    path.write_text(f"""\
symbols = {symbols_of(companies)}
peers = {symbols_of(min(PEERS, companies))}
sectors = []
{f"start = {start}" if start else ""}
[inputs]
prices = "prices.parquet"
fundamentals = "filings.parquet"
sentiment = "sentiment.parquet"
macro = "macro.parquet"
[store]
path = "images.zarr"
[dask]
workers = {workers}
""")
    return path


def stage_1(path: Path, some: int) -> tuple[float, float]:
    """Return seconds to read and check the tables, and seconds of Stage 1 a company, over some of them."""
    began = time.perf_counter()
    run = read_run(load_config(path))
    read = time.perf_counter() - began
    symbols = run.config.symbols[:some]
    began = time.perf_counter()
    for symbol in symbols:
        make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries)
    return read, (time.perf_counter() - began) / len(symbols)


def nights(folder: Path, companies: int, sessions: int, workers: int) -> tuple[float, float, float]:
    """Return seconds of a build with one new session of each company, its processor time here, and of the same again.

    The store holds the `KEPT` sessions before, so that reading their bytes costs little.
    """
    write_tables(folder, companies, sessions)
    prices = pd.read_parquet(folder / "prices.parquet")
    days = prices["date"].unique()
    path = write_config(folder, companies, days[-KEPT - 1].date(), workers)
    prices[prices["date"] < days[-1]].to_parquet(folder / "prices.parquet", index=False)
    _build(load_config(path))
    prices.to_parquet(folder / "prices.parquet", index=False)
    seconds, processor = [], []
    for new in (companies, 0):
        began, busy = time.perf_counter(), time.process_time()
        result = _build(load_config(path))
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
        if (result.built, result.failed) != (new, 0):
            raise SystemExit(f"{result.built} images were drawn and {result.failed} failed; {new} were due")
    return seconds[0], processor[0], seconds[1]


def _build(config: Config) -> BuildResult:
    """Build as `finnex build` does, on workers that are started where there is enough to do."""
    with cluster_on_demand(config) as client:
        return build(config, client=client)


def measure(companies: int, sessions: int, some: int, workers: int, pipe: Connection) -> None:
    """Send what a panel costs; runs in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        night, busy, again = nights(Path(name), companies, sessions, workers)
        read, stage = stage_1(Path(name) / "finnex.toml", some)
        pipe.send((night, busy, again, read, stage, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def opened(companies: int, sessions: int) -> tuple[float, float]:
    """Return seconds to list the companies of a store with the states of their sessions, and to open one by xarray.

    One company is laid out; the others are copies of it under their own names.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, 1, sessions)
        config = load_config(write_config(folder, 1))
        run, path, (first, *others) = read_run(config), folder / "images.zarr", symbols_of(companies)
        with writing(config.store.path):
            store = StoreWriter.prepare(config.store.path, run.template)
            store.ensure_symbol(first, symbol_calendar(run.tables, config, first).days, run.template)
            record = store.record()
            for symbol in others:
                shutil.copytree(path / first, path / symbol)
                document = (path / first / "zarr.json").read_text().replace(f'"{first}"', f'"{symbol}"')
                (path / symbol / "zarr.json").write_text(document)
                record = record.with_company(symbol, record.companies[first])
            write_record(place_of(str(path)), record)
            StoreWriter.reopen(config.store.path)  # holds the new companies in the metadata of the root
        began = time.perf_counter()
        listed = ImageStore.open(path)
        states = [listed.state(symbol) for symbol in listed.symbols]
        seconds = time.perf_counter() - began
        if len(states) != companies:
            raise SystemExit(f"{len(states)} companies were opened; {companies} are there")
        began = time.perf_counter()
        xr.open_zarr(str(path), group=others[-1] if others else first).close()
        return seconds, time.perf_counter() - began


def backfill(companies: int, workers: int, pipe: Connection) -> None:
    """Send images a second, memory and idle shares of a build of `BACKFILL` new sessions; a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, companies, BACKFILL + FIRST_ROWS)
        days = pd.read_parquet(folder / "prices.parquet", columns=["date"])["date"].unique()
        config = load_config(write_config(folder, companies, days[-BACKFILL].date(), workers))
        with cluster_client(config) as client:
            before = {} if client is None else client.run(time.process_time)
            held = None if client is None else get_task_stream(client, plot=False)
            began = time.perf_counter()
            with held or nullcontext():
                result = build(config, client=client)
                seconds = time.perf_counter() - began
            busy = [] if client is None else [now - before[one] for one, now in client.run(time.process_time).items()]
            without = 1 - min(_with_a_task(held.data if held else ()).values(), default=0) / seconds
        if (result.built, result.failed) != (companies * BACKFILL, 0):
            raise SystemExit(f"{result.built} images were drawn and {result.failed} failed")
        idle = 1 - min(busy, default=seconds) / seconds
        pipe.send((result.built / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, without, idle))


def _with_a_task(tasks: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return by worker the seconds in which it ran a task, on any of its threads."""
    running = defaultdict(list)
    for task in tasks:
        running[task["worker"]] += [(p["start"], p["stop"]) for p in task["startstops"] if p["action"] == "compute"]
    seconds = {}
    for worker, parts in running.items():
        begin, end = np.array(sorted(parts)).T
        before = np.maximum.accumulate(np.concatenate([begin[:1], end[:-1]]))
        seconds[worker] = float(np.maximum(end - np.maximum(begin, before), 0).sum())
    return seconds


def layout(companies: int, sessions: int, *, together: bool) -> tuple[float, float]:
    """Return seconds of the processor to lay out calendars in an empty store, and to extend them by a year."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, 1, sessions)
        config = load_config(write_config(folder, 1))
        run = read_run(config)
        calendar = symbol_calendar(run.tables, config, symbols_of(1)[0])
        longer = session_calendar("XNYS", calendar.days[0].item(), LAST_DAY + timedelta(days=366)).days
        seconds = []
        with writing(config.store.path):
            store = StoreWriter.prepare(config.store.path, run.template)
            for days in (calendar.days, longer):
                began = time.process_time()
                if together:
                    store.ensure_symbols(dict.fromkeys(symbols_of(companies), days), run.template)
                else:
                    for symbol in symbols_of(companies):
                        store.ensure_symbol(symbol, days, run.template)
                seconds.append(time.process_time() - began)
        return seconds[0], seconds[1]


def print_layout(companies: int, sessions: int) -> None:
    """Print what calendars cost."""
    print(f"| {companies} companies | together, to one by one | together | one by one |\n|---|---|---|---|")
    measured = [layout(companies, sessions, together=together) for together in (True, False)]
    for what, one, other in zip(("laid out", "extended by a year"), *measured, strict=True):
        print(f"| {what} | {one / other:.2f} | {one:.1f} s | {other:.1f} s |", flush=True)


def in_a_process(work: Callable[..., None], *arguments: object) -> tuple[float, ...]:
    """Return what a function sends through a pipe, its last argument, from a process that is new."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    child = spawn.Process(target=work, args=(*arguments, there))
    child.start()
    there.close()
    found: tuple[float, ...] = here.recv()
    child.join()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, nargs="+", default=[10, 200])
    parser.add_argument("--sessions", type=int, default=2520)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--some", type=int, default=10, help="companies whose Stage 1 is timed")
    parser.add_argument("--opened", type=int, default=500, help="companies of the store that is listed; 0: none")
    parser.add_argument("--backfill", type=int, nargs="+", help="companies whose sessions are all new; nothing else")
    parser.add_argument("--layout", type=int, help="companies whose calendars are laid out; nothing else")
    options = parser.parse_args()
    if options.layout:
        print_layout(options.layout, options.sessions)
        return
    if options.backfill:
        print(f"| companies | images/s | to the first | memory | no task | no processor |\n|{'---|' * 6}", flush=True)
        single = None
        for companies in options.backfill:
            rate, memory, without, idle = in_a_process(backfill, companies, options.workers)
            single = single or rate
            print(
                f"| {companies} | {rate:.0f} | {rate / single:.2f} | {memory:.0f} MB | {without:.2f} | {idle:.2f} |",
                flush=True,
            )
        return
    heads = ("companies", "a night, to the first", "a night", "processor of the process that writes", "nothing to do",
             "tables", "Stage 1 a company", "memory")  # fmt: skip
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    first = None
    for companies in options.companies:
        night, busy, again, read, stage, memory = in_a_process(
            measure, companies, options.sessions, options.some, options.workers
        )
        first = first or night / companies
        print(
            f"| {companies} | {night / companies / first:.2f} | {night:.1f} s ({night / companies:.2f} a company) "
            f"| {busy:.1f} s ({busy / companies:.2f} a company) | {again:.1f} s | {read:.2f} s | {stage:.3f} s "
            f"| {memory:.0f} MB |",
            flush=True,
        )
    if options.opened:
        listing, one = opened(options.opened, options.sessions)
        print(f"\nA store of {options.opened} companies: listed with all states in {listing:.2f} s; xarray opens one "
              f"in {one:.2f} s.")  # fmt: skip


if __name__ == "__main__":
    main()
