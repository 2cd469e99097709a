"""What a model must beat on exactly its sessions: rules without inputs, and table models of the features.

Every one is fitted on the training part and chosen on the validation part of a fold; means and scales of the tabular
inputs are the training part's alone. Table models come twice: on the session's own features, and on those of
sessions before it too, which is what an image shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from finnex.config.training import BaselineName
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES, Samples
from finnex.datasets.splits import TimeSplit
from finnex.errors import TrainingError

Probabilities = npt.NDArray[np.float64]
Baseline = Callable[[Samples, TimeSplit, Rows], Probabilities]
"""Takes samples, a fold and the rows to answer for; returns probabilities (row, class)."""

LAGS = (0, 1, 2, 5, 10, 20)
"""Sessions back whose features the lagged baselines see."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse regularisation to choose from, on the validation part: a model is compared with a tuned baseline."""
LEAVES = (4, 16)
"""Leaves of a tree to choose from."""
ROUNDS, LEARNING_RATE, COLUMNS_A_SPLIT, BINS = 100, 0.08, 100, 32
"""Most trees a class, what each adds, how many columns, drawn with one fixed seed, a split chooses from, and between
how many values of each. How many of the trees are kept is chosen on the validation part too."""


def _frequencies(samples: Samples, split: TimeSplit) -> npt.NDArray[np.float64]:
    counts = np.bincount(samples.label[split.train], minlength=len(CLASSES))
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def majority(samples: Samples, split: TimeSplit, rows: Rows) -> Probabilities:
    """Return the training part's class frequencies for every row: the best prediction without inputs."""
    return np.tile(_frequencies(samples, split), (len(rows), 1))


def last_known_label(samples: Samples, rows: Rows) -> npt.NDArray[np.int64]:
    """Return for each row the newest label of its symbol whose outcome was known at the decision; -1 where none was.

    A label over h sessions is known h sessions later, so the newest one is that old. It may be of any part: a
    decision in the test part knows what came of earlier ones in it.
    """
    found = np.full(len(rows), -1, dtype=np.int64)
    for number in range(len(samples.symbols)):
        own = np.flatnonzero(samples.symbol == number)
        own = own[np.argsort(samples.decision[own], kind="stable")]
        mine = np.flatnonzero(samples.symbol[rows] == number)
        known_in_turn = np.argsort(samples.label_end[own], kind="stable")
        # With outcomes that end early a newer decision may be known before an older one: the newest counts.
        newest = np.maximum.accumulate(known_in_turn)
        ends = samples.label_end[own][known_in_turn]
        place = np.searchsorted(ends, samples.decision[rows[mine]], side="right") - 1
        any_known = place >= 0
        found[mine[any_known]] = samples.label[own[newest[place[any_known]]]]
    return found


