"""Columns of samples in memory that processes share: a reading process gets a handle of each, and no copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


class SharedColumns:
    """Arrays by name, copied once into shared memory. Pickled for another process, they are handles.

    Parameters
    ----------
    columns
        Arrays of numbers.
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._bytes, self._dtypes = {}, {name: values.dtype.str for name, values in columns.items()}
        for name, values in columns.items():
            copied = torch.from_numpy(np.ascontiguousarray(values).view(np.uint8).copy())
            self._bytes[name] = copied.share_memory_()  # type: ignore[no-untyped-call]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, views of the shared memory."""
        return {name: column.numpy().view(self._dtypes[name]) for name, column in self._bytes.items()}
