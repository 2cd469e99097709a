"""Images and patches as NumPy files, written session by session, with their dates and labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from finnex.datasets.array_file import ArrayFile
from finnex.datasets.exported_folder import write_images
from finnex.datasets.patch_data import PatchMetadata
from finnex.datasets.splits import TimeSplit
from finnex.export.selection import ExportPlan, blocks, periods
from finnex.patches.describe import ENHANCED_FIELDS, METADATA_FIELDS
from finnex.patches.grid import extract_patches
from finnex.reporting.file_names import NORMALIZATION, file_naming_convention, session_id
from finnex.store import LABEL_WORDS

Step = Callable[[], None]
"""Called after each image."""
SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Part of a split to its name in the specification's files."""
METADATA_KEYS = (
    "symbol", "date", "patch", "label", "label_end", "forward_return",
    *(name for name in METADATA_FIELDS if name != "spatial_coordinates"), "patch_row", "patch_column",
)  # fmt: skip
"""Keys of a record of the patch metadata."""


def write_trainer(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write `mega_images_full.npy` and what `FinNeXCNNTrainer` opens with it."""
    write_images(plan.images, folder, step)


def write_daily(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write one file a session, (y, x, channel), and dates and labels of all."""
    here = _made(folder / "mega_images_full")
    for position, day in enumerate(plan.images.days):
        name = file_naming_convention("daily_images", date=day, session_id=session_id(plan.features))
        np.save(here / f"{name}.npy", plan.images.image(position), allow_pickle=False)
        step()
    np.save(here / "mega_image_dates.npy", plan.images.days, allow_pickle=False)
    np.save(here / "mega_image_labels.npy", plan.images.label, allow_pickle=False)


def write_batches(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write one file a quarter and one a year, (session, y, x, channel)."""
    here, images = _made(folder / "batch_tensors"), plan.images
    for unit, months in (("Q", 3), ("Y", 12)):
        for start, run in periods(images.days, unit):
            first = start.astype("datetime64[M]")
            last = (first + np.timedelta64(months, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")

            def name(what: str, first: np.datetime64 = first, last: np.datetime64 = last) -> Path:
                return here / file_naming_convention(
                    "batch_tensors", what=what, start_date=first, end_date=last, features_count=plan.features
                )

            np.save(name("mega_batch_dates"), images.days[run], allow_pickle=False)
            np.save(name("mega_batch_labels"), images.label[run], allow_pickle=False)
            with ArrayFile(name("mega_batch"), np.float32, (run.stop - run.start, *images.shape[1:])) as array:
                for position in range(run.start, run.stop):
                    array.append(images.image(position)[None])
                    step()


def write_patches(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write one set of files a year: patches, labels, dates, the thirteen features, and metadata."""
    here, grid, px = _made(folder / "patch_datasets"), plan.grid, plan.grid.patch_px
    for year, run in plan.years().items():
        rows = (run.stop - run.start) * len(grid)

        def name(what: str, year: str = year) -> Path:
            return here / file_naming_convention(
                "patch_datasets", what=what, patch_size=px, date_range=year, label_type=plan.images.label_kind
            )

        _per_patch(plan, np.arange(run.start, run.stop), name("patch_labels"), name("patch_dates"))
        with (
            ArrayFile(name("patches"), np.float32, (rows, px, px, plan.images.shape[3])) as pixels,
            ArrayFile(name("patch_features_enhanced"), np.float32, (rows, len(ENHANCED_FIELDS))) as features,
            (here / file_naming_convention("metadata", data_type="patch", date_range=year)).open("w") as said,
        ):
            _begin(said, plan)
            for block in blocks(run):
                said.write("\n" if block.start == run.start else ",\n")
                for position in range(block.start, block.stop):
                    pixels.append(extract_patches(plan.images.image(position), px))
                    step()
                known = PatchMetadata.of(plan.images.take(block), grid)
                features.append(_enhanced(plan, known))
                _say(said, known, plan, block)
            said.write("\n]\n}\n")


def _begin(said: IO[str], plan: ExportPlan) -> None:
    about = {
        "patch_size": plan.grid.patch_px, "patches_per_image": len(plan.grid), "patch_rows": plan.grid.rows,
        "patch_columns": plan.grid.columns, "label_kind": plan.images.label_kind,
        "label_horizon_sessions": plan.images.horizon,
        "labels": {str(code): word for code, word in LABEL_WORDS.items()},
        "enhanced_features": list(ENHANCED_FIELDS),
        "patch_section_codes": [section.name for section in plan.images.layout.sections],
    }  # fmt: skip
    said.write(json.dumps(about, indent=1)[:-2] + ',\n "patches": [')


def _say(said: IO[str], known: PatchMetadata, plan: ExportPlan, block: slice) -> None:
    """Write one record a patch, one a line; null where not known."""
    table = known.to_frame().assign(label=np.repeat(plan.images.label[block], len(plan.grid)))
    for name in ("date", "label_end"):
        day = table[name].dt.strftime("%Y-%m-%d")
        table[name] = day.where(day.notna(), None)
    lines = table[list(METADATA_KEYS)].to_json(orient="records", lines=True, double_precision=7).splitlines()
    said.write(",\n".join(lines))


def _enhanced(plan: ExportPlan, known: PatchMetadata) -> npt.NDArray[np.float32]:
    """Return the thirteen features, (patches, 13); the section as its place in the layout."""
    columns = {name: known.column(name) for name in ENHANCED_FIELDS if name != "patch_section"}
    columns["patch_section"] = np.tile(plan.grid.section_of, len(known) // len(plan.grid))
    return np.stack([columns[name].astype(np.float32) for name in ENHANCED_FIELDS], axis=1)


def _per_patch(plan: ExportPlan, sessions: npt.NDArray[np.intp], labels: Path, dates: Path) -> None:
    """Write a session's label and date once for each of its patches."""
    np.save(labels, np.repeat(plan.images.label[sessions], len(plan.grid)), allow_pickle=False)
    np.save(dates, np.repeat(plan.images.days[sessions], len(plan.grid)), allow_pickle=False)


def write_cnn_ready(plan: ExportPlan, folder: Path, step: Step) -> None:
    """Write training, validation and test patches: cut in time, purged, of known labels only."""
    here, px = _made(folder / "cnn_ready"), plan.grid.patch_px
    assert plan.split is not None  # the part was asked for
    for part, sessions in plan.split.parts().items():

        def name(what: str, part: str = part) -> Path:
            return here / file_naming_convention(
                "cnn_splits", split_type=SPLITS[part], what=what, patch_size=px, normalization_type=NORMALIZATION
            )

        _per_patch(plan, sessions, name("labels"), name("dates"))
        shape = (len(sessions) * len(plan.grid), px, px, plan.images.shape[3])
        with ArrayFile(name("patches"), np.float32, shape) as pixels:
            for position in sessions.tolist():
                pixels.append(extract_patches(plan.images.image(position), px))
                step()
    about = here / file_naming_convention("metadata", data_type="split", date_range=plan.days())
    about.write_text(json.dumps(describe_split(plan, plan.split), indent=1, allow_nan=False), encoding="utf-8")


def describe_split(plan: ExportPlan, split: TimeSplit) -> dict[str, Any]:
    """Return where the parts begin and end, and what was left out between them."""
    days, label = plan.images.days, plan.images.label
    parts = {
        SPLITS[name]: {
            "sessions": len(rows), "first": str(days[rows[0]]), "last": str(days[rows[-1]]),
            "labels": count_labels(label[rows]),
        }
        for name, rows in split.parts().items()
    }  # fmt: skip
    return {
        "symbol": plan.symbol, "label_kind": plan.images.label_kind, "label_horizon_sessions": plan.images.horizon,
        "embargo_sessions": plan.config.training.embargo_sessions, "purged_sessions": split.purged,
        "unlabelled_sessions": int(np.count_nonzero(label < 0)), "parts": parts,
    }  # fmt: skip


def count_labels(label: npt.NDArray[np.integer]) -> dict[str, int]:
    """Return how many sessions have each label, by word."""
    return {word: int(np.count_nonzero(label == code)) for code, word in LABEL_WORDS.items()}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
