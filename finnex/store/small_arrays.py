"""The small arrays of a company read from their chunks: many together, without opening its Zarr group.

Opening a group and asking Zarr for ten arrays takes some 20 ms; of hundreds of companies that is the time until a
training has its first batch. What is not exactly as FinNeX writes it is left to Zarr, which then says what is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc

from finnex.errors import StoreError
from finnex.store.chunks import CHECKSUM_BYTES, chunk_keys, is_whole
from finnex.store.document import Document
from finnex.store.place import Place

WRITTEN = ["bytes", "blosc", "crc32c"]
"""Codecs of every small array of numbers."""
DTYPES = {"int8", "int32", "int64", "uint32", "uint64", "float32", "float64"}
_blosc = Blosc()


def read_small(place: Place, symbol: str, name: str, document: Document, sessions: int) -> npt.NDArray[Any] | None:
    """Return an array of numbers, read and checked; None where Zarr has to read it or to say what is wrong with it.

    Parameters
    ----------
    place
        Where the store's files are.
    symbol
        Symbol of the company.
    name
        Name of the array.
    document
        Metadata of the array.
    sessions
        Rows that count, where the array has a row a session.

    Returns
    -------
    numpy.ndarray or None
        The array, C-ordered.
    """
    shape, chunk = document["shape"], document["chunk_grid"]["configuration"]["chunk_shape"]
    kind, codecs = document.get("data_type"), [one["name"] for one in document["codecs"]]
    if not isinstance(kind, str) or kind not in DTYPES or codecs != WRITTEN or chunk[1:] != shape[1:]:
        return None
    dtype = np.dtype(kind).newbyteorder("<")
    rows = sessions if document["dimension_names"][0] == "date" else shape[0]
    parts: list[npt.NDArray[Any]] = []
    for part in chunk_keys(document, sessions):
        try:
            data = place.get(f"{symbol}/{name}/{part}")
            if data is None or not is_whole(data):
                return None
            found = np.frombuffer(_blosc.decode(data[:-CHECKSUM_BYTES]), dtype=dtype).reshape(chunk)
        except (StoreError, ValueError, RuntimeError):
            return None
        parts.append(found[: rows - chunk[0] * len(parts)])
    if sum(len(part) for part in parts) != rows:
        return None
    return np.concatenate(parts).astype(kind, copy=False)
