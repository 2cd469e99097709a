"""A store as it was when training began: what is trained on is pinned, and a change of it is noticed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import psutil
import torch
from torch import Tensor

from finnex.datasets.buffers import empty_images
from finnex.datasets.company_pins import Pin
from finnex.datasets.epoch_order import READ_TOGETHER, Rows
from finnex.datasets.reader import ImageReader
from finnex.datasets.samples import Samples
from finnex.errors import StoreCorrupt, TrainingError
from finnex.store import READY, ImageStore

MEMORY_SHARE = 4
"""Images may take a quarter of what is free: the model and the reader's cache need room as well."""
MEMORY_AT_MOST_BYTES = 2 * 1024**3
"""More are streamed unless a caller sets another limit: reading an image again costs little next to training on it."""
SHOWN_AT_MOST = 5


class PinnedStore:
    """Images of some samples, and a guard over all that was read about them.

    Pinned are the layout, the label settings and, of the samples alone, the images' checksums and every label, return
    and label end that was known. A store that merely grows, or learns the outcome of later sessions, is the same.

    Parameters
    ----------
    store
        Store to read from.
    samples
        Sessions of `store`.

    Raises
    ------
    TrainingError
        A sample's image is not published.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import labelled_samples
    >>> store = ImageStore.open("images.zarr")
    >>> pinned = PinnedStore(store, labelled_samples(store, LabelSettings()))
    >>> pinned.image_shape, tuple(pinned.read(np.arange(2)).shape)
    ((512, 512, 3), (2, 3, 512, 512))
    >>> pinned.hold_in_memory(limit_bytes=0), pinned.in_memory
    (False, False)
    >>> pinned.check()  # nothing changed
    >>> pinned.blame(StoreCorrupt("a chunk is damaged."))
    Traceback (most recent call last):
    ...
    finnex.errors.StoreCorrupt: a chunk is damaged.
    """

    def __init__(self, store: ImageStore, samples: Samples) -> None:
        self._store, self.samples = store, samples
        self._settings = _settings(store)
        rows = _rows_by_symbol(samples)
        self._pins, self.fingerprint = _pins(store, samples, rows)
        crc = np.zeros(len(samples), dtype=np.uint32)
        for pin in self._pins:
            crc[rows[pin.symbol]] = pin.crc
        self.reader = ImageReader(store, samples, crc)
        self._memory: Tensor | None = None
        if missing := [day for pin in self._pins for day in pin.named(pin.status != READY)]:
            raise TrainingError(f"{store.path} has no published image of {_listed(missing)}. Collect the samples anew.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave images behind that are held in memory: another process reads its own."""
        return vars(self) | {"_memory": None, "_store": self._store.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_store": ImageStore.open(state["_store"])})

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        channels, height, width = self.reader.shape
        return height, width, channels

    @property
    def in_memory(self) -> bool:
        """Whether images are held in memory."""
        return self._memory is not None

    def check(self) -> None:
        """Raise where what is trained on is no longer what it was.

        Only companies of which the store has written something since are read.

        Raises
        ------
        TrainingError
            The layout, or an image, label, return or label end of a sample is another.
        StoreError
            There is no store any more.
        """
        store = ImageStore.open(self._store.path)
        found = _settings(store)
        moved = [f"its {name}" for name, value in self._settings.items() if found[name] != value]
        if not moved:
            versions = store.survey_versions([pin.symbol for pin in self._pins])
            for place, pin in enumerate(self._pins):
                if not pin.version or versions.get(pin.symbol) != pin.version:
                    now = Pin.of(store.survey(pin.symbol), pin.index)
                    differing = pin.moved(now)
                    moved += differing
                    if not differing:
                        self._pins[place] = replace(pin, version=now.version)
        if moved:
            raise TrainingError(
                f"{store.path} changed while a model was trained on it: fingerprint {self.fingerprint} became "
                f"{store.fingerprint()}. Changed: {_listed(moved)}. Train again when no build is running."
            )

    def blame(self, error: StoreCorrupt) -> NoReturn:
        """Raise what is behind bytes that are not the pinned ones: the store moved, or the chunk is damaged.

        Parameters
        ----------
        error
            What reading found.

        Raises
        ------
        TrainingError
            The store moved.
        StoreCorrupt
            It did not: the given error.
        """
        self.check()
        raise error

    def read(self, rows: Rows, out: Tensor | None = None) -> Tensor:
        """Return the images of some samples, (row, C, H, W) float16; the same bits from memory and from the store.

        Parameters
        ----------
        rows
            (rows,) positions of the samples.
        out
            Where to write them: (row, ...) float16, (C, H, W) cut up in any way, in any order in memory.

        Returns
        -------
        torch.Tensor
            In [0, 1], 0 where not known.

        Raises
        ------
        StoreCorrupt
            A chunk is missing or damaged.
        TrainingError
            The store moved.
        """
        if self._memory is None:
            try:
                return self.reader.read(rows, out)
            except StoreCorrupt as error:
                self.blame(error)
        if out is None:
            found = self.reader.room.take(len(rows))
            return torch.index_select(self._memory, 0, torch.from_numpy(np.asarray(rows)), out=found)
        for image, row in zip(out, rows, strict=True):
            image.copy_(self._memory[row].view(image.shape))
        return out

    def hold_in_memory(self, limit_bytes: int | None = None, on_read: Callable[[int, int], None] | None = None) -> bool:
        """Read every image once and keep it, when all fit; return whether they do.

        Parameters
        ----------
        limit_bytes
            What images may take; by default `memory_limit()`.
        on_read
            Called with images read and images in all.

        Returns
        -------
        bool
            Whether they fit, and are now in memory.

        Raises
        ------
        StoreCorrupt
            A chunk is missing or damaged.
        TrainingError
            The store moved.
        """
        total = len(self.samples)
        needed = 2 * total * int(np.prod(self.reader.shape))
        if needed > (memory_limit() if limit_bytes is None else limit_bytes):
            return False
        memory = torch.from_numpy(empty_images(total, self.reader.shape))
        for first in range(0, total, READ_TOGETHER):
            rows = np.arange(first, min(first + READ_TOGETHER, total))
            try:
                self.reader.read(rows, memory[first : first + READ_TOGETHER])
            except StoreCorrupt as error:
                self.blame(error)
            if on_read is not None:
                on_read(int(rows[-1]) + 1, total)
        self.check()
        self._memory = memory
        return True


def memory_limit(processes: int = 1) -> int:
    """Return how many bytes of images each of some processes of this machine may hold, by default."""
    return min(int(psutil.virtual_memory().available) // MEMORY_SHARE // processes, MEMORY_AT_MOST_BYTES)


def _rows_by_symbol(samples: Samples) -> dict[str, Rows]:
    """Return the samples of each symbol that has any, in the order of their positions on its axis."""
    order = np.lexsort((samples.index, samples.symbol))
    ends = np.cumsum(np.bincount(samples.symbol, minlength=len(samples.symbols)))
    parts = np.split(order, ends[:-1])
    return {name: rows for name, rows in zip(samples.symbols, parts, strict=True) if len(rows)}


def _pins(store: ImageStore, samples: Samples, rows: Mapping[str, Rows]) -> tuple[list[Pin], str]:
    """Return the samples' pins by company, and the store's fingerprint; what the samples brought is not read again."""
    reading = samples.reading
    known = reading is not None and reading.address == str(store.path)
    versions = store.survey_versions() if known else {}
    pins = []
    for symbol, own in rows.items():
        index = samples.index[own]
        pin = None if reading is None or not known else reading.pins.get(symbol)
        if pin is None or not pin.version or versions.get(symbol) != pin.version:
            pin = Pin.of(store.survey(symbol), index)
        pins.append(pin.at(index))
    if reading is not None and known and all(versions.values()) and versions == reading.versions:
        return pins, reading.fingerprint
    return pins, store.fingerprint()


def _settings(store: ImageStore) -> dict[str, Any]:
    return {name: store.attrs[name] for name in ("layout_hash", "label_settings")}


def _listed(things: list[str]) -> str:
    more = f" and {len(things) - SHOWN_AT_MOST} more" if len(things) > SHOWN_AT_MOST else ""
    return ", ".join(things[:SHOWN_AT_MOST]) + more
