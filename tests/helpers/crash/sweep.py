"""The crash points of a scenario: each in a forked child that is killed there, and what a reader and a build do then.

Runs in a process that was started with the shim loaded. It has imported everything and read all tables; a crash
point costs a copy of the store, two forks, and what the store itself takes.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.crash.control import COUNT, KILL_GROUP, STEP, Control, steps
from tests.helpers.crash.scenarios import Act, Scenario, World
from tests.helpers.crash.state_key import same_names_and_clock, state_key
from tests.helpers.crash.states import Between, Stored, stored

CHILD_SECONDS = 120
STORE = "images.zarr"


@dataclass(frozen=True)
class Ended:
    """How a child ended: `faults` of what it found; `killed` by SIGKILL."""

    killed: bool
    faults: list[str]


def in_child(work: Callable[[], list[str]], seconds: int = CHILD_SECONDS) -> Ended:
    """Run something in a forked process group of its own; an exception is a fault."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        signal.alarm(seconds)  # its default action ends the process
        try:
            faults = work()
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())[:240]
            faults = [f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"]
        os.write(writing, "\n".join(faults).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    faults = said.split("\n") if said else []
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        faults.append(f"no end within {seconds} s")
    return Ended(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, faults)


def read_in_child(path: Path, file: Path) -> Stored:
    """Read a store in a child, through a file: this process never starts Zarr's thread and can go on forking."""

    def read() -> list[str]:
        file.write_bytes(pickle.dumps(stored(path)))
        return []

    ended = in_child(read)
    assert not ended.faults, f"reading {path} fails: {ended.faults}"
    found: Stored = pickle.loads(file.read_bytes())
    return found


@dataclass(frozen=True)
class Crash:
    """A crash point: the call before which everything was killed, and what was wrong afterwards."""

    scenario: str
    number: int
    call: str
    faults: list[str]


@dataclass
class Rehearsal:
    """A scenario with its two undisturbed states, and copies of the store before it to crash in.

    Attributes
    ----------
    calls
        How many calls the undisturbed change makes.
    examined
        What was wrong with each store that a kill left, by its key.
    """

    name: str
    scenario: Scenario
    world: World
    control: Control
    folder: Path
    between: Between = field(init=False)
    calls: int = field(init=False)
    examined: dict[str, list[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.control.watch(None)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._prepared.parent.mkdir(parents=True)
        if self.scenario.prepare is not None:
            self._must(lambda: self._act(self.scenario.prepare, self._prepared), "the preparation")
        before = read_in_child(self._prepared, self.folder / "state")
        if self.scenario.damage is not None:
            self.scenario.damage(self._prepared)
        shutil.copytree(self._prepared.parent, self._calm.parent)
        self.control.watch(self._calm.parent)
        self._must(lambda: self._act(self.scenario.act, self._calm), "the undisturbed change")
        self.calls = self.control.count
        self.control.watch(None)
        self.between = Between(
            before, read_in_child(self._calm, self.folder / "state"), damaged=self.scenario.damage is not None
        )
        if self.between.damaged:
            self._must(lambda: Between(before, before).value_faults(self._calm), "the repair")
        if self.scenario.redraws:
            assert self.between.redrawn(), f"{self.name}: no published image changes its bytes"
        self._must(lambda: self.between.reader_faults(self._calm), "reading the undisturbed store")
        self.calm_again()

    def calm_again(self) -> None:
        """Assert that the change, made again after it was made undisturbed, changes nothing."""
        shutil.rmtree(self._store.parent, ignore_errors=True)
        shutil.copytree(self._calm.parent, self._store.parent)
        self._must(lambda: self._act(self.scenario.act, self._store), "the repeated change")
        self._must(lambda: self.between.result_faults(self._store, self._calm), "the repeated change")

    @property
    def _prepared(self) -> Path:
        return self.folder / "before" / STORE

    @property
    def _calm(self) -> Path:
        return self.folder / "after" / STORE

    @property
    def _store(self) -> Path:
        return self.folder / "crash" / STORE

    def _act(self, act: Act | None, path: Path) -> list[str]:
        if act is not None:
            act(self.world, path)
        return []

    def _must(self, work: Callable[[], list[str]], what: str) -> None:
        # In a child, so that this process never starts Zarr's thread and can go on forking.
        ended = in_child(work)
        assert not ended.faults, f"{self.name}: {what} fails: {ended.faults}"
        assert not ended.killed, f"{self.name}: {what} was killed"

    def crash(self, number: int, *, half: bool = False, again: int = 0) -> Crash | None:
        """Kill the change before a call, and look what readers and the next build make of it.

        A store that an earlier kill left, file by file, is not examined again.

        Parameters
        ----------
        number
            The call, from 1.
        half
            If it is a write, half of its bytes are written first.
        again
            The call before which the build after the crash is killed too; 0 lets it run.

        Returns
        -------
        Crash or None
            None where the change, or the build after it, ended before that call.
        """
        self.begin_anew()
        calls = []
        for target in (number, again) if again else (number,):
            self.control.watch(self._store.parent, KILL_GROUP, target, half=half)
            ended = in_child(self._in_a_group)
            self.control.folder = b""  # this process is not to be counted, and `what` stays
            if not ended.killed:
                failed = ended.faults
                return Crash(self.name, number, "it raised", failed) if failed else None
            calls.append(self.call_text(self.control.what))
            self.control.watch(None)
        key = state_key(self._store.parent)
        if key not in self.examined:
            self.examined[key] = in_child(self.aftermath).faults
        return Crash(self.name, number, ", then ".join(calls), self.examined[key])

    def begin_anew(self) -> Path:
        """Make the store as it is before the change, and return its path."""
        shutil.rmtree(self._store.parent, ignore_errors=True)
        shutil.copytree(self._prepared.parent, self._store.parent)
        return self._store

    def _in_a_group(self) -> list[str]:
        self.control.group = os.getpid()
        same_names_and_clock()
        return self._act(self.scenario.act, self._store)

    def aftermath(self) -> list[str]:
        """Read the store after a crash and make the change again; return what is wrong. Runs in a child."""
        faults = self.between.reader_faults(self._store)
        try:
            self._act(self.scenario.act, self._store)
        except Exception as error:
            faults.append(f"the next build: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            return faults
        return faults + self.completed(self._store)

    def completed(self, store: Path) -> list[str]:
        """Return how a store at rest differs from the undisturbed one, for readers and in its files."""
        return self.between.reader_faults(store) + self.between.result_faults(store, self._calm)

    def call_text(self, call: tuple[str, ...]) -> str:
        """Return a call in one line, its paths relative to the folder of the store."""
        return " ".join([call[0], *(part.removeprefix(f"{self._store.parent}/") for part in call[1:])]) if call else "?"

    def live_reading(self) -> Iterator[Crash]:
        """Let an undisturbed change run from call to call, and read the store as others do while it waits."""
        self.begin_anew()
        self.control.watch(self._store.parent, STEP)
        child = os.fork()
        if child == 0:
            try:
                self._act(self.scenario.act, self._store)
                os._exit(0)
            finally:
                os._exit(1)
        ended: list[int] = []

        def running() -> bool:
            if not ended and (found := os.waitpid(child, os.WNOHANG))[0]:
                ended.append(found[1])
            return not ended

        try:
            for number, call in steps(self.control, running):
                faults = in_child(lambda: self.between.reader_faults(self._store)).faults
                yield Crash(self.name, number, self.call_text(call), faults)
            if ended[0]:
                yield Crash(self.name, 0, "the change itself", [f"ended with status {ended[0]}"])
        finally:
            self.control.watch(None, COUNT)
            if running():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def sampled(calls: int, points: int | None, seed: int) -> list[int]:
    """Return crash points: all, or at most so many at regular distance with a seeded offset, the last among them."""
    if points is None or points >= calls:
        return list(range(1, calls + 1))
    distance = calls / points
    last = random.Random(seed).uniform(0, distance)
    return sorted({max(1, int(calls - last - step * distance)) for step in range(points - 1)} | {calls})
