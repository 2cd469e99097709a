"""How fast the daily portfolio simulation is, and what decisions by coin earn on prices that are a fair game.

`python -m benchmarks.trading --speed` times 3,000 companies over 1,000 sessions. `python -m benchmarks.trading` also
simulates studies of noise: how often the 95 % interval of their Sharpe ratio holds 0, and what they earn on average,
free of costs. It exits with 1 where the intervals hold 0 less often than in 93 % of studies by more than chance, or the
mean gain is further than three standard errors from 0.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.portfolio import simulate
from finnex.evaluation.trading import Decisions, trade

COMPANIES, SESSIONS = 3000, 1000
MISSING = 0.02
HORIZONS = (1, 5, 20)
LEAST_COVERAGE = 0.93
FREE = TradingSettings(cost_bps=0, borrow_fee_per_year=0)


def fair_game(seed: int, sessions: int, companies: int, missing: float = 0.0) -> SessionPrices:
    """Return prices whose next one is never expected to differ from the last."""
    rng = np.random.default_rng(seed)
    path = 100 * np.cumprod(1 + rng.normal(0, 0.01, (2 * sessions, companies)), axis=0)
    opens, closes = path[::2].copy(), path[1::2].copy()
    gone = rng.random((sessions, companies)) < missing
    opens[gone] = closes[gone] = np.nan
    names = tuple(f"C{number}" for number in range(companies))
    return SessionPrices(np.datetime64("2000-01-01") + np.arange(sessions), names, opens, closes)


def speed() -> None:
    prices = fair_game(0, SESSIONS, COMPANIES, MISSING)
    positions = np.random.default_rng(1).integers(-1, 2, prices.close.shape).astype(float)
    for horizon in HORIZONS:
        begun = time.process_time(), time.perf_counter()
        simulate(prices, positions, horizon=horizon, cost_bps=5, borrow_fee_per_year=0.005, sessions_per_year=252)
        processor, clock = time.process_time() - begun[0], time.perf_counter() - begun[1]
        print(
            f"{COMPANIES:,} companies, {SESSIONS:,} sessions, horizon {horizon}: {processor:.1f} processor seconds, "
            f"{clock:.1f} by the clock"
        )


def noise(studies: int) -> bool:
    """Print what noise earns; return whether it is no more than chance."""
    good = True
    for horizon in HORIZONS:
        least = max(60, 12 * horizon)
        for sessions in (least, 2 * least, 500):
            covered, gains = [], []
            for seed in range(studies):
                rng = np.random.default_rng([seed, horizon, sessions])
                prices = fair_game(seed * 1000 + sessions + horizon, sessions + 1, 1)
                decided = sessions + 1 - horizon
                made = Decisions(
                    prices.days[:decided], np.full(decided, "C0"), rng.integers(-1, 2, decided).astype(float), horizon
                )
                found = trade(made, prices, FREE).performance
                sharpe = found.sharpe_ratio
                if sharpe.low is not None and sharpe.high is not None:
                    covered.append(sharpe.low <= 0 <= sharpe.high)
                gains.append(found.total_return)
            share, off = np.mean(covered), np.mean(gains) / (np.std(gains) / np.sqrt(studies))
            good &= bool(share >= LEAST_COVERAGE - 2 * np.sqrt(0.05 * 0.95 / studies) and abs(off) < 3)
            print(
                f"noise, horizon {horizon}, {sessions} sessions, {studies} studies: interval holds 0 in {share:.1%} "
                f"of {len(covered)}; mean gain {np.mean(gains):+.2%}, {off:+.1f} standard errors from 0"
            )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help="time it only")
    parser.add_argument("--studies", type=int, default=1000, help="studies of noise for each line")
    given = parser.parse_args()
    speed()
    if not given.speed and not noise(given.studies):
        sys.exit("noise earns more than chance, or its intervals are too narrow")


if __name__ == "__main__":
    main()
