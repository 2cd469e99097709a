"""The tables in which patterns are planted: bars whose next session is the label, and records of sentiment.

The return that a decision is about is an ordinary one: normal, in the deviation of its company's last sessions. Only
the third of that distribution which it comes from is the label's. All noise is drawn forward in time, session by
session, so that a shorter market is the exact beginning of a longer one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from finnex.data.labels import HOLD, SELL
from finnex.exam.hidden_paths import Floats, Paths, generator, make_bars, wander
from finnex.exam.planted_patterns import BOTH, PRICE, SENTIMENT, PlantedDecisions, patterns_on

OWN = 0.012
"""Volatility of a company's own part of its return, a day; the market's share is about 0.0105 more."""
MOVE, RALLY = 1.8, 1.2
"""Log return of a session of a move of the price alone, and of a rally, in the volatility expected of the session."""
THIN, HEAVY = -1.0, 1.0
"""What a session of such a move, and of a rally, adds to the logarithm of volume."""
OVERNIGHT = 0.25
"""Share of their return that falls between close and open."""

VOLATILITY_SESSIONS = 63
THIRD = float(ndtri(2 / 3))
"""Deviations that part the thirds of a normal distribution."""
OUTCOME = 0.87
"""Deviation of an outcome, open to close, in that of the last `VOLATILITY_SESSIONS` daily returns."""
THRESHOLD = round(OUTCOME * THIRD, 3)
"""`[labels] threshold_volatility` with which FinNeX's labels are the planted classes."""
MARGIN, LARGEST = 0.05, 2.5
"""How far an outcome stays from the threshold, as a share of it, and its largest size in `OUTCOME`."""

WAVE = 2.4
"""Size of a wave, in units in which a record's opinion has deviation 1."""
MOOD, MEMORY = 0.6, 0.5
"""Deviation of what the records of a session have in common, and how much of it stays to the next session."""
LOUDNESS = 0.3
"""Score is the hyperbolic tangent of a provider's level and of opinion times this."""
FIRST_SECOND, SECONDS_APART = 900, 6000
"""How long before the close the last record of a session is, at least, and how far apart records of a provider are."""


@dataclass(frozen=True)
class Provider:
    """Who writes: so many records a session, each with a probability."""

    source: str
    name: str
    records: int
    probability: float
    level: float


PROVIDERS = (
    Provider("news", "wire", 1, 1.0, 0.05),
    Provider("news", "desk", 1, 0.6, 0.15),
    Provider("social", "forum", 2, 1.0, 0.10),
    Provider("analyst", "broker", 1, 0.04, 0.10),
    Provider("management", "company", 1, 0.02, 0.15),
)
WAVES = {"news": BOTH, "social": SENTIMENT}
"""Source to the regime whose wave it shows."""


def planted_bars(paths: Paths, symbol: str, decisions: PlantedDecisions) -> pd.DataFrame:
    """Return the bars of a company: noise, with the patterns of its decisions, and their outcomes.

    Parameters
    ----------
    paths
        Sessions, the market's factor, and the seed.
    symbol
        The company.
    decisions
        Its decisions.

    Returns
    -------
    pandas.DataFrame
        symbol, date, open, high, low, close, volume: one row a session, as the reader of prices gives them.
    """
    base, sessions = make_bars(paths, symbol, own=OWN), len(paths.days)
    move, rally = (patterns_on(decisions, regime, sessions, of_price=True) for regime in (PRICE, BOTH))
    moved = (MOVE * move + RALLY * rally) * base.expected
    overnight = base.overnight + OVERNIGHT * moved
    intraday = base.returns - base.overnight + (1 - OVERNIGHT) * moved
    volume = base.volume * np.exp(THIN * np.abs(move) + HEAVY * np.abs(rally))
    size = generator(paths.seed, f"outcomes of {symbol}").random(len(decisions))
    for at, label, where in zip(decisions.session.tolist(), decisions.label.tolist(), size.tolist(), strict=True):
        if at + 1 < sessions:
            known = slice(at + 1 - VOLATILITY_SESSIONS, at + 1)
            deviation = float(np.std((overnight + intraday)[known], ddof=1))
            intraday[at + 1] = np.log1p(OUTCOME * deviation * outcome(label, where))
    first = generator(paths.seed, f"first price of {symbol}").uniform(40, 200)
    close = first * np.exp(np.cumsum(overnight + intraday))
    opened = close * np.exp(-intraday)
    high = np.maximum(opened, close) * (base.high / np.maximum(base.open, base.close))
    low = np.minimum(opened, close) * (base.low / np.minimum(base.open, base.close))
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return pd.DataFrame(
        {
            "symbol": symbol,
            "date": paths.days.astype("datetime64[ns]"),
            **{name: np.round(values, 4) for name, values in prices.items()},
            "volume": np.round(volume),
        }
    )


def outcome(label: int, where: float) -> float:
    """Return a standard normal number from the third that a label means, at a place in it from 0 to 1."""
    if label == HOLD:
        half = float(ndtr(THIRD * (1 - MARGIN))) - 0.5
        return float(ndtri(0.5 + (2 * where - 1) * half))
    low, high = float(ndtr(THIRD * (1 + MARGIN))), float(ndtr(LARGEST))
    found = float(ndtri(low + where * (high - low)))
    return -found if label == SELL else found


def planted_records(paths: Paths, symbol: str, decisions: PlantedDecisions | None = None) -> pd.DataFrame:
    """Return the records of sentiment of a company, all written before the close of their session.

    Parameters
    ----------
    paths
        Sessions and seed.
    symbol
        The company.
    decisions
        Its decisions; absent, nothing is planted.

    Returns
    -------
    pandas.DataFrame
        As the reader of sentiment gives them, in order of time.
    """
    sessions = len(paths.days)
    waves = {
        source: np.zeros(sessions)
        if decisions is None
        else WAVE * patterns_on(decisions, regime, sessions, of_price=False)
        for source, regime in WAVES.items()
    }
    moods = {one.source: _mood(paths, symbol, one.source) for one in PROVIDERS}
    parts = []
    for one in PROVIDERS:
        shape = (sessions, one.records)
        uniform = generator(paths.seed, f"times of {one.name} on {symbol}").random((*shape, 2))
        noise = generator(paths.seed, f"opinions of {one.name} on {symbol}").standard_normal(shape)
        opinion = (moods[one.source] + waves.get(one.source, 0.0))[:, None] + np.sqrt(1 - MOOD**2) * noise
        day, slot = np.nonzero(uniform[..., 0] < one.probability)
        before = FIRST_SECOND + SECONDS_APART * slot + (SECONDS_APART * uniform[day, slot, 1]).astype(np.int64)
        stamps = paths.closes[day].astype("datetime64[s]") - before.astype("timedelta64[s]")
        scores = np.tanh(one.level + LOUDNESS * opinion[day, slot])
        parts.append(
            pd.DataFrame(
                {
                    "symbol": symbol,
                    "timestamp": stamps.astype("datetime64[ns]"),
                    "source": one.source,
                    "provider": one.name,
                    "score": np.round(scores, 4),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(confidence=1.0, documents=1.0, engagement=0.0, repost=0.0)
    return table.sort_values("timestamp", ignore_index=True, kind="stable")


def _mood(paths: Paths, symbol: str, source: str) -> Floats:
    steps = generator(paths.seed, f"mood of {source} on {symbol}").standard_normal(len(paths.days))
    return MOOD * wander(np.sqrt(1 - MEMORY**2) * steps, MEMORY)
