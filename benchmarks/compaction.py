"""Random reads of a compacted store against one with a file an image, and what the compaction costs.

`python -m benchmarks.compaction [--years N] [--turns N]` draws 60 sessions of the bundled sample, fills closed years of
one company with these images, copies the store, compacts the copy, and reads both in random order, in turns: through
the product's loader (a thread reads ahead), and image by image. Once with the files in the system's cache, once after
they were dropped from it. Prints medians of the turns, by the clock and by processor time (which other work on the
machine disturbs less), and the files of a company and year.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

DRAWN = 60
"""Different images; the sessions take them in turn."""
FIRST_YEAR, BATCH_IMAGES = 2012, 32
SYMBOL = "NVDA"


def drawn(folder: Path) -> np.ndarray:
    """Return images of the bundled sample, (session, y, x, channel)."""
    from finnex.config import parse_config
    from finnex.pipeline import build
    from finnex.sample import SAMPLE_START, SYNTHETIC_TABLES, sample_tables
    from finnex.store import ImageStore

    inputs = {name: str(path) for name, path in sample_tables(folder / "inputs").items()}
    document = {
        "inputs": inputs | {"synthetic": list(SYNTHETIC_TABLES)}, "symbols": [SYMBOL], "start": SAMPLE_START,
        "store": {"path": str(folder / "drawn.zarr")},
    }  # fmt: skip
    config = parse_config(document, folder / "finnex.toml")
    build(config, end=(np.datetime64(SAMPLE_START) + np.timedelta64(DRAWN * 3 // 2, "D")).item())
    return ImageStore.open(config.store.path).open_images(SYMBOL)["image"].to_numpy()


def stores(folder: Path, years: int) -> tuple[dict[str, Path], float, int]:
    """Make the two stores; return their paths, the seconds of the compaction, and the images."""
    from finnex.data.calendar import session_calendar
    from finnex.store import StoreWriter, compact, writing
    from tests.helpers.stores import make_store

    images = drawn(folder)
    days = session_calendar("XNYS", date(FIRST_YEAR, 1, 1), date(FIRST_YEAR + years - 1, 12, 31)).days
    paths = {"a file an image": folder / "files.zarr", "compacted": folder / "compacted.zarr"}
    loose, compacted = paths.values()
    label = np.arange(len(days)) % 3
    with writing(loose):
        make_store(loose, days, lambda _, row: images[row % len(images)], {SYMBOL: label})
    shutil.copytree(loose, compacted)
    began = time.perf_counter()
    with writing(compacted):
        done = compact(StoreWriter.reopen(compacted), FIRST_YEAR + years, [SYMBOL])
    assert [one.left for one in done] == [""] * years
    return paths, time.perf_counter() - began, sum(one.images for one in done)


def drop_from_cache(path: Path) -> None:
    """Have the system forget the files of a store."""
    os.sync()
    for file in path.rglob("*"):
        if file.is_file():
            opened = os.open(file, os.O_RDONLY)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(opened)


def by_loader(path: Path) -> Callable[[int], int]:
    """Return what reads an epoch in random order through the loader, and returns how many images came."""
    from finnex.config import LabelSettings
    from finnex.datasets import ImageBatches, PinnedStore, labelled_samples, load
    from finnex.store import ImageStore

    store = ImageStore.open(path)
    samples = labelled_samples(store, LabelSettings(kind="price_movement", horizon=5))
    batches = ImageBatches(PinnedStore(store, samples), np.arange(len(samples)), BATCH_IMAGES, shuffle=True, seed=1)

    def read(epoch: int) -> int:
        batches.set_epoch(epoch)
        return sum(len(batch) for batch in load(batches))

    return read


def one_by_one(path: Path) -> Callable[[int], int]:
    """Return what reads every image in random order, decoded and checked."""
    from finnex.store import ImageStore

    store = ImageStore.open(path)
    crcs, planes = store.state(SYMBOL).image_crc, np.empty((3, 512, 512), dtype=np.float32)
    rows = np.flatnonzero(crcs)

    def read(epoch: int) -> int:
        for row in np.random.default_rng(epoch).permutation(rows).tolist():
            store.read_planes(SYMBOL, row, planes, int(crcs[row]))
        return len(rows)

    return read


def measure(paths: dict[str, Path], turns: int) -> None:
    """Read the stores in turns and print the rates, the ratio first."""
    ways: dict[str, Callable[[Path], Callable[[int], int]]] = {"loader": by_loader, "image by image": one_by_one}
    for way, opened in ways.items():
        readers = {name: opened(path) for name, path in paths.items()}
        for cached in (True, False):
            rates: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
            for turn in range(turns + 1):
                for name, read in readers.items():
                    if not cached:
                        drop_from_cache(paths[name])
                    began, busy = time.perf_counter(), time.process_time()
                    count = read(turn)
                    if turn:  # the first opens files and fills caches
                        seconds = time.perf_counter() - began, time.process_time() - busy
                        rates[name].append((count / seconds[0], count / seconds[1]))
            print(f"{way}, {'cached' if cached else 'dropped from the cache'}:", flush=True)
            for number, clock in enumerate(("by the clock", "by processor time")):
                files, shards = ([rate[number] for rate in of_turns] for of_turns in rates.values())
                print(
                    f"  ratio {statistics.median(np.divide(shards, files)):.2f} {clock}; a file an image "
                    f"{statistics.median(files):.0f}/s, compacted {statistics.median(shards):.0f}/s",
                    flush=True,
                )


def files_of_years(path: Path, years: int) -> dict[str, float]:
    """Return how many image files, and how many files below its folder, a company has for a year."""
    company = path / SYMBOL
    images = [*company.glob("image/c.*"), *company.glob("years/*/image/c.*")]
    of_years = [one for one in company.glob("years/**/*") if one.is_file()]
    return {
        "image files": len(images) / years,
        "other files of the year": (len(of_years) / years - 1) if of_years else 0,
    }


def main(arguments: Any = None) -> None:
    """Make the stores, read them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        paths, seconds, images = stores(Path(name), options.years)
        for kind, path in paths.items():
            counts = ", ".join(f"{count:.0f} {what}" for what, count in files_of_years(path, options.years).items())
            print(f"{kind}: {counts} a company and year")
        print(f"compaction: {images} images in {seconds:.1f} s, {seconds / options.years:.1f} s a company and year")
        measure(paths, options.turns)


if __name__ == "__main__":
    main()
