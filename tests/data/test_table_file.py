"""A table's file is whole, of a size that a table has, and its rows fit its header; or it is refused in words."""

from __future__ import annotations

import gzip
import io
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finnex.data import csv_file, parquet_file, parse
from finnex.data.csv_file import is_unended
from finnex.data.price_reader import read_prices
from finnex.data.table_file import JUST_WRITTEN_SECONDS
from finnex.errors import InputError, Problem

HEADER = "symbol,date,open,high,low,close,volume\n"
ROWS = [f"ACME,2024-03-0{day},10.5,11.25,10.0,11.0,1276153144.10\n" for day in range(1, 9)]
WHOLE = HEADER + "".join(ROWS)


def rests(path: Path) -> Path:
    """Let a file be as old as one that has arrived."""
    old = time.time() - JUST_WRITTEN_SECONDS - 60
    os.utime(path, (old, old))
    return path


def written(path: Path, text: str, *, packed: bool = False) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_in_a_number_is_still_arriving_and_when_it_rests_is_read_with_a_warning(
    tmp_path: Path, packed: bool
) -> None:
    cut = WHOLE[: WHOLE.rindex("6153144.10")]  # the volume arrives as 127
    path = written(tmp_path / ("p.csv.gz" if packed else "p.csv"), cut, packed=packed)
    with pytest.raises(InputError, match=r"is still arriving: its last line has no end\. .*wait until it has arrived"):
        parse.read_text(path)
    frame = parse.read_text(rests(path))
    assert frame["volume"].iloc[-1] == "127"
    assert is_unended(path)
    written(path, WHOLE, packed=packed)  # the remedy: all of it, its last line ended
    assert parse.read_text(path)["volume"].iloc[-1] == "1276153144.10"
    assert not is_unended(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_row_with_too_few_cells_is_named_by_its_line(tmp_path: Path, packed: bool) -> None:
    short = "ACME,2024-03-09,10.5,11.2\n"
    path = written(tmp_path / ("p.csv.gz" if packed else "p.csv"), WHOLE + short, packed=packed)
    with pytest.raises(InputError, match=r"row 10: is still arriving: this row has 4 cells, the header 7"):
        parse.read_text(path)
    with pytest.raises(InputError, match=r"row 10: the row has 4 cells, the header 7\. Complete the row"):
        parse.read_text(rests(path))
    several = HEADER + ROWS[0] + short + ROWS[1] + "ACME,2024-03-10,1,2,3,4,5,6,7\n"
    with pytest.raises(InputError) as refused:
        parse.read_text(written(path, several, packed=packed))
    assert [problem.row for problem in refused.value.problems] == [3, 5]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    text = 'symbol,date,note\nACME,2024-03-01,"two\nlines"\nACME,2024-03-02\n'
    with pytest.raises(InputError, match="row 4: "):
        parse.read_text(rests(written(tmp_path / "p.csv", text)))
    path = written(tmp_path / "q.csv", 'symbol,date,note\nACME,2024-03-01,"two\nlines"\n')
    assert parse.read_text(path)["note"].tolist() == ["two\nlines"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", 4),
        ("\n\n", 6),
        ('ACME,2024-02-01,10,11,9,10,"1\n"\n', 6),
        ('"ACME",2024-02-01,10,11,9,10,1\n', 5),
        ("\r\n", 5),
    ],
)
def test_a_bad_cell_is_named_by_the_line_that_an_editor_shows(
    tmp_path: Path, packed: bool, before: str, line: int
) -> None:
    bad = "ACME,2024-03-09,ten,11,9,10,1\n"
    text = HEADER + ROWS[0] + before + ROWS[1] + bad + ROWS[2]
    path = written(tmp_path / ("p.csv.gz" if packed else "p.csv"), text, packed=packed)
    problems: list[Problem] = []
    read_prices(path, problems)
    assert {problem.row for problem in problems if problem.column == "open"} == {line}
    shown = text.splitlines()[line - 1] + "\n"
    assert shown == bad


def test_blank_lines_before_the_header_are_lines(tmp_path: Path) -> None:
    text = "\n\n" + HEADER + ROWS[0] + "ACME,2024-03-09,ten,11,9,10,1\n"
    problems: list[Problem] = []
    read_prices(written(tmp_path / "p.csv", text), problems)
    assert [problem.row for problem in problems] == [5]


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(WHOLE), dtype=str)
    frame.loc[3, "open"] = "ten"
    frame.to_parquet(tmp_path / "p.parquet")
    problems: list[Problem] = []
    read_prices(tmp_path / "p.parquet", problems)
    assert [problem.row for problem in problems] == [5]


def test_a_sound_file_is_not_gone_through_for_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the lines were counted")

    monkeypatch.setattr(csv_file, "_lines", never)
    problems: list[Problem] = []
    read_prices(written(tmp_path / "p.csv", WHOLE), problems)
    assert problems == []


