"""Files as spreadsheets, terminals and vendors' pages export them: their values, or a sentence whose remedy works."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
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


@pytest.mark.parametrize(
    ("form", "remedies"),
    [
        ("%d.%m.%Y", ['"%d.%m.%Y"']),
        ("%d-%b-%Y", ['"%d-%b-%Y"']),
        ("%m/%d/%Y", ['"%m/%d/%Y"', '"%d/%m/%Y"']),
        ("%m/%d/%Y 16:00:00", ['"%m/%d/%Y 16:00:00"', '"%d/%m/%Y 16:00:00"']),
    ],
)
def test_the_format_that_a_refusal_names_reads_the_days(
    form: str, remedies: list[str], read: Read, tmp_path: Path
) -> None:
    text = CSV
    for day in DAYS:
        text = text.replace(day, pd.Timestamp(day).strftime(form))
    (tmp_path / "p.csv").write_text(text)
    said = refusal(read, prices="p.csv")
    assert f"date_format = {' or '.join(remedies)}" in said
    days = read(prices={"path": "p.csv", "date_format": remedies[0].strip('"')}).prices["date"]
    assert days.dt.strftime("%Y-%m-%d").tolist() == list(DAYS)


def test_midnights_of_new_york_in_utc_are_refused_with_their_zone(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace(",10.5", "T05:00:00Z,10.5"))
    assert 'timezone = "America/New_York"' in refusal(read, prices="p.csv")
    days = read(prices={"path": "p.csv", "timezone": "America/New_York"}).prices["date"]
    assert days.dt.strftime("%Y-%m-%d").tolist() == list(DAYS)


@pytest.mark.parametrize("day", ["45302", "19733"])
def test_a_number_of_days_is_no_month(day: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace(DAYS[0], day))
    said = refusal(read, prices="p.csv")
    assert "is not a date" in said
    assert "format its column as a date" in said


@pytest.mark.parametrize("word", ["null", "N/A", "-", "#N/A N/A"])
def test_a_word_for_no_value_is_named_in_the_remedy(word: str, read: Read, tmp_path: Path) -> None:
    bar = ",".join(["ACME", "2024-03-07", *[word] * 5]) + "\n"
    (tmp_path / "p.csv").write_text(CSV + bar)
    assert f'missing = ["{word}"]' in refusal(read, prices="p.csv")
    assert read(prices={"path": "p.csv", "missing": [word]}).prices["close"].tolist() == CLOSES


def test_columns_that_are_named_by_hand_are_read_under_a_preset(read: Read, tmp_path: Path) -> None:
    rows = "".join(f"{day},1{n},10.5,12.25,10.0,1{n}00\n" for n, day in enumerate(DAYS))
    (tmp_path / "p.csv").write_text("Datum,Laatste,Open,Hoog,Laag,Vol.\n" + rows)
    assert "name its columns" in refusal(read, prices={"path": "p.csv", "preset": "investing"})
    columns = {"close": "Laatste", "high": "Hoog", "low": "Laag"}
    assert read(prices={"path": "p.csv", "preset": "investing", "columns": columns}).prices["close"].tolist() == CLOSES


def test_an_empty_amount_is_shown_as_python_writes_it(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("Date,Price,Open,High,Low,Vol.\n2024-03-04,11,10.5,12,10,-\n")
    said = refusal(read, prices={"path": "p.csv", "preset": "investing"})
    assert "is empty" in said
    assert "np." not in said


@pytest.mark.parametrize(
    "before",
    [
        "# prices of ACME, from Example, in USD\n",
        "Security,ACME US Equity\nStart Date,2024-03-01\nPeriod,D\n\n",
        "sep=,\n",
    ],
)
def test_rows_of_fewer_cells_before_the_header_are_none(before: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(before + CSV)
    assert read(prices="p.csv").prices["close"].tolist() == CLOSES


def test_a_header_that_is_too_short_is_no_title(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace(",low,close,volume", ""))
    assert "the row has 7 cells, the header 4" in refusal(read, prices="p.csv")


@pytest.mark.parametrize("end", ["", "\n"])
def test_lines_may_end_with_a_carriage_return_alone(end: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(CSV.replace("\n", "\r").encode() + end.encode())
    assert read(prices="p.csv").prices["close"].tolist() == CLOSES


def test_a_header_that_comes_again_is_refused_once_with_its_row(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV + HEADER + CSV.split("\n", 1)[1].replace("2024", "2023"))
    said = refusal(read, prices="p.csv")
    assert "row 5: the row is the header again. Remove it" in said
    assert "finite" not in said


@pytest.mark.parametrize(("place", "words"), [(2, "row 3: the row has 1 cells"), (4, "row 5: is still arriving")])
def test_a_note_among_the_rows_is_refused_and_may_be_removed(
    place: int, words: str, read: Read, tmp_path: Path
) -> None:
    lines = CSV.splitlines()
    (tmp_path / "p.csv").write_text("\n".join([*lines[:place], "Source: Example Inc.", *lines[place:]]) + "\n")
    said = refusal(read, prices="p.csv")
    assert words in said
    assert "remove it where it is no row of the table" in said


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary(), pa.large_binary(), pa.binary(4)])
def test_texts_of_parquet_may_be_views_or_bytes(kind: pa.DataType, read: Read, tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(CSV), parse_dates=["date"])
    table = pa.Table.from_pandas(frame, preserve_index=False)
    words = pa.array([b"ACME"] * 3, kind) if kind != pa.string_view() else pa.array(["ACME"] * 3).cast(kind)
    pq.write_table(table.set_column(0, "symbol", words), tmp_path / "p.parquet")
    assert read(prices="p.parquet").prices["close"].tolist() == CLOSES
    if kind == pa.binary():
        pq.write_table(table.set_column(0, "symbol", pa.array([b"\xff\xfe"] * 3)), tmp_path / "p.parquet")
        assert "bytes that are no text" in refusal(read, prices="p.parquet")


@pytest.mark.parametrize("day", ["Date", ""])
@pytest.mark.parametrize("fields_above", [True, False])
def test_a_header_of_two_rows_without_a_third_has_several_tickers(
    day: str, fields_above: bool, read: Read, tmp_path: Path
) -> None:
    names = [(field, ticker) for ticker in ("ACME", "BRK-B") for field in ("Open", "High", "Low", "Close", "Volume")]
    upper, lower = zip(*(pair if fields_above else pair[::-1] for pair in names), strict=True)
    rows = "".join(f"{one},10.5,12.25,10,1{n},1{n}00,20.5,22.25,20,2{n},2{n}00\n" for n, one in enumerate(DAYS))
    (tmp_path / "p.csv").write_text(f"{day},{','.join(upper)}\n,{','.join(lower)}\n{rows}")
    prices = read(("ACME", "BRK-B"), prices={"path": "p.csv", "preset": "yfinance"}).prices
    assert prices["symbol"].tolist() == ["ACME"] * 3 + ["BRK-B"] * 3
    assert prices["close"].tolist() == [*CLOSES, 20.0, 21.0, 22.0]


@pytest.mark.parametrize("day", ["", "date", "timestamp"])
def test_alpha_vantages_json_as_csv_is_adjusted_for_splits_too(day: str, read: Read, tmp_path: Path) -> None:
    header = f"{day},1. open,2. high,3. low,4. close,5. adjusted close,6. volume,7. dividend amount"
    rows = "".join(
        f"{one},{21 / k},{24.5 / k},{20 / k},{(20 + n) / k},{n},{500 * k},0,{2.0 if n == 1 else 1.0}\n"
        for n, (one, k) in enumerate(zip(DAYS, (1, 2, 2), strict=True))
    )
    (tmp_path / "p.csv").write_text(f"{header},8. split coefficient\n{rows}")
    source = {"path": "p.csv", "preset": "alpha_vantage"}
    tables = read(prices=source, splits=source)
    assert tables.prices["close"].tolist() == [10.0, 10.5, 11.0]
    assert tables.prices["volume"].tolist() == [1000.0] * 3
    assert tables.splits is not None
    assert tables.splits["ratio"].tolist() == [2.0]


def test_a_vintage_without_any_value_is_refused(read: Read, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("observation_date,GDP_20240125\n2023-10-01,\n2024-01-01,.\n")
    assert "has no row with a value" in refusal(read, macro={"path": "m.csv", "preset": "fred"})


@pytest.mark.parametrize(
    "rows",
    [
        "1709856000000,10,11,9,10.5,1000\n1709942400000,10,11,9,10.6,1000\n",
        "2024.03.06,00:00,1.1,1.1,1.0,1.1,5\n2024.03.07,00:00,1.1,1.1,1.0,1.1,5\n",
        "2024-03-06T00:00:00Z,10,11,9,10,\n2024-03-07T00:00:00Z,10,11,9,10,\n",
    ],
)
@pytest.mark.parametrize("preset", [None, "yfinance"])
def test_a_file_without_names_of_columns_is_refused_in_one_sentence_and_read_with_them(
    rows: str, preset: str | None, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text(rows)
    said = refusal(read, prices={"path": "p.csv"} | ({"preset": preset} if preset else {}))
    assert said.count("\n") == 0
    assert f"has no names of columns, but {rows[:10]}" in said
    assert "in CSV by a row above the others" in said
    if "T00" not in rows and "00:00" not in rows:
        (tmp_path / "p.csv").write_text("date,open,high,low,close,volume\n" + rows)
        assert read(prices="p.csv").prices["close"].tolist() == [10.5, 10.6]


def test_a_column_of_lists_is_left_out_by_the_line_that_the_refusal_names(read: Read, tmp_path: Path) -> None:
    bars = pd.read_csv(io.StringIO(CSV))
    bars.assign(tags=[["a"], ["b"], []]).to_parquet(tmp_path / "p.parquet")
    assert 'ignore = ["tags"]' in refusal(read, prices="p.parquet")
    assert read(prices={"path": "p.parquet", "ignore": ["tags"]}).prices["close"].tolist() == CLOSES
    bars.assign(tags=[["a"], ["b"], []]).to_json(tmp_path / "p.json", orient="records")
    assert 'ignore = ["tags"]' in refusal(read, prices="p.json")
    assert read(prices={"path": "p.json", "ignore": ["Tags"]}).prices["close"].tolist() == CLOSES


def test_bars_without_volumes_are_read_by_the_line_that_the_refusal_names(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(pd.read_csv(io.StringIO(CSV)).drop(columns="volume").to_csv(index=False))
    assert 'constants = { volume = "0" }' in refusal(read, prices="p.csv")
    prices = read(prices={"path": "p.csv", "constants": {"volume": "0"}}).prices
    assert prices["close"].tolist() == CLOSES
    assert prices["volume"].tolist() == [0.0] * 3


def test_a_zip_file_whose_damaged_flags_name_an_unknown_encryption_is_refused(read: Read, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.csv.zip", "w") as file:
        file.writestr("p.csv", CSV)
    content = bytearray((tmp_path / "p.csv.zip").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 0x40
    (tmp_path / "p.csv.zip").write_bytes(content)
    assert "p.csv.zip" in refusal(read, prices="p.csv.zip")
