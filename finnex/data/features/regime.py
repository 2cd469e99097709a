"""Regime and fear/greed features of the market, all causal: filtered, never smoothed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.features.arithmetic import QUARTER, YEAR, log, row_mean, trailing_rank, trailing_z
from finnex.data.features.context import Context, Features
from finnex.data.features.price_basis import PRICE_STEP
from finnex.data.features.section import Section

NOTE_DURATION = 8.0  # years, a ten-year Treasury note
STATES = ("calm", "normal", "stressed")
STATE_MEAN = (-1.0, 0.0, 1.5)
STATE_SPREAD = (0.6, 0.6, 0.9)
"""What each state looks like: log market volatility of 20 sessions in standard deviations of its trailing year."""
STAY = 0.98
"""Chance that tomorrow's state is today's: a state lasts fifty sessions on average."""


def regime(context: Context) -> Features:
    """Return fear and greed composites and regime probabilities.

    Each component of greed is standardised over its own trailing year; positive means greed, calm or risk taken.
    """
    return dict(context.section.once(_of_section))


def _of_section(section: Section) -> Features:
    vix = section.series("VIX", max_age=5)
    market = section.market_returns
    level = market.cumsum()
    ten = section.series("DGS10", max_age=10)
    credit = section.series("BAA", max_age=60) - section.series("AAA", max_age=60)
    volatility = market.rolling(20).std()
    sectors = section.sector_returns.rolling(20).sum()
    # Half a step above zero: the rounding of a running sum must not decide whether an unchanged price has risen.
    rising = (sectors > PRICE_STEP / 2).astype("float64")
    # A ten-year note gains about its duration times the fall of its yield, in percentage points.
    haven = market.rolling(20).sum() + NOTE_DURATION * (ten - ten.shift(20)) / 100
    components = {
        "greed_implied_volatility": -trailing_z(log(vix)),
        "greed_momentum": trailing_z(level - level.rolling(125, min_periods=60).mean()),
        "greed_breadth": trailing_z(pd.Series(row_mean(rising.where(sectors.notna())))),
        "greed_safe_haven": trailing_z(haven),
        "greed_credit": -trailing_z(credit),
        "greed_realized_volatility": -trailing_z(volatility),
    }
    composite = pd.Series(row_mean(pd.DataFrame(components)))
    probability = filtered_states(trailing_z(log(volatility)).to_numpy())
    found = components | {
        "fear_greed": composite,
        "fear_greed_change_5": composite - composite.shift(5),
        "fear_greed_change_20": composite - composite.shift(20),
        "fear_greed_rank_252": trailing_rank(composite),
        "drawdown_market_252": level - level.rolling(YEAR, min_periods=QUARTER).max(),
    }
    series = {name: values.to_numpy(dtype="float64") for name, values in found.items()}
    for column, name in enumerate(STATES):
        series[f"regime_{name}"] = probability[:, column]
    return series | {"regime_transition": transition(probability)}


def filtered_states(z: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the probability of each state given observations up to and including each session.

    Hamilton, A New Approach to the Economic Analysis of Nonstationary Time Series (1989), with fixed parameters:
    nothing is fitted, so nothing is fitted on the future.

    Parameters
    ----------
    z
        (sessions,) log volatility in standard deviations of its own past; NaN carries the last belief forward,
        spread by one step.

    Returns
    -------
    numpy.ndarray
        (sessions, 3): calm, normal, stressed; rows sum to 1, NaN before the first observation.
    """
    switch = (1 - STAY) / (len(STATES) - 1)
    belief = [1 / len(STATES)] * len(STATES)
    result = np.full((len(z), len(STATES)), np.nan)
    seen = False
    for session, value in enumerate(z.tolist()):
        belief = [switch + (STAY - switch) * p for p in belief]
        if not math.isnan(value):
            seen = True
            shape = [math.exp(-0.5 * ((value - m) / s) ** 2) / s for m, s in zip(STATE_MEAN, STATE_SPREAD, strict=True)]
            joint = [p * q + 1e-12 for p, q in zip(belief, shape, strict=True)]
            total = sum(joint)
            belief = [p / total for p in joint]
        if seen:
            result[session] = belief
    return result


def transition(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probability that the state now differs from the likeliest state of five sessions ago."""
    before = np.full(probability.shape, np.nan)
    before[5:] = probability[:-5]
    likeliest = np.where(np.isnan(before).any(axis=1), 0, np.nan_to_num(before).argmax(axis=1))
    now = probability[np.arange(len(probability)), likeliest]
    return np.where(np.isnan(before).any(axis=1), np.nan, 1 - now)
