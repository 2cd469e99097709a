"""`finnex build` where the environment is unusual: it works, or refuses in one sentence with a remedy that helps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.cli.template import configuration_text
from finnex.config import load_config
from finnex.data.calendar import session_calendar
from finnex.pipeline import build
from finnex.store import READY, ImageStore
from tests.helpers.composed import READ_ONLY, read_only_is_possible

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
FINNEX = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from finnex.cli import main; main()"
SYMBOL = "MÜN"
READY_SESSIONS = 20
"""More than `finnex build` draws without its workers."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose names are not ASCII: one company, 150 sessions, twenty images."""
    folder = tmp_path / "étude"
    folder.mkdir()
    days = session_calendar("XNYS", date(2015, 1, 2), date(2015, 8, 6)).days
    close = (100 * np.exp(np.random.default_rng(3).normal(0, 0.01, len(days)).cumsum())).round(4)
    bars = {"symbol": SYMBOL, "date": days, "open": close, "high": close + 1, "low": close - 1, "close": close}
    pd.DataFrame(bars | {"volume": 1e6}).to_csv(folder / "prés.csv", index=False)
    text = configuration_text({"prices": "prés.csv"}, [SYMBOL], start=days[-READY_SESSIONS].item(), end=days[-1].item())
    (folder / "finnex.toml").write_text(text, encoding="utf-8")
    return folder


def run(study: Path, before: str = "", workers: int = 0, after: str = "", flags: str = "", **variables: str) -> Ended:
    """Run a build in a shell of its own; a variable that is empty is unset."""
    given = {key: value for key, value in os.environ.items() if key not in {"LC_ALL", "LANG", "PYTHONUTF8"}}
    given = {key: value for key, value in (given | variables).items() if value}
    command = f'{before} "$0" {flags} -c "$1" build --config finnex.toml --workers {workers} {after}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, FINNEX],
        cwd=study, env=given, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    return Ended(study, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@dataclass(frozen=True)
class Ended:
    study: Path
    code: int
    output: str
    errors: str

    def worked(self, code: int = 0) -> None:
        assert (self.code, self.errors) == (code, "")
        self.complete()

    def complete(self) -> None:
        state = ImageStore.open(self.study / "images.zarr").state(SYMBOL)
        assert (state.status == READY).sum() == READY_SESSIONS

    def refused(self, sentence: str) -> None:
        """The message is one line; without the unusual environment the same build completes."""
        assert self.code == 2, self.errors
        assert re.fullmatch(rf"finnex: [^\n]*{sentence}[^\n]*\n", self.errors), self.errors
        assert build(load_config(self.study / "finnex.toml")).failed == 0
        self.complete()


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NOWHERE = "/proc/nothing"
WORKS: dict[str, dict[str, str]] = {
    "no home, no temporary folder, ASCII, an unknown zone, all streams closed": {
        "HOME": "", "TMPDIR": NOWHERE, "LC_ALL": "C", "TZ": "Nowhere/Nothing", "after": "<&- >&- 2>&-",
    },
    "a home that cannot be made, no assertions, an output of ASCII, few open files": {
        "HOME": NOWHERE, "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii:strict", "before": "ulimit -n 100;",
    },
    "an isolated interpreter": {"flags": "-I"},
    "a low limit of open files that may be raised": {"before": "ulimit -S -n 20;"},
}  # fmt: skip


@pytest.mark.parametrize(
    "where", [pytest.param(one, marks=pytest.mark.accept if number else ()) for number, one in enumerate(WORKS)]
)
def test_a_build_works_with(where: str, study: Path) -> None:
    run(study, workers=1, **WORKS[where]).worked()


REFUSED: dict[str, tuple[int, dict[str, str], str]] = {
    "a zone beyond a day": (0, {"TZ": "UTC+25"}, r"TZ.*'UTC\+25'.*unset TZ"),
    "names that cannot be encoded": (0, ASCII, "ascii.*PYTHONUTF8=1"),
    "files of no length": (0, {"before": "ulimit -f 0;"}, "ulimit -f"),
    "files of 64 kB": (0, {"before": "ulimit -f 64;"}, "ulimit -f"),
    "files of 64 kB, drawn by a worker": (1, {"before": "ulimit -f 64;"}, "ulimit -f"),
    "forty open files": (1, {"before": "ulimit -n 40;"}, "ulimit -n"),
    "an output that is full": (0, {"after": ">/dev/full"}, "output.*No space left"),
}


@pytest.mark.parametrize("where", REFUSED)
def test_a_build_refuses_in_one_sentence(where: str, study: Path) -> None:
    workers, given, sentence = REFUSED[where]
    run(study, workers=workers, **given).refused(sentence)


def test_a_reader_that_has_gone_costs_no_image(study: Path) -> None:
    run(study, before="set -o pipefail;", after="| true").worked(code=1)


@pytest.mark.parametrize("full", ["size=4k", pytest.param("size=4k,nr_inodes=1", marks=pytest.mark.accept)])
def test_full_shared_memory_is_named(full: str, study: Path) -> None:
    if not read_only_is_possible():
        pytest.skip("no mount namespaces here")
    fill = "head -c 4096 /dev/zero | tee /dev/shm/full >/dev/null 2>&1"
    prefix = f"""unshare --mount sh -c 'mount -t tmpfs -o {full} tmpfs /dev/shm; {fill}; exec "$0" "$@"'"""
    run(study, before=prefix, workers=1).refused("/dev/shm")


def test_no_folder_for_temporary_files_is_named(study: Path) -> None:
    if not read_only_is_possible():
        pytest.skip("no mount namespaces here")
    (study.parent / "stores").mkdir()  # the store can be written, and the folder of the process cannot
    config = study / "finnex.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('"images.zarr"', '"../stores/images.zarr"'))
    ended = run(study, before=f"unshare --mount sh -ec '{READ_ONLY}' sh \"${{PWD%/*}}/stores\" --", workers=1)
    assert ended.code == 2, ended.errors
    assert re.fullmatch(r"finnex: [^\n]*TMPDIR[^\n]*\n", ended.errors), ended.errors
    assert build(load_config(config)).failed == 0
