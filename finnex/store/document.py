"""The shape of Zarr's metadata: what JSON has to be before a store is read by it.

JSON that can be parsed may still lack what is looked up in it, after a disk or a hand has changed it.
"""

from __future__ import annotations

from typing import Any, TypeGuard

Document = dict[str, Any]
GROUP_KEYS = {"attributes", "zarr_format", "node_type", "consolidated_metadata"}
HELD_KEYS = {"kind", "must_understand", "metadata"}


def is_group(document: object) -> TypeGuard[Document]:
    """Return whether metadata has the shape of a group's, with or without that of what lies below it."""
    if not _is_node(document, "group") or set(document) - GROUP_KEYS:
        return False
    held = document.get("consolidated_metadata")
    if held is None:
        return True
    if not isinstance(held, dict) or set(held) != HELD_KEYS or not isinstance(held["metadata"], dict):
        return False
    below = held["metadata"].values()
    return held["kind"] == "inline" and all(_is_node(found, "group") or _is_node(found, "array") for found in below)


def is_array(document: object) -> TypeGuard[Document]:
    """Return whether metadata has the shape of an array's whose dimensions have names, as all of a company have."""
    if not _is_node(document, "array"):
        return False
    shape, names, codecs = (document.get(key) for key in ("shape", "dimension_names", "codecs"))
    grid, keys = (_configuration(document.get(key)) for key in ("chunk_grid", "chunk_key_encoding"))
    chunks = grid.get("chunk_shape")
    return (
        _are_sizes(shape, 0)
        and _are_sizes(chunks, 1)
        and isinstance(names, list)
        and len(shape) == len(chunks) == len(names) > 0
        and isinstance(keys.get("separator", "/"), str)
        and isinstance(codecs, list)
        and all(isinstance(codec, dict) and isinstance(codec.get("name"), str) for codec in codecs)
    )


def _is_node(document: object, kind: str) -> TypeGuard[Document]:
    return (
        isinstance(document, dict)
        and document.get("node_type") == kind
        and document.get("zarr_format") == 3
        and isinstance(document.get("attributes", {}), dict)
    )


def _configuration(part: object) -> Document:
    found = part.get("configuration", {}) if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {"separator": None}


def _are_sizes(values: object, least: int) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(one) is int and one >= least for one in values)
