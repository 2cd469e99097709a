"""How fast and how large is a training of the `small` networks? Through the real loop, from a real store.

    python -m benchmarks.training                    # 1,000 images an epoch; add --images 2500 for the memory

Prints, for each network, seconds of an epoch over the training images (goal: <= 60 s for 1,000 on two cores), the share
of it in which the network waited for data (<= 5 %), and the peak memory of the process (< 4 GB for 2,500 images). Each
network is trained in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

NETWORKS = ("multiscale_cnn", "vit")
TRAIN = 0.9


def make(path: Path, images: int) -> None:
    """Publish a store of planted images, as a build would, drawn once."""
    from benchmarks.markets import CELLS, one_cell_market
    from tests.helpers.stores import make_store, sessions

    market = one_cell_market(CELLS[0], images, seed=0)
    make_store(
        path, sessions(images),
        lambda _, i: market.images(np.array([i]))[0].permute(1, 2, 0).float().numpy().copy(),
        {"PLANTED": market.label},
    )  # fmt: skip


def measure(path: Path, network: str, epochs: int, threads: int) -> None:
    """Train in this process and print a line."""
    from finnex.config.training import TrainingSettings
    from finnex.store import ImageStore
    from finnex.training import train
    from tests.helpers.stores import make_config

    store = ImageStore.open(path)
    config = make_config(
        store, path.parent, epochs=epochs, batch_size=TrainingSettings().batch_size, train_fraction=TRAIN,
        validation_fraction=0.05, baselines=("majority",), threads=threads,
    )  # fmt: skip
    config = config.model_copy(update={"model": config.model.model_copy(update={"architecture": network})})
    result = train(config, store, folder=path.parent / network)
    last = result.history[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"| {network} | {last.images_per_second * last.seconds:.0f} | {last.seconds:.1f} "
        f"| {1000 / last.images_per_second:.1f} | {100 * last.waiting_share:.1f} | {peak:.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1120)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--network", choices=NETWORKS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.store is not None:
        measure(asked.store, asked.network, asked.epochs, asked.threads)
        return
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        path = Path(folder) / "images.zarr"
        make(path, asked.images)
        print(
            f"{asked.images} images in the store, {asked.threads} threads, last of {asked.epochs} epochs; load "
            f"{os.getloadavg()[0]:.1f}\n\n| network | images | epoch, s | 1,000 images, s | waiting, % | peak, GB |\n"
            "|---|---|---|---|---|---|",
            flush=True,
        )
        for network in [asked.network] if asked.network else NETWORKS:
            command = [
                sys.executable, "-m", "benchmarks.training", "--store", str(path), "--network", network,
                "--epochs", str(asked.epochs), "--threads", str(asked.threads),
            ]  # fmt: skip
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
