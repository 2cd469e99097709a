"""Whether a part of a build goes to Dask workers or is done in this process: one rule for every build.

Workers take seconds to start, so they are started when the first part is large enough: a build with nothing due starts
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from finnex.pipeline.dask_workers import draw_on_dask
from finnex.pipeline.drawing import Draw, draw_here
from finnex.pipeline.run_inputs import Run
from finnex.pipeline.stage_1 import Stage1Of, compute_here
from finnex.pipeline.stage_1_on_dask import compute_on_dask

if TYPE_CHECKING:
    from distributed import Client

FEW_SESSIONS = 16
"""Up to so many sessions together (an ordinary night), drawing in this process is faster than starting workers."""
FEW_COMPANIES = 4
"""Up to so many companies, computing features in this process is faster than starting workers."""


class Workers:
    """Dask workers that are started when they are needed.

    Parameters
    ----------
    start
        Connects to workers, or starts them; called once at most. None where this process does everything.
    running
        Whether they run already, so that the smallest part goes to them too.
    warn
        Called with a sentence about lost workers, and where a company had to be computed in this process.
    """

    def __init__(
        self, start: Callable[[], Client | None], *, running: bool = False, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._start, self._running, self._warn = start, running, warn

    @classmethod
    def of(cls, client: Client | Callable[[], Client | None] | None) -> Workers:
        """Return the workers of a client that is connected, or of what connects it; none where there is no client."""
        if client is None or callable(client):
            return cls(client or (lambda: None))
        return cls(lambda: client, running=True)

    @cached_property
    def _client(self) -> Client | None:
        return self._start()

    def _for(self, *, enough: bool) -> Client | None:
        return self._client if enough or self._running else None

    def draw(self, sessions: int) -> Draw:
        """Return what draws so many sessions together."""
        client = self._for(enough=sessions > FEW_SESSIONS)
        return draw_here if client is None else draw_on_dask(client, self._warn)

    def computes(self, companies: int) -> bool:
        """Return whether features of so many companies are computed on workers, which are started for it."""
        return self._for(enough=companies > FEW_COMPANIES) is not None

    @contextmanager
    def compute(self, run: Run, symbols: Sequence[str]) -> Iterator[Stage1Of]:
        """Compute Stage 1 of companies: a `finnex.pipeline.stage_1.Compute`."""
        there = bool(symbols) and self.computes(len(symbols))
        how = compute_on_dask(self._client, self._warn) if there and self._client is not None else compute_here
        with how(run, symbols) as stage_1_of:
            yield stage_1_of
