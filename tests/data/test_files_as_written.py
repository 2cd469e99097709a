"""Files as sources and programs write them are read right, or refused by a sentence with the remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import parse_config
from finnex.data.remarks import Caution, FileReport, reports, where_notes_are, with_reports
from finnex.data.tables import Tables, read_tables
from finnex.data.warnings import _cautions, input_warnings, reading_notes
from finnex.errors import InputError

HEADER = "symbol,date,open,high,low,close,volume\n"
DAYS = ("2024-03-04", "2024-03-05", "2024-03-06")
CSV = HEADER + "".join(f"ACME,{day},10.5,11.25,10.0,1{n}.0,1{n}00\n" for n, day in enumerate(DAYS))
CLOSES = [10.0, 11.0, 12.0]
CSV = CSV.replace("12.0,1200", "11.25,1200")
CLOSES[2] = 11.25


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[Tables, list[str]]]:
    """Return a reader of tables as a configuration names them, with notes on how they are read, and warnings."""

    def make(symbols: tuple[str, ...] = ("ACME",), **inputs: Any) -> tuple[Tables, list[str]]:
        if "prices" not in inputs:
            (tmp_path / "plain.csv").write_text(CSV)
            inputs["prices"] = "plain.csv"
        document: dict[str, object] = {"inputs": inputs, "symbols": symbols, "store": {"path": "i.zarr"}}
        config = parse_config(document, tmp_path / "finnex.toml")
        tables = read_tables(config)
        return tables, [*reading_notes(tables, config), *input_warnings(tables, config)]

    return make


Read = Callable[..., tuple[Tables, list[str]]]


def refusal(read: Read, **inputs: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(**inputs)
    return str(caught.value)


def zipped(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("prices.csv", data)


SEMICOLONS = CSV.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (CSV.encode("utf-8-sig"), ""),
        (CSV.encode("utf-16"), "the encoding utf-16"),
        (CSV.replace("ACME", "ACMÉ").encode("cp1252"), "the encoding cp1252"),
        (CSV.replace("\n", "\r\n").encode(), ""),
        (SEMICOLONS.encode(), "the delimiter semicolon, the decimal sign ','"),
        (CSV.replace(",", "\t").encode(), "the delimiter tab"),
        (CSV.replace(",", "|").encode(), "the delimiter bar"),
        (("Prices of ACME\n\n" + CSV).encode(), "a row before the header"),
        (CSV.replace(HEADER, HEADER.upper()).encode(), ""),
        (CSV.replace("\n", ",\n").replace("volume,", "volume").encode(), ""),
        (gzip.compress(CSV.encode()), ""),
        (bz2.compress(CSV.encode()), ""),
        (lzma.compress(CSV.encode()), ""),
    ],
)
def test_text_is_read_however_it_is_written_and_what_was_detected_is_said(
    data: bytes, said: str, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    symbol = "ACMÉ" if said.endswith("cp1252") else "ACME"
    tables, warnings = read((symbol,), prices="p.csv")
    assert tables.prices["close"].tolist() == CLOSES
    assert tables.prices["date"].dt.strftime("%Y-%m-%d").tolist() == list(DAYS)
    assert [said in one for one in warnings if " read with " in one] == ([True] if said else [])
    assert ", ".join(reports(tables.prices)[0].detected) == said


@pytest.mark.parametrize("name", ["p.pq", "p.PARQUET", "p.csv"])
def test_parquet_is_known_by_its_bytes_and_an_index_is_a_column(name: str, read: Read, tmp_path: Path) -> None:
    pd.read_csv(io.StringIO(CSV), parse_dates=["date"]).set_index(["symbol", "date"]).to_parquet(
        tmp_path / name, engine="pyarrow"
    )
    tables, _ = read(prices=name)
    assert tables.prices["close"].tolist() == CLOSES
    assert reports(tables.prices)[0].kind == "Parquet"


def test_a_zip_of_one_table_is_read(read: Read, tmp_path: Path) -> None:
    zipped(tmp_path / "p.zip", CSV.encode())
    assert read(prices="p.zip")[0].prices["close"].tolist() == CLOSES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is an Excel workbook (.xls). Save it as CSV"),
        (b"<!DOCTYPE html><html><body>login</body></html>", "is a web page, not a table. The source answered"),
        (pickle.dumps({"a": 1}), "is a pickle, which FinNeX does not load"),
        (b'{"facts": {}}', "has no rows"),
        (b"%PDF-1.7 ", "is a PDF document"),
        (b"SQLite format 3\0", "is an SQLite database"),
    ],
)
def test_what_is_no_table_is_named_for_what_it_is(data: bytes, said: str, read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    assert said in refusal(read, prices="p.csv")


def test_what_the_configuration_says_goes_before_what_the_file_shows(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace(",", "~").replace("10.5", "-"))
    said = refusal(read, prices="p.csv")
    assert "its first line is 'symbol~date~open" in said
    source = {"path": "p.csv", "delimiter": "~", "missing": ["-"]}
    assert "column 'open': is empty" in refusal(read, prices=source)
    (tmp_path / "p.csv").write_text(CSV.replace(",", "~"))
    tables, warnings = read(prices=source)
    assert tables.prices["close"].tolist() == CLOSES
    assert not [one for one in warnings if " read with " in one]


def test_a_folder_a_list_and_a_pattern_have_a_file_for_each_symbol(read: Read, tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    for symbol in ("ACME", "BETA.B"):
        (tmp_path / "bars" / f"{symbol}.csv").write_text(CSV.replace("ACME,", "").replace("symbol,", ""))
    (tmp_path / "bars" / "README.md").write_text("no table")
    for given in ("bars", "bars/*.csv", ["bars/ACME.csv", "bars/BETA.B.csv"]):
        tables, _ = read(("ACME", "BETA.B"), prices=given)
        assert tables.prices["symbol"].tolist() == ["ACME"] * 3 + ["BETA.B"] * 3
        assert [one.path.name for one in reports(tables.prices)] == ["ACME.csv", "BETA.B.csv"]


def test_a_bar_in_two_files_is_refused_with_both(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "b.csv").write_text("\n" + HEADER + CSV.splitlines()[2] + "\n")
    said = refusal(read, prices=["a.csv", "b.csv"])
    assert "b.csv, row 3, column 'date': the same (symbol, date) appears in" in said
    assert "a.csv too (value: (ACME, 2024-03-05) of its row 3)" in said


@pytest.mark.parametrize(("unit", "words"), [(1, "seconds"), (1000, "milliseconds")])
def test_epochs_are_days_and_moments_in_utc_and_said(unit: int, words: str, read: Read, tmp_path: Path) -> None:
    text = CSV
    for day in DAYS:
        text = text.replace(day, str(int(pd.Timestamp(day).timestamp()) * unit))
    (tmp_path / "p.csv").write_text(text)
    moment = int(pd.Timestamp("2024-03-05T15:30:00Z").timestamp()) * unit
    (tmp_path / "s.csv").write_text(f"symbol,timestamp,source,score\nACME,{moment},news,0.5\n")
    tables, warnings = read(prices="p.csv", sentiment="s.csv")
    assert tables.prices["date"].dt.strftime("%Y-%m-%d").tolist() == list(DAYS)
    assert tables.sentiment is not None
    assert tables.sentiment["timestamp"].tolist() == [pd.Timestamp("2024-03-05 15:30:00")]
    assert sum(f"given in {words} since 1970" in one for one in warnings) == 2


def test_a_number_that_may_be_a_day_and_an_hour_is_no_epoch(read: Read, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("symbol,timestamp,source,score\nACME,2024030514,news,0.5\n")
    assert "column 'timestamp': is not a time stamp (value: '2024030514')" in refusal(read, sentiment="s.csv")


def test_rows_without_prices_are_no_bars(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV + "ACME,2024-03-07,,,,,\nACME,2024-03-08,,,,,0\n")
    tables, warnings = read(prices="p.csv")
    assert tables.prices["close"].tolist() == CLOSES
    assert sum("has 2 rows without prices (2024-03-07, 2024-03-08); they are not bars" in one for one in warnings) == 1
    (tmp_path / "p.csv").write_text(CSV + "ACME,2024-03-07,10,11,9,,\n")
    assert "row 5, column 'close': is empty" in refusal(read, prices="p.csv")


def test_rounding_between_the_four_prices_is_mended_and_counted_and_more_is_refused(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV + "ACME,2024-03-07,10.00,10.49,10.01,10.50,5\n")
    tables, warnings = read(prices="p.csv")
    assert tables.prices[["high", "low"]].iloc[-1].tolist() == [10.5, 10.0]
    assert (
        sum("in 1 bar (ACME 2024-03-07) open or close passes high or low by at most 0.1%" in w for w in warnings) == 1
    )
    (tmp_path / "p.csv").write_text(CSV + "ACME,2024-03-07,10.00,10.40,9.9,10.50,5\n")
    assert "column 'high': high is below open or close (value: 10.4, close 10.5)" in refusal(read, prices="p.csv")


def test_a_jump_of_a_hundred_is_another_unit_and_no_split(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV + "ACME,2024-03-07,1050,1125,1000,1100,5\n")
    warnings = read(prices="p.csv")[1]
    assert any("pence and pounds" in one for one in warnings)
    assert not any("looks like a split" in one for one in warnings)


def test_rows_of_other_companies_are_not_checked_and_rows_without_one_are_counted(read: Read, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "symbol,timestamp,source,score\nACME,2024-03-05T10:00:00Z,news,0.5\nOTHR,never,who,7\n,,,\nACMF,x,news,1\n"
    )
    tables, warnings = read(sentiment="s.csv")
    assert tables.sentiment is not None
    assert tables.sentiment["score"].tolist() == [0.5]
    assert reports(tables.sentiment)[0].others == {"OTHR": 1, "": 1, "ACMF": 1}
    assert any("sentiment: 1 row has no symbol and is left out" in one for one in warnings)
    (tmp_path / "s.csv").write_text("symbol,timestamp,source,score\nacme,2024-03-05T10:00:00Z,news,0.5\n")
    assert any("Did you mean 'acme'?" in one for one in read(sentiment="s.csv")[1])


def test_digits_that_are_words_stay_words(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace("ACME", "0700"))
    assert set(read(("0700",), prices="p.csv")[0].prices["symbol"]) == {"0700"}


def test_a_problem_is_one_line_with_its_first_places(read: Read, tmp_path: Path) -> None:
    rows = "".join(f"ACME,2024-04-0{n},x{n},11.25,10.0,ten,1\n" for n in range(1, 6))
    (tmp_path / "p.csv").write_text(CSV + rows)
    said = refusal(read, prices="p.csv").splitlines()
    assert len(said) == 2
    assert "p.csv, rows 5, 6, 7 and 2 more, column 'open': is not a finite number (values: 'x1'; 'x2'; 'x3')" in said[0]


def test_a_file_without_a_symbol_is_the_only_companys_and_that_is_said(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(CSV.replace("ACME,", "").replace("symbol,", ""))
    tables, warnings = read(prices="p.csv")
    assert set(tables.prices["symbol"]) == {"ACME"}
    assert any("p.csv has no column of symbols; it is taken for ACME's" in one for one in warnings)
    assert "column 'symbol': the column is missing" in refusal(read, symbols=("ACME", "BETA"), prices="p.csv")


def test_figures_of_one_company_in_several_files_are_put_together(read: Read, tmp_path: Path) -> None:
    for name, value in (("revenue", 5), ("net_income", 1)):
        (tmp_path / f"{name}.csv").write_text(
            f"symbol,period_end,available_date,{name}\nACME,2023-12-31,2024-02-01,{value}\n"
        )
    figures = read(fundamentals=["revenue.csv", "net_income.csv"])[0].fundamentals
    assert figures is not None
    assert figures[["revenue", "net_income"]].to_numpy().tolist() == [[5, 1]]


def test_a_header_of_several_rows_is_no_row(read: Read, tmp_path: Path) -> None:
    lines = "".join(f"{day},10.5,11.25,10.0,{close},5\n" for day, close in zip(DAYS, CLOSES, strict=True))
    (tmp_path / "p.csv").write_text(
        "Price,Open,High,Low,Close,Volume\nTicker,ACME,ACME,ACME,ACME,ACME\nDate,,,,,\n" + lines
    )
    tables, _ = read(prices="p.csv")
    assert tables.prices["close"].tolist() == CLOSES
    (tmp_path / "p.csv").write_text((tmp_path / "p.csv").read_text().replace("11.25,5", "ten,5"))
    assert "row 6, column 'Close, ACME': is not a finite number (value: 'ten')" in refusal(read, prices="p.csv")


def test_how_each_of_many_files_is_read_is_a_note_and_no_warning(read: Read, tmp_path: Path) -> None:
    """Each file of a folder may have a sentence of its own: a run of a thousand companies prints one line."""
    (tmp_path / "bars").mkdir()
    for name in ["ACME", *(f"S{number}" for number in range(20))]:
        (tmp_path / "bars" / f"{name}.csv").write_text(CSV.replace("symbol,", "").replace("ACME,", ""))
    tables, warnings = read(prices="bars")
    assert tables.prices["symbol"].nunique() == 21
    said = [one for one in warnings if "from the file's name" in one]
    assert len(said) == 20  # ACME is that of the run
    assert all(where.startswith("prices: ") for where in said)
    assert where_notes_are(said) == "20 notes on how files are read: finnex inputs"


def test_of_many_cautions_of_a_table_six_are_warnings_and_the_others_are_counted(tmp_path: Path) -> None:
    frame = with_reports(
        pd.DataFrame({"symbol": ["ACME"]}),
        [
            FileReport(
                "prices", Path("p.csv"), "CSV", said=tuple(Caution(f"S{n}: a row is left out") for n in range(20))
            )
        ],
    )
    found = _cautions(frame)
    assert found[:6] == [f"prices: p.csv: S{n}: a row is left out." for n in range(6)]
    assert found[6:] == ["prices: 14 more like these; `finnex inputs --all` has them all."]


def test_the_remedy_of_a_detected_format_names_keys_that_there_are(read: Read, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "Price,Close,High,Low,Open,Volume\nTicker,ACME,ACME,ACME,ACME,ACME\nDate,,,,,\n"
        "2024-03-07,10.5,11,10,10.2,100\n2024-03-08,10.6,11,10,10.3,120\n"
    )
    _, warnings = read(prices="p.csv")
    levels = next(one for one in warnings if "a header of 3 rows" in one)
    assert "docs/inputs.md" not in levels
    assert levels.endswith("If that is wrong, write one row of names, and the cells from the next row on.")
    (tmp_path / "p.csv").write_text(CSV.replace(",", ";").replace(".", ","))
    _, warnings = read(prices="p.csv")
    assert any("say it with the keys delimiter, decimal (docs/inputs.md)" in one for one in warnings)
    source = {"path": "p.csv", "delimiter": ";", "decimal": ","}
    assert not any("as the first rows show" in one for one in read(prices=source)[1])
