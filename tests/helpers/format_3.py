"""A store that version 3 of the format wrote: its archive, its template and its images."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from finnex.data.calendar import session_calendar
from finnex.store import StoreTemplate

ARCHIVE = Path(__file__).parents[2] / "store" / "store_format_3.tar.xz"
FINGERPRINT = "7b8617f057fc31f4f23ca611443a1bba"
TEMPLATE = StoreTemplate(
    layout_name="mega", layout_hash="abc", layout_toml="[canvas]", catalogue_csv="name", lookback_sessions=56,
    shape=(16, 16, 3), channels=("red", "green", "blue"), regions=("a", "b"), features=("x", "y"), horizons=(1, 5),
    label_kinds=("price_movement",), label_settings={"threshold": 0.5}, exchange="XNYS",
    synthetic_tables=("sentiment",),
)  # fmt: skip
DAYS = session_calendar("XNYS", date(2015, 12, 1), date(2015, 12, 31)).days


def image_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, (16, 16, 3)).astype(np.float32)
