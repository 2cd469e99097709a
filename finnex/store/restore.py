"""`finnex repair`: what is damaged in a store is found and made again, from copies, the configuration and new drawings.

A build heals what loses nothing by itself where it can open the store; this goes further, and asks before it takes
anything away that cannot be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from finnex.data.calendar import planned_sessions
from finnex.errors import FinnexError, StoreCorrupt, StoreError
from finnex.store import journal
from finnex.store.damage import readable
from finnex.store.journal import Intent
from finnex.store.keys import JOURNAL
from finnex.store.metadata import FILE, arrays_of, root_document, write_document
from finnex.store.place import Place, place_of
from finnex.store.record import RECORD, axis_crc, read_record, write_record
from finnex.store.states import QUARANTINED, READY
from finnex.store.template import CLASS_WORDS, FORMAT, StoreTemplate
from finnex.store.upgrade import EARLIER_FORMATS, derive_record
from finnex.store.writer import StoreWriter, attributes_of
from finnex.store_path import StorePath

OF_IMAGES = ("status", "input_hash", "image_crc", "image_tag", "rendered_at", "coverage", "region_weight")
"""Arrays that say what the images are; without one of them none can be checked."""
PREDICTIONS = ("prediction", "prediction_version", "predicted_at")


@dataclass(frozen=True)
class Finding:
    """One thing that is damaged.

    Attributes
    ----------
    where
        Key in the store.
    what
        What is done about it.
    lost
        What is lost by it for good; '' where nothing is.
    """

    where: str
    what: str
    lost: str = ""


Step = tuple[Finding, Callable[[], object]]


def restore(
    path: StorePath, template: StoreTemplate, agree: Callable[[Finding], bool] = lambda _: False, *, dry: bool = False
) -> list[Finding]:
    """Find what is damaged in a store and make it again. Call under `finnex.store.writing`.

    Parameters
    ----------
    template
        Of the run that the store belongs to.
    agree
        Asked before something is lost; by default nothing is.
    dry
        Change nothing. What can be seen only behind a damaged root is not looked at then.

    Returns
    -------
    list of Finding
        What was damaged; those that lose something and were not agreed to are left as they are.

    Raises
    ------
    StoreError
        There is no store.
    StoreCorrupt
        A part has no copy and cannot be made again.
    """
    place = place_of(str(path))
    if place.get(FILE) is None and place.get(RECORD) is None:
        raise StoreError(f"{path} holds no image store. `finnex build --config F` makes one.")
    found: list[Finding] = []
    for stage in (_root, _record, _journal, _arrays):
        for finding, step in list(stage(path, place, template)):
            found.append(finding)
            if not dry and (not finding.lost or agree(finding)):
                step()
        if dry and found:
            break  # what lies behind is seen when this is mended
    return found


def _root(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    document = readable(place, "")
    if document is None or document.get("attributes", {}).get("finnex_format") not in {FORMAT, *EARLIER_FORMATS}:
        companies = {name: found for name in place.folders() if (found := readable(place, name)) and arrays_of(found)}
        root = {"attributes": attributes_of(template), "zarr_format": 3, "node_type": "group"}
        yield (
            Finding(FILE, "made again from the configuration and the companies' metadata"),
            lambda: write_document(place, "", root_document(root, companies)),
        )


def _record(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    document = readable(place, "") or {}
    if document.get("attributes", {}).get("finnex_format") != FORMAT:
        return
    try:
        if read_record(place) is not None:
            return
    except StoreCorrupt:
        pass
    yield Finding(RECORD, "made again from the companies' metadata"), lambda: write_record(place, derive_record(place))


def _journal(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    try:
        journal.read_intent(place)
    except StoreCorrupt:
        done = "removed; every image is compared with its checksum, and drawn again where it differs"
        yield Finding(JOURNAL, done), lambda: _without_journal(path, place)


def _without_journal(path: StorePath, place: Place) -> None:
    """Withdraw images that a change may have left half done, before the entry that stands for it goes."""
    journal.write_intent(place, Intent(journal.CHECK))  # a crash in between: the next writer checks
    StoreWriter.reopen(path)


def _arrays(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    store = StoreWriter.reopen(path)
    for symbol in store.symbols:
        broken = [
            name for name in store.array_names(symbol) if name != "image" and not _is_readable(store, symbol, name)
        ]
        if "date" in broken:
            yield _axis(store, symbol)
            continue
        if not set(OF_IMAGES) & set(broken):
            state = store.state(symbol)
            shown = np.isin(state.status, (READY, QUARANTINED))
            if (store.values(symbol, "image_crc")[shown] == 0).any():
                broken.append("image_crc")
            for name in ("coverage", "region_weight"):  # a chunk that is gone reads as empty
                if np.isnan(store.values(symbol, name)[shown]).all(axis=1).any():
                    broken.append(name)
        for name, values in _fixed(template).items():
            if name not in broken and not np.array_equal(store.values(symbol, name), values):
                broken.append(name)
        if of_images := [name for name in broken if name in OF_IMAGES]:
            where = ", ".join(f"{symbol}/{name}" for name in of_images)
            done = "filled anew; the images are withdrawn, and the next build draws them"
            yield Finding(where, done), lambda symbol=symbol: _withdraw(store, symbol)  # type: ignore[misc]
        else:
            yield from _quarantine(store, symbol)
        for name in (one for one in broken if one not in OF_IMAGES and one not in PREDICTIONS):
            fixed = _fixed(template).get(name)
            done = "made again" if fixed is not None else "filled anew; the next build writes it"
            yield (
                Finding(f"{symbol}/{name}", done),
                lambda symbol=symbol, name=name, fixed=fixed: _fill(  # type: ignore[misc]
                    store, symbol, name, fixed
                ),
            )
        if lost := [name for name in broken if name in PREDICTIONS]:
            where = ", ".join(f"{symbol}/{name}" for name in lost)
            finding = Finding(where, "emptied", f"all predictions of {symbol}: they cannot be made again")
            yield finding, lambda symbol=symbol: _forget_predictions(store, symbol)  # type: ignore[misc]


def _is_readable(store: StoreWriter, symbol: str, name: str) -> bool:
    try:
        values = store.values(symbol, name)
    except StoreCorrupt:
        return False
    company = store.record().companies[symbol]
    return name != "date" or axis_crc(values.astype("datetime64[D]")) == company.axis_crc


def _axis(store: StoreWriter, symbol: str) -> Step:
    """Make a date axis again from the exchange's calendar, where its checksum proves that it is the one."""
    company = store.record().companies[symbol]
    first, last = date.fromisoformat(company.first), date.fromisoformat(company.last)
    try:
        days = planned_sessions(str(store.attrs["exchange"]), first, last).days
    except FinnexError:
        days = np.array([], dtype="datetime64[D]")
    if len(days) == company.sessions and axis_crc(days) == company.axis_crc:
        finding = Finding(f"{symbol}/date", "made again from the calendar of the exchange")
        return finding, lambda: _fill(store, symbol, "date", days.astype("int64"))
    finding = Finding(f"{symbol}/date", "the company is removed; the next build draws it", f"predictions of {symbol}")
    return finding, lambda: store.remove(symbol)


