"""Checkpoints: tensors and plain values in one file that is complete or absent, and is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from finnex.errors import TrainingError, first_line
from finnex.training.tensor_file import read_tensor_file, write_tensor_file

FORMAT, EARLIER_FORMAT = 3, 2
BEST, LAST = "best.safetensors", "last.safetensors"
"""The best epoch's weights, and all that is needed to resume."""
EARLIER_SUFFIX = ".pt"


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint; a file of that name is replaced only when the new one is complete.

    Parameters
    ----------
    path
        Ends in `.safetensors`.
    content
        Tensors, numbers, text, None, and dicts and lists of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    write_tensor_file(draft, {"format": FORMAT, "digest": _digest(content), "content": dict(content)})
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    _earlier(path).unlink(missing_ok=True)  # else its older weights would be taken where this file is lost


def has_checkpoint(path: Path) -> bool:
    """Return whether there is a checkpoint, of this version or an earlier one."""
    return path.exists() or _earlier(path).exists()


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, of this version or an earlier one, where there is one."""
    path.unlink(missing_ok=True)
    _earlier(path).unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. No code of the file is run, and every tensor is compared with its digest.

    A file of an earlier version, of the same name but `.pt`, is read where there is none of this one. Those are torch's
    archives, and torch's restricted reader knows tensors and plain values alone.

    Raises
    ------
    TrainingError
        The file is missing or damaged, or another version wrote it.
    """
    is_earlier = path.suffix == EARLIER_SUFFIX or (not path.exists() and _earlier(path).exists())
    where = _earlier(path) if is_earlier else path
    try:
        found = torch.load(where, map_location="cpu", weights_only=True) if is_earlier else read_tensor_file(where)
        wanted = EARLIER_FORMAT if is_earlier else FORMAT
        if found["format"] != wanted:
            raise ValueError(f"it has format {found['format']}, this version reads {wanted}")
        content: dict[str, Any] = found["content"]
        if found["digest"] != _digest(content):
            raise ValueError("its bytes are not those that were written")
    except FileNotFoundError:
        raise TrainingError(
            f"there is no checkpoint {where}. Name another file; where a training lost it, remove its folder "
            f"{where.parent} and train again."
        ) from None
    except Exception as error:  # the readers raise what the damaged byte happens to break
        raise TrainingError(
            f"the checkpoint {where} cannot be used: {first_line(error)}. Restore the file, or remove its folder "
            f"{where.parent}: what that holds is then trained again from its start."
        ) from None
    return content


def _earlier(path: Path) -> Path:
    return path.with_suffix(EARLIER_SUFFIX)


def load_weights(path: Path, weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Put weights that were read from `path` into a model.

    Raises
    ------
    TrainingError
        They are another network's.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise TrainingError(
            f"the checkpoint {path} holds another network's weights: {first}. Put [model] back, or train anew."
        ) from None


def check_same(where: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to resume what was begun under other conditions; list everything that differs.

    Raises
    ------
    TrainingError
        Another layout, other data, or other settings.
    """
    keys = [*wanted, *(key for key in found if key not in wanted)]
    changed = [key for key in keys if _differ(found, wanted, key)]
    different = [f"  {key}: {found.get(key, 'absent')} then, {wanted.get(key, 'absent')} now" for key in changed]
    if different:
        raise TrainingError(
            "\n".join(
                [
                    f"{where} was made under other conditions and is kept as it is:",
                    *different,
                    "Restore these to resume it, or train anew without --resume.",
                ]
            )
        )


def _differ(found: Mapping[str, Any], wanted: Mapping[str, Any], key: str) -> bool:
    return key not in found or key not in wanted or bool(found[key] != wanted[key])


def _digest(content: Any) -> str:
    digest = blake2b(digest_size=16)

    def feed(value: Any) -> None:
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, Mapping):
            digest.update(f"{len(value)} by name".encode())
            for key, item in value.items():
                feed(key)
                feed(item)
        elif isinstance(value, list | tuple):
            digest.update(f"{len(value)} in order".encode())
            for item in value:
                feed(item)
        else:
            digest.update(f"{type(value).__name__} {value!r}".encode())

    feed(content)
    return digest.hexdigest()
