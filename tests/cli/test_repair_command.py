"""`finnex repair`: what it says, what it asks, what it changes, and how it exits."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import finnex.pipeline
from finnex.cli import app
from finnex.cli.template import FILE, configuration_text
from finnex.store import ImageStore, Reach
from tests.helpers.damaged_stores import damage
from tests.helpers.format_3 import DAYS, TEMPLATE

SOUND = "No damage was found. `finnex qa` reads every image.\n"
LOSES = "A/prediction is damaged: emptied. Lost for good: all predictions of A (sessions with one: 1)."
HEALS = "A/coverage is damaged: filled anew; the images stay, and the next build draws them again.\n"


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and a whole store, on a terminal of 80 columns."""
    shutil.copytree(whole, tmp_path / "images.zarr")
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\n")
    text = configuration_text({"prices": "prices.csv"}, ["A", "B"])
    (tmp_path / FILE).write_text(text)
    monkeypatch.setattr(finnex.pipeline, "read_run", lambda config: SimpleNamespace(template=TEMPLATE))
    monkeypatch.setattr(finnex.pipeline, "reach_of", lambda run, symbol: Reach(DAYS, DAYS, DAYS))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def run(project: Path, *options: str, answer: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, ["repair", "--config", str(project / FILE), *options], input=answer)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def files(project: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in (project / "images.zarr").rglob("*") if one.is_file()}


def test_a_sound_store_is_left_alone(project: Path) -> None:
    before = files(project)
    assert run(project) == (0, SOUND)
    assert files(project) == before


def test_a_dry_run_lists_everything_and_changes_nothing(project: Path) -> None:
    for file in ("A/coverage/c.0.0", "A/prediction/c.0.0"):
        damage(project / "images.zarr", file, "random")
    before = files(project)
    code, said = run(project, "--dry-run")
    ending = "Nothing was changed. Without --dry-run this is mended; what is lost for good is asked for.\n"
    assert (code, said) == (1, f"{HEALS}{LOSES}\n{ending}")
    assert files(project) == before


def test_without_consent_what_would_be_lost_stays_and_the_rest_is_mended(project: Path) -> None:
    for file in ("A/coverage/c.0.0", "A/prediction/c.0.0"):
        damage(project / "images.zarr", file, "random")
    code, said = run(project)
    ending = "To give up what cannot be made again: finnex repair --yes.\n"
    assert (code, said) == (1, f"{HEALS}Left as it is. {LOSES}\n{ending}")
    assert set(ImageStore.open(project / "images.zarr").broken("A")) == {"prediction"}
    assert run(project, "--yes") == (0, f"{LOSES}\nNow run: finnex build.\n")
    assert run(project) == (0, SOUND)


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, set()), ("n\n", 1, {"prediction"})])
def test_on_a_terminal_it_asks(
    project: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: set[str]
) -> None:
    monkeypatch.setattr(sys.modules["finnex.cli.repair"], "_can_be_asked", lambda: True)
    damage(project / "images.zarr", "A/prediction/c.0.0", "gone")
    done, said = run(project, answer=answer)
    assert done == code
    assert f"{LOSES} Go ahead? [y/N]: {answer.strip()}" in said
    assert set(ImageStore.open(project / "images.zarr").broken("A")) == left


def test_as_json_it_says_the_same_and_asks_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["finnex.cli.repair"], "_can_be_asked", lambda: True)
    damage(project / "images.zarr", "A/prediction/c.0.0", "empty")
    code, said = run(project, "--json")
    found = json.loads(said)
    assert code == 1
    assert found["store"] == found["kept"] != []
    assert found["changed"] is False
