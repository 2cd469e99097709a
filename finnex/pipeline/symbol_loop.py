"""The loop over symbols: one for a build in this process, on Dask, and under Prefect.

Calendars of many companies are laid out together. Companies are prepared one after the other, and drawn together once
as many images are due as a batch takes. Companies of which nothing changed are not looked at. Where a read of one meets
damage that neither size nor time shows, the store is opened again, which mends it, and the read is repeated.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from itertools import islice
from typing import TypeVar

from finnex.data.bad_companies import problem_of
from finnex.errors import FinnexError, InputError, StoreCorrupt
from finnex.pipeline.build_result import BuildResult, of_failures
from finnex.pipeline.due_sessions import SymbolBuild, prepare_symbol
from finnex.pipeline.laying_out import LAID_OUT_TOGETHER, lay_out_ahead
from finnex.pipeline.leaving_out import leaves_out
from finnex.pipeline.portions import TASK_BYTES, TASK_IMAGES, Outcome, Portion
from finnex.pipeline.run_inputs import Run
from finnex.pipeline.stage_1 import Compute, Stage1Of, compute_here
from finnex.pipeline.store_opening import Opened, open_for_writing
from finnex.store import read_verified, scrub

T = TypeVar("T")


RunBatch = Callable[[Sequence[Portion]], Sequence[Outcome]]
"""Draws and publishes portions of companies that differ; gives one outcome or several of each."""


def draw_due(
    run: Run,
    opened: Opened,
    symbols: Iterable[str],
    run_batch: RunBatch,
    *,
    began: float,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    on_blocked: Callable[[str], None] = lambda _: None,
    on_mended: Callable[[str], None] = lambda _: None,
    on_unchanged: Callable[[str, int], None] = lambda _, __: None,
    on_prepared: Callable[[SymbolBuild], None] = lambda _: None,
    compute: Compute = compute_here,
) -> BuildResult:
    """Draw what is due of all symbols, batch by batch, and record where the inputs end; call under `writing`.

    Parameters
    ----------
    run
        Inputs and layout.
    opened
        The store, as `open_for_writing` gives it.
    symbols
        Symbols to draw.
    run_batch
        Draws and publishes a batch.
    began
        When the build began, by `time.perf_counter`.
    start, end
        Range to draw; absent, as `sessions_wanted` says.
    force
        Whether sessions are drawn that have an image already.
    on_blocked
        Called with a sentence where something of a symbol is damaged and nothing more of it is drawn.
    on_mended
        Called with a sentence where something in the store was damaged and is mended.
    on_unchanged
        Called with a symbol that is not looked at, as nothing of it changed, and how many of its sessions have their
        image.
    on_prepared
        Called with the work of each other symbol before it is drawn.
    compute
        Has Stage 1 of the symbols computed that are not left alone.

    Returns
    -------
    BuildResult
        How many images were built, skipped and failed, and the store's fingerprint.

    Raises
    ------
    StoreCorrupt
        Something in the store is damaged that cannot be made again; what other symbols were due is drawn.
    """
    drawing = _Drawing(
        run, opened, tuple(symbols), run_batch, start, end,
        on_blocked, on_mended, on_unchanged, on_prepared, force=force,
    )  # fmt: skip
    with compute(run, drawing.computed()) as stage_1_of:
        return drawing.result(began, stage_1_of)


class _Drawing:
    """A build that goes from symbol to symbol; the store is opened again where something whole turns out damaged."""

    def __init__(
        self,
        run: Run,
        opened: Opened,
        symbols: tuple[str, ...],
        run_batch: RunBatch,
        start: date | None,
        end: date | None,
        on_blocked: Callable[[str], None],
        on_mended: Callable[[str], None],
        on_unchanged: Callable[[str, int], None],
        on_prepared: Callable[[SymbolBuild], None],
        *,
        force: bool,
    ) -> None:
        self._run, self._opened, self._symbols = run, opened, symbols
        self._run_batch = run_batch
        self._start, self._end, self._force = start, end, force
        self._on_blocked, self._on_mended = on_blocked, on_mended
        self._on_unchanged, self._on_prepared = on_unchanged, on_prepared
        self._left = deque(symbols)
        self._laid_out: set[str] = set()
        """Companies whose calendars were looked at, ahead of their turn."""
        self._waiting: dict[str, Portion] = {}
        """Prepared, and not drawn yet."""
        self._built: Counter[str] = Counter()
        self._skipped: dict[str, int] = {}
        self._seconds = 0.0
        self._failures: dict[str, list[tuple[str, date, str]]] = {}
        self._renderer: dict[str, str] = {}
        """Of symbols of which all that was due was tried: the renderer that drew all their images."""
        self._damaged: Mapping[str, Sequence[date]] = {}
        self._still_damaged: list[str] = []
        self._record, self._known = opened.store.record(), read_verified(opened.store.path)
        if opened.mended:
            on_mended(opened.mended)

    def computed(self) -> list[str]:
        """Return the symbols that are not left alone, in their order."""
        spared = self._opened.current | self._opened.blocked.keys()
        return [symbol for symbol in self._symbols if symbol not in spared]

    def result(self, began: float, stage_1_of: Stage1Of) -> BuildResult:
        """Draw everything and record what is done."""
        self._stage_1_of = stage_1_of
        share = self._run.config.store.scrub_share
        scrubbed = self._trusting(lambda: scrub(self._opened.store, share, self._opened.blocked))
        self._damaged = scrubbed.damaged if scrubbed else {}
        fingerprint = self._trusting(self._draw_all)
        for said in self._still_damaged:
            self._on_blocked(said)
        self._opened.refuse(self._symbols)
        failures = tuple(one for found in self._failures.values() for one in found)
        built = self._built.total()
        complete = {  # by force no one looks whether images outside the range have lost their bar
            symbol: self._built[symbol] + self._skipped[symbol]
            for symbol in self._renderer
            if not self._force and not self._failures[symbol]
        }
        self._opened.verify(complete, fingerprint, scrubbed.finished if scrubbed else ())
        with suppress(InputError):  # where no company could be drawn whole, nothing excuses the failures
            self._run = self._run.without(of_failures(failures)) if leaves_out(self._run) and failures else self._run
        return BuildResult(
            built=built,
            skipped=sum(self._skipped.values()),
            failed=len(failures),
            seconds=time.perf_counter() - began,
            images_per_second=built / self._seconds if self._seconds else 0.0,
            fingerprint=fingerprint,
            failures=failures,
            warnings=(*self._run.warnings, *self._still_damaged),
            notes=self._run.notes,
            bad=self._run.bad,
        )

    def _trusting(self, work: Callable[[], T]) -> T:
        """Return what work gives; where it finds damage that neither size nor time shows, mend that and do it again."""
        try:
            return work()
        except StoreCorrupt:
            if not self._opened.whole:
                raise
        self._open_again()
        return work()

    def _open_again(self) -> None:
        """Open the store without trust, which mends it; what waits is prepared anew."""
        blocked = self._opened.blocked
        self._opened = open_for_writing(
            self._run, symbols=self._symbols, start=self._start, end=self._end, force=self._force
        )
        if self._opened.mended:
            self._on_mended(self._opened.mended)
        self._record = self._opened.store.record()
        self._left.extendleft(reversed(self._waiting))
        self._waiting.clear()
        again = self._opened.touched.difference(blocked, self._left)
        self._left.extend(symbol for symbol in self._symbols if symbol in again)

    def _draw_all(self) -> str:
        """Draw what is left, record where the inputs end, and return the fingerprint, '' where a symbol is blocked."""
        while self._left or self._waiting:
            if not self._left or self._is_enough():
                self._draw_waiting()
                continue
            if self._left[0] not in self._laid_out:
                self._trusting(self._lay_out_ahead)
            symbol = self._left.popleft()
            try:
                self._trusting(partial(self._look_at, symbol))
            except StoreCorrupt as error:
                self._block(symbol, error)
            except FinnexError as error:
                if not leaves_out(self._run, error):
                    raise
                self._run = self._run.without(problem_of(symbol, error))
        completed: dict[str, list[str]] = {}
        for symbol, renderer in self._renderer.items():
            completed.setdefault(renderer, []).append(symbol)
        for renderer, symbols in completed.items():
            self._opened.store.record_inputs(symbols, self._run.tables.limits(), renderer)
        damaged = self._damaged.items()
        self._still_damaged = [said for symbol, days in damaged if (said := _still_damaged(self._opened, symbol, days))]
        if any(symbol in self._opened.blocked for symbol in self._symbols):
            return ""
        known = self._known.fingerprint if self._opened.is_untouched(self._symbols) and not self._damaged else ""
        return known or self._opened.fingerprint(())

    def _lay_out_ahead(self) -> None:
        """Lay out the calendars of the next companies, but for those that are left alone, and for what is damaged."""
        ahead = list(islice((one for one in self._left if one not in self._laid_out), LAID_OUT_TOGETHER))
        spared = self._opened.blocked.keys() | (self._opened.current - self._damaged.keys())
        drawn = [symbol for symbol in ahead if symbol not in spared]
        lay_out_ahead(self._run, self._opened.store, drawn, self._start, self._end)
        self._laid_out.update(ahead)

    def _block(self, symbol: str, error: StoreCorrupt) -> None:
        self._on_blocked(self._opened.block(symbol, error))

    def _is_enough(self) -> bool:
        """Return whether what waits is a batch: by its images, or by the memory that it takes."""
        waiting = self._waiting.values()
        due = sum(len(portion.positions) for portion in waiting)
        return due >= TASK_IMAGES or sum(portion.work.held_bytes for portion in waiting) >= TASK_BYTES

    def _look_at(self, symbol: str) -> None:
        """Prepare a symbol, and let it wait to be drawn."""
        opened = self._opened
        self._renderer.pop(symbol, None)
        if symbol in opened.blocked:
            self._on_blocked(opened.blocked[symbol])
            return
        self._failures[symbol] = []
        if symbol in opened.current and symbol not in self._damaged:
            self._skipped[symbol] = self._known.companies[symbol].sessions
            self._renderer[symbol] = self._record.renderer(symbol)
            self._on_unchanged(symbol, self._skipped[symbol])
            return
        work = prepare_symbol(
            self._run, opened.store, symbol,
            start=self._start, end=self._end, force=self._force, compute=self._stage_1_of,
        )  # fmt: skip
        self._on_prepared(work)
        self._waiting[symbol] = work.portion()

    def _draw_waiting(self) -> None:
        """Draw what waits, and note what is complete; where damage is met, open the store again, or block symbols."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        damaged: dict[str, StoreCorrupt] = {}
        due = [portion for portion in waiting if portion.positions]
        for one in self._run_batch(due) if due else ():
            self._built[one.symbol] += one.built
            self._seconds += one.seconds
            self._failures[one.symbol] += [(one.symbol, day, reason) for day, reason in one.failed]
            if one.corrupt is not None:
                damaged[one.symbol] = one.corrupt
        for work in (portion.work for portion in waiting if portion.symbol not in damaged):
            symbol = work.symbol
            done = self._built[symbol] + len(self._failures[symbol])
            self._skipped[symbol] = work.due + work.skipped - done
            try:
                self._renderer[symbol] = work.renderer()
            except StoreCorrupt as error:
                damaged[symbol] = error
        if damaged and self._opened.whole:
            self._left.extendleft(damaged)
            self._open_again()
            return
        for symbol, found in damaged.items():
            self._block(symbol, found)


def _still_damaged(opened: Opened, symbol: str, days: Sequence[date]) -> str:
    """Say which images that the scrub found damaged this build did not draw again; '' where it drew all."""
    store = opened.store
    if symbol not in store.symbols:
        return ""
    left = store.damaged(symbol, store.rows_of(symbol, days).tolist())
    if not len(left):
        return ""
    first = store.values(symbol, "date").astype("datetime64[D]")[left[0]]
    return (
        f"{symbol}: {len(left)} {'image' if len(left) == 1 else 'images'} in {store.path} damaged, of {first}"
        f"{' and later' if len(left) > 1 else ''}. A build whose symbols and range cover them draws them again."
    )
