"""How fast images and patches reach a network, beside a bare Zarr loop, xbatcher and a memory map of arrays.

`python -m benchmarks.streaming` builds five companies of the bundled sample (2,525 images), reads a part of them in
random order on every way, in turns, and prints the median of the turns. Then two processes of their own measure the
memory of an epoch of training over all images and of streaming all patches. All figures are of one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

BATCH_IMAGES, BATCH_PATCHES, PATCH_PX = 32, 256, 32
WORKERS = 2
TURNS = 5
MAPPED_IMAGES = 500
"""Images in the memory map: 1.6 GB of float32."""
ENOUGH_SECONDS = 2.0
"""After which a slow reader's turn ends."""


def configuration(folder: Path) -> Any:
    """Return a configuration over the bundled sample, with a training of one epoch."""
    from finnex.config import parse_config
    from finnex.sample import SAMPLE_END, SAMPLE_START, SAMPLE_SYMBOLS, SYNTHETIC_TABLES, sample_tables

    inputs = {name: str(path) for name, path in sample_tables(folder / "inputs").items()}
    document = {
        "inputs": inputs | {"synthetic": list(SYNTHETIC_TABLES)}, "symbols": list(SAMPLE_SYMBOLS[:5]),
        "start": SAMPLE_START, "end": SAMPLE_END, "store": {"path": str(folder / "images.zarr")},
        "training": {"epochs": 1, "batch_size": BATCH_IMAGES},
    }  # fmt: skip
    return parse_config(document, folder / "finnex.toml")


def pinned_store(config: Any, images: int | None = None) -> Any:
    """Return the store's labelled samples, or some of them chosen at random, pinned."""
    from finnex.datasets import PinnedStore
    from finnex.datasets.samples import labelled_samples
    from finnex.store import ImageStore

    store = ImageStore.open(config.store.path)
    samples = labelled_samples(store, config.labels)
    if images is not None:
        chosen = np.sort(np.random.default_rng(0).permutation(len(samples))[:images])
        columns = {field.name: getattr(samples, field.name) for field in fields(samples)}
        samples = replace(
            samples, **{name: column[chosen] for name, column in columns.items() if isinstance(column, np.ndarray)}
        )
    return PinnedStore(store, samples)


def enough(items: Iterator[int]) -> int:
    """Count items until they end or have taken long enough."""
    began, done = time.perf_counter(), 0
    for count in items:
        done += count
        if time.perf_counter() - began > ENOUGH_SECONDS:
            break
    return done


