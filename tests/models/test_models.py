"""The multi-scale network: shapes, position, receptive fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN
from finnex.models.layers import session_columns
from tests.helpers.planted import noise_images
from tests.helpers.stores import blank, paint

pytestmark = pytest.mark.usefixtures("fixed_seed")


@torch.no_grad()
@pytest.mark.parametrize(("size", "width"), [({"preset": "small"}, 64), ({}, 256)], ids=["small", "as specified"])
def test_whole_images_give_class_scores_and_one_vector_per_section(size: dict[str, Any], width: int) -> None:
    model = FinNeXMultiScaleCNN(input_channels=3, num_classes=3, patch_size=32, **size).eval()
    logits, attended = model(noise_images(2))
    assert logits.shape == (2, 3)
    assert attended.shape == (2, 3, width)
    assert torch.isfinite(logits).all()


def test_without_a_preset_the_network_has_the_sizes_of_the_specification() -> None:
    with torch.device("meta"):
        model = FinNeXMultiScaleCNN()
    assert model.cross_modal_attention.width == 256
    assert model.fusion_layer.straight.in_features == 3 * 256
    assert model.fusion_layer.straight.out_features == model.classifier.linear.in_features == 512
    assert sum(weight.numel() for weight in model.parameters()) == 13_964_796


def test_patches_are_taken_too() -> None:
    model = FinNeXMultiScaleCNN(patch_size=32, preset="small").eval()
    logits, attended = model(noise_images(1)[:, :, :32, :32])
    assert logits.shape == (1, 3)
    assert attended.shape == (1, 3, 64)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(TrainingError, match="Did you mean 'small'"):
        FinNeXMultiScaleCNN(preset="smal")  # type: ignore[arg-type]


def test_the_macro_branch_sees_the_longest_time_and_the_fundamental_branch_the_shortest() -> None:
    model = FinNeXMultiScaleCNN(preset="small")
    fields = [b.receptive_field for b in (model.macro_branch, model.behavioral_branch, model.fundamental_branch)]
    assert fields == sorted(fields, reverse=True)
    assert len(set(fields)) == 3


def test_a_branch_sees_its_receptive_field_and_nothing_beyond() -> None:
    branch = FinNeXMultiScaleCNN(preset="small").fundamental_branch.eval()
    values = torch.zeros(1, 3, 171, 171)
    known = torch.ones_like(values)
    changed = values.clone()
    changed[..., 28 * 3 : 28 * 3 + 3] = 1.0  # session 28 of a region across the canvas
    # A region a third wide reads these columns as sessions of its own: only the first reading is compared.
    stem = branch.stem
    with torch.no_grad():
        for part in stem.parts:
            part.weight.zero_()
        moved = (branch(changed, known) - branch(values, known)).abs().sum(-1)[0] > 1e-7
    touched = torch.nonzero(moved).flatten().tolist()
    reach = (branch.receptive_field - 1) // 2
    assert touched[0] == 28 - reach
    assert touched[-1] == 28 + reach


def test_the_answer_depends_on_which_row_and_which_session_moved() -> None:
    model = FinNeXMultiScaleCNN(preset="small").eval()
    answers = []
    for row, session in ((0, 10), (5, 10), (5, 50)):
        values = np.full((12, 56), 0.5)
        values[row, session] = 1.0
        image = blank()
        paint(image, "macro", 0, values)
        answers.append(model(torch.from_numpy(image).permute(2, 0, 1)[None])[1].flatten())
    assert (answers[0] - answers[1]).abs().max() > 1e-4
    assert (answers[1] - answers[2]).abs().max() > 1e-4


def test_columns_of_three_pixels_lose_nothing_of_either_session_width() -> None:
    rng = np.random.default_rng(0)
    image = blank()
    wide, narrow = rng.uniform(0, 1, (10, 56)), rng.uniform(0, 1, (10, 56))
    paint(image, "macro", 0, wide)
    paint(image, "behavioral", 0, narrow, third=1)
    values, known = session_columns(torch.from_numpy(image).permute(2, 0, 1)[None])
    seen = values.numpy()[0, 0] / 2 + 0.51  # back to pixels
    np.testing.assert_allclose(seen[0, : 56 * 3 : 3], 0.02 + 0.98 * wide[0], atol=1e-6)
    np.testing.assert_allclose(seen[171, 57 : 57 + 56], 0.02 + 0.98 * narrow[0], atol=1e-6)
    assert known.numpy()[0, 0, 0, : 56 * 3].all()
    assert not known.numpy()[0, 1].any()


def test_unknown_pixels_count_as_neutral_and_are_told_apart_from_it() -> None:
    model = FinNeXMultiScaleCNN(preset="small").eval()
    neutral = torch.full((1, 3, 512, 512), 0.51)
    values, known = session_columns(torch.zeros_like(neutral))
    assert not values.any()
    assert not known.any()
    assert (model(neutral)[1] - model(torch.zeros_like(neutral))[1]).abs().max() > 1e-3


def test_the_batch_around_an_image_does_not_change_its_answer() -> None:
    model = FinNeXMultiScaleCNN(preset="small").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    images = noise_images(3)
    torch.testing.assert_close(model(images)[0][:1], model(images[:1])[0], atol=1e-5, rtol=1e-4)
