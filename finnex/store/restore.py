"""`finnex repair`: finds damage in a store and restores it from copies, the configuration and images drawn again.

A build does the same automatically, except for repairs that lose something: these need consent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial

from finnex.errors import StoreCorrupt, StoreError
from finnex.store import journal
from finnex.store.damage import company_metadata, is_company, readable
from finnex.store.journal import Intent
from finnex.store.keys import JOURNAL
from finnex.store.place import Place, place_of, unchanged
from finnex.store.rebuildable import Reaches
from finnex.store.record import RECORD, read_record, write_record
from finnex.store.repair import mend_metadata
from finnex.store.repair_findings import Finding, Step
from finnex.store.restore_company import array_steps, metadata_step, rebuilt_metadata, removal
from finnex.store.restore_root import root_steps
from finnex.store.store_template import READABLE, StoreTemplate
from finnex.store.upgrade import UNREADABLE, company_values, derive_record
from finnex.store.writer import StoreWriter
from finnex.store.zarr_metadata import FILE, arrays_of, held_by_company
from finnex.store_path import StorePath


def restore(
    path: StorePath,
    template: StoreTemplate,
    agree: Callable[[Finding], bool] = lambda _: False,
    *,
    reaches: Reaches | None = None,
    whole: Collection[str] = (),
    dry: bool = False,
) -> list[Finding]:
    """Find what is damaged in a store and make it again. Call under `finnex.store.writing`.

    Parameters
    ----------
    path
        The store.
    template
        Of the run that the store belongs to.
    agree
        Asked before something is lost; by default nothing is.
    reaches
        What the next build makes again, by company. What is outside would be lost. None where it makes everything.
    whole
        Companies that need not be looked at, of `finnex.store.verified.whole_companies`.
    dry
        Change nothing: the repair works in memory, and agrees to everything, so that it finds all damage.

    Returns
    -------
    list of Finding
        What was damaged; those that lose something and were not agreed to are left as they are.

    Raises
    ------
    StoreError
        There is no store.
    StoreMismatch
        The run has another layout, exchange or label setting than the store; nothing is written.
    StoreCorrupt
        A part of the store cannot be read.
    """
    place = place_of(str(path))
    if place.get(FILE) is None and place.get(RECORD) is None:
        raise StoreError(f"{path} holds no image store. `finnex build --config F` makes one.")
    found: list[Finding] = []
    mended: list[Finding] = []
    stages = (root_steps, _groups, _record, _journal, partial(_companies, reaches=reaches, whole=whole))
    with unchanged(str(path)) if dry else nullcontext():
        place = place_of(str(path))
        for stage in stages:
            for finding, step in stage(path, place, template):
                found.append(finding)
                if dry or not finding.lost or agree(finding):
                    step()
                    place.sync()
                    mended.append(finding)
                elif not finding.symbol:
                    return found  # the rest rests on it
        again = [finding for stage in stages for finding, _ in stage(path, place, template)] if mended else []
        for finding, step in _last_resorts(path, [one for one in again if one in mended]):
            found = [*(one for one in found if one.symbol != finding.symbol or one not in again), finding]
            if dry or agree(finding):
                step()
                place.sync()
        blocked = {finding.symbol for finding in found if finding.lost}
        if journal.read_intent(place) is not None:  # its steps needed what was damaged
            with suppress(StoreCorrupt) if blocked and not dry else nullcontext():
                StoreWriter.reopen(path)
    return found


def _last_resorts(path: StorePath, left: list[Finding]) -> Iterator[Step]:
    """Yield the removal of each company that is damaged after its repair as it was before."""
    for finding in left:
        if not finding.symbol:
            raise StoreCorrupt(f"{path}/{finding.where} is damaged, and could not be made again. Put a copy back.")
    for symbol in sorted({finding.symbol for finding in left}):
        where = ", ".join(finding.where for finding in left if finding.symbol == symbol)
        yield removal(StoreWriter.unrecovered(path), symbol, where)


def _groups(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    """Mend the metadata of companies that a root record is to be made from."""
    if _has_record(place):
        return  # it names the companies
    root = readable(place, "") or {}
    held = held_by_company(root)
    for symbol in place.folders():
        if arrays_of(readable(place, symbol)) or not is_company(place, symbol, root):
            continue
        try:
            company_metadata(place, symbol, held.get(symbol, {}))
        except StoreCorrupt:
            if (step := rebuilt_metadata(place, symbol, template)) is not None:
                yield step
        else:
            finding = Finding(f"{symbol}/{FILE}", "written again from its copy", symbol=symbol)
            yield finding, lambda symbol=symbol: mend_metadata(place, [symbol])  # type: ignore[misc]


def _has_record(place: Place) -> bool:
    document = readable(place, "") or {}
    if document.get("attributes", {}).get("finnex_format") not in READABLE:
        return True  # an earlier format has none
    try:
        return read_record(place) is not None
    except StoreCorrupt:
        return False


def _record(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    if _has_record(place):
        return
    removed, lost, root = [], [], readable(place, "") or {}
    for symbol in place.folders():
        if place.get(f"{symbol}/{FILE}") is None or not is_company(place, symbol, root):
            continue  # another program's, or nothing of it is left
        if not arrays_of(readable(place, symbol)) or not _can_be_read(place, symbol, "date"):
            removed.append(symbol)
            lost.append(f"predictions of {symbol}, and which of its sessions are quarantined")
        elif not _can_be_read(place, symbol, "status"):
            lost.append(f"which sessions of {symbol} are quarantined")

    def write() -> None:
        for symbol in removed:
            place.delete_folder(symbol)
        write_record(place, derive_record(place))
        with suppress(StoreCorrupt):  # one that is damaged is mended next
            intent = journal.read_intent(place)
            if intent is not None and intent.symbol in removed:  # `ENSURE` passes over those that are not there
                journal.clear_intent(place)

    done = "made again from what lies in the store"
    if removed:
        done += f"; {', '.join(removed)} cannot be read: removed; a build draws what its symbols and range cover"
    yield Finding(RECORD, done, "; ".join(lost)), write


def _can_be_read(place: Place, symbol: str, name: str) -> bool:
    try:
        company_values(place, symbol, name)
    except UNREADABLE:
        return False
    return True


def _journal(path: StorePath, place: Place, template: StoreTemplate) -> Iterator[Step]:
    try:
        journal.read_intent(place)
    except StoreCorrupt:
        done = "removed; every image is compared with its checksum, and withdrawn where it differs"
        # A crash in between: the next writer checks.
        yield Finding(JOURNAL, done), lambda: journal.write_intent(place, Intent(journal.CHECK))


def _companies(
    path: StorePath, place: Place, template: StoreTemplate, *, reaches: Reaches | None, whole: Collection[str]
) -> Iterator[Step]:
    store = StoreWriter.unrecovered(path)
    intent = journal.read_intent(place)
    if intent is not None and (changed := intent.symbols.intersection(store.symbols)):
        mend_metadata(place, sorted(changed))  # it differs as the change was interrupted
    held = held_by_company(readable(place, ""))  # a step below changes the copies of its own company only
    for symbol in _but(store.symbols, whole):
        if (step := metadata_step(store, place, symbol, template, held.get(symbol, {}))) is not None:
            yield step
    with suppress(StoreCorrupt):  # what is left of an interrupted change may need what is damaged: at the end, then
        store.recover(whole)
    held = held_by_company(readable(place, ""))
    for symbol in _but(store.symbols, whole):
        try:
            company_metadata(place, symbol, held.get(symbol, {}))
        except StoreCorrupt:
            continue  # its removal was not agreed to
        yield from array_steps(store, symbol, template, reaches)


def _but(symbols: Iterable[str], whole: Collection[str]) -> list[str]:
    return [symbol for symbol in symbols if symbol not in whole]
