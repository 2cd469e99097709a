"""The answers of a training's processes together: each runs the network on its share of the batches.

`surprise` is what they are scored by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finnex.datasets import Batch
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES
from finnex.training.running import pool, run_network

SMALLEST_PROBABILITY = 1e-12
Number = TypeVar("Number", np.int64, np.float64)


class Batches(Protocol):
    """What a network is fed with: the same sequence of batches for the same epoch, from any batch on."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Batch]: ...

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the sequence of the next pass, and the batch it begins with."""


@dataclass(frozen=True)
class Answers:
    """One answer per session.

    Attributes
    ----------
    rows
        Samples, ascending.
    probabilities
        (row, class), rows summing to 1.
    returns
        (row,) in the units the network was trained in; NaN from a network without a return head.
    """

    rows: Rows
    probabilities: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]


class Numbered(Protocol):
    """Samples with their numbers."""

    @property
    def rows(self) -> Rows:
        """Number of the sample that each is of."""


def describe_rows(batch: Numbered) -> str:
    """Name a batch by its samples."""
    rows = np.asarray(batch.rows).tolist()
    return f"{len(rows)} samples: {', '.join(map(str, rows[:4]))}{', ...' if len(rows) > 4 else ''}"


def predict(
    model: nn.Module, batches: Batches, accelerator: Accelerator, describe: Callable[[Batch], str] = describe_rows
) -> Answers:
    """Run a network on every sample of some batches. Every process gets the answers of all.

    Parameters
    ----------
    model
        Network; it is put back into the mode it was in.
    batches
        This process' share of the batches.
    accelerator
        Device and processes.
    describe
        Names a batch in an error.

    Returns
    -------
    Answers
        Probabilities and predicted returns, one row a session: the votes of its patches are pooled.

    Raises
    ------
    TrainingError
        The network cannot read a batch, which `describe` names, or its answers are no numbers.
    """
    batches.set_epoch(0)
    rows, votes = [np.empty(0, dtype=np.int64)], [np.empty((0, len(CLASSES) + 1))]
    for said in run_network(model, batches, describe):
        rows.append(np.asarray(said.batch.rows, dtype=np.int64))
        votes.append(np.column_stack([said.probabilities, said.returns]))
    samples, means = pool(_of_all(np.concatenate(rows), accelerator), _of_all(np.concatenate(votes), accelerator))
    return Answers(samples, means[:, :-1], means[:, -1])


def _of_all(values: npt.NDArray[Number], accelerator: Accelerator) -> npt.NDArray[Number]:
    """Gather rows from all processes, which may have different numbers of them."""
    if accelerator.num_processes == 1:
        return values
    count = accelerator.gather(torch.tensor([len(values)], device=accelerator.device))
    padded: Tensor = accelerator.pad_across_processes(torch.from_numpy(values).to(accelerator.device))
    parts = accelerator.gather(padded).cpu().chunk(accelerator.num_processes)
    return torch.cat([part[:number] for part, number in zip(parts, count.tolist(), strict=True)]).numpy()


def surprise(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the negative logarithm of the probability given to what happened, (row,); its mean is the log loss."""
    given = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(given, SMALLEST_PROBABILITY, None)))
