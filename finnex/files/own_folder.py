"""A new folder that appears when it is complete: made under a random name, marked, then renamed.

Nothing that FinNeX did not make is written into, removed or followed: names are looked up in open folders, and a
draft counts as FinNeX's by the marker in it. A place where anything but an empty folder lies is refused.
"""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from finnex.errors import ExportError
from finnex.files.draft_folder import DRAFT, Draft, clear_draft, discard_draft, make_draft
from finnex.files.marker import MARKER
from finnex.files.tree import opened
from finnex.store_path import scheme_of

TRIES = 5
"""Attempts to make the only draft: two exports that begin at the same moment both withdraw and wait at random."""


def refuse_taken(target: Path) -> None:
    """Refuse a place that a new folder cannot take.

    Raises
    ------
    ExportError
        Something is there: a link, a file, a mount, or a folder that is not empty.
    """
    parent, name = _place(target)
    try:
        with opened(str(parent)) as above:
            _look(above, name, target)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ExportError(f"{target} cannot be written ({_reason(error)}). Choose another folder.") from None


@contextmanager
def own_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into; it takes the wanted name when the block ends well, else nothing is left of it.

    Yields
    ------
    Path
        The folder, by its descriptor: files are written into it even where a name above it is changed.

    Raises
    ------
    ExportError
        The place is taken (see `refuse_taken`), another process exports to it, or the disk cannot be written.
    """
    parent, name = _place(target)
    made: list[Path] = []
    draft = None
    with ExitStack() as held:
        try:
            made = _make_parents(parent)
            above = held.enter_context(opened(str(parent)))
            _look(above, name, target)
            draft = _alone(above, name, target)
            yield draft.path(parent)
            _finish(above, draft, name, target)
        except BaseException as error:
            left = discard_draft(above, draft) if draft is not None else None
            for path in reversed(made):
                with suppress(OSError):
                    path.rmdir()
            if isinstance(error, OSError):
                kept = f"{parent / left} could not be removed" if left else "nothing of it is left"
                raise ExportError(
                    f"{target} could not be written ({_reason(error)}); {kept}. "
                    "Free the folder or the disk, or choose another folder, and export again."
                ) from error
            raise
        finally:
            if draft is not None:
                draft.close()


def _place(target: Path) -> tuple[Path, str]:
    """Return the folder that will hold the target, without links, and the target's name in it."""
    if (scheme := scheme_of(target)) is not None:
        raise ExportError(
            f"{target} lies in a bucket or another service ('{scheme}'); an export is a folder on a disk. Export "
            "there, then copy it."
        )
    name = target.name
    if name in {"", "..", "."} or DRAFT.fullmatch(name):
        raise ExportError(f"'{target}' is no name of a new folder. Name one in it, such as {target / 'export'}.")
    return Path(os.path.realpath(target.parent)), name


def _make_parents(parent: Path) -> list[Path]:
    """Make what is missing above a folder; return it, the outermost first."""
    missing = [path for path in (parent, *parent.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
    return missing[::-1]


def _look(above: int, name: str, target: Path) -> None:
    """Raise `ExportError` where anything but an empty folder is in the place of the new one."""

    def refused(why: str) -> ExportError:
        return ExportError(
            f"{target} exists and is not overwritten: {why}. Choose another folder, or move this one away."
        )

    try:
        there = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(there.st_mode):
        raise refused("it is a symbolic link, which is not followed")
    if not stat.S_ISDIR(there.st_mode):
        raise refused("it is no folder")
    if there.st_dev != os.fstat(above).st_dev:
        raise refused("a disk is mounted there; a folder in it can be exported to")
    with opened(name, above) as folder, os.scandir(folder) as entries:
        if next(entries, None) is not None:
            raise refused("it is not empty")


def _alone(above: int, name: str, target: Path) -> Draft:
    """Make the only draft for a target among all processes; remove the drafts of killed ones.

    Every process makes and locks its own before it looks for others', so that of two at least one sees the other.
    """
    for attempt in range(TRIES):
        draft = make_draft(above, name)
        try:
            busy = [clear_draft(above, other, name) for other in os.listdir(above) if other != draft.name]
        except BaseException:
            discard_draft(above, draft)
            draft.close()
            raise
        if not any(busy):
            return draft
        discard_draft(above, draft)
        draft.close()
        if attempt < TRIES - 1:
            time.sleep(random.uniform(0.05, 0.2))
    raise ExportError(f"another process is exporting to {target}. Wait for it to end, or stop it.")


def _finish(above: int, draft: Draft, name: str, target: Path) -> None:
    """Put a draft that is complete in its place."""
    os.fchmod(draft.folder, draft.mode)
    if not os.path.samestat(os.stat(draft.name, dir_fd=above, follow_symlinks=False), os.fstat(draft.folder)):
        raise ExportError(f"{target}: its draft {draft.name} was moved while it was written. Export again.")
    _look(above, name, target)
    os.rename(draft.name, name, src_dir_fd=above, dst_dir_fd=above)  # over an empty folder at most
    os.unlink(MARKER, dir_fd=draft.folder)  # last: until here a crash leaves a draft that the next export removes


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
