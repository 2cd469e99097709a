"""Panel to images to store: the path a trading session takes.

`read_run` checks everything once; `prepare_symbol` computes the panel and finds the sessions that are due;
`SymbolBuild.run_batch` has their images drawn, here or on Dask, and publishes them. `build` is all of it in one
call; a Prefect flow calls the same pieces, one batch a task.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from finnex.config import HORIZONS, Config
from finnex.data.calendar import session_calendar
from finnex.data.features import make_context
from finnex.data.labels import KINDS, make_labels
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables, read_tables
from finnex.errors import ConfigError, nearest
from finnex.images.render import RENDERER_VERSION, Renderer
from finnex.layout import Layout, load_layout, parse_catalogue, parse_layout
from finnex.store import NOT_A_DAY, READY, DraftTarget, ImageStore, Receipt, StoreTemplate, writing

if TYPE_CHECKING:
    from distributed import Client

BATCH_SESSIONS = 128
"""Sessions drawn and published together: what a crash can cost, and how often progress is kept."""
TASKS_PER_WORKER = 4
"""Dask tasks kept in flight for each worker thread: enough to hide the scheduler, few enough to stop quickly."""


@dataclass(frozen=True)
class Run:
    """Everything that is the same for all symbols of a run: checked inputs and what an image is."""

    config: Config
    tables: Tables
    layout: Layout
    template: StoreTemplate


@dataclass(frozen=True)
class Block:
    """What one task draws: some sessions and the rows of the panel they look back on, nothing later.

    `ends[i]` is the position in `values` of the last row of image i.
    """

    store: str
    layout_hash: str
    target: DraftTarget
    values: npt.NDArray[np.float32]
    bars: npt.NDArray[np.float32]
    ends: tuple[int, ...]
    indexes: tuple[int, ...]
    hashes: tuple[int, ...]


Draw = Callable[[Sequence[Block]], Iterator[list[Receipt]]]
"""Draws blocks somewhere and yields their receipts as they finish, in any order."""


@dataclass(frozen=True)
class BatchOutcome:
    """What became of a batch."""

    built: int
    failed: tuple[tuple[date, str], ...]
    seconds: float


@dataclass(frozen=True)
class BuildResult:
    """What a build did; `failed` counts sessions, `failures` says which and why."""

    built: int
    skipped: int
    failed: int
    seconds: float
    images_per_second: float
    fingerprint: str
    failures: tuple[tuple[str, date, str], ...] = field(default=())


def read_run(config: Config) -> Run:
    """Read and check all inputs and the layout of a run.

    Raises
    ------
    InputError, ConfigError, LayoutError
        With everything that is wrong.
    """
    layout = load_layout(config.image.layout, config.image.lookback)
    tables = read_tables(config)
    template = StoreTemplate(
        layout_name=layout.name,
        layout_hash=layout.hash,
        layout_toml=layout.text,
        catalogue_csv=layout.catalogue.text,
        lookback_sessions=layout.lookback,
        shape=(layout.height, layout.width, len(layout.channels)),
        channels=layout.channels,
        regions=tuple(region.name for region in layout.regions),
        features=layout.catalogue.names,
        horizons=HORIZONS,
        label_kinds=KINDS,
        label_settings=config.labels.model_dump(exclude={"kind", "horizon"}),
        exchange=config.exchange,
        synthetic_tables=tuple(sorted(config.inputs.synthetic)),
    )
    return Run(config, tables, layout, template)


def open_for_writing(run: Run) -> ImageStore:
    """Open the run's store for writing, making it where there is none. Call under `finnex.store.writing`."""
    store = ImageStore.prepare(run.config.store.path, run.template)
    store.sweep_drafts()
    return store


