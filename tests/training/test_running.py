"""One way to run a network: training, evaluation and serving give the same bits for the same samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from finnex.config.training import TrainingSettings
from finnex.datasets import Batch
from finnex.errors import TrainingError
from finnex.evaluation.altered_inputs import ALL, Shown, answer
from finnex.layout import load_layout
from finnex.models import FinNeXMultiScaleCNN
from finnex.models.exported import PatchVotes, Probabilities
from finnex.patches.grid import extract_patches
from finnex.store import ImageStore
from finnex.training.answers import predict
from finnex.training.devices import arithmetic_threads, make_accelerator
from finnex.training.published_sessions import ask_about
from finnex.training.running import pool, run_network
from tests.helpers.stores import make_store, sessions

IMAGES, PATCH_PX = 2, 32
PIXELS = np.random.default_rng(0).uniform(0.02, 1, (IMAGES, 512, 512, 3)).astype(np.float32)
LABELS = np.arange(IMAGES) % 3


class OneBatch:
    """All samples at once, as a training streams them."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        return iter([self.batch])

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """It has one sequence."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    path = tmp_path_factory.mktemp("running") / "s.zarr"
    return make_store(path, sessions(8), lambda _, i: PIXELS[i % IMAGES], {"AAA": np.arange(8) % 3})


@pytest.fixture
def network() -> Any:
    """A network with dropout, in training mode, whose answers differ from image to image."""
    torch.manual_seed(0)
    torch.set_num_threads(arithmetic_threads(TrainingSettings()))
    return FinNeXMultiScaleCNN(preset="small").train()


@pytest.mark.parametrize("by_patch", [False, True], ids=["images", "patches"])
def test_training_evaluation_and_serving_give_the_same_bits_for_the_same_samples(
    network: Any, store: ImageStore, by_patch: bool
) -> None:
    samples = np.concatenate([extract_patches(one, PATCH_PX) for one in PIXELS]) if by_patch else PIXELS
    model = PatchVotes(network, PATCH_PX) if by_patch else Probabilities(network)
    network.train()  # the wrapper has changed that
    each = len(samples) // IMAGES
    images = torch.from_numpy(np.ascontiguousarray(samples.transpose(0, 3, 1, 2))).half()  # as training holds them
    rows, numbers = np.repeat(np.arange(IMAGES), each), torch.arange(each).repeat(IMAGES) if by_patch else None
    label = LABELS[rows]

    accelerator = make_accelerator(TrainingSettings())
    trained = predict(network, OneBatch(Batch(images, torch.from_numpy(label), rows, numbers)), accelerator)
    shown = Shown(images.float(), rows, label, numbers)
    evaluated = answer(network, [shown], load_layout("mega"), PATCH_PX if by_patch else None).probabilities[ALL]
    served = ask_about(model, store, "AAA", list(range(IMAGES)))

    assert network.training  # as it was
    assert trained.probabilities.dtype == evaluated.dtype == served.dtype == np.float64
    assert trained.probabilities.tobytes() == evaluated.tobytes() == served.tobytes()
    assert not np.array_equal(served[0], served[1])
    exported = model.eval()(_whole())
    np.testing.assert_allclose(served, exported.detach().numpy(), atol=1e-6)  # what other programs are answered


def _whole() -> torch.Tensor:
    return torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()).half().float()


def test_a_network_is_run_without_dropout_or_gradient_and_left_as_it_was(network: Any) -> None:
    batch = Batch(_whole(), torch.from_numpy(LABELS), np.arange(IMAGES))
    first, second = (list(run_network(network, [batch], repr)) for _ in range(2))
    assert first[0].probabilities.tobytes() == second[0].probabilities.tobytes()
    assert not first[0].attended.requires_grad
    assert np.isnan(first[0].returns).all()
    assert network.training
    assert torch.is_grad_enabled()
    broken = Batch(_whole() * torch.nan, torch.from_numpy(LABELS), np.arange(IMAGES))
    with pytest.raises(TrainingError, match=r"the broken one: .* pixels are no finite numbers"):
        list(run_network(network, [batch, broken], lambda one: "the broken one" if one is broken else "the other"))
    assert network.training


class WithMore(torch.nn.Module):
    """A network of another author, whose third output is its own."""

    def __init__(self, third: object) -> None:
        super().__init__()
        self.third = third

    def forward(self, images: torch.Tensor) -> tuple[object, ...]:
        means = images.mean((2, 3))
        return means, means, self.third


@pytest.mark.parametrize(
    ("third", "known"), [({"aux": 1}, False), (None, False), (torch.zeros(2, 2), False), (torch.ones(IMAGES), True)]
)
def test_a_third_output_is_a_return_where_it_is_one_number_a_sample(third: object, known: bool) -> None:
    batch = Batch(_whole(), torch.from_numpy(LABELS), np.arange(IMAGES))
    (votes,) = run_network(WithMore(third), [batch], repr)
    assert np.isfinite(votes.returns).all() == known
    assert np.isnan(votes.returns).all() != known


def test_votes_are_pooled_by_their_mean() -> None:
    rows, means = pool(np.array([4, 2, 4]), np.array([[1, 0, 0, 0.1], [0, 1, 0, 0.3], [0, 0, 1, 0.2]]))
    assert rows.tolist() == [2, 4]
    np.testing.assert_allclose(means, [[0, 1, 0, 0.3], [0.5, 0, 0.5, 0.15]])
