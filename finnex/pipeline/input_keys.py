"""Keys of what a company's features, labels and images follow from: while its key stays, nothing of it is due.

A key covers the rows of the tables that Stage 1 of the company looks at (its own, its peers', the reference
instruments', the series and events), its sessions, the configuration of features, labels and images, the range, the
code of FinNeX and the releases of the libraries that compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date, timedelta
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import SessionCalendar, planned_sessions
from finnex.data.code_digest import code_digest
from finnex.data.features import symbol_calendar
from finnex.data.names import SERIES
from finnex.data.peers import peers_of
from finnex.data.tables import Tables
from finnex.images.render import RENDERER_VERSION
from finnex.pipeline.run_inputs import Run

AROUND = timedelta(days=400)
"""More than features look beyond the first and the last session of a company's calendar."""
OF_A_RUN = {
    *("symbols", "on_bad_company", "store", "state", "mlflow", "dask", "model", "training", "augmentation", "trading"),
}
"""Parts of the configuration that no image, feature or label follows from."""


class InputKeys:
    """The keys of a run's companies, over one range; what they share is computed once.

    Parameters
    ----------
    run
        Inputs and layout.
    start, end
        Range that is asked for; None where the configuration says it.
    """

    def __init__(self, run: Run, start: date | None = None, end: date | None = None) -> None:
        self._config, self._tables = run.config, run.tables
        self._plans: dict[tuple[date, date], bytes] = {}
        self._priced = frozenset(run.tables.prices["symbol"].unique())
        tables = [field.name for field in fields(Tables)]
        self._rows = {name: _row_hashes(run.tables, name) for name in tables}
        unread: dict[str, Any] = {**dict.fromkeys(OF_A_RUN, True), "inputs": set(tables)}  # of tables the rows count
        settings = run.config.model_dump_json(exclude=unread)
        shared = [code_digest(), RENDERER_VERSION, settings, run.layout.hash, run.layout.catalogue.text]
        shared += [str(start), str(end), *(f"{name} {_heads(run.tables, name)}" for name in tables)]
        shared += [blake2b(rows.tobytes()).hexdigest() for rows in self._rows.values() if not isinstance(rows, Mapping)]
        universe = run.tables.universe  # labels across the section follow from the rows of all members
        shared += [] if universe is None else [self._of_rows(universe.symbols)]
        self._shared = "\n".join(shared).encode()

    def of(self, symbol: str) -> str:
        """Return the key of a company."""
        peers = peers_of(self._config, symbol, self._priced, self._tables.universe)
        digest = blake2b(self._shared, digest_size=16)
        calendar = symbol_calendar(self._tables, self._config, symbol)
        digest.update(calendar.days.tobytes() + calendar.decision_time.tobytes() + self._planned(calendar))
        digest.update(self._of_rows((symbol, *peers, *self._config.sectors, *sorted(SERIES))).encode())
        return digest.hexdigest()

    def _of_rows(self, names: Iterable[str]) -> str:
        """Return a digest of the rows of some symbols in all tables."""
        digest = blake2b(digest_size=16)
        for name in dict.fromkeys(names):
            digest.update(f"\n{name}".encode())
            for table, rows in self._rows.items():
                if isinstance(rows, Mapping) and name in rows:
                    digest.update(f"\n{table}".encode() + rows[name])
        return digest.hexdigest()

    def _planned(self, calendar: SessionCalendar) -> bytes:
        """Return a digest of the sessions around a calendar and ahead of it, which the store's axis lays out."""
        first, last = calendar.days[0].item(), calendar.days[-1].item()
        if (first, last) not in self._plans:
            until = max(last + AROUND, date(last.year + 2, 1, 1))
            planned = planned_sessions(calendar.exchange, first - AROUND, until)
            whole = planned.days.tobytes() + planned.decision_time.tobytes()
            self._plans[first, last] = blake2b(whole, digest_size=16).digest()
        return self._plans[first, last]


def _row_hashes(tables: Tables, name: str) -> Mapping[str, bytes] | npt.NDArray[np.uint64]:
    """Return the digest of each symbol's rows of a table; of one without symbols the hashes of its rows."""
    frame: pd.DataFrame | None = getattr(tables, name)
    if frame is None:
        return {}
    hashes = np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)
    if "symbol" not in frame:
        return hashes
    return {
        symbol: blake2b(hashes[rows].tobytes(), digest_size=16).digest() for symbol, rows in tables.rows(name).items()
    }


def _heads(tables: Tables, name: str) -> str:
    """Return the columns of a table, '' where it is not given: features of a company without rows follow from them."""
    frame: pd.DataFrame | None = getattr(tables, name)
    return "" if frame is None else repr([(column, str(kind)) for column, kind in frame.dtypes.items()])
