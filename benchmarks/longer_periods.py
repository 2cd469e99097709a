"""How often annual and year-to-date values are taken for quarters without a word, and honest quarters are not believed.

    python -m benchmarks.longer_periods [--repeats 1000] [--seed 0]

Prints a Markdown table: by kind of series and number of quarters, the share of honest series that are flagged, and of
series with a planted year in every fourth quarter, and of year-to-date series, that are found. Exits with 1 where more
than 1 in 1,000 honest series are flagged over all kinds (and three standard errors), or fewer than `FOUND` of the
planted ones are found in the kinds of `STEADY`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from finnex.data.longer_periods import longer_periods

Floats = npt.NDArray[np.float64]
QUARTERS = (12, 24, 44)
FLAGGED, FOUND = 0.001, 0.85
STEADY = ("steady", "growing", "shrinking", "losses")


def _noise(rng: np.random.Generator, quarters: int) -> Floats:
    return np.exp(rng.normal(0, rng.uniform(0.01, 0.15), quarters))


def _trend(rng: np.random.Generator, quarters: int, low: float, high: float) -> Floats:
    steps = rng.uniform(low, high) + rng.normal(0, 0.03, quarters)
    return np.asarray(np.exp(np.cumsum(steps)))


def _season(rng: np.random.Generator, quarters: int, deviation: float) -> Floats:
    return np.asarray(np.exp(rng.normal(0, deviation, 4))[np.arange(quarters) % 4])


def _large_fourth(rng: np.random.Generator, quarters: int) -> Floats:
    return np.where(np.arange(quarters) % 4 == 3, rng.uniform(1.2, 2.5), 1.0) * _trend(rng, quarters, 0, 0.03)


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "steady": lambda rng, n: _trend(rng, n, 0, 0.02) * _noise(rng, n),
    "growing": lambda rng, n: _trend(rng, n, 0.02, 0.2) * _noise(rng, n),
    "shrinking": lambda rng, n: _trend(rng, n, -0.1, -0.02) * _noise(rng, n),
    "losses": lambda rng, n: -_trend(rng, n, -0.02, 0.1) * _noise(rng, n),
    "large fourth quarter": lambda rng, n: _large_fourth(rng, n) * _noise(rng, n),
    "seasonal": lambda rng, n: _season(rng, n, 0.3) * _trend(rng, n, 0, 0.03) * _noise(rng, n),
    "lumpy": lambda rng, n: np.asarray(np.exp(rng.normal(0, 0.5, n))),
    "doubling in a year": lambda rng, n: _trend(rng, n, 0.15, 0.3) * _noise(rng, n),
    "gains and losses": lambda rng, n: rng.uniform(0, 1) + rng.normal(0, 1, n),
    "gains after losses": lambda rng, n: np.linspace(-1, rng.uniform(0.5, 3), n) + rng.normal(0, 0.2, n),
    "write-offs": lambda rng, n: np.where(rng.random(n) < 0.05, -rng.uniform(2, 10, n), 1.0) * _noise(rng, n),
    "random walk": lambda rng, n: np.cumsum(rng.normal(0, 1, n)),
}
"""Honest single quarters, (quarters,), from an arbitrary fiscal quarter on."""


def with_years(quarters: Floats) -> Floats:
    """Return quarters with every fourth replaced by the sum of its year."""
    years = quarters[: len(quarters) // 4 * 4].reshape(-1, 4).copy()
    years[:, 3] = years.sum(axis=1)
    return np.concatenate([years.ravel(), quarters[years.size :]])


def to_date(quarters: Floats) -> Floats:
    """Return quarters as sums from the start of their year on."""
    years = quarters[: len(quarters) // 4 * 4].reshape(-1, 4)
    return np.concatenate([np.cumsum(years, axis=1).ravel(), np.cumsum(quarters[years.size :])])


def shares(kind: str, quarters: int, repeats: int, seed: int) -> tuple[float, float, float]:
    """Return which share of honest, annual and year-to-date series is flagged, the latter two as what they are."""
    rng, found = np.random.default_rng([seed, quarters, *kind.encode()]), np.zeros(3)
    for _ in range(repeats):
        series, cut = KINDS[kind](rng, quarters), rng.integers(4)
        found += [
            longer_periods(series[cut:]) is not None,
            longer_periods(with_years(series)[cut:]) == "year",
            longer_periods(to_date(series)[cut:]) == "year to date",
        ]
    honest, annual, summed = found / repeats
    return float(honest), float(annual), float(summed)


def limit(repeats: int) -> float:
    """Return the most that may be flagged: the promise and three standard errors."""
    return FLAGGED + 3 * float(np.sqrt(FLAGGED / repeats))


def main() -> int:
    """Print the table; return 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    honest, broken = [], []
    print("| quarters | kind | honest, flagged | year in the fourth, found | year to date, found |")
    print("|---|---|---|---|---|")
    for quarters in QUARTERS:
        for kind in KINDS:
            flagged, annual, summed = shares(kind, quarters, chosen.repeats, chosen.seed)
            honest.append(flagged)
            print(f"| {quarters} | {kind} | {flagged:.4f} | {annual:.3f} | {summed:.3f} |", flush=True)
            if kind in STEADY and min(annual, summed) < FOUND:
                broken.append(f"{kind}, {quarters} quarters: fewer than {FOUND:.0%} found")
    total = float(np.mean(honest))
    print(f"\nHonest series flagged, all kinds: {total:.5f} of {len(honest) * chosen.repeats}.")
    if total > limit(len(honest) * chosen.repeats):
        broken.append(f"more than {FLAGGED:.1%} of honest series are flagged")
    for one in broken:
        print(f"NOT KEPT: {one}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
