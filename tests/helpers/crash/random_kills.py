"""Whole builds are killed at random moments: `finnex build` with its tables read, in a process of its own.

They draw in their own process or on two Dask workers; the signal goes to that process alone or to all. The moment is
uniform over the time in which a build holds the store's lock: before, it has changed nothing. Runs in a process with
the shim loaded, which tells when the lock is taken; the builds are forks of it, so that nothing is imported anew.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import xarray as xr

import finnex.cli
import flows.clusters.cluster
from tests.helpers.crash.control import Control
from tests.helpers.crash.scenarios import World
from tests.helpers.crash.states import Between, Stored
from tests.helpers.crash.sweep import in_child, read_in_child

STORE = "images.zarr"
CHANGES = (("first", "AB"), ("first", "ABC"), ("corrected", "ABC"), ("new_year", "ABC"))
"""Tables and companies: a new store, a new company, a redraw, a new year with a redraw."""
FIRST_DAY = "2015-10-01"
BUILD_SECONDS = 300
MOST_KILLS = 6
"""Of one change, before it may complete."""


@dataclass
class Builds:
    """Builds of each change, into a store.

    Attributes
    ----------
    durations
        Seconds from the lock to the end of the latest undisturbed build of each change.
    """

    folder: Path
    control: Control
    durations: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        os.environ |= {"TMPDIR": str(self.folder), "FINNEX_HOME": str(self.folder / "home")}
        World.write_tables(self.folder)
        xr.backends.list_engines()
        assert flows.clusters.cluster  # before any fork

    def start(self, number: int, store: Path, workers: int, said: str = "said") -> int:
        """Start a build of a change, in a process group of its own; return its process when a lock has been taken.

        What it prints goes into a file of this name.
        """
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
        self.control.watch(store.parent)
        child = os.fork()
        if child == 0:
            self._build(config, workers, self.folder / said)
        while not self.control.count and not ended(child):
            time.sleep(0.001)
        return child

    def _build(self, config: Path, workers: int, file: Path) -> None:
        os.setpgid(0, 0)
        signal.alarm(BUILD_SECONDS)
        said = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code: object = 1
        try:
            finnex.cli.main(["build", "--config", str(config), "--workers", str(workers)])
            code = 0
        except SystemExit as ending:
            code = ending.code
        finally:
            os._exit(code if isinstance(code, int) else int(code is not None))

    def complete(self, number: int, store: Path) -> list[str]:
        """Build undisturbed; return what is wrong."""
        child = self.start(number, store, 0)
        began = time.monotonic()
        status = os.waitpid(child, 0)[1]
        self.durations[number] = time.monotonic() - began
        self.control.watch(None)
        return [] if status == 0 else [f"the next build ended with {status}: {self.said()}"]

    def said(self, name: str = "said") -> str:
        """Return the end of what the latest build printed into a file."""
        return " ".join((self.folder / name).read_text(errors="replace").split())[-300:]


def ended(child: int) -> bool:
    """Return whether a child has ended; it can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def undisturbed(builds: Builds, folder: Path) -> list[Stored]:
    """Make all changes; return the state before the first and after each, and keep a copy of each."""
    store = folder / "calm" / STORE
    store.parent.mkdir()
    found = [read_in_child(store, folder / "state")]
    for number in range(len(CHANGES)):
        faults = builds.complete(number, store)
        assert not faults, faults
        shutil.copytree(store.parent, folder / f"after{number}")
        found.append(read_in_child(store, folder / "state"))
    assert Between(found[2], found[3]).redrawn(), "the redraw changes no picture"
    return found


def random_kills(kills: int, seed: int, folder: Path, control: Control) -> tuple[int, list[str]]:
    """Kill builds; return how many kills fell into a change, which left drafts or a journal, and what was wrong."""
    rng, faults, made, in_a_change = random.Random(seed), list[str](), 0, 0
    builds = Builds(folder, control)
    states = undisturbed(builds, folder)
    store = folder / "store" / STORE
    while made < kills:
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        for number, change in enumerate(CHANGES):
            between, wanted = Between(states[number], states[number + 1]), rng.randint(1, MOST_KILLS)
            for _ in range(min(wanted, kills - made)):
                workers, of_all = rng.choice((0, 0, 2)), rng.random() < 0.5
                child = builds.start(number, store, workers)
                moment = rng.uniform(0, builds.durations[number])
                time.sleep(moment)
                late = ended(child)
                if not late:
                    (os.killpg if of_all else os.kill)(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
                control.watch(None)
                if late:
                    if status:
                        faults.append(f"a build after {made} kills ended with {status}: {builds.said()}")
                    continue
                made += 1
                found = in_child(partial(between.reader_faults, store)).faults
                under_way = (store / ".finnex" / "journal.json").exists() or any(store.glob(".finnex/drafts/*/*"))
                in_a_change += under_way
                print(
                    f"kill {made}: {change[0]} {change[1]}, {workers} workers, "
                    f"{'all' if of_all else 'the build alone'}, {moment:.2f} s after it took the lock"
                    f"{', a change under way' if under_way else ''}: {len(found)} faults",
                    flush=True,
                )
                faults += [f"kill {made}: {fault}" for fault in found]
            found = builds.complete(number, store)
            found += in_child(partial(between.result_faults, store, folder / f"after{number}" / STORE)).faults
            faults += [f"after kill {made}: {fault}" for fault in found]
            if made >= kills:
                break
    return in_a_change, faults
