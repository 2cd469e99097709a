"""What a network is trained to predict: the class and, where the settings ask for it, the size of the return."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from finnex.config.training import TrainingSettings
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES, Samples


def class_weights(labels: npt.NDArray[np.int64], classes: int) -> Tensor:
    """Return weights inversely proportional to the classes' frequencies, of mean 1 over the samples."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, dtype=np.float32)
    weights[present] = len(labels) / (np.count_nonzero(present) * counts[present])
    return torch.from_numpy(weights)


class Objective:
    """Targets of a batch and the loss of a network's answers; everything estimated comes from the training part.

    Parameters
    ----------
    train
        Rows of the training part: class weights and the return's location and scale are theirs alone.

    Attributes
    ----------
    location, scale
        Mean and standard deviation of the training part's returns: what the network predicts is in these units.
    """

    def __init__(self, settings: TrainingSettings, samples: Samples, train: Rows) -> None:
        self.settings, self.samples = settings, samples
        self.weights = (
            class_weights(samples.label[train], len(CLASSES)) if settings.class_weights == "balanced" else None
        )
        outcome = samples.outcome[train].astype(np.float64)
        self.location, self.scale = float(outcome.mean()), max(float(outcome.std()), 1e-12)

    def targets(self, rows: Rows) -> Tensor:
        """Return the classes as shares (B, classes) and, in a further column, the standardised return: float32.

        Shares and not numbers, because a mixture of two images has a share of each one's class.
        """
        shares = functional.one_hot(torch.from_numpy(self.samples.label[rows]), len(CLASSES)).float()
        if self.settings.task == "class":
            return shares  # (B, classes)
        outcome = (self.samples.outcome[rows].astype(np.float64) - self.location) / self.scale
        return torch.cat([shares, torch.from_numpy(outcome).float()[:, None]], dim=1)  # (B, classes + 1)

    def __call__(self, outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        """Return the mean loss of a batch: cross entropy, plus the weighted Huber loss of the return.

        Huber, Robust Estimation of a Location Parameter (1964), with its corner at one standard deviation: a
        session that moved five of them pulls as hard as one that moved one.
        """
        shares = targets[:, : len(CLASSES)]
        weights = None if self.weights is None else self.weights.to(targets.device)
        loss = functional.cross_entropy(
            outputs[0].float(), shares, weight=weights, label_smoothing=self.settings.label_smoothing
        )
        if self.settings.task == "class_and_return":
            loss = loss + self.settings.return_weight * functional.huber_loss(outputs[2].float(), targets[:, -1])
        return loss
