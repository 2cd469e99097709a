"""Have blocks drawn on a Dask cluster, one task a block, and notice workers that die with their tasks or receipts."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from finnex.errors import ServiceError
from finnex.pipeline.drawing import Block, Draw, Drawn, draw_block
from finnex.store import DraftTarget, Receipt

if TYPE_CHECKING:
    from distributed import Client

TASKS_PER_WORKER = 16
"""Dask tasks kept in flight for each worker thread: enough to hide the scheduler, few enough to stop quickly."""
GATHER_SECONDS = 0.02
LOOK_SECONDS = 1.0
WORKERLESS_SECONDS = 120.0
"""Longer than a nanny takes to start its worker again."""
ENDED = ("error", "cancelled")
KILLED = "the worker died while drawing it, more often than Dask allows; it may have run out of memory"


@dataclass(frozen=True)
class _Sent:
    """A block on its way to a worker: its rows are in a file next to the drafts, of which the worker reads these alone.

    Through the scheduler they would cost more than the drawing (84 kB a session).
    """

    block: Block
    at: DraftTarget
    """Next to whose drafts the file lies: that of the first block, for all companies of a unit."""
    key: str
    first_byte: int
    shape: tuple[int, int]

    def name(self) -> str:
        """Return what the task is called on Dask's pages: a company and its first session there."""
        return f"{self.block.target.symbol}-{self.block.day}"

    def draw(self) -> list[Receipt]:
        """Fetch the rows and draw; runs on a worker."""
        rows, columns = self.shape
        found = self.at.read(self.key, self.first_byte, rows * columns * 4)
        return draw_block(replace(self.block, rows=np.frombuffer(found, dtype="<f4").reshape(self.shape)))


def _send(blocks: Sequence[Block], run: str) -> list[_Sent]:
    """Write the rows of all blocks to one file, block after block; return what a worker needs of each."""
    sent, first = [], 0
    nothing = np.empty((0, 0), dtype=np.float32)
    for block in blocks:
        rows, columns = block.rows.shape
        sent.append(_Sent(replace(block, rows=nothing), blocks[0].target, f"rows-{run}", first, (rows, columns)))
        first += block.rows.nbytes
    if blocks:
        blocks[0].target.leave(f"rows-{run}", b"".join(np.ascontiguousarray(block.rows).data for block in blocks))
    return sent


class Watch:
    """Waits for a cluster as long as it has a worker: Dask itself would wait for ever.

    A finished future is no guarantee either: its receipts are lost with the worker that holds them.
    """

    def __init__(self, client: Client, warn: Callable[[str], None]) -> None:
        self.client, self.warn = client, warn
        self.workers = set(client.nthreads())
        self.seen = self.looked = time.monotonic()

    def look(self, *, last: bool = False) -> None:
        """Warn of lost workers; raise `ServiceError` where there has been none for `WORKERLESS_SECONDS`."""
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS and not last:
            return
        self.looked = now
        before, self.workers = self.workers, set(self.client.nthreads())
        if gone := sorted(before - self.workers):
            self.warn(
                f"Dask lost {len(gone)} of {len(before)} workers ({', '.join(gone)}); what they held is drawn again."
            )
        if self.workers:
            self.seen = now
        elif now - self.seen > WORKERLESS_SECONDS:
            raise ServiceError(
                f"the Dask scheduler {self.client.scheduler.address} has had no worker for {WORKERLESS_SECONDS:.0f} s. "
                "Start some, and run this again: what is drawn is kept."
            )

    def next_batch(self, running: Any) -> list[Any]:
        """Wait for futures of an `as_completed` that are done."""
        while not (done := running.next_batch(block=False)):
            time.sleep(GATHER_SECONDS)
            self.look()
        return list(done)

    def gather(self, futures: dict[str, Any], *, direct: bool = False) -> dict[str, Any]:
        """Fetch what the futures hold; None, or nothing, for one that failed when its lost result was made anew.

        Parameters
        ----------
        futures
            Futures that are finished, by key.
        direct
            Whether workers send their results to this process themselves, and not through the scheduler.

        Returns
        -------
        dict
            The results by key.
        """
        if not futures:
            return {}
        asked = self.client.gather(futures, errors="skip", direct=direct, asynchronous=True)
        gathering = asyncio.run_coroutine_threadsafe(asked, self.client.loop.asyncio_loop)
        try:
            while True:
                try:
                    return dict(gathering.result(LOOK_SECONDS))
                except TimeoutError:
                    if gathering.done():
                        raise
                    self.look()
        finally:
            gathering.cancel()


def draw_on_dask(client: Client, warn: Callable[[str], None] = lambda _: None) -> Draw:
    """Return a `Draw` that sends one task per block to a Dask cluster, a sliding window of them at a time.

    A worker that dies fails only the sessions it held when Dask gives up on them; without any worker it gives up.
    `warn` is called with a sentence about lost workers.
    """
    from distributed import as_completed  # noqa: PLC0415
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    def drawing(blocks: Sequence[Block]) -> Generator[Drawn | None, None, None]:
        run = uuid.uuid4().hex[:8]
        held: dict[Any, Block] = {}
        running = as_completed([], loop=client.loop)
        watch = Watch(client, warn)
        waiting: list[_Sent] = []

        room = TASKS_PER_WORKER * max(1, sum(client.nthreads().values()))

        def refill() -> None:
            if not waiting or len(held) > room // 2:
                return  # several together: each submission costs as much as several tasks
            some = [waiting.pop() for _ in range(min(room - len(held), len(waiting)))]
            # Keys of their own: Dask must not answer with another run's future of the same arguments.
            keys = [f"image-{run}-{one.name()}" for one in some]
            futures = client.map(_Sent.draw, some, key=keys, pure=False, retries=1)
            held.update(zip(futures, (one.block for one in some), strict=True))
            running.update(futures)

        try:
            waiting += _send(blocks, run)[::-1]
            refill()
            yield None
            while held:
                watch.look()
                done = watch.next_batch(running)
                if waiting:  # the workers are busy: fetching receipts one by one costs them more
                    time.sleep(GATHER_SECONDS)
                    done += running.next_batch(block=False)
                found = watch.gather({future.key: future for future in done if future.status == "finished"})
                for future in done:
                    if (receipts := found.get(future.key)) is not None:
                        yield held.pop(future).target.symbol, receipts
                    elif future.status in ENDED:
                        block = held.pop(future)
                        try:
                            receipts = future.result()
                        except KilledWorker:
                            receipts = [
                                Receipt(index, input_hash, error=KILLED)
                                for index, input_hash in zip(block.indexes, block.hashes, strict=True)
                            ]
                        yield block.target.symbol, receipts
                    else:  # its worker and the receipts are lost: Dask runs the task again
                        running.add(future)
                refill()
            watch.look(last=True)
        finally:
            client.cancel(list(held))
            if blocks:
                blocks[0].target.clear(f"rows-{run}")

    def draw(blocks: Sequence[Block]) -> Generator[Drawn, None, None]:
        running = drawing(blocks)
        next(running)  # the first tasks are sent before the receipts are asked for
        return cast("Generator[Drawn, None, None]", running)

    return draw
