"""Read files as vendors write them, whole and altered: right values, or a short message of FinNeX, never a traceback.

`python -m benchmarks.fuzz_files [--cases N] [--seed S] [--case K] [--control]`. A whole file must be read, and each bar
be the one that was written. Of an altered file all bars but those that the alteration can change must be right wherever
it is read. Prints each failure with the command that runs it alone, and exits with 1 where there is one. `--control`
expects one wrong price of each whole file: the run must find all of them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.random_files import FIELDS, SHAPES, Written, place
from finnex.config import parse_config
from finnex.data.tables import read_bars
from finnex.errors import FinnexError

MOST_MESSAGE_BYTES = 4096
MOST_ALTERED_LINES = 2
"""Lines that one alteration of a few bytes can change: the one that it cuts, and the one that it joins it to."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes
    ----------
    shape, altered
        Who writes such files, and what was done to this one; '' where it is whole.
    answer
        `read`, or the name of FinNeX's error.
    fault
        What is wrong with the answer; '' where nothing is.
    """

    shape: str
    altered: str
    answer: str
    fault: str


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def _remove(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randint(1, 3) :]


def _replace(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _insert(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + rng.choice((b",", b";", b'"', b"\n", b"\0", b"abc", b"\xff\xfe", b"=1+1")) + content[at:]


def _repeat_line(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return b"".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])


def _drop_line(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


ALTERATIONS: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "cut": _cut, "bytes removed": _remove, "byte replaced": _replace, "bytes inserted": _insert,
    "line repeated": _repeat_line, "line dropped": _drop_line,
}  # fmt: skip
PRESETS = ("yfinance", "yahoo", "nasdaq", "investing", "stooq", "alpha_vantage")


def written_case(case: int, seed: int) -> tuple[Written, str]:
    """Return the files of a case, and what was done to them; '' where they are whole."""
    rng = random.Random(f"{seed}-{case}")
    written = rng.choice(SHAPES)(rng)
    if rng.random() < 0.4:
        return written, ""
    if rng.random() < 0.15:
        written.source = written.source | {"preset": rng.choice(PRESETS)}
        return written, "another preset"
    altered = rng.choice(list(ALTERATIONS))
    name = rng.choice([one for one in written.files if "README" not in one])
    written.files[name] = ALTERATIONS[altered](rng, written.files[name])
    return written, altered


def run_case(case: int, seed: int, *, control: bool = False) -> Outcome:
    """Write the files of a case, read them, and compare."""
    written, altered = written_case(case, seed)
    if control and not altered:
        written.bars.loc[0, "close"] *= 1.5
    with tempfile.TemporaryDirectory() as folder:
        place(written, Path(folder))
        source = written.source["path"] if set(written.source) == {"path"} else written.source
        symbols = sorted(set(written.bars["symbol"]))
        document: dict[str, object] = {"inputs": {"prices": source}, "symbols": symbols, "store": {"path": "s.zarr"}}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                bars = read_bars(parse_config(document, Path(folder) / "finnex.toml"))
        except FinnexError as error:
            return Outcome(written.shape, altered, type(error).__name__, _fault_of_message(str(error), altered))
        except Exception:
            return Outcome(written.shape, altered, "traceback", traceback.format_exc())
    return Outcome(written.shape, altered, "read", _fault_of_bars(written, bars, altered))


def _fault_of_message(message: str, altered: str) -> str:
    if not altered:
        return f"a whole file is refused: {message}"
    if len(message.encode()) > MOST_MESSAGE_BYTES:
        return f"the message has {len(message.encode())} bytes"
    return "" if message.isprintable() or all(line.isprintable() for line in message.splitlines()) else repr(message)


def _fault_of_bars(written: Written, bars: pd.DataFrame, altered: str) -> str:
    key = ["symbol", "date"]
    both = written.bars.merge(
        bars[[*key, *FIELDS]], on=key, how="outer", suffixes=("_written", "_read"), indicator=True
    )
    wrong = both["_merge"] != "both"
    for name in FIELDS:
        error = written.volume_error if name == "volume" else written.price_error
        close = np.isclose(both[f"{name}_read"], both[f"{name}_written"], rtol=error, atol=1e-9)
        wrong |= (both["_merge"] == "both") & ~close
    if altered == "cut":  # what is gone is gone; what is read must be right, but for the last bar
        wrong &= both["_merge"] != "left_only"
    lines = MOST_ALTERED_LINES if altered and altered != "another preset" else 0
    allowed = lines * written.bars["symbol"].nunique()  # a line of a wide file has a bar of each
    if wrong.sum() <= allowed or (altered and _by_one_factor(both[wrong])):
        return ""
    return f"{int(wrong.sum())} bars are not what was written:\n{both[wrong].head(3).to_string()}"


def _by_one_factor(wrong: pd.DataFrame) -> bool:
    """Return whether prices differ by one factor: the ratio of a split was altered, and its jump is warned of."""
    factor = wrong["close_read"] / wrong["close_written"]
    return bool(np.isclose(factor, factor.iloc[0], rtol=1e-6).all() and not 0.6 < factor.iloc[0] < 1.7)


def main() -> None:
    """Run the cases that the options name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int)
    parser.add_argument("--control", action="store_true")
    options = parser.parse_args()
    began, answers, failures, whole = time.perf_counter(), Counter[str](), 0, 0
    for case in range(options.cases) if options.case is None else [options.case]:
        found = run_case(case, options.seed, control=options.control)
        answers[found.answer] += 1
        whole += not found.altered
        if found.fault:
            failures += 1
            print(f"case {case}, {found.shape}, {found.altered or 'whole'}: {found.answer}: {found.fault}")
            print(f"    python -m benchmarks.fuzz_files --seed {options.seed} --case {case}")
    said = ", ".join(f"{name} {count}" for name, count in answers.most_common())
    print(f"seed {options.seed}: {sum(answers.values())} cases, {whole} whole, {failures} failures, "
          f"{time.perf_counter() - began:.0f} s; {said}")  # fmt: skip
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
