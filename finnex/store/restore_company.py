"""How the metadata and the small arrays of one company are made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import planned_sessions
from finnex.errors import FinnexError, StoreCorrupt
from finnex.store import journal
from finnex.store.chunks import COMPLETE, has_checksum
from finnex.store.damage import company_metadata, readable
from finnex.store.document import Document
from finnex.store.place import Place, place_of
from finnex.store.rebuildable import Reaches, losing_images, losing_rows
from finnex.store.record import axis_crc, write_record
from finnex.store.repair import mend_metadata
from finnex.store.repair_findings import Finding, Step
from finnex.store.restore_years import year_steps
from finnex.store.states import EMPTY, QUARANTINED, READY
from finnex.store.store_template import CLASS_WORDS, FEATURE_TABLES, FIXED, StoreTemplate
from finnex.store.writer import UNKNOWN_INPUTS, StoreWriter
from finnex.store.zarr_metadata import FILE, company_document, read_document, root_document, write_document

DRAWN_AGAIN = ("coverage", "region_weight", "rendered_at")
"""What is known of an image by drawing it."""
OF_IMAGES = ("status", "image_crc", "input_hash", "image_tag", *DRAWN_AGAIN)
PREDICTIONS = ("prediction", "prediction_version", "predicted_at")


def metadata_step(
    store: StoreWriter, place: Place, symbol: str, template: StoreTemplate, held: Mapping[str, Document]
) -> Step | None:
    """Return how the metadata of a company is mended, None where it is whole.

    Parameters
    ----------
    store
        Store that is mended.
    place
        Where the store's files are.
    symbol
        Symbol of the company.
    template
        Of the run that the store belongs to.
    held
        The root's copies of the company's metadata.

    Returns
    -------
    Step or None
        What is damaged, and the function that mends it.
    """
    try:
        damaged = company_metadata(place, symbol, held).damaged
    except StoreCorrupt:
        return rebuilt_metadata(place, symbol, template) or removal(store, symbol, f"{symbol}/{FILE}")
    if not damaged:
        return None
    finding = Finding(", ".join(damaged), "written again from its copies", symbol=symbol)
    return finding, lambda: mend_metadata(place, [symbol])


def rebuilt_metadata(place: Place, symbol: str, template: StoreTemplate) -> Step | None:
    """Return how the metadata of a company is put together from its arrays', None where one of them is damaged."""
    found = {name: readable(place, f"{symbol}/{name}") for name in place.folders(symbol)}
    arrays = {name: one for name, one in found.items() if one is not None and one["node_type"] == "array"}
    if not _array_names(template) <= set(arrays):
        return None
    attributes: dict[str, Any] = {"symbol": symbol, "synthetic_tables": list(template.synthetic_tables)}
    if has_checksum(arrays["status"]):  # else an earlier version wrote it, and the next writer completes it
        attributes[COMPLETE] = True
    group = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    company = company_document(group, arrays)

    def write() -> None:
        write_document(place, symbol, company)
        write_document(place, "", root_document(read_document(place) or {}, {symbol: company}))

    return Finding(f"{symbol}/{FILE}", "made again from the metadata of its arrays", symbol=symbol), write


def removal(store: StoreWriter, symbol: str, where: str) -> Step:
    """Return the removal of a company, where nothing else is possible; the next build draws it again."""
    lost = f"predictions of {symbol}, and which of its sessions are quarantined"
    finding = Finding(where, "the company is removed; a build draws what its symbols and range cover", lost, symbol)

    def remove() -> None:
        place = place_of(str(store.path))
        intent = journal.read_intent(place)
        others = None if intent is None else intent.without(symbol)
        if others is not None:  # the journal has one entry: what it says of others is kept
            journal.write_intent(place, others)
            with suppress(StoreCorrupt):
                store.recover()
        store.remove(symbol)

    return finding, remove


