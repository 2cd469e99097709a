"""The files of a compacted year: `SYMBOL/years/YEAR`, a group of its own, in which one shard holds all images.

    image/c.0.0.0.0     the shard: Zarr's index, a table of checksums, and the chunks of the images, byte for byte
    image/zarr.json     (session, y, x, channel), the company's codecs inside Zarr's sharding codec
    date/               the sessions of the year, those without an image too
    zarr.json           the metadata of all three

Zarr's index has offset and length of each image and its own checksum, and lies at the start of the shard. FinNeX's
table lies behind it, where Zarr does not look: crc32 of each image, by which a reader notices an index that it read
before the shard was replaced. A session without an image has no chunk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.store.chunks import CHECKSUM_BYTES, IMAGE, is_whole, with_checksum
from finnex.store.document import Document
from finnex.store.record import Year
from finnex.store.zarr_metadata import FILE, company_document

YEARS = "years"
ABSENT = 2**64 - 1
"""Offset and length of a chunk that is not there, in Zarr's index."""
INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """Where the images of a year lie in its shard.

    Attributes
    ----------
    first, length
        (sessions,) uint64: in bytes; `ABSENT` for a session without an image.
    crc
        (sessions,) uint32: crc32 of the bytes of each image.
    """

    first: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint64]
    crc: npt.NDArray[np.uint32]

    @property
    def there(self) -> npt.NDArray[np.intp]:
        """Sessions of the year that have an image, from 0."""
        return np.flatnonzero(self.length != ABSENT)


def folder_of(symbol: str, year: str) -> str:
    """Return the folder of a compacted year."""
    return f"{symbol}/{YEARS}/{year}"


def shard_of(symbol: str, year: str) -> str:
    """Return the key of the shard of a compacted year, as Zarr makes it."""
    return f"{folder_of(symbol, year)}/{IMAGE}/c.0.0.0.0"


def _sizes(sessions: int) -> tuple[int, int]:
    """Return the bytes of Zarr's index and of FinNeX's table."""
    return 16 * sessions + CHECKSUM_BYTES, 4 * sessions + CHECKSUM_BYTES


def index_bytes(sessions: int) -> int:
    """Return how many bytes of a shard lie before its images."""
    return sum(_sizes(sessions))


def shard_bytes(chunks: Mapping[int, bytes], crcs: Mapping[int, int], sessions: int) -> bytes:
    """Return the shard of a year.

    Parameters
    ----------
    chunks
        Bytes of each image, by its session in the year, from 0.
    crcs
        crc32 of them.
    sessions
        How many sessions the year has.

    Returns
    -------
    bytes
        The index, the table, and the images in order of time.
    """
    index, table = np.full((sessions, 2), ABSENT, dtype="<u8"), np.zeros(sessions, dtype="<u4")
    first = index_bytes(sessions)
    for session in sorted(chunks):
        index[session] = first, len(chunks[session])
        table[session] = crcs[session]
        first += len(chunks[session])
    head = (with_checksum(index.tobytes()), with_checksum(table.tobytes()))
    return b"".join((*head, *(chunks[session] for session in sorted(chunks))))


def read_index(head: bytes | None, sessions: int) -> ShardIndex | None:
    """Return the index of a shard from its first bytes, None where they are gone or not what was written."""
    of_index, of_table = _sizes(sessions)
    if head is None or len(head) != of_index + of_table:
        return None
    if not is_whole(head[:of_index]) or not is_whole(head[of_index:]):
        return None
    index = np.frombuffer(head, dtype="<u8", count=2 * sessions).reshape(sessions, 2)
    table = np.frombuffer(head, dtype="<u4", count=sessions, offset=of_index)
    return ShardIndex(index[:, 0], index[:, 1], table)


def year_documents(symbol: str, number: str, year: Year, arrays: Mapping[str, Document]) -> dict[str, Document]:
    """Return the metadata of a compacted year, by the key of each file.

    Parameters
    ----------
    symbol
        Symbol of the company.
    number
        The year.
    year
        What the root record says of it.
    arrays
        Metadata of the company's arrays.

    Returns
    -------
    dict
        Of the two arrays and of the group, which holds theirs.
    """
    n, image, days = year.sessions, arrays[IMAGE], arrays["date"]
    inner = image["chunk_grid"]["configuration"]["chunk_shape"]
    sharding = {
        "chunk_shape": inner, "codecs": image["codecs"], "index_codecs": INDEX_CODECS, "index_location": "start",
    }  # fmt: skip
    below = {
        IMAGE: {
            **_of_length(image, n, [n, *inner[1:]]),
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        },
        "date": _of_length(days, n, [n]),
    }
    group = {"attributes": {"symbol": symbol, "year": int(number)}, "zarr_format": 3, "node_type": "group"}
    folder = folder_of(symbol, number)
    return {
        **{f"{folder}/{name}/{FILE}": document for name, document in below.items()},
        f"{folder}/{FILE}": company_document(group, below),
    }


def document_bytes(document: Document) -> bytes:
    """Return metadata as it is written."""
    return json.dumps(document, separators=(",", ":")).encode()


def _of_length(document: Document, sessions: int, chunk: list[int]) -> Document:
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    return {**document, "shape": [sessions, *document["shape"][1:]], "chunk_grid": grid}
