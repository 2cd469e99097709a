"""Drafts: an image on its way into the store, and the receipt its worker gives for it."""

from __future__ import annotations

import socket
import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc

from finnex.errors import StoreError
from finnex.store.keys import DRAFTS
from finnex.store.place import place_of

_encoder = Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE)


@dataclass(frozen=True)
class Receipt:
    """What a worker reports of one image: the key of its draft and the crc32 of its bytes, or why there is none."""

    index: int
    input_hash: int
    draft: str = ""
    crc: int = 0
    coverage: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class DraftTarget:
    """Where the workers of one run put their drafts of one symbol: four words, so that it travels to any process.

    Attributes
    ----------
    host
        Of the coordinator, which flushes what processes of its machine wrote; others flush their own.
    """

    address: str
    symbol: str
    token: str
    host: str = field(default_factory=socket.gethostname)

    def write(self, index: int, image: npt.NDArray[np.float32]) -> tuple[str, int]:
        """Encode one image as Zarr's codecs would, write it as a draft; return its key and the bytes' crc32.

        Parameters
        ----------
        image
            (height, width, channel); fastest where its memory is laid out channel by channel, as a renderer's is.
        """
        encoded = _encoder.encode(np.ascontiguousarray(image.transpose(2, 0, 1), dtype="<f4"))
        key = f"{drafts_of(self.symbol)}/{self.token}-{index}"
        place_of(self.address).draft(key, encoded, flushed=socket.gethostname() != self.host)
        return key, zlib.crc32(encoded)

    def leave(self, name: str, data: bytes) -> None:
        """Write other bytes next to the drafts, for this run's workers; they are removed when drafts are swept."""
        place_of(self.address).draft(f"{drafts_of(self.symbol)}/{name}", data)

    def read(self, name: str, first: int, length: int) -> bytes:
        """Read some bytes of what `leave` wrote.

        Raises
        ------
        StoreError
            They are not there: the run that left them has ended.
        """
        found = place_of(self.address).get(f"{drafts_of(self.symbol)}/{name}", first, length)
        if found is None or len(found) != length:
            raise StoreError(
                f"{self.address}: the rows of task {name} are gone. Build again; workers must see the same store."
            )
        return found

    def clear(self, name: str) -> None:
        """Remove what `leave` wrote."""
        place_of(self.address).delete(f"{drafts_of(self.symbol)}/{name}")


def drafts_of(symbol: str) -> str:
    """Return the folder of a symbol's drafts."""
    return f"{DRAFTS}/{symbol}"


def chunk_of(symbol: str, index: int) -> str:
    """Return the key of the chunk of one image, as Zarr makes it."""
    return f"{symbol}/image/c.{index}.0.0.0"


def decode_into(encoded: bytes, planes: npt.NDArray[np.float32]) -> None:
    """Decode a chunk's bytes into (channel, height, width), without a copy."""
    _encoder.decode(encoded, planes)