def array_steps(
    store: StoreWriter, symbol: str, template: StoreTemplate, reaches: Reaches | None = None
) -> Iterator[Step]:
    """Yield how each damaged small array of a company is made again; take a step before asking for the next.

    Parameters
    ----------
    store
        Store that is mended.
    symbol
        Symbol of the company.
    template
        Of the run that the store belongs to.
    reaches
        What the next build makes again, by company; None where it makes everything.

    Yields
    ------
    Step
        What is damaged, and the function that mends it.
    """
    if "date" in store.broken(symbol):
        yield _axis(store, symbol)
        if symbol not in store.symbols or "date" in store.broken(symbol):
            return
    broken = store.broken(symbol)
    for name, values in _fixed(template).items():
        if not _holds(store, symbol, name, values):
            finding = Finding(f"{symbol}/{name}", "made again", symbol=symbol)
            yield finding, lambda name=name, values=values: fill(store, symbol, name, values)  # type: ignore[misc]
    yield from _image_steps(store, symbol, set(broken), reaches)
    if "status" not in store.broken(symbol):  # else its images were to be lost, and that was not agreed to
        yield from _reasons(store, symbol)
    for name in sorted(set(broken) - {*FIXED, *OF_IMAGES, *PREDICTIONS}):
        finding = Finding(f"{symbol}/{name}", "filled anew; the next build writes what it computes", symbol=symbol)
        yield losing_rows(store, finding, name, reaches), partial(fill, store, symbol, name)
    if lost := [name for name in PREDICTIONS if name in broken]:
        yield _predictions(store, symbol, lost)
    yield from year_steps(store, symbol)


def _axis(store: StoreWriter, symbol: str) -> Step:
    """Make a date axis again from the exchange's calendar, where its checksum proves that it is the one."""
    company = store.record().companies[symbol]
    first, last = date.fromisoformat(company.first), date.fromisoformat(company.last)
    try:
        days = planned_sessions(str(store.attrs["exchange"]), first, last).days
    except FinnexError:
        days = np.array([], dtype="datetime64[D]")
    if len(days) == company.sessions and axis_crc(days) == company.axis_crc:
        if store.is_short(symbol):  # of an older copy: a longer axis does not fit in before
            done = "extended to what the root record says; a build draws what its symbols and range cover"
            return Finding(symbol, done, symbol=symbol), lambda: store.lengthen(symbol, days)
        finding = Finding(f"{symbol}/date", "made again from the calendar of the exchange", symbol=symbol)
        return finding, lambda: fill(store, symbol, "date", days.astype("int64"))
    return removal(store, symbol, f"{symbol}/date")


def _image_steps(store: StoreWriter, symbol: str, broken: set[str], reaches: Reaches | None) -> Iterator[Step]:
    """Yield how what is known of the images is made again; where an image cannot be checked it is drawn again."""
    if not broken & {"status", "image_crc"}:
        ready = store.values(symbol, "status") == READY
        if (store.values(symbol, "image_crc")[ready] == 0).any():  # a chunk was lost that an earlier version wrote
            broken = broken | {"image_crc"}
        elif "input_hash" not in broken:
            known = ready & (store.values(symbol, "input_hash") != UNKNOWN_INPUTS)
            for name in ("coverage", "region_weight"):
                if name not in broken and np.isnan(store.values(symbol, name)[known]).all(axis=1).any():
                    broken = broken | {name}
    if "image_crc" in broken:
        where = ", ".join(f"{symbol}/{name}" for name in OF_IMAGES if name in broken)
        done = "filled anew; the images are withdrawn until a build has drawn them again"
        finding = losing_images(store, Finding(where, done, symbol=symbol), reaches)
        yield finding, lambda: _withdraw(store, symbol, broken)
        return
    if "status" in broken:
        done = "made again from the images that match their checksum; a build adds sessions of its range without a bar"
        yield Finding(f"{symbol}/status", done, symbol=symbol), lambda: _status_again(store, symbol)
    if "image_tag" in broken:
        done = "filled anew; a build compares the images of its range with their checksums"
        yield Finding(f"{symbol}/image_tag", done, symbol=symbol), lambda: fill(store, symbol, "image_tag")
    if of_drawing := [name for name in ("input_hash", *DRAWN_AGAIN) if name in broken]:
        where = ", ".join(f"{symbol}/{name}" for name in of_drawing)
        done = "filled anew; the images stay, and the next build draws them again"

        def fill_all() -> None:
            fill(store, symbol, "input_hash")  # first: it is what makes a build draw
            for name in of_drawing:
                fill(store, symbol, name)

        finding = losing_images(store, Finding(where, done, symbol=symbol), reaches)
        yield finding, fill_all


