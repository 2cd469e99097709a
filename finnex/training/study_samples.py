"""The samples of a study and their parts: what a training learns from, chooses with, and is judged on."""

from __future__ import annotations

import numpy as np

from finnex.config import Config
from finnex.config.images import ACROSS_THE_SECTION
from finnex.datasets.samples import CLASSES, Samples, labelled_samples
from finnex.datasets.splits import TimeSplit, walk_forward
from finnex.errors import TrainingError
from finnex.store import ImageStore

LEAST_PER_PART = 8
"""Below this many samples the scores of a part mean nothing, not even that training works."""


def study_samples(config: Config, store: ImageStore) -> tuple[Samples, tuple[TimeSplit, ...]]:
    """Return the samples that a training with this configuration uses, and the parts of every fold.

    Parameters
    ----------
    config
        Labels, symbols, and the fractions, embargo and folds of the training.
    store
        Store to read from.

    Returns
    -------
    tuple
        The samples, in order of date, then symbol; one split a fold, in order of time.

    Raises
    ------
    TrainingError
        Training would be refused: no such labels, too few sessions, one class only.
    """
    _check_labels(config, store)
    settings = config.training
    samples = labelled_samples(store, config.labels, config.symbols)
    splits = walk_forward(
        samples.decision, samples.label_end, train_fraction=settings.train_fraction,
        validation_fraction=settings.validation_fraction, embargo_sessions=settings.embargo_sessions,
        folds=settings.folds, window=settings.window,
    )  # fmt: skip
    for split in splits:
        _check_parts(samples, split)
    return samples, splits


def _check_labels(config: Config, store: ImageStore) -> None:
    if config.labels.kind in ACROSS_THE_SECTION:
        lacking = [one for one in store.symbols if f"label_{config.labels.kind}" not in store.array_names(one)]
        if lacking:
            raise TrainingError(
                f"{store.path} has no labels of the kind '{config.labels.kind}': it was built without a table of "
                "companies. Build it again with [inputs] companies: no image is drawn again."
            )
    made = store.attrs["label_settings"]
    wanted = config.labels.model_dump()
    for key in sorted(set(made) & set(wanted) - {"kind", "horizon"}):
        if made[key] != wanted[key]:
            raise TrainingError(
                f"{store.path} was labelled with {key} = {made[key]}, [labels] now says {wanted[key]}. "
                "Put it back, or build a new store."
            )


def _check_parts(samples: Samples, split: TimeSplit) -> None:
    for name, rows in split.parts().items():
        if len(rows) < LEAST_PER_PART:
            raise TrainingError(
                f"{len(rows)} samples are too few for {name} of fold {split.fold} ({len(samples)} labelled, "
                f"{split.purged} purged); at least {LEAST_PER_PART} are needed. Build more sessions, or change the "
                "fractions or folds."
            )
    present = np.unique(samples.label[split.train])
    if len(present) < 2:
        raise TrainingError(
            f"all {len(split.train)} training samples of fold {split.fold} are of the class "
            f"'{CLASSES[int(present[0])]}'; a model learns from two or more. Widen the range, or change "
            "threshold_volatility in [labels]."
        )
