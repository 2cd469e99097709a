"""Calendars of companies: what is checked before they are laid out or extended, and what is written to the journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from finnex.data.calendar import Days
from finnex.errors import StoreCorrupt, StoreMismatch
from finnex.store import journal
from finnex.store.document import Document
from finnex.store.journal import Intent
from finnex.store.record import RootRecord, axis_crc
from finnex.store.states import EMPTY, QUARANTINED, READY
from finnex.store.status_changes import StatusChanges
from finnex.store.store_template import StoreTemplate, files_of_company
from finnex.store.zarr_metadata import FILE, arrays_of, company_document, read_document, write_document


@dataclass(frozen=True)
class _Lacking:
    """What a company lacks of a run's calendar and labels."""

    new: bool = False
    days: Days | None = None
    """Its whole axis, where that is another one than is stored."""
    kinds: tuple[str, ...] = ()


class LayoutChanges(StatusChanges):
    """A store whose companies this process may lay out and extend."""

    def ensure_symbol(self, symbol: str, days: Days, template: StoreTemplate) -> None:
        """Lay out the calendar of a symbol, or extend it; sessions that hold anything keep their positions.

        Kinds of labels that the template has and the company lacks are added to it.

        A planned session on which the exchange stayed shut keeps its row, without a bar; one that was announced after
        the plan was made takes its place among those that hold nothing yet.

        Raises
        ------
        StoreMismatch
            `days` begins before the stored axis, lacks a session that is published, or has one among those that are.
        """
        self._ensure({symbol: self._lacking(self.record(), symbol, days, template)}, template)

    def ensure_symbols(self, axes: Mapping[str, Days], template: StoreTemplate) -> None:
        """Do for many companies what `ensure_symbol` does, with one entry of the journal and one change of the root.

        Companies of which it would raise are left as they are.

        Parameters
        ----------
        axes
            Calendar of each company.
        template
            Of the run that the store belongs to.
        """
        record, lacking = self.record(), {}
        for symbol, days in axes.items():
            with suppress(StoreMismatch, StoreCorrupt):
                lacking[symbol] = self._lacking(record, symbol, days, template)
        self._ensure(lacking, template)

    def _lacking(self, record: RootRecord, symbol: str, days: Days, template: StoreTemplate) -> _Lacking:
        """Compare a company with a calendar and the labels of a template; raise where it cannot be extended."""
        days = np.asarray(days, dtype="datetime64[D]")
        company = record.companies.get(symbol)
        if company is None:
            return _Lacking(new=True, days=days)
        held = self._document(symbol, company)[1]
        kinds = tuple(kind for kind in template.label_kinds if f"label_{kind}" not in held)
        if company.sessions == len(days) and company.axis_crc == axis_crc(days):
            return _Lacking(kinds=kinds)
        stored = self._read(symbol, "date", company).astype("datetime64[D]")
        status = self._read(symbol, "status", company)
        if days[0] < stored[0]:
            raise StoreMismatch(
                f"{self.path}: {symbol} begins at {stored[0]}, the inputs now begin at {days[0]}. "
                "Build into a new [store] path: features depend on the first row."
            )
        remedy = "Put the earlier version of exchange_calendars back, or use a new [store] path."
        shut = (stored >= days[0]) & (stored <= days[-1]) & ~np.isin(stored, days)
        if (gone := stored[shut & np.isin(status, (READY, QUARANTINED))]).size:
            raise StoreMismatch(
                f"{self.path}: {symbol} has an image of {gone[0]}, which is no session of its calendar now. {remedy}"
            )
        kept = int(np.flatnonzero(status != EMPTY).max(initial=-1)) + 1
        new = days[~np.isin(days, stored)]
        if (among := new[np.searchsorted(stored, new) < kept]).size:
            raise StoreMismatch(
                f"{self.path}: {among[0]} is a session of the calendar of {symbol} now, and later ones are stored "
                f"already. {remedy}"
            )
        axis = np.concatenate([stored[:kept], np.union1d(stored[kept:], new)]) if len(new) else None
        return _Lacking(days=axis, kinds=kinds)

    def _ensure(self, lacking: Mapping[str, _Lacking], template: StoreTemplate) -> None:
        """Give companies what they lack; readers see it when all have it."""
        new = {symbol: one.days for symbol, one in lacking.items() if one.new and one.days is not None}
        longer = {symbol: one.days for symbol, one in lacking.items() if not one.new and one.days is not None}
        kinds = {symbol: list(one.kinds) for symbol, one in lacking.items() if one.kinds}
        if not (new or longer or kinds):
            return
        intent = Intent(
            journal.ENSURE,
            details={
                "new": sorted(new),
                "days": {symbol: days.astype("int64").tolist() for symbol, days in longer.items()},
                "kinds": kinds,
                "generation": self.record().generation + 1,
            },
        )
        journal.write_intent(self._place, intent)
        self._lay_out_arrays(new, template)
        self._show_laid_out(intent.details, new)
        journal.clear_intent(self._place)

    def _lay_out_arrays(self, new: Mapping[str, Days], template: StoreTemplate) -> None:
        """Write the files of new companies: those of companies with one calendar differ in the symbol alone."""
        of_one_axis: dict[bytes, list[str]] = {}
        for symbol, days in new.items():
            of_one_axis.setdefault(days.tobytes(), []).append(symbol)
        for symbols in of_one_axis.values():
            files = files_of_company(new[symbols[0]], template)
            group = json.loads(files.pop(FILE))
            metadata = {key.removesuffix(f"/{FILE}"): data for key, data in files.items() if key.endswith(FILE)}
            arrays = {name: json.loads(data) for name, data in metadata.items()}
            for symbol in symbols:
                self._place.delete_folder(symbol)  # one that was not finished
                self._place.put_all([(f"{symbol}/{key}", data) for key, data in files.items()])
                own = {**group, "attributes": {**group["attributes"], "symbol": symbol}}
                write_document(self._place, symbol, company_document(own, arrays))

    def lengthen(self, symbol: str, days: Days) -> None:
        """Extend the arrays of a symbol to the axis that the root record has already: they come from an older copy."""
        sizes = _sizes(arrays_of(read_document(self._place, symbol)).values())
        self._extend_arrays(symbol, np.asarray(days, dtype="datetime64[D]"), (), min(sizes))
        self._place.sync()
        self._hold_companies([symbol])
        for known in (self._opened, self._documents):  # they have the shapes of before
            known.pop(symbol, None)

    def is_short(self, symbol: str) -> bool:
        """Return whether an array of a symbol has fewer sessions than the root record names."""
        sessions = self.record().companies[symbol].sessions
        return any(size < sessions for size in _sizes(arrays_of(read_document(self._place, symbol)).values()))


def _sizes(arrays: Iterable[Document]) -> list[int]:
    """Return the lengths of arrays along `date`."""
    return [one["shape"][0] for one in arrays if one.get("dimension_names", [None])[0] == "date"]