def _withheld(store: StoreWriter, symbol: str) -> npt.NDArray[np.bool_]:
    days = np.array(list(store.record().companies[symbol].quarantined), dtype="datetime64[D]")
    found: npt.NDArray[np.bool_] = np.isin(store.values(symbol, "date").astype("datetime64[D]"), days)
    return found


def _withdraw(store: StoreWriter, symbol: str, broken: set[str]) -> None:
    """Take images that cannot be checked from readers; what is quarantined stays so, and is drawn again too."""
    withheld = _withheld(store, symbol)
    status = np.where(withheld, QUARANTINED, EMPTY)
    if "status" not in broken:
        before = store.values(symbol, "status")
        status = np.where(before == READY, EMPTY, before)
    fill(store, symbol, "status", status)
    fill(store, symbol, "image_crc")
    for name in sorted(broken & set(OF_IMAGES) - {"status", "image_crc"}):
        fill(store, symbol, name)


def _status_again(store: StoreWriter, symbol: str) -> None:
    drawn = store.values(symbol, "image_crc") != 0
    status = np.where(store.matching(symbol), READY, EMPTY)
    fill(store, symbol, "status", np.where(drawn & _withheld(store, symbol), QUARANTINED, status))


def _reasons(store: StoreWriter, symbol: str) -> Iterator[Step]:
    """Note sessions that are withheld and of which the root record does not say why."""
    days = store.values(symbol, "date").astype("datetime64[D]")
    withheld = [str(day) for day in days[store.values(symbol, "status") == QUARANTINED]]
    company = store.record().companies[symbol]
    if unsaid := [day for day in withheld if day not in company.quarantined]:
        reasons = {**company.quarantined, **dict.fromkeys(unsaid, "not known: the root record was damaged")}
        finding = Finding(
            f"{symbol}: the reason of {len(unsaid)} quarantined sessions", "not known; they stay quarantined",
            symbol=symbol,
        )  # fmt: skip
        yield (
            finding,
            lambda: write_record(
                place_of(str(store.path)), store.record().with_company(symbol, replace(company, quarantined=reasons))
            ),
        )


def _predictions(store: StoreWriter, symbol: str, broken: list[str]) -> Step:
    number = store.record().companies[symbol].predictions
    if number is None:
        for name in set(PREDICTIONS[1:]) - set(broken):
            number = int(np.count_nonzero(store.values(symbol, name)))
    counted = "how many there were is not known" if number is None else f"sessions with one: {number}"
    lost = "" if number == 0 else f"all predictions of {symbol} ({counted})"
    where = ", ".join(f"{symbol}/{name}" for name in broken)
    return Finding(where, "emptied", lost, symbol), lambda: _forget_predictions(store, symbol)


def _forget_predictions(store: StoreWriter, symbol: str) -> None:
    for name in PREDICTIONS:
        fill(store, symbol, name)
    record = store.record()
    company = replace(record.companies[symbol], predictions=0)
    write_record(place_of(str(store.path)), record.with_company(symbol, company))


def _fixed(template: StoreTemplate) -> dict[str, npt.NDArray[Any]]:
    text = np.dtypes.StringDType()
    words = {"region": template.regions, "feature": template.features, "channel": template.channels}
    found = {name: np.array(values, dtype=text) for name, values in words.items()}
    return found | {"class": np.array(CLASS_WORDS, dtype=text), "horizon": np.array(template.horizons)}


def _holds(store: StoreWriter, symbol: str, name: str, values: npt.NDArray[Any]) -> bool:
    try:
        return np.array_equal(store.values(symbol, name), values)
    except StoreCorrupt:
        return False


def _array_names(template: StoreTemplate) -> set[str]:
    tables = {name for name, _, _ in FEATURE_TABLES}
    labels = {f"{part}_{kind}" for kind in template.label_kinds for part in ("label", "return", "label_end")}
    return {"image", *FIXED, *OF_IMAGES, *PREDICTIONS} | tables | labels


def fill(store: StoreWriter, symbol: str, name: str, values: npt.NDArray[Any] | None = None) -> None:
    """Write a whole array without reading it: values, or what an empty one holds.

    Parameters
    ----------
    store
        Store to write to.
    symbol
        Symbol of the company.
    name
        Name of the array.
    values
        Values of the array's shape; None fills it with its fill value.
    """
    array = store.writable(symbol, name)
    array[...] = array.fill_value if values is None else values
