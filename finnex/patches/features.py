"""The specification's enhanced features of a patch, each with its definition, range, NaN rule and source.

All are computed from what the patch shows and from its session; nothing is fitted, nothing looks ahead. A patch
on the left of an image shows older sessions, and is described as of the newest session that it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finnex.data.point_in_time import Floats
from finnex.patches import estimators as estimate
from finnex.patches.patch_signals import Signals, unit
from finnex.patches.shown import PRICE_BARS

WEEK, MONTH, TWO_MONTHS = 5, 20, 40
"""Windows in sessions; a week is also how far ahead the predictive features look, the default horizon of labels."""
LEAST = 10  # known sessions of a month, below which nothing is said
PAST = estimate.Simulation(window=MONTH, least=LEAST, ahead=WEEK, memory=120, least_paths=20, decay=0.98)
HISTORY = PAST.memory + MONTH
"""Sessions before an image's own that its features may need, in addition to those that the image shows."""


@dataclass(frozen=True)
class PatchFeature:
    """One number per session and patch: how it is made, and what it may be relied on for.

    Attributes
    ----------
    low, high
        No value lies outside.
    unknown
        When it is NaN.
    per
        Whether it differs between the patches of a session by what they show, or is the session's own figure read
        where the patch looks.
    """

    compute: Callable[[Signals], Floats]
    low: float
    high: float
    meaning: str
    unknown: str
    source: str
    per: Literal["patch", "session"]


# ---- enhanced features -------------------------------------------------------------------------------------


def section_importance(s: Signals) -> Floats:
    """Share of a session's movement that lies in the patch's section."""
    layout = s.grid.layout
    before = np.maximum(s.rows - 1, 0)
    change = np.abs(unit(s.panel.brightness[s.rows]) - unit(s.panel.brightness[before]))
    change[s.rows == 0] = np.nan
    moved = np.full((len(s.rows), len(layout.sections)), np.nan)
    for number, section in enumerate(layout.sections):
        names = {name for region in layout.regions if region.section == section.name for name in region.features}
        columns = [layout.catalogue.position[name] for name in layout.catalogue.names if name in names]
        total, count = np.zeros(len(s.rows)), np.zeros(len(s.rows))
        for column in columns:
            known = ~np.isnan(change[:, column])
            total += np.where(known, change[:, column], 0.0)
            count += known
        moved[:, number] = estimate.ratio(total, count, count > 0)
    whole = np.zeros(len(s.rows))
    for number in range(len(layout.sections)):
        whole += np.nan_to_num(moved[:, number])
    share = estimate.ratio(moved, whole[:, None], whole[:, None] > 0)
    return share[:, s.grid.section_of[s.patches]]


def sentiment_momentum(s: Signals) -> Floats:
    """Mean mood of a week less that of a month."""
    return estimate.mean(s.mood, WEEK, 1) - estimate.mean(s.mood, MONTH, LEAST)


def price_sentiment_coupling(s: Signals) -> Floats:
    """Correlation of the mood's changes with the share's returns over a month."""
    change = s.mood - estimate.shift(s.mood, 1)
    return estimate.correlation(change, s.composite("return"), MONTH, LEAST)


def regime_transition_signals(s: Signals) -> Floats:
    """Probability that the market's state differs from that of a week before."""
    return s.amount("regime_transition")


def macro_micro_alignment(s: Signals) -> Floats:
    """Agreement of the patch with the other side: the share's trend for macro patches, the market's mood for others."""
    macro = np.array([s.grid.patches[number].section.startswith("macro") for number in s.patches], dtype=bool)
    other = np.where(macro, s.composite("technical"), s.composite("macro"))
    return 1 - np.abs(s.tone - other)


def fundamental_technical_convergence(s: Signals) -> Floats:
    """How far the gap between fundamentals and price has closed within a month."""
    gap = np.abs(s.own_or("fundamental", "fundamental") - s.own_or("technical", "technical"))
    return (estimate.shift(gap, MONTH) - gap) / 2


def behavioral_rational_divergence(s: Signals) -> Floats:
    """Mood less what economy and statements say."""
    return (s.own_or("behavioral", "behavioral") - s.own_or("rational", "macro", "fundamental")) / 2


def momentum_divergence_signals(s: Signals) -> Floats:
    """Trend of the patch over a month less that of the price."""
    price = s.amount(PRICE_BARS)
    return (estimate.trend(s.tone, MONTH, LEAST) - estimate.trend(price, MONTH, LEAST)) / 2


