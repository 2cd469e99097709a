"""What an export will write, settled and checked before the first byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finnex.config import Config
from finnex.config.training import TRAINING_PRESETS
from finnex.data.calendar import Days
from finnex.datasets.image_source import MegaImages, from_store
from finnex.datasets.splits import TimeSplit, walk_forward
from finnex.errors import ExportError, StoreCorrupt, TrainingError, nearest
from finnex.files.own_folder import refuse_taken
from finnex.patches.grid import PatchGrid, patch_grid
from finnex.reporting.file_names import PART_NAMES, PartName
from finnex.store import READY, ImageStore

BLOCK_SESSIONS = 64
"""Sessions whose patches are described together: enough that the history before a block costs little."""


@dataclass(frozen=True)
class ExportPlan:
    """An export that can be written.

    Attributes
    ----------
    folder
        The target; it does not exist yet.
    parts
        Names in the order in which they are written.
    images
        The sessions, ascending; reading one checks its bytes.
    split
        Positions of the sessions of `cnn_ready`; None where that part is not written.
    """

    config: Config
    store: ImageStore
    symbol: str
    folder: Path
    parts: tuple[PartName, ...]
    images: MegaImages
    grid: PatchGrid
    split: TimeSplit | None
    fingerprint: str
    unchanged: Callable[[], None]

    @property
    def features(self) -> int:
        """How many features the images draw."""
        return len({name for region in self.images.layout.regions for name in region.features})

    def days(self) -> tuple[np.datetime64, np.datetime64]:
        """Return the first and last session."""
        return self.images.days[0], self.images.days[-1]

    def years(self) -> dict[str, slice]:
        """Return the calendar years, as text, and their sessions."""
        return {str(year): run for year, run in periods(self.images.days, "Y")}


def blocks(sessions: slice) -> list[slice]:
    """Return a run of sessions in pieces."""
    starts = range(sessions.start, sessions.stop, BLOCK_SESSIONS)
    return [slice(first, min(first + BLOCK_SESSIONS, sessions.stop)) for first in starts]


def periods(days: Days, unit: str) -> list[tuple[np.datetime64, slice]]:
    """Return each period that has sessions: its first calendar day and its sessions.

    Parameters
    ----------
    unit
        `Y` for calendar years, `Q` for quarters.
    """
    months = 12 if unit == "Y" else 3
    number = days.astype("datetime64[M]").astype(np.int64) // months
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(days)]
    start = (number * months).astype("datetime64[M]").astype("datetime64[Y]" if unit == "Y" else "datetime64[M]")
    return [(start[first], slice(first, last)) for first, last in pairwise(edges)]


def plan_export(
    config: Config,
    store: ImageStore,
    symbol: str,
    folder: Path,
    *,
    parts: Sequence[str] = PART_NAMES,
    start: date | None = None,
    end: date | None = None,
) -> ExportPlan:
    """Settle what is written.

    Parameters
    ----------
    config
        Says which kind and horizon of labels, and the embargo between the parts of `cnn_ready`.
    store
        Store to export from.
    symbol
        Symbol to export.
    folder
        A new folder.
    parts
        Which parts of the tree; by default all.
    start, end
        First and last session; by default all that are published.

    Returns
    -------
    ExportPlan
        What is written: the sessions, the parts, and the split of `cnn_ready`.

    Raises
    ------
    ExportError
        An unknown part, no session in the range, a folder that is taken, too few labels for `cnn_ready`.
    StoreError, TrainingError
        The store has no such symbol, or not these labels.
    """
    chosen = _parts(parts)
    refuse_taken(folder)
    _check_folder(folder)
    images = from_store(store.path, symbol, config.labels)
    state = store.state(symbol)
    wanted = np.ones(len(images), dtype=bool)
    if start is not None:
        wanted &= images.days >= np.datetime64(start, "D")
    if end is not None:
        wanted &= images.days <= np.datetime64(end, "D")
    found = np.flatnonzero(wanted)
    if len(found) == 0:
        raise ExportError(
            f"{store.path} has no published session of {symbol} from {start or 'its first'} to {end or 'its last'}; "
            f"it has {images.days[0]} to {images.days[-1]}. Choose other dates."
        )
    images = images.take(slice(int(found[0]), int(found[-1]) + 1))
    positions = np.searchsorted(state.days, images.days)
    crc = state.image_crc[positions]

    def unchanged() -> None:
        now = ImageStore.open(store.path).state(symbol)
        if not np.array_equal(now.image_crc[positions], crc) or (now.status[positions] != READY).any():
            raise ExportError(f"{store.path} changed while {symbol} was exported. Export again when no build runs.")

    images = replace(images, read=_reader(store, symbol, images.shape, positions, crc, unchanged))
    split = _split(config, images) if "cnn_ready" in chosen else None
    return ExportPlan(
        config, store, symbol, folder, chosen, images, patch_grid(images.layout), split, store.fingerprint(), unchanged
    )


def _parts(parts: Sequence[str]) -> tuple[PartName, ...]:
    if unknown := [name for name in parts if name not in PART_NAMES]:
        raise ExportError(f"part '{unknown[0]}' is unknown. {nearest(unknown[0], PART_NAMES)}")
    if not parts:
        raise ExportError(f"no part is named. Name some of {', '.join(PART_NAMES)}.")
    return tuple(name for name in PART_NAMES if name in parts)


def _check_folder(folder: Path) -> None:
    for parent in (Path(os.path.realpath(folder.parent)) / folder.name).parents:
        if (parent / "zarr.json").exists():
            raise ExportError(f"{folder} lies inside the Zarr store {parent}. Choose a folder outside it.")


def _reader(
    store: ImageStore, symbol: str, shape: tuple[int, ...], positions: npt.NDArray[np.intp],
    crc: npt.NDArray[np.uint32], unchanged: Callable[[], None],
) -> Callable[[int], npt.NDArray[np.float32]]:  # fmt: skip
    _, height, width, channels = shape

    def read(position: int) -> npt.NDArray[np.float32]:
        planes = np.empty((channels, height, width), dtype=np.float32)
        try:
            store.read_planes(symbol, int(positions[position]), planes, int(crc[position]))
        except StoreCorrupt:
            unchanged()  # a redraw is no damage
            raise
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    return read


def _split(config: Config, images: MegaImages) -> TimeSplit:
    """Cut the labelled sessions in time as the specification does, purged and with the configured embargo."""
    assert images.label_end is not None  # it comes from a store
    known = np.flatnonzero((images.label >= 0) & ~np.isnat(images.label_end))
    shares = TRAINING_PRESETS["specification"]
    try:
        found = walk_forward(
            images.days[known], images.label_end[known], train_fraction=shares["train_fraction"],
            validation_fraction=shares["validation_fraction"], embargo_sessions=config.training.embargo_sessions,
        )[0]  # fmt: skip
    except TrainingError as error:
        raise ExportError(f"cnn_ready cannot be written: {error} Or leave that part out.") from None
    return replace(found, train=known[found.train], validation=known[found.validation], test=known[found.test])
