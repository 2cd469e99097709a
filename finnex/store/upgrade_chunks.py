"""Upgrade of companies that earlier versions laid out: they get every chunk of the small arrays, with checksums.

The checksum is added behind a chunk's bytes. Blosc reads no further than its header says, so both the earlier metadata
and the new one read the chunk, and after a crash in between the next writer continues without a journal.
"""

from __future__ import annotations

from collections.abc import Iterable

import zarr

from finnex.store.chunks import CHECKSUM, COMPLETE, IMAGE, chunk_keys, has_checksum, is_whole, with_checksum
from finnex.store.damage import readable
from finnex.store.document import Document
from finnex.store.place import Place
from finnex.store.zarr_metadata import arrays_of, company_document, read_document, root_document, write_document


def is_complete(company: Document) -> bool:
    """Return whether every small chunk of a company is there, unless it was damaged."""
    return company.get("attributes", {}).get(COMPLETE) is True


def complete(place: Place, root: zarr.Group, symbols: Iterable[str]) -> None:
    """Complete the companies that an earlier version laid out. Call where their metadata is whole.

    A chunk that is not there was never written, or was lost before FinNeX kept count: these cases look the same.
    """
    documents: dict[str, Document] = {}
    for symbol in symbols:
        company = readable(place, symbol) or {}
        arrays = arrays_of(company)
        if not arrays or is_complete(company):
            continue
        for name, document in arrays.items():
            if name == IMAGE:
                continue
            fill_missing(place, root, symbol, name, document)
            if _can_take_checksum(document) and not has_checksum(document):
                _add_checksum(place, root, symbol, name, document)
                arrays[name] = {**document, "codecs": [*document["codecs"], CHECKSUM]}
        place.sync()
        for name, document in arrays.items():
            write_document(place, f"{symbol}/{name}", document)
        group = {**company, "attributes": {**company.get("attributes", {}), COMPLETE: True}}
        documents[symbol] = company_document(group, arrays)
        write_document(place, symbol, documents[symbol])
    if documents:
        write_document(place, "", root_document(read_document(place) or {}, documents))
        place.sync()


def fill_missing(place: Place, root: zarr.Group, symbol: str, name: str, document: Document, earlier: int = 0) -> None:
    """Write the chunks of an array that are not there, as empty ones.

    Parameters
    ----------
    place
        Where the store's files are.
    root
        The store's group.
    symbol
        Symbol of the company.
    name
        Name of the array.
    document
        Metadata of the array.
    earlier
        Rows along `date` whose chunks are there already, or are damaged: they are left alone.
    """
    wanted = chunk_keys(document, document["shape"][0])[len(chunk_keys(document, earlier)) if earlier else 0 :]
    missing = [chunk for chunk in wanted if place.get(f"{symbol}/{name}/{chunk}", 0, 1) is None]
    if not missing:
        return
    array = root[f"{symbol}/{name}"]
    assert isinstance(array, zarr.Array)
    array = array.with_config({"write_empty_chunks": True})
    rows = array.chunks[0]
    for chunk in missing:
        first = int(chunk.replace("/", ".").split(".")[1]) * rows
        array[first : first + rows] = array.fill_value


def _can_take_checksum(document: Document) -> bool:
    """Return whether what reads an array's chunks without the checksum reads them with it."""
    return bool(document["codecs"]) and document["codecs"][-1]["name"] in {"blosc", CHECKSUM["name"]}


def _add_checksum(place: Place, root: zarr.Group, symbol: str, name: str, document: Document) -> None:
    """Add the checksum to the chunks of an array that can be read; one that cannot stays without, and so is found."""
    array = root[f"{symbol}/{name}"]
    assert isinstance(array, zarr.Array)
    try:
        array[...]
    except (ValueError, RuntimeError):
        return
    for chunk in chunk_keys(document, document["shape"][0]):
        key = f"{symbol}/{name}/{chunk}"
        data = place.get(key)
        if data is not None and not is_whole(data):
            place.put(key, with_checksum(data))
