"""An image store whose small arrays this process writes: whole arrays, or the rows of one that differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from finnex.errors import StoreCorrupt
from finnex.store.image_store import ImageStore
from finnex.store_path import StorePath


class ArrayWriter(ImageStore):
    """Writes arrays in place, as features and labels may be; what readers go by is changed through the journal."""

    def __init__(self, path: StorePath, attributes: dict[str, Any]) -> None:
        super().__init__(path, attributes)
        self._root = zarr.open_group(self._place.zarr(read_only=False), mode="r+", use_consolidated=False)

    def writable(self, symbol: str, name: str) -> zarr.Array[Any]:
        """Return an array that is written as a whole, chunk by chunk.

        Raises
        ------
        StoreCorrupt
            There is none, or its metadata is damaged.
        """
        try:
            with self._reading(symbol, name):
                found = self._root[f"{symbol}/{name}"]
        except KeyError:
            found = None
        if not isinstance(found, zarr.Array):
            raise StoreCorrupt(f"{self.path} has no array {symbol}/{name}. `finnex repair` makes it anew.")
        return found.with_config({"write_empty_chunks": True})  # Zarr would delete chunks that are all fill value

    def write_rows(self, symbol: str, name: str, first: int, values: npt.NDArray[Any]) -> bool:
        """Write the chunks of a small array in which rows differ from what is stored; return whether any do.

        Parameters
        ----------
        symbol, name
            The array.
        first, values
            First row, and what is written from it on: (rows, ...), converted to the array's dtype.

        Returns
        -------
        bool
            Whether anything was written.

        Raises
        ------
        StoreCorrupt
            What is stored is damaged.
        """
        array = self.writable(symbol, name)
        with self._reading(symbol, name):
            stored = np.asarray(array[first : first + len(values)])
        wanted = values.astype(stored.dtype)
        differing = first + differing_rows(stored, wanted)
        of_chunk = array.chunks[0]
        for chunk in np.unique(differing // of_chunk).tolist():
            begin, end = max(first, chunk * of_chunk), min(first + len(wanted), (chunk + 1) * of_chunk)
            array[begin:end] = wanted[begin - first : end - first]
        return len(differing) > 0

    def _write(self, symbol: str, name: str, values: npt.NDArray[Any]) -> None:
        self.writable(symbol, name)[: len(values)] = values


def differing_rows(stored: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the rows in which two arrays of one shape and dtype have other bytes."""
    return np.flatnonzero((_bytes(stored) != _bytes(wanted)).any(axis=1))


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of each row: NaN is compared as it is stored."""
    found: npt.NDArray[np.uint8] = np.frombuffer(np.ascontiguousarray(values), dtype=np.uint8)
    return found.reshape(len(values), math.prod(values.shape[1:]) * values.itemsize)
