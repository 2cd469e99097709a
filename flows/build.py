"""A build as Prefect sees it: one task per batch of sessions, inside it one Dask task per session.

It is the loop of `finnex.pipeline.build`, `draw_due`, so that it stores the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from finnex.config import Config
from finnex.data.remarks import where_notes_are
from finnex.errors import BuildError, ConfigError, FinnexError, ServiceError, StoreBusy
from finnex.pipeline import (
    BatchOutcome,
    BuildResult,
    Draw,
    Run,
    RunBatch,
    Stage1Of,
    SymbolBuild,
    compute_here,
    compute_on_dask,
    draw_due,
    draw_here,
    draw_on_dask,
    in_universe,
    open_for_writing,
    read_run,
    sessions_wanted,
)
from finnex.store import writing
from flows.clusters.arguments import untouched
from flows.clusters.cluster import cluster_client
from flows.prefect_api.progress import ProgressArtifact, publish_table
from flows.prefect_api.requests import BackfillRequest

WAIT_FOR_STORE_SECONDS = 3600.0
"""Flows that overlap queue for the store's writer lock."""
FEW_SESSIONS = 16
"""Up to so many sessions (an ordinary night), drawing in this process is faster than starting workers."""
FEW_COMPANIES = 4
"""Up to so many companies, computing features in this process is faster than starting workers."""
RETRY_AFTER_SECONDS = (2.0, 20.0)


def build_images(
    config: Config, request: BackfillRequest, run: Run | None = None, *, skip_missing: bool = False
) -> BuildResult:
    """Draw and publish what is missing; call inside a flow.

    Parameters
    ----------
    config
        Configuration; `[dask] address` says where images are drawn.
    request
        Symbols and range of the run.
    run
        The inputs, where they have been read already.
    skip_missing
        Leave out a symbol that has no session in the range, with a warning, where another one has.

    Returns
    -------
    BuildResult
        How many images were built, skipped and failed.

    Raises
    ------
    FinnexError
        Bad input, or a store or cluster that cannot be used; nothing stored was changed. Or a cluster whose workers
        are gone: what was drawn before is published.
    BuildError
        Some sessions could not be drawn, even on retry; all others are published.
    """
    began = time.perf_counter()
    log = get_run_logger()
    symbols = tuple(dict.fromkeys(request.symbols)) or config.symbols
    progress = ProgressArtifact("images", "Reading inputs")
    run = run or read_run(config)
    for warning in run.warnings:
        log.warning(warning)
    if run.notes:
        log.info(where_notes_are(run.notes))
    symbols = _with_sessions(run, symbols, request, skip_missing=skip_missing)  # before anything is made or written
    with contextlib.ExitStack() as opened:
        try:
            opened.enter_context(writing(config.store.path))
        except StoreBusy:
            log.warning("Another process writes to %s; waiting for it, an hour at most.", config.store.path)
            progress.wait("Waiting for another process that writes to the store")
            opened.enter_context(writing(config.store.path, WAIT_FOR_STORE_SECONDS))
            run = read_run(config)  # what the other process drew may come from newer inputs than were read before
        client = opened.enter_context(cluster_client(config)) if config.dask.address else None
        prepared = open_for_writing(
            run, symbols=symbols, start=request.start, end=request.end, force=request.force, trust=True
        )

        places = {symbol: place for place, symbol in enumerate(symbols)}

        def prepare(work: SymbolBuild) -> RunBatch:
            nonlocal client
            log.info("%s: %d sessions to draw, %d up to date", work.symbol, work.due, work.skipped)
            if work.why_again:
                log.warning(work.why_again)
            if work.damaged:
                log.warning("%s: %d images are damaged in the store; they are drawn again.", work.symbol, work.damaged)
            if client is None and work.due > FEW_SESSIONS:
                client = opened.enter_context(cluster_client(config))
            few = client is None or (work.due <= FEW_SESSIONS and config.dask.address is None)
            draw = draw_here if few else draw_on_dask(client, log.warning)
            counter = _Counter(progress, work, places[work.symbol], len(symbols))
            return lambda positions: _in_a_task(Batch(work, positions, draw, config.dask.dates_per_task, counter))

        def unchanged(symbol: str, sessions: int) -> None:
            log.info("%s: 0 sessions to draw, %d up to date", symbol, sessions)

        @contextlib.contextmanager
        def compute(given: Run, due: Sequence[str]) -> Iterator[Stage1Of]:
            nonlocal client
            if client is None and len(due) > FEW_COMPANIES:
                client = opened.enter_context(cluster_client(config))
            few = client is None or len(due) <= FEW_COMPANIES
            if not few:
                log.info("The features of %d companies are computed on Dask workers", len(due))
            with (compute_here if few else compute_on_dask(client, log.warning))(given, due) as stage_1_of:
                yield stage_1_of

        result = draw_due(
            run, prepared, symbols, prepare, began=began,
            start=request.start, end=request.end, force=request.force, on_blocked=log.error,
            on_mended=log.warning, on_unchanged=unchanged, compute=compute,
        )  # fmt: skip
    _tell(result, progress)
    return result


