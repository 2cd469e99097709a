"""How often the product's 95 % intervals hold the truth, on synthetic sessions whose truth is known.

    python -m benchmarks.coverage [--repeats 2000] [--seed 0]

Prints a Markdown table: coverage by horizon, sessions and figure, 'of K' where the product printed an interval in K of
the repeats only; then the lowest and highest by horizon and sessions. Exits with 1 where a coverage is below 0.93, or
above 0.98 with ten blocks of max(5, 2 h) sessions or more, by more than three standard errors of the repeats.

Labels are the terciles of a moving sum of h shocks, so that neighbours overlap as those of a store do, and companies
share their shocks in part. Models answer at random, from a persistent process, or what they said for the session
before; baselines answer always 'hold', or the newest label that was known at the decision.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.interval import Interval, least_sessions, mean_estimate
from finnex.evaluation.trading import Decisions, trade

HORIZONS, SESSIONS = (1, 5, 20), (60, 100, 150, 240, 500, 1000)
WANTED, AT_MOST = 0.93, 0.98
TRUTH_SESSIONS, PORTFOLIO_SESSIONS = 300_000, 100_000
FREE = TradingSettings(cost_bps=0, borrow_fee_per_year=0)
Floats = npt.NDArray[np.float64]
Table = dict[str, tuple[Floats, bool]]
"""By figure, its value by session and symbol, and whether it is a share."""


def shocks(rng: np.random.Generator, sessions: int, symbols: int) -> Floats:
    """Return standard normal shocks (sessions, symbols), half of whose variance is the market's."""
    own = rng.standard_normal((sessions, symbols))
    return own if symbols == 1 else np.sqrt(0.5) * (own + rng.standard_normal((sessions, 1)))


def overlapping(rng: np.random.Generator, sessions: int, horizon: int, symbols: int) -> Floats:
    """Return standard normal sums of `horizon` shocks, one shock on each session."""
    total = np.cumsum(np.vstack([np.zeros((1, symbols)), shocks(rng, sessions + horizon - 1, symbols)]), axis=0)
    return np.asarray((total[horizon:] - total[:-horizon]) / np.sqrt(horizon))


def persistent(rng: np.random.Generator, sessions: int, symbols: int, memory: float) -> Floats:
    """Return a standard normal autoregression of the first order."""
    from scipy.signal import lfilter

    drive = rng.standard_normal((sessions, symbols)) * np.sqrt(1 - memory**2)
    drive[0] /= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], drive, axis=0))


def classes(values: Floats, bound: float = 0.43) -> npt.NDArray[np.int64]:
    """Return 0, 1, 2 for below, within and above the bounds: thirds, for a standard normal by default."""
    return (values > -bound).astype(np.int64) + (values > bound)


def market(rng: np.random.Generator, sessions: int, horizon: int, symbols: int) -> Table:
    """Return all figures of one market."""
    outcome = overlapping(rng, sessions + horizon, horizon, symbols)
    label = classes(outcome)
    known, label, outcome = label[:-horizon], label[horizon:], outcome[horizon:]  # the label of h sessions before
    slow = classes(persistent(rng, sessions, symbols, 0.95), 0.8)
    noise = rng.integers(0, 3, label.shape)
    hold, last, model, random = (said == label for said in (1, known, slow, noise))
    chance = np.where(model, 0.5, 0.25)  # of what happened, said by a model that is sure by a half
    surprise, flat = -np.log(chance), np.full(label.shape, -np.log(1 / 3))
    found: Table = {
        "accuracy of a constant answer": (hold, True),
        "accuracy of persistent answers": (model, True),
        "accuracy at random": (random, True),
        "gap of persistent answers to a constant one": (model - 1.0 * hold, False),
        "gap of random answers to a constant one": (random - 1.0 * hold, False),
        "gap of random answers to the last known label": (random - 1.0 * last, False),
        "gap of persistent answers to the last known label": (model - 1.0 * last, False),
        "log loss": (surprise, False),
        "log loss less the majority's": (surprise - flat, False),
        "right 8 times in 10": (persistent_hits(label, rng, outcome, horizon), True),
    }
    return {name: (values.astype(np.float64), share) for name, (values, share) in found.items()}


def persistent_hits(
    label: npt.NDArray[np.int64], rng: np.random.Generator, outcome: Floats, horizon: int
) -> npt.NDArray[np.bool_]:
    """Return the hits of a model that knows the outcome but for noise that overlaps as labels do."""
    noise = overlapping(rng, len(label), horizon, label.shape[1])
    return np.asarray(classes(outcome + 0.25 * noise) == label)


def money(rng: np.random.Generator, sessions: int, horizon: int, symbols: int) -> tuple[Decisions, SessionPrices]:
    """Return decisions of persistent answers in a market that drifts, traded in `sessions` sessions."""
    close = np.exp(np.cumsum(0.01 * (shocks(rng, sessions + 1, symbols) + 0.05), axis=0))
    names = tuple(f"C{number}" for number in range(symbols))
    prices = SessionPrices(np.datetime64("2000-01-03") + np.arange(len(close)), names, close, close)
    decided = sessions - horizon + 1
    position = classes(persistent(rng, decided, symbols, 0.9), 0.3) * 0.5
    made = Decisions(np.repeat(prices.days[:decided], symbols), np.tile(names, decided), position.ravel(), horizon)
    return made, prices


