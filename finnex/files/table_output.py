"""Tables for other programs, Parquet or CSV by the name's end: written part by part, whole or not there at all.

A table says what it is, so that it is replaced by its like and by nothing else: Parquet in its metadata
(`finnex:table`), CSV by its first columns, which no other kind has.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pyarrow import types

from finnex.errors import ExportError
from finnex.files.output import refuse_others
from finnex.files.replacing import replacing
from finnex.store_path import scheme_of

PARQUET, CSV, GZIP = ".parquet", ".csv", ".csv.gz"
FORMATS = (PARQUET, CSV, GZIP)
KIND, ABOUT = b"finnex:table", b"finnex:about"
"""Metadata of a Parquet file: which table it is; JSON of what was asked for and of what it was made."""
GZIP_LEVEL = 6
Write = Callable[[pa.Table], None]
"""Takes the next rows; in Parquet they become a row group."""


@dataclass(frozen=True)
class TableKind:
    """One of the tables that FinNeX writes.

    Attributes
    ----------
    name
        One word.
    first_columns
        The columns that it begins with: those of no other kind.
    """

    name: str
    first_columns: tuple[str, ...]


def check_table_path(path: Path, kind: TableKind, *, force: bool = False) -> None:
    """Refuse a path that a table cannot be written to, before there is anything to write.

    Parameters
    ----------
    path
        The file.
    kind
        What it will hold.
    force
        Whether a file of another origin, or another table, is replaced; a link or a folder never is.

    Raises
    ------
    ExportError
        Its name has another end than `FORMATS`, its folder does not exist or is that of a store, or something is
        there that is not replaced.
    """
    if (scheme := scheme_of(path)) is not None:
        raise ExportError(f"{path} lies in a bucket or another service ('{scheme}'). Write to a disk, then copy it.")
    form = _format(path)
    if not path.parent.is_dir():
        raise ExportError(f"{path} cannot be written: there is no folder {path.parent}. Make it, or choose another.")
    for parent in (path.parent.resolve(), *path.parent.resolve().parents):
        if (parent / "zarr.json").exists():
            raise ExportError(f"{path} lies inside the Zarr store {parent}. Choose a folder outside it.")

    def is_ours(file: BinaryIO) -> bool:
        return force or (_says_parquet(file, kind) if form == PARQUET else _says_csv(file, kind, form))

    refuse_others(
        path, is_ours, f"it is no table of {kind.name} that FinNeX wrote", "`--force` replaces it, and it is lost."
    )


@contextmanager
def table_output(
    path: Path, kind: TableKind, schema: pa.Schema, about: Mapping[str, object], *, force: bool = False
) -> Iterator[Write]:
    """Give a function that writes rows; the file takes its place when the block ends well, else nothing is left of it.

    In Parquet, missing values are null, dates are time stamps at midnight without a zone, moments are in UTC. In CSV a
    missing value is an empty cell, a date YYYY-MM-DD, a moment YYYY-MM-DD hh:mm:ssZ, and numbers have the digits that
    give the same bits back.

    Parameters
    ----------
    path
        The file; its name ends in one of `FORMATS`.
    kind
        What it holds.
    schema
        Its columns, the first of which are the kind's.
    about
        What it was made of, as JSON can hold it; kept in Parquet.
    force
        As in `check_table_path`.

    Yields
    ------
    callable
        Takes a `pyarrow.Table` of the schema.

    Raises
    ------
    ExportError
        The path cannot be written to: see `check_table_path`.
    """
    check_table_path(path, kind, force=force)
    if tuple(schema.names[: len(kind.first_columns)]) != kind.first_columns:
        raise ExportError(f"a table of {kind.name} begins with {schema.names}. This is a defect of FinNeX.")
    of_caller: list[OSError] = []
    try:
        with replacing(path) as file, _writer(file, _format(path), kind, schema, about) as write:

            def give(table: pa.Table) -> None:
                try:
                    write(table)
                except OSError as error:
                    raise _not_written(path, error) from error

            try:
                yield give
            except OSError as error:  # what the table is made of cannot be read: no fault of the disk it goes to
                of_caller.append(error)
                raise
    except OSError as error:
        if error in of_caller:
            raise
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> ExportError:
    return ExportError(
        f"{path} could not be written ({error.strerror or error}); what was there is as it was. Free the disk, or "
        "choose another folder."
    )


def _format(path: Path) -> str:
    name = path.name.lower()
    for form in (GZIP, CSV, PARQUET):
        if name.endswith(form) and name != form:
            return form
    raise ExportError(f"'{path}' names no format of a table. Let the name end in {', '.join(FORMATS)}.")


def _writer(
    file: BinaryIO, form: str, kind: TableKind, schema: pa.Schema, about: Mapping[str, object]
) -> AbstractContextManager[Write]:
    if form == PARQUET:
        said = {KIND: kind.name.encode(), ABOUT: json.dumps(about, sort_keys=True).encode()}
        return _parquet(file, schema.with_metadata(said))
    # No name and no time in the header: equal tables have equal bytes.
    opened: AbstractContextManager[Any] = (
        gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) if form == GZIP else nullcontext(file)
    )
    return _csv(opened, pa.schema([field.with_type(_csv_type(field.type)) for field in schema]))


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield lambda table: writer.write_table(table.cast(schema))


@contextmanager
def _csv(opened: AbstractContextManager[Any], schema: pa.Schema) -> Iterator[Write]:
    with opened as text:
        text.write(_header(schema.names))
        options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
        with pa.csv.CSVWriter(text, schema, write_options=options) as writer:
            yield lambda table: writer.write_table(table.cast(schema))


def _csv_type(column: pa.DataType) -> pa.DataType:
    """Return the type whose text is what people write: a date without midnight, a moment without fractions."""
    if types.is_timestamp(column):
        return pa.date32() if column.tz is None else pa.timestamp("s", column.tz)
    return column


def _header(names: list[str]) -> bytes:
    cells = ['"' + name.replace('"', '""') + '"' if set(name) & set(',"\r\n') else name for name in names]
    return (",".join(cells) + "\n").encode()


def _says_parquet(file: BinaryIO, kind: TableKind) -> bool:
    try:
        with pq.ParquetFile(file, thrift_string_size_limit=100 << 20, thrift_container_size_limit=10 << 20) as found:
            return bool((found.schema_arrow.metadata or {}).get(KIND) == kind.name.encode())
    except (pa.ArrowException, OSError, ValueError):
        return False


def _says_csv(file: BinaryIO, kind: TableKind, form: str) -> bool:
    wanted = _header(list(kind.first_columns)).removesuffix(b"\n")
    try:
        with gzip.open(file) if form == GZIP else nullcontext(file) as text:
            found = text.read(len(wanted) + 1)
    except (OSError, EOFError, ValueError):
        return False
    return found[: len(wanted)] == wanted and found[len(wanted) :] in (b",", b"\n")
