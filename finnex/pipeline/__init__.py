"""Panel to images to store: the path a trading session takes.

`read_run` checks everything once; `prepare_symbol` computes the panel and finds the sessions that are due;
`SymbolBuild.run_batch` has their images drawn, here or on Dask, and publishes them. `draw_due` is the loop over symbols
and batches; `build` calls it with batches that run here, a Prefect flow with one task a batch.
"""

from __future__ import annotations

from finnex.pipeline.build_loop import build
from finnex.pipeline.dask_workers import draw_on_dask
from finnex.pipeline.drawing import Block, Draw, draw_block, draw_here
from finnex.pipeline.due_sessions import BATCH_SESSIONS, BatchOutcome, SymbolBuild, prepare_symbol, window_hashes
from finnex.pipeline.rebuilt_sessions import reach_of
from finnex.pipeline.run_inputs import Run, read_run, sessions_wanted
from finnex.pipeline.store_opening import open_for_writing
from finnex.pipeline.symbol_loop import BuildResult, RunBatch, draw_due

__all__ = [
    "BATCH_SESSIONS",
    "BatchOutcome",
    "Block",
    "BuildResult",
    "Draw",
    "Run",
    "RunBatch",
    "SymbolBuild",
    "build",
    "draw_block",
    "draw_due",
    "draw_here",
    "draw_on_dask",
    "open_for_writing",
    "prepare_symbol",
    "reach_of",
    "read_run",
    "sessions_wanted",
    "window_hashes",
]
