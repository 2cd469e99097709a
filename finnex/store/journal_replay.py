"""The steps of every change of a store. Each is idempotent: after a crash the next writer replays the journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.store import journal
from finnex.store.drafts import Receipt, chunk_of
from finnex.store.journal import Intent
from finnex.store.layout_steps import LayoutSteps
from finnex.store.record import FIRST_RENDERER, InputLimits, write_record
from finnex.store.states import EMPTY, QUARANTINED, READY


class StoreSteps(LayoutSteps):
    """What a writer does to a store, by the actions of the journal."""

    def _change(self, intent: Intent) -> None:
        """Make a change: journal, steps, journal cleared."""
        journal.write_intent(self._place, intent)
        self._take_steps(intent)
        journal.clear_intent(self._place)

    def _take_steps(self, intent: Intent) -> None:
        steps = {
            journal.ENSURE: self._do_ensure,
            journal.PUBLISH: self._do_publish,
            journal.SET_STATUS: self._do_set_status,
            journal.PREDICT: self._do_predict,
            journal.REMOVE: self._do_remove,
            journal.CHECK: self._do_check,
            journal.INPUTS: self._do_record_inputs,
            journal.COMPACT: self._do_compact,
            journal.TAKE_OUT: self._do_take_out,
        }
        steps[intent.action](intent.symbol, intent.details)

    def _do_publish(self, symbol: str, details: dict[str, Any]) -> None:
        """Move what is still a draft and record what lies in its place with the bytes that were checked."""
        good: list[Receipt] = []
        states: list[int] = []
        for one, status in zip(details["receipts"], details["status"], strict=True):
            receipt = Receipt(**one)
            chunk = chunk_of(symbol, receipt.index)
            try:
                self._place.move(receipt.draft, chunk)
            except FileNotFoundError:  # moved before the crash, or lost with it: then what was stored before stays
                if self._crc_on_disk(chunk) != receipt.crc:
                    continue
            good.append(receipt)
            states.append(status)
        if good:
            self._record(symbol, good, states, details.get("rendered_at", int(time.time())))

    def _record(self, symbol: str, receipts: Sequence[Receipt], states: Sequence[int], rendered_at: int) -> None:
        """Write what is known of images that lie in their place; their status last."""
        rows = np.array([receipt.index for receipt in receipts])
        tables: dict[str, npt.NDArray[Any]] = {}
        company = self._company(symbol)
        for name, values in (
            ("rendered_at", [rendered_at] * len(rows)),
            ("coverage", [receipt.coverage for receipt in receipts]),
            ("region_weight", [receipt.weights for receipt in receipts]),
            ("input_hash", [receipt.input_hash for receipt in receipts]),
            ("image_crc", [receipt.crc for receipt in receipts]),
            ("image_tag", [self._tag(symbol, receipt.index, receipt.crc) for receipt in receipts]),
            ("status", states),
        ):
            table = tables[name] = self._read(symbol, name, company)
            table[rows] = np.array(values, dtype=table.dtype)
        self._write(symbol, tables)
        shown = self._read(symbol, "date")[rows[np.array(states) == READY]].astype("datetime64[D]")
        self._note_quarantine(symbol, released=[str(day) for day in shown])

    def _do_set_status(self, symbol: str, details: dict[str, Any]) -> None:
        rows, target = np.array(details["rows"], dtype=np.intp), int(details["status"])
        if target == QUARANTINED:
            self._note_quarantine(symbol, withheld=dict.fromkeys(details["days"], details["reason"]))
        status = self._read(symbol, "status")
        status[rows] = target
        self._write(symbol, {"status": status})
        if target != QUARANTINED:
            self._note_quarantine(symbol, released=details["days"])
        if len(images := np.array(details["images"], dtype=np.intp)):
            tables = {name: self._read(symbol, name) for name in ("image_tag", "image_crc", "input_hash")}
            for table in tables.values():
                table[images] = 0
            self._write(symbol, tables)
            for row in images:
                self._place.delete(chunk_of(symbol, int(row)))

    def _note_quarantine(
        self, symbol: str, withheld: dict[str, str] | None = None, released: Sequence[str] = ()
    ) -> None:
        """Keep in the root record why sessions are withheld."""
        record = self.record()
        company = record.companies[symbol]
        noted = {day: why for day, why in company.quarantined.items() if day not in released} | (withheld or {})
        if noted != company.quarantined:
            write_record(self._place, record.with_company(symbol, replace(company, quarantined=noted)))

    def _do_predict(self, symbol: str, details: dict[str, Any]) -> None:
        rows = np.array(details["rows"], dtype=np.intp)
        tables = {name: self._read(symbol, name) for name in ("prediction", "predicted_at", "prediction_version")}
        for name, table in tables.items():
            table[rows] = details[name]
        self._write(symbol, tables)
        self._note_predictions(symbol, int(np.count_nonzero(tables["prediction_version"])))  # 0 is none

    def _note_predictions(self, symbol: str, number: int) -> None:
        """Keep in the root record how many sessions have a prediction."""
        record = self.record()
        if record.companies[symbol].predictions != number:
            company = replace(record.companies[symbol], predictions=number)
            write_record(self._place, record.with_company(symbol, company))

    def _do_check(self, symbol: str, details: dict[str, Any]) -> None:
        """Withdraw every image whose bytes are not those that were published."""
        for name in self.record().companies:
            rows = self.damaged(name)
            for number in self.years_with(name, rows):
                self._do_take_out(name, {"year": number})
            self._remove_other_years(name)
            if len(rows):
                days = [str(day) for day in self._read(name, "date")[rows].astype("datetime64[D]")]
                self._do_set_status(name, {
                    "rows": rows.tolist(), "status": EMPTY, "reason": "", "days": days, "images": rows.tolist(),
                })  # fmt: skip

    def _do_remove(self, symbol: str, details: dict[str, Any]) -> None:
        """Remove a company: from the root record first, so that readers leave it before its files go."""
        record = self.record()
        if symbol in record.companies:
            write_record(self._place, record.without(symbol))
            self._place.sync()
        self._hold_companies([])
        self._place.delete_folder(symbol)

    def _do_record_inputs(self, symbol: str, details: dict[str, Any]) -> None:
        """Write where the inputs end into the root record."""
        tables = {name: (first, last) for name, (first, last) in details["tables"].items()}
        renderer = details.get("renderer", FIRST_RENDERER)  # a journal of an earlier version has none
        inputs, record = InputLimits(tuple(details["symbols"]), details["recorded_at"], tables, renderer), self.record()
        if record.lacking(inputs):
            write_record(self._place, record.with_inputs(inputs))
