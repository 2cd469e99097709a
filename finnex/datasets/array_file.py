"""A NumPy file that is written from its first row to its last."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt


class ArrayFile:
    """An `.npy` file of a known shape, filled by appending rows; none is held in memory.

    A memory map would do the same, but the system ends a process whose map meets a full disk; here that is an
    `OSError`.

    Parameters
    ----------
    shape
        Of the whole array.

    Raises
    ------
    ValueError
        Rows of another shape, or at the end more or fewer than were announced.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape
        self._rows = 0
        self._file = path.open("wb")
        about = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, about)

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Write some rows, (n, ...)."""
        if rows.shape[1:] != self.shape[1:]:
            raise ValueError(f"{self.path}: rows have shape {rows.shape[1:]}, the file holds {self.shape[1:]}")
        self._file.write(np.ascontiguousarray(rows, dtype=self.dtype).reshape(-1).view(np.uint8).data)
        self._rows += len(rows)

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; an incomplete one remains, for its owner to remove."""
        self._file.close()
        if kind is None and self._rows != self.shape[0]:
            raise ValueError(f"{self.path}: {self._rows} rows were written, {self.shape[0]} announced")
