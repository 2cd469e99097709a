"""What may be interrupted: each scenario is one function that changes a store, and one that prepares it.

To add one: write a function `(world, path) -> None` and enter it with the function that makes the store before it,
or None, in `SCENARIOS`. The function must do the same when it is called again after a crash.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import finnex.pipeline.build_loop
import finnex.pipeline.portions
import finnex.pipeline.stage_1
import finnex.pipeline.workers
from finnex.config import Config, parse_config
from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.calendar import planned_sessions, session_calendar
from finnex.data.labels import KINDS
from finnex.data.panel import Panel, make_panel
from finnex.pipeline import BuildResult, Run, build, read_run
from finnex.pipeline.drawing import Block, Drawn, draw_block
from finnex.store import Receipt, StoreWriter, compact, restore, writing
from finnex.store.place import place_of

LOOKBACK, CANVAS_PX = 4, 16
FEATURES = ("return_overnight", "return_intraday", "close_location")
CATALOGUE = """\
name,table,unit,normalizer,low,high,window_sessions,max_age_sessions,orientation,region,source,meaning
return_overnight,prices,log,zscore,-3,3,63,0,1,technical,finnex,open against the close before
return_intraday,prices,log,zscore,-3,3,63,0,1,technical,finnex,close against the open of the session
close_location,prices,share,bounded,0,1,,0,1,technical,finnex,where the close lies between low and high
"""
LAYOUT = f"""\
[canvas]
name = "tiny"
height = {CANVAS_PX}
width = {CANVAS_PX}
channels = ["red", "green", "blue"]
lookback_sessions = {LOOKBACK}
[[section]]
name = "all"
rows = [0, {CANVAS_PX - 1}]
""" + "".join(
    f"""\
