"""Sessions of several companies that are drawn together, and published in units that cost seconds to draw again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from finnex.errors import StoreCorrupt
from finnex.pipeline.drawing import Draw
from finnex.store import Publication

if TYPE_CHECKING:
    from finnex.pipeline.due_sessions import SymbolBuild

UNIT_IMAGES = 250
"""Images that are drawn and published together: what a crash can cost, and how often progress is kept."""
TASK_IMAGES = 4000
"""Images of one Prefect task: a million are 250 tasks, and a night of 500 companies is one."""
TASK_BYTES = 256 << 20
"""Rows that wait to be drawn; more are not gathered for one task."""

OnDrawn = Callable[[str, int], None]
"""Called with a company and the number of its sessions just drawn."""


@dataclass(frozen=True)
class Portion:
    """Sessions of one company to draw, as panel positions, ascending."""

    work: SymbolBuild
    positions: tuple[int, ...]

    @property
    def symbol(self) -> str:
        """The company."""
        return self.work.symbol

    def days(self) -> tuple[date, ...]:
        """Return the dates of the sessions."""
        days: list[date] = self.work.stage_1.calendar.days[list(self.positions)].tolist()
        return tuple(days)


@dataclass(frozen=True)
class Outcome:
    """What became of a portion.

    Attributes
    ----------
    symbol
        The company.
    built
        Images that are published.
    failed
        Sessions that could not be drawn, and why.
    seconds
        Wall clock of drawing and publishing, shared among the companies of a unit by their sessions.
    corrupt
        Why nothing more of the company was published: something of it in the store is damaged; None where nothing is.
    """

    symbol: str
    built: int = 0
    failed: tuple[tuple[date, str], ...] = ()
    seconds: float = 0.0
    corrupt: StoreCorrupt | None = None


def units(portions: Sequence[Portion], size: int = UNIT_IMAGES) -> Iterator[list[Portion]]:
    """Cut portions into units of at most `size` images, in their order; small companies share one.

    Parameters
    ----------
    portions
        Of companies that differ.
    size
        Most images of a unit.
    """
    unit: list[Portion] = []
    room = size
    for portion in portions:
        left = portion.positions
        while left:
            unit.append(replace(portion, positions=left[:room]))
            left, room = left[room:], room - len(unit[-1].positions)
            if not room:
                yield unit
                unit, room = [], size
    if unit:
        yield unit


def draw_unit(
    portions: Sequence[Portion], draw: Draw, on_drawn: OnDrawn | None = None, dates_per_task: int = 1
) -> list[Outcome]:
    """Draw a unit and publish it: images first, then their status, so that readers see whole images or none.

    Parameters
    ----------
    portions
        Of companies that differ, as `units` gives them.
    draw
        Draws blocks, here or on a cluster.
    on_drawn
        Called as sessions are drawn.
    dates_per_task
        The most sessions of one block.

    Returns
    -------
    list of Outcome
        Of each portion, in their order. Damage of one company keeps no other from being published.
    """
    began = time.perf_counter()
    left = sum(len(portion.positions) for portion in portions)
    total, blocks = left, []
    publications: dict[str, Publication] = {}
    for portion in portions:
        left -= len(portion.positions)
        blocks += portion.work.blocks(portion.positions, dates_per_task, left)
        publications[portion.symbol] = Publication(portion.work.store, portion.symbol)
    for symbol, receipts in draw(blocks):
        publications[symbol].add(receipts)
        if on_drawn is not None:
            on_drawn(symbol, len(receipts))
    outcomes = []
    for portion in portions:
        try:
            bad = publications[portion.symbol].finish()
        except StoreCorrupt as error:
            outcomes.append(Outcome(portion.symbol, corrupt=error))
            continue
        days = portion.work.days_at([receipt.index for receipt in bad])
        failed = tuple((day, receipt.error) for day, receipt in zip(days, bad, strict=True))
        outcomes.append(Outcome(portion.symbol, len(portion.positions) - len(bad), failed))
    each = (time.perf_counter() - began) / max(1, total)
    return [replace(one, seconds=each * len(of.positions)) for one, of in zip(outcomes, portions, strict=True)]


def draw_units(
    portions: Sequence[Portion], draw: Draw, on_drawn: OnDrawn | None = None, dates_per_task: int = 1
) -> list[Outcome]:
    """Draw and publish portions unit by unit.

    Parameters
    ----------
    portions
        Of companies that differ.
    draw
        Draws blocks, here or on a cluster.
    on_drawn
        Called as sessions are drawn.
    dates_per_task
        The most sessions of one block.

    Returns
    -------
    list of Outcome
        One or several of each company.
    """
    found: list[Outcome] = []
    for unit in units(portions):
        damaged = {one.symbol for one in found if one.corrupt}
        if whole := [portion for portion in unit if portion.symbol not in damaged]:
            found += draw_unit(whole, draw, on_drawn, dates_per_task)
    return found
