"""What a night costs as companies grow.

    python -m benchmarks.panel [--companies 10 200] [--sessions 2520] [--some 10] [--workers 2]

Makes Parquet tables of random companies (prices, macro series, filings, one sentiment record a session; the first ten
are the peers of all) and a store that lacks the newest session. Times in a process of its own: a build of that session,
with the start of its workers (`--workers 0` draws in this process); the same build again; reading the tables; Stage 1
of some companies, in this process. Prints a Markdown table: what a company costs relative to the smallest panel, then
seconds, then the most memory of the process that writes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.config import Config, load_config
from finnex.data.calendar import session_calendar
from finnex.data.names import METRICS
from finnex.data.panel import make_panel
from finnex.pipeline import BuildResult, build
from finnex.pipeline.run_inputs import read_run
from flows.clusters.cluster import cluster_on_demand

LAST_DAY = date(2024, 12, 31)
PEERS, KEPT = 10, 5
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


def nights(folder: Path, companies: int, sessions: int, workers: int) -> tuple[float, float]:
    """Return seconds of a build with one new session of each company, and of the same build again.

    The store holds the `KEPT` sessions before, so that reading their bytes costs little.
    """
    write_tables(folder, companies, sessions)
    prices = pd.read_parquet(folder / "prices.parquet")
    days = prices["date"].unique()
    path = write_config(folder, companies, days[-KEPT - 1].date(), workers)
    prices[prices["date"] < days[-1]].to_parquet(folder / "prices.parquet", index=False)
    _build(load_config(path))
    prices.to_parquet(folder / "prices.parquet", index=False)
    seconds = []
    for new in (companies, 0):
        began = time.perf_counter()
        result = _build(load_config(path))
        seconds.append(time.perf_counter() - began)
        if (result.built, result.failed) != (new, 0):
            raise SystemExit(f"{result.built} images were drawn and {result.failed} failed; {new} were due")
    return seconds[0], seconds[1]


def _build(config: Config) -> BuildResult:
    """Build as `finnex build` does, on workers that are started where there is enough to do."""
    with cluster_on_demand(config) as client:
        return build(config, client=client)


def measure(companies: int, sessions: int, some: int, workers: int, pipe: Connection) -> None:
    """Send what a panel costs; runs in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        night, again = nights(Path(name), companies, sessions, workers)
        read, stage = stage_1(Path(name) / "finnex.toml", some)
        pipe.send((night, again, read, stage, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, nargs="+", default=[10, 200])
    parser.add_argument("--sessions", type=int, default=2520)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--some", type=int, default=10, help="companies whose Stage 1 is timed")
    options = parser.parse_args()
    heads = ("companies", "a night, to the first", "a night", "nothing to do", "tables", "Stage 1 a company", "memory")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    first = None
    spawn = multiprocessing.get_context("spawn")
    for companies in options.companies:
        here, there = spawn.Pipe()
        child = spawn.Process(target=measure, args=(companies, options.sessions, options.some, options.workers, there))
        child.start()
        there.close()
        night, again, read, stage, memory = here.recv()
        child.join()
        first = first or night / companies
        print(
            f"| {companies} | {night / companies / first:.2f} | {night:.1f} s ({night / companies:.2f} a company) "
            f"| {again:.1f} s | {read:.2f} s | {stage:.3f} s | {memory:.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
