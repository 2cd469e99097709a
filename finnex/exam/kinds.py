"""All kinds of the exam, by name: leaks, and honest data that look like one."""

from __future__ import annotations

from finnex.exam import (
    plants_code,
    plants_enhanced,
    plants_filings,
    plants_labels,
    plants_market,
    plants_releases,
    plants_sentiment,
    plants_store,
)
from finnex.exam.plant import Kind

_MODULES = (
    plants_sentiment, plants_releases, plants_market, plants_enhanced, plants_filings, plants_code, plants_labels,
    plants_store,
)  # fmt: skip
ALL: dict[str, Kind] = {one.name: one for module in _MODULES for one in module.KINDS}
LEAKS: dict[str, Kind] = {name: one for name, one in ALL.items() if not one.honest}
HONEST: dict[str, Kind] = {name: one for name, one in ALL.items() if one.honest}
