"""Seeded alterations of the files of a study: bytes, lines, cells, columns, Parquet types, TOML values.

Each takes a random generator and returns a file's new bytes. What comes out need be no table: reading it must end in
a message of FinNeX or in a valid study.
"""

from __future__ import annotations

import gzip
import io
import random
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.row_mutations import in_rows

BOM = b"\xef\xbb\xbf"
TOML_VALUES = (
    '""', '"x"', "0", "-1", "1", "9223372036854775808", "1" + "0" * 400, "1" * 5000, "0x" + "f" * 6000, "nan",
    "inf", "-inf", "1e400", "0.5", "true", "[]", "[[[[]]]]", "{}", "{ a = 1 }", "0001-01-01", "9999-12-31",
    "2015-03-10T12:00:00Z", "12:00:00", "2015-02-30", '"' + "y" * 5000 + '"', '"a\\u0000b"', '"a\\u001b[31mb"',
    '"\\u202e"', '"\\ud800"', '"BP."', '"."', '[""]', '["NVDA", "nvda"]', '["NVDA", "NVDA"]', "[1, 2]",
    '["' + '", "'.join("abcdefgh") + '"]', '"' + "d/" * 3000 + '"', '"../x"', '"~nobodyatall/x"', '"s3://"',
    '"s3://b/\\u0000"', '"http://x"', '"XTKS"', '"24/7"', '"mega"', '"[/b]x"', "[" * 2000 + "]" * 2000,
    "2014-06-02", '"http://[::1"', "[0, 511]", "[-1, 5]", "[0, 1e9]", "[5, 1]", "999999999999",
)  # fmt: skip
Bytes = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 3, 30))):
        if found:
            found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Keep the beginning."""
    return data[: rng.choice((0, 1, 10, rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))]


def without(data: bytes, rng: random.Random) -> bytes:
    """Take a slice out."""
    first = rng.randrange(len(data) + 1)
    return data[:first] + data[first + rng.choice((1, 10, 1000)) :]


def twice(data: bytes, rng: random.Random) -> bytes:
    """Repeat a slice."""
    first = rng.randrange(len(data) + 1)
    part = data[first : first + rng.choice((10, 1000, 50_000))]
    return data[:first] + part * rng.choice((2, 20)) + data[first:]


def inserted(data: bytes, rng: random.Random) -> bytes:
    """Put bytes in that text does not hold."""
    odd = rng.choice(
        (
            b"\0",
            b"\0" * 1000,
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"\x1a",
            b"\r",
            b"\x1b[2J",
            b'"',
            b'""',
            b"\xc3",
            b"\xf4\x90\x80\x80",
            BOM,
        )
    )
    first = rng.choice((0, len(data), rng.randrange(len(data) + 1)))
    return data[:first] + odd + data[first:]


def encoded(data: bytes, rng: random.Random) -> bytes:
    """Write the text in another encoding."""
    text = data.decode("utf-8", "replace")
    return rng.choice(
        (
            lambda: BOM + data,
            lambda: text.encode("utf-16"),
            lambda: text.encode("utf-16-le"),
            lambda: text.encode("utf-32"),
            lambda: ("é" + text).encode("latin-1", "replace"),
            lambda: text.encode("cp037", "replace"),
            lambda: BOM + BOM + data,
        )
    )()


def line_ends(data: bytes, rng: random.Random) -> bytes:
    """Give lines other ends, mixed ends, none, or empty lines between them."""
    ends = rng.choice(
        ((b"\r\n",), (b"\r",), (b"\n", b"\r\n", b"\r"), (b"\n\n",), (b"\n\r",), (b"\x0b",), (b"\n" * 500,))
    )
    return b"".join(line + rng.choice(ends) for line in data.split(b"\n"))


def nothing(_: bytes, rng: random.Random) -> bytes:
    """Return a file that says nothing."""
    return rng.choice(
        (
            b"",
            b"\n",
            b"\n" * 1000,
            b",",
            b",\n,\n",
            b" ",
            BOM,
            b"\0",
            b'"',
            b"\r",
            b"#",
            b"PAR1",
            b"PAR1PAR1",
            b"\x1f\x8b",
        )
    )


def noise(_: bytes, rng: random.Random) -> bytes:
    """Return random bytes, or random text."""
    if rng.random() < 0.5:
        return rng.randbytes(rng.choice((10, 1000, 100_000)))
    return "".join(rng.choice('abc,"\n;\t 0123.') for _ in range(rng.choice((10, 1000, 50_000)))).encode()


BYTES: tuple[Bytes, ...] = (flip, cut, without, twice, inserted, encoded, line_ends, nothing, noise)


def packed(data: bytes, rng: random.Random) -> bytes:
    """Pack with gzip, at times with a fault, as several members, or so that a little becomes much."""
    middle, whole = len(data) // 2, gzip.compress(data)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: flip(whole, rng),
        lambda: cut(whole, rng),
        lambda: whole + rng.randbytes(50),
        lambda: data,
        lambda: one_row_many_times(data, rng.choice((1, 20, 40))),
        lambda: gzip.compress(bytes(100 << 20)) * rng.choice((1, 40)),
        lambda: gzip.compress(whole),
        lambda: gzip.compress(data[:middle]) + gzip.compress(data[middle:]),
        lambda: whole,
    )
    return rng.choice(kinds)()


def one_row_many_times(data: bytes, blocks: int) -> bytes:
    """Return the header and one row, 30 megabytes of it in each block, packed into a thousandth of that."""
    head, _, body = data.partition(b"\n")
    line = body.partition(b"\n")[0] + b"\n"
    return gzip.compress(head + b"\n") + gzip.compress(line * (30_000_000 // len(line))) * blocks


def exotic(frame: pd.DataFrame, rng: random.Random) -> pa.Table:
    """Return a table with a column of a type that CSV files do not have."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    n, column = len(frame), rng.randrange(len(frame.columns))
    name = table.column_names[column]
    micro, day = pa.timestamp("us"), 86_400
    made = (
        lambda: pa.array([[1, 2]] * n),
        lambda: pa.array([{"a": 1}] * n),
        lambda: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int64())),
        lambda: pa.array([b"\xff\xfe\x00"] * n),
        lambda: pa.array([None] * n),
        lambda: pa.array([True, False, None] * n)[:n],
        lambda: pa.array([2**64 - 1] * n, pa.uint64()),
        lambda: pa.array([-(2**63)] * n),
        lambda: pa.array([250_000 * 365 * day * 1_000_000] * n).cast(micro),
        lambda: pa.array([-100_000_000] * n, pa.int32()).cast(pa.date32()),
        lambda: pa.array([2_000_000_000] * n, pa.int32()).cast(pa.date32()),
        lambda: pa.array([1] * n).cast(pa.time64("us")),
        lambda: pa.array([1] * n).cast(pa.duration("s")),
        lambda: pa.array([1425945600] * n).cast(pa.timestamp("s", "Asia/Kolkata")),
        lambda: pa.array([1425945600] * n).cast(pa.timestamp("s", "No/Where")),
        lambda: pa.array(["1.5"] * n).cast(pa.decimal128(38, 10)),
        pa.array(["a", "b"] * n)[:n].dictionary_encode,
        lambda: pa.array(["2015-03-10"] * n, pa.large_string()),
        lambda: pa.array([float("inf"), float("nan"), 1e308] * n)[:n],
        lambda: pa.array([1.5] * n, pa.float32()).cast(pa.float16()),
        lambda: pa.array(["x" * 100_000]).take(pa.array([0] * n)).dictionary_encode(),
        table.column(column).cast(pa.string()).dictionary_encode,
    )
    return table.set_column(column, rng.choice((name, name, "", "position", "a\x1bb")), rng.choice(made)())


