"""Panel to images to store: the path a trading session takes.

`read_run` checks everything once; `stage_1` computes a company's features, here or on Dask; `prepare_symbol` finds the
sessions that are due; `draw_units` has the images of one company or several drawn, here or on Dask, and publishes them.
`draw_due` is the loop over companies; `build` calls it with batches that run here, a Prefect flow with a task a batch.
"""

from __future__ import annotations

from finnex.pipeline.build_loop import build
from finnex.pipeline.build_result import BuildResult, unexcused
from finnex.pipeline.dask_workers import draw_on_dask
from finnex.pipeline.drawing import Block, Draw, Drawn, draw_block, draw_here
from finnex.pipeline.due_sessions import SymbolBuild, prepare_symbol
from finnex.pipeline.leaving_out import opened_without, with_sessions
from finnex.pipeline.portions import (
    TASK_IMAGES,
    UNIT_IMAGES,
    OnDrawn,
    Outcome,
    Portion,
    draw_units,
    units,
)
from finnex.pipeline.rebuilt_sessions import reach_of
from finnex.pipeline.run_inputs import Run, in_universe, read_run, sessions_wanted
from finnex.pipeline.stage_1 import Compute, Stage1Of, compute_here, window_hashes
from finnex.pipeline.stage_1_on_dask import compute_on_dask
from finnex.pipeline.store_opening import open_for_writing
from finnex.pipeline.symbol_loop import RunBatch, draw_due
from finnex.pipeline.workers import Workers

__all__ = [
    "TASK_IMAGES",
    "UNIT_IMAGES",
    "Block",
    "BuildResult",
    "Compute",
    "Draw",
    "Drawn",
    "OnDrawn",
    "Outcome",
    "Portion",
    "Run",
    "RunBatch",
    "Stage1Of",
    "SymbolBuild",
    "Workers",
    "build",
    "compute_here",
    "compute_on_dask",
    "draw_block",
    "draw_due",
    "draw_here",
    "draw_on_dask",
    "draw_units",
    "in_universe",
    "open_for_writing",
    "opened_without",
    "prepare_symbol",
    "reach_of",
    "read_run",
    "sessions_wanted",
    "unexcused",
    "units",
    "window_hashes",
    "with_sessions",
]
