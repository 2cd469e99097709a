"""Drafts of folders: made under a random name, marked and locked, and cleared when their process was killed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finnex.files.marker import MARKER, TOKEN, Marker, open_marker, read_marker
from finnex.files.tree import FOLDER, list_tree, opened, remove_tree

PREFIX = ".finnex-export-"
DRAFT = re.compile(re.escape(PREFIX) + f"({TOKEN.pattern})")
OTHERS = 0o077


@dataclass(frozen=True)
class Draft:
    """A folder that was made, open and locked."""

    name: str
    folder: int
    lock: int
    mode: int

    def path(self, parent: Path) -> Path:
        """Return where to write: on Linux through the descriptor, so that no swapped name can lead elsewhere."""
        through = Path(f"/proc/self/fd/{self.folder}")
        return through if through.exists() else parent / self.name

    def close(self) -> None:
        """Release the lock."""
        os.close(self.lock)
        os.close(self.folder)


def make_draft(above: int, target: str) -> Draft:
    """Make an empty folder of a random name, for this user alone, marked and locked.

    Parameters
    ----------
    above
        The open folder in which it is made.
    target
        The name that it will take.
    """
    marker = Marker(secrets.token_hex(16), target)
    name = PREFIX + marker.token
    os.mkdir(name, dir_fd=above)
    folder = os.open(name, FOLDER, dir_fd=above)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    os.fchmod(folder, mode & ~OTHERS)
    with os.scandir(folder) as entries:
        if next(entries, None) is not None:
            raise PermissionError(0, f"another program writes into {name}")
    lock = os.open(MARKER, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.pwrite(lock, marker.text(), 0)
    return Draft(name, folder, lock, mode)


def clear_draft(above: int, name: str, target: str) -> bool:
    """Remove a draft for a target if its process is gone; return whether the process still works on it.

    What is no folder of this user, has no marker, or holds a link, stays.
    """
    found = DRAFT.fullmatch(name)
    if found is None:
        return False
    try:
        with opened(name, above) as folder, _marker_opened(folder) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                marker = read_marker(lock)  # None while it is being written: then it may be for the same target
                return marker is None or marker.target == target
            marker = read_marker(lock)
            if marker is not None and (marker.token, marker.target) == (found[1], target):
                listing = list_tree(folder)
                if not listing.strange:
                    remove_tree(name, above, listing)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # already removed, or not FinNeX's
    return False


@contextmanager
def _marker_opened(folder: int) -> Iterator[int]:
    descriptor = open_marker(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def discard_draft(above: int, draft: Draft) -> str | None:
    """Remove a draft of this process; return its name if it cannot be removed."""
    try:
        with opened(draft.name, above) as there:
            if not os.path.samestat(os.fstat(there), os.fstat(draft.folder)):
                return None  # renamed already, or another one under its name
            listing = list_tree(there)
        remove_tree(draft.name, above, listing)
    except FileNotFoundError:
        return None
    except OSError:
        return draft.name
    return None