def _quarantine(store: StoreWriter, symbol: str) -> Iterator[Step]:
    """Note sessions that are withheld and of which the root record does not say why."""
    state, company = store.state(symbol), store.record().companies[symbol]
    days = [str(day) for day in state.days[state.status == QUARANTINED]]
    if unsaid := [day for day in days if day not in company.quarantined]:
        reasons = {**company.quarantined, **dict.fromkeys(unsaid, "not known: the root record was damaged")}
        record = store.record()
        yield (
            Finding(f"{symbol}: {len(unsaid)} sessions", "stay quarantined, the reason is not known"),
            lambda: write_record(
                place_of(str(store.path)), record.with_company(symbol, replace(company, quarantined=reasons))
            ),
        )


def _fixed(template: StoreTemplate) -> dict[str, npt.NDArray[Any]]:
    text = np.dtypes.StringDType()
    words = {"region": template.regions, "feature": template.features, "channel": template.channels}
    found = {name: np.array(values, dtype=text) for name, values in words.items()}
    return found | {"class": np.array(CLASS_WORDS, dtype=text), "horizon": np.array(template.horizons)}


def _fill(store: StoreWriter, symbol: str, name: str, values: npt.NDArray[Any] | None = None) -> None:
    """Write a whole array without reading it: values, or what an empty one holds."""
    array: zarr.Array[Any] = store.writable(symbol, name)
    array[...] = array.fill_value if values is None else values


def _forget_predictions(store: StoreWriter, symbol: str) -> None:
    for name in PREDICTIONS:
        _fill(store, symbol, name)


def _withdraw(store: StoreWriter, symbol: str) -> None:
    for name in OF_IMAGES:
        _fill(store, symbol, name)
    store.forget_images(symbol)