def days(sessions: int, symbols: int) -> npt.NDArray[np.datetime64]:
    """Return the dates of rows that go session by session."""
    return np.repeat(np.datetime64("2015-01-01") + np.arange(sessions), symbols)


def sharpe(made: Decisions, prices: SessionPrices) -> Interval:
    """Return what the product says of the Sharpe ratio of a portfolio, per session."""
    found = trade(made, prices, FREE).performance
    return found.sharpe_ratio.scaled(1 / float(np.sqrt(prices.sessions_per_year)))


@lru_cache
def truths(horizon: int, symbols: int, portfolio_sessions: int) -> Mapping[str, float]:
    """Return every figure's expectation, from one very long market."""
    rng = np.random.default_rng(987_654)
    # Of a share or a mean it is the same for any number of symbols.
    long = [market(rng, TRUTH_SESSIONS, horizon, 1) for _ in range(5)]
    found = {name: float(np.mean([one[name][0].mean() for one in long])) for name in long[0]}
    found["Sharpe ratio"] = sharpe(*money(rng, portfolio_sessions, horizon, symbols)).value
    return found


def intervals(rng: np.random.Generator, sessions: int, horizon: int, symbols: int) -> Iterator[tuple[str, Interval]]:
    """Yield what the product says of every figure of one market."""
    dates = days(sessions, symbols)
    for name, (values, share) in market(rng, sessions, horizon, symbols).items():
        yield name, mean_estimate(values.ravel(), dates, horizon, share=share).interval()
    yield "Sharpe ratio", sharpe(*money(rng, sessions, horizon, symbols))


def coverage(
    horizon: int, sessions: int, symbols: int, repeats: int, seed: int, portfolio_sessions: int = PORTFOLIO_SESSIONS
) -> dict[str, tuple[float, int]]:
    """Return by figure how often the printed intervals held the truth, and how many were printed.

    The true Sharpe ratio is that of a portfolio over `portfolio_sessions`, which should be many times `sessions`.
    """
    rng, truth = np.random.default_rng((seed, horizon, sessions, symbols)), truths(horizon, symbols, portfolio_sessions)
    held: dict[str, list[bool]] = {name: [] for name in truth}
    for _ in range(repeats):
        for name, found in intervals(rng, sessions, horizon, symbols):
            if found.low is not None and found.high is not None:
                held[name].append(found.low <= truth[name] <= found.high)
    return {name: (float(np.mean(each)) if each else float("nan"), len(each)) for name, each in held.items()}


def limits(horizon: int, sessions: int, printed: int) -> tuple[float, float]:
    """Return the lowest and highest coverage that a simulation may show: the promise and three standard errors."""
    low = WANTED - 3 * np.sqrt(WANTED * (1 - WANTED) / max(printed, 1))
    ten_blocks = sessions >= 10 * max(5, 2 * horizon)
    high = AT_MOST + 3 * np.sqrt(AT_MOST * (1 - AT_MOST) / max(printed, 1)) if ten_blocks else 1.0
    return float(low), float(high)


def main(say: Callable[[str], None] = print) -> int:
    """Print the table; return 1 where the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    failed, lowest, highest = [], 1.0, 0.0
    found: dict[str, list[float]] = {}
    say(f"{asked.repeats} repeats; symbols share half of their variance\n")
    for symbols in (1, 5):
        names = list(truths(1, symbols, PORTFOLIO_SESSIONS))
        say(f"| {symbols} symbols: h, sessions | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        for horizon in HORIZONS:
            for sessions in SESSIONS:
                if sessions < least_sessions(horizon):
                    continue
                cells = []
                for name, (share, printed) in coverage(horizon, sessions, symbols, asked.repeats, asked.seed).items():
                    low, high = limits(horizon, sessions, printed)
                    if printed >= asked.repeats // 10:
                        found.setdefault(f"{horizon}, {sessions}", []).append(share)
                        lowest, highest = min(lowest, share), max(highest, share if high < 1 else 0)
                        if not low <= share <= high:
                            failed.append(f"{name}, h = {horizon}, {sessions} sessions, {symbols} symbols: {share:.3f}")
                    cells.append(f"{share:.3f}" + ("" if printed == asked.repeats else f" of {printed}"))
                say(f"| {horizon}, {sessions} | {' | '.join(cells)} |")
        say("")
    say("| h, sessions | lowest | highest |\n|---|---|---|")
    for where, shares in found.items():
        say(f"| {where} | {min(shares):.3f} | {max(shares):.3f} |")
    say(f"\nlowest {lowest:.3f}, highest from ten blocks on {highest:.3f}; outside of the promise: {failed or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
