"""A configuration over the bundled sample."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from finnex.config import Config, parse_config
from finnex.sample import SYNTHETIC_TABLES


def sampled_config(inputs: Mapping[str, Path], folder: Path, **changes: object) -> Config:
    """Return a configuration of a month of NVDA with a store in a folder; `changes` replace its keys."""
    document: dict[str, object] = {
        "inputs": {name: str(path) for name, path in inputs.items()} | {"synthetic": list(SYNTHETIC_TABLES)},
        "symbols": ["NVDA"],
        "start": date(2015, 3, 2),
        "end": date(2015, 3, 31),
        "store": {"path": str(folder / "images.zarr")},
    }
    return parse_config(document | changes, folder / "finnex.toml")
