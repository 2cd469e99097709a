"""How long describing a year of patches takes, and whether the predictive features say what then happens.

`python -m benchmarks.patches [--data FOLDER] [--symbol S]` computes the panel of a symbol from FOLDER's tables (prices,
macro, fundamentals, sentiment; the bundled sample without it), describes the patches of 252 sessions, and compares
breakout probability, volatility expansion risk and mean reversion with what the patches' directions did next, over
all sessions from the 300th on and every fourth patch. Times are processor seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finnex.config import Config
from finnex.data.panel import Panel, make_panel
from finnex.images.render import Renderer
from finnex.layout import Layout
from finnex.patches import estimators as estimate
from finnex.patches.describe import describe
from finnex.patches.features import LEAST, MONTH, PAST, TWO_MONTHS, WEEK
from finnex.patches.grid import patch_grid
from finnex.patches.neighbors import spatial_neighbors
from finnex.patches.patch_panel import PatchPanel
from finnex.patches.patch_signals import Signals
from finnex.pipeline import read_run
from finnex.sample import SYNTHETIC_TABLES, sample_tables

Floats = npt.NDArray[np.float64]
YEAR = 252
FIRST = 300


def read_panel(data: Path | None, symbol: str) -> tuple[Panel, Layout]:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if data is None:
            inputs = {**sample_tables(root / "sample"), "synthetic": SYNTHETIC_TABLES}
        else:
            inputs = {name: data / f"{name}.csv.gz" for name in ("prices", "macro", "fundamentals", "sentiment")}
        config = Config.model_validate({"inputs": inputs, "symbols": (symbol,), "store": {"path": root / "store.zarr"}})
        run = read_run(config)
        return make_panel(run.tables, config, symbol, run.layout.catalogue.entries), run.layout


def ahead(values: Floats, sessions: int) -> Floats:
    moved = np.full(values.shape, np.nan)
    moved[:-sessions] = values[sessions:]
    return moved


def judge(name: str, said: Floats, was: Floats) -> None:
    known = ~np.isnan(said) & ~np.isnan(was)
    said, was = said[known], was[known]
    rate = was.mean()
    skill = 1 - np.mean((said - was) ** 2) / (rate * (1 - rate))
    print(f"\n{name}: {len(said):,} cases, happened {rate:.3f}, said {said.mean():.3f}, Brier skill {skill:+.3f}")
    print("| said | happened | share of cases |\n|---|---|---|")
    for low in np.arange(0, 1, 0.2):
        these = (said >= low) & (said < low + 0.2 if low < 0.79 else said <= 1)
        if these.sum() >= 100:
            print(f"| {said[these].mean():.2f} | {was[these].mean():.2f} | {these.mean():.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--symbol", default="NVDA")
    given = parser.parse_args()
    bars, layout = read_panel(given.data, given.symbol)
    panel = PatchPanel(bars.calendar.days, bars.normalized)
    grid = patch_grid(layout)
    last = int(np.flatnonzero(bars.traded)[-1]) + 1
    days = panel.days[last - YEAR : last]

    begun = time.process_time()
    found = describe(grid, panel, days)
    described = time.process_time() - begun
    window = slice(last - layout.lookback, last)
    image = Renderer(layout).draw(bars.normalized[window], bars.bars[window])[0]
    begun = time.process_time()
    spatial_neighbors(np.broadcast_to(image, (YEAR, *image.shape)), grid.patch_px)
    compared = time.process_time() - begun
    print(f"{given.symbol}, {found.regime.size:,} patches of {YEAR} sessions, processor seconds:")
    print(f"| what the panel tells | {described:.1f} |\n| spatial neighbours, from pixels | {compared:.1f} |")

    tone = Signals(grid, panel, np.arange(last)).tone[:, ::4]
    settled = slice(FIRST, last - WEEK)
    high, low = (np.full(tone.shape, sign * np.inf) for sign in (-1, 1))
    for part in estimate.trailing(tone, MONTH):
        high, low = np.fmax(high, part), np.fmin(low, part)
    paths = np.stack([ahead(tone, step) for step in range(1, WEEK + 1)])
    out = np.where(np.isnan(paths).any(axis=0), np.nan, ((paths > high) | (paths < low)).any(axis=0))
    coefficient = estimate.autoregression(tone, TWO_MONTHS, MONTH)[1]
    judge("breakout_probability", estimate.breakout(tone, PAST, coefficient)[settled], out[settled])
    square = (tone - estimate.shift(tone, 1)) ** 2
    coming, recent = ahead(estimate.mean(square, WEEK, WEEK), WEEK), estimate.mean(square, MONTH, LEAST)
    larger = np.where(np.isnan(coming) | np.isnan(recent), np.nan, coming > recent)
    judge("volatility_expansion_risk", estimate.expansion(tone, PAST)[settled], larger[settled])
    said, was = estimate.reversion(tone, TWO_MONTHS, MONTH, WEEK)[settled], (paths[-1] - tone)[settled]
    known = ~np.isnan(said) & ~np.isnan(was)
    slope, correlation = np.polyfit(said[known], was[known], 1)[0], np.corrcoef(said[known], was[known])[0, 1]
    print(f"\nmean_reversion_potential: {known.sum():,} cases, change on prediction {slope:.2f}, r {correlation:.2f}")


if __name__ == "__main__":
    main()
