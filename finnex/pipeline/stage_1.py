"""Stage 1 of a company: what its images, stored features and labels follow from, computed from the tables.

It is computed in the process that holds the store, or on a worker (`stage_1_on_dask`), with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import SessionCalendar
from finnex.data.features import symbol_bars
from finnex.data.label_kinds import all_labels, membership
from finnex.data.panel import Panel, make_panel
from finnex.errors import StoreCorrupt
from finnex.images.blending import region_weights
from finnex.images.render import RENDERER_VERSION
from finnex.layout import Layout
from finnex.pipeline.run_inputs import Run
from finnex.store import NOT_A_DAY, ImageStore, differing_rows


@dataclass(frozen=True, eq=False)
class Tail:
    """The rows of a stored table from `first` on; those before are stored already."""

    values: npt.NDArray[Any]
    unknown: float
    """What a day that is no session holds."""
    first: int = 0


@dataclass(frozen=True, eq=False)
class Stage1:
    """What the builder needs of a company, by panel position.

    Attributes
    ----------
    symbol
        The company.
    calendar
        Its sessions, from its first bar to its last.
    rows
        (sessions, features + 6) float32: all that an image is drawn from, see `Panel.rows`.
    traded
        (sessions,) bool: whether it has a bar and is a member of the universe: what is drawn.
    weights
        (sessions, regions) float32: weight of every region.
    hashes
        (sessions,) uint64: input hash.
    features, outcomes
        Tables that are stored next to the images, by the names of their arrays; outcomes are labels, returns and ends.
    panel
        All of it, in the process that computed it; None where only this was sent.
    """

    symbol: str
    calendar: SessionCalendar
    rows: npt.NDArray[np.float32]
    traded: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32]
    hashes: npt.NDArray[np.uint64]
    features: Mapping[str, Tail]
    outcomes: Mapping[str, Tail]
    panel: Panel | None = None


Stage1Of = Callable[[str], Stage1]
Compute = Callable[[Run, Sequence[str]], AbstractContextManager[Stage1Of]]
"""Given a run and the companies that are due, in their order, returns what gives Stage 1 of each while it is open."""


@contextmanager
def compute_here(run: Run, symbols: Sequence[str]) -> Iterator[Stage1Of]:
    """Compute Stage 1 in this process, when it is asked for.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Companies that are due.

    Yields
    ------
    Stage1Of
        Computes one of them.
    """
    yield lambda symbol: stage_1(run, symbol)


def stage_1(run: Run, symbol: str) -> Stage1:
    """Compute Stage 1 of a company from its first row on.

    Parameters
    ----------
    run
        Inputs and layout.
    symbol
        The company.

    Returns
    -------
    Stage1
        With the panel.
    """
    return of_panel(run, make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries))


def of_panel(run: Run, panel: Panel) -> Stage1:
    """Return what the builder needs of a panel.

    Parameters
    ----------
    run
        Inputs and layout that it was made from.
    panel
        Features and bars of a company.

    Returns
    -------
    Stage1
        With the panel.
    """
    weights = region_weights(panel, run.layout)
    features: dict[str, npt.NDArray[Any]] = {
        "feature_normalized": panel.normalized,
        "feature_original": panel.original,
        "feature_location": panel.location,
        "feature_scale": panel.scale,
    }
    outcomes: dict[str, Tail] = {}
    bars = symbol_bars(run.tables, panel.symbol, panel.calendar)
    member = membership(run.tables, panel.symbol, panel.calendar.days)
    for kind, labels in all_labels(run.tables, run.config, panel.symbol, bars, panel.calendar.days).items():
        end = np.where(np.isnat(labels.end), NOT_A_DAY, labels.end.astype("datetime64[D]").astype("int64"))
        outcomes |= {  # in this order: a reader that sees a label finds its return and its end
            f"return_{kind}": Tail(labels.outcome, np.nan),
            f"label_end_{kind}": Tail(end, NOT_A_DAY),
            f"label_{kind}": Tail(labels.label, -1),
        }
    return Stage1(
        symbol=panel.symbol,
        calendar=panel.calendar,
        rows=panel.rows,
        traded=panel.traded & member,
        weights=weights,
        hashes=window_hashes(panel, run.layout, weights),
        features={name: Tail(values, np.nan) for name, values in features.items()},
        outcomes=outcomes,
        panel=panel,
    )


def window_hashes(panel: Panel, layout: Layout, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Return one hash per session over all that its image is drawn from."""
    digests = panel.row_digests()
    padded = np.concatenate([np.zeros((layout.lookback - 1, 16), dtype=np.uint8), digests])
    seed = f"{layout.hash}|{RENDERER_VERSION}|".encode()
    found = [
        int.from_bytes(
            blake2b(
                seed + padded[row : row + layout.lookback].tobytes() + weights[row].tobytes(), digest_size=8
            ).digest(),
            "little",
        )
        for row in range(len(digests))
    ]
    return np.array(found, dtype=np.uint64)


def to_send(found: Stage1, store: ImageStore) -> Stage1:
    """Return Stage 1 without its panel and without the leading rows of tables that the store has already.

    Parameters
    ----------
    found
        Stage 1 of a company.
    store
        The store that it is meant for.

    Returns
    -------
    Stage1
        A hundredth of it on an ordinary night; all rows where the company is not laid out, or cannot be read.
    """
    sent = replace(found, panel=None)
    try:
        if found.symbol not in store.symbols:
            return sent
        axis = store.values(found.symbol, "date").astype("datetime64[D]")
        on_axis = np.searchsorted(axis, found.calendar.days)
        if on_axis[-1] >= len(axis) or (axis[on_axis] != found.calendar.days).any():
            return sent  # the writer extends the axis first
        tables = [
            {name: _tail(table, store.values(found.symbol, name)[on_axis]) for name, table in some.items()}
            for some in (found.features, found.outcomes)
        ]
    except StoreCorrupt:
        return sent  # the writer reports it
    return replace(sent, features=tables[0], outcomes=tables[1])


def _tail(table: Tail, stored: npt.NDArray[Any]) -> Tail:
    """Return the rows from the first one on whose bytes are not stored."""
    differing = differing_rows(stored, table.values.astype(stored.dtype))
    first = int(differing[0]) if len(differing) else len(stored)
    return replace(table, values=table.values[first:].copy(), first=first)
