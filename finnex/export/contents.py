"""The parts of an export: what writes each, and how large it will be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finnex.export.arrays import (
    Step,
    write_batches,
    write_cnn_ready,
    write_daily,
    write_patches,
    write_trainer,
)
from finnex.export.metadata import write_metadata
from finnex.export.pictures import sampled, write_pictures
from finnex.export.selection import ExportPlan
from finnex.patches.describe import ENHANCED_FIELDS
from finnex.reporting.file_names import PartName

RECORD_BYTES, SESSION_BYTES, PICTURES_BYTES, REPORT_BYTES, SMALL_BYTES = 480, 512, 10_000_000, 3_000_000, 200_000
"""At most: a patch's record in the metadata; header, date and label of a session; all pictures; the report and what it
shows; headers and descriptions of a part. Images are counted exactly."""


@dataclass(frozen=True)
class Part:
    """A part of the tree.

    Attributes
    ----------
    write
        Returns the names of quality checks that failed, where it makes any.
    images
        How many images it reads.
    pixels
        How many images' worth of pixels it writes.
    other_bytes
        What it writes in addition to pixels, at most.
    """

    write: Callable[[ExportPlan, Path, Step], tuple[str, ...] | None]
    images: Callable[[ExportPlan], int]
    pixels: Callable[[ExportPlan], int]
    other_bytes: Callable[[ExportPlan], int]
    meaning: str


def _all(plan: ExportPlan) -> int:
    return len(plan.images)


def _split(plan: ExportPlan) -> int:
    return 0 if plan.split is None else sum(len(rows) for rows in plan.split.parts().values())


def _per_session(plan: ExportPlan) -> int:
    return SESSION_BYTES * len(plan.images)


def _panel(plan: ExportPlan) -> int:
    """Return the size of the features up to the last session, which the trainer's folder holds."""
    sessions = int(np.searchsorted(plan.store.state(plan.symbol).days, plan.images.days[-1])) + 1
    return _per_session(plan) + 4 * sessions * (len(plan.images.layout.catalogue.names) + 2)


def _normalisers(plan: ExportPlan) -> int:
    layout = plan.images.layout
    return REPORT_BYTES + 16 * (len(plan.images) + layout.lookback) * (len(layout.catalogue.names) + 1)


def _per_patch(plan: ExportPlan) -> int:
    return (RECORD_BYTES + 16 + 4 * len(ENHANCED_FIELDS)) * len(plan.images) * len(plan.grid)


PARTS: Mapping[PartName, Part] = {
    "metadata": Part(
        write_metadata, _all, lambda plan: 0, _normalisers, "statistics, normalisation, encoding, quality report"
    ),
    "visualizations": Part(
        write_pictures, lambda plan: len(sampled(_all(plan))), lambda plan: 0, lambda plan: PICTURES_BYTES,
        "sample images, single channels, maps of what is encoded",
    ),
    "trainer": Part(write_trainer, _all, _all, _panel, "what FinNeXCNNTrainer opens: images, labels, features"),
    "mega_images_full": Part(write_daily, _all, _all, _per_session, "one file a session"),
    "batch_tensors": Part(
        write_batches, lambda plan: 2 * _all(plan), lambda plan: 2 * _all(plan), _per_session,
        "one file a quarter and one a year",
    ),
    "patch_datasets": Part(write_patches, _all, _all, _per_patch, "patches, labels, metadata and features by year"),
    "cnn_ready": Part(
        write_cnn_ready, _split, _split, lambda plan: 16 * len(plan.grid) * _split(plan),
        "training, validation and test patches",
    ),
}  # fmt: skip


def needed_bytes(plan: ExportPlan) -> int:
    """Return how much an export takes, at most."""
    image = 4 * plan.images.shape[1] * plan.images.shape[2] * plan.images.shape[3]
    parts = [PARTS[name] for name in plan.parts]
    return sum(image * part.pixels(plan) + part.other_bytes(plan) + SMALL_BYTES for part in parts)
