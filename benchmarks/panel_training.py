"""How a training's loader fares on a panel: time to the first batch, rate and memory, next to a store of few companies.

    python -m benchmarks.panel_training [--companies 5 200] [--sessions 1000] [--images 8000] [--turns 2] [--workers 0]

Makes a store for each number of companies, whose image files are hard links to a few valid ones: a panel of 200 would
take 60 GB. So all images lie in the system's file cache, and disks are not measured. Each line is a process of its own,
without a network: from the open store to the first batch of an epoch over all samples; then two epochs of which
`--images` images are read, `PinnedStore.check` before each. Resident memory is what it was with the index in memory,
after the first epoch and after the second. The ratio is of the fastest epochs of all turns.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

KINDS = 16
"""Different images; a file has at most 65,000 names on ext4."""
FEATURES, HORIZON, BATCH = 375, 5, 16


@dataclass(frozen=True)
class Figures:
    """What one process measured: seconds, images per second and megabytes."""

    samples: int
    first_batch: float
    check: float
    rates: tuple[float, ...]
    memory: tuple[float, ...]


def make(path: Path, companies: int, sessions: int) -> None:
    """Publish a store: `KINDS` images by hand, the others as links to them; half of the labels are Buy."""
    from finnex.config import HORIZONS
    from finnex.store import NOT_A_DAY, READY, StoreWriter
    from tests.helpers.stores import publish, publish_one, template
    from tests.helpers.stores import sessions as weekdays

    made, days, rng = template((), FEATURES), weekdays(sessions), np.random.default_rng(0)
    store = StoreWriter.prepare(path, made)
    names = [f"C{number:04d}" for number in range(companies)]
    for name in names:
        store.ensure_symbol(name, days, made)
    coarse = rng.uniform(0.1, 0.9, (KINDS, 64, 64, 3)).astype(np.float32)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)
    target = store.target(names[0], "test")
    if publish(store, names[0], [publish_one(target, kind, images[kind]) for kind in range(KINDS)]):
        raise SystemExit("an image could not be published")
    crc = store.state(names[0]).image_crc[:KINDS][np.arange(sessions) % KINDS]
    label = np.full((sessions, len(HORIZONS)), -1, dtype=np.int8)
    label[:-HORIZON] = rng.integers(0, 3, sessions - HORIZON)[:, None]
    end = np.full((sessions, len(HORIZONS)), NOT_A_DAY)
    end[:-HORIZON] = days[HORIZON:].astype("datetime64[D]").astype("int64")[:, None]
    known = {
        "status": np.full(sessions, READY, dtype=np.int8), "image_crc": crc, "label_price_movement": label,
        "label_end_price_movement": end,
        "return_price_movement": np.where(label < 0, np.nan, (label - 1) * 0.01).astype(np.float32),
    }  # fmt: skip
    first = path / names[0] / "image"
    for name in names:
        for key, values in known.items():
            store.write_rows(name, key, 0, values)
        folder = path / name / "image"
        for index in range(sessions):
            if not (here := folder / f"c.{index}.0.0.0").exists():
                os.link(first / f"c.{index % KINDS}.0.0.0", here)


def measure(path: Path, images: int, workers: int, pipe: Connection) -> None:
    """Send what a training's reading costs; runs in a process of its own."""
    from finnex.config import LabelSettings
    from finnex.datasets import ImageBatches, PinnedStore, labelled_samples, load
    from finnex.store import ImageStore

    def resident() -> float:
        here = psutil.Process()
        return sum(one.memory_info().rss for one in (here, *here.children(recursive=True))) / 2**20

    began = time.perf_counter()
    store = ImageStore.open(path)
    samples = labelled_samples(store, LabelSettings(horizon=HORIZON))
    pinned = PinnedStore(store, samples)
    memory = [resident()]
    batches = ImageBatches(pinned, np.arange(len(samples)), BATCH, shuffle=True, seed=7)
    batches.set_epoch(1)
    next(load(batches, workers=workers))
    first = time.perf_counter() - began
    rates, checks = [], []
    for epoch in (1, 2):
        began = time.perf_counter()
        pinned.check()
        checks.append(time.perf_counter() - began)
        began, count = time.perf_counter(), 0
        for turn in range(-(-images // (len(batches) * BATCH))):  # a small store is read more than once
            batches.set_epoch(epoch + 2 * turn)
            count += sum(len(batch) for batch in islice(load(batches, workers=workers), (images - count) // BATCH))
        rates.append(count / (time.perf_counter() - began))
        memory.append(resident())
    pipe.send(Figures(len(samples), first, max(checks), tuple(rates), tuple(memory)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, nargs="+", default=[5, 200])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="reading processes; 0 is a thread")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        paths = {companies: Path(folder) / f"{companies}.zarr" for companies in options.companies}
        for companies, path in paths.items():
            make(path, companies, options.sessions)
        found: dict[int, list[Figures]] = {companies: [] for companies in paths}
        for _ in range(options.turns):
            for companies, path in paths.items():
                here, there = spawn.Pipe()
                child = spawn.Process(target=measure, args=(path, options.images, options.workers, there))
                child.start()
                there.close()
                found[companies].append(here.recv())
                child.join()
        heads = ("companies", "samples", "first batch", "check", "images/s", "ratio", "MB: index", "epoch 1", "epoch 2")
        print(f"load {os.getloadavg()[0]:.1f}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
        small = max(rate for one in found[options.companies[0]] for rate in one.rates)
        for companies, turns in found.items():
            rate, last = max(rate for one in turns for rate in one.rates), turns[-1]
            print(
                f"| {companies} | {last.samples} | {min(one.first_batch for one in turns):.2f} s "
                f"| {min(one.check for one in turns):.3f} s | {rate:.0f} | {rate / small:.2f} "
                f"| {' | '.join(f'{size:.0f}' for size in last.memory)} |"
            )


if __name__ == "__main__":
    main()
