"""What the test of foreknowledge says of tables that are believed honest: how far below its thresholds they stay.

    python -m benchmarks.foreknowledge --config finnex.toml [--symbol AAPL ...]

For each symbol, whole and in thirds of its history: features tested, the largest statistic with its correlation, the
largest statistic of a feature with a correlation above 0.2, and what is found, bars out of step with those of the other
symbols included. Exits with 1 where anything is.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from finnex.audit.foreknowledge import LEAST_RETURN_CORRELATION, Bars, foreknowing
from finnex.audit.foreknown_series import others_of
from finnex.audit.shifted_dates import closes_of_others, out_of_step, stock_indices
from finnex.config import load_config
from finnex.data.features import symbol_bars
from finnex.data.panel import make_panel
from finnex.pipeline import read_run


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--symbol", action="append")
    given = parser.parse_args()
    run = read_run(load_config(given.config))
    found = 0
    for symbol in given.symbol or run.config.symbols:
        with np.errstate(all="ignore"):
            panel = make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries)
        n, others = len(panel.calendar), others_of(run, symbol)
        closes = closes_of_others(run.tables.prices, others, panel.calendar)
        indices = stock_indices(run.tables.macro, panel.calendar)
        wide = symbol_bars(run.tables, symbol, panel.calendar).reindex(range(n))
        columns = {name: wide[name].to_numpy(dtype=float) for name in ("open", "high", "low", "close", "volume")}
        bars = Bars(**columns, market=np.zeros(n))
        for part in (slice(0, n), slice(0, n // 3), slice(n // 3, 2 * n // 3), slice(2 * n // 3, n)):
            some = Bars(**{field.name: getattr(bars, field.name)[part] for field in fields(Bars)})
            series = {name: panel.original[part, column] for column, name in enumerate(panel.features)}
            search = foreknowing([series], some)
            z = np.abs(np.stack([one.z for one in search.statistics.values()]))
            correlation = np.abs(np.stack([one.correlation for one in search.statistics.values()]))
            at = np.unravel_index(int(z.argmax()), z.shape)
            strong = np.where(correlation > LEAST_RETURN_CORRELATION, z, 0).max()
            steps = out_of_step(symbol, some, closes[part], indices[part])
            found += len(search.found) + len(steps)
            print(
                f"{symbol}, {panel.calendar.days[part][0]} to {panel.calendar.days[part][-1]}: {len(z)} series, "
                f"largest {z[at]:.1f} standard errors at correlation {correlation[at]:.2f}; above "
                f"{LEAST_RETURN_CORRELATION} at most {strong:.1f}; {len(search.found)} found, "
                f"{len(steps)} out of step with {closes.shape[1]} others",
                flush=True,
            )
            for one in steps:
                print(f"    {one.evidence}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