class Ways:
    """Ways to read the same images; each returns how many images or patches came."""

    def __init__(self, config: Any, images: int, folder: Path) -> None:
        from finnex.datasets import ImageBatches, PatchBatches
        from finnex.store import ImageStore

        self.streamed, self.held = pinned_store(config, images), pinned_store(config, images)
        self.held.hold_in_memory(limit_bytes=1 << 40)
        samples, store = self.streamed.samples, ImageStore.open(config.store.path)
        self.rng = np.random.default_rng(0)
        self.where = [(samples.symbols[samples.symbol[row]], int(samples.index[row])) for row in range(len(samples))]
        self.arrays = {name: store.image_array(name) for name in samples.symbols}
        self.data = store.open_images(samples.symbols[0])[["image"]]
        # One sequence a way, as a training has: what it keeps from epoch to epoch it keeps here.
        self.sequences = {
            (kind, way): make(pinned, np.arange(len(samples)), size, shuffle=True, seed=1)
            for kind, make, size in (("images", ImageBatches, BATCH_IMAGES), ("patches", PatchBatches, BATCH_PATCHES))
            for way, pinned in (("thread", self.streamed), ("processes", self.streamed), ("memory", self.held))
        }
        self.epoch = 0
        self.mapped = self._map(folder / "images.npy")

    def _map(self, path: Path) -> Any:
        """Write some of the images as one float32 array, and open it as a memory map."""
        chosen = [self.where[place] for place in self.rng.permutation(len(self.where))[:MAPPED_IMAGES]]
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(chosen), 512, 512, 3))
        for place, (name, index) in enumerate(chosen):
            array[place] = self.arrays[name][index]
        array.flush()
        del array
        return np.load(path, mmap_mode="r")

    def load(self, kind: str, way: str) -> int:
        """Read an epoch through FinNeX."""
        from finnex.datasets import load

        sequence = self.sequences[kind, way]
        self.epoch += 1
        sequence.set_epoch(self.epoch)
        return sum(len(batch) for batch in load(sequence, workers=WORKERS if way == "processes" else 0))

    def bare_images(self) -> int:
        """Read whole chunks with Zarr in random order, nothing else."""
        for place in self.rng.permutation(len(self.where)):
            name, index = self.where[place]
            np.asarray(self.arrays[name][index])
        return len(self.where)

    def bare_patches(self) -> int:
        """Ask Zarr for one patch at a time."""

        def read() -> Iterator[int]:
            while True:
                name, index = self.where[self.rng.integers(len(self.where))]
                y, x = self.rng.integers(512 // PATCH_PX, size=2) * PATCH_PX
                np.asarray(self.arrays[name][index, y : y + PATCH_PX, x : x + PATCH_PX])
                yield 1

        return enough(read())

    def xbatcher_images(self) -> int:
        """Batches of whole images by xbatcher, which does not shuffle."""
        from xbatcher import BatchGenerator

        generator = BatchGenerator(
            self.data, {"date": BATCH_IMAGES, "y": 512, "x": 512, "channel": 3}, preload_batch=False
        )
        return enough(len(batch["image"].to_numpy()) for batch in generator)

    def xbatcher_patches(self) -> int:
        """Batches of all patches of an image by xbatcher, which does not shuffle."""
        from xbatcher import BatchGenerator

        generator = BatchGenerator(
            self.data, {"date": 1, "y": PATCH_PX, "x": PATCH_PX, "channel": 3},
            batch_dims={"date": 1, "y": 512, "x": 512}, concat_input_dims=True, preload_batch=False,
        )  # fmt: skip
        return enough(len(batch["image"].to_numpy()) for batch in generator)

    def mapped_images(self) -> int:
        """Batches of random images out of the memory map."""
        order = self.rng.permutation(len(self.mapped))
        return sum(len(self.mapped[order[at : at + BATCH_IMAGES]]) for at in range(0, len(order), BATCH_IMAGES))

    def mapped_patches(self) -> int:
        """Batches of random patches out of the memory map, one indexing a batch."""
        across = 512 // PATCH_PX
        cut = self.mapped.reshape(-1, across, PATCH_PX, across, PATCH_PX, 3).transpose(0, 1, 3, 2, 4, 5)

        def read() -> Iterator[int]:
            order = self.rng.permutation(len(cut) * across * across)
            for at in range(0, len(order), BATCH_PATCHES):
                image, down, right = np.unravel_index(order[at : at + BATCH_PATCHES], cut.shape[:3])
                yield len(cut[image, down, right])

        return enough(read())


def busy_seconds() -> float:
    """Return the processor time of this process and its children so far."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def in_turns(ways: dict[str, Callable[[], int]]) -> dict[str, tuple[float, float]]:
    """Return the median rate of each way, and the cores it used, over turns that all ways take one after another."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, run in ways.items():
            began, busy = time.perf_counter(), busy_seconds()
            count = run()
            seconds = time.perf_counter() - began
            found[name].append((count / seconds, (busy_seconds() - busy) / seconds))
    return {name: (statistics.median(r for r, _ in t), statistics.median(c for _, c in t)) for name, t in found.items()}


def rates(config: Any, images: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any], np.ndarray]:
    """Return the rates of whole images and of patches on every way, and the labels of the images."""
    import torch

    torch.set_num_threads(1)
    ways = Ways(config, images, folder)

    def finnex(kind: str) -> dict[str, Callable[[], int]]:
        return {
            "FinNeX, read ahead by threads": lambda: ways.load(kind, "thread"),
            f"FinNeX, {WORKERS} reading processes": lambda: ways.load(kind, "processes"),
            "FinNeX, held in memory": lambda: ways.load(kind, "memory"),
        }

    whole = {
        "bare Zarr read loop": ways.bare_images,
        **finnex("images"),
        "xbatcher, in order": ways.xbatcher_images,
        "np.load memory map, float32": ways.mapped_images,
    }
    cut = {
        "one Zarr read a patch": ways.bare_patches,
        **finnex("patches"),
        "xbatcher, in order": ways.xbatcher_patches,
        "np.load memory map, float32": ways.mapped_patches,
    }
    return in_turns(whole), in_turns(cut), ways.streamed.samples.label


