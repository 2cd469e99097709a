"""Presets of a user's own: the one that `docs/presets.md` shows reads a whole file, and signs are read one time."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from finnex.config import parse_config
from finnex.data.preset import bundled, preset_of
from finnex.data.tables import Tables, read_tables
from finnex.errors import ConfigError, InputError

DOC = Path(__file__).parents[2] / "docs" / "presets.md"
HEADER = "WKN;Börse;Tag;Eröffnung;Hoch;Tief;Schluss;Umsatz\n"
LINE = "A1ABCD;Xetra;{day};{};{};{};{};{volume}\n"
DAYS = (
    ("08.03.2024", "79,10", "79,71", "77,75", "78,06"),
    ("07.03.2024", "1.078,70", "1.078,89", "1.078,33", "1.078,88"),
)
CLOSES = [1078.88, 78.06]
MINIMAL = """title = "t"
source = "x"
[prices]
names.date = ["Tag"]
names.open = ["Eröffnung"]
names.high = ["Hoch"]
names.low = ["Tief"]
names.close = ["Schluss"]
names.volume = ["Umsatz"]
date_formats = ["%d.%m.%Y"]
ignore = ["WKN", "Börse"]
"""


def documented() -> str:
    """Return the preset under 'A preset of your own'."""
    found = re.search(r"```toml\n(.*?)```", DOC.read_text().split("## A preset of your own", 1)[1], re.DOTALL)
    assert found is not None
    return found[1]


def text_of(amount: str = "{}", volume: str = "1,294 Mio") -> str:
    """Return a file of two days; `amount` says how a price is written."""
    return HEADER + "".join(LINE.format(*map(amount.format, prices), day=day, volume=volume) for day, *prices in DAYS)


Read = Callable[..., Tables]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a reader of a price file by a preset's text."""

    def make(text: str, preset: str, **keys: object) -> Tables:
        (tmp_path / "own.toml").write_text(preset)
        (tmp_path / "file.csv").write_text(text)
        prices = {"path": "file.csv", "preset": "own.toml", "symbol": "ACME", **keys}
        document: dict[str, object] = {"inputs": {"prices": prices}, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
        return read_tables(parse_config(document, tmp_path / "finnex.toml"))

    return make


WAYS = ("{}", "{} €", "{}€", "€{}", "€ {}", "{} EUR")


@pytest.mark.parametrize("amount", WAYS)
def test_the_documented_preset_reads_a_price_file_whole(read: Read, amount: str) -> None:
    bars = read(text_of(amount), documented()).prices
    assert bars["close"].tolist() == CLOSES
    assert bars["open"].tolist() == [1078.7, 79.1]
    assert bars["volume"].tolist() == [1_294_000.0] * 2


@pytest.mark.parametrize("amount", WAYS)
@pytest.mark.parametrize("more", ["", 'decimal = ","\n', 'thousands = "."\n', 'decimal = ","\nthousands = "."\n'])
def test_a_sign_that_the_preset_names_is_the_one_that_the_file_shows(read: Read, amount: str, more: str) -> None:
    preset = MINIMAL + 'currency = ["€", "EUR"]\nunits = { Mio = 1e6 }\n' + more
    assert read(text_of(amount), preset).prices["close"].tolist() == CLOSES


def test_one_bad_cell_leaves_the_good_columns_alone_and_is_shown_as_it_is_in_the_file(read: Read) -> None:
    text = text_of("{} €").replace("78,06 €", "78,06 Franken")
    with pytest.raises(InputError) as caught:
        read(text, documented())
    message = str(caught.value)
    assert [one.column for one in caught.value.problems] == ["Schluss"]
    assert "78,06 Franken" in message
    assert "79.10" not in message
    assert "Eröffnung" not in message


def test_a_bad_cell_without_a_preset_is_shown_as_it_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(
        "symbol;date;open;high;low;close;volume\nACME;2024-03-07;79,10 €;79,7;77,7;78,0;10\n"
        "ACME;2024-03-08;79,1;79,7;77,7;78,0;10\n"
    )
    inputs = {"prices": "prices.csv"}
    document: dict[str, object] = {"inputs": inputs, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
    with pytest.raises(InputError, match=re.escape("'79,10 €'")):
        read_tables(parse_config(document, tmp_path / "finnex.toml"))


def test_the_configuration_gives_the_presets_sign_another_meaning(read: Read) -> None:
    preset = MINIMAL + 'currency = ["$"]\ndecimal = "."\nthousands = ","\nunits = { Mio = 1e6 }\n'
    assert read(text_of("{} $"), preset, decimal=",").prices["close"].tolist() == CLOSES


def test_a_thousands_sign_that_is_neither_point_nor_comma(read: Read) -> None:
    preset = MINIMAL + 'currency = ["CHF"]\nthousands = "\'"\n'
    text = text_of("CHF {}", "1294000").replace(".078,", "'078,").replace(",", ".")
    assert read(text, preset).prices["close"].tolist() == CLOSES


def test_columns_that_no_preset_knows_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('title = "t"\nsource = "x"\n[competitive]\ndecimal = ","\ncurrency = ["€"]\n')
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\nACME,2024-03-07,1,1,1,1,1\n")
    (tmp_path / "peers.csv").write_text("symbol;date;peer;growth\nACME;2024-03-07;ACME;1,5 €\nACME;2024-03-07;B;2,5\n")
    inputs = {"prices": "prices.csv", "competitive": {"path": "peers.csv", "preset": "own.toml"}}
    document: dict[str, object] = {"inputs": inputs, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
    with pytest.raises(InputError, match="1,5 €"):
        read_tables(parse_config(document, tmp_path / "finnex.toml"))
    (tmp_path / "peers.csv").write_text("symbol;date;peer;growth\nACME;2024-03-07;ACME;1,5\nACME;2024-03-07;B;2,5\n")
    table = read_tables(parse_config(document, tmp_path / "finnex.toml")).competitive
    assert isinstance(table, pd.DataFrame)
    assert sorted(table["growth"]) == [1.5, 2.5]


@pytest.mark.parametrize("first", ["{} EUR", "{}"])
def test_amounts_in_the_first_row_are_no_tickers(read: Read, first: str) -> None:
    text = "Date;Open;High;Low;Close\n" + "".join(
        f"{day};" + ";".join(map(first.format, ["79,10"] * 4)) + "\n" for day in ("2024-03-07", "2024-03-08")
    )
    preset = 'title = "t"\nsource = "x"\n[prices]\ncurrency = ["EUR"]\ndecimal = ","\n'
    volume = (
        text.replace("Close\n", "Close;Volume\n")
        .replace("79,10 EUR\n", "79,10 EUR;5\n")
        .replace("79,10\n", "79,10;5\n")
    )
    assert read(volume, preset).prices["close"].tolist() == [79.1, 79.1]


def config_error(tmp_path: Path, preset: str) -> str:
    (tmp_path / "own.toml").write_text(preset)
    with pytest.raises(ConfigError) as caught:
        preset_of(str(tmp_path / "own.toml"), "prices", Path())
    return str(caught.value)


@pytest.mark.parametrize(
    ("preset", "wanted"),
    [
        ('title = "t"\n[prices]\n', "key 'source' is required and absent. Add it: source = \"...\""),
        ("[prices]\n", "key 'title' is required and absent. Add it: title = \"...\""),
        (MINIMAL + 'decimals = ","\n', "unknown key 'prices.decimals'. Did you mean 'decimal'?"),
        (MINIMAL + 'timezone = "Berlin"\n', "key 'prices.timezone': timezone 'Berlin' is unknown."),
    ],
)
def test_a_preset_that_is_not_valid_is_refused_in_our_words(tmp_path: Path, preset: str, wanted: str) -> None:
    assert wanted in config_error(tmp_path, preset)


def test_an_unknown_preset_is_refused_with_the_name_of_every_one() -> None:
    with pytest.raises(ConfigError) as caught:
        preset_of("broker", "prices", Path())
    assert all(name in str(caught.value) for name in bundled())
    assert "..." not in str(caught.value)
    with pytest.raises(ConfigError, match="Did you mean 'yfinance'"):
        preset_of("yfinanc", "prices", Path())


@pytest.mark.parametrize("key", ["date_format", "date_formats"])
@pytest.mark.parametrize("value", ['"%d.%m.%Y"', '["%Y/%m/%d", "%d.%m.%Y"]'])
def test_date_format_has_two_names_and_two_forms_in_presets_and_tables(read: Read, key: str, value: str) -> None:
    own = MINIMAL.replace('date_formats = ["%d.%m.%Y"]', f"{key} = {value}") + "units = { Mio = 1e6 }\n"
    assert read(text_of(), own).prices["close"].tolist() == CLOSES
    none = MINIMAL.replace('date_formats = ["%d.%m.%Y"]', "") + "units = { Mio = 1e6 }\n"
    assert read(text_of(), none, **tomllib.loads(f"{key} = {value}")).prices["close"].tolist() == CLOSES


def test_what_a_preset_of_ones_own_lacks_is_a_line_to_add_to_it(read: Read) -> None:
    preset = MINIMAL.replace('names.open = ["Eröffnung"]\n', "") + "units = { Mio = 1e6 }\n"
    with pytest.raises(InputError) as caught:
        read(text_of(), preset)
    assert 'Add names.open = ["..."] to [prices] of own.toml; the file\'s columns are "Tag", "Eröffnung"' in str(
        caught.value
    )
    assert read(text_of(), preset + 'names.open = ["Eröffnung"]\n').prices["open"].tolist() == [1078.7, 79.1]


def test_a_mark_that_a_file_lacks_is_named_with_the_preset_of_ones_own(read: Read) -> None:
    with pytest.raises(InputError, match=re.escape('add one of its own columns ("WKN", "Börse", "Tag") to marks')):
        read(text_of(), MINIMAL + 'units = { Mio = 1e6 }\nmarks = ["ISIN"]\n')
    assert len(read(text_of(), MINIMAL + 'units = { Mio = 1e6 }\nmarks = ["ISIN", "WKN"]\n').prices) == 2
