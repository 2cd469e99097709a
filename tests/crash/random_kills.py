"""Whole builds, `finnex build` as an operator starts it, are killed at random moments.

They draw in their own process or on two Dask workers; the signal goes to that process alone or to all. The moment is
uniform over the time in which a build holds the store's lock: before, it has changed nothing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from crash.control import Control, Shim
from crash.scenarios import World
from crash.states import Between, Stored, stored

STORE = "images.zarr"
CHANGES = (("first", "AB"), ("first", "ABC"), ("corrected", "ABC"), ("new_year", "ABC"))
"""Tables and companies: a new store, a new company, a redraw, a new year with a redraw."""
FIRST_DAY = "2015-10-01"
BUILD_SECONDS = 300
MOST_KILLS = 6
"""Of one change, before it may complete."""


@dataclass
class Builds:
    """Command lines over a version of the tables each, into a store."""

    folder: Path
    shim: Shim
    control: Control
    durations: dict[int, float] = field(default_factory=dict)
    """Seconds from the first change of a file to the end, of the latest undisturbed build of each change."""

    def __post_init__(self) -> None:
        self.environment = os.environ | self.shim.environment
        self.environment |= {"TMPDIR": str(self.folder), "FINNEX_HOME": str(self.folder / "home")}
        World.write_tables(self.folder)

    def start(self, number: int, store: Path, workers: int) -> subprocess.Popen[bytes]:
        """Start a build of a change, in a process group of its own."""
        version, symbols = CHANGES[number]
        config = self.folder / "finnex.toml"
        config.write_text(f"""\
symbols = {list(symbols)}
sectors = []
start = {FIRST_DAY}
[inputs]
prices = "{version}.csv"
[store]
path = "{store}"
[image]
layout = "layout.toml"
catalogue = "catalogue.csv"
""")
        command = [sys.executable, "-m", "finnex.cli", "build", "--config", str(config), "--workers", str(workers)]
        self.control.watch(store.parent)
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(command, env=self.environment, stdout=said, stderr=said, start_new_session=True)

    def wait_for_a_change(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a build changes a file, which is when it takes the lock, or ends."""
        while not self.control.count and process.poll() is None:
            time.sleep(0.001)

    def complete(self, number: int, store: Path) -> list[str]:
        """Build undisturbed; return what is wrong."""
        process = self.start(number, store, 0)
        self.wait_for_a_change(process)
        began = time.monotonic()
        code = process.wait(BUILD_SECONDS)
        self.durations[number] = time.monotonic() - began
        return [] if code == 0 else [f"the next build ended with {code}: {self.said()}"]

    def said(self) -> str:
        """Return the end of what the latest build printed."""
        return " ".join((self.folder / "said").read_text(errors="replace").split())[-300:]


def undisturbed(builds: Builds, folder: Path) -> list[Stored]:
    """Make all changes; return the state before the first and after each, and keep a copy of each."""
    store, found = folder / "calm" / STORE, [stored(folder / "nowhere" / STORE)]
    store.parent.mkdir()
    for number in range(len(CHANGES)):
        faults = builds.complete(number, store)
        assert not faults, faults
        shutil.copytree(store.parent, folder / f"after{number}")
        found.append(stored(store))
    assert Between(found[2], found[3]).redrawn(), "the redraw changes no picture"
    return found


def random_kills(kills: int, seed: int, folder: Path, shim: Shim, control: Control) -> tuple[int, list[str]]:
    """Kill builds; return how many kills met a store that was neither as before nor as after, and what was wrong."""
    rng, faults, made, between_states = random.Random(seed), list[str](), 0, 0
    builds = Builds(folder, shim, control)
    states = undisturbed(builds, folder)
    store = folder / "store" / STORE
    while made < kills:
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        for number, change in enumerate(CHANGES):
            between, wanted = Between(states[number], states[number + 1]), rng.randint(1, MOST_KILLS)
            for _ in range(min(wanted, kills - made)):
                workers, of_all = rng.choice((0, 2)), rng.random() < 0.5
                process = builds.start(number, store, workers)
                builds.wait_for_a_change(process)
                moment = rng.uniform(0, builds.durations[number])
                time.sleep(moment)
                if (code := process.poll()) is not None:  # too late, or it refused to work
                    if code:
                        faults.append(f"a build after {made} kills ended with {code}: {builds.said()}")
                    continue
                (os.killpg if of_all else os.kill)(process.pid, signal.SIGKILL)
                process.wait()
                made += 1
                found = between.reader_faults(store)
                under_way = (store / ".finnex" / "journal.json").exists() or any(store.glob(".finnex/drafts/*/*"))
                between_states += under_way
                print(
                    f"kill {made}: {change[0]} {change[1]}, {workers} workers, "
                    f"{'all' if of_all else 'the build alone'}, {moment:.2f} s after it took the lock"
                    f"{', a change under way' if under_way else ''}: {len(found)} faults",
                    flush=True,
                )
                faults += [f"kill {made}: {fault}" for fault in found]
            found = builds.complete(number, store) + between.result_faults(store, folder / f"after{number}" / STORE)
            faults += [f"after kill {made}: {fault}" for fault in found]
            if made >= kills:
                break
    return between_states, faults