@dataclass(frozen=True)
class SymbolBuild:
    """One symbol's sessions that are due, ready to be drawn."""

    run: Run
    store: ImageStore
    panel: Panel
    offset: int
    """Position on the store's axis of the panel's first session."""
    positions: npt.NDArray[np.intp]
    """Panel positions of the sessions that are due, ascending."""
    hashes: npt.NDArray[np.uint64]
    """Input hash of every panel position."""
    skipped: int

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.panel.symbol

    @property
    def due(self) -> int:
        """How many sessions are to be drawn."""
        return len(self.positions)

    def days(self, batch: Sequence[int]) -> tuple[date, date]:
        """Return the first and the last date of a batch."""
        days = self.panel.calendar.days
        return days[batch[0]].item(), days[batch[-1]].item()

    def batches(self, size: int = BATCH_SESSIONS) -> list[list[int]]:
        """Return the due sessions (panel positions) in batches, oldest first."""
        return [self.positions[first : first + size].tolist() for first in range(0, self.due, size)]

    def blocks(self, batch: Sequence[int], dates_per_task: int) -> list[Block]:
        """Cut a batch into tasks of at most `dates_per_task` sessions that lie near each other."""
        lookback = self.run.layout.lookback
        target = self.store.target(self.symbol, uuid.uuid4().hex[:12])
        groups: list[list[int]] = []
        for position in batch:
            if groups and len(groups[-1]) < dates_per_task and position - groups[-1][-1] <= lookback:
                groups[-1].append(position)
            else:
                groups.append([position])
        return [self._block(group, lookback, target) for group in groups]

    def _block(self, group: Sequence[int], lookback: int, target: DraftTarget) -> Block:
        first, last = group[0] - lookback + 1, group[-1]
        missing = max(0, -first)  # sessions before the first row of the input: not known
        rows = slice(max(0, first), last + 1)
        pad = ((missing, 0), (0, 0))
        return Block(
            store=str(self.store.path),
            layout_hash=self.run.layout.hash,
            target=target,
            values=np.pad(self.panel.normalized[rows], pad, constant_values=np.nan),
            bars=np.pad(self.panel.bars[rows], pad, constant_values=np.nan),
            ends=tuple(position - first for position in group),
            indexes=tuple(position + self.offset for position in group),
            hashes=tuple(int(self.hashes[position]) for position in group),
        )

    def run_batch(self, batch: Sequence[int], draw: Draw, on_progress: Callable[[int], None] | None = None, dates_per_task: int = 1) -> BatchOutcome:
        """Draw a batch and publish it: images first, then their status, so that readers see whole images or none."""
        began = time.perf_counter()
        receipts: list[Receipt] = []
        for done in draw(self.blocks(batch, dates_per_task)):
            receipts += done
            if on_progress is not None:
                on_progress(len(done))
        bad = self.store.publish(self.symbol, sorted(receipts, key=lambda receipt: receipt.index))
        days = self.panel.calendar.days
        failed = tuple((days[receipt.index - self.offset].item(), receipt.error) for receipt in bad)
        return BatchOutcome(len(receipts) - len(bad), failed, time.perf_counter() - began)


