"""What the patches say: for every session and patch the mean of what it shows, as a direction in [-1, 1].

Brightness is oriented by the catalogue, and its column `direction` says what brighter means. Here stress is turned
round, and what says how much but not which way (attention, correlation, the calendar; `none`) is left out: the rest is
a *direction*, -1 bearish to 1 bullish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import FLOOR
from finnex.data.point_in_time import Floats
from finnex.layout import CatalogueEntry, Layout
from finnex.layout.direction import Direction
from finnex.patches.estimators import ratio
from finnex.patches.grid import PatchGrid
from finnex.patches.patch_panel import PatchPanel
from finnex.patches.shown import Mask, Shown, shown

SIGNS: Mapping[Direction, int] = {"bullish": 1, "stress": -1, "none": 0}
"""By what a feature's brightness is multiplied, from its column `direction` of the catalogue."""

KINDS = ("behavioral", "technical", "macro", "fundamental")
_OF_REGION = {
    **dict.fromkeys(("fear_greed", "news", "social", "historical", "management", "analyst"), "behavioral"),
    **dict.fromkeys(("market", "technical", "volatility", "options"), "technical"),
    **dict.fromkeys(("economy", "calendar"), "macro"),
    **dict.fromkeys(("fundamentals", "valuation"), "fundamental"),
}
_OF_TABLE = {
    "sentiment": "behavioral", "prices": "technical", "options": "technical", "macro": "macro", "events": "macro",
    "calendar": "macro", "fundamentals": "fundamental", "competitive": "fundamental",
}  # fmt: skip

COMPOSITES: Mapping[str, tuple[str, ...]] = {
    "macro": ("fear_greed", "market_return_20", "vix_level", "sector_breadth_50", "credit_risk_premium"),
    "technical": ("return_20", "close_to_sma_50", "rsi_14", "macd_histogram", "channel_position_55"),
    "behavioral": ("news_tone_5", "social_tone_5", "history_tone_20"),
    "fundamental": (
        "fundamental_momentum", "revenue_growth_yoy", "operating_margin_change_yoy", "return_on_assets_change_yoy",
    ),
    "rational": ("fundamental_momentum", "operating_margin", "return_on_assets", "earnings_to_price", "book_to_price"),
    "return": ("return_1",),
}  # fmt: skip
"""The session as a whole: the mean direction of a few features each. A feature that a catalogue lacks is left out."""


def kind(entry: CatalogueEntry) -> str:
    """Return which kind of evidence a feature is: by its home region, else by its table."""
    return _OF_REGION.get(entry.region) or _OF_TABLE.get(entry.table, "technical")


def unit(brightness: npt.NDArray[np.float32]) -> Floats:
    """Return brightness [0.02, 1] as [0, 1], NaN where not known."""
    return (brightness.astype(np.float64) - FLOOR) / (1 - FLOOR)


def directions(panel: PatchPanel, layout: Layout) -> Floats:
    """Return every feature as a direction: (sessions, features) in [-1, 1], NaN where not known or undirected."""
    sign = np.array([SIGNS[entry.direction] for entry in layout.catalogue.entries], dtype=np.float64)
    return np.where(sign == 0, np.nan, sign * (2 * unit(panel.brightness) - 1))


def composite(values: Floats, layout: Layout, name: str) -> Floats:
    """Return the mean over a composite's known features, (sessions,); NaN where none is known."""
    columns = [layout.catalogue.position[feature] for feature in COMPOSITES[name] if feature in layout.catalogue.names]
    total, count = np.zeros(len(values)), np.zeros(len(values))
    for column in columns:  # one after another: the bits of a session then depend on that session alone
        known = ~np.isnan(values[:, column])
        total += np.where(known, values[:, column], 0.0)
        count += known
    return ratio(total, count, count > 0)


def mask(layout: Layout, *kinds: str) -> Mask:
    """Return which features are evidence of these kinds and have a direction, (features,)."""
    return np.array(
        [kind(entry) in kinds and SIGNS[entry.direction] != 0 for entry in layout.catalogue.entries], dtype=bool
    )


@dataclass(frozen=True, eq=False)
class Signals:
    """The patches' signals over a run of sessions; arrays are (sessions, patches), NaN where not known.

    Attributes
    ----------
    rows
        Consecutive rows of the panel.
    only
        One patch instead of all.
    """

    grid: PatchGrid
    panel: PatchPanel
    rows: npt.NDArray[np.intp]
    only: int | None = None

    @cached_property
    def patches(self) -> npt.NDArray[np.intp]:
        """Numbers of the patches, one per column."""
        return np.arange(len(self.grid)) if self.only is None else np.array([self.only])

    @cached_property
    def shown(self) -> Shown:
        """What the patches show."""
        return shown(self.grid) if self.only is None else shown(self.grid).only(self.only)

    @cached_property
    def directions(self) -> Floats:
        """Every feature as a direction, (sessions of the panel, features)."""
        return directions(self.panel, self.grid.layout)

    def own(self, *kinds: str) -> Floats:
        """Return the mean direction of a kind's features that each patch shows, on the newest session it shows."""
        return self.shown.newest.of(mask(self.grid.layout, *kinds)).mean(self.directions, self.rows)

    def session(self, values: Floats) -> Floats:
        """Return a figure of the sessions, (sessions of the panel,), on the newest sessions that each patch shows."""
        return self.shown.newest.sessions.mean(values, self.rows)

    def composite(self, name: str) -> Floats:
        """Return one of the session's composite directions where each patch looks."""
        return self.session(composite(self.directions, self.grid.layout, name))

    def own_or(self, name: str, *kinds: str) -> Floats:
        """Return what the patch itself shows of these kinds; for patches that show none, the session's composite."""
        shows = np.zeros(self.shown.patches, dtype=bool)
        shows[self.shown.of(mask(self.grid.layout, *kinds)).patch] = True
        return np.where(shows, self.own(*kinds), self.composite(name))

    def amount(self, name: str) -> Floats:
        """Return how much there is of a feature, from its low (0) to its high (1), where each patch looks.

        NaN where the catalogue has no such feature.
        """
        catalogue = self.grid.layout.catalogue
        if name not in catalogue.position:
            return np.full((len(self.rows), self.shown.patches), np.nan)
        column = catalogue.position[name]
        bright = unit(self.panel.brightness[:, column])
        return self.session(bright if catalogue.entries[column].orientation > 0 else 1 - bright)

    @cached_property
    def tone(self) -> Floats:
        """Mean direction of all that a patch shows."""
        return self.own(*KINDS)

    @cached_property
    def mood(self) -> Floats:
        """Mean direction of the sentiment that a patch shows."""
        return self.own("behavioral")
