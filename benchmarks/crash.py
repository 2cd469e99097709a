"""Kill changes of a store before their n-th change of a file, for all n, and look at the store.

`python -m benchmarks.crash [--scenario NAME] [--points N] [--again N] [--live] [--seed K]`. The processes are killed
with SIGKILL at that very call, by a shim that is loaded into them (tests/helpers/crash/shim.c); writes are also cut.
`--scenario workers` draws on two Dask workers and kills one of them, the build, or all.
`python -m benchmarks.crash --random-kills N [--seed K]` kills whole `finnex build`s at random moments instead;
`--rivals N` lets two builds of one store meet, one of them killed or not, while readers read.
Prints a line for each scenario and each failure, and exits with 1 where there is one. The store lies in memory.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from finnex.store import journal
from finnex.store.folder import Folder
from tests.helpers.crash.control import CONTROL_VARIABLE, compiled, from_environment, why_not
from tests.helpers.crash.random_kills import random_kills
from tests.helpers.crash.rival_builds import rival_builds
from tests.helpers.crash.scenarios import SCENARIOS, World
from tests.helpers.crash.sweep import Crash, Rehearsal, sampled
from tests.helpers.crash.workers import WorkerKills

MEMORY = Path("/dev/shm")
WORKERS = "workers"
Kinds = dict[str, Callable[[], list[Crash]]]


def sweep(rehearsal: Rehearsal, points: int | None, seed: int) -> list[Crash]:
    """Crash at all points or at most so many, whole and with half a write."""
    found = []
    for number in sampled(rehearsal.calls, points, seed):
        crash = rehearsal.crash(number)
        assert crash is not None, f"{rehearsal.name}: the change ended before its call {number}"
        found.append(crash)
        if crash.call.startswith(("write", "pwrite")) and (cut := rehearsal.crash(number, half=True)):
            found.append(cut)
    return found


def crash_again(rehearsal: Rehearsal, times: int, seed: int) -> list[Crash]:
    """Crash, and crash once more while the next build recovers; at random points."""
    rng = random.Random(seed)
    found = []
    for _ in range(times):
        crash = rehearsal.crash(rng.randint(1, rehearsal.calls), again=rng.randint(1, 25))
        if crash is not None:
            found.append(crash)
    return found


def kinds_of_workers(rehearsal: Rehearsal, scratch: Path, options: argparse.Namespace) -> Kinds:
    """Return the kinds of crashes of a build on Dask workers."""
    scratch.mkdir()
    kills = WorkerKills(rehearsal, scratch)
    of_workers, of_build = kills.calls()
    return {
        "worker killed": lambda: kills.worker_killed(of_workers, options.points, options.seed),
        "build killed": lambda: kills.build_killed(of_build, options.again, options.seed),
        "workers, build killed": lambda: kills.both_killed(of_workers, options.again, options.seed),
    }


def kinds_of(rehearsal: Rehearsal, options: argparse.Namespace) -> Kinds:
    """Return the kinds of crashes of a change that one process makes."""
    return {
        "killed": lambda: sweep(rehearsal, options.points, options.seed),
        "killed in recovery": lambda: crash_again(rehearsal, options.again, options.seed),
        "read meanwhile": lambda: list(rehearsal.live_reading()) if options.live else [],
    }


def report(name: str, kind: str, crashes: list[Crash], states: int, seconds: float) -> int:
    """Print what came of the crashes, and in how many different stores they ended; return how many failed."""
    failed = [crash for crash in crashes if crash.faults]
    stores = f"{states:5} stores" if states else " " * 12
    print(f"{name:16} {kind:22} {len(crashes):5} points {stores} {len(failed):4} failures {seconds:7.1f} s", flush=True)
    for crash in failed[:20]:
        print(f"  {name} {crash.number}: {crash.call}")
        for fault in crash.faults[:6]:
            print(f"      {fault}")
    return len(failed)


def run(options: argparse.Namespace) -> int:
    """Go through the scenarios in this process, which has the shim."""
    control = from_environment()
    failures = 0
    if options.in_place:
        Folder.put = Folder._write  # type: ignore[method-assign]
        Folder.put_all = lambda place, items: [place._write(key, data) for key, data in items]  # type: ignore
    if options.without_journal:
        journal.write_intent = lambda *_: None
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        (inputs := Path(folder) / "inputs").mkdir()
        names = options.scenario or (*SCENARIOS, WORKERS)
        chosen = {name: SCENARIOS["fresh store" if name == WORKERS else name] for name in names}
        world = World(inputs, tuple({one: None for scenario in chosen.values() for one in scenario.reads}))
        for name, scenario in chosen.items():
            rehearsal = Rehearsal(name, scenario, world, control, Path(folder) / "stores")
            kinds = (
                kinds_of_workers(rehearsal, Path(folder) / "scratch", options)
                if name == WORKERS
                else kinds_of(rehearsal, options)
            )
            for kind, crashes in kinds.items():
                began, known = time.perf_counter(), len(rehearsal.examined)
                found = crashes()
                failures += report(name, kind, found, len(rehearsal.examined) - known, time.perf_counter() - began)
    return failures


def kill_at_random(kills: int, seed: int) -> int:
    """Kill whole builds at random moments; return how many faults there were."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        under_way, faults = random_kills(kills, seed, Path(folder), from_environment())
    print("\n".join(faults) or f"{kills} kills at random moments: nothing was lost", flush=True)
    print(f"{under_way} of {kills} fell into a change; {len(faults)} faults; {time.perf_counter() - began:.0f} s")
    return len(faults)


def let_builds_meet(rounds: int, seed: int) -> int:
    """Let two builds of one store meet; return how many faults there were."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        counts, faults = rival_builds(rounds, seed, Path(folder), from_environment())
    print("\n".join(faults) or f"{rounds} meetings of two builds: nothing was lost", flush=True)
    happened = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{happened}; {len(faults)} faults; {time.perf_counter() - began:.0f} s")
    return len(faults)


def main() -> None:
    """Start a process with the shim loaded, and sweep in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS, WORKERS])
    parser.add_argument("--points", type=int, metavar="N", help="at most so many crash points a scenario; else all")
    parser.add_argument("--again", type=int, default=20, help="crashes followed by a crash of the recovery")
    parser.add_argument("--live", action="store_true", help="read between the calls of an undisturbed change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in-place", action="store_true", help="show that files that are not replaced whole are found")
    parser.add_argument("--without-journal", action="store_true", help="show that what only the journal saves is found")
    parser.add_argument("--random-kills", type=int, metavar="N", help="instead, kill N builds at random moments")
    parser.add_argument("--rivals", type=int, metavar="N", help="instead, let two builds meet N times")
    options = parser.parse_args()
    if CONTROL_VARIABLE in os.environ:
        if options.rivals:
            failed = let_builds_meet(options.rivals, options.seed)
        else:
            failed = kill_at_random(options.random_kills, options.seed) if options.random_kills else run(options)
        sys.exit(1 if failed else 0)
    if reason := why_not():
        sys.exit(reason)
    with compiled() as (shim, _):
        command = [sys.executable, "-m", "benchmarks.crash", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=os.environ | shim.environment, check=False).returncode)


if __name__ == "__main__":
    main()
