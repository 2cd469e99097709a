"""One symbol's part of a build: its panel, the sessions that are due, and the blocks that draw them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.panel import Panel
from finnex.errors import BuildError
from finnex.images.render import RENDERER_VERSION, WHAT_IS_NEW
from finnex.pipeline.drawing import Block
from finnex.pipeline.laying_out import axis_of
from finnex.pipeline.portions import Portion
from finnex.pipeline.run_inputs import Run, sessions_wanted
from finnex.pipeline.stage_1 import Stage1, Stage1Of, stage_1
from finnex.pipeline.store_opening import take_out_lost_bars
from finnex.store import QUARANTINED, READY, DraftTarget, StoreWriter

SHARES = 4
"""A task takes at most one of so many shares of what is left of its unit, and not less than `LEAST_PER_TASK`."""
LEAST_PER_TASK = 4


@dataclass(frozen=True)
class SymbolBuild:
    """One symbol's sessions that are due, ready to be drawn."""

    run: Run
    store: StoreWriter
    stage_1: Stage1
    on_axis: npt.NDArray[np.intp]
    """Row on the store's axis of every panel position: one after the other, but for days that turned out no session."""
    positions: npt.NDArray[np.intp]
    """Panel positions of the sessions that are due, ascending."""
    skipped: int
    damaged: int
    """How many of the due are published, and no longer the bytes that were."""
    changed: int
    """How many of the due are published, from other inputs or by another renderer."""
    first_row: int = 0
    """Panel position of the first of the rows and weights that are kept."""

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.stage_1.symbol

    @property
    def panel(self) -> Panel:
        """Features and bars, where this process computed them."""
        if self.stage_1.panel is None:
            raise BuildError(f"{self.symbol} was computed on a worker, which kept its features.")
        return self.stage_1.panel

    @property
    def due(self) -> int:
        """How many sessions are to be drawn."""
        return len(self.positions)

    @property
    def why_again(self) -> str:
        """Why published images are drawn again, in one sentence, where another renderer may be the reason; else ''."""
        known = self.store.record().renderer(self.symbol)
        if not self.changed or known == RENDERER_VERSION:
            return ""
        earlier = f"renderer {known} drew them" if known else "an earlier renderer drew them, or their inputs changed"
        return (
            f"{self.symbol}: {self.changed} published images are drawn again: {earlier}, and this version of FinNeX "
            f"has renderer {RENDERER_VERSION}, {WHAT_IS_NEW}. Models that were trained on the earlier images are to "
            "be trained again."
        )

    def renderer(self) -> str:
        """Return the version of the renderer that drew every published image; '' where several may have.

        Ask when all that was due is drawn: images outside the range may be of an earlier one.
        """
        state = self.store.state(self.symbol)
        published = np.isin(state.status[self.on_axis], (READY, QUARANTINED))
        current = state.input_hash[self.on_axis] == self.stage_1.hashes
        return RENDERER_VERSION if current[published].all() else self.store.record().renderer(self.symbol)

    def days_at(self, rows: Sequence[int]) -> list[date]:
        """Return the dates of rows of the store's axis."""
        days: list[date] = self.stage_1.calendar.days[np.searchsorted(self.on_axis, rows)].tolist()
        return days

    def portion(self) -> Portion:
        """Return all that is due, without what only the preparation needs: tables, and rows that no image shows."""
        if not self.due:
            return Portion(self, ())
        first = max(self.first_row, int(self.positions[0]) - self.run.layout.lookback + 1)
        shown = slice(first - self.first_row, int(self.positions[-1]) + 1 - self.first_row)
        rows, weights = (values[shown].copy() for values in (self.stage_1.rows, self.stage_1.weights))
        lean = replace(self.stage_1, rows=rows, weights=weights, features={}, outcomes={}, panel=None)
        return Portion(replace(self, stage_1=lean, first_row=first), tuple(self.positions.tolist()))

    @property
    def held_bytes(self) -> int:
        """How much memory its rows take."""
        return self.stage_1.rows.nbytes + self.stage_1.weights.nbytes

    def blocks(self, batch: Sequence[int], dates_per_task: int, after: int = 0) -> list[Block]:
        """Cut sessions into tasks of at most `dates_per_task` that lie near each other.

        Tasks shrink towards the end, a share of what is left each, so that all workers end together (guided
        self-scheduling, Polychronopoulos and Kuck 1987).

        Parameters
        ----------
        batch
            Panel positions, ascending.
        dates_per_task
            The most sessions of one block.
        after
            How many sessions of other companies are drawn together with these, and after them.

        Returns
        -------
        list of Block
            In the order of the sessions.
        """
        lookback = self.run.layout.lookback
        target = self.store.target(self.symbol, uuid.uuid4().hex[:12])
        groups: list[list[int]] = []
        room = 0
        for number, position in enumerate(batch):
            if not groups or len(groups[-1]) >= room or position - groups[-1][-1] > lookback:
                groups.append([])
                room = min(dates_per_task, max(LEAST_PER_TASK, (len(batch) - number + after) // SHARES))
            groups[-1].append(position)
        return [self._block(group, lookback, target) for group in groups]

    def _block(self, group: Sequence[int], lookback: int, target: DraftTarget) -> Block:
        first, last = group[0] - lookback + 1, group[-1]
        missing = max(0, -first)  # sessions before the first row of the input: not known
        rows = slice(max(0, first) - self.first_row, last + 1 - self.first_row)
        return Block(
            layout_hash=self.run.layout.hash,
            target=target,
            rows=np.pad(self.stage_1.rows[rows], ((missing, 0), (0, 0)), constant_values=np.nan),
            ends=tuple(position - first for position in group),
            indexes=tuple(self.on_axis[list(group)].tolist()),
            hashes=tuple(int(self.stage_1.hashes[position]) for position in group),
            weights=self.stage_1.weights[[position - self.first_row for position in group]],
            day=str(self.stage_1.calendar.days[group[0]]),
        )


def prepare_symbol(
    run: Run,
    store: StoreWriter,
    symbol: str,
    *,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    compute: Stage1Of | None = None,
) -> SymbolBuild:
    """Compute a symbol's panel, see to its calendar, write its features and labels, and find what is due.

    Features are computed from the first row of the inputs for any `start`, so a nightly run and a full build agree
    bit for bit. A session is due when it has no image, when its window, the layout or the renderer changed since, or
    when its bytes are no longer those that were published; a quarantined one counts as published. With `force` all
    sessions are due, and a session of the range that has lost its bar loses its image.

    Parameters
    ----------
    run
        Inputs and layout.
    store
        Store to write to.
    symbol
        Symbol to prepare.
    start, end
        Range to draw; absent, as `sessions_wanted` says.
    force
        Whether sessions are due that have an image already.
    compute
        Gives Stage 1 of the symbol; absent, this process computes it.

    Returns
    -------
    SymbolBuild
        The panel and the sessions that are due, ready to be drawn.

    Raises
    ------
    ConfigError
        The symbol is not configured, or the range holds no session of it.
    """
    config = run.config
    wanted = sessions_wanted(run, symbol, start, end)
    found = compute(symbol) if compute else stage_1(run, symbol)
    calendar, hashes = found.calendar, found.hashes
    if force:
        take_out_lost_bars(run, store, symbol, start, end)
    store.ensure_symbol(symbol, axis_of(config, calendar), run.template)
    state = store.state(symbol)
    on_axis = np.searchsorted(state.days, calendar.days)
    drawable = wanted[found.traded[wanted]]
    shut = np.setdiff1d(np.arange(on_axis[0], on_axis[-1]), on_axis)  # planned, and then no session
    store.mark_no_bar(symbol, np.concatenate([on_axis[wanted[~found.traded[wanted]]], shut]))
    rows = on_axis[drawable]
    published = np.isin(state.status[rows], (READY, QUARANTINED))
    fresh = published & (state.input_hash[rows] == hashes[drawable])
    changed = int(np.count_nonzero(published & ~fresh))
    damaged = np.isin(rows, store.lost(symbol, rows[fresh]))
    if symbol in run.depending:  # drawn again when the peers that are left out are back
        fresh = published.copy()
    fresh[damaged] = False
    due = drawable if force else drawable[~fresh]
    kept = np.isin(state.status[on_axis], (READY, QUARANTINED)) & ~np.isin(on_axis, on_axis[due])
    depends = kept if symbol in run.depending else None
    _write_tables(store, found, on_axis, int(wanted[-1]) + 1, depends, section_is_short=run.section_is_short)
    skipped = len(drawable) - len(due)
    return SymbolBuild(run, store, found, on_axis, due, skipped, int(damaged.sum()), changed)


def _write_tables(
    store: StoreWriter,
    found: Stage1,
    on_axis: npt.NDArray[np.intp],
    sessions: int,
    kept: npt.NDArray[np.bool_] | None,
    *,
    section_is_short: bool,
) -> None:
    """Write features and labels of the panel's sessions, where they differ from what is stored.

    Features go up to the last session asked for, labels to the last bar: an outcome that became known matures
    the labels of earlier sessions. Features of `kept` sessions, by panel position, stay as they are, and
    labels across a section of which a member is left out.
    """
    tables = {}
    for name, one in (*found.features.items(), *found.outcomes.items()):
        if section_is_short and name.endswith(ACROSS_THE_SECTION):
            continue
        end = sessions if name in found.features else len(on_axis)
        if len(values := one.values[: max(0, end - one.first)]):
            rows = on_axis[one.first :]
            if kept is not None and name in found.features:
                own, stored = kept[one.first : one.first + len(values)], store.values(found.symbol, name)
                values = values.astype(stored.dtype)
                values[own] = stored[rows[: len(values)]][own]
            tables[name] = int(rows[0]), _spread(values, rows, one.unknown)
    store.write_tables(found.symbol, tables)


def _spread(values: npt.NDArray[Any], on_axis: npt.NDArray[np.intp], unknown: float) -> npt.NDArray[Any]:
    """Return the values of panel positions in rows of the axis, with `unknown` where a row is no session."""
    rows = on_axis[: len(values)] - on_axis[0]
    if rows[-1] == len(values) - 1:
        return values
    spread = np.full((rows[-1] + 1, *values.shape[1:]), unknown, dtype=values.dtype)
    spread[rows] = values
    return spread
