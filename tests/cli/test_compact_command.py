"""`finnex compact`: what it says, what it refuses, and its exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from finnex.cli import main
from finnex.store import ImageStore, writing
from tests.helpers.stores import blank, make_store, sessions

CONFIG = """\
symbols = ["AAA", "BBB"]
[inputs]
prices = "prices.csv"
[store]
path = "images.zarr"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration and its store: two companies, three sessions of 2015 and two of 2016."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "finnex.toml").write_text(CONFIG)
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\n")
    days = sessions(5, "2015-12-29")
    with writing(tmp_path / "images.zarr"):
        labels = {symbol: np.zeros(5, dtype=np.int8) for symbol in ("AAA", "BBB")}
        make_store(tmp_path / "images.zarr", days, lambda _, row: blank() + row / 16, labels, horizon=1)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["compact", *arguments, "--config", "finnex.toml"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), " ".join((said.out + said.err).split())


def test_it_says_what_it_would_do_then_does_it_then_has_nothing_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--before", "2016", "--dry-run") == (
        0, "AAA 2015: 3 images in one file BBB 2015: 3 images in one file 6 images. Nothing was changed. "
        "Without --dry-run they lie in 2 files.",
    )  # fmt: skip
    assert ImageStore.open(folder / "images.zarr").compacted("AAA") == {}
    code, said = run(capsys, "--before", "2016", "AAA")
    assert (code, said) == (0, "AAA 2015: 3 images in one file 3 images. They lie in 1 file.")
    code, said = run(capsys, "--before", "2016", "--json")
    assert code == 0
    assert json.loads(said) == {"years": [{"symbol": "BBB", "year": "2015", "images": 3, "left": ""}], "changed": True}
    code, said = run(capsys, "--before", "2016")
    assert (code, said) == (0, "Nothing to compact: no year before 2016 has an image in a file of its own.")
    store = ImageStore.open(folder / "images.zarr")
    assert [store.compacted(symbol) for symbol in ("AAA", "BBB")] == [{"2015": 3}] * 2


def test_a_year_left_because_of_damage_is_said_and_is_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "images.zarr/AAA/image/c.1.0.0.0").unlink()
    code, said = run(capsys, "--before", "2016")
    assert code == 1
    assert "the image of AAA for 2015-12-30 is damaged (it is missing), so 2015 of AAA stays as it is." in said
    assert said.endswith("BBB 2015: 3 images in one file 3 images. They lie in 1 file.")


def test_a_company_that_cannot_be_read_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images.zarr/AAA/status/c.0").write_bytes(b"damaged")
    code, said = run(capsys, "--before", "2016")
    assert code == 1
    assert "the array AAA/status of" in said
    assert "`finnex repair` makes it anew." in said
    assert said.endswith("BBB 2015: 3 images in one file 3 images. They lie in 1 file.")


def test_it_refuses_a_year_that_is_not_over_and_a_company_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC).year
    code, said = run(capsys, "--before", str(now + 1))
    assert code == 2
    assert f"would compact {now}, which is not over" in said
    code, said = run(capsys, "--before", "2016", "CCC")
    assert code == 2
    assert "CCC" in said


def test_it_refuses_while_another_process_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(folder / "images.zarr"):
        code, said = run(capsys, "--before", "2016")
    assert code == 2
    assert "another process" in said
