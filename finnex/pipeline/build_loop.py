"""A build in this process or on Dask: inputs, store, and the loop over what is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.pipeline.build_result import BuildResult
from finnex.pipeline.due_sessions import SymbolBuild
from finnex.pipeline.leaving_out import opened_without, with_sessions
from finnex.pipeline.portions import Outcome, Portion, draw_units
from finnex.pipeline.run_inputs import read_run
from finnex.pipeline.symbol_loop import draw_due
from finnex.pipeline.workers import Workers
from finnex.store import writing

if TYPE_CHECKING:
    from distributed import Client


def build(
    config: Config,
    *,
    symbols: Iterable[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    client: Client | Callable[[], Client | None] | None = None,
    on_mended: Callable[[str], None] = lambda _: None,
    on_redrawn: Callable[[str], None] = lambda _: None,
    on_start: Callable[[str, int], None] | None = None,
    on_progress: Callable[[str, int], None] | None = None,
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
        A Dask client to draw on, or what connects one, which is called when there is enough to do; absent, images are
        drawn in this process.
    on_mended
        Called with a sentence where something in the store was damaged and is mended.
    on_redrawn
        Called with a sentence where published images of a symbol are drawn again, as this version draws otherwise.
    on_start
        Called with each symbol and the number of its sessions that are due; symbols with few are drawn together.
    on_progress
        Called with a symbol and the number of its sessions just drawn.

    Returns
    -------
    BuildResult
        How many images were built, skipped and failed, and what is odd about the inputs.

    Raises
    ------
    InputError, ConfigError, LayoutError, StoreError
        Nothing stored is changed. With `on_bad_company = "leave out"` not because of one company, while another is
        drawn.
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
    workers = Workers.of(client)
    run, chosen = with_sessions(run, tuple(symbols or run.config.symbols), start, end)  # before anything is written

    def unchanged(symbol: str, _: int) -> None:
        if on_start is not None:
            on_start(symbol, 0)

    def prepared(work: SymbolBuild) -> None:
        if work.why_again:
            on_redrawn(work.why_again)
        if on_start is not None:
            on_start(work.symbol, work.due)

    def run_batch(portions: Sequence[Portion]) -> Sequence[Outcome]:
        draw = workers.draw(sum(len(portion.positions) for portion in portions))
        return [outcome for _, outcome in draw_units(portions, draw, on_progress, config.dask.dates_per_task)]

    with writing(config.store.path):
        run, chosen, opened = opened_without(run, chosen, start=start, end=end, force=force)
        return draw_due(
            run, opened, chosen, run_batch, began=began, start=start, end=end, force=force,
            on_mended=on_mended, on_unchanged=unchanged, on_prepared=prepared, compute=workers.compute,
        )  # fmt: skip