def mean_reversion_potential(s: Signals) -> Floats:
    """Change of the patch's direction to expect within a week, by the autoregression of its last two months."""
    return estimate.reversion(s.tone, TWO_MONTHS, MONTH, WEEK)


def breakout_probability(s: Signals) -> Floats:
    """Probability that the patch's direction leaves its month's range within a week."""
    return estimate.breakout(s.tone, PAST, estimate.autoregression(s.tone, TWO_MONTHS, MONTH)[1])


def volatility_expansion_risk(s: Signals) -> Floats:
    """Probability that the patch's direction moves more in the coming week than in the last month."""
    return estimate.expansion(s.tone, PAST)


SHORT = f"fewer than {LEAST} of {MONTH} sessions known"
_PATHS = f"{SHORT}, or fewer than {PAST.least_paths} past paths"

ENHANCED: Mapping[str, PatchFeature] = {
    "section_importance": PatchFeature(
        section_importance, 0, 1,
        "mean absolute change of the section's features since the session before, over the sum of all sections'",
        "nothing moved, or nothing of the section is known on both sessions", "ours", "session",
    ),
    "sentiment_momentum": PatchFeature(
        sentiment_momentum, -2, 2, "mean of the patch's sentiment over 5 sessions less that over 20",
        f"the patch shows no sentiment of a direction; {SHORT}",
        "moving averages, Brock, Lakonishok and LeBaron 1992", "patch",
    ),
    "price_sentiment_coupling": PatchFeature(
        price_sentiment_coupling, -1, 1,
        "correlation over 20 sessions of daily changes of the patch's sentiment with the share's daily return",
        f"the patch shows no sentiment of a direction, or it did not move; {SHORT}", "Pearson", "patch",
    ),
    "regime_transition_signals": PatchFeature(
        regime_transition_signals, 0, 1,
        "filtered probability that the market is in another state than 5 sessions before",
        "the catalogue's regime_transition is unknown", "Hamilton 1989", "session",
    ),
    "macro_micro_alignment": PatchFeature(
        macro_micro_alignment, -1, 1,
        "1 - |patch - other side|: macro patches against the share's trend, all others against the market's mood",
        "either side unknown", "ours", "patch",
    ),
    "fundamental_technical_convergence": PatchFeature(
        fundamental_technical_convergence, -1, 1,
        "half of what |fundamental - technical| has lost within 20 sessions; each side as the patch shows it, the "
        "session's composite where it does not",
        "either side unknown, now or 20 sessions ago", "ours", "patch",
    ),
    "behavioral_rational_divergence": PatchFeature(
        behavioral_rational_divergence, -1, 1,
        "half of sentiment less economy and statements; each side as the patch shows it, the session's composite "
        "where it does not",
        "either side unknown", "ours, after Baker and Wurgler 2006", "patch",
    ),
    "momentum_divergence_signals": PatchFeature(
        momentum_divergence_signals, -1, 1,
        "half of the patch's trend over 20 sessions less the price's, each the correlation with time; positive: the "
        "patch rises against the price",
        SHORT, "divergence, Wilder 1978", "patch",
    ),
    "mean_reversion_potential": PatchFeature(
        mean_reversion_potential, -2, 2,
        "(mean - value)(1 - c^5), c the bias-corrected autoregression of the patch's direction over 40 sessions",
        f"fewer than {MONTH} of {TWO_MONTHS} sessions known, or nothing moved",
        "first-order autoregression; Marriott and Pope 1954", "patch",
    ),
    "breakout_probability": PatchFeature(
        breakout_probability, 0, 1,
        "probability that the patch's direction leaves the range of its last 20 sessions within 5: the weighted share "
        "of past 5-session paths that lead out when replayed from today's value",
        _PATHS, "filtered historical simulation, Barone-Adesi, Giannopoulos and Vosper 1999", "patch",
    ),
    "volatility_expansion_risk": PatchFeature(
        volatility_expansion_risk, 0, 1,
        "probability that the mean square change of the patch's direction over the next 5 sessions exceeds that of "
        "the last 20: the weighted share of past 5-session stretches that exceeded it",
        _PATHS, "historical simulation, Boudoukh, Richardson and Whitelaw 1998", "patch",
    ),
}  # fmt: skip
"""Eleven of the thirteen enhanced features; `patch_section` is the grid's, `spatial_neighbors` needs the pixels."""
