"""What it costs that a build is on the disk when it says so, beside the same build followed by one `sync`.

`python -m benchmarks.durability [--rounds N] [--symbol S]` builds the bundled sample's sessions of one symbol on two
Dask workers, by turns as it is and with the flushes of drafts, small files and folders left out and one `sync` at the
end. Prints the ratio of the best rates first; the goal is 0.9.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.build import workers

GOAL = 0.9


def flushing(on: bool) -> None:
    """Let this process flush what it writes, or not."""
    from finnex.store import folder

    if not hasattr(folder, "kept"):
        folder.kept = (folder.flush, folder.flush_folder)  # type: ignore[attr-defined]
    nothing = (lambda *_: None, lambda *_: None)
    folder.flush, folder.flush_folder = folder.kept if on else nothing  # type: ignore[attr-defined]


def rate(config: Any, client: Any, *, flushed: bool) -> float:
    """Build into a new store and return images a second, the drawing and all that makes it durable included."""
    from finnex.pipeline import build

    shutil.rmtree(config.store.path, ignore_errors=True)
    os.sync()
    flushing(flushed)
    client.run(flushing, flushed)
    try:
        began = time.perf_counter()
        result = build(config, client=client)
        if not flushed:
            os.sync()
        return float(result.built / (time.perf_counter() - began))
    finally:
        flushing(True)
        client.run(flushing, True)


def main() -> None:
    """Build by turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--symbol", default="NVDA")
    options = parser.parse_args()
    from finnex.config import parse_config
    from finnex.sample import SYNTHETIC_TABLES, sample_tables

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = {table: str(path) for table, path in sample_tables(folder / "inputs").items()}
        document = {
            "inputs": inputs | {"synthetic": list(SYNTHETIC_TABLES)}, "symbols": [options.symbol],
            "store": {"path": "images.zarr"}, "dask": {"dates_per_task": 50},
        }  # fmt: skip
        config = parse_config(document, folder / "finnex.toml")
        with workers(config) as client:
            rate(config, client, flushed=True)  # everything is imported and warm
            found = [
                (rate(config, client, flushed=True), rate(config, client, flushed=False)) for _ in range(options.rounds)
            ]
    durable, synced = (max(rates) for rates in zip(*found, strict=True))
    print(f"ratio {durable / synced:.2f} (goal {GOAL}): durable {durable:.0f} images/s, one sync {synced:.0f} images/s")
    for number, (first, second) in enumerate(found, 1):
        print(f"  round {number}: {first:.0f} and {second:.0f} images/s")


if __name__ == "__main__":
    main()
