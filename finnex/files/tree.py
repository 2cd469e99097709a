"""A folder as it is, link by link: what lies in it, and its removal, both without following anything out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Stamp = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""
DEEPEST = 8
"""Levels of folders that are looked into; FinNeX writes three."""


@dataclass
class Listing:
    """What lies in a folder.

    Attributes
    ----------
    files
        Regular files, by their path in the folder.
    folders
        Folders, each after the one that holds it.
    strange
        Links, sockets, devices and what else is neither.
    """

    files: dict[str, Stamp] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


@contextmanager
def opened(name: str, inside: int | None = None) -> Iterator[int]:
    """Open a folder by its name in another one (a descriptor); a link is refused with `OSError`."""
    descriptor = os.open(name, FOLDER, dir_fd=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def list_tree(folder: int, prefix: str = "") -> Listing:
    """Return all that lies in an open folder and below; folders too deep to be FinNeX's are strange."""
    found = Listing()
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(about.st_mode):
            found.files[prefix + name] = (about.st_size, about.st_mtime_ns)
        elif stat.S_ISDIR(about.st_mode) and prefix.count("/") < DEEPEST:
            found.folders.append(prefix + name)
            with opened(name, folder) as inner:
                below = list_tree(inner, f"{prefix}{name}/")
            found.files |= below.files
            found.folders += below.folders
            found.strange += below.strange
        else:
            found.strange.append(prefix + name)
    return found


def remove_tree(name: str, inside: int, listing: Listing) -> None:
    """Remove a folder that holds what was listed.

    Only what is on the list is removed: what came later stays, and the folder with it.

    Raises
    ------
    OSError
        Something cannot be removed, or the folder holds more.
    """
    with opened(name, inside) as folder:
        for path in listing.files:
            with _holder(path, folder) as holder:
                os.unlink(path.rpartition("/")[2], dir_fd=holder)
        for path in reversed(listing.folders):
            with _holder(path, folder) as holder:
                os.rmdir(path.rpartition("/")[2], dir_fd=holder)
    os.rmdir(name, dir_fd=inside)


@contextmanager
def _holder(path: str, folder: int) -> Iterator[int]:
    """Open the folder that holds a path of a listing, step by step, no step through a link."""
    with ExitStack() as opened_steps:
        for step in path.split("/")[:-1]:
            folder = opened_steps.enter_context(opened(step, folder))
        yield folder
