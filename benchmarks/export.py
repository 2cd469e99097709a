"""What an export costs, by its number of sessions, beside a bare loop from xarray to `numpy.save`.

`python -m benchmarks.export` builds a year of NVDA of the bundled sample. Then processes of their own export a quarter
of it and all of it, with every part and with arrays alone, and write the daily files alone and by the bare loop.
Seconds are of the writing, peak memory is the process's with its imports; all figures are of one run.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SYMBOL, START, END, QUARTER = "NVDA", "2015-03-02", "2016-03-01", 63
ARRAYS = ("trainer", "mega_images_full", "batch_tensors", "patch_datasets", "cnn_ready")


def configuration(folder: Path) -> Any:
    from finnex.config import parse_config
    from finnex.sample import SYNTHETIC_TABLES, sample_tables

    inputs = {name: str(path) for name, path in sample_tables(folder / "inputs").items()}
    document = {
        "inputs": inputs | {"synthetic": list(SYNTHETIC_TABLES)}, "symbols": [SYMBOL], "start": START, "end": END,
        "labels": {"horizon": 1}, "training": {"embargo_sessions": 1},  # so that a quarter can be cut into parts
        "store": {"path": str(folder / "images.zarr")}, "dask": {"workers": 0},
    }  # fmt: skip
    return parse_config(document, folder / "finnex.toml")


def measure(folder: Path, what: str, sessions: int) -> None:
    """Export in this process, and print what it took as JSON."""
    from finnex.export import export
    from finnex.reporting.file_names import PART_NAMES
    from finnex.store import ImageStore

    config, out = configuration(folder), folder / "out"
    store = ImageStore.open(config.store.path)
    data = store.open_images(SYMBOL).isel(date=slice(0, sessions))
    days = data["date"].to_numpy().astype("datetime64[D]")
    began, before = time.perf_counter(), time.process_time()
    if what == "bare loop":
        out.mkdir()
        for position, day in enumerate(days):
            np.save(out / f"{day}.npy", data["image"][position].to_numpy())
    else:
        parts = {"all parts": PART_NAMES, "arrays": ARRAYS, "daily files": ("mega_images_full",)}[what]
        export(config, store, SYMBOL, out, parts=parts, end=days[-1].item())
    found = {
        "processor": time.process_time() - before,
        "seconds": time.perf_counter() - began,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "megabytes": sum(path.stat().st_size for path in out.rglob("*.*") if path.is_file()) / 1e6,
    }
    shutil.rmtree(out)
    print(json.dumps(found))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--measure", nargs=3, metavar=("FOLDER", "WHAT", "SESSIONS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.measure:
        folder, what, sessions = chosen.measure
        measure(Path(folder), what, int(sessions))
        return
    from finnex.pipeline import build

    with tempfile.TemporaryDirectory(prefix="finnex-") as scratch:
        folder = Path(scratch)
        year = build(configuration(folder)).built
        rows = [(what, n) for what in ("all parts", "arrays") for n in (QUARTER, year)]
        rows += [("daily files", year), ("bare loop", year)]
        found = {}
        print(f"{'what':12} {'sessions':>8} {'MB':>7} {'cpu s':>6} {'wall s':>6} {'peak MB':>8}")
        for what, n in rows:
            command = [sys.executable, "-m", "benchmarks.export", "--measure", str(folder), what, str(n)]
            one = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            found[what, n] = one
            seconds = f"{one['processor']:6.1f} {one['seconds']:6.1f}"
            print(f"{what:12} {n:8d} {one['megabytes']:7.0f} {seconds} {one['peak']:8.0f}")
    for what in ("all parts", "arrays"):
        ratio = found[what, year]["peak"] / found[what, QUARTER]["peak"]
        print(f"peak memory, {what}: {year} sessions over {QUARTER}: {ratio:.2f}")
    ratio = found["daily files", year]["processor"] / found["bare loop", year]["processor"]
    print(f"processor time, daily files over bare loop: {ratio:.2f}")


if __name__ == "__main__":
    main()
