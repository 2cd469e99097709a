"""`run_network`: how a network is run on samples, in training, evaluation and serving alike; and the mean of votes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from finnex.datasets.epoch_order import Rows
from finnex.errors import TrainingError
from finnex.models.network_inputs import check_answers
from finnex.models.return_head import takes_patch


class Asked(Protocol):
    """What a network is run on in one call."""

    @property
    def images(self) -> Tensor:
        """Whole images or patches, (B, C, H, W)."""

    @property
    def patches(self) -> Tensor | None:
        """Number of each patch in its image, (B,); None for whole images."""


B = TypeVar("B", bound=Asked)


@dataclass(frozen=True)
class Votes(Generic[B]):
    """What a network says of one batch.

    Attributes
    ----------
    batch
        What it was run on.
    probabilities
        (B, class), rows summing to 1.
    returns
        (B,) in the units the network was trained in; NaN from a network whose third output is none of this shape.
    attended
        The network's second output, on its device.
    """

    batch: B
    probabilities: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]
    attended: Tensor


def ask(model: nn.Module, images: Tensor, patches: Tensor | None) -> tuple[Tensor, ...]:
    """Call a network as it is, in training too; one whose forward takes it is given the patch's number."""
    bare = getattr(model, "module", model)  # several processes wrap it
    position: dict[str, Any] = {"patch": patches} if patches is not None and takes_patch(bare) else {}
    return tuple(model(images, **position))


@torch.no_grad()
def run_network(model: nn.Module, batches: Iterable[B], describe: Callable[[B], str]) -> Iterator[Votes[B]]:
    """Yield what a network says of each batch: on its device, in evaluation mode, in the precision it was prepared for.

    Softmax is in float64 on the CPU, so that the same logits give the same bits everywhere.

    Parameters
    ----------
    describe
        Names a batch in an error.

    Raises
    ------
    TrainingError
        The network cannot read a batch, or its answers are no numbers.
    """
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            patches = None if batch.patches is None else batch.patches.to(device)
            try:
                logits, attended, *more = ask(model, batch.images.to(device), patches)
                check_answers(logits)
            except TrainingError as error:
                raise TrainingError(f"{describe(batch)}: {error}") from error
            probabilities = logits.cpu().double().softmax(-1).numpy()
            yield Votes(batch, probabilities, _returns(more, len(probabilities)), attended)
    finally:
        model.train(was_training)


def _returns(more: Sequence[object], count: int) -> npt.NDArray[np.float64]:
    """Return the third output where it is one number a sample; networks of other authors return other things there."""
    if more and isinstance(more[0], Tensor) and more[0].shape == (count,):
        found: npt.NDArray[np.float64] = more[0].cpu().double().numpy()
        return found
    return np.full(count, np.nan)


def pool(rows: npt.NDArray[np.integer], votes: npt.NDArray[np.float64]) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Return the samples that were voted on, ascending, and the mean of each one's votes.

    A sample counts once, however many patches it has.

    Parameters
    ----------
    rows
        Sample of each vote (vote,).
    votes
        (vote, column): probabilities, or other numbers.
    """
    samples, place = np.unique(rows, return_inverse=True)
    count = np.bincount(place, minlength=len(samples))
    sums = [np.bincount(place, weights=column, minlength=len(samples)) for column in votes.T]
    return samples.astype(np.intp), np.stack(sums, axis=1).astype(np.float64) / count[:, None]
