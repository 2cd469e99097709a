"""The samples of a study and their parts: what a training learns from, chooses with, and is judged on."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from finnex.config import Config
from finnex.config.training import TrainingSettings
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES, Samples, labelled_samples
from finnex.datasets.splits import TimeSplit, thin, walk_forward
from finnex.errors import TrainingError
from finnex.store import ImageStore, study_companies

LEAST_PER_PART = 8
"""Below this many samples the scores of a part mean nothing, not even that training works."""


SHOWN_AT_MOST = 5


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
    names = study_companies(config, store)
    samples = labelled_samples(store, config.labels, names)
    splits = walk_forward(
        samples.decision, samples.label_end, train_fraction=settings.train_fraction,
        validation_fraction=settings.validation_fraction, embargo_sessions=settings.embargo_sessions,
        folds=settings.folds, window=settings.window,
    )  # fmt: skip
    assert samples.reading is not None  # they are of a store
    sessions = samples.reading.sessions
    splits = tuple(thin(split, samples.decision, sessions, settings.every_sessions) for split in splits)
    for split in splits:
        _check_parts(samples, split)
        check_draw(settings, samples, split, names)
    return samples, splits


def check_draw(settings: TrainingSettings, samples: Samples, split: TimeSplit, symbols: tuple[str, ...] = ()) -> None:
    """Refuse a draw of epochs that a fold's training part cannot give.

    Parameters
    ----------
    settings
        `samples_per_epoch` and `balance`.
    samples
        Labelled sessions.
    split
        Parts of the fold.
    symbols
        Companies that were asked for; those of the samples where none is given.

    Raises
    ------
    TrainingError
        It has fewer samples than an epoch draws, or there is nothing to balance.
    """
    wanted, count = settings.samples_per_epoch, len(split.train)
    if wanted is not None and wanted > count:
        raise TrainingError(
            f"samples_per_epoch is {wanted}, and the training part of fold {split.fold} has {count} samples. Lower it, "
            "or leave it out: then an epoch draws all."
        )
    code, name = balanced_groups(settings.balance, samples, split.train), settings.balance
    if code is None:
        return
    if len(np.unique(code)) < 2:
        raise TrainingError(
            f"balance = '{name}', and the training part of fold {split.fold} has one {name}. "
            "Take balance out of [training], or train on more."
        )
    seen = {samples.symbols[number] for number in np.unique(samples.symbol).tolist()}
    if name == "company" and (silent := sorted(set(symbols or samples.symbols) - seen)):
        more = f" and {len(silent) - SHOWN_AT_MOST} more" if len(silent) > SHOWN_AT_MOST else ""
        raise TrainingError(
            f"balance = 'company', and of {', '.join(silent[:SHOWN_AT_MOST])}{more} no session is labelled: "
            "nothing can be drawn from them. Build their sessions, or take them out of symbols."
        )


def balanced_groups(
    balance: Literal["none", "date", "company"], samples: Samples, rows: Rows
) -> npt.NDArray[np.integer] | None:  # fmt: skip
    """Return the group of each row, all of which an epoch draws from equally often; None for no balance."""
    if balance == "none":
        return None
    return samples.symbol[rows] if balance == "company" else samples.decision[rows].astype(np.int64)


def _check_labels(config: Config, store: ImageStore) -> None:
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
            thinned, keys = len(split.thinned), "fractions or folds"
            if thinned:
                keys = f"fractions, folds or every_sessions, which leaves out {thinned}"
            raise TrainingError(
                f"{len(rows)} samples are too few for {name} of fold {split.fold} ({len(samples)} labelled, "
                f"{split.purged} purged); at least {LEAST_PER_PART} are needed. Build more sessions, or change the "
                f"{keys}."
            )
    present = np.unique(samples.label[split.train])
    if len(present) < 2:
        raise TrainingError(
            f"all {len(split.train)} training samples of fold {split.fold} are of the class "
            f"'{CLASSES[int(present[0])]}'; a model learns from two or more. Widen the range, or change "
            "threshold_volatility in [labels]."
        )
