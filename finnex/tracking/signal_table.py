"""The predictions that a store keeps as a table of signals for other programs: date, symbol, score, class, set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from finnex.data.calendar import next_opens
from finnex.datasets.samples import CLASSES
from finnex.files.table_output import TableKind
from finnex.store import ImageStore
from finnex.tracking.version_parts import VersionParts

SCHEMA = pa.schema(
    {
        "date": pa.timestamp("ms"), "symbol": pa.string(), "score": pa.float64(), "class": pa.string(),
        "p_sell": pa.float32(), "p_hold": pa.float32(), "p_buy": pa.float32(), "set": pa.string(),
        "tradable_from": pa.timestamp("ms"), "model_version": pa.int32(), "made_at": pa.timestamp("s", "UTC"),
    }
)  # fmt: skip
"""See docs/signals.md."""
SIGNALS = TableKind("signals", tuple(SCHEMA.names))


def predicted_by(store: ImageStore, symbols: Sequence[str]) -> list[int]:
    """Return the numbers of the versions whose predictions a store keeps of some companies, ascending."""
    found = [store.open_sessions(symbol)["prediction_version"].to_numpy() for symbol in symbols]
    return sorted({int(number) for versions in found for number in np.unique(versions)} - {0})


def signal_tables(store: ImageStore, symbols: Sequence[str], parts: Mapping[int, VersionParts]) -> Iterator[pa.Table]:
    """Yield every prediction that a store keeps, one company after another.

    The score is the expected class with sell -1, hold 0 and buy 1: `score = p_buy - p_sell`, in [-1, 1], computed in
    float64 from the probabilities as they are stored. The class is the most probable one; of equal ones the first of
    sell, hold, buy.

    Parameters
    ----------
    store
        Store whose predictions are listed.
    symbols
        Companies, in the order in which they are wanted.
    parts
        Of the versions that are known: see `version_parts`. The predictions of others have no set.

    Yields
    ------
    pyarrow.Table
        Of `SCHEMA`, by date. `tradable_from` is the first session after the date, null beyond the calendar.

    Raises
    ------
    StoreError
        The store has no such company.
    """
    for symbol in symbols:
        data = store.open_sessions(symbol)
        versions = data["prediction_version"].to_numpy()  # written last: where it is seen, so are the others
        rows = np.flatnonzero(versions > 0)
        days = store.state(symbol).days[rows]
        probabilities = data["prediction"].to_numpy()[rows]
        made_at = data["predicted_at"].to_numpy()[rows].astype("datetime64[s]")
        following, opens = next_opens(str(store.attrs["exchange"]), days)
        sets = np.full(len(rows), None, dtype=object)
        for number, part in parts.items():
            own = versions[rows] == number
            sets[own] = part.sets(days[own], made_at[own], opens[own])
        exact = probabilities.astype(np.float64)
        yield pa.Table.from_arrays(
            [
                pa.array(days.astype("datetime64[ms]"), pa.timestamp("ms")),
                pa.array([symbol] * len(rows), pa.string()),
                pa.array(exact[:, CLASSES.index("buy")] - exact[:, CLASSES.index("sell")]),
                pa.array([CLASSES[code] for code in probabilities.argmax(axis=1)], pa.string()),
                *(pa.array(probabilities[:, code]) for code in range(len(CLASSES))),
                pa.array(sets.tolist(), pa.string()),
                pa.array(following.astype("datetime64[ms]"), pa.timestamp("ms")),
                pa.array(versions[rows], pa.int32()),
                pa.array(made_at, pa.timestamp("s", "UTC")),
            ],
            schema=SCHEMA,
        )
