"""Where a store's bytes lie: a folder, or a prefix of an S3 bucket. The same few verbs for both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol

from finnex.errors import ConfigError
from finnex.store.bucket import Bucket
from finnex.store.folder import Folder
from finnex.store.overlay import Overlay


class Place(Protocol):
    """Bytes by key; keys are relative and use `/`.

    A writer's changes go through `put`, `move` and `delete`; they survive a power cut once `sync` has returned.
    """

    @property
    def address(self) -> str:
        """Path of the folder, or `s3://bucket/prefix`: what `place_of` takes."""

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes under a key, or some of them; None where there are none."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Replace the bytes under a key as a whole: a reader sees the old bytes or the new ones.

        Raises
        ------
        StoreError
            This process held the lock of the store and holds it no longer.
        """

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Replace what lies under several keys, each as `put` does, one after the other in this order.

        Raises
        ------
        StoreError
            This process held the lock of the store and holds it no longer.
        """

    def claim(self, key: str) -> bytes | None:
        """Return what lies under a key, so that no earlier writer can replace it any more."""

    def tag(self, key: str) -> int:
        """Return 64 bits that change when what lies under a key is written again, 0 where nothing does."""

    def signatures(self, folders: Iterable[str]) -> dict[str, str]:
        """Return for folders directly in the place a digest of the names and versions of all that lies below each.

        '' where it cannot be known.
        """

    def version(self, keys: Iterable[str]) -> str:
        """Return what changes when something under one of the keys is written again, for any reader.

        '' where something is not there, or it cannot be known.
        """

    def draft(self, key: str, data: bytes | memoryview, *, flushed: bool = False) -> None:
        """Write bytes that readers do not look at; on their way to the disk, or there where `flushed`."""

    def flush(self, keys: Iterable[str]) -> None:
        """Wait until drafts, of this machine's processes or flushed by their own, are on the disk."""

    def move(self, source: str, target: str) -> None:
        """Put what lies under `source` under `target`, in place of what lies there; readers see one or the other.

        Raises
        ------
        FileNotFoundError
            Nothing lies under `source`.
        """

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is left alone."""

    def delete_folder(self, folder: str) -> None:
        """Remove all keys below a folder; one that is not there is left alone."""

    def sync(self) -> None:
        """Make every earlier `put`, `move` and `delete` of this process survive a power cut."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys directly under a folder, sorted."""

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder, sorted.

        Not what Zarr lists: Zarr warns of everything that is no part of its hierarchy.
        """

    def prepare(self, folder: str) -> None:
        """Make a folder for keys, where folders have to be made."""

    def zarr(self, *, read_only: bool, folder: str = "") -> Any:
        """Return the store, or the part of it below a folder, as Zarr and xarray open it; writes go through `put`."""


_overlays: dict[str, Overlay] = {}


@contextmanager
def unchanged(address: str) -> Iterator[None]:
    """Keep every change that this process makes to a place in memory, and forget it at the end."""
    _overlays[address] = Overlay(place_of(address))
    try:
        yield
    finally:
        del _overlays[address]


def place_of(address: str) -> Place:
    """Return the place of an address: a folder, or `s3://bucket/prefix`.

    Raises
    ------
    ConfigError
        The address is of another kind.
    """
    return _overlays.get(address) or _stored(address)


@lru_cache(maxsize=32)
def _stored(address: str) -> Place:
    if address.startswith("s3://"):
        return Bucket(address.rstrip("/"))
    if "://" in address:
        raise ConfigError(f"[store] path '{address}' is no place for a store. Give a folder, or s3://BUCKET/PREFIX.")
    return Folder(address)
