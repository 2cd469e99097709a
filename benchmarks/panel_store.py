"""Compare stores of a panel: on any number of workers, and after kills.

    python -m benchmarks.panel_store [--companies 12] [--images 20] [--workers 1 2 4] [--kills 20] [--seed 0]

Makes the tables of a panel whose universe changes, and the store that one process makes of them. Builds it again on
each number of workers. Then kills `finnex build --workers 2` at moments uniform over its duration, with SIGKILL: the
build alone, one of its workers, or all. After each kill every published image must be the undisturbed one; the same
command, where the build is gone, must then complete; and every array must have the undisturbed bytes. Exits with 1
where not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex.config import load_config
from finnex.pipeline import build
from finnex.store import ImageStore
from finnex.store.states import READY

SESSIONS = 320
OWN = ("rendered_at", "image_tag", "image")
"""Arrays with the time of a build, and the images, which are compared with the first store's one by one."""
WAIT_SECONDS = 900
VICTIMS = ("the build alone", "a worker", "all")


@dataclass(frozen=True)
class Panel:
    """A folder with tables and a configuration, and what the undisturbed store holds."""

    folder: Path
    wanted: dict[str, bytes]

    def store(self, name: str, workers: int) -> Path:
        """Write a configuration whose store has another name, and return its path."""
        text = (self.folder / "finnex.toml").read_text(encoding="utf-8")
        path = self.folder / f"{name}.toml"
        text = text.replace('path = "images.zarr"', f'path = "{name}.zarr"').replace(
            "workers = 0", f"workers = {workers}"
        )
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, config: Path, workers: int) -> list[str]:
        """Return the command that builds."""
        return [sys.executable, "-m", "finnex.cli", "build", "--config", str(config), "--workers", str(workers)]

    def differing(self, config: Path, *, partly: bool = False) -> list[str]:
        """Return the arrays that differ from the undisturbed ones; `partly`, only of images that are published."""
        path = load_config(config).store.path
        if not Path(path).exists() or (partly and not (Path(path) / "zarr.json").exists()):
            return [] if partly else ["there is no store"]
        found = contents(str(path))
        if partly:
            return [name for name, value in found.items() if "/image/" in name and self.wanted.get(name) != value]
        return sorted({name for name in found.keys() | self.wanted.keys() if found.get(name) != self.wanted.get(name)})


def contents(path: str) -> dict[str, bytes]:
    """Return the bytes of every array of every company, but for times; of images those that are published."""
    store, found = ImageStore.open(path), {}
    for symbol in store.symbols:
        data = store.open_sessions(symbol)
        for name in data.variables:
            if name not in OWN:
                found[f"{symbol}/{name}"] = data[str(name)].to_numpy().tobytes()
        days = data["date"].to_numpy().astype("datetime64[D]")
        for day in days[data["status"].to_numpy() == READY]:
            found[f"{symbol}/image/{day}"] = store.image(symbol, day.item()).tobytes()
    return found


def make(folder: Path, companies: int, images: int) -> Panel:
    """Write tables in which a third of the companies join, leave, or change their industry while images are drawn."""
    write_tables(folder, companies, SESSIONS)
    days = [str(day)[:10] for day in np.sort(pd.read_parquet(folder / "prices.parquet")["date"].unique())[-images:]]
    write_config(folder, companies)
    rows = []
    for number, symbol in enumerate(symbols_of(companies)):
        first = days[images // 3] if number % 6 == 1 else ""
        last = days[2 * images // 3] if number % 6 == 2 else ""
        rows.append(f"{symbol},{'Chips' if number % 2 else 'Software'},{first},{last}")
    (folder / "companies.csv").write_text("symbol,industry,from,to\n" + "\n".join(rows) + "\n", encoding="utf-8")
    lines = (folder / "finnex.toml").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("peers")]
    lines.insert(0, f"start = {days[0]}")
    lines.insert(lines.index("[inputs]") + 1, 'companies = "companies.csv"')
    (folder / "finnex.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = load_config(folder / "finnex.toml")
    result = build(config)
    print(f"{result.built} images of {companies} companies, {len(days)} sessions, in one process", flush=True)
    return Panel(folder, contents(str(config.store.path)))


def on_workers(panel: Panel, numbers: list[int]) -> int:
    """Build on each number of workers; return how many stores differ."""
    failures = 0
    for workers in numbers:
        config = panel.store(f"on_{workers}", workers)
        began = time.perf_counter()
        subprocess.run(panel.command(config, workers), check=True, capture_output=True)
        differing = panel.differing(config)
        failures += bool(differing)
        print(
            f"{workers} worker{'s' * (workers > 1)}: {len(differing)} arrays differ {differing[:3]}, "
            f"{time.perf_counter() - began:.1f} s",
            flush=True,
        )
    return failures


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the worker processes of a build."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        return [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    return []


def kill_builds(panel: Panel, kills: int, seed: int) -> int:
    """Kill builds at random moments; return how many faults there were."""
    rng, faults, made, number = random.Random(seed), 0, 0, 0
    config = panel.store("killed_0", 2)
    began = time.perf_counter()
    subprocess.run(panel.command(config, 2), check=True, capture_output=True)
    duration = time.perf_counter() - began
    while made < kills:
        number += 1
        config, victim = panel.store(f"killed_{number}", 2), rng.choice(VICTIMS)
        process = subprocess.Popen(
            panel.command(config, 2), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        moment = rng.uniform(0, duration)
        time.sleep(moment)
        children = workers_of(process)
        if process.poll() is not None or (victim == "a worker" and not children):
            process.kill()
            process.communicate()
            continue
        made += 1
        if victim == "a worker":
            with suppress(psutil.NoSuchProcess):
                rng.choice(children).kill()
        elif victim == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        found = panel.differing(config, partly=True)
        said = process.communicate(timeout=WAIT_SECONDS)[0].decode(errors="replace")
        if victim == "a worker" and process.returncode:
            found += [f"the build ended with {process.returncode}: {' '.join(said.split())[-300:]}"]
        if victim != "a worker":
            again = subprocess.run(panel.command(config, 2), check=False, capture_output=True, timeout=WAIT_SECONDS)
            if again.returncode:
                found += [f"the next build: {' '.join(again.stderr.decode(errors='replace').split())[-300:]}"]
        found += panel.differing(config)
        faults += len(found)
        print(f"kill {made}: {victim}, {moment:.1f} s after its start: {len(found)} faults {found[:3]}", flush=True)
    return faults


def main() -> None:
    """Print a line for each build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, default=12)
    parser.add_argument("--images", type=int, default=20, help="sessions that are drawn")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        panel = make(Path(name), options.companies, options.images)
        failures = on_workers(panel, options.workers)
        failures += kill_builds(panel, options.kills, options.seed) if options.kills else 0
    print(f"{failures} faults")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
