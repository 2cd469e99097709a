"""Zarr's metadata of a company and of the root, each one file that holds the metadata of all arrays below it.

Zarr calls it consolidated metadata. Arrays are extended one after the other, so that a reader of single array files
could see two sizes; `xarray.open_zarr(store, group=SYMBOL)` reads the root's file and `xarray.open_zarr(store/SYMBOL)`
the company's, and both are replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from finnex.errors import StoreCorrupt
from finnex.store.place import Place

Document = dict[str, Any]
FILE = "zarr.json"


def read_document(place: Place, folder: str = "") -> Document | None:
    """Return the metadata of a group or array, None where there is none.

    Raises
    ------
    StoreCorrupt
        It cannot be read.
    """
    key = f"{folder}/{FILE}" if folder else FILE
    found = place.get(key)
    if found is None:
        return None
    try:
        document = json.loads(found)
        if not isinstance(document, dict) or document.get("node_type") not in {"group", "array"}:
            raise ValueError
    except ValueError:
        raise StoreCorrupt(f"{place.address}/{key} is damaged. `finnex repair` makes it anew.") from None
    return document


def write_document(place: Place, folder: str, document: Document) -> None:
    """Replace the metadata of a group or array."""
    place.put(f"{folder}/{FILE}" if folder else FILE, json.dumps(document, separators=(",", ":")).encode())


def arrays_of(document: Document | None) -> dict[str, Document]:
    """Return the metadata of a group's arrays by name, as its own file holds it; none where it holds none."""
    held = (document or {}).get("consolidated_metadata") or {}
    return {name: found for name, found in held.get("metadata", {}).items() if found.get("node_type") == "array"}


def _holding(document: Document, metadata: dict[str, Document]) -> Document:
    return {**document, "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata}}


def company_document(group: Document, arrays: dict[str, Document]) -> Document:
    """Return the metadata of a company that holds that of its arrays."""
    return _holding(group, {name: arrays[name] for name in sorted(arrays)})


def root_document(root: Document, companies: dict[str, Document]) -> Document:
    """Return the root's metadata with that of `companies` (by symbol) in place of what it held of them."""
    held = dict((root.get("consolidated_metadata") or {}).get("metadata", {}))
    held = {name: found for name, found in held.items() if name.split("/")[0] not in companies}
    for symbol, document in companies.items():
        held[symbol] = _holding(document, {})
        held |= {f"{symbol}/{name}": found for name, found in arrays_of(document).items()}
    return _holding(root, {name: held[name] for name in sorted(held)})


def without_companies(root: Document, symbols: Iterable[str]) -> Document:
    """Return the root's metadata without some companies."""
    gone = set(symbols)
    held = (root.get("consolidated_metadata") or {}).get("metadata", {})
    return _holding(root, {name: found for name, found in held.items() if name.split("/")[0] not in gone})


def extended(arrays: dict[str, Document], sessions: int) -> dict[str, Document]:
    """Return the metadata of a company's arrays with `sessions` rows along `date`."""
    return {
        name: {**found, "shape": [sessions, *found["shape"][1:]]}
        if found.get("dimension_names", [None])[0] == "date"
        else found
        for name, found in arrays.items()
    }
