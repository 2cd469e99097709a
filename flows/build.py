"""A build as Prefect sees it: a task for some thousand images of any companies, inside it one Dask task per session.

It is the loop of `finnex.pipeline.build`, `draw_due`, so that it stores the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from prefect import get_run_logger

from finnex.config import Config
from finnex.data.bad_companies import counted
from finnex.data.remarks import where_notes_are
from finnex.errors import BuildError, ConfigError, StoreBusy
from finnex.pipeline import (
    BuildResult,
    Outcome,
    Portion,
    Run,
    Stage1Of,
    SymbolBuild,
    Workers,
    draw_due,
    in_universe,
    opened_without,
    read_run,
    sessions_wanted,
    unexcused,
    with_sessions,
)
from finnex.store import writing
from flows.batch import Batch, in_a_task
from flows.clusters.cluster import cluster_on_demand
from flows.prefect_api.progress import ProgressArtifact, publish_table
from flows.prefect_api.requests import BackfillRequest
from flows.warned import tell_bad

WAIT_FOR_STORE_SECONDS = 3600.0
"""Flows that overlap queue for the store's writer lock."""
PREPARED = 0.1
"""Share of a company's progress that is its preparation."""


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
        Some sessions could not be drawn, even on retry; all others are published. Where the configuration leaves bad
        companies out: of no company could all be drawn.
    """
    began = time.perf_counter()
    log = get_run_logger()
    progress = ProgressArtifact("images", "Reading inputs")
    run = run or read_run(config)
    for warning in run.warnings:
        log.warning(warning)
    if run.notes:
        log.info(where_notes_are(run.notes))
    run, symbols = _with_sessions(run, request, skip_missing=skip_missing)  # before anything is made or written
    with contextlib.ExitStack() as opened:
        try:
            opened.enter_context(writing(config.store.path))
        except StoreBusy:
            log.warning("Another process writes to %s; waiting for it, an hour at most.", config.store.path)
            progress.wait("Waiting for another process that writes to the store")
            opened.enter_context(writing(config.store.path, WAIT_FOR_STORE_SECONDS))
            run = read_run(config)  # what the other process drew may come from newer inputs than were read before
            run, symbols = _with_sessions(run, request, skip_missing=skip_missing)
        connect = opened.enter_context(cluster_on_demand(config))
        workers = Workers(connect, running=config.dask.address is not None, warn=log.warning)
        run, symbols, store = opened_without(run, symbols, start=request.start, end=request.end, force=request.force)
        counter = _Counter(progress, len(symbols))

        def prepared(work: SymbolBuild) -> None:
            log.info("%s: %d sessions to draw, %d up to date", work.symbol, work.due, work.skipped)
            if work.why_again:
                log.warning(work.why_again)
            if work.damaged:
                log.warning("%s: %d images are damaged in the store; they are drawn again.", work.symbol, work.damaged)
            counter.add(work.symbol, work.due)

        def run_batch(portions: Sequence[Portion]) -> Sequence[Outcome]:
            draw = workers.draw(sum(len(portion.positions) for portion in portions))
            return in_a_task(Batch(portions, draw, config.dask.dates_per_task, counter))

        def unchanged(symbol: str, sessions: int) -> None:
            log.info("%s: 0 sessions to draw, %d up to date", symbol, sessions)
            counter.add(symbol, 0)

        @contextlib.contextmanager
        def compute(given: Run, due: Sequence[str]) -> Iterator[Stage1Of]:
            if due and workers.computes(len(due)):
                log.info("The features of %d companies are computed on Dask workers", len(due))
            with workers.compute(given, due) as stage_1_of:
                yield stage_1_of

        result = draw_due(
            run, store, symbols, run_batch, began=began,
            start=request.start, end=request.end, force=request.force, on_blocked=log.error,
            on_mended=log.warning, on_unchanged=unchanged, on_prepared=prepared, compute=compute,
        )  # fmt: skip
    _tell(result, progress)
    return result


def _with_sessions(run: Run, request: BackfillRequest, *, skip_missing: bool) -> tuple[Run, tuple[str, ...]]:
    """Return the symbols that have a session in the range; raise `ConfigError` where one has none that must."""
    symbols = tuple(dict.fromkeys(request.symbols)) or run.config.symbols
    if not skip_missing:
        return with_sessions(run, symbols, request.start, request.end)
    refused: dict[str, ConfigError] = {}
    symbols = in_universe(run, symbols, request.start, request.end)
    for symbol in symbols:
        try:
            sessions_wanted(run, symbol, request.start, request.end)
        except ConfigError as error:
            get_run_logger().warning("Left out: %s", error)
            refused[symbol] = error
    if len(refused) == len(symbols):
        raise refused[symbols[0]]
    return run, tuple(symbol for symbol in symbols if symbol not in refused)


class _Counter:
    """Turns companies prepared and sessions drawn into the progress of the whole run, companies weighing alike."""

    def __init__(self, progress: ProgressArtifact, companies: int) -> None:
        self._progress, self._companies = progress, companies
        self._due: dict[str, int] = {}
        self._done: Counter[str] = Counter()
        self._drawn, self._complete = 0.0, 0

    def add(self, symbol: str, due: int) -> None:
        """Note how many sessions of a company are due."""
        self._due.setdefault(symbol, due)
        if not due:
            self._drawn, self._complete = self._drawn + 1, self._complete + 1
        self._show(f"{symbol}: {due} images to draw")

    def __call__(self, symbol: str, sessions: int) -> None:
        left = self._due[symbol] - self._done[symbol]
        if new := min(sessions, left):
            self._done[symbol] += new
            self._drawn += new / self._due[symbol]
            self._complete += new == left
        self._show(f"{symbol}: {self._done[symbol]} of {self._due[symbol]} images")

    def _show(self, said: str) -> None:
        text = f"{said} ({self._complete} of {self._companies} companies complete)"
        done = PREPARED * len(self._due) + (1 - PREPARED) * self._drawn
        self._progress.show(done, self._companies, text)


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
    tell_bad(result.bad)
    if result.failures:
        rows = [{"symbol": symbol, "session": day, "reason": reason} for symbol, day, reason in result.failures]
        publish_table("failed-sessions", rows, "Sessions without an image, and why")
    if failures := unexcused(result):
        symbol, day, reason = failures[0]
        raise BuildError(
            f"{result.failed} of {result.built + result.failed} sessions could not be drawn, the first is "
            f"{symbol} {day}: {reason}. All others are published; the next run tries these again."
        )
    without = f"; {counted(result.bad)}" if result.bad else ""
    progress.finish(f"{result.built} images drawn, {result.skipped} were up to date{without}")
