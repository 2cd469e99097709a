"""A CSV file is read whatever parts its cells and stands before its header, or refused with the line to add."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import parse_config
from finnex.data.csv_format import format_of
from finnex.data.remarks import reports
from finnex.data.tables import Tables, read_tables
from finnex.errors import InputError

DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
CLOSES = [10.5, 10.25, 11.0, 10.75]
NAMES = ("symbol", "date", "open", "high", "low", "close", "volume")
BARS = pd.DataFrame([("ACME", day, 10.5, 11.25, 10.0, close, 1000) for day, close in zip(DAYS, CLOSES, strict=True)],
                    columns=list(NAMES))  # fmt: skip
SERIES = "date,DGS10\n2024-03-04,4.2\n2024-03-05,4.1\n2024-03-06,4.0\n"
LINE = re.compile(r"under \[inputs\], in the table's line: (\{.*\})\.$")


def read(folder: Path, **inputs: Any) -> Tables:
    document: dict[str, object] = {"inputs": inputs, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
    return read_tables(parse_config(document, folder / "finnex.toml"))


def remedied(folder: Path, source: Mapping[str, Any]) -> Tables:
    """Return the tables as the line reads them that the refusal of prices names."""
    with pytest.raises(InputError) as caught:
        read(folder, prices=source)
    line = LINE.search(str(caught.value))
    assert line is not None, caught.value
    return read(folder, prices={**source, **tomllib.loads(f"prices = {line[1]}")["prices"]})


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("sign", list("^:~ !#&*@\\=+<"))
def test_the_line_that_a_refusal_names_reads_a_file_with_another_delimiter(
    sign: str, decimal: str, tmp_path: Path
) -> None:
    BARS.to_csv(tmp_path / "p.csv", index=False, sep=sign, decimal=decimal)
    assert remedied(tmp_path, {"path": "p.csv"}).prices["close"].tolist() == CLOSES


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_line_that_a_refusal_names_overrides_a_delimiter_that_was_given(sign: str, tmp_path: Path) -> None:
    BARS.to_csv(tmp_path / "p.csv", index=False, sep=sign)
    for given in {"^", ",", ";", "|", "\t"} - {sign}:
        assert remedied(tmp_path, {"path": "p.csv", "delimiter": given}).prices["close"].tolist() == CLOSES
    assert read(tmp_path, prices="p.csv").prices["close"].tolist() == CLOSES


def test_commas_in_names_and_in_days_do_not_hide_another_delimiter(tmp_path: Path) -> None:
    names = {"open": "open, USD", "close": "close, USD"}
    BARS.rename(columns=names).to_csv(tmp_path / "p.csv", index=False, sep="^")
    source = {"path": "p.csv", "columns": names}
    assert remedied(tmp_path, source).prices["close"].tolist() == CLOSES
    days = pd.to_datetime(BARS["date"]).dt.strftime("%b %d, %Y")
    BARS.assign(date=days).to_csv(tmp_path / "p.csv", index=False, sep="^")
    source = {"path": "p.csv", "date_format": "%b %d, %Y"}
    assert remedied(tmp_path, source).prices["close"].tolist() == CLOSES


def test_columns_that_are_aligned_by_blanks_are_refused_as_one_column(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(BARS.to_string(index=False) + "\n")
    with pytest.raises(
        InputError, match=r"has one column, 'symbol .* no comma parts its cells\. Write commas"
    ) as caught:
        read(tmp_path, prices="p.csv")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("sign", ["^", ";", ","])
def test_a_first_line_that_names_the_delimiter_is_followed(sign: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"sep={sign}\n" + BARS.to_csv(index=False, sep=sign))
    tables = read(tmp_path, prices="p.csv")
    assert tables.prices["close"].tolist() == CLOSES
    assert ("the delimiter '^'" in reports(tables.prices)[0].detected) == (sign == "^")


@pytest.mark.parametrize(
    "before",
    [
        '"Company: ACME",,,,,,\n',
        '"Company: ACME",,,,,,\n,,,,,,\n"Prices in USD",,,,,,\n',
        "Company:,ACME,,,,,\nCurrency:,USD,,,,,\n",
        "Company:,ACME,,From,2024-03-04,,\n",
        "Rows,4,,,,,\nPrices as of,2024-03-08,,,,,\n,,,,,,\n",
        '"Company: ACME",,,,,,,,\nCurrency,USD\n',
        "Currency,USD,,,,,\nCurrency,USD\n",
    ],
)
def test_rows_about_the_table_that_are_as_wide_as_it_is_are_no_header(before: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(before + BARS.to_csv(index=False))
    tables = read(tmp_path, prices="p.csv")
    assert tables.prices["close"].tolist() == CLOSES
    assert "before the header" in ", ".join(reports(tables.prices)[0].detected)


@pytest.mark.parametrize("before", ["Title:,10-year\nUnits:,Percent\nSeries ID:,DGS10\n", "DGS10,Percent\n"])
def test_rows_of_two_cells_before_a_header_that_begins_with_the_day_are_none(before: str, tmp_path: Path) -> None:
    BARS.to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "m.csv").write_text(before + SERIES)
    macro = read(tmp_path, prices="p.csv", macro={"path": "m.csv", "preset": "fred"}).macro
    assert macro is not None
    assert macro["value"].tolist() == [4.2, 4.1, 4.0]
    assert set(macro["series"]) == {"DGS10"}


@pytest.mark.parametrize(
    "text",
    [
        "symbol,source,text\nACME,news,up\n700,news,down\nBETA,news,\n",
        "symbol,date,note,close\nACME,x,,\nBETA,y,,\nACME,2024-03-04,z,1\n",
        "name,date,announced\nFOMC,2024-03-04,2024-03-01\nCPI,2024-03-05,2024-03-01\n",
        "Price,Close,High\nTicker,ACME,ACME\nDate,,\n2024-03-04,1,2\n",
        ",Close,Close\n,ACME,BETA\n2024-03-04,1,2\n2024-03-05,1,2\n",
    ],
)
def test_a_header_with_rows_of_words_below_it_stays_the_header(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert format_of(tmp_path / "t.csv").preamble == 0
