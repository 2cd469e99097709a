"""Reading ends in a short printable message or in a valid study, whatever stands in a file; one test for each kind."""

from __future__ import annotations

import csv
import os
import pickle
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import fuzz
from benchmarks.mutations import catalogue, toml
from finnex.config import Config, load_config
from finnex.data import csv_file, parse
from finnex.data.parquet_file import read_parquet
from finnex.data.readers import read_fundamentals, read_prices
from finnex.errors import ConfigError, FinnexError, InputError, LayoutError, Problem, legible, nearest
from finnex.layout import load_layout, parse_catalogue

HEADER = "symbol,date,open,high,low,close,volume\n"
ROW = "ACME,2024-03-01,10.5,11.25,10.0,11.0,100\n"
SETTINGS = 'symbols = ["ACME"]\n[inputs]\nprices = "prices.csv"\n[store]\npath = "images.zarr"\n'
MOST_BYTES = fuzz.MOST_MESSAGE_BYTES


def checked(error: FinnexError) -> str:
    """Return a message that is short, printable, and not the end of another error's trace."""
    assert fuzz.fault_of_message(error) == ""
    return str(error)


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    os.utime(path, (1.6e9, 1.6e9))  # as old as a file that has arrived
    return path


def refused(read: Callable[[], object], kind: type[FinnexError]) -> str:
    with pytest.raises(kind) as caught:
        read()
    return checked(caught.value)


def settings(tmp_path: Path, text: str | bytes) -> Config:
    written(tmp_path / "prices.csv", HEADER + ROW)
    return load_config(written(tmp_path / "finnex.toml", text))