def parquet(data: bytes, rng: random.Random) -> bytes:
    """Return a table as Parquet: with exotic types, names twice, an index, no rows or columns, or altered bytes."""
    frame = pd.read_csv(io.BytesIO(data))
    kind = rng.randrange(10)
    if kind < 4:
        table = exotic(frame, rng)
    elif kind == 4:
        table = pa.table([pa.array(frame.iloc[:, 0].astype(str))] * 3, names=["symbol", "date", "symbol"])
    elif kind == 5:
        table = pa.Table.from_pandas(frame.set_index(list(frame.columns[:2])))
    elif kind == 6:
        table = rng.choice((pa.table({}), pa.Table.from_pandas(frame.head(0), preserve_index=False)))
    elif kind == 7:
        first = pa.Table.from_pandas(frame.head(1), preserve_index=False)
        table = first.take(pa.array([0] * rng.choice((1000, 1_000_000))))
    elif kind == 8:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.replace_schema_metadata(
            {"pandas": rng.choice((b"{", b"{}", b"[]", b"\xff", b'{"index_columns": [7]}'))}
        )
    else:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    raw = io.BytesIO()
    pq.write_table(
        table,
        raw,
        compression=rng.choice(("snappy", "none", "gzip", "zstd")),
        row_group_size=7 if len(table) < 5000 and rng.random() < 0.5 else None,
    )
    found = raw.getvalue()
    if kind == 9:
        found = rng.choice((flip, cut, without, twice))(found, rng)
    return found


