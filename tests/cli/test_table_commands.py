"""`finnex features`, `finnex dataset` and `finnex predict --out`: what they write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.cli import main
from finnex.store import ImageStore
from finnex.tracking import promote
from tests.helpers.registered import Registry, Trained, log_training

pytest_plugins = ("tests.helpers.registry",)


def finnex(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def config(sample_inputs: dict[str, Path], tmp_path: Path) -> Path:
    path = tmp_path / "finnex.toml"
    path.write_text(
        f'symbols = ["NVDA", "AAPL"]\n[inputs]\nprices = "{sample_inputs["prices"]}"\n[store]\npath = "images.zarr"\n'
    )
    return path


def test_features_are_written_without_a_store(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "features.csv.gz"
    assert finnex("features", "--config", config, "--out", path, "--symbol", "NVDA", "--start", "2016-06-01",
                  "--end", "2016-06-03", "--json") == 0  # fmt: skip
    said, found = json.loads(capsys.readouterr().out), pd.read_csv(path)
    assert said["rows"] == len(found) == 3
    assert said["features"] == len(found.columns) - 4 == len(said["units"])
    assert found["date"].tolist() == ["2016-06-01", "2016-06-02", "2016-06-03"]
    assert set(found["symbol"]) == {"NVDA"}
    assert not (tmp_path / "images.zarr").exists()


def test_a_company_without_a_session_in_the_range_is_named_and_not_counted(
    config: Path, sample_inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = pd.read_csv(sample_inputs["prices"], dtype=str)
    ended = prices[(prices["symbol"] != "AAPL") | (prices["date"] < "2016-05-01")]
    ended.to_csv(tmp_path / "prices.csv", index=False)
    config.write_text(config.read_text().replace(str(sample_inputs["prices"]), "prices.csv"))
    path = tmp_path / "features.csv"
    assert finnex("features", "--config", config, "--out", path, "--start", "2016-06-01", "--end", "2016-06-03") == 0
    said = capsys.readouterr()
    assert "3 rows of 1 company," in said.out
    assert "warning: AAPL has no session in the range, and no row." in said.err
    assert set(pd.read_csv(path)["symbol"]) == {"NVDA"}


def test_a_company_that_is_left_out_is_named_and_has_no_row(
    config: Path, sample_inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = pd.read_csv(sample_inputs["prices"], dtype=str)
    prices.loc[prices.index[prices["symbol"] == "AAPL"][-1], "close"] = "-1"
    prices.to_csv(tmp_path / "prices.csv", index=False)
    text = config.read_text().replace(str(sample_inputs["prices"]), "prices.csv")
    config.write_text(f'on_bad_company = "leave out"\n{text}')
    path = tmp_path / "features.csv"
    days = ("--start", "2016-06-01", "--end", "2016-06-03")
    assert finnex("features", "--config", config, "--out", path, *days, "--json") == 0
    said = capsys.readouterr()
    assert [one["company"] for one in json.loads(said.out)["left_out"]] == ["AAPL"]
    assert json.loads(said.out)["symbols"] == ["NVDA"]
    assert "1 company is left out (AAPL)" in said.err
    assert set(pd.read_csv(path)["symbol"]) == {"NVDA"}
    assert finnex("features", "--config", config, "--out", tmp_path / "none.csv", "--symbol", "AAPL") == 2
    assert "must be above zero" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "none.csv").exists()
    assert finnex("info", "--config", config, "--json") == 0
    assert [one["company"] for one in json.loads(capsys.readouterr().out)["left_out"]] == ["AAPL"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "features.xlsx"), "names no format of a table"),
        (("--out", "features.csv", "--symbol", "NVDIA"), "Did you mean 'NVDA'?"),
        (("--out", "features.csv", "--start", "2030-01-01"), "no session of NVDA, AAPL from 2030-01-01"),
        (("--out", "prices.csv"), "it is no table of features that FinNeX wrote"),
    ],
)
def test_what_cannot_be_written_is_one_sentence_and_no_file(
    arguments: tuple[str, ...], said: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.csv").write_text("date,symbol,close\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert finnex("features", "--config", config, *arguments) == 2
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "prices.csv").read_text() == "date,symbol,close\n"


def test_force_without_a_file_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finnex("predict", "--config", config, "--force") == 2
    assert "--force has no effect without --out" in capsys.readouterr().err


@pytest.mark.slow
def test_predictions_and_samples_of_a_study_become_tables(
    registry: Registry, own_study: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, store, result = own_study
    path = tmp_path / "finnex.toml"
    (tmp_path / "prices.csv").touch()  # named, and not read by these commands
    path.write_text(
        f'symbols = ["AAA"]\n[inputs]\nprices = "prices.csv"\n[store]\npath = "{store.path}"\n'
        f'[mlflow]\nuri = "{registry.address}"\nmodel = "tables"\nexperiment = "tables"\n'
        "[training]\nvalidation_fraction = 0.2\nembargo_sessions = 5\n"
    )
    config = given.model_copy(
        update={"mlflow": given.mlflow.model_copy(update={"experiment": "tables", "model": "tables"})}
    )
    log_training(config, store, result, "r", {}, registry.address)
    promote(config, store, registry.address, force=True)
    (tmp_path / "mine.csv").write_text("date,mine\n")
    assert finnex("predict", "--config", path, "--out", tmp_path / "mine.csv") == 2
    assert "`--force` replaces it" in capsys.readouterr().err
    silent = ImageStore.open(store.path).unpredicted("AAA", 400)
    out = tmp_path / "signals.parquet"
    assert finnex("predict", "--config", path, "--out", out, "--sessions", 2, "--json") == 0
    said, found = json.loads(capsys.readouterr().out), pd.read_parquet(out)
    now = store.open_images("AAA")
    stored = now["prediction"].to_numpy()[now["prediction_version"].to_numpy() > 0]
    assert len(silent) - len(ImageStore.open(store.path).unpredicted("AAA", 400)) == len(said["predictions"])
    assert said["signals"] == {"path": str(out), "rows": len(found), "without_set": []}
    np.testing.assert_array_equal(found[["p_sell", "p_hold", "p_buy"]].to_numpy(), stored)
    assert found["set"].notna().all()
    assert finnex("predict", "--config", path, "--out", out, "--sessions", 9) == 0  # seven more, without their rows
    summary = capsys.readouterr().out.splitlines()
    assert summary[0] == f"{len(pd.read_parquet(out))} signals: {out}"
    assert summary[1].startswith("7 new predictions, ")
    assert len(summary) == 2
    assert finnex("dataset", "--config", path, "--out", tmp_path / "samples.csv", "--json") == 0
    sets = json.loads(capsys.readouterr().out)["sets"]
    assert {name: sets[name] for name in result.parts} == {name: part.samples for name, part in result.parts.items()}
    assert pd.read_csv(tmp_path / "samples.csv")["set"].value_counts().to_dict() == sets
