"""What both networks promise: they learn, show what they look at, and leave FinNeX as an exported graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from finnex.config import ModelSettings
from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT
from finnex.models.exported import PatchVotes, Probabilities
from finnex.models.layers import LeadLag
from finnex.models.return_head import WithReturn
from finnex.training.network import ARCHITECTURES, build_network
from tests.helpers.planted import noise_images

pytestmark = pytest.mark.usefixtures("fixed_seed")

Make = Callable[[], Any]
NETWORKS = (FinNeXMultiScaleCNN, FinNeXViT)
BOTH = pytest.mark.parametrize(
    "make", [partial(network, preset="small") for network in NETWORKS], ids=[one.__name__ for one in NETWORKS]
)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(partial(FinNeXMultiScaleCNN, preset="small"), id="FinNeXMultiScaleCNN"),
        pytest.param(partial(FinNeXViT, preset="small"), id="FinNeXViT", marks=pytest.mark.accept),
    ],
)
def test_the_model_overfits_32_images_to_100_percent_within_a_minute(make: Make) -> None:
    began = time.process_time()
    model = make()
    images = noise_images(32).half().contiguous(memory_format=torch.channels_last)  # as batches come
    labels = torch.from_numpy(np.random.default_rng(2).integers(0, 3, 32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(10):
        loss = functional.cross_entropy(model(images)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert (model.eval()(images)[0].argmax(1) == labels).all()
    assert time.process_time() - began < 60


@BOTH
@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda made: made, id="bare"),
        pytest.param(lambda made: WithReturn(made, 64), id="with return", marks=pytest.mark.accept),
    ],
)
def test_what_was_trained_on_patches_answers_for_an_image_by_the_vote_of_its_patches(
    make: Make, wrap: Callable[[nn.Module], nn.Module], tmp_path: Path
) -> None:
    network = wrap(make()).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "position" in name:  # places count, as they do after a training
                weight.normal_(generator=torch.Generator().manual_seed(1))
    images = noise_images(2).float()
    with torch.no_grad():
        each = [
            network(image[None, :, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32],
                    patch=torch.tensor([16 * row + column]))[0].softmax(-1)
            for image in images for row in range(16) for column in range(16)
        ]  # fmt: skip
        expected = torch.cat(each).reshape(2, 256, 3).mean(dim=1)
        voting = PatchVotes(network, 32)
        torch.testing.assert_close(voting(images), expected, atol=1e-5, rtol=1e-4)
        assert (voting(images) - Probabilities(network)(images)).abs().max() > 1e-3
        exported = torch.export.export(voting, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
        torch.testing.assert_close(exported(images[:1]), expected[:1], atol=1e-5, rtol=1e-4)


def test_the_multi_scale_network_learns_where_a_patch_lies() -> None:
    model = FinNeXMultiScaleCNN(preset="small")
    patches, numbers = noise_images(1)[:, :, :32, :32].repeat(4, 1, 1, 1).float(), torch.tensor([0, 37, 37, 255])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(120):  # equal pixels: only the place tells the classes apart
        loss = functional.cross_entropy(model(patches, patch=numbers)[0], torch.tensor([0, 1, 1, 2]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert model.eval()(patches, patch=numbers)[0].argmax(1).tolist() == [0, 1, 1, 2]


@BOTH
def test_the_first_answer_is_equal_odds(make: Make) -> None:
    with torch.no_grad():
        logits = make().eval()(noise_images(2))[0]
    assert abs(float(functional.cross_entropy(logits, torch.tensor([0, 2]))) - np.log(3)) < 0.05


@BOTH
def test_attention_is_shares_of_what_every_token_looks_at(make: Make) -> None:
    model = make().eval()
    images = noise_images(2)
    with torch.no_grad():
        seen = model.attend(images)
        alone = model.attend(images[1:])
    assert seen.ndim == 5
    assert seen.shape[0] == 2
    assert seen.shape[3] == seen.shape[4]
    assert (seen >= 0).all()
    torch.testing.assert_close(seen.sum(-1), torch.ones(seen.shape[:-1]))
    torch.testing.assert_close(seen[1:], alone, atol=1e-6, rtol=1e-4)
    assert (seen[0] - seen[1]).abs().max() > 1e-4  # it depends on the image


def test_attention_is_what_the_networks_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps, multiplied by the values, are what the fast kernel returned."""
    used: list[tuple[torch.Tensor, torch.Tensor]] = []
    fast = functional.scaled_dot_product_attention

    def remember(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **given: Any) -> torch.Tensor:
        used.append((v, fast(q, k, v, **given)))
        return used[-1][1]

    monkeypatch.setattr(functional, "scaled_dot_product_attention", remember)
    images = noise_images(1)
    for model in (FinNeXMultiScaleCNN(preset="small").eval(), FinNeXViT(preset="small").eval()):
        for name, weights in model.named_parameters():
            if "section_bias" in name:
                nn.init.normal_(weights)
        used.clear()
        with torch.no_grad():
            model(images)
            heard = list(used)
            maps = model.attend(images)
        assert len(heard) == maps.shape[1]
        for layer, (values, result) in enumerate(heard):
            torch.testing.assert_close(maps[:, layer] @ values, result, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("lag", [-12, -3, 0, 1, 12])
def test_a_lead_is_read_as_the_cross_covariance_at_its_lag(lag: int) -> None:
    torch.manual_seed(0)
    layer = LeadLag(8, series=4)
    shocks = torch.randn(57 + 24, 8)
    sections = torch.randn(2, 3, 57, 8)
    sections[0, 1] = shocks[12:-12]
    sections[0, 2] = shocks[12 - lag : 69 - lag]  # what the second section did, `lag` sessions later
    found = layer.covariances(sections)
    assert found.shape == (2, 3, 4, 25)
    assert (found[0, 1].argmax(dim=-1) == 12 + lag).all()
    series = layer.read(sections).numpy().astype(np.float64)
    series -= series.mean(axis=2, keepdims=True)
    one, other = series[1, 2], series[1, 0]  # the last section and the first
    early, late = (one, other) if lag >= 0 else (other, one)
    kept = 57 - abs(lag)
    expected = (early[:kept] * late[abs(lag) :]).sum(axis=0) / 57
    np.testing.assert_allclose(found[1, 2, :, 12 + lag].numpy(), expected, atol=1e-5)


@BOTH
def test_an_exported_network_takes_any_batch_and_gives_the_same_logits(make: Make, tmp_path: Path) -> None:
    model = make().eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(model, (torch.zeros(2, 3, 512, 512),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    images = noise_images(5)
    with torch.no_grad():
        for n in (1, 5):
            torch.testing.assert_close(loaded(images[:n])[0], model(images[:n])[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_of_the_configuration_is_made_and_has_a_return_head(architecture: str) -> None:
    settings = ModelSettings.model_validate({"architecture": architecture})
    model = build_network(settings, 3, task="class_and_return", side_px=512)
    assert isinstance(model, WithReturn)
    logits, features, returns = model(noise_images(2))
    assert logits.shape == (2, 3)
    assert features.ndim == 3
    assert returns.tolist() == [0.0, 0.0]
    probabilities = Probabilities(model)(noise_images(2))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_is_made_for_patches(architecture: str) -> None:
    settings = ModelSettings.model_validate({"architecture": architecture})
    model = build_network(settings, 3, task="class_and_return", side_px=32)
    told = {"patch": torch.tensor([0, 255, 17])}
    assert model(noise_images(3)[..., :32, :32], **told)[2].shape == (3,)


@BOTH
@pytest.mark.parametrize(
    ("images", "patch", "told"),
    [
        (torch.rand(2, 3, 512, 511), None, r"shape \(2, 3, 512, 511\); give \(B, 3, 512, 512\) or \(B, 3, 32, 32\)"),
        (torch.rand(2, 512, 512, 3), None, "channels first"),
        (torch.rand(3, 512, 512), None, r"shape \(3, 512, 512\)"),
        (torch.rand(2, 4, 512, 512), None, r"shape \(2, 4, 512, 512\)"),
        (torch.zeros(2, 3, 512, 512, dtype=torch.uint8), None, r"of torch.uint8; give floats"),
        (torch.rand(2, 3, 32, 32), torch.tensor([0, -1]), "reach from -1 to 0; an image has the patches 0 to 255"),
        (torch.rand(2, 3, 32, 32), torch.tensor([0, 256]), "reach from 0 to 256"),
        (torch.rand(2, 3, 32, 32), torch.tensor([1]), "one for each of the 2 patches"),
        (torch.rand(2, 3, 32, 32), torch.tensor([1.0, 2.0]), "give whole numbers"),
    ],
)
def test_what_a_network_was_not_made_for_is_refused_in_words(
    make: Make, images: torch.Tensor, patch: torch.Tensor | None, told: str
) -> None:
    with pytest.raises(TrainingError, match=told):
        make()(images, patch)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_images_of_another_size_are_refused(architecture: str) -> None:
    settings = ModelSettings.model_validate({"architecture": architecture})
    with pytest.raises(TrainingError, match=f"256 x 256 pixels do not fit: {architecture} takes 512 x 512"):
        build_network(settings, 3, task="class", side_px=256)