def table_file(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return an altered table with the end of its name."""
    kind = rng.random()
    if kind < 0.2:
        return ".parquet", parquet(data, rng)
    altered = rng.choice(BYTES)(data, rng) if rng.random() < 0.4 else in_rows(data, rng)
    if kind < 0.4:
        return ".csv.gz", packed(altered, rng)
    if kind < 0.42:
        return ".parquet", altered
    if kind < 0.44:
        return ".csv", gzip.compress(altered)
    return ".csv", altered


def toml(data: bytes, rng: random.Random) -> bytes:
    """Alter a TOML file: a value, a key, a line, its depth, its length; or its bytes."""
    if rng.random() < 0.15:
        return rng.choice(BYTES)(data, rng)
    lines = data.decode("utf-8", "replace").splitlines()  # a second alteration may find no text
    for _ in range(rng.choice((1, 1, 2))):
        lines = lines or [""]
        keyed = [number for number, line in enumerate(lines) if re.match(r"\w+ *=", line)]
        at, value = rng.choice(keyed) if keyed else 0, rng.choice(TOML_VALUES)
        key = lines[at].split("=")[0] if keyed else "a "
        kind = rng.randrange(9)
        if kind < 5:
            lines[at] = f"{key}= {value}"
        elif kind == 5:
            strange = ("strange", "a." * 3000 + "a", '"a\\u001bb"', '""', key.strip() + "s", "k" * 5000)
            lines[at] = f"{rng.choice(strange)} = {value}"
        elif kind == 6:
            odd = (lines[at], "[strange]", "[[strange]]", "[a" + ".a" * 3000 + "]", "[inputs]", "{")
            lines.insert(at, rng.choice(odd))
        elif kind == 7:
            del lines[at]
        else:
            lines.insert(at, "\n".join(f"k{i} = {i}" for i in range(rng.choice((50, 5000, 200_000)))))
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def catalogue(data: bytes, rng: random.Random) -> bytes:
    """Alter a catalogue."""
    return rng.choice(BYTES)(data, rng) if rng.random() < 0.3 else in_rows(data, rng)


def alter(study: Path, rng: random.Random) -> list[str]:
    """Alter one or two files of a copy of a study, in place; return what was altered."""
    done, tables = [], sorted(path for path in study.glob("*.csv*") if path.name != "catalogue.csv")
    for _ in range(rng.choice((1, 1, 1, 2))):
        kind = rng.random()
        if kind < 0.16:
            path, change = study / "finnex.toml", toml
        elif kind < 0.26:
            path, change = study / "layout.toml", toml
        elif kind < 0.34:
            path, change = study / "catalogue.csv", catalogue
        else:
            path = tables.pop(rng.randrange(len(tables)))  # once: what comes of it may be no text
            end, data = table_file(path.read_bytes(), rng)
            path.unlink()
            other = path.with_name(path.name.split(".")[0] + end)
            other.write_bytes(data)
            config = study / "finnex.toml"
            config.write_bytes(config.read_bytes().replace(f'"{path.name}"'.encode(), f'"{other.name}"'.encode()))
            done.append(f"{other.name} ({len(data)} bytes)")
            continue
        data = change(path.read_bytes(), rng)
        path.write_bytes(data)
        done.append(f"{path.name} ({len(data)} bytes)")
    return done
