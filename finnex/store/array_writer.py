"""An image store whose small arrays this process writes: whole arrays, or the rows of one that differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from finnex.errors import StoreCorrupt
from finnex.store.image_store import ImageStore
from finnex.store.small_arrays import SmallArray
from finnex.store.zarr_metadata import read_document
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
        """Write the chunks of one small array in which rows differ from what is stored.

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
        return bool(self.write_tables(symbol, {name: (first, values)}))

    def write_tables(self, symbol: str, tables: Mapping[str, tuple[int, npt.NDArray[Any]]]) -> list[str]:
        """Write the chunks of small arrays in which rows differ from what is stored; return the arrays that do.

        Parameters
        ----------
        symbol
            The company.
        tables
            By array the first row, and what is written from it on: (rows, ...), converted to the array's dtype. Readers
            see the arrays change in this order.

        Returns
        -------
        list
            Names of the arrays of which anything was written.

        Raises
        ------
        StoreCorrupt
            What is stored is damaged.
        """
        chunks: list[tuple[str, bytes]] = []
        changed = []
        for name, (first, values) in tables.items():
            array = self._written_array(symbol, name)
            with self._reading(symbol, name):
                stored = array.read(self._place, first, first + len(values))
                wanted = values.astype(array.dtype)
                rows = first + differing_rows(stored, wanted)
                for chunk in np.unique(rows // array.rows_of_chunk).tolist():
                    begin = max(first, chunk * array.rows_of_chunk)
                    end = min(first + len(wanted), (chunk + 1) * array.rows_of_chunk)
                    chunks += array.written(self._place, begin, wanted[begin - first : end - first])
            changed += [name] * bool(len(rows))
        self._place.put_all(chunks)
        return changed

    def _written_array(self, symbol: str, name: str) -> SmallArray:
        """Return an array by its own metadata, which has the size of now while the company's has that of before."""
        found = read_document(self._place, f"{symbol}/{name}")
        if found is None:
            raise StoreCorrupt(f"{self.path} has no array {symbol}/{name}. `finnex repair` makes it anew.")
        with self._reading(symbol, name):
            return SmallArray.of(f"{symbol}/{name}", found)

    def _write(self, symbol: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays from their first row on; readers see them change in this order."""
        chunks: list[tuple[str, bytes]] = []
        for name, values in arrays.items():
            array = self._written_array(symbol, name)
            with self._reading(symbol, name):
                chunks += array.written(self._place, 0, np.asarray(values, dtype=array.dtype))
        self._place.put_all(chunks)


def differing_rows(stored: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the rows in which two arrays of one shape and dtype have other bytes."""
    return np.flatnonzero((_bytes(stored) != _bytes(wanted)).any(axis=1))


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of each row: NaN is compared as it is stored."""
    found: npt.NDArray[np.uint8] = np.frombuffer(np.ascontiguousarray(values), dtype=np.uint8)
    return found.reshape(len(values), math.prod(values.shape[1:]) * values.itemsize)
