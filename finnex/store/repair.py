"""Metadata that is damaged is written again from its copies; nothing is lost, so that every writer does it."""

from __future__ import annotations

from collections.abc import Iterable

from finnex.errors import StoreCorrupt
from finnex.store.damage import company_metadata
from finnex.store.document import Document
from finnex.store.place import Place
from finnex.store.zarr_metadata import (
    FILE,
    company_document,
    held_by_company,
    read_document,
    root_document,
    write_document,
)


def mend_metadata(place: Place, symbols: Iterable[str]) -> list[str]:
    """Write the damaged metadata of companies again; return the keys that were damaged.

    Call before the journal is replayed: the replay accepts metadata from before or after the interrupted change. A
    company without a readable copy is left as it is: reading it raises, and the others can be read.
    """
    mended: list[str] = []
    root = read_document(place) or {}
    held, differing = held_by_company(root), dict[str, Document]()
    for symbol in symbols:
        try:
            found = company_metadata(place, symbol, held.get(symbol, {}))
        except StoreCorrupt:
            continue
        if not found.damaged:
            continue
        company = company_document(found.group, found.arrays)
        for key in found.damaged:
            folder = key.removesuffix(FILE).rstrip("/")
            if folder not in ("", symbol):
                write_document(place, folder, found.arrays[folder.removeprefix(f"{symbol}/")])
        if f"{symbol}/{FILE}" in found.damaged:
            write_document(place, symbol, company)
        if FILE in found.damaged:
            differing[symbol] = company
        place.sync()
        mended += found.damaged
    if differing:  # once for all companies: the root's file grows with their number
        write_document(place, "", root_document(root, differing))
        place.sync()
    return mended