def test_a_row_without_the_delimiter_that_ends_all_others_is_the_one_at_fault(tmp_path: Path) -> None:
    """Its last cell may be cut: the delimiter would have shown that it is whole."""
    text = HEADER + "".join(row.replace("\n", ",\n") for row in ROWS[:-1]) + ROWS[-1]
    with pytest.raises(InputError, match=r"row 9: the row has no delimiter at its end.*may be cut") as refused:
        parse.read_text(written(tmp_path / "p.csv", text))
    assert len(refused.value.problems) == 1


def test_an_empty_cell_at_the_end_of_every_row_is_a_trailing_delimiter_and_of_some_a_fault(tmp_path: Path) -> None:
    trailing = HEADER + "".join(row.replace("\n", ",\n") for row in ROWS)
    frame = parse.read_text(written(tmp_path / "p.csv", trailing))
    pd.testing.assert_frame_equal(frame, parse.read_text(written(tmp_path / "q.csv", WHOLE)))
    some = HEADER + ROWS[0] + ROWS[1].replace("\n", ",\n")
    with pytest.raises(InputError, match="row 3: the row has 8 cells, the header 7"):
        parse.read_text(written(tmp_path / "r.csv", some))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_a_packed_file_that_is_cut_is_still_arriving_while_it_is_young(tmp_path: Path, share: float, kind: str) -> None:
    path = tmp_path / f"p.{kind}"
    if kind == "parquet":
        pd.read_csv(io.StringIO(WHOLE)).to_parquet(path)
    else:
        written(path, WHOLE, packed=True)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"is still arriving(, or damaged)?: |has no rows"):
        parse.read_text(path)
    with pytest.raises(InputError, match=r"cannot be read|has no rows"):
        parse.read_text(rests(path))


def test_a_small_gzip_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    block = gzip.compress(bytes(64 << 20))
    path.write_bytes(block * 80)  # five gigabytes of zeros
    text = gzip.compress((HEADER + ROWS[0] * 200_000).encode())
    (tmp_path / "long.csv.gz").write_bytes(text * 400)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from finnex.data import csv_file, parse\n"
        "from finnex.errors import InputError\n"
        "csv_file.MOST_BYTES = 1 << 30\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        parse.read_text(Path(name))\n"
        "    except InputError as error:\n"
        "        print(str(error).splitlines()[0])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "long.csv.gz")]
    zeros, long, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "it holds zero bytes" in zeros
    assert "unpacks to more than 1 GB" in long
    assert int(grown) < 100_000, "kilobytes"


def test_a_cell_of_megabytes_is_refused_and_no_message_is_long(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", HEADER + ROWS[0].replace("10.5", "x" * (10 << 20)))
    with pytest.raises(InputError, match="has a line of more than 4 MB") as refused:
        parse.read_text(path)
    assert len(str(refused.value)) < 1000
    problems: list[object] = []
    long = pd.Series(["y" * 100_000] * 30, name="z" * 5000)
    parse.number(long, path, problems, optional=True)  # type: ignore[arg-type]
    assert len(str(InputError(problems))) < 20_000  # type: ignore[arg-type]


def test_parquet_that_would_unpack_beyond_any_table_is_refused_by_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"symbol": pa.array(["A"] * 1_000_000).dictionary_encode()}), path)
    monkeypatch.setattr(parquet_file, "MOST_CELLS", 900_000)
    with pytest.raises(InputError, match="has 1000000 rows of 1 columns, more than a table"):
        parse.read_text(path)


def test_time_grows_with_columns_and_not_with_their_square(tmp_path: Path) -> None:
    from finnex.data.readers import read_enhanced, read_fundamentals

    def seconds(read: object, head: str, cells: str, columns: int) -> float:
        names = ",".join(f"metric_{i}" for i in range(columns))
        values = ",".join(["1.5"] * columns)
        rows = "".join(f"{cells.format(day)},{values}\n" for day in range(1, 9))
        path = written(tmp_path / f"{columns}.csv", f"{head},{names}\n{rows}")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        problems: list[object] = []
        read(path, problems)  # type: ignore[operator]
        assert problems == []
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime - before

    for read, head, cells in (
        (read_enhanced, "symbol,date", "ACME,2024-03-0{}"),
        (read_fundamentals, "symbol,period_end,available_date", "ACME,2023-0{}-01,2023-11-01"),
    ):
        few, many = (min(seconds(read, head, cells, columns) for _ in range(2)) for columns in (2000, 8000))
        assert many < 10 * max(few, 0.1), (read, few, many)  # the square would be 16
    with pytest.raises(InputError, match="has 25002 columns, more than 10000"):
        seconds(read_enhanced, "symbol,date", "ACME,2024-03-0{}", 25_000)
