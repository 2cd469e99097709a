"""How long tables take to be read and checked, next to bare reads of the same files by other libraries.

    python -m benchmarks.readers [--rows 1260000] [--records 5000000] [--columns 2000 8000] [--repeats 3]
    python -m benchmarks.readers --kept 100    (the tables of `benchmarks.panel`, read, and taken as they were kept)

Writes tables of random bars (CSV and Parquet), sentiment records (Parquet) and a table of many columns (CSV) to a
temporary folder, reads each with FinNeX's reader, with pandas and pyarrow, and with polars and DuckDB where they are
installed, and prints a Markdown table: the ratio to pandas first, then seconds. Exits with 1 where a goal of `GOALS`
is missed, or where the time of columns grows faster than their number.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from benchmarks.panel import write_config, write_tables
from finnex.config import load_config
from finnex.data.readers import READERS
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings
from finnex.errors import Problem

GOALS = {"prices, CSV": 2.0, "prices, Parquet": 1.0, "sentiment, Parquet": 8.0}
"""Seconds of clock on two cores, alone."""
SYMBOLS = 500
LINEAR = 1.6
"""How much longer a column may take among many than among few."""


def bars(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return random bars of `SYMBOLS` companies, rounded to cents."""
    days = pd.bdate_range("2010-01-04", periods=rows // SYMBOLS).strftime("%Y-%m-%d")
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, (SYMBOLS, len(days))), axis=1)), 2).ravel() + 1
    high, low = np.round(close * 1.01, 2), np.round(close * 0.99, 2)
    return pd.DataFrame(
        {
            "symbol": np.repeat([f"S{number:03d}" for number in range(SYMBOLS)], len(days)),
            "date": np.tile(days, SYMBOLS),
            "open": close, "high": high, "low": low, "close": close,
            "volume": rng.integers(1_000, 10_000_000, len(close)),
        }
    )  # fmt: skip


def records(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return random sentiment records of `SYMBOLS` companies."""
    seconds = np.sort(rng.integers(1_300_000_000, 1_700_000_000, rows))
    return pd.DataFrame(
        {
            "symbol": rng.choice([f"S{number:03d}" for number in range(SYMBOLS)], rows),
            "timestamp": pd.to_datetime(seconds, unit="s", utc=True),
            "source": rng.choice(["news", "social"], rows),
            "score": np.round(rng.uniform(-1, 1, rows), 3),
        }
    )


def wide(columns: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return an enhanced table of some columns and 250 days."""
    values = pd.DataFrame(rng.normal(0, 1, (250, columns)), columns=[f"factor_{number}" for number in range(columns)])
    days = pd.bdate_range("2020-01-01", periods=250).strftime("%Y-%m-%d")
    return pd.concat([pd.DataFrame({"symbol": "ACME", "date": days}), values], axis=1)


def by_pandas(path: Path) -> object:
    """Read a file with pandas."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def by_pyarrow(path: Path) -> object:
    """Read a file with pyarrow, whose tables FinNeX takes its columns from."""
    return parquet.read_table(path) if path.suffix == ".parquet" else arrow_csv.read_csv(path)


def by_polars(path: Path) -> object:
    """Read a file with polars."""
    polars = importlib.import_module("polars")
    return polars.read_parquet(path) if path.suffix == ".parquet" else polars.read_csv(path)


def by_duckdb(path: Path) -> object:
    """Read a file with DuckDB, into a table of pyarrow."""
    duckdb = importlib.import_module("duckdb")
    relation = duckdb.read_parquet(str(path)) if path.suffix == ".parquet" else duckdb.read_csv(str(path))
    return relation.to_arrow_table()


PEERS: dict[str, Callable[[Path], object]] = {
    "pandas": by_pandas, "pyarrow": by_pyarrow, "polars": by_polars, "duckdb": by_duckdb,
}  # fmt: skip


def read(table: str, path: Path) -> None:
    """Read a table with FinNeX's reader."""
    problems: list[Problem] = []
    READERS[table](path, problems)
    if problems:
        raise SystemExit(str(problems[0]))


def seconds(action: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the least time of clock and of the processor."""
    found = []
    for _ in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        action()
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return min(one for one, _ in found), min(one for _, one in found)


def kept(companies: int, sessions: int, repeats: int) -> None:
    """Print how long the tables of a panel and their warnings take: nothing kept, and everything kept."""
    print(
        "| files | tables: kept to read | read, s | kept, s | warnings: made, s | kept, s |\n|---|---|---|---|---|---|"
    )
    for ending in ("parquet", "csv"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_tables(folder, companies, sessions)
            path = write_config(folder, companies)
            path.write_text(path.read_text().replace(".parquet", f".{ending}") + f'[state]\npath = "{folder}/state"\n')
            if ending == "csv":
                for table in folder.glob("*.parquet"):
                    pd.read_parquet(table).to_csv(table.with_suffix(".csv"), index=False)
            config, took = load_config(path), []
            for run in range(2 * repeats):
                if run < repeats:
                    shutil.rmtree(folder / "state", ignore_errors=True)
                began = time.perf_counter()
                tables = read_tables(config)
                between = time.perf_counter()
                input_warnings(tables, config)
                took.append((between - began, time.perf_counter() - between))
            (read_, made), (found, said) = (np.min(part, axis=0) for part in (took[:repeats], took[repeats:]))
            print(
                f"| {ending} | {found / read_:.2f} | {read_:.2f} | {found:.2f} | {made:.2f} | {said:.3f} |", flush=True
            )


def main() -> int:
    """Measure, print, and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_260_000)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--columns", type=int, nargs=2, default=[2000, 8000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kept", type=int, help="companies of the panel whose tables are kept")
    given = parser.parse_args()
    if given.kept:
        kept(given.kept, 2520, given.repeats)
        return 0
    rng = np.random.default_rng(0)
    missed = []
    peers = {name: action for name, action in PEERS.items() if importlib.util.find_spec(name)}
    heading = ["table", "ratio", "FinNeX, s", "of it processor", *(f"{name}, s" for name in peers)]
    print(f"| {' | '.join(heading)} |\n{'|---' * len(heading)}|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        each: list[tuple[str, str, Path]] = []
        table = bars(given.rows, rng)
        table.to_csv(path := Path(folder) / "prices.csv", index=False)
        each.append(("prices, CSV", "prices", path))
        table.to_parquet(path := Path(folder) / "prices.parquet", index=False)
        each.append(("prices, Parquet", "prices", path))
        records(given.records, rng).to_parquet(path := Path(folder) / "sentiment.parquet", index=False)
        each.append(("sentiment, Parquet", "sentiment", path))
        for columns in given.columns:
            wide(columns, rng).to_csv(path := Path(folder) / f"wide_{columns}.csv", index=False)
            each.append((f"enhanced, {columns} columns, CSV", "enhanced", path))
        took = []
        for name, table_name, path in each:
            bare = [seconds(partial(action, path), given.repeats)[0] for action in peers.values()]
            own, processor = seconds(partial(read, table_name, path), given.repeats)
            took.append(processor)
            figures = " | ".join(f"{one:.2f}" for one in (own, processor, *bare))
            print(f"| {name} | {own / bare[0]:.1f} | {figures} |", flush=True)
            if own > GOALS.get(name, np.inf):
                missed.append(f"{name}: {own:.2f} s, goal {GOALS[name]} s")
        growth = (took[-1] / took[-2]) / (given.columns[1] / given.columns[0])
        if growth > LINEAR:
            missed.append(f"a column among {given.columns[1]} takes {growth:.1f} times one among {given.columns[0]}")
    print("\n".join(missed))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
