"""Cut the power at random moments of a series of builds, and after their ends: what was reported as done is there.

`python -m benchmarks.power_cuts [--cuts N] [--seed K]`, as root. The store lies on an ext4 file system of its own, on a
loop device. A cut stops the writer, copies the file behind the device (only what reached the disk is in it; the copy is
repeated until it is equal to the original, so that it is of one moment), and lets the writer go on. The copy is mounted
elsewhere: readers must find one of the two states that the step under way lies between, or the state after the last
step that was reported as done; the step is then taken again and must give the undisturbed store.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import finnex.store.folder
from tests.helpers.crash.scenarios import (
    World,
    first_build,
    new_company,
    new_year,
    predictions,
    quarantine,
    redraw,
    release,
)
from tests.helpers.crash.states import Between, Stored, stored
from tests.helpers.crash.sweep import in_child

STORE = "images.zarr"
STEPS: tuple[Callable[[World, Path], object], ...] = (
    first_build, predictions, quarantine, release, new_company, redraw, new_year,
)  # fmt: skip
NO_FLUSH = "FINNEX_POWER_CUTS_WITHOUT_FLUSH"
SIZE_MB = 160
LONGEST_REST_SECONDS = 2.0
COMMIT_SECONDS = (5, 300)
"""ext4's default, and so long that nothing but a flush brings a name to the disk."""


def drive(path: Path, inputs: Path, seed: int) -> None:
    """Take all steps, one line of output after each; the writer whose power is cut."""
    if os.environ.get(NO_FLUSH):
        finnex.store.folder.flush = lambda _: None
        finnex.store.folder.flush_folder = lambda _: None
    world, rng = World(inputs), random.Random(seed)
    print("begin", flush=True)
    for step in STEPS:
        step(world, path)
        print("done", flush=True)
        time.sleep(rng.uniform(0, LONGEST_REST_SECONDS))


def why_not() -> str:
    """Return why a file system cannot be mounted here; empty where it can."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    for tool in ("mkfs.ext4", "mount", "losetup"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        image = made(Path(folder) / "disk", 8)
        found = subprocess.run(["mount", "-o", "loop", str(image), folder], capture_output=True, text=True, check=False)
        if found.returncode:
            return f"a loop device cannot be mounted: {found.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return ""


def made(image: Path, megabytes: int) -> Path:
    """Make a file with an empty ext4 file system."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True)
    return image


@contextmanager
def mounted(image: Path, folder: Path, *options: str) -> Iterator[Path]:
    """Mount a file for a while."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", ",".join(["loop", *options]), str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        for _ in range(50):
            if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)


def copied(image: Path, target: Path) -> Path:
    """Copy what reached the disk at one moment."""
    for _ in range(100):
        shutil.copyfile(image, target)
        if filecmp.cmp(image, target, shallow=False):
            return target
    raise RuntimeError("the disk did not come to rest")


def undisturbed(world: World, folder: Path) -> list[Stored]:
    """Take all steps in memory; return the state before the first and after each, and keep a copy of each."""
    import pickle

    def act() -> list[str]:
        found = [stored(folder / "calm" / STORE)]
        for number, step in enumerate(STEPS, 1):
            step(world, folder / "calm" / STORE)
            shutil.copytree(folder / "calm", folder / f"after{number}")
            found.append(stored(folder / f"after{number}" / STORE))
        (folder / "states").write_bytes(pickle.dumps(found))
        return []

    (folder / "calm").mkdir()
    ended = in_child(act)
    assert not ended.faults, ended.faults
    found: list[Stored] = pickle.loads((folder / "states").read_bytes())
    return found


def faults_of(world: World, store: Path, folder: Path, states: list[Stored], done: int) -> list[str]:
    """Read a store after a cut and take the step that was under way again."""
    last = done == len(STEPS)
    between = Between(states[done], states[done] if last else states[done + 1])
    faults = between.reader_faults(store)
    STEPS[done - 1 if last else done](world, store)
    number = done if last else done + 1
    return faults + Between(states[number - 1], states[number]).result_faults(store, folder / f"after{number}" / STORE)


class Writer:
    """The process that takes the steps, in a group of its own."""

    def __init__(self, store: Path, inputs: Path, seed: int) -> None:
        command = [sys.executable, "-m", "benchmarks.power_cuts", "--drive", str(store), str(inputs), str(seed)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self._lines = selectors.DefaultSelector()
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._lines.register(self.process.stdout, selectors.EVENT_READ)
        self._heard = b""
        while b"begin" not in self._heard:
            assert self.process.poll() is None, "the writer ended"
            self._listen(1.0)

    def _listen(self, seconds: float) -> None:
        if self._lines.select(seconds):
            self._heard += self.process.stdout.read() or b""  # type: ignore[union-attr]

    @property
    def done(self) -> int:
        """How many steps were reported as done."""
        self._listen(0)
        return self._heard.count(b"done")

    def stop(self) -> None:
        """Stop it; its processes change nothing until `go_on`."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.process.pid}/stat").read_text().split(")")[1].split()[0] not in "TZ":
            time.sleep(0.001)
        time.sleep(0.02)

    def resume(self) -> None:
        """Let it run."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Kill it where it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def cut(cuts: int, seed: int, folder: Path) -> list[str]:
    """Cut the power at random moments; return what was wrong afterwards, a line each."""
    rng, faults, made_cuts = random.Random(seed), [], 0
    (inputs := folder / "inputs").mkdir()
    world = World(inputs)
    states = undisturbed(world, folder)
    while made_cuts < cuts:
        commit = COMMIT_SECONDS[made_cuts % len(COMMIT_SECONDS)]
        image = made(folder / "disk", SIZE_MB)
        with mounted(image, folder / "disk.d", f"commit={commit}") as disk:
            writer = Writer(disk / STORE, inputs, rng.randrange(1 << 30))
            try:
                while made_cuts < cuts and writer.process.poll() is None:
                    time.sleep(rng.uniform(0, 1.2))
                    if writer.process.poll() is not None:
                        break
                    writer.stop()
                    done = writer.done
                    lost = copied(image, folder / "cut")
                    writer.resume()
                    with mounted(lost, folder / "cut.d") as found:
                        store = found / STORE
                        ended = in_child(partial(faults_of, world, store, folder, states, done))
                    made_cuts += 1
                    print(
                        f"cut {made_cuts}: commit {commit} s, {done} steps done, {len(ended.faults)} faults", flush=True
                    )
                    faults += [f"cut {made_cuts} after step {done}: {fault}" for fault in ended.faults]
            finally:
                writer.end()
    return faults


def main() -> None:
    """Cut, and exit with 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-flush", action="store_true", help="show that the cuts find what is not flushed")
    parser.add_argument("--drive", nargs=3, metavar=("STORE", "INPUTS", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(Path(options.drive[0]), Path(options.drive[1]), int(options.drive[2]))
        return
    if options.without_flush:
        os.environ[NO_FLUSH] = "1"
    if reason := why_not():
        sys.exit(f"no power can be cut here: {reason}")
    with tempfile.TemporaryDirectory() as name:
        faults = cut(options.cuts, options.seed, Path(name))
    print("\n".join(faults) or f"{options.cuts} power cuts: nothing was lost")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
