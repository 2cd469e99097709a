"""A build as Prefect sees it: one task per batch of sessions, inside it one Dask task per session.

It takes the same steps as `finnex.build.build`, with the same functions, so that it stores the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from finnex.build import (
    BuildResult,
    Draw,
    SymbolBuild,
    draw_here,
    draw_on_dask,
    open_for_writing,
    prepare_symbol,
    read_run,
)
from finnex.config import Config
from finnex.errors import BuildError
from finnex.store import writing
from flows.cluster import cluster_client
from flows.progress import ProgressArtifact, publish_table

BATCH_SESSIONS = 250
"""About a year: enough that Prefect's own cost does not show, little enough that a retry costs seconds."""
WAIT_FOR_STORE_SECONDS = 3600.0
"""Flows that overlap queue for the store's writer lock."""


def build_images(
    config: Config,
    symbols: Sequence[str] = (),
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
) -> BuildResult:
    """Draw and publish what is missing; call inside a flow.

    Raises
    ------
    FinnexError
        Bad input, a store or a cluster that cannot be used; nothing stored was changed.
    BuildError
        Some sessions could not be drawn, even on retry; all others are published.
    """
    begun = time.perf_counter()
    run = read_run(config)
    chosen = tuple(symbols) or config.symbols
    progress = ProgressArtifact("images", "Reading inputs")
    built, skipped, failed = 0, 0, []
    with writing(config.store.path, WAIT_FOR_STORE_SECONDS), cluster_client(config) as client:
        store = open_for_writing(run)
        draw = draw_here if client is None else draw_on_dask(client, config.dask.dates_per_task)
        for done, symbol in enumerate(chosen):
            work = prepare_symbol(run, store, symbol, start=start, end=end, force=force)
            skipped += work.skipped
            tell = _Teller(progress, work, done, len(chosen))
            for batch in work.batches(BATCH_SESSIONS):
                ...
    return None
