"""From settings to a network, and from a checkpoint back to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from finnex.config import ModelSettings
from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT
from finnex.models.layers import IMAGE_PX
from finnex.models.return_head import WithReturn
from finnex.streaming.samples import CLASSES
from finnex.training.checkpoint import load_checkpoint, load_weights

PATCH_PX = 32
ARCHITECTURES: Mapping[str, Callable[[ModelSettings, int], nn.Module]] = {
    "multiscale_cnn": lambda settings, channels: FinNeXMultiScaleCNN(
        channels, len(CLASSES), PATCH_PX, preset=settings.preset
    ),
    "vit": lambda settings, channels: FinNeXViT(
        IMAGE_PX, PATCH_PX, len(CLASSES), preset=settings.preset, input_channels=channels
    ),
}


def build_network(settings: ModelSettings, channels: int, *, task: str, side_px: int) -> nn.Module:
    """Return the configured network, with a return head where the task asks for one.

    Parameters
    ----------
    channels
        Of the image.
    task
        `class`, or `class_and_return`.
    side_px
        Side of what it will be shown, whole images or patches.
    """
    if side_px not in (IMAGE_PX, PATCH_PX):
        raise TrainingError(
            f"images of {side_px} x {side_px} pixels do not fit: {settings.architecture} takes {IMAGE_PX} x "
            f"{IMAGE_PX}. Choose a layout of that size."
        )
    network = ARCHITECTURES[settings.architecture](settings, channels)
    if task == "class":
        return network
    with torch.no_grad():
        _, features = network.eval()(torch.zeros(1, channels, side_px, side_px))
    return WithReturn(network.train(), features.shape[-1])


def describe_network(settings: ModelSettings, channels: int, *, task: str, side_px: int) -> dict[str, Any]:
    """Return flat plain values from which `load_network` makes the network again."""
    return {
        **{f"model.{key}": value for key, value in settings.model_dump(mode="json").items()},
        "network.channels": channels,
        "network.task": task,
        "network.side_px": side_px,
    }


def load_network(checkpoint: Path) -> nn.Module:
    """Return the network of a training's `best.pt`, ready to answer. No code of the file is run.

    Raises
    ------
    TrainingError
        The file is missing or damaged, or its network is none of this version's.
    """
    found = load_checkpoint(checkpoint)
    about = found["about"]
    try:
        own = {key.removeprefix("model."): value for key, value in about.items() if key.startswith("model.")}
        settings = ModelSettings.model_validate(own)
        network = build_network(
            settings, about["network.channels"], task=about["network.task"], side_px=about["network.side_px"]
        )
    except (KeyError, ValueError) as error:
        raise TrainingError(
            f"the checkpoint {checkpoint} is of a network that this version cannot make: {error}. Train again."
        ) from None
    load_weights(checkpoint, found["model"], network)
    return network.eval()
