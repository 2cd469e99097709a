"""Read altered studies: each must end in a short message of FinNeX or in a valid study, in bounded time and memory.

`python -m benchmarks.fuzz [--cases N] [--first F] [--seed S] [--builds B] [--case K] [--control FAULT]`. Each case is
read in a process of its own with limits; a sample of those that are valid is built, and the store is read with xarray.
Prints each failure with the command that runs it alone, and exits with 1 where there is one. `--control` plants a fault
that the run must find.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import finnex.data.calendar
import finnex.data.lexicon  # so that each case finds the imports done
import finnex.pipeline
from benchmarks.fuzz_studies import FIRST, LAST, write_studies
from benchmarks.mutations import alter
from finnex.config import load_config
from finnex.errors import FinnexError
from finnex.store import READY
from finnex.store.states import STORED_STATES

CPU_SECONDS, WALL_SECONDS = 20, 180
"""Of one case. Its files are of a few megabytes at most; a build takes three seconds."""
BUILD_CPU_SECONDS = 60
MOST_GROWTH_MB = 600
"""Peak memory beyond what the process had before it read."""
MOST_ADDRESSES = 6 << 30
"""Beyond those in use: a stop for what would take the machine."""
MOST_MESSAGE_BYTES = 4096
CONTROLS = ("exception", "chained", "long", "control-character", "warning", "slow", "memory", "pixel", "status")
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes
    ----------
    kind
        `valid`, `built`, the name of an error of FinNeX, or `FAILURE`.
    """

    kind: str
    text: str
    altered: list[str]
    seconds: float
    growth_mb: float


def fault_of_message(error: FinnexError) -> str:
    """Return what is wrong with a message, '' where nothing is."""
    text = str(error)
    if len(text.encode("utf-8", "surrogatepass")) > MOST_MESSAGE_BYTES:
        return f"a message of {len(text)} characters"
    if strange := [character for character in text if not character.isprintable() and character != "\n"]:
        return f"a message with {strange[0]!r}"
    if "Traceback (most recent call last)" in text:
        return "a message with a traceback"
    if error.__context__ is not None and not error.__suppress_context__:
        return f"raised while {type(error.__context__).__name__} was handled: its trace would be shown"
    return "" if text.strip() else "an empty message"


def fault_of_store(path: Path) -> str:
    """Return what is wrong with a store that was just built, '' where nothing is."""
    import xarray

    for group in sorted(child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")):
        with xarray.open_zarr(path, group=group, mask_and_scale=False) as data:
            status = data["status"].to_numpy()
            if set(np.unique(status).tolist()) - set(STORED_STATES):
                return f"{group}: status {np.unique(status).tolist()}"
            ready = np.flatnonzero(status == READY)
            for row in ready:
                image = data["image"][row].to_numpy()
                if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
                    return f"{group}: the image of row {row} holds {image.min()} to {image.max()}"
            if not len(ready):
                return f"{group}: no image"
    return ""


def read(study: Path, *, builds: bool, control: str) -> tuple[str, str]:
    """Read a study, and build it; return the kind of outcome and what was said."""
    try:
        plant(control)
        config = load_config(study / "finnex.toml")
        run = finnex.pipeline.read_run(config)
        if not builds:
            return "valid", "; ".join(run.warnings)[:200]
        store = study / "fresh.zarr"
        config = config.model_copy(update={"store": config.store.model_copy(update={"path": store})})
        result = finnex.pipeline.build(config, symbols=config.symbols[:1], **few_sessions(run, config))
        if result.failed:
            return "FAILURE", f"{result.failed} sessions could not be drawn: {result.failures[0][2][:300]}"
        damage(store, control)
        fault = fault_of_store(store)
        return ("FAILURE", fault) if fault else ("built", f"{result.built} images")
    except FinnexError as error:
        if fault := fault_of_message(error):
            return "FAILURE", f"{type(error).__name__}: {fault}: {str(error)[:300]!r}"
        return type(error).__name__, str(error)
    except BaseException as error:
        return "FAILURE", f"{type(error).__name__}: {str(error)[:300]}\n" + "".join(
            traceback.format_tb(error.__traceback__)[-5:]
        )


def few_sessions(run: finnex.pipeline.Run, config: Any) -> dict[str, Any]:
    """Return the bounds of at most three sessions of the range that is asked for."""
    wanted = finnex.pipeline.sessions_wanted(run, config.symbols[0])[-3:]
    days = finnex.data.features.symbol_calendar(run.tables, config, config.symbols[0]).days[wanted]
    return {"start": days[0].item(), "end": days[-1].item()}


def plant(control: str) -> None:
    """Plant a fault that the run must find."""
    if control == "exception":
        raise ZeroDivisionError("planted")
    if control == "long":
        raise FinnexError("x" * 5000)
    if control == "control-character":
        raise FinnexError("\x1b[31m")
    if control == "chained":
        try:
            int("x")
        except ValueError:
            raise FinnexError("planted")  # noqa: B904
    if control == "warning":
        np.float64(1e308) * np.float64(10)
    if control == "slow":
        while True:
            pass
    if control == "memory":
        np.ones(MOST_GROWTH_MB << 18)


def damage(store: Path, control: str) -> None:
    """Plant a fault in a store that was built."""
    import zarr

    if control in ("pixel", "status"):
        group = zarr.open_group(store, mode="r+")
        symbol = next(iter(group.group_keys()))
        ready = np.flatnonzero(group[symbol]["status"][:] == READY)
        if control == "pixel":
            group[symbol]["image"][int(ready[0]), 0, 0, 0] = np.nan
        else:
            group[symbol]["status"][int(ready[0])] = 99


def apart(
    work: Callable[[], dict[str, Any]], cpu_seconds: int = 600
) -> tuple[dict[str, Any] | None, str, resource.struct_rusage]:
    """Do work in a forked process with limits; return what it found, else why it ended, and what it took."""
    out, into = os.pipe()
    if (process := os.fork()) == 0:
        os.close(out)
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
            addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (addresses + MOST_ADDRESSES,) * 2)
            signal.alarm(WALL_SECONDS + cpu_seconds)
            with os.fdopen(into, "w") as file:
                json.dump(work(), file)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        text = file.read()
    _, status, took = os.wait4(process, 0)
    if os.WIFSIGNALED(status):
        return None, f"ended by {signal.Signals(os.WTERMSIG(status)).name}", took
    return (json.loads(text), "", took) if text else (None, "said nothing", took)


