"""Checks of a network's input and output: invalid values raise an error, and never become a class.

`argmax` of three values that are no numbers is 0, which is 'sell'. So pixels are looked at before they are read and
answers before they are probabilities, eagerly with the place in the message, and by an assertion of the graph where
the network was exported, compiled or traced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from finnex.errors import TrainingError

ROUNDING = 8
"""How many units in the last place of its type a pixel may lie outside of [0, 1]: mixtures of images are rounded."""
_is_traced: Callable[[], bool] = getattr(torch.jit, "is_tracing")  # noqa: B009  its stub leaves it out
PIXELS = "the images hold pixels that are no finite values in [0, 1]"
SIZES = "the images have another shape than those that the network was traced with"
PATCHES = "the patch numbers are none of an image's"
ANSWERS = "the network's answers are no numbers"


def check_pixels(x: Tensor, patch: Tensor | None, *, channels: int, image_px: int, patch_px: int) -> None:
    """Refuse what a network was not made for. An empty batch is none of that.

    Parameters
    ----------
    x
        (B, channels, image_px, image_px) or (B, channels, patch_px, patch_px), any float type, in [0, 1].
    patch
        (B,) numbers of the patches in [0, (image_px // patch_px)²), where x are patches.
    channels
        Channels that the network takes.
    image_px, patch_px
        Side of an image and of a patch, in pixels.

    Raises
    ------
    TrainingError
        With everything that is wrong. An exported, compiled or traced graph raises RuntimeError, in fewer words.
    """
    wrong = _wrong_form(x, channels, (image_px, patch_px))
    if patch is not None and not isinstance(patch, Tensor):
        wrong.append(f"the patch numbers are a {type(patch).__name__}; give a tensor of whole numbers.")
    elif patch is not None and not wrong:
        wrong += _wrong_numbers(patch, x.shape[0], (image_px // patch_px) ** 2)
    if not wrong:
        wrong += _wrong_values(x)
    if wrong:
        raise TrainingError("\n".join(wrong))


def check_values(x: Tensor) -> None:
    """Refuse pixels (B, C, H, W) of a float type that are no finite values in [0, 1].

    Raises
    ------
    TrainingError
        It names the range, or where the first is that is no number.
    """
    if wrong := _wrong_values(x):
        raise TrainingError("\n".join(wrong))


def check_whole_images(x: Tensor, image_px: int) -> None:
    """Refuse anything but whole images (B, C, image_px, image_px) of any number of channels.

    Raises
    ------
    TrainingError
        They are of another type or shape.
    """
    if wrong := _wrong_form(x, None, (image_px,)):
        raise TrainingError("\n".join(wrong))


def check_answers(logits: Tensor) -> None:
    """Refuse answers (B, classes) that are no numbers.

    Raises
    ------
    TrainingError
        It names how many of the batch they are. A graph raises RuntimeError.
    """
    if _in_a_graph():
        _assert(logits.isfinite().all(), ANSWERS)
        return
    bad = ~logits.isfinite().all(dim=-1)
    if bad.any():
        raise TrainingError(
            f"{ANSWERS} for {int(bad.sum())} of {len(bad)} samples. Weights of the network are no numbers, or it "
            f"overflows in {str(logits.dtype).removeprefix('torch.')}: use it in float32, or train it again with a "
            "lower learning_rate."
        )


def _wrong_form(x: Any, channels: int | None, sides: tuple[int, ...]) -> list[str]:
    if not isinstance(x, Tensor):
        kind = f"{type(x).__module__}.{type(x).__name__}".removeprefix("builtins.")
        return [f"the images are a {kind}; give a tensor, torch.from_numpy(array) of an array of floats."]
    wrong = []
    shape = tuple(x.shape)
    if _is_traced():  # sizes are tensors of the trace
        shape = tuple(int(size) for size in x.shape)
        for size, found in zip(x.shape[1:], shape[1:], strict=True):
            _assert(torch.as_tensor(size == found), SIZES)
    fits = len(shape) == 4 and any(shape[2:] == (side, side) for side in sides)
    if not fits or (channels is not None and shape[1] != channels):
        named = "C" if channels is None else channels
        allowed = " or ".join(f"(B, {named}, {side}, {side})" for side in sides)
        wrong.append(f"the images have the shape {shape}; give {allowed}, channels first.")
    if not x.is_floating_point():
        wrong.append(
            f"the images are of {x.dtype}; give floats in [0, 1], as the store holds them (bytes: x.float() / 255)."
        )
    return wrong


def _wrong_values(x: Tensor) -> list[str]:
    slack = ROUNDING * torch.finfo(x.dtype).eps
    if _in_a_graph():
        lows, highs = x.amin((1, 2, 3)), x.amax((1, 2, 3))  # (B,): an empty batch has none
        _assert(((lows >= -slack) & (highs <= 1 + slack)).all(), PIXELS)
        return []
    if x.numel() == 0 or x.is_meta:
        return []
    # In the order in which they lie in memory, it takes a tenth of the time.
    last = x.permute(0, 2, 3, 1)
    low, high = (float(one) for one in (last if last.is_contiguous() else x).aminmax())
    if -slack <= low and high <= 1 + slack:  # false of NaN, which aminmax passes on
        return []
    strange = ~x.isfinite()
    if not strange.any():
        return [
            f"the pixels reach from {low:g} to {high:g}; give values in [0, 1], as the store holds them, where 0 is "
            "'not known'. Divide bytes by 255; standardised images cannot be read."
        ]
    place = dict(zip(("image", "channel", "row", "column"), strange.nonzero()[0].tolist(), strict=True))
    return [
        f"{int(strange.sum())} of {x.numel()} pixels are no finite numbers, the first in "
        f"{', '.join(f'{name} {number}' for name, number in place.items())}. Give 0 where a value is not known: "
        "torch.where(images.isfinite(), images, 0)."
    ]


def _wrong_numbers(patch: Tensor, images: int, patches: int) -> list[str]:
    if patch.is_floating_point() or patch.dtype == torch.bool or tuple(patch.shape) != (images,):
        return [
            f"the patch numbers are of {patch.dtype} and the shape {tuple(patch.shape)}; give whole numbers, one for "
            f"each of the {images} patches."
        ]
    if _in_a_graph():
        _assert(((patch >= 0) & (patch < patches)).all(), PATCHES)
        return []
    if patch.numel() == 0 or patch.is_meta:
        return []
    low, high = int(patch.min()), int(patch.max())
    if low < 0 or high >= patches:
        return [f"the patch numbers reach from {low} to {high}; an image has the patches 0 to {patches - 1}."]
    return []


def _in_a_graph() -> bool:
    """Whether values are not known now, as a graph is being made that will be run on others."""
    return bool(torch.compiler.is_compiling() or _is_traced())


def _assert(holds: Tensor, words: str) -> None:
    """Put into the graph that is being made that it ends with these words where something does not hold."""
    if _is_traced():
        _assertion_of_a_trace()(holds, words)
    else:
        torch._assert_async(holds, words)


@cache
def _assertion_of_a_trace() -> Any:
    """Return what a trace keeps as it is; of an assertion it keeps nothing."""
    return torch.jit.script(_end_unless)


def _end_unless(holds: Tensor, words: str) -> Tensor:
    if not bool(holds):
        raise RuntimeError(words)
    return holds  # a trace cannot keep a function without a result
