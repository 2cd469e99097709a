"""Sessions of several companies that are drawn together, and published in units that cost seconds to draw again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from finnex.errors import StoreCorrupt
from finnex.pipeline.drawing import Block, Draw
from finnex.store import Publication

if TYPE_CHECKING:
    from finnex.pipeline.due_sessions import SymbolBuild

UNIT_IMAGES = 250
"""Images that are drawn and published together: what a crash can cost, and how often progress is kept."""
TASK_IMAGES = 4000
"""Images of one Prefect task: a million are 250 tasks, and a night of 500 companies is one."""
TASK_BYTES = 256 << 20
"""Rows that wait to be drawn; more are not gathered for one task."""
LAST_IMAGES = 32
"""Images of a unit that are still drawn when the next is begun: workers take longer for them than that takes."""

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


class _Begun:
    """A unit whose drawing is begun: its blocks are on their way, and their receipts are to be taken up.

    Parameters
    ----------
    portions
        Of companies that differ, as `units` gives them.
    draw
        Draws blocks, here or on a cluster.
    dates_per_task
        The most sessions of one block.
    """

    def __init__(self, portions: Sequence[Portion], draw: Draw, dates_per_task: int) -> None:
        self.portions = portions
        self.images = self.drawing = left = sum(len(portion.positions) for portion in portions)
        self._publications: dict[str, Publication] = {}
        blocks: list[Block] = []
        for portion in portions:
            left -= len(portion.positions)
            blocks += portion.work.blocks(portion.positions, dates_per_task, left)
            self._publications[portion.symbol] = Publication(portion.work.store, portion.symbol)
        self.running = draw(blocks)

    def take_up(self, on_drawn: OnDrawn | None, left: int = 0) -> None:
        """Check every draft as its receipt comes, until so few images are still drawn; with 0 to the end of drawing."""
        for symbol, receipts in self.running:
            self.drawing -= len(receipts)
            self._publications[symbol].add(receipts)
            if on_drawn is not None:
                on_drawn(symbol, len(receipts))
            if self.drawing <= left and left:
                return

    def publish(self, damaged: Mapping[str, StoreCorrupt]) -> list[Outcome]:
        """Publish the images of each portion, but for companies that are damaged; one outcome of each."""
        return [self._outcome(portion, damaged.get(portion.symbol)) for portion in self.portions]

    def _outcome(self, portion: Portion, damage: StoreCorrupt | None) -> Outcome:
        if damage is not None:
            return Outcome(portion.symbol, corrupt=damage)
        try:
            bad = self._publications[portion.symbol].finish()
        except StoreCorrupt as error:
            return Outcome(portion.symbol, corrupt=error)
        days = portion.work.days_at([receipt.index for receipt in bad])
        failed = tuple((day, receipt.error) for day, receipt in zip(days, bad, strict=True))
        return Outcome(portion.symbol, len(portion.positions) - len(bad), failed)


def draw_units(
    portions: Sequence[Portion], draw: Draw, on_drawn: OnDrawn | None = None, dates_per_task: int = 1
) -> Iterator[tuple[Portion, Outcome]]:
    """Draw portions unit by unit and publish each: images first, then their status, so that readers see whole images.

    Workers draw the next unit while one is published: it is begun when few images of the one before are left.

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

    Yields
    ------
    tuple of Portion and Outcome
        Each part of a portion that a unit held, once the unit is published. Damage of one company keeps no other from
        being published, and what is left of that company from being drawn.
    """
    damaged: dict[str, StoreCorrupt] = {}

    def begun() -> _Begun | None:
        for unit in waiting:
            if whole := [portion for portion in unit if portion.symbol not in damaged]:
                return _Begun(whole, draw, dates_per_task)
        return None

    waiting, since = units(portions), time.perf_counter()
    unit = begun()
    while unit is not None:
        following, failure = None, None
        try:
            unit.take_up(on_drawn, LAST_IMAGES)
            try:
                following = begun()
            except Exception as error:  # what is drawn is published first
                failure = error
            unit.take_up(on_drawn)
            outcomes = unit.publish(damaged)
            now = time.perf_counter()
            each, since = (now - since) / max(1, unit.images), now
            for portion, one in zip(unit.portions, outcomes, strict=True):
                if one.corrupt is not None:
                    damaged[one.symbol] = one.corrupt
                yield portion, replace(one, seconds=each * len(portion.positions))
            if failure is not None:
                raise failure
        except BaseException:
            for under_way in (unit, following):
                if under_way is not None:
                    under_way.running.close()
            raise
        unit = following
