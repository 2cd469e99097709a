"""Files as spreadsheets, terminals and vendors' pages export them: their values, or a sentence whose remedy works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finnex.config import parse_config
from finnex.data.tables import Tables, read_tables
from finnex.errors import InputError

HEADER = "symbol,date,open,high,low,close,volume\n"
DAYS = ("2024-03-04", "2024-03-05", "2024-03-06")
CSV = HEADER + "".join(f"ACME,{day},10.5,12.25,10.0,1{n}.0,1{n}00\n" for n, day in enumerate(DAYS))
CLOSES, VOLUMES = [10.0, 11.0, 12.0], [1000.0, 1100.0, 1200.0]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Tables]:
    """Return a reader of tables as a configuration names them."""

    def make(symbols: tuple[str, ...] = ("ACME",), **inputs: Any) -> Tables:
        if "prices" not in inputs:
            (tmp_path / "plain.csv").write_text(CSV)
            inputs["prices"] = "plain.csv"
        document: dict[str, object] = {"inputs": inputs, "symbols": symbols, "store": {"path": "i.zarr"}}
        return read_tables(parse_config(document, tmp_path / "finnex.toml"))

    return make


Read = Callable[..., Tables]


def refusal(read: Read, **inputs: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(**inputs)
    return str(caught.value)


def european(group: str, point: str = ",") -> str:
    """Return the bars with prices above 1,000, and a sign between their thousands."""
    rows = [HEADER.replace(",", ";")]
    for n, day in enumerate(DAYS):
        prices = [f"1{group}{last:03d}{point}50" for last in (5, 25, 0, n)]
        rows.append(";".join(["ACME", day, *prices, f"1{group}{n}00"]) + "\n")
    return "".join(rows)


@pytest.mark.parametrize("group", ["\u00a0", "\u202f", "\u2009", " ", "'", "\u2019", "."])
def test_thousands_are_grouped_by_spaces_and_apostrophes(group: str, read: Read, tmp_path: Path) -> None:
    for point in ",.":
        if group == point:
            continue
        (tmp_path / "p.csv").write_text(european(group, point))
        prices = read(prices="p.csv").prices
        assert prices["close"].tolist() == [1000.5, 1001.5, 1002.5]
        assert prices["volume"].tolist() == [1000.0, 1100.0, 1200.0]


@pytest.mark.parametrize("rows_before", [0, 300])
def test_next_to_a_decimal_comma_a_point_groups_thousands(rows_before: int, read: Read, tmp_path: Path) -> None:
    days = [f"2022-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in range(rows_before)]
    small = "".join(f"ACME;{day};10,5;12,25;10,0;11,0;900\n" for day in days)
    rows = "".join(f"ACME;{day};10,5;12,25;10,0;11,0;1.{n}00\n" for n, day in enumerate(DAYS))
    (tmp_path / "p.csv").write_text(HEADER.replace(",", ";") + small + rows)
    for source in ({"path": "p.csv"}, {"path": "p.csv", "decimal": ","}):
        assert read(prices=source).prices["volume"].tolist()[rows_before:] == VOLUMES


def test_amounts_with_letters_stand_beside_groups_of_thousands(read: Read, tmp_path: Path) -> None:
    rows = "".join(f'"0{n + 4}.03.2024","1.00{n}","1.005","1.025","1.000","1,29M","-0,52%"\n' for n in range(3))
    (tmp_path / "p.csv").write_text('"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"\n' + rows)
    prices = read(prices={"path": "p.csv", "preset": "investing", "date_format": "%d.%m.%Y"}).prices
    assert prices["close"].tolist() == [1000.0, 1001.0, 1002.0]
    assert set(prices["volume"]) == {1290000.0}


OWN_PRESET = """title = "b"
source = "https://broker.example"
note = "n"
[prices]
names.date = ["Tag"]
decimal = ","
thousands = "."
currency = ["€"]
units = { Tsd = 1e3 }
"""


def test_a_preset_of_ones_own_reads_decimal_commas_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(OWN_PRESET)
    rows = "".join(f"{day};85,100;1.285,125;€ 83,220;8{n},065 €;1,{n}00 Tsd\n" for n, day in enumerate(DAYS))
    (tmp_path / "p.csv").write_text("Tag;Open;High;Low;Close;Volume\n" + rows.replace("€ 83", "€ 79"))
    prices = read(prices={"path": "p.csv", "preset": "b.toml"}).prices
    assert prices["close"].tolist() == [80.065, 81.065, 82.065]
    assert prices["high"].tolist() == [1285.125] * 3
    assert prices["volume"].tolist() == VOLUMES


WITH_TICKERS = {
    "three rows of header": ("Price,Close\nTicker,^VIX\nDate,\n", "{day},{value}\n"),
    "a column of tickers": ("Date,Ticker,Close\n", "{day},^VIX,{value}\n"),
    "Symbol": ("Date,Symbol,Close\n", "{day},^VIX,{value}\n"),
}


@pytest.mark.parametrize("case", WITH_TICKERS)
def test_a_macro_file_with_tickers_keeps_its_rows(case: str, read: Read, tmp_path: Path) -> None:
    header, row = WITH_TICKERS[case]
    rows = "".join(row.format(day=day, value=13 + n) for n, day in enumerate(DAYS))
    (tmp_path / "m.csv").write_text(header + rows)
    source = {"path": "m.csv", "columns": {"value": "Close"}, "series": "VIX", "lag_days": 0}
    macro = read(macro=source).macro
    assert macro is not None
    assert macro["value"].tolist() == [13.0, 14.0, 15.0]


def test_the_old_file_of_the_vix_is_read(read: Read, tmp_path: Path) -> None:
    rows = "".join(f"3/{4 + n}/2024,12.5,14.5,12.0,{13 + n}.25\n" for n in range(3))
    (tmp_path / "vixcurrent.csv").write_text("Date,VIX Open,VIX High,VIX Low,VIX Close\n" + rows)
    macro = read(macro={"path": "vixcurrent.csv", "preset": "cboe"}).macro
    assert macro is not None
    assert macro["value"].tolist() == [13.25, 14.25, 15.25]


@pytest.mark.parametrize("name", ["Ticker", "tic", "Name", "Instrument"])
def test_a_file_of_another_company_is_not_taken_for_the_configured_one(name: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace("symbol", name).replace("ACME", "OTHR"))
    said = refusal(read, prices="p.csv")
    assert f"its column '{name}' has OTHR" in said
    assert f'columns = {{ symbol = "{name}" }}, or symbol = "ACME"' in said
    tables = read(("OTHR",), prices={"path": "p.csv", "columns": {"symbol": name}})
    assert tables.prices["symbol"].tolist() == ["OTHR"] * 3
    assert read(prices={"path": "p.csv", "symbol": "ACME"}).prices["close"].tolist() == CLOSES
    (tmp_path / "p.csv").write_text(CSV.replace("symbol", name))
    assert read(prices="p.csv").prices["symbol"].tolist() == ["ACME"] * 3
