"""Stage 1 on Dask workers, one company a task, ahead of the process that writes the store."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from finnex.errors import FinnexError
from finnex.pipeline.dask_workers import GATHER_SECONDS, Watch
from finnex.pipeline.run_inputs import Run
from finnex.pipeline.stage_1 import Compute, Stage1, Stage1Of, stage_1, to_send
from finnex.store import ImageStore

if TYPE_CHECKING:
    from distributed import Client

AHEAD = 2
"""Companies a worker thread that are computed or wait to be fetched: one is, while the other is being fetched."""


class _Refused:
    """What a worker answers where the inputs are refused: an error would be printed with its traceback, and retried."""


def _stage_1_there(run: Run, symbol: str, address: str) -> Stage1 | _Refused:
    """Compute Stage 1 on a worker, and leave out what the store has."""
    try:
        return to_send(stage_1(run, symbol), ImageStore.open(address))
    except FinnexError:
        return _Refused()


class _Ahead:
    """Stage 1 of companies in their order, some of them computed ahead."""

    def __init__(self, client: Client, run: Run, symbols: Sequence[str], warn: Callable[[str], None]) -> None:
        self._client, self._run, self._warn = client, run, warn
        self._waiting = list(symbols)[::-1]
        self._held: dict[str, Any] = {}
        self._token = uuid.uuid4().hex[:8]  # Dask must not answer with another run's future
        # Without what was computed from the tables: a worker computes what companies share itself.
        sent = replace(run, tables=replace(run.tables))
        self._sent = client.scatter(sent, broadcast=True, hash=False, direct=True)
        self._watch = Watch(client, warn)
        self._room = AHEAD * max(1, sum(client.nthreads().values()))
        self._refill()

    def _refill(self) -> None:
        while self._waiting and len(self._held) < self._room:
            symbol = self._waiting.pop()
            self._held[symbol] = self._client.submit(
                _stage_1_there,
                self._sent,
                symbol,
                str(self._run.config.store.path),
                key=f"stage_1-{self._token}-{symbol}",
                pure=False,
                retries=1,
            )

    def __call__(self, symbol: str) -> Stage1:
        """Return Stage 1 of a company; what no worker could compute is computed here, with its own error.

        Raises
        ------
        ServiceError
            The cluster has no worker any more.
        """
        future = self._held.get(symbol)
        if future is None:
            return stage_1(self._run, symbol)
        while not future.done():
            time.sleep(GATHER_SECONDS)
            self._watch.look()
        found: Stage1 | _Refused | None = self._watch.gather({symbol: future}, direct=True).get(symbol)
        if found is None:
            reason = future.exception(timeout=0) if future.status == "error" else "its result was lost"
            self._warn(f"{symbol} is computed in this process: no worker could ({reason}).")
        if not isinstance(found, Stage1):
            found = stage_1(self._run, symbol)
        self._held.pop(symbol).release()
        self._refill()
        return found

    def close(self) -> None:
        """Give up what is under way."""
        self._client.cancel([*self._held.values(), self._sent])


def compute_on_dask(client: Client, warn: Callable[[str], None] = lambda _: None) -> Compute:
    """Return what computes Stage 1 on a Dask cluster, ahead of need.

    Parameters
    ----------
    client
        Of the cluster.
    warn
        Called with a sentence where a company had to be computed in this process.

    Returns
    -------
    Compute
        Sends the tables to each worker once.
    """

    @contextmanager
    def compute(run: Run, symbols: Sequence[str]) -> Iterator[Stage1Of]:
        ahead = _Ahead(client, run, symbols, warn)
        try:
            yield ahead
        finally:
            ahead.close()

    return compute
