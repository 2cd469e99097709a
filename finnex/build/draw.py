"""Draw blocks of sessions: here, or on a Dask cluster, one task a block.

A task is handed the rows its images look back on and nothing later; it leaves drafts in the store and returns
receipts. It may run twice, anywhere, in any order: the same window gives the same bytes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from finnex.images.render import Renderer
from finnex.layout import stored_layout
from finnex.store import DraftTarget, ImageStore, Receipt

if TYPE_CHECKING:
    from distributed import Client

TASKS_PER_WORKER = 4
"""Dask tasks kept in flight for each worker thread: enough to hide the scheduler, few enough to stop quickly."""


@dataclass(frozen=True)
class Block:
    """What one task draws: some sessions and the rows of the panel they look back on, nothing later.

    `ends[i]` is the position in `values` of the last row of image i.
    """

    store: str
    layout_hash: str
    target: DraftTarget
    values: npt.NDArray[np.float32]
    bars: npt.NDArray[np.float32]
    ends: tuple[int, ...]
    indexes: tuple[int, ...]
    hashes: tuple[int, ...]
    weights: npt.NDArray[np.float32]  # (images, regions)


Draw = Callable[[Sequence[Block]], Iterator[list[Receipt]]]
"""Draws blocks somewhere and yields their receipts as they finish, in any order."""


@lru_cache(maxsize=4)
def _renderer(store: str, layout_hash: str) -> Renderer:
    """Return the renderer of a store's layout: read once a process, from the store itself."""
    layout = stored_layout(ImageStore.open(Path(store)).attrs)
    assert layout.hash == layout_hash, f"the store holds layout {layout.hash}, the task was made for {layout_hash}"
    return Renderer(layout)


def draw_block(block: Block) -> list[Receipt]:
    """Draw the images of a block and leave them as drafts. Runs anywhere; a failure costs one session only."""
    receipts: list[Receipt] = []
    canvas: npt.NDArray[np.float32] | None = None
    lookback = len(block.values) - (block.ends[-1] - block.ends[0]) if block.ends else 0
    for end, index, input_hash, weights in zip(block.ends, block.indexes, block.hashes, block.weights, strict=True):
        began = time.perf_counter()
        receipt = Receipt(index=index, input_hash=input_hash)
        try:
            window = slice(end - lookback + 1, end + 1)
            renderer = _renderer(block.store, block.layout_hash)
            canvas, coverage = renderer.draw(block.values[window], block.bars[window], weights, canvas)
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


def draw_here(blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
    """Draw in this process, one block after another."""
    for block in blocks:
        yield draw_block(block)


def draw_on_dask(client: Client) -> Draw:
    """Return a `Draw` that sends one task per block to a Dask cluster, a sliding window of them at a time.

    A worker that dies fails only the sessions it held when Dask gives up on them.
    """
    from distributed import as_completed  # noqa: PLC0415
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    def submit(block: Block, run: str) -> Any:
        # A key of its own: Dask must not answer with another run's future of the same arguments.
        return client.submit(draw_block, block, key=f"image-{run}-{block.indexes[0]}", pure=False, retries=1)

    def draw(blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
        run, waiting = uuid.uuid4().hex[:8], list(reversed(blocks))
        held: dict[Any, Block] = {}
        running = as_completed([], loop=client.loop)

        def refill() -> None:
            room = TASKS_PER_WORKER * max(1, sum(client.nthreads().values())) - len(held)
            for _ in range(min(room, len(waiting))):
                block = waiting.pop()
                future = submit(block, run)
                held[future] = block
                running.add(future)

        refill()
        try:
            for future in running:
                block = held.pop(future)
                refill()
                try:
                    yield future.result()
                except KilledWorker:
                    reason = (
                        "the worker died while drawing it, more often than Dask allows; it may have run out of memory"
                    )
                    yield [
                        Receipt(index, input_hash, error=reason)
                        for index, input_hash in zip(block.indexes, block.hashes, strict=True)
                    ]
        finally:
            client.cancel(list(held))

    return draw
