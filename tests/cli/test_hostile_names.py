"""Every command in a folder and with names that Rich would read as markup: each is printed as it is."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from finnex.cli import COMMANDS, main
from finnex.cli.template import configuration_text

ROOT = Path(__file__).parents[2]
FOLDER = "[/b]x"
CONFIG = "run [i] :b:.toml"
SYMBOL = "A:b:C"
"""Rich's name of an emoji; a symbol holds no brackets."""
DAYS = ("2015-03-02", "2015-03-04")
SUCCEEDS: dict[str, tuple[list[str], list[str]]] = {
    # What is said about the names, after the arguments.
    "init": (["[/u]new"], ["Wrote [/u]new/finnex.toml", "finnex build --config [/u]new/finnex.toml"]),
    "inputs": ([], [f"symbols: {SYMBOL}"]),
    "build": (["--workers", "0"], ["3 images drawn", f"/{FOLDER}/[link=y]images.zarr"]),
    "info": ([], [f"/{FOLDER}/[link=y]images.zarr", f" {SYMBOL} ", "State: /", f"/{FOLDER}/[/s]state"]),
    "show": ([SYMBOL, DAYS[0], "--out", "[/b].png"], ["Wrote [/b].png"]),
    "explain": ([SYMBOL, DAYS[0], "--row", "400", "--col", "400"], ["│ section"]),
    "audit": (["--sessions", "1"], [f" sessions of {SYMBOL} (seed 0)"]),
    "qa": (["--sample", "2", "--out", "[/b].html"], ["Report: [/b].html"]),
    "export": ([SYMBOL, "--out", "[/b]plain", "--parts", "metadata"], [f"sessions of {SYMBOL}.", "[/b]plain"]),
    "features": (["--out", "[/b].csv", "--start", DAYS[0]], ["of 1 company,", "features: [/b].csv"]),
    "quarantine": ([SYMBOL, DAYS[0], "--reason", "[/b]:b:\x1b[31m"], [f"of {SYMBOL}."]),
    "release": ([SYMBOL, DAYS[0]], [f"of {SYMBOL}."]),
    "repair": ([], ["No damage"]),
}
REFUSED: dict[str, tuple[list[str], str]] = {
    "demo": (["[/b]file"], "finnex: [/b]file"),
    "fetch": ([SYMBOL, "--start", "2015-03-02", "--to", "[/b]none", "--offline"], "[/b]none holds no kept answers"),
    "deploy": (["--file", "[/b]none.yaml"], "[/b]none.yaml"),
}
REFUSED |= {
    command.__name__: (["--config", "[/b]none.toml"], "[/b]none.toml")
    for command in COMMANDS
    if command.__name__ not in {"demo", "deploy", "init", "fetch"}
}
ARGUMENTS = {
    "show": [SYMBOL, DAYS[0], "--out", "x.png"],
    "export": [SYMBOL, "--out", "x"],
    "release": [SYMBOL, DAYS[0]],
    "features": ["--out", "x.csv"],
    "dataset": ["--out", "x.csv"],
    "compact": ["--before", "2015"],
}
ARGUMENTS |= {"explain": SUCCEEDS["explain"][0], "quarantine": SUCCEEDS["quarantine"][0]}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, sample_inputs: dict[str, Path]) -> Path:
    folder = tmp_path_factory.mktemp("names") / FOLDER
    folder.mkdir(parents=True)
    prices = pd.read_csv(sample_inputs["prices"], dtype=str)
    chosen = prices[(prices["symbol"] == "NVDA") & prices["date"].between("2014-01-01", "2015-06-30")]
    chosen.assign(symbol=SYMBOL).to_csv(folder / "[red]prices.csv", index=False)
    first, last = (date.fromisoformat(day) for day in DAYS)
    text = configuration_text({"prices": "[red]prices.csv"}, [SYMBOL], start=first, end=last)
    text = text.replace('path = "images.zarr"', 'path = "[link=y]images.zarr"')
    text = text.replace('# path = "state"', 'path = "[/s]state"')
    (folder / CONFIG).write_text(text)
    (folder / "[/b]file").parent.mkdir(exist_ok=True)
    (folder / "[/b]file").write_text("no folder")
    shutil.copy(ROOT / "finnex" / "layout" / "candlestick.toml", folder / "[/b]layout.toml")
    return folder


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command in this process; an exception that is no message, such as Rich's MarkupError, comes through."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out + told.err


def test_commands_that_work_print_names_as_they_are(
    hostile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("COLUMNS", "1000")
    for name, (arguments, expected) in SUCCEEDS.items():
        where = [] if name == "init" else ["--config", CONFIG]
        code, said = ended([name, *arguments, *where], capsys)
        assert code in ({0, 1} if name in {"qa", "audit"} else {0}), (name, said)
        for part in expected:
            assert part in said, (name, part, said)
        assert "\x1b" not in said
        if name == "quarantine":
            assert f"quarantined: {SYMBOL} {DAYS[0]}: [/b]:b:\\x1b[31m" in ended(["info", *where], capsys)[1]
    for arguments, part in (
        (["check", "[/b]layout.toml"], "512 x 512 pixels"),
        (["check", "[/b]none.toml"], "[/b]none.toml"),
        (["draw", "[/b]layout.toml", "--out", "[/b]map.png"], "Wrote [/b]map.png"),
    ):
        assert part in ended(["layout", *arguments], capsys)[1]


@pytest.mark.parametrize("name", REFUSED)
def test_commands_that_refuse_repeat_names_as_they_are(
    name: str, hostile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    arguments, expected = REFUSED[name]
    code, said = ended([name, *ARGUMENTS.get(name, []), *arguments], capsys)
    assert code == 2, said
    assert expected in said
    assert "Traceback" not in said


def test_every_command_is_tried() -> None:
    assert {command.__name__ for command in COMMANDS} == set(SUCCEEDS) | set(REFUSED)