def prepare_symbol(
    run: Run, store: ImageStore, symbol: str, *, start: date | None = None, end: date | None = None, force: bool = False
) -> SymbolBuild:
    """Compute a symbol's panel, lay out its calendar, write its features and labels, and find what is due.

    Features are computed from the first row of the inputs whatever `start` says, so a nightly run and a full
    build agree bit for bit. A session is due when it is not published, or when its window, the layout or the
    renderer changed since.

    Raises
    ------
    ConfigError
        The symbol is not configured, or the range holds no session of it.
    """
    config = run.config
    if symbol not in config.symbols:
        raise ConfigError(f"symbol '{symbol}' is not among the configured symbols. {nearest(symbol, config.symbols)}")
    panel = make_panel(run.tables, config, symbol, run.layout.catalogue.entries)
    calendar = panel.calendar
    first_full = calendar.days[min(run.layout.lookback, len(calendar)) - 1].item()
    start, end = start or config.start or first_full, end or config.end
    wanted = calendar.between(start, end)
    if len(wanted) == 0:
        raise ConfigError(
            f"there is no session of {symbol} from {start} to {end or 'the last bar'}: its prices run from "
            f"{calendar.days[0]} to {calendar.days[-1]}. Change start or end."
        )
    first_year, last_year = calendar.days[0].astype("datetime64[Y]"), calendar.days[-1].astype("datetime64[Y]")
    axis = session_calendar(config.exchange, first_year.astype("datetime64[D]").item(), (last_year + 2).astype("datetime64[D]").item())
    # The last day asked for is 1 January two years on: never a session, so whole years are laid out.
    store.ensure_symbol(symbol, axis.days, run.template)
    state = store.state(symbol)
    offset = int(np.searchsorted(state.days, calendar.days[0]))
    hashes = _window_hashes(panel, run.layout)
    drawable = wanted[panel.traded[wanted]]
    store.mark_no_bar(symbol, wanted[~panel.traded[wanted]] + offset)
    rows = drawable + offset
    fresh = (state.status[rows] == READY) & (state.input_hash[rows] == hashes[drawable])
    due = drawable if force else drawable[~fresh]
    _write_tables(run, store, panel, offset, int(wanted[-1]) + 1)
    return SymbolBuild(run, store, panel, offset, due, hashes, len(drawable) - len(due))


def _window_hashes(panel: Panel, layout: Layout) -> npt.NDArray[np.uint64]:
    """Return one hash per session over all that its image is drawn from."""
    digests = panel.row_digests()
    padded = np.concatenate([np.zeros((layout.lookback - 1, 16), dtype=np.uint8), digests])
    seed = f"{layout.hash}|{RENDERER_VERSION}|".encode()
    found = [
        int.from_bytes(blake2b(seed + padded[row : row + layout.lookback].tobytes(), digest_size=8).digest(), "little")
        for row in range(len(digests))
    ]
    return np.array(found, dtype=np.uint64)


def _write_tables(run: Run, store: ImageStore, panel: Panel, offset: int, rows: int) -> None:
    """Write features and labels of the panel's sessions, where they differ from what is stored.

    Features go up to the last session asked for, labels to the last bar: an outcome that became known matures
    the labels of earlier sessions.
    """
    store.write_rows(panel.symbol, "feature_normalized", offset, panel.normalized[:rows])
    store.write_rows(panel.symbol, "feature_original", offset, panel.original[:rows])
    bars = make_context(run.tables, run.config, panel.symbol).bars
    for kind, labels in make_labels(bars, panel.calendar.days, run.config.labels).items():
        end = np.where(np.isnat(labels.end), NOT_A_DAY, labels.end.astype("datetime64[D]").astype("int64"))
        store.write_rows(panel.symbol, f"return_{kind}", offset, labels.outcome)
        store.write_rows(panel.symbol, f"label_end_{kind}", offset, end)
        store.write_rows(panel.symbol, f"label_{kind}", offset, labels.label)


@lru_cache(maxsize=4)
def _renderer(store: str, layout_hash: str) -> Renderer:
    """Return the renderer of a store's layout: read once a process, from the store itself."""
    attrs = ImageStore.open(Path(store)).attrs
    layout = parse_layout(attrs["layout_toml"], parse_catalogue(attrs["catalogue_csv"]), attrs["lookback_sessions"])
    assert layout.hash == layout_hash, f"the store holds layout {layout.hash}, the task was made for {layout_hash}"
    return Renderer(layout)


