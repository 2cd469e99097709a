"""The chunks of a company's small arrays: each exists from the layout on, and has its own checksum.

So a missing chunk is damage and never read as empty. `image` has a chunk for each session that was published.
"""

from __future__ import annotations

import itertools
import math

import google_crc32c

from finnex.store.document import Document
from finnex.store.place import Place
from finnex.store.zarr_metadata import arrays_of

COMPLETE = "every_chunk_written"
"""Attribute of a company's group; stores of earlier versions lack it until the next writer has completed them."""
IMAGE = "image"
CHECKSUM = {"name": "crc32c"}
CHECKSUM_BYTES = 4


def chunk_keys(document: Document, sessions: int) -> list[str]:
    """Return the keys of an array's chunks below its folder.

    Parameters
    ----------
    sessions
        Rows along `date` that count.
    """
    sizes = list(document["shape"])
    if document.get("dimension_names", [None])[0] == "date":
        sizes[0] = sessions
    counts = [
        math.ceil(n / of) for n, of in zip(sizes, document["chunk_grid"]["configuration"]["chunk_shape"], strict=True)
    ]
    separator = document["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
    return [separator.join(["c", *map(str, where)]) for where in itertools.product(*map(range, counts))]


def has_checksum(document: Document) -> bool:
    """Return whether an array's chunks end with their crc32c."""
    return bool(document["codecs"]) and document["codecs"][-1]["name"] == CHECKSUM["name"]


def with_checksum(data: bytes) -> bytes:
    """Return a chunk's bytes as the crc32c codec of Zarr writes them: the checksum behind them, little-endian."""
    return data + int(google_crc32c.value(data)).to_bytes(CHECKSUM_BYTES, "little")


def is_whole(data: bytes) -> bool:
    """Return whether bytes end with their checksum."""
    return len(data) > CHECKSUM_BYTES and with_checksum(data[:-CHECKSUM_BYTES]) == data


def broken_chunks(place: Place, symbol: str, company: Document, sessions: int) -> dict[str, str]:
    """Return what is wrong with a company's small arrays, by their names; reads each of their chunks once.

    Parameters
    ----------
    place
        Where the store's files are.
    symbol
        Symbol of the company.
    company
        Metadata of the company, with that of its arrays.
    sessions
        Length of the company's date axis.

    Returns
    -------
    dict
        Array to what is wrong with it, as the end of a sentence; empty where all are whole.
    """
    arrays = arrays_of(company)
    complete = company.get("attributes", {}).get(COMPLETE) is True
    found: dict[str, str] = {}
    for name, document in arrays.items():
        if name == IMAGE:
            continue
        for chunk in chunk_keys(document, sessions):
            data = place.get(f"{symbol}/{name}/{chunk}")
            if data is None and complete:
                found[name] = f"its chunk {chunk} is gone"
            elif data is not None and has_checksum(document) and not is_whole(data):
                found[name] = f"its chunk {chunk} is not what was written"
    return found
