"""How fast images are built, beside writing the same arrays without drawing them, and beside other libraries.

`python -m benchmarks.build [--data FOLDER] [--symbol S] [--start D] [--end D]` builds from FOLDER's tables
(prices, macro, fundamentals, sentiment; the bundled sample without it) on two Dask worker processes, once with one
date a task and once with grouped dates, then writes the ready arrays to a plain Zarr array from two processes.
All figures of a table come from one run; only their ratios carry over to another machine.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.peers import all_peers

WORKERS = 2
GROUPED = 50
FEW_SESSIONS = 250
"""Peak memory of so many is set beside that of the whole range: it must not grow with the number of dates."""


class PeakMemory:
    """Samples the resident memory of this process and its children while it is entered."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(0.05):
            total = 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_bytes = max(self.peak_bytes, total)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def workers(config: Any) -> Iterator[Any]:
    """Start a LocalCluster as the command line does, with everything imported."""
    from flows.clusters.cluster import cluster_client

    with cluster_client(config) as client:
        assert client is not None
        client.run(_import_everything)
        yield client


def _import_everything() -> None:
    importlib.import_module("finnex.pipeline")


_ready: list[np.ndarray] = []


def _load(path: str) -> None:
    """Give a writer process its own copy of the arrays, before the clock starts."""
    import zarr

    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    _ready.extend(np.load(path))


def _warm(_: int) -> None:
    time.sleep(0.5)


def write_part(store: str, first: int) -> None:
    """Write the ready images to a plain Zarr array, one chunk an image: what any writer must at least do."""
    import zarr

    array = zarr.open_array(store, mode="r+")
    for index, image in enumerate(_ready):
        array[first + index] = image


def bare_write(images: np.ndarray, repeats: int) -> float:
    """Return images a second of two processes that write ready arrays, about as many as the build did."""
    import zarr
    from zarr.codecs import BloscCodec

    with tempfile.TemporaryDirectory() as folder:
        store, total = f"{folder}/bare.zarr", len(images) * repeats * WORKERS
        np.save(f"{folder}/images.npy", images)
        zarr.create_array(
            store, shape=(total, 512, 512, 3), chunks=(1, 512, 512, 3), dtype="float32",
            compressors=BloscCodec(cname="lz4", clevel=3, shuffle="shuffle"),
        )  # fmt: skip
        pool = multiprocessing.get_context("spawn").Pool(WORKERS, _load, (f"{folder}/images.npy",))
        pool.map(_warm, range(WORKERS), chunksize=1)
        began = time.perf_counter()
        pool.starmap(write_part, [(store, part * len(images)) for part in range(repeats * WORKERS)], chunksize=1)
        seconds = time.perf_counter() - began
        pool.close()
        pool.join()
        return total / seconds


def measure(config: Any, client: Any, start: date | None = None) -> tuple[Any, float]:
    """Build once and return the result with peak memory in bytes."""
    from finnex.pipeline import build

    with PeakMemory() as memory:
        result = build(config, client=client, start=start)
    return result, memory.peak_bytes


def start_of_the_last(config: Any, sessions: int) -> date:
    """Return the day from which so many sessions are left."""
    from finnex.data.features import symbol_calendar
    from finnex.data.tables import read_tables

    calendar = symbol_calendar(read_tables(config), config, config.symbols[0])
    day: date = calendar.days[calendar.between(config.start, config.end)[-sessions:][0]].item()
    return day


def stage_one(config: Any) -> tuple[float, int]:
    """Return seconds and sessions of one symbol's panel, tables already read."""
    from finnex.data.panel import make_panel
    from finnex.data.tables import read_tables
    from finnex.layout import load_layout

    tables, entries = read_tables(config), load_layout("mega").catalogue.entries
    make_panel(tables, config, config.symbols[0], entries)
    began = time.perf_counter()
    panel = make_panel(tables, config, config.symbols[0], entries)
    return time.perf_counter() - began, len(panel.calendar)


def configuration(arguments: argparse.Namespace, folder: Path) -> Callable[..., Any]:
    """Return a maker of configurations over the chosen tables."""
    from finnex.config import parse_config
    from finnex.sample import sample_tables

    if arguments.data:
        names = ("prices", "macro", "fundamentals", "sentiment")
        inputs = {name: str(Path(arguments.data).resolve() / f"{name}.csv.gz") for name in names}
    else:
        inputs = {name: str(path) for name, path in sample_tables(folder / "inputs").items()}

    def make(name: str, dates_per_task: int) -> Any:
        document = {
            "inputs": inputs, "symbols": [arguments.symbol], "start": arguments.start, "end": arguments.end,
            "store": {"path": str(folder / name)}, "dask": {"workers": WORKERS, "dates_per_task": dates_per_task},
        }  # fmt: skip
        return parse_config(document, folder / "finnex.toml")

    return make


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with prices.csv.gz, macro.csv.gz, ...; absent, the bundled sample")
    parser.add_argument("--symbol", default="NVDA")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2014, 7, 1))
    parser.add_argument("--end", type=date.fromisoformat, default=date(2022, 12, 30))
    arguments = parser.parse_args()
    from finnex.store import ImageStore

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make = configuration(arguments, folder)
        seconds, sessions = stage_one(make("unused", 1))
        rows = []
        with workers(make("unused", 1)) as client:
            few = make("store-few", GROUPED)
            few_result, few_peak = measure(few, client, start_of_the_last(few, FEW_SESSIONS))
            for label, dates_per_task in ((f"grouped, {GROUPED} dates a task", GROUPED), ("one date a task", 1)):
                config = make(f"store-{dates_per_task}", dates_per_task)
                result, peak = measure(config, client)
                rows.append((label, result, peak))
        store = ImageStore.open(config.store.path)
        images = store.open_images(arguments.symbol)["image"][:128].to_numpy()
        peers = all_peers(make("unused", 1), lookback=56)
        bare = bare_write(images, repeats=max(1, rows[0][1].built // (len(images) * WORKERS)))
    print(f"{arguments.symbol}, {rows[0][1].built} images, {WORKERS} worker processes")
    ten_years = seconds * 2520 / sessions
    print(
        f"{'Stage 1 and normalisation':34} {seconds:8.2f} s for {sessions} sessions ({ten_years:.2f} s for ten years)"
    )
    print(f"{'what':34} {'images/s':>9} {'of bare write':>14} {'peak memory':>12}")
    print(f"{'bare Zarr write, same arrays':34} {bare:9.0f} {1:14.2f}")
    for label, result, peak in rows:
        rate = result.images_per_second
        print(f"{'build, ' + label:34} {rate:9.0f} {rate / bare:14.2f} {peak / 1e9:9.2f} GB")
        assert result.failed == 0, result.failures
    print(
        f"peak memory of {rows[0][1].built} sessions over that of {few_result.built}: {rows[0][2] / few_peak:.2f} "
        f"({few_peak / 1e9:.2f} GB)"
    )
    for label, peer in peers:
        shown = f"{peer:9.1f} {peer / bare:14.3f}" if peer is not None else f"{'not here':>9}"
        print(f"{label:34} {shown}   (one process, stored nowhere)")


if __name__ == "__main__":
    main()
