"""The whole build in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.errors import StoreCorrupt
from finnex.pipeline.company import prepare_symbol
from finnex.pipeline.drawing import draw_here, draw_on_dask
from finnex.pipeline.inputs import read_run, sessions_wanted
from finnex.pipeline.opening import open_for_writing
from finnex.store import writing

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `failures` says which sessions failed and why, `warnings` what is odd about the inputs."""

    built: int
    skipped: int
    failed: int
    seconds: float
    images_per_second: float
    fingerprint: str
    failures: tuple[tuple[str, date, str], ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())


def build(
    config: Config,
    *,
    symbols: Iterable[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    client: Client | None = None,
    on_mended: Callable[[str], None] = lambda _: None,
    on_start: Callable[[str, int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> BuildResult:
    """Build every due image of a run and return what was done.

    Parameters
    ----------
    client
        A Dask client to draw on; absent, images are drawn in this process.
    on_mended
        Called with a sentence where something in the store was damaged and is mended.
    on_start
        Called with each symbol and the number of its sessions that are due.
    on_progress
        Called with the number of sessions just drawn.

    Raises
    ------
    InputError, ConfigError, LayoutError, StoreError
        Nothing stored is changed.
    StoreCorrupt
        Something in the store is damaged that cannot be made again; what other companies were due is drawn.
    """
    began = time.perf_counter()
    run = read_run(config)
    draw = draw_here if client is None else draw_on_dask(client)
    chosen = tuple(symbols or config.symbols)
    for symbol in chosen:  # before anything is made or written
        sessions_wanted(run, symbol, start, end)
    built = skipped = 0
    drawing_seconds = 0.0
    failures: list[tuple[str, date, str]] = []
    with writing(config.store.path):
        opened = open_for_writing(run, symbols=chosen, start=start, end=end, force=force)
        if opened.mended:
            on_mended(opened.mended)
        store = opened.store
        for symbol in chosen:
            if symbol in opened.blocked:
                continue
            try:
                one = prepare_symbol(run, store, symbol, start=start, end=end, force=force)
                skipped += one.skipped
                if on_start is not None:
                    on_start(symbol, one.due)
                for batch in one.batches():
                    outcome = one.run_batch(batch, draw, on_progress, config.dask.dates_per_task)
                    built += outcome.built
                    drawing_seconds += outcome.seconds
                    failures += [(symbol, day, error) for day, error in outcome.failed]
            except StoreCorrupt as error:
                opened.block(symbol, error)
        fingerprint = opened.fingerprint(chosen)
    return BuildResult(
        built=built,
        skipped=skipped,
        failed=len(failures),
        seconds=time.perf_counter() - began,
        images_per_second=built / drawing_seconds if drawing_seconds else 0.0,
        fingerprint=fingerprint,
        failures=tuple(failures),
        warnings=run.warnings,
    )