def fuzzed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command: it forks, which a test worker with zarr's threads must not."""
    command = [sys.executable, "-m", "benchmarks.fuzz", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.accept
def test_altered_studies_end_in_messages_or_valid_studies() -> None:
    found = fuzzed("--seed", "7", "--cases", "12", "--builds", "1")
    assert found.returncode == 0, found.stdout + found.stderr
    last = found.stdout.splitlines()[-1]
    assert last.startswith("seed 7: 12 cases, 0 failures")
    assert all(f"{kind} " in last for kind in ("built", "valid", "InputError", "ConfigError"))


CONTROLS = [one for one in fuzz.CONTROLS if one not in ("pixel", "status")]
EACH_CONTROL = """
import sys
from benchmarks.fuzz import main
for control in sys.argv[1:]:
    sys.argv[1:] = ["--seed", "1", "--cases", "1", "--builds", "0", "--control", control]
    try:
        print(f"[{control}]")
        main()
    except SystemExit as ended:
        print(f"exit {ended.code}")
"""


@pytest.fixture(scope="module")
def of_controls() -> dict[str, str]:
    """What the command prints with each fault planted, and its exit code: it is started once, for it starts slowly."""
    command = [sys.executable, "-c", EACH_CONTROL, *CONTROLS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    parts = re.split(r"^\[([a-z-]+)\]$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("control", CONTROLS)
def test_the_fuzzer_finds_a_planted_fault(control: str, of_controls: dict[str, str]) -> None:
    printed = of_controls[control]
    assert "--seed 1 --case 0" in printed
    assert "1 cases, 1 failures" in printed
    assert printed.endswith("\nexit 1\n")


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a = 1\n[b]\nc = 2\n", b"\x83\x00\xff", b"a,b\r1,2\n\n"])
def test_what_was_altered_can_be_altered_again_and_no_limit_of_the_process_moves(data: bytes) -> None:
    limit = csv.field_size_limit()
    for seed in range(80):
        rng, altered = random.Random(seed), data
        for change in (toml, toml, catalogue, catalogue):
            altered = change(altered, rng)[:2000]
        assert csv.field_size_limit() == limit


def test_a_message_is_bounded_and_moves_no_cursor() -> None:
    long = legible("\n".join(f"{'é' * 5000}\x1b[2J{number}" for number in range(10_000)))
    assert len(long.encode()) < MOST_BYTES
    assert "more lines like these" in long
    assert all(one.isprintable() or one == "\n" for one in long)
    assert legible("a\u202eb\x07\ud800") == "a\\u202eb\\x07\\ud800"
    assert legible("x" * 5000 + " Correct it.").endswith(" Correct it.")


def test_problems_are_counted_by_kind_and_travel_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    rows = "".join(f"ACME,{day.date()},x,1,1,1,{'n' * 3000}\n" for day in pd.date_range("2000-01-01", periods=3000))
    problems: list[Problem] = []
    read_prices(written(path, HEADER + rows), problems)
    assert len(problems) < 100
    error = InputError(problems)
    text = checked(error)
    assert [line.partition(" (values")[0].partition("prices.csv, ")[2] for line in text.splitlines()] == [
        f"rows 2, 3, 4 and 2997 more, column '{column}': is not a finite number" for column in ("open", "volume")
    ]
    assert str(pickle.loads(pickle.dumps(error))) == text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a = " + "1" * 5000, "is not valid TOML"),
        ("a = 0x" + "f" * 6000, "the number has more than 64 bits"),
        ("a = " + "[" * 5000 + "]" * 5000, "is nested deeper than 20"),
        ("a = " + "[" * 50 + "]" * 50, "is nested deeper than 20"),
        ("a" + ".a" * 100_000 + " = 1", "has a key of more than 20 parts"),
        ('a = "' + "y" * 5000 + '"', "the text has 5000 characters"),
        ("k" * 5000 + " = 1", "has a key that has 5000 characters"),
        ('a = "b\\u0000"', "holds a control character"),
        ('a = "b\\u001b[31m"', "holds a control character"),
        ("\n".join(f"k{number} = 1" for number in range(20_000)), "unknown key 'k0'"),
        ("#" * (2 << 20), "has more than 1 MB"),
    ],
)
def test_settings_have_limits(tmp_path: Path, line: str, said: str) -> None:
    began = time.process_time()
    assert said in refused(lambda: settings(tmp_path, f"{line}\n{SETTINGS}"), ConfigError)
    assert said.replace("unknown key", "layout: unknown key") in refused(
        lambda: load_layout(str(written(tmp_path / "own.toml", f"{line}\n"))), LayoutError
    )
    assert time.process_time() - began < 5


def test_settings_in_other_encodings_are_read_or_refused(tmp_path: Path) -> None:
    assert settings(tmp_path, b"\xef\xbb\xbf" + SETTINGS.encode()).symbols == ("ACME",)
    assert "is not UTF-8 (byte 0)" in refused(lambda: settings(tmp_path, SETTINGS.encode("utf-16")), ConfigError)


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_settings_are_finite(tmp_path: Path, value: str) -> None:
    text = f"{SETTINGS}[training]\ngradient_clip = {value}\n"
    assert "finite number" in refused(lambda: settings(tmp_path, text), ConfigError)


def test_a_path_that_no_file_system_takes_names_no_file(tmp_path: Path) -> None:
    text = SETTINGS.replace("prices.csv", "x" * 3000)
    assert "does not exist" in refused(lambda: settings(tmp_path, text), ConfigError)


@pytest.mark.parametrize("cell", ["a\x1b[31mb", "\u202e", "\x07" * 3000])
def test_names_with_control_characters_are_shown_escaped(tmp_path: Path, cell: str) -> None:
    problems: list[Problem] = []
    read_prices(written(tmp_path / "p.csv", HEADER + ROW.replace("ACME", cell) * 2), problems)
    assert "appears in an earlier row" in checked(InputError(problems))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", HEADER.replace("open", "close ") + ROW)
    assert "column 'close': the column appears twice" in refused(lambda: parse.read_text(path), InputError)


def test_a_metric_may_not_have_a_name_that_the_reader_makes(tmp_path: Path) -> None:
    text = "symbol,period_end,available_date,available\nACME,2023-12-31,2024-02-01,1\n"
    problems: list[Problem] = []
    read_fundamentals(written(tmp_path / "f.csv", text), problems)
    assert "column 'available': the column has a name that FinNeX uses" in checked(InputError(problems))


def test_many_columns_are_the_same_numbers_as_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        {f"c{i}": [repr(float(one)) for one in rng.normal(0, 10.0**i, 50)] for i in range(-9, 9)}
    ).astype(str)
    cells.iloc[::7, 3] = ""
    cells.iloc[3, 5] = "x"
    cells["whole"] = [str(one) for one in rng.integers(0, 2**53, 50)]
    one_by_one: list[Problem] = []
    together: list[Problem] = []
    expected = pd.DataFrame({name: parse.number(cells[name], tmp_path, one_by_one, optional=True) for name in cells})
    pd.testing.assert_frame_equal(parse.numbers(cells, tmp_path, together), expected, check_exact=True)
    assert together == one_by_one
    assert len(together) == 1


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("volume", "1e25", "is larger than any quantity"),
        ("close", "-1e308", "is larger than any quantity"),
        ("close", "1e-300", "a price or volume lies between 0 and 1e-12"),
        ("volume", "5e-324", "a price or volume lies between 0 and 1e-12"),
    ],
)
def test_numbers_whose_ratios_no_float_holds_are_refused(tmp_path: Path, column: str, cell: str, said: str) -> None:
    values = dict(zip(HEADER.strip().split(","), ROW.strip().split(","), strict=True)) | {column: cell}
    problems: list[Problem] = []
    read_prices(written(tmp_path / "p.csv", HEADER + ",".join(values.values()) + "\n"), problems)
    assert said in checked(InputError(problems))
    assert len(parse.numbers(pd.DataFrame({"a": ["1e25", "1e23"]}), tmp_path, problems).dropna()) == 1


