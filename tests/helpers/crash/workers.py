"""Crash points of a build that draws on Dask: a worker process is killed, the build, or both.

The workers are processes of a local cluster as `finnex build --workers 2` starts it; they have the shim too. In which
order two workers reach their calls is up to the machine, so a crash point is the n-th call and no certain file.
"""

from __future__ import annotations

import os
import pickle
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.crash.control import COUNT, KILL_GROUP, KILL_SELF
from tests.helpers.crash.scenarios import first_build
from tests.helpers.crash.sweep import Crash, Rehearsal, in_child, sampled

WORKERS = 2
START_SECONDS, POINT_SECONDS = 300, 60


@contextmanager
def cluster(scratch: Path) -> Iterator[Any]:
    """Start workers; what they leave when they are killed lies in `scratch`."""
    from flows.clusters.local import local_cluster

    tempfile.tempdir = str(scratch)
    with local_cluster(WORKERS, "2GiB") as client:
        yield client


@dataclass
class WorkerKills:
    """The crash points of a first build on workers, against the undisturbed build of a rehearsal in one process."""

    rehearsal: Rehearsal
    scratch: Path

    def calls(self) -> tuple[int, int]:
        """Return how many calls the workers of an undisturbed build make, and how many the build itself."""
        file, store, control = self.scratch / "calls", self.rehearsal.begin_anew(), self.rehearsal.control

        def count() -> list[str]:
            with cluster(self.scratch) as client:
                control.watch(store.parent, COUNT, process=-os.getpid())
                first_build(self.rehearsal.world, store, client=client)
                of_workers = control.count
                control.watch(self.rehearsal.begin_anew().parent, COUNT, process=os.getpid())
                first_build(self.rehearsal.world, store, client=client)
                file.write_text(f"{of_workers} {control.count}")
                control.watch(None)
            return []

        self._must(count, START_SECONDS)
        of_workers, of_build = file.read_text().split()
        return int(of_workers), int(of_build)

    def worker_killed(self, calls: int, points: int | None, seed: int) -> list[Crash]:
        """Kill a worker before its call, at all or at most so many points: the build must go on and complete by itself.

        Writes are also cut in half. All points share a cluster, which starts a worker again that was killed.
        """
        numbers, file, control = sampled(calls, points, seed), self.scratch / "found", self.rehearsal.control

        def kill(client: Any, number: int, *, half: bool) -> tuple[Crash, Path]:
            client.wait_for_workers(WORKERS, timeout=START_SECONDS)
            store = self.rehearsal.begin_anew()
            control.watch(store.parent, KILL_SELF, number, half=half, process=-os.getpid())
            result = self.rehearsal.world.build(store, "first", client=client)
            control.folder = b""
            faults = [] if control.fired else ["no worker was killed"]
            faults += [f"{symbol} {day} failed: {why}" for symbol, day, why in result.failures]
            kept = self.scratch / f"{number}{'half' if half else ''}"
            store.parent.rename(kept)
            return Crash("workers", number, self.rehearsal.call_text(control.what), faults), kept / store.name

        def kill_each() -> list[str]:
            found = []
            with cluster(self.scratch) as client:
                for number in numbers:
                    found.append(kill(client, number, half=False))
                    if found[-1][0].call.startswith("write"):
                        found.append(kill(client, number, half=True))
            file.write_bytes(pickle.dumps(found))
            return []

        self._must(kill_each, START_SECONDS + 2 * POINT_SECONDS * len(numbers))
        crashes = []
        for crash, store in pickle.loads(file.read_bytes()):
            crash.faults.extend(in_child(lambda store=store: self.rehearsal.completed(store)).faults)
            crashes.append(crash)
        return crashes

    def build_killed(self, calls: int, times: int, seed: int) -> list[Crash]:
        """Kill the build alone before one of its calls; its workers end by themselves."""
        return self._killed(calls, times, seed, KILL_SELF, os.getpid)

    def both_killed(self, calls: int, times: int, seed: int) -> list[Crash]:
        """Kill workers and build before a call of a worker, some writes in the middle."""
        return self._killed(calls, times, seed, KILL_GROUP, lambda: -os.getpid())

    def _killed(self, calls: int, times: int, seed: int, action: int, process: Callable[[], int]) -> list[Crash]:
        rng, crashes, control = random.Random(seed), [], self.rehearsal.control
        for _ in range(times):
            number, half, store = rng.randint(1, calls), rng.random() < 0.5, self.rehearsal.begin_anew()

            def act() -> list[str]:
                with cluster(self.scratch) as client:
                    control.watch(store.parent, action, number, half=half, process=process())  # noqa: B023
                    control.group = os.getpid()
                    first_build(self.rehearsal.world, store, client=client)  # noqa: B023
                return []

            ended = in_child(act, START_SECONDS)
            control.folder = b""
            faults = ended.faults if ended.killed else [*ended.faults, "the build was not killed"]
            faults += in_child(self.rehearsal.aftermath).faults
            crashes.append(Crash("workers", number, self.rehearsal.call_text(control.what), faults))
        return crashes

    def _must(self, work: Callable[[], list[str]], seconds: int) -> None:
        ended = in_child(work, seconds)
        assert not ended.faults, f"workers: {ended.faults}"
        assert not ended.killed, "workers: the harness was killed itself"
