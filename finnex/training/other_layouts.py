"""Stores of other layouts next to the main one: the same sessions in another layout, for the same network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.config import Config, ImageSettings, StoreSettings
from finnex.datasets.samples import Samples, labelled_samples
from finnex.errors import TrainingError
from finnex.pipeline import build
from finnex.store import ImageStore, study_companies
from finnex.store_path import StorePath
from finnex.training.reports import OnProgress, Progress, ignore_progress


def sibling_path(config: Config, layout: str) -> StorePath:
    """Return the path of another layout's store: of `images.zarr`, `images.price_only.zarr` in the same folder."""
    path = config.store.path
    return path.with_name(f"{path.stem}.{layout}{path.suffix}")


def build_sibling(config: Config, layout: str, on_progress: OnProgress = ignore_progress) -> ImageStore:
    """Draw what the sibling store lacks of the configured sessions; return it.

    Raises
    ------
    TrainingError
        Sessions could not be drawn.
    InputError, ConfigError, LayoutError, StoreError
        From the build; nothing stored is changed.
    """
    path = sibling_path(config, layout)
    image = ImageSettings(layout=layout, catalogue=config.image.catalogue)
    due = drawn = 0

    def on_start(_: str, more: int) -> None:
        nonlocal due
        due += more

    def on_drawn(_: str, more: int) -> None:
        nonlocal drawn
        drawn += more
        on_progress(Progress("draw", drawn, due))

    sibling = config.model_copy(update={"store": StoreSettings(path=path), "image": image})
    result = build(sibling, on_start=on_start, on_progress=on_drawn)
    if result.failed:
        symbol, day, error = result.failures[0]
        raise TrainingError(
            f"{result.failed} images of the layout '{layout}' could not be drawn, first {symbol} {day}: {error}. "
            "Mend the inputs, or take it out of compare in [training]."
        )
    return ImageStore.open(path)


def same_samples(config: Config, store: ImageStore, samples: Samples) -> Samples:
    """Return the samples of a sibling store that are those of the main one, in its order.

    Raises
    ------
    TrainingError
        The sibling lacks one, or its label is another: the two stores were built from different inputs.
    """
    found = labelled_samples(store, config.labels, study_companies(config, store))
    number = np.array([found.symbols.index(name) if name in found.symbols else -1 for name in samples.symbols])
    there, wanted = _keys(found, found.symbol), _keys(samples, number[samples.symbol])
    order = np.argsort(there)
    place = order[np.minimum(np.searchsorted(there, wanted, sorter=order), len(order) - 1)]
    rows = np.where(there[place] == wanted, place, -1)
    missing = np.count_nonzero(rows < 0)
    other = np.count_nonzero((found.label[rows] != samples.label) | (found.label_end[rows] != samples.label_end))
    if missing or other:
        raise TrainingError(
            f"{store.path} lacks {missing} of the {len(samples)} labelled sessions and labels {other} differently. "
            "Bring the main store up to date with `finnex build`, and leave start and end as they were."
        )
    return found.choose(rows)


def _keys(samples: Samples, symbol: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Return a number for the day and the symbol of each sample."""
    return samples.decision.astype(np.int64) * 2**20 + symbol