def draw_block(block: Block) -> list[Receipt]:
    """Draw the images of a block and leave them as drafts. Runs anywhere; a failure costs one session only."""
    receipts = []
    lookback = len(block.values) - (block.ends[-1] - block.ends[0]) if block.ends else 0
    for end, index, input_hash in zip(block.ends, block.indexes, block.hashes, strict=True):
        began = time.perf_counter()
        receipt = Receipt(index=index, input_hash=input_hash)
        try:
            window = slice(end - lookback + 1, end + 1)
            image, coverage = _renderer(block.store, block.layout_hash).draw(block.values[window], block.bars[window])
            draft, crc = block.target.write(index, image)
            receipts.append(replace(receipt, draft=draft, crc=crc, coverage=coverage, seconds=time.perf_counter() - began))
        except Exception as error:  # noqa: BLE001  told to the coordinator, which fails this session and goes on
            receipts.append(replace(receipt, error=f"{type(error).__name__}: {error}"))
    return receipts


def draw_here(blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
    """Draw in this process, one block after another."""
    for block in blocks:
        yield draw_block(block)


def draw_on_dask(client: Client) -> Draw:
    """Return a `Draw` that sends one task per block to a Dask cluster, a sliding window of them at a time.

    A worker that dies fails only the sessions it held when Dask gives up on them.
    """
    from distributed import as_completed  # noqa: PLC0415
    from distributed.scheduler import KilledWorker  # noqa: PLC0415

    def submit(block: Block, run: str) -> Any:
        # A key of its own: Dask must not answer with another run's future of the same arguments.
        return client.submit(draw_block, block, key=f"image-{run}-{block.indexes[0]}", pure=False, retries=1)

    def draw(blocks: Sequence[Block]) -> Iterator[list[Receipt]]:
        run, waiting = uuid.uuid4().hex[:8], list(reversed(blocks))
        held: dict[Any, Block] = {}
        running = as_completed([], loop=client.loop)

        def refill() -> None:
            room = TASKS_PER_WORKER * max(1, sum(client.nthreads().values())) - len(held)
            for _ in range(min(room, len(waiting))):
                block = waiting.pop()
                future = submit(block, run)
                held[future] = block
                running.add(future)

        refill()
        try:
            for future in running:
                block = held.pop(future)
                refill()
                try:
                    yield future.result()
                except KilledWorker:
                    reason = "the worker died while drawing it, more often than Dask allows; it may have run out of memory"
                    yield [Receipt(index, input_hash, error=reason) for index, input_hash in zip(block.indexes, block.hashes, strict=True)]
        finally:
            client.cancel(list(held))

    return draw


def build(
    config: Config,
    *,
    symbols: Iterable[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    client: Client | None = None,
    on_start: Callable[[str, int], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> BuildResult:
    """Build every due image of a run and return what was done.

    Parameters
    ----------
    client
        A Dask client to draw on; absent, images are drawn in this process.
    on_start
        Called with each symbol and the number of its sessions that are due.
    on_progress
        Called with the number of sessions just drawn.

    Raises
    ------
    InputError, ConfigError, LayoutError, StoreError
        Nothing stored is changed.
    """
    began = time.perf_counter()
    run = read_run(config)
    draw = draw_here if client is None else draw_on_dask(client)
    built = skipped = 0
    drawing_seconds = 0.0
    failures: list[tuple[str, date, str]] = []
    with writing(config.store.path):
        store = open_for_writing(run)
        for symbol in symbols or config.symbols:
            one = prepare_symbol(run, store, symbol, start=start, end=end, force=force)
            skipped += one.skipped
            if on_start is not None:
                on_start(symbol, one.due)
            for batch in one.batches():
                outcome = one.run_batch(batch, draw, on_progress, config.dask.dates_per_task)
                built += outcome.built
                drawing_seconds += outcome.seconds
                failures += [(symbol, day, error) for day, error in outcome.failed]
        fingerprint = store.fingerprint()
    return BuildResult(
        built=built,
        skipped=skipped,
        failed=len(failures),
        seconds=time.perf_counter() - began,
        images_per_second=built / drawing_seconds if drawing_seconds else 0.0,
        fingerprint=fingerprint,
        failures=tuple(failures),
    )
