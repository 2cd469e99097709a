"""Where the folder of a store may lie: its files are renamed into their places, inside one file system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from finnex.errors import StoreCorrupt, StoreError
from finnex.store.folder import WORKING
from finnex.store.place import place_of
from finnex.store.record import read_record
from finnex.store.zarr_metadata import FILE


def check_site(path: Path) -> None:
    """Make sure that a folder for a store is there or can be made, and lies in no other store. Nothing is made.

    Raises
    ------
    StoreError
        What lies there, or above it, is no folder; or a folder above it is a Zarr store.
    """
    real = Path(os.path.realpath(path))
    there = next(one for one in (real, *real.parents) if os.path.lexists(one))
    if os.path.exists(there) and not os.path.isdir(there):  # noqa: PTH110, PTH112  Path raises where it may not look
        raise StoreError(f"the store {path} cannot be written: {there} is no folder. Correct [store] path.")
    for parent in real.parents:
        if os.path.exists(parent / FILE):  # noqa: PTH110
            raise StoreError(f"the store {path} lies inside the Zarr store {parent}. Choose another [store] path.")


def check_one_disk(path: Path) -> None:
    """Make sure that the folders of a store lie on its file system.

    Links are followed: a file cannot be renamed from `.finnex` to a company on another disk.

    Raises
    ------
    StoreError
        One of them does not.
    """
    device = path.stat().st_dev
    for folder in _folders(path):
        if folder.is_dir() and folder.stat().st_dev != device:
            raise StoreError(
                f"{folder} lies on another file system than the store {path}, and files cannot be renamed from one to "
                f"the other. Move {folder.resolve()} back into the store; or move the whole store there, and link to "
                "it or correct [store] path. Nothing was written."
            )


def _folders(path: Path) -> Iterator[Path]:
    """Yield the folders that a writer renames files to or from; further down only links."""
    try:
        record = read_record(place_of(str(path)))
    except StoreCorrupt:
        record = None
    companies = (
        [one.parent for one in path.glob(f"*/{FILE}")] if record is None else map(path.joinpath, record.companies)
    )
    for folder in (path / WORKING, *companies):
        yield folder
        if folder.is_dir():
            with os.scandir(folder) as found:
                yield from [Path(one) for one in found if one.is_symlink()]
