"""The steps by which companies get their calendars, longer ones, and arrays of further labels: one entry for many.

Each company's own files are written first, then the root record once, then the root's `zarr.json` once: these two hold
something of every company, so that writing them for each would cost the square of the number of companies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import zarr

from finnex.data.calendar import Days
from finnex.store.chunks import IMAGE
from finnex.store.damage import readable
from finnex.store.record import Company, write_record
from finnex.store.store_template import FIXED, lay_out_labels
from finnex.store.upgrade_chunks import fill_missing
from finnex.store.year_steps import YearSteps
from finnex.store.zarr_metadata import (
    arrays_of,
    company_document,
    extended,
    read_document,
    root_document,
    without_companies,
    write_document,
)


class LayoutSteps(YearSteps):
    """Lays out arrays, and has readers go by them."""

    def _do_ensure(self, symbol: str, details: dict[str, Any]) -> None:
        """Remove the companies whose layout a crash interrupted; finish what was begun of the others.

        A company that the root record names is complete. One that is to be extended and is not named was removed by a
        repair.
        """
        companies = self.record().companies
        for name in details["new"]:
            if name not in companies:
                self._place.delete_folder(name)
        self._show_laid_out(details, {})

    def _show_laid_out(self, details: dict[str, Any], new: Mapping[str, Days]) -> None:
        """Extend what is to be extended, and have readers go by it and by the companies whose arrays are new."""
        before = self.record()
        axes = {name: np.array(days, dtype="int64").astype("datetime64[D]") for name, days in details["days"].items()}
        changed = [name for name in {**axes, **details["kinds"]} if name in before.companies]
        for name in changed:
            kinds, sessions = details["kinds"].get(name, ()), before.companies[name].sessions
            self._extend_arrays(name, axes.get(name), kinds, sessions)
        self._place.sync()
        generation = details["generation"]
        described = {name: Company.of(days, generation) for name, days in new.items()}
        for name, days in axes.items():
            known = before.companies.get(name)
            if known is not None and known.generation != generation:
                described[name] = replace(
                    Company.of(days, generation),
                    quarantined=known.quarantined, predictions=known.predictions, years=known.years,
                )  # fmt: skip
        if described:
            write_record(self._place, before.with_companies(described))
        self._hold_companies([*details["new"], *changed])
        for name in changed:  # they lack the new arrays, or have the shapes of before
            self._opened.pop(name, None)
            self._documents.pop(name, None)

    def _extend_arrays(self, symbol: str, days: Days | None, kinds: Sequence[str], earlier: int) -> None:
        """Add arrays of labels to a company, all unknown, and extend all to an axis; its own metadata last.

        Parameters
        ----------
        symbol
            The company.
        days
            The axis; None where it stays as it is.
        kinds
            Kinds of labels that it lacks.
        earlier
            Rows along `date` whose chunks are there already.
        """
        group = read_document(self._place, symbol) or {}
        arrays = arrays_of(group)
        added = [kind for kind in kinds if f"label_{kind}" not in arrays]  # readers have the others since a crash
        if added:
            company = self._root[symbol]
            assert isinstance(company, zarr.Group)
            lay_out_labels(company, added, earlier if days is None else len(days), int(arrays["horizon"]["shape"][0]))
            self._place.sync()  # the company's metadata says that they are there
        names = {f"{part}_{kind}" for kind in kinds for part in ("label", "return", "label_end")}
        if days is not None:
            arrays = extended(arrays, len(days))
            for name, document in arrays.items():
                if name in names:  # they have this length
                    continue
                write_document(self._place, f"{symbol}/{name}", document)
                if name not in {IMAGE, *FIXED}:
                    fill_missing(self._place, self._root, symbol, name, document, earlier)
            self._write(symbol, {"date": days.astype("int64")})
        arrays |= {name: read_document(self._place, f"{symbol}/{name}") or {} for name in sorted(names)}
        write_document(self._place, symbol, company_document(group, arrays))

    def _hold_companies(self, symbols: Sequence[str]) -> None:
        """Copy the metadata of companies into the root's, for `xarray.open_zarr(store, group=SYMBOL)`."""
        root, companies = read_document(self._place) or {}, self.record().companies
        held = {name.split("/")[0] for name in (root.get("consolidated_metadata") or {}).get("metadata", {})}
        root = without_companies(root, held - set(companies))
        documents = {symbol: readable(self._place, symbol) for symbol in symbols if symbol in companies}
        whole = {symbol: found for symbol, found in documents.items() if found is not None and arrays_of(found)}
        write_document(self._place, "", root_document(root, whole))
