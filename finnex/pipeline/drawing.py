"""Draw blocks of sessions in the process that holds them; `dask_workers` has them drawn on a cluster.

A task gets the rows that its images look back on and nothing later; it writes drafts to the store and returns
receipts. It may run twice, anywhere, in any order: the same window gives the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from finnex.errors import StoreMismatch
from finnex.images.render import Renderer
from finnex.layout import stored_layout
from finnex.store import DraftTarget, ImageStore, Receipt


@dataclass(frozen=True)
class Block:
    """What one task draws: some sessions and the rows of the panel they look back on, nothing later.

    `ends[i]` is the position in `rows` of the last row of image i.
    """

    layout_hash: str
    target: DraftTarget
    rows: npt.NDArray[np.float32]  # (sessions, features + bar columns): see `Panel.rows`
    ends: tuple[int, ...]
    indexes: tuple[int, ...]
    hashes: tuple[int, ...]
    weights: npt.NDArray[np.float32]  # (images, regions)
    day: str
    """Date of its first session, for the name of its task."""


Drawn = tuple[str, list[Receipt]]
"""A company, and receipts of it."""
Draw = Callable[[Sequence[Block]], Generator[Drawn, None, None]]
"""Draws blocks somewhere, of one company or several, and yields their receipts as they finish, in any order.

What runs elsewhere begins with the call, and ends where the generator is closed."""


@lru_cache(maxsize=4)
def _renderer(address: str, layout_hash: str) -> Renderer:
    """Return the renderer of a store's layout: read once a process, from the store itself."""
    layout = stored_layout(ImageStore.open(address).attrs)
    if layout.hash != layout_hash:
        raise StoreMismatch(f"the store holds layout {layout.hash}, the task was made for {layout_hash}. Build again.")
    return Renderer(layout)


def draw_block(block: Block) -> list[Receipt]:
    """Draw the images of a block and write them as drafts. Runs anywhere; a failure costs one session only."""
    receipts: list[Receipt] = []
    canvas: npt.NDArray[np.float32] | None = None
    lookback = len(block.rows) - (block.ends[-1] - block.ends[0]) if block.ends else 0
    for end, index, input_hash, weights in zip(block.ends, block.indexes, block.hashes, block.weights, strict=True):
        began = time.perf_counter()
        receipt = Receipt(index=index, input_hash=input_hash)
        try:
            renderer = _renderer(block.target.address, block.layout_hash)
            window = block.rows[end - lookback + 1 : end + 1]
            features = len(renderer.layout.catalogue.names)
            canvas, coverage = renderer.draw(window[:, :features], window[:, features:], weights, canvas)
            draft, crc = block.target.write(index, canvas)
            receipts.append(
                replace(
                    receipt,
                    draft=draft,
                    crc=crc,
                    coverage=coverage,
                    weights=tuple(weights.tolist()),
                    seconds=time.perf_counter() - began,
                )
            )
        except Exception as error:
            receipts.append(replace(receipt, error=f"{type(error).__name__}: {error}"))
    return receipts


def draw_here(blocks: Sequence[Block]) -> Generator[Drawn, None, None]:
    """Draw in this process, one block after another."""
    for block in blocks:
        yield block.target.symbol, draw_block(block)
