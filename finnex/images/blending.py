"""Blending: how much of its contrast a region keeps on a session, from what was known at its close.

`drawn = neutral + weight * (value - neutral)` with a weight in [0.5, 1]: a region that deserves less trust is drawn
nearer to grey, and decoding undoes it exactly. Weights are stored per date and region. A layout names the blend of a
region; a run switches blending on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import NEUTRAL, STEPS
from finnex.data.panel import Panel
from finnex.layout import Layout

LEAST = 0.5

Floats = npt.NDArray[np.float64]
Column = Callable[[str], Floats]
"""Gives a feature's original values, (sessions,), by name."""


def agreement(first: str, second: str) -> Callable[[Column], Floats]:
    """Return a blend by how a sentiment source moves with the two others over 60 sessions.

    The mean of its two correlations, from -1 to 1, becomes 0 to 1: a source that no other confirms is muted.
    """

    def blend(column: Column) -> Floats:
        both = np.stack([column(first), column(second)])
        known = ~np.isnan(both)
        total = np.where(known, both, 0.0).sum(axis=0)
        count = known.sum(axis=0)
        mean: Floats = np.divide(total, count, out=np.full(both.shape[1], np.nan), where=count > 0)
        return (mean + 1) / 2

    return blend


def technical_regime(column: Column) -> Floats:
    """Return full weight in calm and normal markets; under stress only as much as momentum has quality.

    Quality is Kaufman's efficiency ratio: net move over path length, in [0, 1].
    """
    stressed, quality = column("regime_stressed"), column("efficiency_20")
    return 1 - stressed * (1 - quality)


def macro_transition(column: Column) -> Floats:
    """Return less weight while the market's state is changing: last month's macro picture then means less."""
    return 1 - column("regime_transition")


def fundamental_momentum(column: Column) -> Floats:
    """Return more weight the more the signs of growth, margin and return agree, up or down."""
    return np.abs(column("fundamental_momentum"))


BLENDS: Mapping[str, Callable[[Column], Floats]] = {
    "news_agreement": agreement("agreement_news_social_60", "agreement_news_archive_60"),
    "social_agreement": agreement("agreement_news_social_60", "agreement_social_archive_60"),
    "archive_agreement": agreement("agreement_news_archive_60", "agreement_social_archive_60"),
    "technical_regime": technical_regime,
    "macro_transition": macro_transition,
    "fundamental_momentum": fundamental_momentum,
}


def blend_inputs(blend: str) -> list[str]:
    """Return the features that a blend is made from."""
    asked: list[str] = []

    def column(name: str) -> Floats:
        asked.append(name)
        return np.zeros(1)

    BLENDS[blend](column)
    return asked


def region_weights(panel: Panel, layout: Layout) -> npt.NDArray[np.float32]:
    """Return the weight of every region on every session: (sessions, regions) float32 in [0.5, 1].

    1 where blending is off, where a region names no blend, and where what the blend needs is not known.
    """
    weights = np.ones((len(panel.calendar), len(layout.regions)), dtype=np.float32)
    if not layout.blending:
        return weights

    def column(name: str) -> Floats:
        return panel.original[:, panel.features.index(name)]

    for position, region in enumerate(layout.regions):
        if region.blend:
            share = np.clip(BLENDS[region.blend](column), 0.0, 1.0)
            weights[:, position] = np.where(np.isnan(share), 1.0, LEAST + (1 - LEAST) * share)
    # The same rounding as the values: the last bits of a correlation must not redraw a session.
    return (np.rint(weights * STEPS) / STEPS).astype(np.float32)


def apply(tile: npt.NDArray[np.float32], weight: float) -> npt.NDArray[np.float32]:
    """Return brightness drawn towards neutral; NaN stays NaN."""
    if weight == 1:
        return tile
    return (NEUTRAL + weight * (tile.astype(np.float64) - NEUTRAL)).astype(np.float32)


def undo(drawn: npt.NDArray[np.float32], weight: float | Floats) -> npt.NDArray[np.float64]:
    """Return the brightness before `apply`; weights broadcast against what was drawn."""
    return NEUTRAL + (np.asarray(drawn, dtype=np.float64) - NEUTRAL) / weight