def test_a_small_gzip_of_one_row_is_refused_before_it_is_large(tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(HEADER.encode()) + gzip.compress(ROW.encode() * 100_000) * 40
    path = written(tmp_path / "p.csv.gz", packed)
    assert len(packed) * 100 < csv_file.FREE_BYTES * 4
    assert "unpacks to more than 100 times its size" in refused(lambda: parse.read_text(path), InputError)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[1, 2]]), "values of type list<"),
        (pa.array([{"a": 1}]), "values of type struct<"),
        (pa.array([b"\xff"]), "bytes that are no text in UTF-8"),
        (pa.array([1]).cast(pa.time64("us")), "values of type time64"),
        (pa.array([1]).cast(pa.timestamp("s", "No/Where")), "values that cannot be read"),
        (pa.array(["x" * (2 << 20)]), "has a cell of more than 1 MB"),
    ],
)
def test_parquet_columns_that_are_no_cells_are_refused_by_name(tmp_path: Path, column: pa.Array, said: str) -> None:
    pq.write_table(pa.table({"odd": column}), tmp_path / "p.parquet")
    assert said in refused(lambda: parse.read_text(written_again(tmp_path / "p.parquet")), InputError)


def written_again(path: Path) -> Path:
    return written(path, path.read_bytes())


def test_parquet_is_read_as_its_columns_whatever_pandas_noted(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"symbol": ["A", "B"], "date": ["2024-03-01"] * 2, "value": pd.array([2**62 + 1, None], dtype="Int64")}
    )
    table = pa.Table.from_pandas(frame.set_index(["symbol", "date"]))
    for note in (None, b"{", b"{}", b"\xff"):
        noted = table if note is None else table.replace_schema_metadata({"pandas": note})
        pq.write_table(noted, tmp_path / "p.parquet")
        read = read_parquet(tmp_path / "p.parquet")[0].sort_index(axis=1)
        assert read.to_dict("list") == {
            "date": ["2024-03-01"] * 2,
            "symbol": ["A", "B"],
            "value": ["4611686018427387905", ""],
        }


def test_parquet_of_one_row_a_million_times_is_refused_by_its_metadata(tmp_path: Path) -> None:
    row = pa.table({f"c{number}": [1.5] for number in range(8)})
    pq.write_table(row.take(pa.array([0] * 1_000_000)), tmp_path / "p.parquet")
    assert "has 1000000 rows of 8 columns, more than a table" in refused(
        lambda: parse.read_text(written_again(tmp_path / "p.parquet")), InputError
    )


def test_parquet_of_one_long_text_in_many_rows_is_refused_before_it_is_large(tmp_path: Path) -> None:
    text = pa.array(["x" * 100_000]).take(pa.array([0] * 2000))
    pq.write_table(pa.table({"text": text}), tmp_path / "p.parquet")
    assert "unpacks to more than 100 times its size" in refused(
        lambda: parse.read_text(written_again(tmp_path / "p.parquet")), InputError
    )


def test_a_catalogue_has_limits() -> None:
    header = "name,table,unit,normalizer,low,high,window_sessions,max_age_sessions,orientation,region,source,meaning\n"
    row = "{},macro,sd,bounded,{},3,,{},1,fear,finnex,what\n"
    for name, low, age, said in (
        ("a", "-inf", "0", "is not below high"),
        ("a", "nan", "0", "is not below high"),
        ("a", "0", "9" * 30, "max_age_sessions"),
        ("a", "0", "-1", "max_age_sessions"),
        ("x" * 300, "0", "0", "is no name"),
        ("a\x1bb", "0", "0", "is no name"),
        ("", "0", "0", "is no name"),
        ('"' + "y" * 200_000 + '"', "0", "0", "is no CSV file"),
    ):
        assert said in refused(lambda: parse_catalogue(header + row.format(name, low, age)), LayoutError)  # noqa: B023
    rows = "".join(row.format(f"a{number}", 0, 0) for number in range(9000))
    assert "has more than 8192 rows" in refused(lambda: parse_catalogue(header + rows), LayoutError)
    assert "twice: ['name']" in refused(lambda: parse_catalogue("name," + header), LayoutError)


def test_a_layout_of_thousands_of_regions_or_of_a_vast_canvas_is_refused_at_once(tmp_path: Path) -> None:
    canvas = '[canvas]\nname = "a"\nheight = {0}\nwidth = {0}\nchannels = ["red", "green"]\nlookback_sessions = 56\n'
    region = '[[region]]\nname = "r{0}"\nchannel = "red"\nrows = [{0}, {0}]\ncolumns = [{0}, {0}]\n'
    began = time.process_time()
    many = canvas.format(512) + "".join(region.format(number) for number in range(5000))
    assert "has 5000 regions, more than 512" in refused(
        lambda: load_layout(str(written(tmp_path / "a.toml", many))), LayoutError
    )
    vast = canvas.format(8192) + "".join(region.format(number) for number in range(3))
    assert "values over all channels" in refused(
        lambda: load_layout(str(written(tmp_path / "a.toml", vast))), LayoutError
    )
    scattered = canvas.format(4096) + "".join(region.format(2 * number) for number in range(500))
    refused(lambda: load_layout(str(written(tmp_path / "a.toml", scattered))), LayoutError)
    assert time.process_time() - began < 10


def test_the_nearest_of_many_long_words_is_found_in_bounded_time() -> None:
    began = time.process_time()
    for _ in range(7):
        assert "name_5" in nearest("name_55", [f"name_{number}" for number in range(20_000)])
    nearest("x" * 1_000_000, ["y" * 1_000_000, "x"])
    assert time.process_time() - began < 10
