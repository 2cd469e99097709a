"""What a model must beat on exactly its sessions: the majority class, a logistic regression on the last session."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from finnex.errors import TrainingError
from finnex.training.samples import CLASSES, Samples
from finnex.training.splits import Rows, TimeSplit

Probabilities = npt.NDArray[np.float64]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse regularisation to choose from, on the validation part: a model is compared with a tuned baseline."""


def majority(samples: Samples, split: TimeSplit, rows: Rows) -> Probabilities:
    """Return the training part's class frequencies for every row: the best answer that looks at nothing."""
    counts = np.bincount(samples.label[split.train], minlength=len(CLASSES))
    return np.tile(counts / counts.sum(), (len(rows), 1))


class _Columns:
    """Turns normalised features into columns without gaps, by what the training part alone shows."""

    def __init__(self, features: npt.NDArray[np.float32]) -> None:
        self.kept = np.flatnonzero(~np.isnan(features).all(axis=0))
        if len(self.kept) == 0:
            raise TrainingError(
                f"all {features.shape[1]} features are unknown in all {len(features)} training sessions. "
                "Check the store's inputs."
            )
        self.means = np.nanmean(features[:, self.kept].astype(np.float64), axis=0)
        self.scaler = StandardScaler().fit(self._filled(features))

    def _filled(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        kept = features[:, self.kept].astype(np.float64)
        return np.where(np.isnan(kept), self.means, kept)

    def __call__(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.asarray(self.scaler.transform(self._filled(features)), dtype=np.float64)


def _probabilities(model: LogisticRegression, columns: npt.NDArray[np.float64]) -> Probabilities:
    """Spread the model's classes over all classes: one that training never saw has probability 0."""
    full = np.zeros((len(columns), len(CLASSES)))
    full[:, model.classes_] = model.predict_proba(columns)
    return full


def logistic_regression(samples: Samples, split: TimeSplit, rows: Rows) -> Probabilities:
    """Fit on the training part's last-session features, choose the strength on validation, answer for `rows`.

    Unknown values are the training part's mean of their column; columns that are unknown throughout it are left out.
    """
    columns = _Columns(samples.features[split.train])
    train, validation = columns(samples.features[split.train]), columns(samples.features[split.validation])
    fitted = []
    for strength in STRENGTHS:
        # One thread: small products that wait for each other take ten times as long when two threads meet at each.
        with threadpool_limits(limits=1):
            model = LogisticRegression(C=strength, max_iter=2000).fit(train, samples.label[split.train])
        loss = log_loss(samples.label[split.validation], _probabilities(model, validation), labels=range(len(CLASSES)))
        fitted.append((loss, strength, model))
    best = min(fitted, key=lambda item: item[:2])[2]
    return _probabilities(best, columns(samples.features[rows]))


BASELINES = {"majority": majority, "logistic_regression": logistic_regression}
