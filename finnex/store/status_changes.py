"""Changes of a session's state other than its publication: failed, without a bar, damaged, quarantined, released.

`finnex.store.states` has the states and the transitions between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from finnex.store import journal
from finnex.store.journal import Intent
from finnex.store.states import EMPTY, FAILED, NO_BAR, QUARANTINED, READY, check_transition
from finnex.store.year_changes import YearChanges


class StatusChanges(YearChanges):
    """A store whose sessions this process may withhold, show again, or mark."""

    def mark_failed(self, symbol: str, indexes: Sequence[int]) -> None:
        """Record sessions that could not be drawn; one that has an image keeps it: its redraw is what failed."""
        status = self._read(symbol, "status")
        rows = np.array(indexes, dtype=np.intp)
        self._set_status(symbol, rows[~np.isin(status[rows], (READY, QUARANTINED))], FAILED, "drawing failed")

    def mark_no_bar(self, symbol: str, indexes: npt.NDArray[np.intp]) -> None:
        """Record sessions on which the symbol has no bar; images of them are removed."""
        self._set_status(symbol, indexes, NO_BAR, "has no bar")

    def mark_damaged(self, symbol: str, indexes: npt.NDArray[np.intp]) -> None:
        """Withdraw images that can no longer be checked; the next build draws them."""
        self._set_status(symbol, indexes, EMPTY, "found damaged")

    def quarantine(self, symbol: str, indexes: npt.NDArray[np.intp], reason: str) -> int:
        """Withhold published images until they are released or their inputs change; return how many.

        Raises
        ------
        StoreError
            A session has no published image.
        """
        return self._set_status(symbol, indexes, QUARANTINED, "quarantined", reason)

    def release(self, symbol: str, indexes: npt.NDArray[np.intp]) -> int:
        """Show quarantined images to readers again; return how many.

        Raises
        ------
        StoreError
            A session is not quarantined.
        """
        return self._set_status(symbol, indexes, READY, "released")

    def _set_status(self, symbol: str, indexes: npt.NDArray[np.intp], target: int, event: str, reason: str = "") -> int:
        status = self._read(symbol, "status")
        rows = np.unique(np.asarray(indexes, dtype=np.intp))
        rows = rows[status[rows] != target]
        if not len(rows):
            return 0
        for source in np.unique(status[rows]):
            check_transition(symbol, int(source), event, target)
        if target != READY:  # a compacted year has no status: what is withheld does not lie in it
            self.take_out(symbol, rows)
        days = [str(day) for day in self._read(symbol, "date")[rows].astype("datetime64[D]")]
        drawn = rows[self._read(symbol, "image_crc")[rows] != 0] if target in (NO_BAR, EMPTY) else rows[:0]
        details = {
            "rows": rows.tolist(), "status": target, "reason": reason, "days": days, "images": drawn.tolist(),
        }  # fmt: skip
        self._change(Intent(journal.SET_STATUS, symbol, details))
        return len(rows)
