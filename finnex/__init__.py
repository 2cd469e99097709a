"""FinNeX: companies' multi-modal financial data as images that deep networks can read.

What a notebook needs is here, and imported when it is used:

- `load_config(path)`: a configuration, checked;
- `build(config)`: draw every image that is due; `open(path)`: a store, `store["NVDA"]["2016-03-01"].image`;
- `dataset(config)`: labelled images for torch; `train(config)`, `evaluate(...)`, `predict(config)`.

`ARCHITECTURE.md` has the path of a trading session through the rooms.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finnex.config import load_config
    from finnex.evaluation import evaluate_finnex_model as evaluate
    from finnex.notebook import dataset, predict, train
    from finnex.notebook import open_store as open
    from finnex.pipeline import build

__version__ = "0.1.0"
__all__ = ["__version__", "build", "dataset", "evaluate", "load_config", "open", "predict", "train"]

_WHERE = {
    "build": ("finnex.pipeline", "build"),
    "dataset": ("finnex.notebook", "dataset"),
    "evaluate": ("finnex.evaluation", "evaluate_finnex_model"),
    "load_config": ("finnex.config", "load_config"),
    "open": ("finnex.notebook", "open_store"),
    "predict": ("finnex.notebook", "predict"),
    "train": ("finnex.notebook", "train"),
}
"""Name to the module and the name in it."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'finnex' has no attribute '{name}'")
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
