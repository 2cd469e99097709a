"""A kill before any change of a file, or a power cut, leaves a store that readers read and the next build completes.

The suite takes a sample; `python -m benchmarks.crash` takes every crash point of every scenario, `--random-kills 100`
a hundred kills at random moments, `--rivals 24` two builds of one store that meet, and
`python -m benchmarks.power_cuts` twenty cuts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.power_cuts import why_not as why_no_cuts
from tests.helpers.crash.control import why_not as why_no_kills
from tests.helpers.crash.scenarios import SCENARIOS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(why_no_kills()), reason=why_no_kills() or "-"),
    pytest.mark.timeout(600),
]
needs_a_loop_device = pytest.mark.skipif(bool(why_no_cuts()), reason=why_no_cuts() or "-")


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", f"benchmarks.{module}", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_a_kill_before_any_change_of_a_file_loses_nothing() -> None:
    chosen = list(SCENARIOS)[::3]  # the others in make accept, with every point
    done = run("crash", *(f"--scenario={name}" for name in chosen), "--points", "1", "--again", "0")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count(" killed   ") == done.stdout.count(" 0 failures") // 3 == len(chosen)


@pytest.mark.accept
def test_a_build_goes_on_when_a_worker_is_killed_and_loses_nothing_when_it_is_killed_itself() -> None:
    done = run("crash", "--scenario", "workers", "--points", "1", "--again", "1")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    for kind in ("worker killed", "build killed", "workers, build killed"):
        assert f"workers          {kind} " in done.stdout


@pytest.mark.accept
def test_whole_builds_that_are_killed_at_random_moments_lose_nothing() -> None:
    done = run("crash", "--random-kills", "3", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "nothing was lost" in done.stdout


@pytest.mark.accept
def test_two_builds_that_meet_in_one_store_lose_nothing_and_mislead_no_reader() -> None:
    done = run("crash", "--rivals", "4", "--seed", "2")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "nothing was lost" in done.stdout


@pytest.mark.accept
def test_readers_see_one_state_or_the_other_between_any_two_changes_of_a_file() -> None:
    done = run("crash", "--scenario", "quarantine", "--points", "1", "--again", "0", "--live")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "read meanwhile" in done.stdout


@pytest.mark.accept
def test_the_kills_find_files_that_are_not_replaced_whole() -> None:
    done = run("crash", "--scenario", "quarantine", "--points", "12", "--again", "0", "--in-place")
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "failures" in done.stdout


@pytest.mark.accept
def test_the_kills_find_a_redraw_without_a_journal() -> None:
    done = run("crash", "--scenario", "redraw", "--points", "24", "--again", "0", "--without-journal")
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "is damaged on disk" in done.stdout  # the new image with the old checksum


@needs_a_loop_device
def test_a_power_cut_loses_nothing_that_was_reported_as_done() -> None:
    done = run("power_cuts", "--cuts", "1", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "nothing was lost" in done.stdout


@pytest.mark.accept
@needs_a_loop_device
def test_the_power_cuts_find_what_is_not_flushed() -> None:
    done = run("power_cuts", "--cuts", "4", "--seed", "5", "--without-flush")
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "cut " in done.stdout
