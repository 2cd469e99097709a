"""The predictions table: one row per model, fold, seed, symbol and session. Every score is derived from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import LabelSettings
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES, Samples
from finnex.datasets.splits import TimeSplit

JUDGED_PARTS = ("validation", "test")


def rows_to_answer(split: TimeSplit) -> Rows:
    """Return the rows of a fold that are predicted: its validation and its test part."""
    return np.concatenate([split.parts()[part] for part in JUDGED_PARTS])


def predictions_table(
    model: str,
    seed: int,
    samples: Samples,
    split: TimeSplit,
    probabilities: npt.NDArray[np.float64],
    returns: npt.NDArray[np.float64] | None,
    labels: LabelSettings,
    fingerprint: str,
) -> pd.DataFrame:
    """Return a model's rows of the table.

    Parameters
    ----------
    model
        Name of the model.
    seed
        Seed of the training.
    samples
        Labelled sessions.
    split
        Parts of the fold.
    probabilities, returns
        Answers for `rows_to_answer(split)`, in that order: (row, class), and predicted simple returns (row,).
    labels
        Kind and horizon of the labels.
    fingerprint
        Of the store that was trained on.

    Returns
    -------
    pandas.DataFrame
        decision_date, symbol, split, fold, seed, model, fingerprint, label_kind, horizon, entry, exit, label_end,
        p_sell, p_hold, p_buy, predicted_return (NaN from a model that predicts none), label, return.
    """
    rows = rows_to_answer(split)
    sizes = [len(split.parts()[part]) for part in JUDGED_PARTS]
    return pd.DataFrame(
        {
            "decision_date": samples.decision[rows].astype("datetime64[ms]"),
            "symbol": np.array(samples.symbols)[samples.symbol[rows]],
            "split": np.repeat(JUDGED_PARTS, sizes),
            "fold": split.fold,
            "seed": seed,
            "model": model,
            "fingerprint": fingerprint,
            "label_kind": labels.kind,
            "horizon": labels.horizon,
            "entry": samples.entry[rows].astype("datetime64[ms]"),
            "exit": samples.label_end[rows].astype("datetime64[ms]"),
            "label_end": samples.label_end[rows].astype("datetime64[ms]"),
            **{f"p_{word}": probabilities[:, code] for code, word in enumerate(CLASSES)},
            "predicted_return": np.full(len(rows), np.nan) if returns is None else returns,
            "label": samples.label[rows],
            "return": samples.outcome[rows],
        }
    )
