"""What is said of a file at fault takes one look at it, and few rows where few decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from finnex.config import TableSource, parse_config
from finnex.data import cell_in_file, day_remedies, reading
from finnex.data.cell_in_file import cells_of
from finnex.data.day_remedies import FIRST_ROWS, FORMATS, remedy_of
from finnex.data.tables import Tables, read_tables
from finnex.errors import InputError

SEMICOLONS = "symbol;date;open;high;low;close;volume\n" + "".join(
    f"ACME;2024-03-{day:02};1.010,5;1.011,25;1.010,0;1.010,75;1.000\n" for day in range(4, 9)
)


def read(folder: Path, **prices: Any) -> Tables:
    document: dict[str, object] = {
        "inputs": {"prices": {"path": "p.csv", **prices}}, "symbols": ["ACME"], "store": {"path": "i.zarr"},
    }  # fmt: skip
    return read_tables(parse_config(document, folder / "finnex.toml"))


def test_all_cells_at_fault_are_shown_as_the_file_has_them_by_one_pass_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Path] = []

    def counted(path: Path, *rest: Any) -> Iterator[tuple[int, list[str]]]:
        passes.append(path)
        return rows_of(path, *rest)

    rows_of = cell_in_file.rows_of
    monkeypatch.setattr(cell_in_file, "rows_of", counted)
    text = SEMICOLONS.replace("06;1.010,5", "06;1.010,5x").replace("07;1.010,5", "07;1.010,5y")
    text = text.replace("08;1.010,5;1.011,25", "08;1.010,5;1.011,2z")
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert [(one.row, one.column, one.value) for one in caught.value.problems] == [
        (4, "open", "'1.010,5x'"),
        (5, "open", "'1.010,5y'"),
        (6, "high", "'1.011,2z'"),
    ]
    assert passes == [tmp_path / "p.csv"]


def test_a_cell_without_a_place_of_its_own_is_not_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(SEMICOLONS.replace("low", "high"))
    assert cells_of(path, [(2, "open"), (3, "high"), (3, "none"), (99, "open")]) == {(2, "open"): "1.010,5"}
    assert cells_of(path, []) == {}
    path.write_text("open,close\n1.5,2.5\n2.5,3.5\n")
    assert cells_of(path, [(2, "open")], TableSource(path="p.csv")) == {}


def test_a_column_of_tickers_that_is_ignored_does_not_say_whose_the_file_is(tmp_path: Path) -> None:
    plain = SEMICOLONS.replace(";", "|").replace(".", "").replace(",", ".").replace("symbol", "Ticker")
    (tmp_path / "p.csv").write_text(plain.replace("ACME|2024-03-05", "BETA|2024-03-05"))
    assert set(read(tmp_path).prices["symbol"]) == {"ACME", "BETA"}
    assert set(read(tmp_path, ignore=["ticker"]).prices["symbol"]) == {"ACME"}
    (tmp_path / "p.csv").write_text(plain.replace("ACME", "BETA"))
    with pytest.raises(InputError, match="its column 'Ticker' has BETA"):
        read(tmp_path)
    assert set(read(tmp_path, ignore=["TICKER"]).prices["symbol"]) == {"ACME"}


def test_columns_of_tickers_are_looked_for_one_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[str] = []

    def counted(cells: pd.Series[Any]) -> Any:
        scans.append(str(cells.name))
        return distinct(cells)

    distinct = reading.distinct
    monkeypatch.setattr(reading, "distinct", counted)
    plain = SEMICOLONS.replace(";", "|").replace(".", "").replace(",", ".").replace("symbol", "Ticker")
    (tmp_path / "p.csv").write_text(plain)
    assert set(read(tmp_path).prices["symbol"]) == {"ACME"}
    assert scans == ["Ticker"]


def test_a_format_that_the_first_rows_refuse_is_not_tried_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def counted(form: str, cells: pd.Series[str]) -> bool:
        tried.append(len(cells))
        return reads(form, cells)

    reads = day_remedies._reads
    monkeypatch.setattr(day_remedies, "_reads", counted)
    days = [f"{day:%d-%b-%Y}" for day in pd.date_range("1990-01-01", periods=5000)]
    assert 'date_format = "%d-%b-%Y".' in remedy_of(days)
    assert sorted(tried) == [*[FIRST_ROWS] * len(FORMATS), 5000]
    assert "date_format" in remedy_of([*days, "13 March"])


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_a_file_without_names_of_columns_is_told_so_in_any_format(kind: str, tmp_path: Path) -> None:
    bars = pd.DataFrame([["2024-03-04", 1.0, 2.0, 0.5, 1.5, 100], ["2024-03-05", 1.0, 2.0, 0.5, 1.5, 100]])
    if kind == "parquet":
        bars.rename(columns=str).to_parquet(tmp_path / "p.csv", engine="pyarrow")
    elif kind == "json":
        bars.to_json(tmp_path / "p.csv", orient="records")
    else:
        bars.to_csv(tmp_path / "p.csv", index=False, header=False)
    shown = "2024-03-04, 1.0, 2.0, 0.5, 1.5, 100" if kind == "csv" else "0, 1, 2, 3, 4, 5"
    with pytest.raises(InputError, match=f"has no names of columns, but {shown}"):
        read(tmp_path)
