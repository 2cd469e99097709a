"""What a table's file is, in words: its kind, and how it is written where that was detected."""

from __future__ import annotations

from pathlib import Path

from finnex.config import TableSource
from finnex.data.csv_format import format_of
from finnex.data.file_kind import DAMAGED, compression_of, kind_of
from finnex.errors import InputError


def kind_words(path: Path) -> str:
    """Return what a file that was read is: `CSV`, `CSV, gzip` or `Parquet`; its kind alone where it is gone."""
    try:
        kind, packed = kind_of(path), compression_of(path)
    except (*DAMAGED, InputError):
        return "unknown"
    words = {"text": "CSV", "parquet": "Parquet", "json": "JSON"}[kind]
    return f"{words}, {packed}" if packed else words


def detected(path: Path, source: TableSource) -> tuple[str, ...]:
    """Return how a CSV file is written, in words, where it is no plain CSV and the configuration does not say it."""
    try:
        return tuple(format_of(path, source).said(source)) if kind_of(path) == "text" else ()
    except (*DAMAGED, InputError):
        return ()
