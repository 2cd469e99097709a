"""What TLS between the parts of a local cluster costs a build: the same cluster with and without, taking turns.

`python -m benchmarks.encryption [--symbol S] [--start D] [--end D] [--repeats N]` builds the same images of the bundled
sample into new stores, one date a task, which sends the most messages an image. The fastest of all turns counts: other
programs of the machine can only slow a turn down.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.build import WORKERS

MEMORY = "2GiB"


@contextmanager
def plain() -> Iterator[Any]:
    """Start the local cluster of a build as it would be without TLS."""
    import dask
    import distributed

    from flows.clusters.local import cluster_settings

    with (
        dask.config.set(cluster_settings()),
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, memory_limit=MEMORY, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


@contextmanager
def encrypted() -> Iterator[Any]:
    """Start the local cluster of a build."""
    from flows.clusters.local import local_cluster

    with local_cluster(WORKERS, MEMORY) as client:
        yield client


def timed_start(cluster: Callable[[], Any]) -> float:
    began = time.perf_counter()
    with cluster():
        return time.perf_counter() - began


def main() -> None:
    """Print ratios, then what they are made of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbol", default="NVDA")
    parser.add_argument("--start", type=date.fromisoformat, default=date(2020, 1, 2))
    parser.add_argument("--end", type=date.fromisoformat, default=date(2022, 12, 30))
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    from benchmarks.build import _import_everything
    from finnex.config import parse_config
    from finnex.pipeline import build
    from finnex.sample import sample_tables

    clusters = {"plain": plain, "TLS": encrypted}
    starts: dict[str, list[float]] = {name: [] for name in clusters}
    rates: dict[str, list[float]] = {name: [] for name in clusters}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = {table: str(path) for table, path in sample_tables(folder / "inputs").items()}
        for _ in range(arguments.repeats):
            for which, cluster in clusters.items():
                starts[which].append(timed_start(cluster))
        with plain() as first, encrypted() as second:
            for turn in range(arguments.repeats):
                for which, client in (("plain", first), ("TLS", second))[:: 1 if turn % 2 else -1]:
                    client.run(_import_everything)
                    document = {
                        "inputs": inputs, "symbols": [arguments.symbol], "start": arguments.start,
                        "end": arguments.end, "store": {"path": str(folder / f"{which}-{turn}")},
                        "dask": {"workers": WORKERS, "dates_per_task": 1},
                    }  # fmt: skip
                    result = build(parse_config(document, folder / "finnex.toml"), client=client)
                    assert result.failed == 0, result.failures
                    rates[which].append(result.images_per_second)
    rate = {which: max(found) for which, found in rates.items()}
    start = {which: min(found) for which, found in starts.items()}
    print(f"images/s with TLS over plain: {rate['TLS'] / rate['plain']:.3f} ({rate['TLS']:.0f} / {rate['plain']:.0f})")
    print(f"a start with TLS takes longer by {start['TLS'] - start['plain']:.2f} s ({start['TLS']:.2f} s)")
    print(f"{result.built} images, {WORKERS} workers, one date a task, the best of {arguments.repeats} turns each")
    for which, found in rates.items():
        print(f"  {which:6} images/s: {', '.join(f'{one:.0f}' for one in found)}")


if __name__ == "__main__":
    main()
