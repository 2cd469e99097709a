"""A network's predictions for sessions: probabilities of the classes and, where configured, a return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from finnex.datasets import Batch
from finnex.datasets.epoch_order import Rows
from finnex.datasets.samples import CLASSES
from finnex.errors import TrainingError
from finnex.models.inputs import check_answers
from finnex.models.return_head import takes_patch

SMALLEST_PROBABILITY = 1e-12


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


def ask(model: nn.Module, images: Tensor, patches: Tensor | None) -> tuple[Tensor, ...]:
    """Run a network on a batch; one whose forward takes it is given the patch's number."""
    bare = getattr(model, "module", model)  # several processes wrap it
    position: dict[str, Any] = {"patch": patches} if patches is not None and takes_patch(bare) else {}
    return tuple(model(images, **position))


def describe_rows(batch: Batch) -> str:
    """Name a batch by its samples."""
    rows = np.asarray(batch.rows).tolist()
    return f"{len(rows)} samples: {', '.join(map(str, rows[:4]))}{', ...' if len(rows) > 4 else ''}"


@torch.no_grad()
def predict(
    model: nn.Module, batches: Batches, accelerator: Accelerator, describe: Callable[[Batch], str] = describe_rows
) -> Answers:
    """Ask a network about every sample of some batches. Every process gets the answers of all.

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
    was_training = model.training
    model.eval()
    batches.set_epoch(0)
    rows, votes = [torch.empty(0, dtype=torch.int64)], [torch.empty((0, len(CLASSES) + 1), dtype=torch.float64)]
    for batch in batches:
        patches = None if batch.patches is None else batch.patches.to(accelerator.device)
        try:
            logits, _, *more = ask(model, batch.images.to(accelerator.device), patches)
            check_answers(logits)
        except TrainingError as error:
            raise TrainingError(f"{describe(batch)}: {error}") from error
        said = more[0].float().cpu().double() if more else torch.full((len(batch),), torch.nan, dtype=torch.float64)
        rows.append(torch.from_numpy(np.asarray(batch.rows, dtype=np.int64)))
        votes.append(torch.cat([logits.float().cpu().double().softmax(-1), said[:, None]], dim=1))
    model.train(was_training)
    return pool(*(_of_all(torch.cat(part), accelerator).numpy() for part in (rows, votes)))


def _of_all(values: Tensor, accelerator: Accelerator) -> Tensor:
    """Gather rows from all processes, which may have different numbers of them."""
    if accelerator.num_processes == 1:
        return values
    count = accelerator.gather(torch.tensor([len(values)], device=accelerator.device))
    padded = accelerator.pad_across_processes(values.to(accelerator.device))
    parts = accelerator.gather(padded).cpu().chunk(accelerator.num_processes)
    return torch.cat([part[:number] for part, number in zip(parts, count.tolist(), strict=True)])


def surprise(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the negative logarithm of the probability given to what happened, (row,); its mean is the log loss."""
    given = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(given, SMALLEST_PROBABILITY, None)))


def pool(rows: npt.NDArray[np.int64], votes: npt.NDArray[np.float64]) -> Answers:
    """Make one answer of all votes on a session: their mean. A session counts once, however many patches it has.

    Parameters
    ----------
    rows
        Sample of each vote (vote,).
    votes
        (vote, class + 1): probabilities and, last, the return.
    """
    sessions, place = np.unique(rows, return_inverse=True)
    count = np.bincount(place, minlength=len(sessions))
    sums = [np.bincount(place, weights=column, minlength=len(sessions)) for column in votes.T]
    means = np.stack(sums, axis=1).astype(np.float64) / count[:, None]
    return Answers(sessions.astype(np.intp), means[:, :-1], means[:, -1])
