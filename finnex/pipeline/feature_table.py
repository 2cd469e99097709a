"""The features of Stage 1 as a table for other programs: one row a session of a symbol, one column a feature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from finnex.data.panel import make_panel
from finnex.errors import ConfigError, ExportError
from finnex.files.table_output import TableKind
from finnex.pipeline.run_inputs import Run

FEATURES = TableKind("features", ("date", "symbol", "known_at", "has_bar"))


def feature_schema(run: Run, *, normalized: bool) -> pa.Schema:
    """Return the columns of the table; the metadata of a feature's says its unit and its meaning.

    Raises
    ------
    ExportError
        A feature has the name of a column that the table begins with.
    """
    entries = run.layout.catalogue.entries
    if taken := [entry.name for entry in entries if entry.name in FEATURES.first_columns]:
        raise ExportError(f"the table has a column '{taken[0]}' of its own. Give that feature another name.")
    kind = pa.float32() if normalized else pa.float64()
    own = (pa.timestamp("ms"), pa.string(), pa.timestamp("ms", "UTC"), pa.bool_())
    return pa.schema(
        [
            *map(pa.field, FEATURES.first_columns, own),
            *(
                pa.field(entry.name, kind, metadata={"unit": _unit(entry.unit, normalized), "meaning": entry.meaning})
                for entry in entries
            ),
        ]
    )


def feature_tables(
    run: Run, symbols: Sequence[str], *, start: date | None = None, end: date | None = None, normalized: bool = False
) -> Iterator[pa.Table]:
    """Yield the features of one company after another, every session of its prices: what a build writes to the store.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Companies, in the order in which they are wanted.
    start, end
        First and last session; absent, the first and the last of each company. Features are computed from the first
        row of the inputs for any `start`.
    normalized
        Brightness in [0.02, 1], float32, in place of the original values in the units of the catalogue, float64.

    Yields
    ------
    pyarrow.Table
        Of `feature_schema`, by date. A value that is not known is null; `known_at` is the session's close, and
        `has_bar` says whether the company traded.

    Raises
    ------
    InputError
        The enhanced table has a column that the catalogue does not know.
    ConfigError
        No company has a session in the range.
    ExportError
        See `feature_schema`.
    """
    schema, found = feature_schema(run, normalized=normalized), 0
    for symbol in symbols:
        panel = make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries)
        rows = panel.calendar.between(start, end)
        if len(rows) == 0:
            continue
        found += len(rows)
        values = panel.normalized if normalized else panel.original
        yield pa.Table.from_arrays(
            [
                pa.array(panel.calendar.days[rows].astype("datetime64[ms]"), pa.timestamp("ms")),
                pa.array(np.full(len(rows), symbol), pa.string()),
                pa.array(panel.calendar.decision_time[rows].astype("datetime64[ms]"), pa.timestamp("ms", "UTC")),
                pa.array(panel.traded[rows]),
                *(pa.array(values[rows, column], from_pandas=True) for column in range(values.shape[1])),
            ],
            schema=schema,
        )
    if found == 0:
        raise ConfigError(
            f"there is no session of {', '.join(symbols)} from {start or 'the first'} to {end or 'the last'}. "
            "Change --start or --end."
        )


def _unit(unit: str, normalized: bool) -> str:
    return "brightness, 0.02 to 1" if normalized else unit
