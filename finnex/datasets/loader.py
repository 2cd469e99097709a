"""Batches read ahead: by one thread, or by processes that share the reading. The batches are the same."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import chain
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from finnex.datasets.batches import Batch, BatchSequence
from finnex.datasets.epoch_order import ImagePlan, PatchPlan, Rows
from finnex.datasets.reader import ImageReader
from finnex.datasets.shared_columns import SharedColumns
from finnex.errors import FinnexError, StoreCorrupt, TrainingError

T = TypeVar("T")
StartMethod = Literal["forkserver", "spawn"]


def load(
    batches: BatchSequence, *, workers: int = 0, start_method: StartMethod = "forkserver", depth: int = 2
) -> Iterator[Batch]:
    """Yield the batches of a sequence from its position on, read ahead while the network learns.

    On a local disk one thread is enough: files are read and decoded without Python's lock, and an image takes it about
    a millisecond. Processes help where a read waits for a network. Each reads its own share of the images; what is
    read is put together here, so the batches and their order do not depend on the number of processes. They stay for
    the next epoch and end with `batches`.

    Parameters
    ----------
    batches
        What is read; its position says where reading begins.
    workers
        Reading processes; with 0, or images that are held in memory, a thread of this process reads.
    start_method
        How processes start. Never by fork: a forked child inherits locks of threads that it does not have.
    depth
        Batches that are ready ahead of the reader.

    Returns
    -------
    Iterator of Batch
        The batches of this process, in the order of `batches`.

    Raises
    ------
    StoreCorrupt
        A chunk is missing or damaged.
    TrainingError
        The store moved, or a reading process was killed.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import ImageBatches, PinnedStore, labelled_samples
    >>> from finnex.store import ImageStore
    >>> store = ImageStore.open("images.zarr")
    >>> batches = ImageBatches(PinnedStore(store, labelled_samples(store, LabelSettings())), range(4), batch_size=2)
    >>> [batch.labels.tolist() for batch in load(batches)]
    [[1, 2], [1, 1]]
    """
    if start_method not in ("forkserver", "spawn") or workers < 0:
        raise TrainingError(
            f"{workers} workers started by '{start_method}': give 0 or more, started by 'forkserver' or 'spawn'."
        )
    if workers == 0 or batches.pinned.in_memory:
        return prefetch(lambda: iter(batches), depth)
    processes = _processes.get(batches)
    if processes is None or processes.kind != (workers, start_method):
        processes = _processes[batches] = _Processes(batches, workers, start_method)
    return prefetch(lambda: batches.assemble(_Arriving(processes, batches)), depth)


class ReadAhead:
    """A sequence whose every pass is read ahead: what `load` yields, with the settings of a training.

    Parameters
    ----------
    batches
        What is read.
    workers
        As of `load`.

    Examples
    --------
    >>> from finnex.config import LabelSettings
    >>> from finnex.datasets import ImageBatches, PinnedStore, labelled_samples
    >>> from finnex.store import ImageStore
    >>> store = ImageStore.open("images.zarr")
    >>> batches = ImageBatches(PinnedStore(store, labelled_samples(store, LabelSettings())), range(4), batch_size=2)
    >>> ahead = ReadAhead(batches)
    >>> ahead.set_epoch(1)
    >>> len(ahead), len(list(ahead))
    (2, 2)
    """

    def __init__(self, batches: BatchSequence, workers: int = 0) -> None:
        self._batches, self._workers = batches, workers

    def __len__(self) -> int:
        return len(self._batches)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the sequence of the next pass, and the batch it begins with.

        Parameters
        ----------
        epoch
            Number of the epoch, from 0.
        first_batch
            Batch of this process with which the next pass begins, from 0.
        """
        self._batches.set_epoch(epoch, first_batch)

    def __iter__(self) -> Iterator[Batch]:
        return load(self._batches, workers=self._workers)


