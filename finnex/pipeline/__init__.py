"""Panel to images to store: the path a trading session takes.

`read_run` checks everything once; `stage_1` computes a company's features, here or on Dask; `prepare_symbol` finds the
sessions that are due; `SymbolBuild.run_batch` has their images drawn, here or on Dask, and publishes them. `draw_due`
is the loop over symbols and batches; `build` calls it with batches that run here, a Prefect flow with one task a batch.
"""

from __future__ import annotations

from finnex.pipeline.build_loop import build
from finnex.pipeline.dask_workers import draw_on_dask
from finnex.pipeline.drawing import Block, Draw, draw_block, draw_here
from finnex.pipeline.due_sessions import BATCH_SESSIONS, BatchOutcome, SymbolBuild, prepare_symbol
from finnex.pipeline.rebuilt_sessions import reach_of
from finnex.pipeline.run_inputs import Run, in_universe, read_run, sessions_wanted
from finnex.pipeline.stage_1 import Compute, Stage1Of, compute_here, window_hashes
from finnex.pipeline.stage_1_on_dask import compute_on_dask
from finnex.pipeline.store_opening import open_for_writing
from finnex.pipeline.symbol_loop import BuildResult, RunBatch, draw_due

__all__ = [
    "BATCH_SESSIONS",
    "BatchOutcome",
    "Block",
    "BuildResult",
    "Compute",
    "Draw",
    "Run",
    "RunBatch",
    "Stage1Of",
    "SymbolBuild",
    "build",
    "compute_here",
    "compute_on_dask",
    "draw_block",
    "draw_due",
    "draw_here",
    "draw_on_dask",
    "in_universe",
    "open_for_writing",
    "prepare_symbol",
    "reach_of",
    "read_run",
    "sessions_wanted",
    "window_hashes",
]
