"""What is drawn, and what a model is asked about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from finnex.config.section import PositiveInt, Section

HORIZONS = (1, 3, 5, 10, 20)
ACROSS_THE_SECTION = ("market_relative", "section_rank")
"""Kinds of labels that compare a company with the members of a universe."""
LEAST_VOLATILITY_SESSIONS = 20
"""Sessions from which a volatility is computed; a shorter window would have none."""
"""Label horizons in sessions."""


class ImageSettings(Section):
    """What an image is: a bundled layout's name or a layout file, and how many sessions it shows."""

    layout: str = "mega"
    lookback: PositiveInt | None = None
    """Sessions shown; absent, the layout's own window."""
    catalogue: Path | None = None
    """A catalogue of your own, relative to the configuration file; absent, the bundled one."""
    blending: bool = False
    """Whether regions are muted by their blend (regime, source agreement, ...)."""
    cross_section: bool = False
    """Whether the bundled catalogue has the company's ranks in the universe too: needs a table of companies."""


class LabelSettings(Section):
    """What a model is asked: the kind of label, its horizon, and the thresholds."""

    kind: Literal["price_movement", "triple_barrier", "market_relative", "section_rank"] = "price_movement"
    horizon: Literal[1, 3, 5, 10, 20] = 5
    threshold_volatility: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Buy above and Sell below this multiple of trailing volatility over the horizon."""
    barrier_volatility: Annotated[float, Field(gt=0, le=10)] = 1.0
    volatility_sessions: Annotated[int, Field(ge=LEAST_VOLATILITY_SESSIONS, le=504)] = 63


class ModelSettings(Section):
    """Which network, at which size."""

    architecture: Literal["multiscale_cnn", "vit"] = "multiscale_cnn"
    preset: Literal["small", "base"] = "small"
