"""Nested plain values and tensors in one safetensors file: reading one runs no code, for any bytes.

The tensors are stored under numbers; the header holds, as JSON, the dictionaries and lists that contain them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

STRUCTURE = "structure"
"""Key of the header's metadata."""


def write_tensor_file(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file.

    Parameters
    ----------
    content
        Tensors, numbers, text, None, and dicts, lists and tuples of them. Keys of dicts are numbers or text.

    Raises
    ------
    TypeError
        It holds something else.
    """
    tensors: dict[str, Tensor] = {}
    structure = _without_tensors(content, tensors)
    save_file(tensors, path, metadata={STRUCTURE: json.dumps(structure)})


def read_tensor_file(path: Path) -> dict[str, Any]:
    """Return what `write_tensor_file` wrote, on the CPU and independent of the file.

    Raises
    ------
    Exception
        Any error that the reader of a damaged file raises.
    """
    with safe_open(path, framework="pt") as file:
        structure = json.loads((file.metadata() or {})[STRUCTURE])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  it has no other way
    found = _with_tensors(structure, tensors)
    if not isinstance(found, dict):
        raise ValueError("it holds no dictionary")
    return found


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return JSON of a value, its tensors put aside under numbers."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy of its own: the format refuses two tensors that share memory.
        tensors[name] = value.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        return {"tensor": name}
    if isinstance(value, Mapping):
        keys_and_values = [[_key(key), _without_tensors(item, tensors)] for key, item in value.items()]
        return {"dict": keys_and_values}
    if isinstance(value, list):
        return {"list": [_without_tensors(item, tensors) for item in value]}
    if isinstance(value, tuple):
        return {"tuple": [_without_tensors(item, tensors) for item in value]}
    if value is None or type(value) in {bool, int, float, str}:
        return value
    raise TypeError(f"{value!r} is a {type(value).__name__}, which is neither a plain value nor a tensor")


def _key(key: object) -> int | str:
    if type(key) is int or type(key) is str:
        return key
    raise TypeError(f"the key {key!r} is neither a number nor text")


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, inner)] = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "dict":
        return {key: _with_tensors(item, tensors) for key, item in inner}
    items = [_with_tensors(item, tensors) for item in inner]
    return tuple(items) if kind == "tuple" else items
