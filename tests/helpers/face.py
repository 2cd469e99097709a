"""The public face: what `finnex` and the specification's names offer, and the classes that these return."""

from __future__ import annotations

import inspect
from importlib import import_module

from tests.helpers.docstrings import Documented, everything

MODULES = (
    "finnex", "finnex.notebook", "finnex.mega_image_generation", "finnex.cnn_training", "finnex.models",
    "finnex.evaluation", "finnex.datasets",
)  # fmt: skip
RETURNED = (
    "finnex.datasets.image_dataset.ImageDataset", "finnex.pipeline.build_result.BuildResult",
    "finnex.tracking.nightly_predictions.Prediction", "finnex.explain.PixelAnswer", "finnex.explain.explain",
)  # fmt: skip
"""What those functions give, and what they refer to; not the result of a training, which takes too long to show."""


def names() -> set[str]:
    """Return module and name of each function and class of the face; constants have no docstring of their own."""
    found = set(RETURNED)
    for module in MODULES:
        for name in import_module(module).__all__:
            one = getattr(import_module(module), name)
            if inspect.isfunction(one) or inspect.isclass(one):
                found.add(f"{one.__module__}.{one.__qualname__}")
    return found


def face() -> tuple[list[Documented], dict[str, list[Documented]]]:
    """Return the functions and classes of the face, and by class its public methods, properties among them."""
    found = {str(one): one for one in everything()}
    wanted = sorted(names())
    methods: dict[str, list[Documented]] = {}
    for name in wanted:
        module, _, attribute = name.rpartition(".")
        owners = getattr(getattr(import_module(module), attribute), "__mro__", ())  # a base class of ours has some
        own = {f"{one.__module__}.{one.__qualname__}" for one in owners}
        methods[name] = [one for other, one in found.items() if other.rpartition(".")[0] in own]
    return [found[name] for name in wanted], methods
