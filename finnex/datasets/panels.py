"""Normalised features of companies, read when a baseline asks for them: those of hundreds do not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from finnex.store import ImageStore

HELD_AT_MOST_BYTES = 256 * 1024**2
"""Panels of some 60 companies of ten years with 375 features."""
Panel = npt.NDArray[np.float32]


class StoredPanels(Sequence[Panel]):
    """Panels (session, feature) by the number of the company; the first ones that fit stay in memory.

    Baselines ask for all companies in turn, again and again: of what does not fit, throwing out the oldest would keep
    nothing of use.
    """

    def __init__(self, store: ImageStore, symbols: tuple[str, ...]) -> None:
        self._store, self._symbols = store, symbols
        self._held: dict[int, Panel] = {}
        self._bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be read again."""
        return {"_path": self._store.path, "_symbols": self._symbols}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(ImageStore.open(state["_path"]), state["_symbols"])  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._symbols)

    @overload
    def __getitem__(self, key: int) -> Panel: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Panel]: ...
    def __getitem__(self, key: int | slice) -> Panel | Sequence[Panel]:
        """Return the panel of a company, float32, NaN where not known."""
        if isinstance(key, slice):
            return [self[number] for number in range(len(self))[key]]
        number = range(len(self))[key]
        if number not in self._held:
            found: Panel = self._store.features(self._symbols[number])
            if self._bytes + found.nbytes > HELD_AT_MOST_BYTES:
                return found
            self._held[number], self._bytes = found, self._bytes + found.nbytes
        return self._held[number]
