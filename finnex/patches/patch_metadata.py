"""The specification's metadata of a patch: mood, attention, momentum and regime of what it shows and where it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import STEPS
from finnex.data.point_in_time import Floats
from finnex.patches import estimators as estimate
from finnex.patches.features import LEAST, MONTH, SHORT, PatchFeature
from finnex.patches.patch_signals import Signals, mask

REGIMES = ("calm", "normal", "stressed")
ATTENTION = {
    "news": ("news_volume", "news_volume_surprise", "news_intensity"),
    "social": ("social_engagement", "social_volume_surprise", "social_wave"),
}


def _attention(source: str) -> Callable[[Signals], Floats]:
    def compute(s: Signals) -> Floats:
        total, count = (np.zeros((len(s.rows), s.shown.patches)) for _ in range(2))
        for name in ATTENTION[source]:
            value = s.amount(name)
            known = ~np.isnan(value)
            total += np.where(known, value, 0.0)
            count += known
        return estimate.ratio(total, count, count > 0)

    return compute


METADATA: Mapping[str, PatchFeature] = {
    "aggregated_sentiment": PatchFeature(
        lambda s: s.shown.of(mask(s.grid.layout, "behavioral")).mean(s.directions, s.rows), -1, 1,
        "mean direction of all sentiment pixels of the patch, over all sessions that it shows",
        "the patch shows no sentiment of a direction, or none is known", "ours", "patch",
    ),
    "sentiment_volatility": PatchFeature(
        lambda s: estimate.spread(s.mood - estimate.shift(s.mood, 1), MONTH, LEAST), 0, 2 * np.sqrt(2.0),
        "standard deviation over 20 sessions of daily changes of the patch's sentiment",
        f"the patch shows no sentiment of a direction; {SHORT}", "sample standard deviation", "patch",
    ),
    "news_intensity": PatchFeature(
        _attention("news"), 0, 1, f"mean brightness of {', '.join(ATTENTION['news'])}", "all of them unknown", "ours",
        "session",
    ),
    "social_engagement": PatchFeature(
        _attention("social"), 0, 1, f"mean brightness of {', '.join(ATTENTION['social'])}", "all of them unknown",
        "ours", "session",
    ),
    "sentiment_price_correlation": PatchFeature(
        lambda s: 2 * s.amount("coupling_same_day_60") - 1, -1, 1,
        "the catalogue's coupling_same_day_60: correlation over 60 sessions of the company's tone with its return",
        "coupling_same_day_60 is unknown", "Pearson", "session",
    ),
    "momentum_signals": PatchFeature(
        lambda s: s.composite("technical"), -1, 1,
        "mean direction of return_20, close_to_sma_50, rsi_14, macd_histogram and channel_position_55",
        "all of them unknown", "ours", "session",
    ),
}  # fmt: skip
"""Six of the nine metadata fields; `regime_context` is `regime`, the other two are the grid's."""


def regime(s: Signals) -> npt.NDArray[np.int8]:
    """Return the likeliest market state where each patch looks, counting into `REGIMES`; -1 where not known.

    Of states whose brightness is the same step the first counts.
    """
    # Whole steps: the last bit of float32 must not decide between equals, of which one may be drawn dark for likely.
    chances = np.rint(STEPS * np.stack([s.amount(f"regime_{name}") for name in REGIMES]))
    known = ~np.isnan(chances).any(axis=0)
    return np.where(known, np.nan_to_num(chances).argmax(axis=0), -1).astype(np.int8)
