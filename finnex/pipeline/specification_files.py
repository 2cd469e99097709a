"""From the specification's three files to a run, with a store that may be temporary."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnex.config import Config, Inputs, parse_config
from finnex.data.enhanced_file import symbol_of_file
from finnex.pipeline import Run, SymbolBuild, open_for_writing, prepare_symbol
from finnex.store import writing

HEATMAPS = ("technical", "market", "fundamentals")
"""Where columns of an enhanced file that the catalogue does not know are drawn, unless `enhanced_heatmaps` says."""


def configuration(files: Mapping[str, str | Path], options: Mapping[str, Any]) -> Config:
    """Return the configuration that three files and the generator's options describe."""
    given = dict(options)
    inputs = {name: str(path) for name, path in files.items()} | {
        "preset": "specification",
        "enhanced_heatmaps": HEATMAPS,
    }
    inputs |= {name: given.pop(name) for name in list(given) if name in Inputs.model_fields}
    symbol = given.pop("symbol", None) or symbol_of_file(Path(files["enhanced"]))
    store = given.pop("store", None) or _scratch()
    document = {"inputs": inputs, "symbols": [symbol], "store": {"path": str(store)}} | given
    return parse_config(document, Path("FinNeXMegaImageGenerator"))


def _scratch() -> Path:
    """Return a place for a temporary store: images are read from it until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="finnex-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "images.zarr"


def elsewhere(config: Config) -> Config:
    """Return the configuration with a temporary store, which is removed when the process ends."""
    return config.model_copy(update={"store": config.store.model_copy(update={"path": _scratch()})})


def prepare(run: Run) -> SymbolBuild:
    """Compute the panel and lay out the store, for every session that has a bar."""
    with writing(run.config.store.path):
        symbol, start = run.config.symbols[0], run.tables.prices["date"].min().date()
        opened = open_for_writing(run, symbols=[symbol], start=start)
        opened.refuse([symbol])
        return prepare_symbol(run, opened.store, symbol, start=start)
