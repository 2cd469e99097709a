"""Drafts of one symbol on their way to readers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from finnex.store.drafts import Receipt
from finnex.store.writer import StoreWriter


class Publication:
    """Drafts of one symbol: checked as they come, put in place together.

    Readers see none of them before `finish`, and of each the old image or the new one, never a part.
    """

    def __init__(self, store: StoreWriter, symbol: str) -> None:
        self._store, self._symbol = store, symbol
        self._good: list[Receipt] = []
        self._bad: list[Receipt] = []

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Check drafts against their receipts."""
        for receipt in receipts:
            if receipt.error:
                self._bad.append(receipt)
            elif self._store.is_whole(receipt):
                self._good.append(receipt)
            else:
                error = f"the draft {receipt.draft} is not the bytes its worker wrote"
                self._bad.append(replace(receipt, error=error))

    def finish(self) -> list[Receipt]:
        """Move what is whole into place, then set status; return what is not, each with its error."""
        if self._good:
            self._store.in_place(self._symbol, sorted(self._good, key=lambda receipt: receipt.index))
        if self._bad:
            self._store.mark_failed(self._symbol, [receipt.index for receipt in self._bad])
        return sorted(self._bad, key=lambda receipt: receipt.index)
