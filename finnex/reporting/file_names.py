"""Names of an export's parts and files: the specification's convention, in one table.

The specification's tree and its convention differ in places; the convention decides for what holds data, the tree for
folders and for the four files of `metadata/`. `docs/export.md` has the rule and an example of each.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

import numpy as np

PartName = Literal[
    "metadata", "visualizations", "trainer", "mega_images_full", "batch_tensors", "patch_datasets", "cnn_ready"
]
"""In the order in which they are written: parts that may fail for missing data come before large ones."""
PART_NAMES: tuple[PartName, ...] = get_args(PartName)
FileKind = Literal["daily_images", "batch_tensors", "patch_datasets", "cnn_splits", "metadata"]

CONVENTION: dict[FileKind, str] = {
    "daily_images": "mega_image_{date}_{session_id}",
    "batch_tensors": "{what}_{start_date}_{end_date}_{features_count}f.npy",
    "patch_datasets": "{what}_{patch_size}x{patch_size}_{date_range}_{label_type}.npy",
    "cnn_splits": "{split_type}_{what}_{patch_size}_{normalization_type}.npy",
    "metadata": "{data_type}_metadata_{date_range}.json",
}
"""A picture of a session is called as its array is, so `daily_images` leaves the ending to the caller. `what` is
mega_batch, patches and patches in the specification's own examples; files next to such an array are named after it.
`date_range` replaces the specification's time stamp: the same store gives the same names."""
NORMALIZATION = "causal_norm"
"""Each session is normalised by its own trailing window; the specification's example, minmax_norm, would look ahead."""


def file_naming_convention(kind: FileKind, **values: object) -> str:
    """Return the name of a file.

    Raises
    ------
    KeyError
        A part of the name is missing.
    """
    return CONVENTION[kind].format(**{name: _compact(value) for name, value in values.items()})


def _compact(value: object) -> object:
    """Return a date as its eight digits, a first and a last date as both."""
    if isinstance(value, tuple):
        return "_".join(str(_compact(one)) for one in value)
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    return f"{value:%Y%m%d}" if isinstance(value, date) else value


def session_id(features: int) -> str:
    """Return what identifies a session's image: how many features it draws, as in the specification's example."""
    return f"enhanced{features}f"
