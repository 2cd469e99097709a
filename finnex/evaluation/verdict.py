"""Which of several differences may be called one: a step-down over all of them.

The more baselines a model is held against, the more often noise leads one of them. Holm's step-down (A Simple
Sequentially Rejective Multiple Test Procedure, 1979) keeps the chance of any false statement within its level under
any dependence of the differences. `benchmarks/verdicts.py` simulates it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from finnex.evaluation.interval import LEVEL, Estimate

Word = Literal["beats", "worse", "open"]
"""Of a model and what it is held against: above it, below it, or neither by a test."""


def adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p values: one at or below a level is found at that level for all of them together."""
    names = sorted(p_values, key=lambda name: p_values[name])
    steps = [min(1.0, (len(names) - rank) * p_values[name]) for rank, name in enumerate(names)]
    return dict(zip(names, np.maximum.accumulate(steps).tolist(), strict=True)) if names else {}


def verdicts(differences: Mapping[str, Estimate], level: float = 1 - LEVEL) -> dict[str, Word]:
    """Return the word for each difference of a model from what it is held against; positive is better.

    Half of the level is for 'beats', half for 'worse'.
    """
    above = adjusted({name: one.p_above() for name, one in differences.items()})
    below = adjusted({name: one.p_below() for name, one in differences.items()})
    return {
        name: "beats" if above[name] <= level / 2 else "worse" if below[name] <= level / 2 else "open"
        for name in differences
    }
