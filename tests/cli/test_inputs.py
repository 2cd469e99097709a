"""`finnex inputs` says what each table gives, how its files were read, and which features nothing feeds."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from finnex.cli import main
from finnex.cli.template import configuration_text
from finnex.config import load_config
from finnex.data.panel import make_panel
from finnex.pipeline import read_run


@pytest.fixture
def study(sample_inputs: dict[str, Path], tmp_path: Path) -> Path:
    """Two companies: prices in two files that are written differently, and one macro series among unknown ones."""
    prices = pd.read_csv(sample_inputs["prices"])
    prices = prices[prices["date"].between("2014-01-01", "2015-06-30")]
    (tmp_path / "bars").mkdir()
    one = prices[prices["symbol"] == "NVDA"].drop(columns="symbol")
    one.rename(columns={"close": "Close"}).to_csv(tmp_path / "bars" / "NVDA.csv", sep=";", decimal=",", index=False)
    prices[prices["symbol"] == "AAPL"].assign(note="x").to_parquet(tmp_path / "bars" / "AAPL.parquet", index=False)
    days = pd.to_datetime(one["date"])
    macro = pd.DataFrame({"series": "DGS10", "date": days, "available_date": days + pd.Timedelta("1D"), "value": 2.5})
    macro.iloc[:5, macro.columns.get_loc("series")] = "NO_SERIES"
    macro.to_csv(tmp_path / "macro.csv", index=False)
    path = tmp_path / "finnex.toml"
    path.write_text(configuration_text({"prices": "bars", "macro": "macro.csv"}, ["NVDA", "AAPL"]))
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


def test_each_file_is_described_as_it_was_read(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = json.loads(said(capsys, "inputs", "--config", study, "--json"))["tables"]["prices"]
    parquet, text = prices["files"]
    bars = pd.read_parquet(study.parent / "bars" / "AAPL.parquet")
    assert (parquet["kind"], parquet["names"], parquet["columns_not_read"]) == ("Parquet", ["AAPL"], ["note"])
    assert parquet["rows"] == parquet["rows_kept"] == len(bars)
    assert (parquet["first"], parquet["last"]) == (bars["date"].min(), bars["date"].max())
    assert (text["kind"], text["names"]) == ("CSV", ["NVDA"])
    assert any("semicolon" in one for one in text["detected"])
    assert any("decimal" in one for one in text["detected"])


def test_the_terminal_shows_the_same_in_80_columns(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "inputs", "--config", study)
    assert "symbols: AAPL, NVDA" in shown
    assert "not read: note" in shown
    assert "series: DGS10, NO_SERIES" in shown
    assert "'NO_SERIES'" in shown.split("warning:", 1)[1]
    assert max(len(line) for line in shown.splitlines() if not line.startswith("warning:")) <= 80


def test_features_that_nothing_feeds_are_those_whose_panel_has_no_value(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(said(capsys, "inputs", "--config", study, "--symbol", "NVDA", "--json"))
    config = load_config(study)
    run = read_run(config)
    original = make_panel(run.tables, config, "NVDA", run.layout.catalogue.entries).original
    empty = {name for name, column in zip(run.layout.catalogue.names, original.T, strict=True) if pd.isna(column).all()}
    lacking = {name for table in answer["tables"].values() for name in table["features_without_a_value"]}
    assert lacking == empty
    assert answer["tables"]["sentiment"]["files"] == []
    assert set(answer["tables"]["sentiment"]["features_without_a_value"]) == {
        entry.name for entry in run.layout.catalogue.entries if entry.table == "sentiment"
    }
    assert answer["asked_symbols"] == ["NVDA"]


def test_a_feature_that_one_symbol_lacks_is_named_with_it(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = pd.DataFrame({"symbol": "AAPL", "date": ["2015-03-02", "2015-03-03"], "implied_volatility": [0.3, 0.31]})
    options.to_csv(study.parent / "options.csv", index=False)
    study.write_text(study.read_text().replace("[inputs]", '[inputs]\noptions = "options.csv"'))
    answer = json.loads(said(capsys, "inputs", "--config", study, "--json"))["tables"]["options"]
    assert answer["features_without_a_value_for"]["option_implied"] == ["NVDA"]
    assert "option_implied" not in answer["features_without_a_value"]


def test_three_commands_lead_from_a_vendors_file_to_an_image(
    sample_inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's, with a file as Yahoo's old download writes it: no symbol, names in capitals, one more column."""
    prices = pd.read_csv(sample_inputs["prices"])
    bars = prices[(prices["symbol"] == "NVDA") & prices["date"].between("2014-01-01", "2014-12-31")]
    bars = bars.drop(columns="symbol").rename(columns=str.capitalize).assign(**{"Adj Close": bars["close"]})
    monkeypatch.chdir(tmp_path)
    bars.to_csv("NVDA.csv", index=False)
    wrote = said(capsys, "init", "study", "--prices", "NVDA.csv", "--preset", "yahoo")
    assert "for NVDA." in wrote
    said(capsys, "build", "--config", "study/finnex.toml", "--start", "2014-12-30", "--workers", "0")
    said(capsys, "show", "NVDA", "2014-12-31", "--config", "study/finnex.toml", "--out", "nvda.png")
    assert Path("nvda.png").stat().st_size > 10_000


def test_a_configuration_is_written_only_for_bars_that_can_be_read(
    sample_inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, wanted in (
        (["--prices", str(tmp_path / "none.csv")], "none.csv"),
        (["--prices", str(sample_inputs["prices"]), "--symbol", "NVDX"], "Did you mean 'NVDA'"),
        (["--symbol", "NVDA"], "Name it too: --prices FILE"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["init", str(tmp_path / "study"), *arguments])
        assert ended.value.code == 2
        assert wanted in capsys.readouterr().err
        assert not (tmp_path / "study").exists()
    said(capsys, "init", tmp_path / "study", "--prices", sample_inputs["prices"])
    config = load_config(tmp_path / "study" / "finnex.toml")
    assert config.symbols == tuple(sorted(set(pd.read_csv(sample_inputs["prices"])["symbol"]) - set(config.sectors)))
