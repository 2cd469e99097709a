"""Pictures of an export: sample images, their channels, and what validates the encoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from finnex.export.arrays import Step
from finnex.export.selection import ExportPlan
from finnex.reporting.charts import coverage_over_time
from finnex.reporting.figures import contact_sheet, plain_picture, show_channel
from finnex.reporting.file_names import file_naming_convention, session_id
from finnex.reporting.layout_map import draw_layout
from finnex.reporting.session import session_picture, session_title

SAMPLES = 4
"""Sessions that are drawn, spread evenly from the first to the last."""


def write_pictures(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write sample images pixel by pixel, their single channels, and pictures that say what the pixels encode."""
    images, regions = plan.images, plan.images.layout.regions
    samples, channels, validation = (
        folder / "visualizations" / name
        for name in ("sample_mega_images", "channel_analysis", "feature_encoding_validation")
    )
    for made in (samples, channels, validation):
        made.mkdir(parents=True)
    seen, titles = [], []
    for position in sampled(len(images)):
        image, day = images.image(position), images.days[position]
        name = file_naming_convention("daily_images", date=day, session_id=session_id(plan.features))
        title = session_title(plan.store, plan.symbol, day)
        plain_picture(image, samples / f"{name}.png")
        for channel in images.layout.channels:
            show_channel(image, channel, regions, title, channels / f"{name}_{channel}.png")
        session_picture(plan.store, plan.symbol, day, validation / f"{name}_regions.png")
        seen.append(image)
        titles.append(f"{plan.symbol}  {day}")
        step()
    contact_sheet(seen, titles, out=samples / "contact_sheet.png")
    draw_layout(images.layout, validation / "layout.png")
    coverage = plan.store.open_images(plan.symbol)["coverage"].sel(date=images.days)
    coverage_over_time(
        images.days, coverage.to_numpy(), [str(name) for name in coverage["region"].to_numpy()],
        f"known pixels, {plan.symbol}", validation / "coverage.png",
    )  # fmt: skip


def sampled(sessions: int) -> list[int]:
    """Return positions spread evenly over some sessions, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, sessions - 1, SAMPLES)})
