"""Zarr's ways into a place: a reader that takes no gap for emptiness, a writer whose writes go through `Place.put`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Self

from zarr.storage import WrapperStore

from finnex.store.chunks import IMAGE
from finnex.store.zarr_metadata import FILE

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import BufferPrototype

    from finnex.store.image_bytes import ImageBytes
    from finnex.store.place import Place

OF_IMAGES = f"{IMAGE}/c."
"""How the key of an image's chunk begins, below the company."""


class WithoutGaps(WrapperStore["Store"]):
    """A company whose small chunks all exist: a missing one is damage, where Zarr would read it as empty.

    It wraps the store of the company, for reading.
    """

    def _with_store(self, store: Store) -> Self:
        return type(self)(store)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return what lies under a key.

        Raises
        ------
        ValueError
            It is a missing chunk of a small array.
        """
        found = await super().get(key, prototype, byte_range)
        if found is None and not key.startswith(f"{IMAGE}/") and key.partition("/")[2][:1] == "c":
            raise ValueError(f"its chunk {key.partition('/')[2]} is gone")
        return found


class WithYears(WrapperStore["Store"]):
    """A company whose compacted years are joined: their images are found where the company's own array has none.

    It wraps the store of the company, for reading.
    """

    def __init__(self, store: Store, images: ImageBytes, symbol: str) -> None:
        super().__init__(store)
        self._images, self._symbol = images, symbol

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._images, self._symbol)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return what lies under a key."""
        if not key.startswith(OF_IMAGES):
            return await super().get(key, prototype, byte_range)
        if not self._images.years(self._symbol):
            found = await super().get(key, prototype, byte_range)
            if found is not None or not await asyncio.to_thread(self._images.renewed, self._symbol):
                return found
        row = int(key.removeprefix(OF_IMAGES).partition(".")[0])
        joined = await asyncio.to_thread(self._images.get, self._symbol, row)
        return None if joined is None else prototype.buffer.from_bytes(joined)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._store, self._images, self._symbol))


class WithoutEmptyFolders(WrapperStore["Store"]):
    """A company of an earlier format, whose arrays Zarr lists: one that an upgrade has begun to add is no member yet.

    It wraps the store of the company, for reading. Zarr would warn of a folder without metadata.
    """

    def _with_store(self, store: Store) -> Self:
        return type(self)(store)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names in a folder, without folders that have no metadata."""
        below = f"{prefix.rstrip('/')}/" if prefix else ""
        async for name in self._store.list_dir(prefix):
            if "." in name or await self._store.exists(f"{below}{name}/{FILE}"):
                yield name


class WritingStore(WrapperStore["Store"]):
    """A Zarr store whose writes are atomic and durable as `Place.put` makes them.

    Parameters
    ----------
    store
        What Zarr reads from.
    place
        Where the same keys are written.
    """

    def __init__(self, store: Store, place: Place) -> None:
        super().__init__(store)
        self._place = place

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._place)

    def __eq__(self, value: object) -> bool:
        return isinstance(value, WritingStore) and self._place == value._place

    __hash__ = None  # type: ignore[assignment]

    async def set(self, key: str, value: Buffer) -> None:
        """Replace a key."""
        self._check_writable()
        await asyncio.to_thread(self._place.put, key, memoryview(value.as_buffer_like()))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a key that is not there; the writer's lock excludes other writers."""
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        for key, value in values:
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        self._check_writable()
        await asyncio.to_thread(self._place.delete, key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove what lies below a prefix."""
        self._check_writable()
        await asyncio.to_thread(self._place.delete_folder, prefix.rstrip("/"))

    async def clear(self) -> None:
        """Refuse: a store is removed by its owner, not through Zarr."""
        raise NotImplementedError("an image store cannot be cleared through Zarr")

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self._store, self._place))


class ReadByPlace(WrapperStore["Store"]):
    """A place that Zarr reads through `Place.get`: small arrays and metadata only, which are read whole."""

    def __init__(self, store: Store, place: Place, folder: str) -> None:
        super().__init__(store)
        self._place, self._folder = place, folder

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self._place, self._folder)

    @property
    def read_only(self) -> bool:
        """Writes go through the place."""
        return False

    def _check_writable(self) -> None:
        """Nothing: what is wrapped here is only read."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return what lies under a key."""
        if byte_range is not None:
            raise NotImplementedError("only whole keys are read here")
        whole = f"{self._folder}/{key}" if self._folder else key
        found = await asyncio.to_thread(self._place.get, whole)
        return None if found is None else prototype.buffer.from_bytes(found)

    async def exists(self, key: str) -> bool:
        """Return whether something lies under a key."""
        whole = f"{self._folder}/{key}" if self._folder else key
        return await asyncio.to_thread(self._place.get, whole, 0, 1) is not None