[[region]]
name = "{channel}"
channel = "{channel}"
rows = [0, {CANVAS_PX - 1}]
columns = [0, {CANVAS_PX - 1}]
encoder = "heatmap"
parameters = {{ session_px = {CANVAS_PX // LOOKBACK} }}
features = ["{feature}"]
"""
    for channel, feature in zip(("red", "green", "blue"), FEATURES, strict=True)
)
UNIT_IMAGES = 2
FIRST_IMAGE, YEAR_END = date(2015, 12, 28), date(2015, 12, 31)
FORMAT_3 = Path(__file__).parents[2] / "store" / "store_format_3.tar.xz"
CORRECTED, LOST = "2015-12-30", "2015-12-30"


def prices(symbol: str, end: str) -> pd.DataFrame:
    """Return seeded bars of a company from August 2015 on: z-scores of December are known."""
    days = session_calendar("XNYS", date(2015, 8, 3), date.fromisoformat(end)).days
    rng = np.random.default_rng(sum(symbol.encode()))
    walk = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 400)))[: len(days) + 1]  # a longer table begins as a shorter one
    opened, close = walk[:-1], walk[1:]
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    bars = {"open": opened, "high": high, "low": low, "close": close, "volume": 1e6}
    return pd.DataFrame({"symbol": symbol, "date": days.astype(str), **bars})


Reads = tuple[tuple[str, str], ...]
EVERYTHING: Reads = tuple((version, symbols) for version in ("first", "new_year", "corrected", "bar_lost")
                          for symbols in ("AB", "ABC"))  # fmt: skip


class World:
    """Tables in several versions, and builds over them that read each version once.

    Parameters
    ----------
    reads
        Versions and companies that are read at once, before any fork; others are read by each build.
    """

    def __init__(self, folder: Path, reads: Reads = EVERYTHING) -> None:
        self._runs: dict[Config, Run] = {}
        self._panels: dict[tuple[int, str], Panel] = {}
        self._folder = folder
        self.write_tables(folder)
        finnex.pipeline.build_loop.read_run = self._read_run  # type: ignore[assignment]
        finnex.pipeline.stage_1.make_panel = self._make_panel  # type: ignore[assignment]
        finnex.pipeline.portions.units.__defaults__ = (UNIT_IMAGES,)
        for version, symbols in reads:
            config = self.config(Path("unused"), version, symbols)
            run = self._read_run(config)
            for symbol in symbols:
                self._make_panel(run.tables, config, symbol, run.layout.catalogue.entries)
        for year in (2017, 2018):
            planned_sessions("XNYS", date(2015, 1, 1), date(year, 1, 1))
        xr.backends.list_engines()

    @staticmethod
    def write_tables(folder: Path) -> None:
        """Write catalogue, layout and all versions of the tables."""
        (folder / "catalogue.csv").write_text(CATALOGUE)
        (folder / "layout.toml").write_text(LAYOUT)
        first = pd.concat([prices("A", "2015-12-31"), prices("B", "2015-12-31"), prices("C", "2015-12-31")])
        corrected = first.copy()
        bar = corrected["date"] == CORRECTED  # a factor on the whole bar would change no picture of these features
        corrected.loc[bar, "close"] = corrected.loc[bar, "low"]
        versions = {
            "first": first,
            "new_year": pd.concat([prices(symbol, "2016-01-05") for symbol in "ABC"]),
            "corrected": corrected,
            "bar_lost": first[(first["date"] != LOST) | (first["symbol"] != "A")],
        }
        for name, table in versions.items():
            table.to_csv(folder / f"{name}.csv", index=False)

    def config(self, path: Path, version: str, symbols: str = "AB", **changes: Any) -> Config:
        """Return a configuration over a version of the tables."""
        document = {
            "inputs": {"prices": f"{version}.csv"}, "symbols": list(symbols), "sectors": [], "start": FIRST_IMAGE,
            "store": {"path": str(path)}, "image": {"layout": "layout.toml", "catalogue": "catalogue.csv"},
        }  # fmt: skip
        return parse_config(document | changes, self._folder / "finnex.toml")

    def build(self, path: Path, version: str, symbols: str = "AB", **options: Any) -> BuildResult:
        """Build in this process."""
        return build(self.config(path, version, symbols), **options)

    def read(self, path: Path, version: str) -> Run:
        """Return a run over a version of the tables."""
        return self._read_run(self.config(path, version))

    def _read_run(self, config: Config) -> Run:
        nowhere = config.model_copy(update={"store": config.store.model_copy(update={"path": Path("unused")})})
        key = nowhere.model_dump_json()
        if key not in self._runs:
            self._runs[key] = read_run(config)
        return replace(self._runs[key], config=config)

    def _make_panel(self, tables: Any, config: Config, symbol: str, specs: Any) -> Panel:
        key = (id(tables), symbol)
        if key not in self._panels:
            self._panels[key] = make_panel(tables, config, symbol, specs)
        return self._panels[key]


Act = Callable[[World, Path], object]


@contextmanager
def drawing_fails_at(index_from_end: int) -> Iterator[None]:
    """Let one session fail to draw, as a worker reports it."""

    def draw(blocks: Sequence[Block]) -> Iterator[Drawn]:
        last = max(index for block in blocks for index in block.indexes)
        for block in blocks:
            receipts = []
            for one in draw_block(block):
                if one.index == last - index_from_end:
                    place_of(block.target.address).delete(one.draft)  # a worker that fails leaves none
                    receipts.append(Receipt(one.index, one.input_hash, error="no memory"))
                else:
                    receipts.append(one)
            yield block.target.symbol, receipts

    real = finnex.pipeline.workers.draw_here
    finnex.pipeline.workers.draw_here = draw
    try:
        yield
    finally:
        finnex.pipeline.workers.draw_here = real


def first_build(world: World, path: Path, **options: Any) -> None:
    """Two companies, four sessions each, in two batches."""
    world.build(path, "first", **options)


def new_year(world: World, path: Path) -> None:
    """Two sessions of the next year: the calendar of every company grows by a year."""
    world.build(path, "new_year")


def redraw(world: World, path: Path) -> None:
    """A corrected bar: published sessions are drawn again."""
    world.build(path, "corrected")


def new_company(world: World, path: Path) -> None:
    """A third company."""
    world.build(path, "first", "ABC")


def removal(world: World, path: Path) -> None:
    """A published session loses its bar, and by force its image."""
    world.build(path, "bar_lost", force=True)


def failure(world: World, path: Path) -> None:
    """The last session cannot be drawn."""
    with drawing_fails_at(0):
        world.build(path, "first")


def predictions(world: World, path: Path) -> None:
    """A model's answers for the newest sessions are recorded."""
    with writing(path):
        store = StoreWriter.reopen(path)
        for symbol in "AB":
            indexes = store.unpredicted(symbol, 2)
            answers = np.full((len(indexes), 3), 1 / 3)
            store.record_predictions(symbol, indexes.tolist(), answers, 1)


def quarantine(world: World, path: Path) -> None:
    """Two published sessions are withheld."""
    with writing(path):
        store = StoreWriter.reopen(path)
        store.quarantine("A", store.rows_of("A", [FIRST_IMAGE, YEAR_END]), "odd")


def quarantined(world: World, path: Path) -> None:
    """A first build, two of whose sessions are withheld."""
    first_build(world, path)
    quarantine(world, path)


def release(world: World, path: Path) -> None:
    """Sessions that were withheld are shown again."""
    with writing(path):
        store = StoreWriter.reopen(path)
        store.release("A", store.rows_of("A", [FIRST_IMAGE, YEAR_END]))


def compaction(world: World, path: Path) -> None:
    """The closed year of every company moves into one file each."""
    with writing(path):
        compact(StoreWriter.reopen(path), 2016, "AB")


def compacted(world: World, path: Path) -> None:
    """A first build whose year is compacted."""
    first_build(world, path)
    compaction(world, path)


def released_in_compacted(world: World, path: Path) -> None:
    """A compacted year in which two sessions were withheld, and were released since: they have files of their own."""
    quarantined(world, path)
    compaction(world, path)
    release(world, path)


def removed_company(world: World, path: Path) -> None:
    """A company leaves the store with all that it has there."""
    with writing(path):
        StoreWriter.reopen(path).remove("B")


def damage(path: Path) -> None:
    """Damage what readers go by, the journal, what is kept of one company's images, and features of the other."""
    for key in ("zarr.json", ".finnex/root.json", ".finnex/journal.json", "A/coverage/c.0.0", "B/feature_scale/c.0.0"):
        assert key.endswith("journal.json") or (path / key).exists(), key
        (path / key).write_bytes(b"damaged")


def repair(world: World, path: Path) -> None:
    """A repair, and the build that it asks for."""
    with writing(path):
        restore(path, world.read(path, "first").template, lambda _: True)
    world.build(path, "first")


def format_3(world: World, path: Path) -> None:
    """A store that an earlier version wrote."""
    with tarfile.open(FORMAT_3) as archive:
        archive.extractall(path, filter="data")


def upgrade(world: World, path: Path) -> None:
    """The first writer of this version opens a store of an earlier one."""
    with writing(path):
        StoreWriter.reopen(path)


def further_labels(world: World, path: Path) -> None:
    """The companies get the arrays of further kinds of labels, as the first build with a table of companies does it."""
    template = world.read(path, "first").template
    with writing(path):
        store = StoreWriter.reopen(path)
        axes = {symbol: store.values(symbol, "date").astype("datetime64[D]") for symbol in store.symbols}
        store.ensure_symbols(axes, replace(template, label_kinds=(*KINDS, *ACROSS_THE_SECTION)))


@dataclass(frozen=True)
class Scenario:
    """A change of a store that is interrupted, and what makes the store before it; None begins with nothing.

    Attributes
    ----------
    reads
        Versions of the tables that it is built from, and the companies.
    redraws
        It replaces published images by others. Without other bytes a kill between an image and its checksum would
        show nothing, with or without the journal.
    damage
        Damages the store before the change, which makes it again what it was: until then readers may refuse it.
    """

    act: Act
    prepare: Act | None = first_build
    reads: Reads = (("first", "AB"),)
    redraws: bool = False
    damage: Callable[[Path], None] | None = None


SCENARIOS: dict[str, Scenario] = {
    "fresh store": Scenario(first_build, None),
    "new year": Scenario(new_year, reads=(("first", "AB"), ("new_year", "AB"))),
    "redraw": Scenario(redraw, reads=(("first", "AB"), ("corrected", "AB")), redraws=True),
    "new company": Scenario(new_company, reads=(("first", "AB"), ("first", "ABC"))),
    "removal": Scenario(removal, reads=(("first", "AB"), ("bar_lost", "AB"))),
    "removed company": Scenario(removed_company),
    "failed session": Scenario(failure, partial(first_build, end=date(2015, 12, 29))),
    "predictions": Scenario(predictions),
    "quarantine": Scenario(quarantine),
    "release": Scenario(release, quarantined),
    "further labels": Scenario(further_labels),
    "compaction": Scenario(compaction),
    "compacted again": Scenario(compaction, released_in_compacted),
    "redraw in a compacted year": Scenario(
        redraw, compacted, reads=(("first", "AB"), ("corrected", "AB")), redraws=True
    ),
    "quarantine in a compacted year": Scenario(quarantine, compacted),
    "repair": Scenario(repair, damage=damage),
    "upgrade": Scenario(upgrade, format_3, reads=()),
}
