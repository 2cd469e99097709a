"""`finnex inputs` says what each table gives, how its files were read, and which features nothing feeds."""

from __future__ import annotations

import json
import re
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


def both(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """Return what a command prints on stdout, and on stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    assert ended.value.code in (0, None)
    printed = capsys.readouterr()
    return printed.out, printed.err


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    return both(capsys, *arguments)[0]


@pytest.fixture
def vendors(sample_inputs: dict[str, Path], tmp_path: Path) -> Path:
    """A download of yfinance for two companies without Adj Close, and three files of FRED."""
    prices = pd.read_csv(sample_inputs["prices"])
    prices = prices[prices["date"].between("2014-06-02", "2015-03-31") & prices["symbol"].isin(["NVDA", "AAPL"])]
    wide = prices.pivot(index="date", columns="symbol", values=["close", "high", "low", "open", "volume"])
    wide.columns = pd.MultiIndex.from_tuples(
        [(price.capitalize(), ticker) for price, ticker in wide.columns.to_list()], names=["Price", "Ticker"]
    )
    wide.index.name = "Date"
    wide.to_csv(tmp_path / "bars.csv")
    (tmp_path / "fred").mkdir()
    days = prices["date"].unique()
    for series in ("DGS10", "DGS2", "VIXCLS"):
        rows = pd.DataFrame({"observation_date": days, series: 2.5})
        rows.to_csv(tmp_path / "fred" / f"{series}.csv", index=False)
    path = tmp_path / "finnex.toml"
    path.write_text(
        'symbols = ["NVDA", "AAPL"]\nstart = 2015-03-30\nend = 2015-03-31\n[inputs]\n'
        'prices = { path = "bars.csv", preset = "yfinance" }\nmacro = { path = "fred", preset = "fred" }\n'
        '[store]\npath = "images.zarr"\n[dask]\nworkers = 0\n'
    )
    return path


def test_a_build_says_in_one_line_how_files_are_read_and_warns_of_what_changes_values(
    vendors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, printed = both(capsys, "build", "--config", vendors)
    lines = printed.splitlines()
    warned = [line for line in lines if line.startswith("warning: ")]
    other = [line for line in lines if line not in warned]
    assert len(other) == 1
    count = int(other[0].split()[0])
    assert other[0] == f"{count} notes on how files are read: finnex inputs --config {vendors}"
    assert any("there is no Adj Close" in line for line in warned)
    assert any("after later revisions" in line for line in warned)
    assert len(warned) == 2
    first, *sessions = result.splitlines()
    speed = re.fullmatch(
        r"4 images drawn, 0 up to date, 0 failed, in ([0-9.]+) s, drawing at ([0-9.]+) images/s\. Store: .*", first
    )
    assert speed is not None
    assert float(speed[1]) > 4 / float(speed[2])  # the whole command takes longer than drawing
    assert sessions == [f"{name}: 2 images, 2015-03-30 to 2015-03-31" for name in ("NVDA", "AAPL")]
    again = both(capsys, "build", "--config", vendors)[0].splitlines()
    assert "images/s" not in again[0]  # none was drawn
    assert again[1:] == sessions
    pictures = [vendors.parent / f"{day}.png" for day in ("latest", "2015-03-31", "2015-03-30")]
    for picture in pictures:
        both(capsys, "show", "NVDA", picture.stem, "--config", vendors, "--out", picture)
    latest, last, before = (picture.read_bytes() for picture in pictures)
    assert latest == last != before
    run = read_run(load_config(vendors))
    assert count == len(run.notes)
    assert [f"warning: {one}" for one in run.warnings] == warned
    # The command that the line names prints each of them, and each warning once.
    shown, repeated = both(capsys, *other[0].split(": ")[1].split()[1:])
    flat = " ".join(shown.split())
    for note in ("the header names the ticker AAPL", "the column DGS10 is the series DGS10", "no release dates"):
        assert note in flat
    assert repeated.splitlines() == warned
    assert "after later revisions" not in flat
    assert "bars of 2 companies" in flat
    for command in ("info", "features"):
        options = ("--out", vendors.parent / "f.csv") if command == "features" else ()
        answer, printed = both(capsys, command, "--config", vendors, *options)
        assert printed.splitlines() == lines
        assert "warning" not in answer
        assert command == "info" or answer.startswith("420 rows of 2 companies, ")
        assert max(map(len, answer.replace(str(vendors.parent), "").splitlines())) <= 80


def test_all_prints_what_is_left_out_otherwise(vendors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, whole = (" ".join(said(capsys, "inputs", "--config", vendors, *more).split()) for more in ((), ("--all",)))
    assert "--all" in short or "more" in short
    assert " more" not in whole
    names = json.loads(said(capsys, "inputs", "--config", vendors, "--json"))["tables"]
    assert all(name in whole for table in names.values() for name in table["features_without_a_value"])
    assert "missing: the table is not given" in short
    assert "missing: no rows of AAA, BAA" in short
    assert "missing: no bars of SPY" in short
    assert "UNRATE" in whole.split("missing: no rows of AAA")[1].split(":")[0]


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
    shown, warned = both(capsys, "inputs", "--config", study)
    assert "symbols: AAPL, NVDA" in shown
    assert "not read: note" in shown
    assert "series: DGS10, NO_SERIES" in shown
    assert "'NO_SERIES'" in warned
    assert "warning:" not in shown
    assert max(map(len, shown.splitlines())) <= 80


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
