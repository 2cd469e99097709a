"""How a training's loader fares on a panel: time to the first batch, rate and memory, next to a store of few companies.

    python -m benchmarks.panel_training [--companies 5 200] [--sessions 1000] [--images 8000] [--turns 2] [--workers 0]

Makes a store for each number of companies, whose image files are hard links to a few valid ones: a panel of 200 would
take 60 GB. So all images lie in the system's file cache, and disks are not measured. Each line is a process of its own,
without a network: from the open store to the first batch of an epoch over all samples; then two epochs of which
`--images` images are read, `PinnedStore.check` before each. Resident memory is what it was with the index in memory,
after the first epoch and after the second. The ratio is of a last process that reads from all stores in turn, 20
batches of each, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

KINDS = 16
"""Different images; ext4 gives a file 65,000 names at most."""
FEATURES, HORIZON, BATCH, PIECE = 375, 5, 16, 20


@dataclass(frozen=True)
class Figures:
    """What one process measured: seconds, images per second and megabytes."""

    samples: int
    first_batch: float
    check: float
    rates: tuple[float, ...]
    memory: tuple[float, ...]


def make(path: Path, companies: int, sessions: int) -> None:
    """Publish a company of `KINDS` images, then make all others of it: their files are links to its files."""
    from finnex.config import HORIZONS
    from finnex.store import NOT_A_DAY, READY, StoreWriter
    from finnex.store.place import place_of
    from finnex.store.record import read_record, write_record
    from finnex.store.zarr_metadata import read_document, root_document, write_document
    from tests.helpers.stores import publish, publish_one, template
    from tests.helpers.stores import sessions as weekdays

    made, days, rng = template((), FEATURES), weekdays(sessions), np.random.default_rng(0)
    store = StoreWriter.prepare(path, made)
    store.ensure_symbol("C0000", days, made)
    coarse = rng.uniform(0.1, 0.9, (KINDS, 64, 64, 3)).astype(np.float32)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)
    target = store.target("C0000", "test")
    if publish(store, "C0000", [publish_one(target, kind, images[kind]) for kind in range(KINDS)]):
        raise SystemExit("an image could not be published")
    label = np.full((sessions, len(HORIZONS)), -1, dtype=np.int8)
    label[:-HORIZON] = rng.integers(0, 3, sessions - HORIZON)[:, None]
    end = np.full((sessions, len(HORIZONS)), NOT_A_DAY)
    end[:-HORIZON] = days[HORIZON:].astype("datetime64[D]").astype("int64")[:, None]
    for name, values in {
        "status": np.full(sessions, READY, dtype=np.int8),
        "image_crc": store.state("C0000").image_crc[:KINDS][np.arange(sessions) % KINDS],
        "label_price_movement": label,
        "label_end_price_movement": end,
        "return_price_movement": np.where(label < 0, np.nan, (label - 1) * 0.01).astype(np.float32),
    }.items():
        store.write_rows("C0000", name, 0, values)
    folder = path / "C0000" / "image"
    for index in range(KINDS, sessions):
        os.link(folder / f"c.{index % KINDS}.0.0.0", folder / f"c.{index}.0.0.0")
    place = place_of(str(path))
    record, root, document = read_record(place), read_document(place), read_document(place, "C0000")
    assert record is not None
    assert root is not None
    assert document is not None
    company = record.companies["C0000"]
    more = [f"C{number:04d}" for number in range(1, companies)]
    for name in more:
        shutil.copytree(path / "C0000", path / name, copy_function=os.link)
        (path / name / "zarr.json").unlink()
        own = {**document, "attributes": {**document["attributes"], "symbol": name}}
        write_document(place, name, own)
        record = record.with_company(name, company)
    write_document(place, "", root_document(root, dict.fromkeys(more, document)))
    write_record(place, record)


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
        began, done = time.perf_counter(), 0
        for turn in range(-(-images // (len(batches) * BATCH))):  # a small store is read more than once
            batches.set_epoch(epoch + 2 * turn)
            done += sum(len(batch) for batch in islice(load(batches, workers=workers), (images - done) // BATCH))
        rates.append(done / (time.perf_counter() - began))
        memory.append(resident())
    pipe.send(Figures(len(samples), first, max(checks), tuple(rates), tuple(memory)))


def compare(paths: list[Path], images: int, workers: int, pipe: Connection) -> None:
    """Send images per second of each store, read in turn in short pieces; runs in a process of its own."""
    from finnex.config import LabelSettings
    from finnex.datasets import ImageBatches, PinnedStore, labelled_samples, load
    from finnex.store import ImageStore

    streams, seconds, counts = [], [0.0] * len(paths), [0] * len(paths)
    for path in paths:
        store = ImageStore.open(path)
        samples = labelled_samples(store, LabelSettings(horizon=HORIZON))
        rows = np.arange(len(samples))
        streams.append(endless(ImageBatches(PinnedStore(store, samples), rows, BATCH, shuffle=True), load, workers))
    for turn in range(-(-images // (PIECE * BATCH)) + 1):
        for number, stream in enumerate(streams):
            began = time.perf_counter()
            read = sum(len(next(stream)) for _ in range(PIECE))
            if turn:  # the first one also waits for what is read ahead
                seconds[number], counts[number] = seconds[number] + time.perf_counter() - began, counts[number] + read
    pipe.send([read / spent for read, spent in zip(counts, seconds, strict=True)])


def endless(batches: Any, load: Any, workers: int) -> Iterator[Any]:
    """Yield the batches of one epoch after another."""
    for epoch in count():
        batches.set_epoch(epoch)
        yield from load(batches, workers=workers, depth=1)


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

        def sent(run: Any, *given: Any) -> Any:
            here, there = spawn.Pipe()
            child = spawn.Process(target=run, args=(*given, options.images, options.workers, there))
            child.start()
            there.close()
            answer = here.recv()
            child.join()
            return answer

        found: dict[int, list[Figures]] = {companies: [] for companies in paths}
        for _ in range(options.turns):
            for companies, path in paths.items():
                found[companies].append(sent(measure, path))
        rates = sent(compare, list(paths.values()))
    heads = ("companies", "samples", "first batch", "check", "images/s", "ratio", "MB: index", "epoch 1", "epoch 2")
    print(f"load {os.getloadavg()[0]:.1f}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for (companies, turns), rate in zip(found.items(), rates, strict=True):
        last = turns[-1]
        print(
            f"| {companies} | {last.samples} | {min(one.first_batch for one in turns):.2f} s "
            f"| {min(one.check for one in turns):.3f} s | {max(max(one.rates) for one in turns):.0f} "
            f"| {rate / rates[0]:.2f} | {' | '.join(f'{size:.0f}' for size in last.memory)} |"
        )


if __name__ == "__main__":
    main()
