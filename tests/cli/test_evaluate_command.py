"""`finnex evaluate`: one object of plain values, sentences in 80 columns, a tear sheet, and the same kept in MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finnex.cli import main
from tests.helpers.registered import Registry, Trained, log_training

pytest_plugins = ("tests.helpers.registry",)
pytestmark = pytest.mark.slow


def finnex(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def config_file(registry: Registry, own_study: Trained, tmp_path: Path) -> Path:
    path = tmp_path / "finnex.toml"
    (tmp_path / "prices.csv").touch()
    path.write_text(
        f'symbols = ["AAA"]\n[inputs]\nprices = "prices.csv"\n[store]\npath = "{own_study[1].path}"\n'
        f'[mlflow]\nuri = "{registry.address}"\nmodel = "judged"\nexperiment = "judged"\n'
    )
    return path


def test_a_recorded_training_is_judged_and_the_result_is_kept_with_its_run(
    registry: Registry, own_study: Trained, config_file: Path, client: Any, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert finnex("evaluate", "--config", config_file) == 2
    assert "has no version. Train one: finnex train." in " ".join(capsys.readouterr().err.split())
    given, store, result = own_study
    named = given.mlflow.model_copy(update={"experiment": "judged", "model": "judged"})
    config = given.model_copy(update={"mlflow": named})
    runs = [log_training(config, store, result, "r", {}, registry.address) for _ in range(2)]

    assert finnex("evaluate", "--config", config_file, "--json", "--out", tmp_path / "sheet.html") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["version"], found["run"], found["trials"], found["trials_compared"]) == (2, runs[1].run_id, 2, 2)
    assert "the value that is traded is not known, because the inputs cannot be read" in printed.err
    assert found["tear_sheet"] == str(tmp_path / "sheet.html")
    assert "<title>Tear sheet of" in (tmp_path / "sheet.html").read_text()
    kept = Path(client.download_artifacts(runs[1].run_id, "evaluation.json", str(tmp_path)))
    without = {"version", "run", "tear_sheet"}
    assert json.loads(kept.read_text()) == {key: value for key, value in found.items() if key not in without}

    assert finnex("evaluate", "--config", config_file, "--run", runs[0].run_id) == 0
    said = capsys.readouterr().out
    assert said.startswith("Version 1 of 'judged'")
    assert max(map(len, said.splitlines())) <= 80 + len(str(tmp_path))
    for sentence in found["words"][-1:]:
        assert sentence in " ".join(said.split())
    assert (Path(store.path).parent / "report" / "tear_sheet.html").is_file()


def test_something_else_than_a_tear_sheet_is_not_replaced(
    registry: Registry, own_study: Trained, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, store, result = own_study
    named = given.mlflow.model_copy(update={"experiment": "judged", "model": "judged"})
    log_training(given.model_copy(update={"mlflow": named}), store, result, "r", {}, registry.address)
    (mine := tmp_path / "mine.html").write_text("mine")
    assert finnex("evaluate", "--config", config_file, "--out", mine) == 2
    assert "mine.html" in capsys.readouterr().err
    assert mine.read_text() == "mine"
