"""Tables for other programs: the same values in every format, whole, and only over their like."""

from __future__ import annotations

import errno
import gzip
import resource
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finnex.errors import ExportError
from finnex.files.table_output import FORMATS, TableKind, check_table_path, table_output

KIND = TableKind("signals", ("date", "symbol", "at"))
OTHER = TableKind("features", ("date", "symbol", "known_at"))
SCHEMA = pa.schema(
    {
        "date": pa.timestamp("ms"), "symbol": pa.string(), "at": pa.timestamp("s", "UTC"), "x": pa.float64(),
        "y": pa.float32(),
    }
)  # fmt: skip
ROWS = pa.table(
    {
        "date": [datetime(2015, 3, 2), datetime(2015, 3, 3)],
        "symbol": ["NVDA", 'A,"B'],
        "at": [datetime(2015, 3, 2, 21, tzinfo=UTC), None],
        "x": [0.1 + 0.2, None],
        "y": pa.array(np.array([0.1, 1 / 3], dtype=np.float32)),
    },
    schema=SCHEMA,
)


def write(path: Path, kind: TableKind = KIND, *, force: bool = False) -> None:
    schema = SCHEMA if kind is KIND else SCHEMA.set(2, pa.field("known_at", SCHEMA.field("at").type))
    with table_output(path, kind, schema, {"made_of": "a test"}, force=force) as give:
        give(ROWS.rename_columns(schema.names))
        give(ROWS.rename_columns(schema.names).slice(0, 1))


def test_every_format_gives_the_same_bits_back(tmp_path: Path) -> None:
    for form in FORMATS:
        write(tmp_path / f"signals{form}")
    exact = pd.read_parquet(tmp_path / "signals.parquet")
    assert exact["date"].dtype.kind == "M"
    assert str(exact["at"].dt.tz) == "UTC"
    for form in (".csv", ".csv.gz"):
        text = tmp_path / f"signals{form}"
        found = pd.read_csv(text, parse_dates=["date", "at"], dtype={"y": np.float32})
        units = {name: exact[name].dtype for name in ("date", "at")}
        pd.testing.assert_frame_equal(found.astype(units), exact, check_exact=True)
    lines = (tmp_path / "signals.csv").read_text().splitlines()
    assert lines[:2] == ["date,symbol,at,x,y", '2015-03-02,"NVDA",2015-03-02 21:00:00Z,0.30000000000000004,0.1']
    assert lines[2].endswith(",,,0.33333334"), "what is missing is an empty cell"


def test_parquet_has_a_row_group_for_each_part_and_says_what_it_was_made_of(tmp_path: Path) -> None:
    write(tmp_path / "signals.parquet")
    file = pq.ParquetFile(tmp_path / "signals.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [2, 1]
    assert file.schema_arrow.metadata[b"finnex:about"] == b'{"made_of": "a test"}'


@pytest.mark.parametrize("form", FORMATS)
def test_equal_tables_have_equal_bytes_and_one_replaces_the_other(form: str, tmp_path: Path) -> None:
    write(tmp_path / f"a{form}")
    first = (tmp_path / f"a{form}").read_bytes()
    write(tmp_path / f"a{form}")
    assert (tmp_path / f"a{form}").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [f"a{form}"]


@pytest.mark.parametrize("form", FORMATS)
def test_another_table_and_a_file_of_others_are_replaced_by_force_alone(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{form}"
    frame = pd.DataFrame({"date": ["2015-03-02"], "symbols": ["NVDA"]})
    for make in (
        lambda: write(path, OTHER, force=True),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"PAR1 this is no table \x1f\x8b"),
        lambda: path.write_bytes(gzip.compress(b"date,symbols,x\n")),
        lambda: frame.to_parquet(path) if form == ".parquet" else frame.to_csv(path, index=False),
    ):
        make()
        before = path.read_bytes()
        with pytest.raises(ExportError, match=r"exists and is not overwritten.*no table of signals.*`--force`"):
            write(path)
        assert path.read_bytes() == before
        write(path, force=True)
        write(path)


def test_links_and_folders_are_refused_even_by_force(tmp_path: Path) -> None:
    write(tmp_path / "mine.csv")
    before = (tmp_path / "mine.csv").read_bytes()
    (tmp_path / "link.csv").symlink_to("mine.csv")
    (tmp_path / "dangling.csv").symlink_to("new.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, why in (("link", "symbolic link"), ("dangling", "symbolic link"), ("folder", "it is no file")):
        for force in (False, True):
            with pytest.raises(ExportError, match=why):
                write(tmp_path / f"{name}.csv", force=force)
    assert (tmp_path / "mine.csv").read_bytes() == before
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("signals.xlsx", r"names no format.*\.parquet, \.csv, \.csv\.gz"),
        ("signals", "names no format"),
        (".csv", "names no format"),
        ("signals.gz", "names no format"),
        ("gone/signals.csv", "there is no folder .*Make it"),
        ("images.zarr/signals.csv", "inside the Zarr store"),
        ("images.zarr/NVDA/signals.csv", "inside the Zarr store"),
        ("s3://bucket/signals.csv", "a bucket.*Write to a disk"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_with_its_remedy(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "images.zarr" / "NVDA").mkdir(parents=True)
    (tmp_path / "images.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ExportError, match=why):
        check_table_path(Path(name) if "//" in name else tmp_path / name, KIND)


def break_off(path: Path) -> None:
    with table_output(path, KIND, SCHEMA, {}, force=True) as give:
        give(ROWS)
        raise RuntimeError("half")


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_that_is_broken_off_leaves_what_was_there(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{form}"
    for before in (None, b"old"):
        with pytest.raises(RuntimeError, match="half"):
            break_off(path)
        assert (path.read_bytes() if path.exists() else None) == before
        path.write_bytes(b"old")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_named_and_leaves_what_was_there(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{form}"
    write(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    many = pa.concat_tables([ROWS.slice(0, 1)] * 20_000).combine_chunks()
    many = many.set_column(3, SCHEMA.field("x"), pa.array(np.random.default_rng(0).normal(size=20_000)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with (
            pytest.raises(ExportError, match=r"could not be written \(.*\); what was there is as it was\. Free"),
            table_output(path, KIND, SCHEMA, {}) as give,
        ):
            give(many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def read_in_vain(path: Path) -> None:
    with table_output(path, KIND, SCHEMA, {}) as give:
        give(ROWS)
        raise PermissionError(errno.EACCES, "Permission denied", "images.zarr/AAA")


def test_what_cannot_be_read_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match=r"images\.zarr/AAA"):
        read_in_vain(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
