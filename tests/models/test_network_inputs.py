"""What is no image is refused in words by every way into a network, and what is one is read in any float type."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT
from finnex.models.exported import PatchVotes, Probabilities
from finnex.models.network_inputs import ANSWERS, PATCHES, PIXELS, SIZES
from finnex.training.published_sessions import ask_about
from tests.helpers.planted import noise_images
from tests.helpers.stores import make_store, sessions

pytestmark = pytest.mark.usefixtures("fixed_seed")

NETWORKS = (FinNeXMultiScaleCNN, FinNeXViT)
BOTH = pytest.mark.parametrize(
    "make", [partial(network, preset="small") for network in NETWORKS], ids=[one.__name__ for one in NETWORKS]
)
Make = Callable[[], Any]
IMAGES = noise_images(2)
PATCH = IMAGES[:, :, :32, :32]


def spoilt(value: float, memory: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    images = IMAGES.clone(memory_format=memory)
    images[1, 2, 300, 7] = value
    return images


def break_weights(model: torch.nn.Module) -> None:
    for weight in model.parameters():
        weight.fill_(math.nan)


@BOTH
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "1 of 1572864 pixels are no finite numbers, the first in image 1, channel 2, row 300, column 7"),
        (math.inf, "the first in image 1, channel 2, row 300, column 7. Give 0 where a value is not known"),
        (255.0, r"the pixels reach from 0.02\d* to 255; give values in \[0, 1\]"),
        (-0.01, "the pixels reach from -0.01 to"),
        (1.01, "to 1.01; give values"),
    ],
)
def test_one_strange_pixel_is_refused_with_its_place_or_the_range(
    make: Make, value: float, words: str, memory: torch.memory_format
) -> None:
    model = make().eval()
    for ask in (model, model.attend, Probabilities(model), PatchVotes(model, 32)):
        with pytest.raises(TrainingError, match=words if not isinstance(ask, PatchVotes) else "pixels"):
            ask(spoilt(value, memory))


@BOTH
def test_the_remedies_in_the_messages_help(make: Make) -> None:
    model = make().eval()
    images = spoilt(math.nan)
    with torch.no_grad():
        assert model(torch.where(images.isfinite(), images, 0))[0].isfinite().all()
        assert model((IMAGES * 255).to(torch.uint8).float() / 255)[0].isfinite().all()
        assert model(torch.from_numpy(IMAGES.numpy()))[0].isfinite().all()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_rounding_leaves_above_one_is_read(make: Make, dtype: torch.dtype) -> None:
    images = torch.ones(1, 3, 512, 512, dtype=dtype)
    images[0, 0, 0, 0] += 2 * torch.finfo(dtype).eps
    assert images.max() > 1
    with torch.no_grad():
        assert make().eval()(images)[0].isfinite().all()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@torch.no_grad()
def test_a_network_in_another_precision_answers_as_in_float32(make: Make, dtype: torch.dtype) -> None:
    model = make().eval()
    other = copy.deepcopy(model).to(dtype)
    near = {"atol": 2e-2 if dtype == torch.bfloat16 else 4e-3, "rtol": 0}
    for images, patch in ((IMAGES, None), (PATCH, torch.tensor([0, 255])), (PATCH, None)):
        expected = model(images, patch)[0]
        for asked, shown in ((other, images.to(dtype)), (other, images), (model, images.to(dtype))):
            torch.testing.assert_close(asked(shown, patch)[0].float(), expected, **near)  # type: ignore[arg-type]
    found = Probabilities(other)(IMAGES)
    assert found.dtype == torch.promote_types(dtype, torch.float32)  # shares of half precision do not sum to 1
    torch.testing.assert_close(found.sum(1).float(), torch.ones(2), atol=1e-6, rtol=0)
    assert other.attend(IMAGES[:1].to(dtype)).isfinite().all()


@BOTH
@torch.no_grad()
def test_no_image_has_no_answer_and_no_error(make: Make) -> None:
    model = make().eval()
    assert model(IMAGES[:0])[0].shape == model(PATCH[:0])[0].shape == (0, 3)
    assert model(PATCH[:0], torch.arange(0))[0].shape == (0, 3)
    assert model.attend(IMAGES[:0]).shape[0] == 0
    assert Probabilities(model)(IMAGES[:0]).shape == PatchVotes(model, 32)(IMAGES[:0]).shape == (0, 3)


@BOTH
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (IMAGES.numpy(), r"are a numpy.ndarray; give a tensor, torch.from_numpy"),
        (IMAGES[:1].tolist(), "are a list; give a tensor"),
        (None, "are a NoneType"),
        (IMAGES.to(torch.uint8), r"of torch.uint8; give floats in \[0, 1\], .*x.float\(\) / 255"),
        (IMAGES.to(torch.complex64), "of torch.complex64"),
        (IMAGES > 0, "of torch.bool"),
        (IMAGES[0], r"shape \(3, 512, 512\)"),
    ],
)
def test_what_is_no_tensor_of_floats_is_refused(make: Make, given: Any, words: str) -> None:
    model = make().eval()
    for ask in (model, model.attend, Probabilities(model), PatchVotes(model, 32)):
        with pytest.raises(TrainingError, match=words):
            ask(given)
    with pytest.raises(TrainingError, match="patch numbers are a list; give a tensor"):
        model(PATCH, [0, 1])


@BOTH
@pytest.mark.parametrize("given", [IMAGES[:, :, :500], PATCH], ids=["rows left over", "a patch"])
def test_whole_images_alone_are_served(make: Make, given: torch.Tensor) -> None:
    """Votes of the patches that fit, or an answer of weights that no training touched, would be garbage."""
    for wrap in (Probabilities, partial(PatchVotes, patch_px=32)):
        with pytest.raises(TrainingError, match=r"give \(B, C, 512, 512\), channels first"):
            wrap(make())(given)


@BOTH
@torch.no_grad()
def test_weights_that_are_no_numbers_give_no_probabilities(make: Make) -> None:
    model = make().eval()
    break_weights(model)
    for wrap in (Probabilities, partial(PatchVotes, patch_px=32)):
        with pytest.raises(TrainingError, match=r"answers are no numbers for \d+ of \d+ samples. .* use it in float32"):
            wrap(model)(IMAGES)


@BOTH
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
@torch.no_grad()
def test_a_traced_network_answers_for_any_batch_and_refuses_garbage(make: Make) -> None:
    model = make().eval()
    traced = torch.jit.trace(model, IMAGES)
    for images in (IMAGES, IMAGES[:1], torch.cat([IMAGES, IMAGES])):
        torch.testing.assert_close(traced(images)[0], model(images)[0], atol=1e-5, rtol=1e-4)
    assert traced(IMAGES[:0])[0].shape == (0, 3)
    for strange in (math.nan, math.inf, 255.0, -1.0):
        with pytest.raises(torch.jit.Error, match=PIXELS.replace("[", r"\[")):
            traced(spoilt(strange))
    with pytest.raises(torch.jit.Error, match=SIZES):
        traced(IMAGES[:, :, :500])
    of_patches = torch.jit.trace(model, (PATCH, torch.tensor([0, 1])))
    with pytest.raises(torch.jit.Error, match=PATCHES):
        of_patches(PATCH, torch.tensor([0, -1]))


@BOTH
@torch.no_grad()
def test_an_exported_network_refuses_garbage_from_its_file_too(make: Make, tmp_path: Path) -> None:
    served = Probabilities(make().eval())
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(served, (IMAGES,), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(loaded(IMAGES[:1]), served(IMAGES[:1]), atol=1e-5, rtol=1e-4)
    for strange in (math.nan, math.inf, 255.0, -1.0):
        with pytest.raises(RuntimeError, match=PIXELS.replace("[", r"\[")):
            loaded(spoilt(strange))
    break_weights(loaded)
    with pytest.raises(RuntimeError, match=ANSWERS):
        loaded(IMAGES)


@BOTH
@torch.no_grad()
def test_a_compiled_network_is_one_graph_that_refuses_garbage(make: Make) -> None:
    model = make().eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(IMAGES)[0], model(IMAGES)[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(RuntimeError, match=PIXELS.replace("[", r"\[")):
        compiled(spoilt(math.nan))


def test_a_published_image_that_is_none_is_named_by_symbol_and_session(tmp_path: Path) -> None:
    days = sessions(6)

    def image(_: str, index: int) -> Any:
        return np.full((512, 512, 3), np.nan if index == 4 else 0.5, dtype=np.float32)

    store = make_store(tmp_path / "s.zarr", days, image, {"AAA": np.arange(6) % 3})
    model = Probabilities(FinNeXMultiScaleCNN(preset="small"))
    assert ask_about(model, store, "AAA", [0, 1]).shape == (2, 3)
    named = r"^AAA, 2 sessions from 2015-\d\d-\d\d to 2015-\d\d-\d\d: \d+ of \d+ pixels are no finite numbers"
    with pytest.raises(TrainingError, match=named):
        ask_about(model, store, "AAA", [3, 4])
