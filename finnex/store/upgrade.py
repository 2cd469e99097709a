"""Stores of earlier formats: how they are read, and how the first writer upgrades them in place. Images stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from finnex.data.calendar import Days
from finnex.errors import StoreCorrupt, StoreError
from finnex.store.damage import is_company, readable
from finnex.store.document import Document
from finnex.store.drafts import Receipt
from finnex.store.folder import Folder
from finnex.store.journal import PUBLISH, Intent, write_intent
from finnex.store.place import Place
from finnex.store.record import Company, RootRecord, Year, write_record
from finnex.store.states import READY
from finnex.store.store_template import FORMAT, NOT_A_DAY, STATUS_FLAGS, TAG_ATTRIBUTES
from finnex.store.year_shard import YEARS, index_bytes, read_index, shard_of
from finnex.store.zarr_metadata import (
    arrays_of,
    company_document,
    holds_array,
    read_document,
    root_document,
    write_document,
)

EARLIER_FORMATS = (3,)
UNREADABLE = (ValueError, RuntimeError, TypeError, OverflowError, OSError)
"""What Zarr raises at arrays that are damaged or gone."""
LAID_OUT = "laid_out"
"""Attribute by which format 3 marks the group of a company that is complete."""


def derive_record(place: Place) -> RootRecord:
    """Return the root record of a store that has none, from the groups that lie in it.

    Of arrays that were extended one by one and not all, the shortest counts.
    """
    record, root = RootRecord(), readable(place, "") or {}
    for symbol in place.folders():
        if holds_array(place, symbol) or not is_company(place, symbol, root):
            continue
        group = read_document(place, symbol)
        if group is None:
            continue
        arrays = arrays_of(group)
        if not arrays and not group.get("attributes", {}).get(LAID_OUT):
            continue  # it was being laid out
        arrays = arrays or array_documents(place, symbol)
        sizes = [one["shape"][0] for one in arrays.values() if one.get("dimension_names", [None])[0] == "date"]
        try:
            days = company_values(place, symbol, "date")[: min(sizes)]
        except UNREADABLE as error:
            raise StoreCorrupt(
                f"{place.address}/{symbol}/date is damaged ({error}), and no root record describes it. "
                f"`finnex repair` removes {symbol}, if you agree, and a build draws it anew."
            ) from None
        days = days[days != NOT_A_DAY].astype("datetime64[D]")
        if not len(days):
            continue  # it was being laid out
        predictions: int | None
        try:
            predictions = int(np.count_nonzero(company_values(place, symbol, "prediction_version")))
        except UNREADABLE:
            predictions = None
        generation = record.generation + 1
        years = _derive_years(place, symbol, days, generation)
        company = replace(Company.of(days, generation), predictions=predictions, years=years)
        record = record.with_company(symbol, company)
    return record


def _derive_years(place: Place, symbol: str, days: Days, generation: int) -> dict[str, Year]:
    """Return the compacted years of a company whose shards have an index that is whole.

    Where a change of the year was interrupted its images lie in the shard and in files of their own, the same bytes.
    """
    found, of_day = dict[str, Year](), days.astype("datetime64[Y]").astype(str)
    for number in place.folders(f"{symbol}/{YEARS}"):
        rows = np.flatnonzero(of_day == number)
        head = place.get(shard_of(symbol, number), 0, index_bytes(len(rows)))
        if len(rows) and read_index(head, len(rows)) is not None:
            found[number] = Year(int(rows[0]), len(rows), generation)
    return found


def company_values(place: Place, symbol: str, name: str) -> npt.NDArray[Any]:
    """Return an array as it is stored, without regard to the root record.

    Raises
    ------
    StoreError
        This account may not read it.
    """
    try:
        array = zarr.open_array(place.zarr(read_only=True, folder=f"{symbol}/{name}"), mode="r")
        return np.asarray(array[...])
    except PermissionError as error:
        raise StoreError(
            f"the array {symbol}/{name} of {place.address} cannot be read ({error.strerror}). Give this account the "
            "right to read it."
        ) from None


def array_documents(place: Place, symbol: str) -> dict[str, Document]:
    """Return the metadata of a company's arrays, each from its own file."""
    found = {name: read_document(place, f"{symbol}/{name}") for name in place.folders(symbol)}
    return {name: one for name, one in found.items() if one is not None and one["node_type"] == "array"}


def _take_over_publication(place: Place, symbols: Iterable[str]) -> None:
    """Write what a run of format 3 had begun to publish into the journal; it is of one symbol at most."""
    for symbol in symbols:
        if (noted := place.get(f"{symbol}/.publishing.json")) is not None:
            receipts = [vars(Receipt(**one)) for one in json.loads(noted)]
            write_intent(place, Intent(PUBLISH, symbol, {"receipts": receipts, "status": [READY] * len(receipts)}))


def upgrade(place: Place) -> RootRecord:
    """Bring a store of format 3 to this one and return its root record; a crash in between is taken up by the next.

    Nothing is drawn: the arrays stay where they are. New are the metadata that each company's file holds, the root
    record, the state `quarantined`; gone are drafts and notes of runs that died.
    """
    record = derive_record(place)
    _take_over_publication(place, record.companies)
    documents: dict[str, Document] = {}
    for symbol, company in record.companies.items():
        _sweep_format_3(place, symbol)
        arrays = array_documents(place, symbol)
        arrays.setdefault("image_tag", {**arrays["input_hash"], "attributes": TAG_ATTRIBUTES})
        for name, one in arrays.items():
            if one.get("dimension_names", [None])[0] == "date":
                one["shape"] = [company.sessions, *one["shape"][1:]]
            if name == "status":
                one["attributes"] = {**one.get("attributes", {}), **STATUS_FLAGS}
            write_document(place, f"{symbol}/{name}", one)
        group = read_document(place, symbol) or {}
        group["attributes"] = {name: value for name, value in group.get("attributes", {}).items() if name != LAID_OUT}
        documents[symbol] = company_document(group, arrays)
    for symbol, document in documents.items():
        write_document(place, symbol, document)
    write_record(place, record)
    place.sync()
    root = read_document(place) or {}
    root["attributes"] = {**root["attributes"], "finnex_format": FORMAT}
    write_document(place, "", root_document({**root, "consolidated_metadata": None}, documents))
    place.sync()
    return record


def _sweep_format_3(place: Place, symbol: str) -> None:
    """Remove what runs of format 3 left: drafts, notes of publications, files that were not renamed yet."""
    place.delete_folder(f"{symbol}/image/.drafts")
    for key in (f"{symbol}/.publishing.json", f"{symbol}/.publishing.json.new"):
        place.delete(key)
    if isinstance(place, Folder):
        root = Path(place.address)
        for file in (root / symbol).rglob("*.partial"):
            place.delete(str(file.relative_to(root)))
