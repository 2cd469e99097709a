"""`finnex init --prices`: paths of the current folder, symbols by the preset, and remedies that can be followed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from finnex.cli import main
from finnex.config import load_config
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings

BARS = "Date,Open,High,Low,Close,Volume\n2024-03-07,10.5,11,10,10.2,100\n2024-03-08,10.6,11,10,10.3,120\n"
YFINANCE = """Price,Close,High,Low,Open,Volume
Ticker,ACME,ACME,ACME,ACME,ACME
Date,,,,,
2024-03-07,10.5,11,10,10.2,100
2024-03-08,10.6,11,10,10.3,120
"""
ALPHA = """timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient
2024-03-08,10.6,11,10,10.3,10.3,120,0,1
"""
NASDAQ = "Date,Close/Last,Volume,Open,High,Low\n03/08/2024,$10.5,100,$10.4,$10.6,$10.3\n"
OWN = """title = "t"
source = "x"
[prices]
names = { date = ["Date"], open = ["Open"], high = ["High"], low = ["Low"], close = ["Close"], volume = ["Volume"] }
"""
ADJUSTED = "prices are taken as yfinance adjusts them by default, for splits and dividends"
Init = Callable[..., tuple[int, str]]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Return a runner of `finnex init study` in a folder of its own: exit code, and what was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["init", "study", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    return run


def test_a_preset_of_ones_own_is_a_path_of_the_current_folder_as_prices_is(init: Init) -> None:
    Path("own.toml").write_text(OWN)
    Path("ACME.csv").write_text(BARS)
    code, said = init("--prices", "ACME.csv", "--preset", "own.toml")
    assert code == 0, said
    assert read_tables(load_config("study/finnex.toml")).prices["close"].tolist() == [10.2, 10.3]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--prices", "none.csv"), "--prices: {here}/none.csv does not exist. Name a file of bars"),
        (("--prices", "empty"), "--prices: {here}/empty is a folder without a table"),
        (("--prices", "ACME.csv", "--preset", "none.toml"), "--preset: {here}/none.toml does not exist."),
    ],
)
def test_an_argument_that_names_nothing_is_refused_by_its_name(
    init: Init, arguments: tuple[str, ...], wanted: str
) -> None:
    Path("empty").mkdir()
    Path("ACME.csv").write_text(BARS)
    code, said = init(*arguments)
    assert code == 2
    assert wanted.format(here=Path.cwd()) in said
    assert "finnex.toml" not in said
    assert not Path("study").exists()


@pytest.mark.parametrize(
    ("name", "text", "preset", "symbol"),
    [
        ("daily_adjusted_ACME.csv", ALPHA, "alpha_vantage", "ACME"),
        ("daily_acme.csv", ALPHA, "alpha_vantage", "ACME"),
        ("HistoricalData_ACME.csv", NASDAQ, "nasdaq", "ACME"),
        ("acme_us_d.csv", BARS, "stooq", "ACME"),
        ("ACME.csv", BARS, None, "ACME"),
        ("kurse_ACME.csv", BARS, 'file_names = ["kurse_{symbol}"]', "ACME"),
    ],
)
def test_the_symbol_of_one_file_is_the_one_that_the_presets_rule_finds_in_its_name(
    init: Init, name: str, text: str, preset: str | None, symbol: str
) -> None:
    Path(name).write_text(text)
    if preset and "{" in preset:
        Path("own.toml").write_text(OWN + preset)
        preset = "own.toml"
    code, said = init("--prices", name, *(("--preset", preset) if preset else ()))
    assert code == 0, said
    assert f"The symbol {symbol} is taken from the file's name; --symbol NAME says otherwise." in said
    config = load_config("study/finnex.toml")
    assert config.symbols == (symbol,)
    assert set(read_tables(config).prices["symbol"]) == {symbol}


def test_the_symbol_of_one_file_is_the_presets_constant(init: Init) -> None:
    Path("own.toml").write_text(OWN + 'constants = { symbol = "ACME" }\n')
    Path("bars.csv").write_text(BARS)
    code, said = init("--prices", "bars.csv", "--preset", "own.toml")
    assert code == 0
    assert "The symbol ACME is taken from the preset; --symbol NAME" in said
    assert set(read_tables(load_config("study/finnex.toml")).prices["symbol"]) == {"ACME"}


@pytest.mark.parametrize("name", ["HistoricalData_ACME.csv", "HistoricalData_1709912345678.csv"])
def test_symbol_says_otherwise_than_the_files_name(init: Init, name: str) -> None:
    Path(name).write_text(NASDAQ)
    code, said = init("--prices", name, "--preset", "nasdaq", "--symbol", "OTHER")
    assert code == 0
    assert "is taken from" not in said
    config = load_config("study/finnex.toml")
    assert config.symbols == ("OTHER",)
    assert set(read_tables(config).prices["symbol"]) == {"OTHER"}


def test_the_moment_of_a_download_is_no_symbol_by_a_vendors_rule(init: Init) -> None:
    Path("HistoricalData_1709912345678.csv").write_text(NASDAQ)
    _, said = init("--prices", "HistoricalData_1709912345678.csv", "--preset", "nasdaq")
    assert "The symbol HistoricalData_1709912345678 is taken from the file's name" in said


def test_symbol_does_not_rename_a_file_that_names_its_symbol(init: Init) -> None:
    Path("yf.csv").write_text(YFINANCE)
    code, said = init("--prices", "yf.csv", "--preset", "yfinance", "--symbol", "OTHER")
    assert code == 2
    assert "ACME" in said


@pytest.mark.parametrize("preset", ["yfinance", "stooq", None])
def test_a_header_of_fields_and_tickers_says_how_yfinance_adjusts(init: Init, preset: str | None) -> None:
    Path("yf.csv").write_text(YFINANCE)
    assert init("--prices", "yf.csv", *(("--preset", preset) if preset else ()))[0] == 0
    config = load_config("study/finnex.toml")
    assert config.symbols == ("ACME",)
    assert sum(ADJUSTED in one for one in input_warnings(read_tables(config), config)) == 1


def test_a_header_of_fields_and_tickers_is_yfinances_and_no_other_vendors(init: Init) -> None:
    Path("yf.csv").write_text(YFINANCE)
    code, said = init("--prices", "yf.csv", "--preset", "yahoo")
    assert code == 2
    assert 'Its columns are those of preset = "yfinance"; or leave preset out' in said


@pytest.mark.parametrize("preset", ["yahoo", None])
def test_columns_to_name_are_a_whole_line_that_works_after_the_step_before_it(init: Init, preset: str | None) -> None:
    Path("bars.csv").write_text(BARS.replace("Open", "Auf").replace("Date", "Tag").replace("Volume", "Stück"))
    code, said = init("--prices", "bars.csv", *(("--preset", preset) if preset else ()))
    assert code == 2
    assert "Run `finnex init study` without --prices first" in said
    line = re.search(r"under \[inputs\]: (prices = \{.*?\} \})\.", said)
    assert line is not None
    assert init()[0] == 0
    named = line[1]
    for ours, theirs in (("date", "Tag"), ("open", "Auf"), ("volume", "Stück")):
        assert f'{ours} = "..."' in named
        named = named.replace(f'{ours} = "..."', f'{ours} = "{theirs}"')
    assert "..." not in named
    path = Path("study/finnex.toml")
    text = re.sub("(?m)^prices = .*$", named, path.read_text()).replace("AAPL", "ACME")
    path.write_text(text)
    assert len(read_tables(load_config(path)).prices) == 2


def test_the_written_configuration_names_the_command_that_checks_it(init: Init) -> None:
    assert init()[0] == 0
    assert "Check your edits with: finnex inputs --config finnex.toml" in Path("study/finnex.toml").read_text()


@pytest.mark.parametrize("name", ["Ticker", "ticker", "Stock"])
def test_a_column_of_several_tickers_names_the_symbols(init: Init, name: str) -> None:
    rows = BARS.splitlines()
    lines = [f"{name},{rows[0]}", *(f"{ticker},{row}" for ticker in ("LONG", "ZETA") for row in rows[1:])]
    Path("download.csv").write_text("\n".join(lines) + "\n")
    code, said = init("--prices", "download.csv")
    assert code == 0, said
    config = load_config("study/finnex.toml")
    assert config.symbols == ("LONG", "ZETA")
    assert read_tables(config).prices["close"].tolist() == [10.2, 10.3] * 2


def test_a_column_of_one_ticker_names_the_symbol_and_the_configuration_says_so(init: Init) -> None:
    rows = BARS.splitlines()
    Path("download.csv").write_text("\n".join([f"Ticker,{rows[0]}", *(f"LONG,{row}" for row in rows[1:])]) + "\n")
    code, said = init("--prices", "download.csv")
    assert code == 0, said
    assert 'columns = { symbol = "Ticker" }' in Path("study/finnex.toml").read_text()
    config = load_config("study/finnex.toml")
    assert config.symbols == ("LONG",)
    assert read_tables(config).prices["close"].tolist() == [10.2, 10.3]


def test_folders_of_symbols_are_named_as_one_table(init: Init) -> None:
    for symbol in ("ACME", "BETA"):
        folder = Path("prices") / f"symbol={symbol}"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text(BARS)
    code, said = init("--prices", "prices")
    assert code == 0, said
    config = load_config("study/finnex.toml")
    assert config.symbols == ("ACME", "BETA")
    assert read_tables(config).prices["symbol"].unique().tolist() == ["ACME", "BETA"]


def test_the_symbol_of_one_folder_is_said_to_be_the_folders(init: Init) -> None:
    folder = Path("prices") / "ticker=ACME"
    folder.mkdir(parents=True)
    (folder / "part-0.csv").write_text(BARS)
    code, said = init("--prices", "prices")
    assert code == 0, said
    assert "The symbol ACME is taken from the folder's name" in " ".join(said.split())


def test_the_line_that_names_a_delimiter_has_the_step_before_it(init: Init) -> None:
    Path("ACME.csv").write_text(BARS.replace(",", "^"))
    code, said = init("--prices", "ACME.csv")
    assert code == 2
    assert re.search(r'delimiter = "\^" .*`finnex init .*` without --prices first', " ".join(said.split()))
