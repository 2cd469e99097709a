"""A folder of plain NumPy files: images with all that a trainer must know of them, readable without FinNeX.

| file | content |
|---|---|
| `mega_images_full.npy` | (image, y, x, channel) float32 in [0, 1] |
| `mega_images_dates.npy` | (image,) datetime64[D], ascending |
| `mega_images_labels.npy` | (image,) 0 sell, 1 hold, 2 buy, -1 not known |
| `mega_images_label_ends.npy` | (image,) datetime64[D], when the outcome was known, NaT where it is not |
| `mega_images_returns.npy` | (image,) float32, from entry to exit; may be absent |
| `mega_images_features.npy`, `mega_images_feature_dates.npy` | (session, feature) float32, (session,); may be absent |
| `mega_images.json` | symbol, exchange, kind and horizon of the label, layout and catalogue |
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.datasets.array_file import ArrayFile
from finnex.datasets.image_source import EXCHANGE, MegaImages
from finnex.errors import TrainingError
from finnex.files.own_folder import own_folder
from finnex.layout import Layout, load_layout, parse_catalogue, parse_layout
from finnex.patches.patch_panel import PatchPanel

IMAGES = "mega_images_full.npy"
DATES, LABELS, LABEL_ENDS = "mega_images_dates.npy", "mega_images_labels.npy", "mega_images_label_ends.npy"
RETURNS, FEATURES, FEATURE_DATES = (
    "mega_images_returns.npy", "mega_images_features.npy", "mega_images_feature_dates.npy",
)  # fmt: skip
ABOUT = "mega_images.json"
FORMAT = 1


def export_folder(images: MegaImages, folder: Path) -> None:
    """Write images to a new folder.

    Raises
    ------
    ExportError
        The folder is there and not empty, or cannot be written.
    TrainingError
        The images do not say when their labels ended.
    """
    with own_folder(folder) as draft:
        write_images(images, draft)


def write_images(images: MegaImages, folder: Path, on_image: Callable[[], None] = lambda: None) -> None:
    """Write images to a folder of the caller's own, one at a time, with the features up to the last one's session.

    Parameters
    ----------
    on_image
        Called after each image.

    Raises
    ------
    TrainingError
        The images do not say when their labels ended.
    """
    if images.label_end is None:
        raise TrainingError(f"{images.origin}: the labels have no ends. Give label_end before writing them.")
    layout = images.layout
    about = {
        "format": FORMAT, "symbol": images.symbol, "exchange": images.exchange, "label_kind": images.label_kind,
        "label_horizon_sessions": images.horizon, "layout_name": layout.name, "layout_toml": layout.text,
        "catalogue_csv": layout.catalogue.text, "lookback_sessions": layout.lookback, "blending": layout.blending,
    }  # fmt: skip
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
    shown = images.panel.days <= images.days[-1]
    small = {
        DATES: images.days, LABELS: images.label, LABEL_ENDS: images.label_end, RETURNS: images.outcome,
        FEATURES: images.panel.brightness[shown], FEATURE_DATES: images.panel.days[shown],
    }  # fmt: skip
    for name, values in small.items():
        np.save(folder / name, values, allow_pickle=False)
    with ArrayFile(folder / IMAGES, np.float32, images.shape) as array:
        for position in range(len(images)):
            array.append(images.image(position)[None])
            on_image()


def from_folder(folder: Path, layout: Layout | str | None = None) -> MegaImages:
    """Open a folder; images stay in their file until they are used.

    Parameters
    ----------
    layout
        Needed where `mega_images.json` does not name it.

    Raises
    ------
    TrainingError
        With everything that is missing or does not fit.
    """
    needed = (IMAGES, DATES, LABELS, LABEL_ENDS)
    missing = [name for name in needed if not (folder / name).is_file()]
    about = _about(folder)
    if isinstance(layout, str):
        layout = load_layout(layout)
    if layout is None and about is not None:
        catalogue = parse_catalogue(str(about["catalogue_csv"]))
        layout = parse_layout(
            str(about["layout_toml"]), catalogue, int(about["lookback_sessions"]), blending=bool(about["blending"])
        )
    if missing or layout is None:
        lines = [f"{folder} has no {name}." for name in missing]
        if layout is None:
            lines.append(f"{folder} has no {ABOUT}. Name the layout of its images with layout='mega'.")
        if missing:
            lines.append(
                "Labels without their dates and ends cannot be cut in time. "
                "FinNeXCNNTrainer.export writes all files; finnex.datasets.exported_folder describes them."
            )
        raise TrainingError("\n".join(lines))
    images = _load(folder / IMAGES, "f", dimensions=4)
    days = _load(folder / DATES, "M").astype("datetime64[D]")
    count = len(days)
    known = about or {}
    panel = None
    if (folder / FEATURES).is_file():
        panel = PatchPanel(
            _load(folder / FEATURE_DATES, "M").astype("datetime64[D]"),
            np.asarray(_load(folder / FEATURES, "f", dimensions=2), dtype=np.float32),
        )
    return MegaImages(
        origin=str(folder),
        symbol=str(known.get("symbol", "unknown")),
        exchange=str(known.get("exchange", EXCHANGE)),
        read=lambda position: np.asarray(images[position]),
        shape=(images.shape[0], images.shape[1], images.shape[2], images.shape[3]),
        days=days,
        label=_load(folder / LABELS, "iu").astype(np.int64),
        label_end=_load(folder / LABEL_ENDS, "M").astype("datetime64[D]"),
        outcome=np.asarray(_load(folder / RETURNS, "f"), dtype=np.float32)
        if (folder / RETURNS).is_file()
        else np.full(count, np.nan, dtype=np.float32),
        label_kind=str(known.get("label_kind", "unknown")),
        horizon=int(known.get("label_horizon_sessions", 0)),
        layout=layout,
        panel_source=None if panel is None else lambda: panel,
    )


def _about(folder: Path) -> dict[str, Any] | None:
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"it has format {found['format']}, this version reads {FORMAT}")
        for key in ("layout_toml", "catalogue_csv", "lookback_sessions", "blending"):
            found[key]
    except (ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). Export the images again.") from None
    return found


def _load(path: Path, kinds: str, dimensions: int = 1) -> npt.NDArray[Any]:
    try:
        found: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). Export the images again.") from None
    if found.ndim != dimensions or found.dtype.kind not in kinds:
        raise TrainingError(
            f"{path} has shape {found.shape} and type {found.dtype}; its table in finnex.datasets.exported_folder says "
            "what it must be."
        )
    return found
