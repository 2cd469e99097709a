"""From settings to a network, and from a checkpoint back to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from finnex.config import ModelSettings
from finnex.config.section import Section
from finnex.datasets.samples import CLASSES
from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT
from finnex.models.layers import IMAGE_PX
from finnex.models.return_head import WithReturn
from finnex.patches.grid import PATCH_PX
from finnex.training.checkpoint import load_checkpoint, load_weights

MOST_CHANNELS = 64
"""A description with more is refused: weights grow with the channels."""
ARCHITECTURES: Mapping[str, Callable[[ModelSettings, int], nn.Module]] = {
    "multiscale_cnn": lambda settings, channels: FinNeXMultiScaleCNN(
        channels, len(CLASSES), PATCH_PX, preset=settings.preset
    ),
    "vit": lambda settings, channels: FinNeXViT(
        IMAGE_PX, PATCH_PX, len(CLASSES), preset=settings.preset, input_channels=channels
    ),
}


class NetworkDescription(Section):
    """All that decides which weights a network has; the code that computes with them is this package's alone.

    Attributes
    ----------
    channels
        Of the image.
    side_px
        Side of what it is shown: whole images or patches.
    """

    model: ModelSettings
    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    task: Literal["class", "class_and_return"]
    side_px: Literal[32, 512]

    @classmethod
    def of_checkpoint(cls, about: Mapping[str, Any]) -> NetworkDescription:
        """Return the description that `describe_network` put among a checkpoint's values.

        Raises
        ------
        ValueError
            It is none of this version's.
        """
        model = {key.removeprefix("model."): value for key, value in about.items() if key.startswith("model.")}
        own = {key.removeprefix("network."): value for key, value in about.items() if key.startswith("network.")}
        return cls.model_validate({**own, "model": model})

    @property
    def takes_patches(self) -> bool:
        """Whether it is shown patches, which vote on their image."""
        return self.side_px == PATCH_PX

    def build(self) -> nn.Module:
        """Return the network with weights that are not trained."""
        return build_network(self.model, self.channels, task=self.task, side_px=self.side_px)


def build_network(settings: ModelSettings, channels: int, *, task: str, side_px: int) -> nn.Module:
    """Return the configured network, with a return head where the task asks for one.

    Parameters
    ----------
    settings
        Architecture and preset.
    channels
        Of the image.
    task
        `class`, or `class_and_return`.
    side_px
        Side of what it will be shown, whole images or patches.

    Returns
    -------
    torch.nn.Module
        The network, with fresh weights.

    Raises
    ------
    TrainingError
        The side or the number of channels does not fit.
    """
    if side_px not in (IMAGE_PX, PATCH_PX):
        raise TrainingError(
            f"images of {side_px} x {side_px} pixels do not fit: {settings.architecture} takes {IMAGE_PX} x "
            f"{IMAGE_PX}. Choose a layout of that size."
        )
    if channels > MOST_CHANNELS:
        raise TrainingError(f"images of {channels} channels are more than {MOST_CHANNELS}. Choose a layout of fewer.")
    network = ARCHITECTURES[settings.architecture](settings, channels)
    if task == "class":
        return network
    with torch.no_grad():
        _, features = network.eval()(torch.zeros(1, channels, side_px, side_px))
    return WithReturn(network.train(), features.shape[-1])


def describe_network(settings: ModelSettings, channels: int, *, task: str, side_px: int) -> dict[str, Any]:
    """Return flat plain values from which `load_network` makes the network again.

    Parameters
    ----------
    settings
        Architecture and preset.
    channels
        Of the image.
    task
        `class`, or `class_and_return`.
    side_px
        Side of what it is shown, whole images or patches, in pixels.

    Returns
    -------
    dict
        Name to value: text, numbers and booleans.
    """
    return {
        **{f"model.{key}": value for key, value in settings.model_dump(mode="json").items()},
        "network.channels": channels,
        "network.task": task,
        "network.side_px": side_px,
    }


def read_description(checkpoint: Path, about: Mapping[str, Any]) -> NetworkDescription:
    """Return what the network of a checkpoint is, which was read from `checkpoint`.

    Raises
    ------
    TrainingError
        It is a network of another version's.
    """
    try:
        return NetworkDescription.of_checkpoint(about)
    except ValueError as error:
        raise TrainingError(
            f"the checkpoint {checkpoint} is of a network that this version cannot make: {error}. Train again."
        ) from None


def load_network(checkpoint: Path) -> nn.Module:
    """Return the network of a training's `best.safetensors`, ready to answer. No code of the file is run.

    Raises
    ------
    TrainingError
        The file is missing or damaged, or its network is none of this version's.
    """
    found = load_checkpoint(checkpoint)
    network = read_description(checkpoint, found["about"]).build()
    load_weights(checkpoint, found["model"], network)
    return network.eval()
