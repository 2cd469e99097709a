"""Two whole builds of one store at a time, with readers: one draws, the other comes in between or takes over.

The first may be killed while it draws. The second ends with 0, or is refused because the store is being written to; a
refused one has changed nothing. Readers read meanwhile, and afterwards the next build gives the undisturbed store.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from functools import partial
from pathlib import Path

from tests.helpers.crash.control import Control
from tests.helpers.crash.random_kills import CHANGES, STORE, Builds, ended, undisturbed
from tests.helpers.crash.states import Between
from tests.helpers.crash.sweep import in_child

REFUSED = "another process is writing to"
SECOND = "said by the second"


def rival_builds(rounds: int, seed: int, folder: Path, control: Control) -> tuple[dict[str, int], list[str]]:
    """Let two builds meet; return how often what happened, and what was wrong.

    Parameters
    ----------
    rounds
        Meetings. Each goes on with the store of the one before, until all changes are made.
    seed
        Of the moments, of which builds have workers, and of which are killed.
    folder
        An empty folder for inputs and stores.
    control
        The shim's, of this process.

    Returns
    -------
    tuple
        Counts by what happened: 'killed', 'refused', 'both completed', 'reads'. Faults, one sentence each.
    """
    rng, faults = random.Random(seed), list[str]()
    counts = dict.fromkeys(("killed", "refused", "both completed", "reads"), 0)
    builds = Builds(folder, control)
    states = undisturbed(builds, folder)
    store, number = folder / "store" / STORE, len(CHANGES)
    for meeting in range(1, rounds + 1):
        if number == len(CHANGES):
            shutil.rmtree(store.parent, ignore_errors=True)
            store.parent.mkdir()
            number = 0
        between = Between(states[number], states[number + 1], moving=True)
        found = _meet(rng, builds, number, store, between, counts)
        control.watch(None)
        found += builds.complete(number, store)
        found += in_child(partial(between.result_faults, store, folder / f"after{number}" / STORE)).faults
        print(f"meeting {meeting}: {' '.join(CHANGES[number])}: {len(found)} faults", flush=True)
        faults += [f"meeting {meeting}, {' '.join(CHANGES[number])}: {fault}" for fault in found]
        number += 1
    return counts, faults


def _meet(
    rng: random.Random, builds: Builds, number: int, store: Path, between: Between, counts: dict[str, int]
) -> list[str]:
    """Start a build, and another at a random moment; read until both have ended."""
    faults, lasts = list[str](), builds.durations[number]
    first = builds.start(number, store, rng.choice((0, 0, 2)))
    comes = time.monotonic() + rng.uniform(0, lasts)
    killed = time.monotonic() + rng.uniform(0, lasts) if rng.random() < 0.5 else None
    second: int | None = None
    while second is None or not (ended(first) and ended(second)):
        now = time.monotonic()
        if killed is not None and now >= killed:
            killed = None
            if not ended(first):
                os.killpg(first, signal.SIGKILL)
                counts["killed"] += 1
        if second is None and now >= comes:
            second = builds.start(number, store, 0, SECOND)
        faults += in_child(partial(between.reader_faults, store)).faults
        counts["reads"] += 1
    ways = [os.waitpid(child, 0)[1] for child in (first, second)]
    faults += _endings(ways, builds, counts)
    return faults


def _endings(ways: list[int], builds: Builds, counts: dict[str, int]) -> list[str]:
    """Return what is wrong with how two builds ended: a kill, 0, and of the second a refusal are right."""
    faults = []
    if ways[0] and not os.WIFSIGNALED(ways[0]):
        faults.append(f"the first build ended with {ways[0]}: {builds.said()}")
    if ways[1] == 0:
        counts["both completed"] += ways[0] == 0
    elif REFUSED in builds.said(SECOND):
        counts["refused"] += 1
    else:
        faults.append(f"the second build ended with {ways[1]}: {builds.said(SECOND)}")
    return faults
