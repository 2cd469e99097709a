"""The section `[trading]`: what acting on predictions costs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from finnex.config.section import Section


class TradingSettings(Section):
    """What acting on predictions costs."""

    cost_bps: Annotated[float, Field(ge=0, le=1000)] = 5.0
    """Paid on each amount that is bought or sold, in hundredths of a percent."""
    borrow_fee_per_year: Annotated[float, Field(ge=0, le=10)] = 0.005
    """Paid on what is sold short, a year, as a share of its value; 0.005 is half a percent."""