def prefetch(items: Callable[[], Iterator[T]], depth: int = 2) -> Iterator[T]:
    """Run an iterator in one thread, a few items ahead; errors of the thread are raised here.

    Leaving the loop early stops the thread.
    """
    ready: queue.Queue[T | BaseException | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: T | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        try:
            for item in items():
                if not offer(item):
                    return
        except BaseException as error:
            offer(error)
        else:
            offer(None)

    thread = threading.Thread(target=run, name="finnex-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


class _Reading(IterableDataset[Tensor | FinnexError]):
    """A worker's part of the reading: every so-many-th group of the plan, from the position on.

    It travels as a few words and handles of shared memory, also where there are hundreds of thousands of samples.
    """

    def __init__(self, plan: ImagePlan | PatchPlan, reader: ImageReader, position: Tensor) -> None:
        self._plan, self._reader, self._position = plan, reader, position
        held = {"rows": plan.rows, **({} if plan.group is None else {"group": plan.group})}
        self._columns, self._held = SharedColumns(reader.columns), SharedColumns(held)

    def __getstate__(self) -> dict[str, Any]:
        given = {one.name: getattr(self._plan, one.name) for one in fields(self._plan)}
        plan = {name: value for name, value in given.items() if name not in ("rows", "group")}
        reader = self._reader.__getstate__() | {"columns": {}}
        return {
            "kind": type(self._plan), "plan": plan, "held": self._held, "reader": reader, "columns": self._columns,
            "position": self._position,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._plan = state["kind"](**state["plan"], **state["held"].arrays())
        self._reader = ImageReader.__new__(ImageReader)
        self._reader.__setstate__(state["reader"] | {"columns": state["columns"].arrays()})
        self._position, self._columns, self._held = state["position"], state["columns"], state["held"]

    def __iter__(self) -> Iterator[Tensor | FinnexError]:
        worker = get_worker_info()
        assert worker is not None
        epoch, first_batch = self._position.tolist()
        for rows in self._plan.groups(epoch, first_batch)[worker.id :: worker.num_workers]:
            try:
                yield self._reader.read(rows)
            except FinnexError as error:  # as a value: torch would bury its sentence in a traceback
                yield error
                return


def _end_with_the_parent(_: int) -> None:
    """End this process with the one that it reads for, which may be killed: the server of processes lives on."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="finnex-parent", daemon=True).start()


class _Processes:
    """Reading processes that outlive an epoch. They learn where to begin from memory that they share with this one."""

    def __init__(self, batches: BatchSequence, workers: int, start_method: StartMethod) -> None:
        self.kind = (workers, start_method)
        if start_method == "forkserver":  # the server imports once, before it has any thread; its children need not
            multiprocessing.set_forkserver_preload(["__main__", __name__])
        self._position = torch.zeros(2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._loader = DataLoader(
            _Reading(batches.plan, batches.pinned.reader, self._position),
            batch_size=None, num_workers=workers, multiprocessing_context=start_method, persistent_workers=True,
            worker_init_fn=_end_with_the_parent,
        )  # fmt: skip

    def images(self, position: tuple[int, int]) -> Iterator[Tensor | FinnexError]:
        """Yield groups of images in the plan's order."""
        self._position.copy_(torch.tensor(position))
        yield from self._loader


_processes: WeakKeyDictionary[BatchSequence, _Processes] = WeakKeyDictionary()
atexit.register(_processes.clear)  # while what ends processes in good order still works


class _Arriving:
    """Images as reading processes hand them over: one group after another, in the order of the plan."""

    def __init__(self, processes: _Processes, batches: BatchSequence) -> None:
        self._groups = _groups(processes, batches)
        self._images = chain.from_iterable(self._groups)

    def __call__(self, rows: Rows, out: Tensor | None = None) -> Tensor:
        """Return the next images; `rows` are known to be theirs."""
        if out is None:
            return next(self._groups)
        for image in out:
            image.copy_(next(self._images).view(image.shape))
        return out


def _groups(processes: _Processes, batches: BatchSequence) -> Iterator[Tensor]:
    """Yield what processes read, and raise what went wrong in them."""
    try:
        for found in processes.images(batches.position):
            if isinstance(found, StoreCorrupt):
                batches.pinned.blame(found)
            if isinstance(found, FinnexError):
                raise found
            yield found
    # The errors of torch for a worker that has died, and of Python for the memory that it shared.
    except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
        if isinstance(error, RuntimeError) and not re.search("exited unexpectedly|killed by signal", str(error)):
            raise
        del _processes[batches]
        raise TrainingError(
            f"a reading process ended: {error}. "
            "Start fewer workers, or give the machine more memory and /dev/shm more room."
        ) from error
