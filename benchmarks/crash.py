"""Kill changes of a store before their n-th change of a file, for all n, and look at the store.

`python -m benchmarks.crash [--scenario NAME] [--share S] [--again N] [--live] [--seed K]`. The processes are killed
with SIGKILL at that very call, by a shim that is loaded into them (tests/crash/shim.c); writes are also cut in half.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from crash.control import CONTROL_VARIABLE, compiled, from_environment, why_not
from crash.scenarios import SCENARIOS, World
from crash.sweep import Crash, Rehearsal, sampled

from finnex.store import journal
from finnex.store.folder import Folder

MEMORY = Path("/dev/shm")


def sweep(rehearsal: Rehearsal, share: float, seed: int) -> list[Crash]:
    """Crash at the points of a share, whole and with half a write."""
    found = []
    for number in sampled(rehearsal.calls, share, seed):
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


def report(name: str, kind: str, crashes: list[Crash], seconds: float) -> int:
    """Print what came of the crashes; return how many failed."""
    failed = [crash for crash in crashes if crash.faults]
    print(f"{name:16} {kind:22} {len(crashes):5} points {len(failed):4} failures {seconds:7.1f} s", flush=True)
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
    if options.without_journal:
        journal.write_intent = lambda *_: None
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        (inputs := Path(folder) / "inputs").mkdir()
        world = World(inputs)
        for name in options.scenario or SCENARIOS:
            rehearsal = Rehearsal(name, SCENARIOS[name], world, control, Path(folder) / "stores")
            for kind, crashes in (
                ("killed", lambda: sweep(rehearsal, options.share, options.seed)),  # noqa: B023
                ("killed in recovery", lambda: crash_again(rehearsal, options.again, options.seed)),  # noqa: B023
                ("read meanwhile", lambda: list(rehearsal.live_reading()) if options.live else []),  # noqa: B023
            ):
                began = time.perf_counter()
                found = crashes()
                failures += report(name, kind, found, time.perf_counter() - began)
    return failures


def main() -> None:
    """Start a process with the shim loaded, and sweep in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--share", type=float, default=1.0, help="of the crash points; 1 is all")
    parser.add_argument("--again", type=int, default=20, help="crashes followed by a crash of the recovery")
    parser.add_argument("--live", action="store_true", help="read between the calls of an undisturbed change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in-place", action="store_true", help="show that files that are not replaced whole are found")
    parser.add_argument("--without-journal", action="store_true", help="show that what only the journal saves is found")
    options = parser.parse_args()
    if CONTROL_VARIABLE in os.environ:
        sys.exit(1 if run(options) else 0)
    if reason := why_not():
        sys.exit(reason)
    with compiled() as (shim, _):
        command = [sys.executable, "-m", "benchmarks.crash", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=os.environ | shim.environment, check=False).returncode)


if __name__ == "__main__":
    main()
