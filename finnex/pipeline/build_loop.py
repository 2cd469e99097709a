"""The loop over symbols and batches: one for a build in this process, on Dask, and under Prefect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.errors import StoreCorrupt
from finnex.pipeline.dask_workers import draw_on_dask
from finnex.pipeline.drawing import draw_here
from finnex.pipeline.due_sessions import BatchOutcome, SymbolBuild, prepare_symbol
from finnex.pipeline.run_inputs import Run, read_run, sessions_wanted
from finnex.pipeline.stage_1 import Compute, compute_here
from finnex.pipeline.stage_1_on_dask import compute_on_dask
from finnex.pipeline.store_opening import Opened, open_for_writing
from finnex.store import StoreWriter, read_verified, scrub, writing

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class BuildResult:
    """What a build did.

    Attributes
    ----------
    built, skipped, failed
        Sessions that were drawn, that had their image, and that could not be drawn.
    seconds
        Wall clock of the build.
    images_per_second
        Over the time that drawing took.
    fingerprint
        Of the store's data after the build.
    failures
        Symbol, session and reason of each that failed.
    warnings
        What is odd about the inputs and refuses nothing.
    notes
        How files are read that do not say it themselves.

    Examples
    --------
    >>> result = build(finnex.load_config("finnex.toml"))
    >>> result.built + result.skipped, result.failures
    (12, ())
    """

    built: int
    skipped: int
    failed: int
    seconds: float
    images_per_second: float
    fingerprint: str
    failures: tuple[tuple[str, date, str], ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


RunBatch = Callable[[Sequence[int]], BatchOutcome]
"""Draws and publishes a batch of panel positions."""


def draw_due(
    run: Run,
    opened: Opened,
    symbols: Iterable[str],
    prepare: Callable[[SymbolBuild], RunBatch],
    *,
    began: float,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    on_blocked: Callable[[str], None] = lambda _: None,
    compute: Compute = compute_here,
) -> BuildResult:
    """Draw what is due of each symbol, batch by batch, and record where the inputs end; call under `writing`.

    Parameters
    ----------
    run
        Inputs and layout.
    opened
        The store, as `open_for_writing` gives it.
    symbols
        Symbols to draw.
    prepare
        Called with the work of each symbol; returns what runs its batches.
    began
        When the build began, by `time.perf_counter`.
    start, end
        Range to draw; absent, as `sessions_wanted` says.
    force
        Whether sessions are drawn that have an image already.
    on_blocked
        Called with a sentence where something of a symbol is damaged and nothing more of it is drawn.
    compute
        Has Stage 1 of the symbols computed that are not left alone.

    Returns
    -------
    BuildResult
        How many images were built, skipped and failed, and the store's fingerprint.

    Raises
    ------
    StoreCorrupt
        Something in the store is damaged that cannot be made again; what other symbols were due is drawn.
    """
    chosen = tuple(symbols)
    built = skipped = 0
    drawing_seconds = 0.0
    failures: list[tuple[str, date, str]] = []
    completed: dict[str, list[str]] = {}  # symbols by the renderer that drew all their images
    drawn: dict[str, int] = {}
    scrubbed = scrub(opened.store, run.config.store.scrub_share, opened.blocked)
    damaged = scrubbed.damaged if scrubbed else {}
    record, known = opened.store.record(), read_verified(opened.store.path)
    left_alone = frozenset() if force else opened.current - damaged.keys()
    for symbol in chosen:
        if symbol in left_alone:
            drawn[symbol] = known.companies[symbol].sessions
            skipped += drawn[symbol]
            completed.setdefault(record.renderer(symbol), []).append(symbol)
    wanted = [symbol for symbol in chosen if symbol not in left_alone and symbol not in opened.blocked]
    with compute(run, wanted) as stage_1_of:
        for symbol in (one for one in chosen if one not in left_alone):
            if symbol in opened.blocked:
                on_blocked(opened.blocked[symbol])
                continue
            try:
                failed_before = len(failures)
                work = prepare_symbol(
                    run, opened.store, symbol, start=start, end=end, force=force, compute=stage_1_of
                )  # fmt: skip
                skipped += work.skipped
                run_batch = prepare(work)
                for batch in work.batches():
                    outcome = run_batch(batch)
                    built += outcome.built
                    drawing_seconds += outcome.seconds
                    failures += [(symbol, day, reason) for day, reason in outcome.failed]
                completed.setdefault(work.renderer(), []).append(symbol)
                if len(failures) == failed_before:
                    drawn[symbol] = work.skipped + work.due
            except StoreCorrupt as error:
                on_blocked(opened.block(symbol, error))
    for renderer, symbols_of_it in completed.items():
        opened.store.record_inputs(symbols_of_it, run.tables.limits(), renderer)
    left = [said for symbol, days in damaged.items() if (said := _still_damaged(opened.store, symbol, days))]
    for said in left:
        on_blocked(said)
    untouched = opened.whole >= set(record.companies) and left_alone >= set(chosen) and not damaged
    fingerprint = (untouched and known.fingerprint) or opened.fingerprint(chosen)
    opened.verify(drawn, fingerprint, scrubbed.finished if scrubbed else ())
    return BuildResult(
        built=built,
        skipped=skipped,
        failed=len(failures),
        seconds=time.perf_counter() - began,
        images_per_second=built / drawing_seconds if drawing_seconds else 0.0,
        fingerprint=fingerprint,
        failures=tuple(failures),
        warnings=(*run.warnings, *left),
        notes=run.notes,
    )


def _still_damaged(store: StoreWriter, symbol: str, days: Sequence[date]) -> str:
    """Say which images that the scrub found damaged this build did not draw again; '' where it drew all."""
    left = store.damaged(symbol, store.rows_of(symbol, days).tolist())
    if not len(left):
        return ""
    first = store.values(symbol, "date").astype("datetime64[D]")[left[0]]
    return (
        f"{symbol}: {len(left)} images in {store.path} are damaged, the first of {first}. A build whose "
        "symbols and range cover them draws them again."
    )


def build(
    config: Config,
    *,
    symbols: Iterable[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    client: Client | None = None,
    on_mended: Callable[[str], None] = lambda _: None,
    on_redrawn: Callable[[str], None] = lambda _: None,
    on_start: Callable[[str, int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> BuildResult:
    """Build every due image of a run and return what was done.

    Parameters
    ----------
    config
        The configuration: inputs, symbols, range, layout and store.
    symbols
        Which of its symbols to draw; by default all.
    start, end
        First and last date; by default those of the configuration, else from the first full window to the last bar.
    force
        Whether to draw sessions that have an image already.
    client
        A Dask client to draw on; absent, images are drawn in this process.
    on_mended
        Called with a sentence where something in the store was damaged and is mended.
    on_redrawn
        Called with a sentence where published images of a symbol are drawn again, as this version draws otherwise.
    on_start
        Called with each symbol and the number of its sessions that are due.
    on_progress
        Called with the number of sessions just drawn.

    Returns
    -------
    BuildResult
        How many images were built, skipped and failed, and what is odd about the inputs.

    Raises
    ------
    InputError, ConfigError, LayoutError, StoreError
        Nothing stored is changed.
    StoreCorrupt
        Something in the store is damaged that cannot be made again; what other companies were due is drawn.

    Examples
    --------
    >>> import finnex
    >>> config = finnex.load_config("finnex.toml")
    >>> result = finnex.build(config, symbols=["NVDA"])
    >>> result.failed, result.failures
    (0, ())
    """
    began = time.perf_counter()
    run = read_run(config)
    draw = draw_here if client is None else draw_on_dask(client)
    compute = compute_here if client is None else compute_on_dask(client)
    chosen = tuple(symbols or config.symbols)
    for symbol in chosen:  # before anything is made or written
        sessions_wanted(run, symbol, start, end)

    def prepare(work: SymbolBuild) -> RunBatch:
        if work.why_again:
            on_redrawn(work.why_again)
        if on_start is not None:
            on_start(work.symbol, work.due)
        return lambda batch: work.run_batch(batch, draw, on_progress, config.dask.dates_per_task)

    with writing(config.store.path):
        opened = open_for_writing(run, symbols=chosen, start=start, end=end, force=force)
        if opened.mended:
            on_mended(opened.mended)
        return draw_due(
            run, opened, chosen, prepare, began=began, start=start, end=end, force=force, compute=compute
        )  # fmt: skip
