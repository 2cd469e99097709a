"""The numbers of a company's small arrays, read and written chunk by chunk as Zarr's codecs would.

Zarr hands every access to an event loop in another thread and every codec to a third: two milliseconds of waiting an
array, 60 times a company and night. The bytes are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc

from finnex.store.chunks import CHECKSUM, CHECKSUM_BYTES, is_whole, with_checksum
from finnex.store.document import Document
from finnex.store.place import Place

TYPES = frozenset(("int8", "int32", "int64", "uint32", "uint64", "float32", "float64"))
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
NO_WORDS = "its metadata describes no array of numbers"


@dataclass(frozen=True)
class SmallArray:
    """An array of numbers whose chunks follow each other along its first dimension.

    Attributes
    ----------
    key
        `SYMBOL/NAME`.
    shape, chunks
        Of the array, and of one chunk.
    fill
        What a row holds that was never written.
    separator
        Between the parts of a chunk's key.
    codec
        Settings of blosc.
    has_checksum
        Whether a chunk ends with its crc32c.
    """

    key: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: float
    separator: str
    codec: tuple[tuple[str, Any], ...]
    has_checksum: bool

    @classmethod
    def of(cls, key: str, document: Document) -> SmallArray:
        """Return an array as its metadata describes it.

        Raises
        ------
        ValueError
            It is no array of numbers that FinNeX laid out.
        """
        codecs, kind = document["codecs"], document.get("data_type")
        names = [codec["name"] for codec in codecs]
        known = [["bytes", "blosc"], ["bytes", "blosc", CHECKSUM["name"]]]
        sizes, chunks = tuple(document["shape"]), tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
        if names not in known or kind not in TYPES or sizes[1:] != chunks[1:] or document.get("storage_transformers"):
            raise ValueError(NO_WORDS)
        blosc = codecs[1].get("configuration", {})
        try:
            codec = {
                "cname": str(blosc["cname"]), "clevel": int(blosc["clevel"]), "shuffle": SHUFFLES[blosc["shuffle"]],
                "blocksize": int(blosc["blocksize"]), "typesize": int(blosc["typesize"]),
            }  # fmt: skip
            fill = float(document["fill_value"]) if kind.startswith("float") else int(document["fill_value"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(NO_WORDS) from None
        separator = document["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
        dtype = np.dtype(kind).newbyteorder("<")
        return cls(key, sizes, chunks, dtype, fill, separator, tuple(codec.items()), names == known[1])

    @property
    def rows_of_chunk(self) -> int:
        """How many rows of the first dimension one chunk holds."""
        return self.chunks[0]

    def read(self, place: Place, first: int, last: int, *, complete: bool = True) -> npt.NDArray[Any]:
        """Return the rows from `first` to before `last`, as far as the array has them.

        Parameters
        ----------
        place
            Where the store's files are.
        first, last
            Rows.
        complete
            Whether every chunk exists; where not, a missing one holds `fill`.

        Returns
        -------
        numpy.ndarray
            The rows, of the array's dtype.

        Raises
        ------
        ValueError, RuntimeError
            A chunk is gone or is not what was written.
        """
        last = min(last, self.shape[0])
        found = np.empty((max(0, last - first), *self.shape[1:]), dtype=self.dtype)
        for number in range(first // self.rows_of_chunk, math.ceil(last / self.rows_of_chunk) if last > first else 0):
            begin = number * self.rows_of_chunk
            low, high = max(first, begin), min(last, begin + self.rows_of_chunk)
            found[low - first : high - first] = self._chunk(place, number, complete)[low - begin : high - begin]
        return found

    def written(self, place: Place, first: int, values: npt.NDArray[Any]) -> list[tuple[str, bytes]]:
        """Return the chunks, by key, that hold `values` from row `first` on; other rows of them stay.

        Raises
        ------
        ValueError, RuntimeError
            A chunk of which a part stays is gone or is not what was written.
        """
        found, last = [], first + len(values)
        if not len(values):
            return []
        for number in range(first // self.rows_of_chunk, math.ceil(last / self.rows_of_chunk)):
            begin = number * self.rows_of_chunk
            end = min(begin + self.rows_of_chunk, self.shape[0])  # rows behind it hold nothing
            low, high = max(first, begin), min(last, end)
            whole = low == begin and high == end
            chunk = np.full(self.chunks, self.fill, self.dtype) if whole else self._chunk(place, number).copy()
            chunk[low - begin : high - begin] = values[low - first : high - first]
            found.append((self._chunk_key(number), self._encoded(chunk)))
        return found

    def _chunk_key(self, number: int) -> str:
        return f"{self.key}/{self.separator.join(['c', str(number), *('0' * (len(self.shape) - 1))])}"

    def _chunk(self, place: Place, number: int, complete: bool = True) -> npt.NDArray[Any]:
        key = self._chunk_key(number)
        data = place.get(key)
        if data is None:
            if complete:
                raise ValueError(f"its chunk {key.removeprefix(f'{self.key}/')} is gone")
            return np.full(self.chunks, self.fill, self.dtype)
        if self.has_checksum:
            if not is_whole(data):
                raise ValueError(f"its chunk {key.removeprefix(f'{self.key}/')} does not match its checksum")
            data = data[:-CHECKSUM_BYTES]
        decoded = np.frombuffer(_codec(self.codec).decode(data), dtype=self.dtype)
        return decoded.reshape(self.chunks)

    def _encoded(self, chunk: npt.NDArray[Any]) -> bytes:
        data = bytes(_codec(self.codec).encode(np.frombuffer(chunk, dtype=np.uint8)))
        return with_checksum(data) if self.has_checksum else data


@lru_cache(maxsize=32)
def _codec(settings: tuple[tuple[str, Any], ...]) -> Blosc:
    return Blosc(**dict(settings))
