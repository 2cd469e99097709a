"""What an export's numbers mean, as JSON: the data's statistics, how values became pixels, and the layout."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import FLOOR, STEPS, FeatureSpec
from finnex.export.arrays import Step, count_labels, describe_split
from finnex.export.selection import ExportPlan
from finnex.layout import CatalogueEntry, Layout, Region
from finnex.reporting.report import make_report

QUALITY_SESSIONS = 16
"""Pairs of sessions whose pixels the report's checks read; `finnex qa` reads more, 13 MB a pair."""
PACKAGES = ("finnex", "numpy", "pandas", "zarr", "matplotlib")


def write_metadata(plan: ExportPlan, folder: Path, step: Step) -> tuple[str, ...]:
    """Write the four files of `metadata/` and the normalisers' arrays; return the quality checks that failed."""
    here = folder / "metadata"
    here.mkdir()
    report = make_report(plan.config, plan.store, sample=QUALITY_SESSIONS)
    (here / "quality_assurance_report.html").write_text(report.html, encoding="utf-8")
    _write(here / "channel_encoding_spec.json", describe_layout(plan.images.layout))
    _write(here / "normalization_parameters.json", _normalisers(plan, here))
    _write(here / "dataset_statistics.json", _statistics(plan, step))
    return tuple(check.name for check in report.failed)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


# ---- dataset_statistics.json --------------------------------------------------------------------------------


@dataclass
class ChannelStatistics:
    """Sums over the known pixels of one channel, image by image."""

    pixels: int = 0
    known: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = field(default=np.inf)
    high: float = field(default=-np.inf)

    def add(self, channel: npt.NDArray[np.float32]) -> None:
        """Count a channel of one image, (y, x); 0 is not known."""
        value = channel[channel > 0].astype(np.float64)
        self.pixels += channel.size
        self.known += value.size
        if value.size:
            self.total += float(value.sum())
            self.squares += float(np.square(value).sum())
            self.low, self.high = min(self.low, float(value.min())), max(self.high, float(value.max()))

    def as_dict(self) -> dict[str, float | None]:
        """Return minimum, mean, maximum and standard deviation over known pixels, None where there are none."""
        if self.known == 0:
            return dict.fromkeys(("min", "mean", "max", "std")) | {"share_known": 0.0}
        mean = self.total / self.known
        spread = max(self.squares / self.known - mean**2, 0.0) ** 0.5
        return {"min": self.low, "mean": mean, "max": self.high, "std": spread, "share_known": self.known / self.pixels}


def _statistics(plan: ExportPlan, step: Step) -> dict[str, Any]:
    images, layout = plan.images, plan.images.layout
    channels = {name: ChannelStatistics() for name in layout.channels}
    for position in range(len(images)):
        image = images.image(position)
        for number, statistics in enumerate(channels.values()):
            statistics.add(image[:, :, number])
        step()
    first, last = plan.days()
    return {
        "symbol": plan.symbol, "exchange": images.exchange, "sessions": len(images), "first_session": str(first),
        "last_session": str(last), "store_fingerprint": plan.fingerprint,
        "synthetic_tables": list(plan.store.attrs["synthetic_tables"]),
        "layout": {
            "name": layout.name, "hash": layout.hash, "lookback_sessions": layout.lookback, "blending": layout.blending,
            "features": plan.features,
        },
        "image": {"shape": list(images.shape[1:]), "channels": list(layout.channels), "dtype": "float32"},
        "channels": {name: statistics.as_dict() for name, statistics in channels.items()},
        "labels": {
            "kind": images.label_kind, "horizon_sessions": images.horizon, "counts": count_labels(images.label),
            "settings": plan.store.attrs["label_settings"],
        },
        "cnn_ready": None if plan.split is None else describe_split(plan, plan.split),
        "parts": list(plan.parts),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }  # fmt: skip


# ---- normalization_parameters.json --------------------------------------------------------------------------


def _normalisers(plan: ExportPlan, here: Path) -> dict[str, Any]:
    """Write each session's location and scale, and return what each feature does with them."""
    sessions, layout = plan.store.open_sessions(plan.symbol), plan.images.layout
    days = sessions["date"].to_numpy().astype("datetime64[D]")
    first, last = np.searchsorted(days, np.array(plan.days()))
    rows = slice(max(0, int(first) - layout.lookback + 1), int(last) + 1)  # an image shows the sessions before it
    np.save(here / "normalization_dates.npy", days[rows], allow_pickle=False)
    for name in ("location", "scale"):
        values = sessions[f"feature_{name}"][rows].to_numpy()
        np.save(here / f"normalization_{name}.npy", values, allow_pickle=False)
    return {
        "unknown": 0.0, "floor": FLOOR, "steps": STEPS,
        "forward": "x = (value - location) / scale, 0 where scale is 0; u = clip((x - low) / (high - low), 0, 1); "
        "u = 1 - u where orientation is -1; brightness = floor + (1 - floor) * round(u * steps) / steps; "
        "0 where the value, or its scale, is not known",
        "inverse": "u = (brightness - floor) / (1 - floor); u = 1 - u where orientation is -1; "
        "value = location + scale * (low + u * (high - low)); at floor and at 1 the value may have been clipped",
        "location_and_scale": "normalization_location.npy and normalization_scale.npy, (session, feature); sessions in "
        "normalization_dates.npy, features in the order of this file. zscore: mean and standard deviation of the "
        "window_sessions up to the session, itself included; bounded: 0 and 1, low and high are in the feature's unit",
        "features": {entry.name: _normaliser(entry) for entry in layout.catalogue.entries},
    }  # fmt: skip


def _normaliser(entry: CatalogueEntry) -> dict[str, Any]:
    own = {one.name: getattr(entry, one.name) for one in fields(FeatureSpec) if one.name != "name"}
    return own | {"unit": entry.unit, "meaning": entry.meaning}


# ---- channel_encoding_spec.json -----------------------------------------------------------------------------


def describe_layout(layout: Layout) -> dict[str, Any]:
    """Return the layout: place, encoder and features by channel and region. Bounds include both ends."""
    return {
        "layout": layout.name, "layout_hash": layout.hash, "height": layout.height, "width": layout.width,
        "lookback_sessions": layout.lookback, "blending": layout.blending, "unknown": 0.0, "lowest_known": FLOOR,
        "time": "from left, the oldest session, to right, the image's own",
        "sections": {section.name: {"rows": _both_ends(section.rows)} for section in layout.sections},
        "channels": {
            channel: {
                "index": number,
                "regions": {
                    region.name: _region(region, layout) for region in layout.regions if region.channel == channel
                },
            }
            for number, channel in enumerate(layout.channels)
        },
    }  # fmt: skip


def _region(region: Region, layout: Layout) -> dict[str, Any]:
    parameters = {one.name: getattr(region.encoder, one.name) for one in fields(region.encoder)}
    return {
        "section": region.section, "rows": _both_ends(region.rows), "columns": _both_ends(region.columns),
        "margin_columns": region.margin(layout.lookback), "encoder": region.encoder_name, "parameters": parameters,
        "blend": region.blend or None, "features": list(region.features),
    }  # fmt: skip


def _both_ends(bounds: tuple[int, int]) -> list[int]:
    return [bounds[0], bounds[1] - 1]