def persistence(samples: Samples, split: TimeSplit, rows: Rows) -> Probabilities:
    """Return the last known label of each row's symbol, as sure as it was right in the training part.

    It stays the answer even where the training part says it is worse than a guess. A row before the first known
    label gets the training part's frequencies.
    """
    before = last_known_label(samples, split.train)
    known = before >= 0
    right = np.count_nonzero(before[known] == samples.label[split.train][known])
    sure = max((right + 1) / (np.count_nonzero(known) + len(CLASSES)), 1 / len(CLASSES) + 0.01)
    now = last_known_label(samples, rows)
    found = np.full((len(rows), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    found[np.arange(len(rows)), np.maximum(now, 0)] = sure
    found[now < 0] = _frequencies(samples, split)
    return found


def _known_columns(features: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    kept = np.flatnonzero(~np.isnan(features).all(axis=0))
    if len(kept) == 0:
        raise TrainingError(
            f"all {features.shape[1]} features are unknown in all {len(features)} training sessions. "
            "Check the store's inputs."
        )
    return kept


class _Columns:
    """Turns features into columns without gaps, standardised, by what the training part alone shows."""

    def __init__(self, features: npt.NDArray[np.float32]) -> None:
        self.kept = _known_columns(features)
        self.means = np.nanmean(features[:, self.kept].astype(np.float64), axis=0)
        self.scaler = StandardScaler().fit(self._filled(features))

    def _filled(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        kept = features[:, self.kept].astype(np.float64)
        return np.where(np.isnan(kept), self.means, kept)

    def __call__(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.asarray(self.scaler.transform(self._filled(features)), dtype=np.float64)


class _Classifier(Protocol):
    classes_: npt.NDArray[np.int64]


def _all_classes(model: _Classifier, probabilities: npt.NDArray[np.float64]) -> Probabilities:
    """Spread the model's classes over all classes: one that training never saw has probability 0."""
    full = np.zeros((len(probabilities), len(CLASSES)))
    full[:, model.classes_] = probabilities
    return full


def _loss(labels: npt.NDArray[np.int64], probabilities: Probabilities) -> float:
    return float(log_loss(labels, probabilities, labels=range(len(CLASSES))))


def logistic_regression(samples: Samples, split: TimeSplit, rows: Rows, lags: Sequence[int] = (0,)) -> Probabilities:
    """Fit on the training part's features, choose the strength on validation, answer for `rows`.

    Unknown values are the training part's mean of their column; columns that are unknown throughout it are left out.

    Parameters
    ----------
    samples
        Labelled sessions and their features.
    split
        Parts of a fold.
    rows
        (rows,) samples to answer for.
    lags
        Sessions back, 0 or more, whose features are used.

    Returns
    -------
    numpy.ndarray
        (rows, classes) probabilities; rows sum to 1.
    """
    columns = _Columns(samples.features(split.train, lags))
    train, validation = (columns(samples.features(part, lags)) for part in (split.train, split.validation))
    asked = columns(samples.features(rows, lags))
    model = LogisticRegression(max_iter=2000, warm_start=True)  # each strength starts from the one before
    best, answer = np.inf, np.empty(0)
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(train, samples.label[split.train])
        loss = _loss(samples.label[split.validation], _all_classes(model, model.predict_proba(validation)))
        if loss < best:
            best, answer = loss, _all_classes(model, model.predict_proba(asked))
    return answer


def boosted_trees(samples: Samples, split: TimeSplit, rows: Rows, lags: Sequence[int] = (0,)) -> Probabilities:
    """Fit gradient-boosted trees on the training part, choose size and number on validation, answer for `rows`.

    Unknown values are a branch of their own; columns that are unknown throughout the training part are left out.
    scikit-learn's histogram trees after Ke et al., LightGBM (2017).

    Parameters
    ----------
    samples
        Labelled sessions and their features.
    split
        Parts of a fold.
    rows
        (rows,) samples to answer for.
    lags
        Sessions back, 0 or more, whose features are used.

    Returns
    -------
    numpy.ndarray
        (rows, classes) probabilities; rows sum to 1.
    """
    train, validation, asked = (samples.features(part, lags) for part in (split.train, split.validation, rows))
    kept = _known_columns(train)
    train, validation, asked = train[:, kept], validation[:, kept], asked[:, kept]
    best, answer = np.inf, np.empty(0)
    for leaves in LEAVES:
        model = HistGradientBoostingClassifier(
            max_iter=ROUNDS, learning_rate=LEARNING_RATE, max_leaf_nodes=leaves, max_bins=BINS,
            max_features=min(1.0, COLUMNS_A_SPLIT / len(kept)), l2_regularization=1.0, early_stopping=False,
            random_state=0,
        )  # fmt: skip
        model.fit(train, samples.label[split.train])
        losses = [_loss(samples.label[split.validation], p) for p in _stages(model, validation)]
        rounds = int(np.argmin(losses))
        if losses[rounds] < best:
            best, answer = losses[rounds], next(p for n, p in enumerate(_stages(model, asked)) if n == rounds)
    return answer


def _stages(model: Any, features: npt.NDArray[np.float32]) -> Iterator[Probabilities]:
    for probabilities in model.staged_predict_proba(features):
        yield _all_classes(model, probabilities)


BASELINES: Mapping[BaselineName, Baseline] = {
    "majority": majority,
    "persistence": persistence,
    "logistic_regression": logistic_regression,
    "logistic_regression_lags": partial(logistic_regression, lags=LAGS),
    "boosted_trees": boosted_trees,
    "boosted_trees_lags": partial(boosted_trees, lags=LAGS),
}


def answer(name: BaselineName, samples: Samples, split: TimeSplit, rows: Rows, threads: int = 1) -> Probabilities:
    """Return a baseline's predictions for some rows.

    Parameters
    ----------
    name
        Name of the baseline.
    samples
        Labelled sessions and their features.
    split
        Parts of a fold.
    rows
        (rows,) samples to answer for.
    threads
        For trees. The regression's small products wait for each other: with two threads they took ten times as long.

    Returns
    -------
    numpy.ndarray
        (rows, classes) probabilities; rows sum to 1.
    """
    with threadpool_limits(limits=threads if name.startswith("boosted_trees") else 1):
        return BASELINES[name](samples, split, rows)