def one(number: int, seed: int, studies: dict[str, Path], folder: Path, *, builds: bool, control: str = "") -> Outcome:
    """Alter a study, read it in a process of its own, and judge what came of it."""
    rng = random.Random(f"{seed}:{number}")
    name = rng.choice(sorted(studies))
    place = folder / f"case-{number}"
    done: dict[str, Any] = {}

    def prepare() -> dict[str, Any]:
        shutil.copytree(studies[name], place)
        altered = alter(place, rng)
        if rng.random() < 0.85:  # as old as a file that has arrived
            for path in place.iterdir():
                os.utime(path, (1.6e9, 1.6e9))
        return {"altered": altered}

    def work() -> dict[str, Any]:
        os.chdir(place)
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Series.values returning an ndarray that drops", DeprecationWarning)
        os.environ["FINNEX_HOME"] = str(place / "state")
        kind, text = read(place, builds=builds, control=control)
        return {"kind": kind, "text": text}

    try:
        found, why, _ = apart(prepare)
        if found is None:
            raise RuntimeError(f"case {number} of seed {seed} could not be made: {why}")
        done = found
        before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)
        limit = BUILD_CPU_SECONDS if builds else CPU_SECONDS
        if control == "slow":
            limit = 2
        found, why, took = apart(work, limit)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    seconds, growth = took.ru_utime + took.ru_stime, took.ru_maxrss / 1024 - before
    kind, text = (found["kind"], found["text"]) if found is not None else ("FAILURE", why)
    if kind != "FAILURE" and growth > MOST_GROWTH_MB:
        kind, text = "FAILURE", f"{growth:.0f} MB of memory, then {kind}: {text[:200]}"
    return Outcome(kind, text, [name, *done["altered"]], seconds, growth)


def warm() -> None:
    """Import and compute what most cases need, once."""
    finnex.data.calendar.last_close("XNYS", np.datetime64("now"))
    finnex.data.calendar.session_calendar("XNYS", date.fromisoformat(FIRST), date.fromisoformat(LAST))
    finnex.data.lexicon.score_texts(pd.Series(["good"]), "vader")


def fuzz(
    cases: range, seed: int, builds: int, control: str = "", say: Callable[[str], None] = print
) -> list[tuple[int, Outcome]]:
    """Read many altered studies; return all outcomes with their numbers."""
    warm()
    found = []
    kept = builds
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        made, why, _ = apart(lambda: {study: str(path) for study, path in write_studies(folder / "studies").items()})
        if made is None:
            raise RuntimeError(f"the studies could not be made: {why}")
        studies = {study: Path(path) for study, path in made.items()}
        for number in cases:
            outcome = one(number, seed, studies, folder, builds=False, control=control)
            spaced = (number - cases.start + 1) * builds >= (builds - kept + 1) * len(cases)
            if outcome.kind == "valid" and kept and (spaced or kept > builds // 2):
                kept -= 1
                outcome = one(number, seed, studies, folder, builds=True, control=control)
            found.append((number, outcome))
            if outcome.kind == "FAILURE":
                say(f"case {number}, {', '.join(outcome.altered)}: {outcome.text}")
                say(f"    python -m benchmarks.fuzz --seed {seed} --case {number}")
    return found


def main() -> None:
    """Read the cases and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--builds", type=int, default=50, help="valid cases that are built too")
    parser.add_argument("--case", type=int, help="only this one, with its message; built where it is valid")
    parser.add_argument("--control", default="", choices=CONTROLS, help="plant this fault in every case")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    alone = options.case is not None
    cases = range(options.case, options.case + 1) if alone else range(options.first, options.first + options.cases)
    began = time.perf_counter()
    found = fuzz(cases, options.seed, 1 if alone else options.builds, options.control)
    if alone:
        print(found[0][1])
    kinds = Counter(outcome.kind for _, outcome in found)
    failures = kinds.pop("FAILURE", 0)
    slowest = max(found, key=lambda each: each[1].seconds)
    largest = max(found, key=lambda each: each[1].growth_mb)
    longest = max((len(outcome.text) for _, outcome in found if outcome.kind != "FAILURE"), default=0)
    print(
        f"seed {options.seed}: {len(found)} cases, {failures} failures, {time.perf_counter() - began:.0f} s; "
        + ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        + f"; slowest {slowest[1].seconds:.1f} s (case {slowest[0]}), most memory {largest[1].growth_mb:.0f} MB "
        f"(case {largest[0]}), longest message {longest} characters"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
