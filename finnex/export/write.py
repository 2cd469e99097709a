"""An export is written under a random name in the target's parent folder and renamed when it is complete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from finnex.config import Config
from finnex.errors import ExportError
from finnex.export.contents import PARTS, needed_bytes
from finnex.export.selection import ExportPlan, plan_export
from finnex.files.marker import MARKER
from finnex.files.own_folder import own_folder
from finnex.reporting.file_names import PART_NAMES, PartName
from finnex.store import ImageStore

Progress = Callable[[int, int, str], None]
"""Called with the steps done, their total, and the current step's description."""


@dataclass(frozen=True)
class Written:
    """A part as it lies on the disk."""

    part: PartName
    files: int
    bytes: int
    meaning: str


@dataclass(frozen=True)
class Exported:
    """An export that was written.

    Attributes
    ----------
    failed_checks
        Names of the quality checks that failed; the report has the details.
    """

    folder: Path
    symbol: str
    sessions: int
    first: str
    last: str
    fingerprint: str
    parts: tuple[Written, ...]
    failed_checks: tuple[str, ...]
    seconds: float

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(part.bytes for part in self.parts)

    def sentence(self) -> str:
        """Return where it is and how large, in a sentence."""
        return (
            f"Exported {self.sessions} sessions of {self.symbol}, {self.first} to {self.last}, to {self.folder}: "
            f"{self.bytes / 1e9:.2f} GB in {self.seconds:.0f} s."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self) | {"folder": str(self.folder), "bytes": self.bytes}


def export(
    config: Config,
    store: ImageStore,
    symbol: str,
    folder: Path,
    *,
    parts: Sequence[str] = PART_NAMES,
    start: date | None = None,
    end: date | None = None,
    on_progress: Progress | None = None,
) -> Exported:
    """Write a symbol's images, patches, pictures and metadata as plain files.

    Memory does not depend on the number of sessions. An export that ends early leaves no files.

    Parameters
    ----------
    config
        Kind and horizon of labels, and the embargo between the parts of `cnn_ready`.
    store
        Store to export from.
    symbol
        Symbol to export.
    folder
        A new folder; an existing one is never written into.
    parts
        Which parts of the tree, by default all: six times the 3.1 MB of a session's image.
    start, end
        First and last session; by default all that are published.
    on_progress
        Called with images written, images in all, and the part.

    Returns
    -------
    Exported
        What was written.

    Raises
    ------
    ExportError
        An unknown part, no session, a folder that is taken, too little room, a disk that fills up, a store that
        changes during the export.
    StoreError, TrainingError
        The store has no such symbol, or not these labels.
    StoreCorrupt
        An image is damaged.
    """
    plan = plan_export(config, store, symbol, folder, parts=parts, start=start, end=end)
    return write_export(plan, on_progress)


def write_export(plan: ExportPlan, on_progress: Progress | None = None) -> Exported:
    """Write what was planned; see `export`."""
    started = time.monotonic()
    _check_room(plan)
    done, total = 0, sum(PARTS[name].images(plan) for name in plan.parts)
    written: list[Written] = []
    failed: tuple[str, ...] = ()
    with own_folder(plan.folder) as draft:
        for name in plan.parts:

            def step(name: PartName = name) -> None:
                nonlocal done
                done += 1
                if on_progress is not None:
                    on_progress(done, total, name)

            before = _files(draft)
            failed = PARTS[name].write(plan, draft, step) or failed
            files = {path: size for path, size in _files(draft).items() if path not in before}
            written.append(Written(name, len(files), sum(files.values()), PARTS[name].meaning))
        plan.unchanged()
    first, last = plan.days()
    return Exported(
        plan.folder, plan.symbol, len(plan.images), str(first), str(last), plan.fingerprint, tuple(written), failed,
        time.monotonic() - started,
    )  # fmt: skip


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != MARKER}


def _check_room(plan: ExportPlan) -> None:
    there = next(parent for parent in plan.folder.absolute().parents if parent.is_dir())
    needed, free = needed_bytes(plan), shutil.disk_usage(there).free
    if needed > free:
        raise ExportError(
            f"{plan.folder} needs {needed / 1e9:.2f} GB, {there} has {free / 1e9:.2f} GB free. Free some, choose "
            f"another folder, fewer sessions, or fewer parts than {', '.join(plan.parts)}."
        )
