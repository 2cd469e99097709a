"""What a night costs as companies grow: synthetic tables, a store that holds all but the newest session, and builds.

    python -m benchmarks.panel [--companies 10 40 200] [--sessions 2520] [--workers 0] [--folder DIR]

Makes Parquet tables of random companies (prices, macro series, filings, one sentiment record a session) and, of each
number of companies, a store whose published images are hard links to one valid image. Then it times in a process of
its own: Stage 1 of some companies, a night with one new session each, and the same again with nothing to do. Prints a
Markdown table: the cost of a company relative to the smallest panel first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.config import load_config
from finnex.data.calendar import session_calendar
from finnex.data.names import METRICS
from finnex.data.panel import make_panel
from finnex.pipeline.run_inputs import read_run

LAST_DAY = date(2024, 12, 31)
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


def write_config(folder: Path, companies: int) -> Path:
    """Write the configuration of a panel."""
    path = folder / "finnex.toml"
    path.write_text(f"""\
symbols = {symbols_of(companies)}
sectors = []
[inputs]
prices = "prices.parquet"
fundamentals = "filings.parquet"
sentiment = "sentiment.parquet"
macro = "macro.parquet"
[store]
path = "images.zarr"
""")
    return path


def stage_1(path: Path, some: int) -> tuple[float, float]:
    """Return seconds to read the tables, and seconds of Stage 1 a company, over some of them."""
    began = time.perf_counter()
    run = read_run(load_config(path))
    read = time.perf_counter() - began
    began = time.perf_counter()
    for symbol in run.config.symbols[:some]:
        make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries)
    return read, (time.perf_counter() - began) / min(some, len(run.config.symbols))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--sessions", type=int, default=2520)
    parser.add_argument("--some", type=int, default=5)
    options = parser.parse_args()
    for companies in options.companies:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_tables(folder, companies, options.sessions)
            read, stage = stage_1(write_config(folder, companies), options.some)
            print(f"{companies} companies: read {read:.2f} s, Stage 1 {stage:.3f} s a company", flush=True)


if __name__ == "__main__":
    sys.exit(main())