def strays(labels: np.ndarray) -> float:
    """Return how much farther than if drawn from everywhere the labels of a batch of patches stray from all labels."""
    from finnex.datasets.epoch_order import PatchPlan
    from finnex.datasets.patch_batches import BLOCK_IMAGES

    patches = (512 // PATCH_PX) ** 2
    plan = PatchPlan(np.arange(len(labels)), BATCH_PATCHES, True, 1, 0, 1, patches, BLOCK_IMAGES)
    buys = labels == 2
    shares = [
        buys[rows[places // patches]].mean()
        for epoch in range(10)
        for block, rows in enumerate(plan.images(epoch))
        for places in plan.batches(epoch, block, len(rows))
    ]
    return float(np.std(shares) / np.sqrt(buys.mean() * (1 - buys.mean()) / BATCH_PATCHES))


def memory_of(what: str, folder: Path) -> dict[str, float]:
    """Measure in a process of its own, which has nothing else in memory."""
    command = [sys.executable, "-m", "benchmarks.streaming", "--memory-of", what, "--folder", str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def measure_memory(what: str, folder: Path) -> None:
    """Train or stream an epoch over the store in a folder; print peak memory and what else is worth knowing."""
    from benchmarks.build import PeakMemory
    from finnex.datasets import PatchBatches, load
    from finnex.store import ImageStore
    from finnex.training import train

    config, waiting = configuration(folder), float("nan")
    with PeakMemory() as memory:
        began = time.perf_counter()
        if what == "training":
            told: list[Any] = []
            train(config, ImageStore.open(config.store.path), on_progress=told.append)
            waiting = next(one.report.waiting_share for one in told if one.stage == "epoch")
            assert not any(one.stage == "read" for one in told), "the images were held in memory"
        else:
            pinned = pinned_store(config)
            batches = PatchBatches(pinned, np.arange(len(pinned.samples)), BATCH_PATCHES, shuffle=True)
            assert sum(len(batch) for batch in load(batches)) == len(pinned.samples) * (512 // PATCH_PX) ** 2
    seconds = time.perf_counter() - began
    print(json.dumps({"peak_bytes": memory.peak_bytes, "waiting": waiting, "seconds": seconds}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="how many are read for the rates")
    parser.add_argument("--memory-of", choices=["training", "patches"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        measure_memory(arguments.memory_of, arguments.folder)
        return
    from finnex.pipeline import build

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configuration(folder)
        built = build(config).built
        chunks = [file.stat().st_size for file in config.store.path.rglob("c.*.0.0.0")]
        images, patches, labels = rates(config, arguments.images, folder)
        memory = {what: memory_of(what, folder) for what in ("training", "patches")}
    print(f"{built} images of 512 x 512 x 3, {np.mean(chunks) / 1e6:.2f} MB each in the store, {arguments.images} read")
    print(f"{'whole images, batches of ' + str(BATCH_IMAGES):34} {'images/s':>10} {'of bare loop':>13} {'cores':>6}")
    bare = images["bare Zarr read loop"][0]
    for label, (rate, cores) in images.items():
        print(f"{label:34} {rate:10.0f} {rate / bare:13.2f} {cores:6.1f}")
    title = f"patches of {PATCH_PX} px, batches of {BATCH_PATCHES}"
    print(f"{title:34} {'patches/s':>10} {'of one a read':>13} {'cores':>6}")
    single = patches["one Zarr read a patch"][0]
    for label, (rate, cores) in patches.items():
        print(f"{label:34} {rate:10.0f} {rate / single:13.1f} {cores:6.1f}")
    print(f"labels of a batch of patches stray {strays(labels):.2f} times as far as if drawn from everywhere")
    for what, label in (("training", "one epoch of training, images"), ("patches", "one epoch of patches, no network")):
        found = memory[what]
        waited = "" if what == "patches" else f", waiting for data {found['waiting']:.1%} of a step"
        print(f"{label:34} {found['peak_bytes'] / 1e9:.2f} GB at most, {found['seconds']:.0f} s{waited}")


if __name__ == "__main__":
    main()
