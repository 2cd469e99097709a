"""How long tables take to be read and checked, next to pandas' bare read of the same files.

    python -m benchmarks.readers [--rows 1260000] [--records 5000000] [--columns 2000 8000] [--repeats 3]

Writes tables of random bars (CSV and Parquet), sentiment records (Parquet) and a table of many columns (CSV) to a
temporary folder, reads each with FinNeX's reader and with pandas, and prints a Markdown table: the ratio first,
then seconds. Exits with 1 where a goal of `GOALS` is missed, or where the time of columns grows faster
than their number.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.data.readers import READERS
from finnex.errors import Problem

GOALS = {"prices, CSV": 2.0, "prices, Parquet": 1.0, "sentiment, Parquet": 8.0}
"""Seconds of the processor, which other programs do not lengthen."""
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


def main() -> int:
    """Measure, print, and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_260_000)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--columns", type=int, nargs=2, default=[2000, 8000])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    missed = []
    print("| table | ratio | FinNeX, s | of it processor | pandas, s |\n|---|---|---|---|---|", flush=True)
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
            bare = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
            peer, _ = seconds(lambda: bare(path), given.repeats)  # noqa: B023
            own, processor = seconds(lambda: read(table_name, path), given.repeats)  # noqa: B023
            took.append(processor)
            print(f"| {name} | {own / peer:.1f} | {own:.2f} | {processor:.2f} | {peer:.2f} |", flush=True)
            if processor > GOALS.get(name, np.inf):
                missed.append(f"{name}: {processor:.2f} s, goal {GOALS[name]} s")
        growth = (took[-1] / took[-2]) / (given.columns[1] / given.columns[0])
        if growth > LINEAR:
            missed.append(f"a column among {given.columns[1]} takes {growth:.1f} times one among {given.columns[0]}")
    print("\n".join(missed))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
