"""Which metadata of a company is damaged: three copies of each array's are compared.

An array's metadata lies in its own file, in the company's and in the root's. A version of which there are
two copies is right; where all differ, the company's is, then the root's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finnex.errors import StoreCorrupt
from finnex.store.document import Document, is_array, is_group
from finnex.store.place import Place
from finnex.store.zarr_metadata import FILE, arrays_of, company_document, read_document

OF_COMPANIES = {"image", "status", "image_crc", "input_hash", "prediction_version"}
"""Arrays that every company has, in every format, and that no other group has together."""


@dataclass(frozen=True)
class Metadata:
    """What the metadata of a company has to be, and which keys do not hold it."""

    group: Document
    arrays: dict[str, Document]
    damaged: tuple[str, ...]


def readable(place: Place, folder: str) -> Document | None:
    """Return the metadata of a group or array, None where it is gone or damaged."""
    try:
        return read_document(place, folder)
    except StoreCorrupt:
        return None


def is_company(place: Place, name: str, root: Document) -> bool:
    """Return whether a folder of the store is a company, and not something that another program put there.

    A company's metadata, or the root's copy of it, has the attribute `symbol`, equal to its name; where both are gone
    or damaged, its arrays decide.
    """
    held = (root.get("consolidated_metadata") or {}).get("metadata", {})
    group = readable(place, name) or held.get(name)
    if group is not None and group.get("attributes", {}).get("symbol") != name:
        return False
    return set(arrays_of(group)) >= OF_COMPANIES or set(place.folders(name)) >= OF_COMPANIES


def company_metadata(place: Place, symbol: str, held: Mapping[str, Document]) -> Metadata:
    """Compare the copies of a company's metadata.

    Parameters
    ----------
    place
        Where the store's files are.
    symbol
        Symbol of the company.
    held
        The root's copies, of `finnex.store.zarr_metadata.held_by_company`: '' is the company's group.

    Returns
    -------
    Metadata
        What it has to be, and the keys of the files that differ from it.

    Raises
    ------
    StoreCorrupt
        No readable copy names the company's arrays.
    """
    inside = {name: found for name, found in held.items() if name}
    whole = {name: found for name, found in inside.items() if is_array(found)}
    company = readable(place, symbol)
    copies = arrays_of(company)
    group = company if copies else held.get("")
    if not is_group(group):
        group = None
    names = sorted(set(whole) | set(copies))
    if group is None or not names:
        raise StoreCorrupt(
            f"{place.address}/{symbol}/{FILE} is damaged, and {place.address}/{FILE} has no copy of it. "
            "`finnex repair` makes it anew."
        )
    arrays, damaged = {}, []
    for name in names:
        own = readable(place, f"{symbol}/{name}")
        found = [one for one in (copies.get(name), whole.get(name), own) if one is not None]
        arrays[name] = max(found, key=found.count)  # the first of those that most copies agree on
        if own != arrays[name]:
            damaged.append(f"{symbol}/{name}/{FILE}")
    if company != company_document(group, arrays):
        damaged.append(f"{symbol}/{FILE}")
    if inside != arrays:
        damaged.append(FILE)
    return Metadata(group, arrays, tuple(damaged))