def _with_sessions(
    run: Run, symbols: Sequence[str], request: BackfillRequest, *, skip_missing: bool
) -> tuple[str, ...]:
    """Return the symbols that have a session in the range; raise `ConfigError` where one has none that must."""
    refused: dict[str, ConfigError] = {}
    symbols = in_universe(run, symbols, request.start, request.end)
    for symbol in symbols:
        try:
            sessions_wanted(run, symbol, request.start, request.end)
        except ConfigError as error:
            if not skip_missing:
                raise
            get_run_logger().warning("Left out: %s", error)
            refused[symbol] = error
    if len(refused) == len(symbols):
        raise refused[symbols[0]]
    return tuple(symbol for symbol in symbols if symbol not in refused)


class Batch:
    """Sessions of one symbol that are drawn together; what is done stays done when the task is retried."""

    def __init__(
        self,
        work: SymbolBuild,
        positions: Sequence[int],
        draw: Draw,
        dates_per_task: int,
        on_progress: Callable[[int], None],
    ) -> None:
        self._work = work
        self._left = list(positions)
        self._draw = draw
        self._dates_per_task = dates_per_task
        self._on_progress = on_progress
        self.failed: dict[date, str] = {
            work.days([position])[0]: "not drawn: the batch was given up" for position in positions
        }
        self.symbol = work.symbol
        self.days = work.days(positions)
        self.built = 0
        self.seconds = 0.0

    def run(self) -> None:
        """Draw and publish what is left of the batch.

        Raises
        ------
        BuildError
            Some sessions failed; the next call draws these alone.
        """
        try:
            outcome = self._work.run_batch(self._left, self._draw, self._on_progress, self._dates_per_task)
        except Exception as error:
            reason = str(error) if isinstance(error, FinnexError) else f"{type(error).__name__}: {error}"
            self.failed |= {self._work.days([position])[0]: f"not drawn: {reason}" for position in self._left}
            raise
        self.failed = dict(outcome.failed)
        self.built += outcome.built
        self.seconds += outcome.seconds
        self._left = [position for position in self._left if self._work.days([position])[0] in self.failed]
        if self.failed:
            day, reason = next(iter(self.failed.items()))
            raise BuildError(f"{len(self.failed)} sessions could not be drawn, the first is {day}: {reason}")


def _may_pass(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether to draw again what failed: workers that are gone for minutes do not come back in seconds."""
    return not isinstance(state.result(raise_on_failure=False), ServiceError)


@task(
    name="draw images",
    task_run_name="{symbol} {first} to {last}",
    retries=len(RETRY_AFTER_SECONDS),
    retry_delay_seconds=list(RETRY_AFTER_SECONDS),
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def draw_batch(symbol: str, first: date, last: date, batch: Batch) -> None:
    """Draw and publish one batch; the names are for the UI, the batch knows its sessions.

    Parameters
    ----------
    symbol
        Symbol of the batch.
    first, last
        First and last session of the batch.
    batch
        What is drawn.
    """
    batch.run()
    get_run_logger().info("%s: %d images in %.1f s", symbol, batch.built, batch.seconds)


def _in_a_task(batch: Batch) -> BatchOutcome:
    """Run a batch as a Prefect task, with its retries.

    Raises
    ------
    ServiceError
        No worker is left to draw: every further batch would wait as long.
    """
    first, last = batch.days
    state = draw_batch(batch.symbol, first, last, untouched(batch), return_state=True)
    if isinstance(found := state.result(raise_on_failure=False), ServiceError):
        raise found
    return BatchOutcome(batch.built, tuple(batch.failed.items()), batch.seconds)


class _Counter:
    """Turns sessions drawn into the progress of the whole run, symbols weighing alike."""

    def __init__(self, progress: ProgressArtifact, work: SymbolBuild, place: int, symbols: int) -> None:
        self._progress, self._work, self._place, self._symbols = progress, work, place, symbols
        self._done = 0

    def __call__(self, sessions: int) -> None:
        self._done = min(self._done + sessions, self._work.due)
        work = self._work
        text = f"{work.symbol}: {self._done} of {work.due} images (symbol {self._place + 1} of {self._symbols})"
        self._progress.show(self._place + self._done / self._work.due, self._symbols, text)


def _tell(result: BuildResult, progress: ProgressArtifact) -> None:
    summary = {
        "built": result.built,
        "skipped": result.skipped,
        "failed": result.failed,
        "seconds": round(result.seconds, 3),
        "images_per_second": round(result.images_per_second, 1),
        "fingerprint": result.fingerprint,
    }
    publish_table("build-result", [summary], "What the build did")
    if result.failures:
        rows = [{"symbol": symbol, "session": day, "reason": reason} for symbol, day, reason in result.failures]
        publish_table("failed-sessions", rows, "Sessions without an image, and why")
        symbol, day, reason = result.failures[0]
        raise BuildError(
            f"{result.failed} of {result.built + result.failed} sessions could not be drawn, the first is "
            f"{symbol} {day}: {reason}. All others are published; the next run tries these again."
        )
    progress.finish(f"{result.built} images drawn, {result.skipped} were up to date")
