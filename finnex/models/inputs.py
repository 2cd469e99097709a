"""What a network may be shown: refused at the door, in words, instead of deep inside in torch's."""

from __future__ import annotations

import torch
from torch import Tensor

from finnex.errors import TrainingError


def check_pixels(x: Tensor, patch: Tensor | None, *, channels: int, image_px: int, patch_px: int) -> None:
    """Refuse what a network was not made for.

    An exported graph keeps the checks of its sizes only: values are not known while it is traced.

    Parameters
    ----------
    x
        (B, channels, image_px, image_px) or (B, channels, patch_px, patch_px), any float type.
    patch
        (B,) numbers of the patches in [0, (image_px // patch_px)²), where x are patches.

    Raises
    ------
    TrainingError
        With everything that is wrong.
    """
    shape = tuple(x.shape)
    sizes = {(channels, image_px, image_px), (channels, patch_px, patch_px)}
    wrong = []
    if x.ndim != 4 or tuple(shape[1:]) not in sizes:
        allowed = " or ".join(f"(B, {channels}, {side}, {side})" for side in (image_px, patch_px))
        wrong.append(f"the images have the shape {shape}; give {allowed}, channels first.")
    if not x.is_floating_point():
        wrong.append(f"the images are of {x.dtype}; give floats in [0, 1], as the store holds them.")
    if patch is not None:
        wrong += _wrong_numbers(patch, shape[0] if shape else 0, (image_px // patch_px) ** 2)
    if wrong:
        raise TrainingError("\n".join(wrong))


def _wrong_numbers(patch: Tensor, images: int, patches: int) -> list[str]:
    if patch.is_floating_point() or patch.dtype == torch.bool or tuple(patch.shape) != (images,):
        return [
            f"the patch numbers are of {patch.dtype} and the shape {tuple(patch.shape)}; give whole numbers, one for "
            f"each of the {images} patches."
        ]
    if torch.compiler.is_compiling() or patch.numel() == 0:
        return []
    low, high = int(patch.min()), int(patch.max())
    if low < 0 or high >= patches:
        return [f"the patch numbers reach from {low} to {high}; an image has the patches 0 to {patches - 1}."]
    return []
