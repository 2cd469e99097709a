"""The content of a small report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.evaluation import Scorecard
from finnex.quality import Check
from finnex.reporting.figures import contact_sheet
from finnex.reporting.html import Picture, ReportContent
from finnex.store import InputLimits
from tests.helpers.stores import SECTION_ROWS, blank, paint

YEARS = ("2014-01-02", "2016-12-30")


@dataclass(frozen=True)
class Area:
    name: str
    section: str
    channel: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    encoder_name: str = "heatmap"


AREAS = [
    Area(f"{section}_{channel}", section, channel, rows, (0, 512))
    for section, rows in SECTION_ROWS.items()
    for channel in ("red", "green", "blue")
]


def picture_of(seed: int) -> npt.NDArray[np.float32]:
    image = blank()
    for section in SECTION_ROWS:
        for channel in range(3):
            paint(image, section, channel, np.random.default_rng([seed, channel]).uniform(0, 1, (10, 56)))
    return image


def content(synthetic: list[str], checks: list[Check], card: Scorecard | None = None) -> ReportContent:
    picture = Picture("p", "A picture", "How to read it.", contact_sheet([picture_of(0)], ["t"]))
    return ReportContent(
        title="Report <b>of</b> a store", facts={"store": "images.zarr"}, synthetic_tables=synthetic, checks=checks,
        pictures=[picture], card=card, parameters={"training.seed": 7},
        inputs=[InputLimits(("AAA",), "2024-01-02T03:04:05+00:00", {"prices": YEARS, "sentiment": YEARS})],
    )  # fmt: skip
