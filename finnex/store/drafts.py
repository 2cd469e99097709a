"""Drafts: an image on its way into the store, and the receipt its worker gives for it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numcodecs import Blosc

_encoder = Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE)


@dataclass(frozen=True)
class Receipt:
    """What a worker tells of one image: where its draft lies and what its bytes sum to, or why there is none."""

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
    """Where a worker puts its drafts: two strings and a number, so that it travels to any process."""

    image_dir: str
    token: str

    def write(self, index: int, image: npt.NDArray[np.float32]) -> tuple[str, int]:
        """Encode one image as Zarr's codecs would, write it as a draft; return its path and the bytes' crc32."""
        encoded = _encoder.encode(np.ascontiguousarray(image, dtype="<f4"))
        path = f"{self.image_dir}/.drafts/{self.token}-{index}"
        with open(path, "wb") as file:  # noqa: PTH123  a thousand a second: Path costs more than the call
            file.write(encoded)
        return path, zlib.crc32(encoded)
