"""Where a store's bytes lie: a folder, or a prefix of an S3 bucket. The same few verbs, whichever it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from finnex.errors import ConfigError
from finnex.store.bucket import Bucket


class Place(Protocol):
    """Bytes by key; keys are relative and use `/`."""

    @property
    def address(self) -> str:
        """Path of the folder, or `s3://bucket/prefix`: what `place_of` takes."""

    @property
    def checks_itself(self) -> bool:
        """Whether what holds the bytes guards them with checksums of its own, so that only a listing has to be read."""

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes under a key, or some of them; None where there are none."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write bytes under a key."""

    def move(self, source: str, target: str) -> None:
        """Put what lies under `source` under `target`, in place of what lies there; readers see one or the other."""

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is left alone."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys directly under a folder, sorted."""

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder, sorted.

        Not what Zarr lists: Zarr warns of everything that a writer, killed or at work, has not finished.
        """

    def unfinished(self) -> list[str]:
        """Return the keys of half-written files, where files can be half-written."""

    def prepare(self, folder: str) -> None:
        """Make a folder for keys, where folders have to be made."""

    def zarr(self, *, read_only: bool) -> Any:
        """Return what Zarr and xarray open."""


@dataclass(frozen=True)
class Folder:
    """A folder on a disk that every worker sees."""

    address: str
    checks_itself: bool = False

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes of a file."""
        try:
            file = os.open(f"{self.address}/{key}", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.pread(file, os.fstat(file).st_size - first if length is None else length, first)
        finally:
            os.close(file)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file; not whole until it is moved."""
        with open(f"{self.address}/{key}", "wb") as file:  # noqa: PTH123  a thousand a second: Path costs more
            file.write(data)

    def move(self, source: str, target: str) -> None:
        """Rename: at every moment the target is the old file or the new one."""
        os.replace(f"{self.address}/{source}", f"{self.address}/{target}")  # noqa: PTH105

    def delete(self, key: str) -> None:
        """Remove a file."""
        (Path(self.address) / key).unlink(missing_ok=True)

    def keys(self, folder: str) -> list[str]:
        """Return the files of a folder."""
        path = Path(self.address) / folder
        return sorted(f"{folder}/{file.name}" for file in path.iterdir() if file.is_file()) if path.is_dir() else []

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of folders."""
        path = Path(self.address) / folder
        return sorted(file.name for file in path.iterdir() if file.is_dir()) if path.is_dir() else []

    def unfinished(self) -> list[str]:
        """Return what Zarr had not renamed yet, and notes that were not in place yet."""
        root = Path(self.address)
        return [str(file.relative_to(root)) for pattern in ("*.partial", "*.json.new") for file in root.rglob(pattern)]

    def prepare(self, folder: str) -> None:
        """Make the folder."""
        (Path(self.address) / folder).mkdir(parents=True, exist_ok=True)

    def zarr(self, *, read_only: bool) -> Any:
        """Return the folder as Zarr sees it."""
        from zarr.storage import LocalStore  # noqa: PLC0415

        return LocalStore(self.address, read_only=read_only)


@lru_cache(maxsize=32)
def place_of(address: str) -> Place:
    """Return the place of an address: a folder, or `s3://bucket/prefix`.

    Raises
    ------
    ConfigError
        The address is of another kind.
    """
    if address.startswith("s3://"):
        return Bucket(address.rstrip("/"))
    if "://" in address:
        raise ConfigError(f"[store] path '{address}' is no place for a store. Give a folder, or s3://BUCKET/PREFIX.")
    return Folder(address)
