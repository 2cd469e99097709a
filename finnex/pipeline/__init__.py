"""Panel to images to store: the path a trading session takes.

`read_run` checks everything once; `prepare_symbol` computes the panel and finds the sessions that are due;
`SymbolBuild.run_batch` has their images drawn, here or on Dask, and publishes them. `build` is all of it in one
call; a Prefect flow calls the same pieces, one batch a task.
"""

from __future__ import annotations

from finnex.pipeline.company import BATCH_SESSIONS, BatchOutcome, SymbolBuild, prepare_symbol, window_hashes
from finnex.pipeline.drawing import Block, Draw, draw_block, draw_here, draw_on_dask
from finnex.pipeline.inputs import Run, read_run, sessions_wanted
from finnex.pipeline.loop import BuildResult, build
from finnex.pipeline.opening import open_for_writing
from finnex.pipeline.reach import reach_of

__all__ = [
    "BATCH_SESSIONS",
    "BatchOutcome",
    "Block",
    "BuildResult",
    "Draw",
    "Run",
    "SymbolBuild",
    "build",
    "draw_block",
    "draw_here",
    "draw_on_dask",
    "open_for_writing",
    "prepare_symbol",
    "reach_of",
    "read_run",
    "sessions_wanted",
    "window_hashes",
]
