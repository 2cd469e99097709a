"""Zarr's metadata of a company and of the root, each one file that holds the metadata of all arrays below it.

Zarr calls it consolidated metadata. Arrays are extended one after the other, so that a reader of single array files
could see two sizes; `xarray.open_zarr(store, group=SYMBOL)` reads the root's file and `xarray.open_zarr(store/SYMBOL)`
the company's, and both are replaced as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from finnex.errors import StoreCorrupt
from finnex.store.document import Document, is_array, is_group
from finnex.store.place import Place

FILE = "zarr.json"


def read_document(place: Place, folder: str = "") -> Document | None:
    """Return the metadata of the root, of a company or of an array of one, None where there is none.

    Parameters
    ----------
    folder
        '' for the root, `SYMBOL` for a company, `SYMBOL/NAME` for an array.

    Raises
    ------
    StoreCorrupt
        It cannot be read, or it has not the shape of a group's, an array's below a company.
    """
    key = f"{folder}/{FILE}" if folder else FILE
    found = place.get(key)
    if found is None:
        return None
    document = _parsed(found)
    if document is not None and (is_array(document) if "/" in folder else is_group(document)):
        return document
    raise StoreCorrupt(f"{place.address}/{key} is damaged. `finnex repair` makes it anew.")


def holds_array(place: Place, folder: str) -> bool:
    """Return whether an array that FinNeX did not make lies in a folder next to the companies."""
    return is_array(_parsed(place.get(f"{folder}/{FILE}") or b""))


def _parsed(data: bytes) -> Document | None:
    """Return what JSON bytes say, None where they are no JSON object."""
    try:
        found: Document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_document(place: Place, folder: str, document: Document) -> None:
    """Replace the metadata of a group or array."""
    place.put(f"{folder}/{FILE}" if folder else FILE, json.dumps(document, separators=(",", ":")).encode())


def arrays_of(document: Document | None) -> dict[str, Document]:
    """Return the metadata of a group's arrays by name, as its own file holds it, without those of another shape."""
    return {name: found for name, found in held_by(document).items() if is_array(found)}


def held_by(document: Document | None) -> dict[str, Document]:
    """Return the metadata of what lies below a group by its path, as the group's own file holds it."""
    found: dict[str, Document] = ((document or {}).get("consolidated_metadata") or {}).get("metadata", {})
    return found


def held_by_company(root: Document | None) -> dict[str, dict[str, Document]]:
    """Return the root's copies of the metadata of each company, by its symbol and the path below it.

    The path of a company's own group is ''. One pass over the root's entries: looking for each company in all of them
    would cost the square of the number of companies.
    """
    found: dict[str, dict[str, Document]] = {}
    for path, document in held_by(root).items():
        symbol, _, name = path.partition("/")
        found.setdefault(symbol, {})[name] = document
    return found


def _holding(document: Document, metadata: dict[str, Document]) -> Document:
    return {**document, "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata}}


def company_document(group: Document, arrays: dict[str, Document]) -> Document:
    """Return the metadata of a company that holds that of its arrays."""
    return _holding(group, {name: arrays[name] for name in sorted(arrays)})


def root_document(root: Document, companies: dict[str, Document]) -> Document:
    """Return the root's metadata with that of `companies` (by symbol) in place of what it held of them."""
    held = {name: found for name, found in held_by(root).items() if name.split("/")[0] not in companies}
    for symbol, document in companies.items():
        held[symbol] = _holding(document, {})
        held |= {f"{symbol}/{name}": found for name, found in arrays_of(document).items()}
    return _holding(root, {name: held[name] for name in sorted(held)})


def without_companies(root: Document, symbols: Iterable[str]) -> Document:
    """Return the root's metadata without some companies."""
    gone = set(symbols)
    return _holding(root, {name: found for name, found in held_by(root).items() if name.split("/")[0] not in gone})


def extended(arrays: dict[str, Document], sessions: int) -> dict[str, Document]:
    """Return the metadata of a company's arrays with `sessions` rows along `date`."""
    return {
        name: {**found, "shape": [sessions, *found["shape"][1:]]}
        if found.get("dimension_names", [None])[0] == "date"
        else found
        for name, found in arrays.items()
    }
