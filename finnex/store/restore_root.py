"""How the root's metadata is made again, and the copy of what a store was made with.

In this order: from the copy; from the run, where the hash of its layout agrees; with consent from the run, where the
companies agree with it as far as they go. A run that differs from the store is refused, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import Any

from finnex.data.calendar import planned_sessions
from finnex.errors import FinnexError, StoreCorrupt, StoreError, StoreMismatch
from finnex.store.attributes import (
    HASHED,
    TYPES,
    Attributes,
    attributes_of,
    check_format,
    differs,
    disagreement,
    readable_copy,
    well_formed,
    write_copy,
)
from finnex.store.damage import readable
from finnex.store.document import Document
from finnex.store.keys import ATTRIBUTES
from finnex.store.place import Place
from finnex.store.record import RECORD, axis_crc, read_record
from finnex.store.repair_findings import Finding, Step
from finnex.store.store_template import StoreTemplate
from finnex.store.upgrade import UNREADABLE, company_values
from finnex.store.zarr_metadata import FILE, arrays_of, root_document, write_document
from finnex.store_path import StorePath


def root_steps(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    """Yield how the root's metadata and the copy of its attributes are made again.

    Raises
    ------
    StoreError
        Another program made what lies there, or a later version of FinNeX.
    StoreMismatch
        The run has another layout, exchange or label setting than the store.
    """
    document, copy = readable(place, ""), readable_copy(place)
    found: Attributes = (document or {}).get("attributes", {})
    known = well_formed(found) if copy is None else copy
    if document is not None or copy is not None:
        with suppress(StoreCorrupt):
            check_format(place, known)
    if (refusal := disagreement(place.address, known, template)) is not None:
        raise refusal
    wanted = {**attributes_of(template), **{name: known[name] for name in TYPES if name in known}}
    done, lost = "", ""
    if copy is not None:
        stored = well_formed(found)
        if any(differs(name, copy[name], stored.get(name)) for name in TYPES):
            done = "written again from the copy of what the store was made with, and the companies' metadata"
    elif len(known) == len(TYPES):
        if altered := [name for name in HASHED if differs(name, known[name], attributes_of(template)[name])]:
            wanted |= {name: attributes_of(template)[name] for name in altered}
            done = f"{', '.join(altered)} written again from the configuration: the hash of the layout agrees"
    else:
        _compare_with_companies(place, template)
        wanted |= {name: attributes_of(template)[name] for name in HASHED}
        done = "made again from the configuration and the companies' metadata"
        lost = _not_known(place, known)
    if done:
        yield Finding(FILE, done, lost), lambda: _write_root(place, {**found, **wanted}, document)
    if copy is None and place.get(ATTRIBUTES, 0, 1) is not None:
        yield Finding(ATTRIBUTES, f"written again from {FILE}"), lambda: write_copy(place, wanted)


def _write_root(place: Place, attributes: Attributes, document: Document | None) -> None:
    companies = {name: one for name in place.folders() if (one := readable(place, name)) and arrays_of(one)}
    root = {**(document or {}), "attributes": attributes, "zarr_format": 3, "node_type": "group"}
    write_document(place, "", root_document(root, companies))


def _not_known(place: Place, known: Attributes) -> str:
    """Return what the companies do not show and the run cannot be compared with; '' where there is no company."""
    unknown = [name for name in ("layout_hash", "label_settings") if name not in known]
    if set(HASHED) <= set(known):  # the run has them too, and the hash is made of them
        unknown = [name for name in unknown if name != "layout_hash"]
    if not unknown or not _companies(place):
        return ""
    return (
        f"the {' and '.join(unknown)} that the store was made with; where the configuration has others, the next build "
        "makes images and labels again"
    )


def _companies(place: Place) -> list[str]:
    """Return the companies that the root record names, or those that have images where it is damaged."""
    try:
        record = read_record(place)
    except StoreCorrupt:
        record = None
    if record is not None:
        return sorted(record.companies)
    return [name for name in place.folders() if "image" in arrays_of(readable(place, name))]


def _compare_with_companies(place: Place, template: StoreTemplate) -> None:
    """Make sure that a run draws what the companies hold.

    Raises
    ------
    StoreError
        There is no company, nor anything else by which a store is known.
    StoreMismatch
        A company holds something else.
    """
    companies = _companies(place)
    if not companies and place.get(RECORD, 0, 1) is None and place.get(ATTRIBUTES, 0, 1) is None:
        raise StoreError(f"{place.address} holds no image store. `finnex build --config F` makes one.")
    for symbol in companies:
        for what, held, wanted in _shown(place, symbol, template):
            if held != wanted:
                raise StoreMismatch(
                    f"{place.address}/{FILE} is damaged, and {symbol} has {what} that this run has not. "
                    "Put the setting back that the store was made with, then run: finnex repair. Nothing was written."
                )


def _shown(place: Place, symbol: str, template: StoreTemplate) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a company shows of what it was made with: a name, what it holds, and what the run has."""
    company = readable(place, symbol) or {}
    own = {name: readable(place, f"{symbol}/{name}") for name in place.folders(symbol)}
    arrays = arrays_of(company) or {name: found for name, found in own.items() if found is not None}
    if "image" in arrays:
        yield "images of another shape", arrays["image"]["shape"][1:], list(template.shape)
    kinds = {name.removeprefix("label_") for name in arrays if name.startswith("label_")}
    kinds = {name for name in kinds if not name.startswith("end_")}
    if kinds:
        yield "kinds of labels", kinds, set(template.label_kinds)
    if "synthetic_tables" in company.get("attributes", {}):
        yield "synthetic tables", company["attributes"]["synthetic_tables"], list(template.synthetic_tables)
    words = {"region": template.regions, "feature": template.features, "channel": template.channels}
    for name, values in (words | {"horizon": template.horizons}).items():
        if own.get(name) is not None:
            with suppress(*UNREADABLE):
                yield f"{name}s", company_values(place, symbol, name).tolist(), list(values)
    with suppress(FinnexError, ValueError):
        if (record := read_record(place)) is not None:
            noted = record.companies[symbol]
            first, last = date.fromisoformat(noted.first), date.fromisoformat(noted.last)
            calendar = planned_sessions(template.exchange, first, last)
            yield "the calendar of an exchange", noted.axis_crc, axis_crc(calendar.days)
