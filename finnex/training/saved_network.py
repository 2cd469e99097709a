"""A trained network as files that cannot execute: weights in safetensors, and a checked description of the network.

| file | content |
|---|---|
| `network.json` | which network of this package it is, its classes, size and SHA-256 of the weights |
| `weights.safetensors` | the weights, float32, by name |

What the description asks for is compared with what lies there before any memory is taken for it. This module is also
the loader of MLflow's `python_function` flavour (`_load_pyfunc`): what MLflow calls is this code, over these two files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from finnex.config.section import Section
from finnex.datasets.samples import CLASSES
from finnex.errors import ModelRefused, TrainingError
from finnex.models.exported import Exported, PatchVotes, Probabilities
from finnex.patches.grid import PATCH_PX
from finnex.training.checkpoint import load_checkpoint
from finnex.training.network import NetworkDescription, read_description

ABOUT, WEIGHTS = "network.json", "weights.safetensors"
ABOUT_BYTES, HEADER_BYTES = 64 * 1024, 1024 * 1024
"""More than any description, and any list of names and shapes, takes."""
LENGTH_BYTES = 8  # of the length that a safetensors file begins with
MOST_BYTES = 1 << 40


class FileDigest(Section):
    """What a file's bytes must be."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)]

    @classmethod
    def of(cls, path: Path) -> FileDigest:
        """Return a file's."""
        digest, size = sha256(), 0
        with path.open("rb") as file:
            while some := file.read(1 << 20):
                digest.update(some)
                size += len(some)
        return cls(sha256=digest.hexdigest(), bytes=size)


class SavedNetwork(Section):
    """The content of `network.json`."""

    format: Literal[1]
    network: NetworkDescription
    classes: tuple[str, ...]
    weights: FileDigest


def save_network(folder: Path, checkpoint: Path) -> SavedNetwork:
    """Write a checkpoint's network into a folder.

    Raises
    ------
    TrainingError
        The checkpoint cannot be used.
    """
    found = load_checkpoint(checkpoint)
    network = read_description(checkpoint, found["about"])
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in found["model"].items()}, folder / WEIGHTS)
    about = SavedNetwork(format=1, network=network, classes=CLASSES, weights=FileDigest.of(folder / WEIGHTS))
    (folder / ABOUT).write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return about


def read_network(folder: Path) -> Exported:
    """Return the network that a folder holds: images (B, C, H, W) float32 to class probabilities (B, classes).

    Raises
    ------
    ModelRefused
        A file is missing or no file, the description is none of this version's, or the weights are not those that
        were saved.
    """
    about = _read_about(folder)
    weights = _read_weights(folder / WEIGHTS, about)
    network = about.network.build()
    network.load_state_dict(weights)
    network.requires_grad_(False)
    return PatchVotes(network, PATCH_PX) if about.network.takes_patches else Probabilities(network)


def _read_about(folder: Path) -> SavedNetwork:
    text = _read(folder / ABOUT, ABOUT_BYTES)
    try:
        about = SavedNetwork.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ModelRefused(
            f"{folder / ABOUT} describes no network of this version of FinNeX ({where}: {first['msg']})"
        ) from None
    if about.classes != CLASSES:
        raise ModelRefused(f"{folder / ABOUT} names the classes {about.classes}, this version's are {CLASSES}")
    return about


def _read_weights(path: Path, about: SavedNetwork) -> dict[str, Tensor]:
    """Return weights whose names, shapes, types, size and digest are those of the description's network."""
    with torch.device("meta"):  # names and shapes alone: no memory, for any size in the description
        wanted: Mapping[str, Tensor] = about.network.build().state_dict()
    data_bytes = sum(prod(weight.shape) * weight.element_size() for weight in wanted.values())
    most = LENGTH_BYTES + HEADER_BYTES + data_bytes
    if not data_bytes < about.weights.bytes <= most:
        raise ModelRefused(
            f"{path} has {about.weights.bytes} bytes by its description, whose network has {data_bytes} of weights"
        )
    data = _read(path, most)
    if len(data) != about.weights.bytes or sha256(data).hexdigest() != about.weights.sha256:
        raise ModelRefused(f"the bytes of {path} are not those that were saved")
    if int.from_bytes(data[:LENGTH_BYTES], "little") > HEADER_BYTES:
        raise ModelRefused(f"the header of {path} is longer than {HEADER_BYTES} bytes")
    try:
        found: dict[str, Tensor] = load(data)
    except SafetensorError as error:
        raise ModelRefused(f"{path} is no safetensors file ({error})") from None
    differing = sorted(
        name
        for name in {*wanted, *found}
        if name not in wanted
        or name not in found
        or (wanted[name].shape, wanted[name].dtype) != (found[name].shape, found[name].dtype)
    )
    if differing:
        raise ModelRefused(
            f"{path} holds another network's weights: {', '.join(differing[:3])}"
            f"{f' and {len(differing) - 3} more' if len(differing) > 3 else ''} differ"
        )
    return found


def _read(path: Path, most: int) -> bytes:
    """Return the bytes of a file of at most so many; never those of what a link points to."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ModelRefused(f"{path} cannot be read ({error.strerror})") from None
    if len(data) > most:
        raise ModelRefused(f"{path} is larger than {most} bytes")
    return data


class _Asked:
    """What MLflow's `python_function` flavour calls."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @torch.no_grad()
    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> npt.NDArray[np.float32]:
        """Return class probabilities (B, classes) of images (B, C, H, W) in [0, 1], given bare or as `images`.

        Raises
        ------
        TrainingError
            They are no whole images of finite floats in [0, 1], or the answers are no numbers.
        """
        images = np.asarray(self._images(model_input))
        if images.dtype.kind != "f":
            raise TrainingError(
                f"the images are of {images.dtype}; give floats in [0, 1], as the store holds them, in an array "
                "(B, C, H, W). Divide bytes by 255."
            )
        answers: Tensor = self._network(torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)))
        return answers.numpy()

    @staticmethod
    def _images(given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if "images" not in given:
            raise TrainingError(
                f"the model is asked about 'images'; given are {', '.join(map(repr, given)) or 'none'}."
            )
        return given["images"]


def _load_pyfunc(data_path: str) -> _Asked:
    """Return the model in a folder; MLflow calls this by name."""
    return _Asked(read_network(Path(data_path)))
