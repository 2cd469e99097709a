"""Columns of days and times of a vendor's file: the vendor's format, epochs, and times that carry no zone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.cells import distinct, is_text, mapped
from finnex.data.csv_file import line_of
from finnex.data.own_columns import DAYS, MOMENTS
from finnex.data.preset import Preset
from finnex.data.written_dates import ReadDates, are_epochs, days_of, epochs, formatted
from finnex.data.written_times import read_times
from finnex.errors import Problem, first_of, shown

LEAST_EPOCH = 1e8
"""Of a number; YYYYMMDD is below it."""


def read_date_columns(
    frame: pd.DataFrame, said: list[str], preset: Preset, source: TableSource, path: Path, problems: list[Problem]
) -> None:
    """Bring days and times to ISO texts or `datetime64`, in place.

    Parameters
    ----------
    frame
        Under our names.
    said
        List that sentences are added to.
    preset, source
        Formats and zone; those of the source go before those of the preset.
    path
        File, for the problems.
    problems
        List that cells are added to which are no date of the format.

    Notes
    -----
    Days are naive midnights as they are written. Times become UTC where epochs say so, or of the zone that is given.
    """
    zone = source.timezone or preset.timezone
    formats = (source.date_format,) if source.date_format else preset.date_formats
    for name in (*DAYS, *MOMENTS):
        if name not in frame.columns:
            continue
        cells = _from_numbers(frame[name])
        moments, unit = _from_epochs(cells)
        if moments is not None and name in DAYS:
            frame[name], where = days_of(moments, zone)
            said.append(f"{name} is given in {unit} since 1970, midnights of {where}")
        elif moments is not None:
            frame[name] = moments
            said.append(f"{name} is given in {unit} since 1970, UTC")
        elif is_text(cells) and formats:
            frame[name] = _of_formats(cells, name, formats, zone, said, path, problems)
        else:
            frame[name] = cells
        if name == "timestamp" and zone is not None:
            frame[name] = in_zone(frame[name], zone)


def _from_numbers(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return a typed column of days written as numbers (20240308) as text; others as they are."""
    if not pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return cells
    if cells.abs().max() >= LEAST_EPOCH:
        return cells
    return cells.map(lambda value: "" if pd.isna(value) else str(int(value)) if value == int(value) else str(value))


def _from_epochs(cells: pd.Series[Any]) -> tuple[pd.Series[pd.Timestamp] | None, str]:
    words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return None, ""
    numbers = cells
    if is_text(cells):
        codes, each = distinct(cells)
        if not are_epochs(each):
            return None, ""
        whole = each.str.strip()
        typed = pd.to_numeric(whole.mask(whole == ""))
        numbers = typed.take(codes).set_axis(cells.index)
        if not whole.str.contains(".", regex=False).any() and not (whole.iloc[codes] == "").any():
            numbers = whole.mask(whole == "", "0").astype("int64").take(codes).set_axis(cells.index)
    elif not pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return None, ""
    moments, unit = epochs(numbers)
    return moments, words[unit]


def _of_formats(
    cells: pd.Series[Any],
    name: str,
    formats: tuple[str, ...],
    zone: str | None,
    said: list[str],
    path: Path,
    problems: list[Problem],
) -> pd.Series[Any]:
    read = formatted(_as_texts(cells), formats)
    if read is None:
        return cells
    if read.formats:
        row = read.value.first_valid_index()
        what = f"dates are both of {' and of '.join(read.formats)}, and their order does not show which"
        remedy = f'Say which: date_format = "{read.formats[0]}".'
        problems.append(
            Problem(str(path), what, remedy, row=line_of(path, int(row)), column=name, value=shown(str(cells.at[row])))
        )
        return cells
    what = f"is no date of the format {read.said.removeprefix('dates are written as ')}"
    problems += [
        Problem(
            str(path), what, 'Correct the cell, or say how dates are written: date_format = "%d.%m.%Y".',
            row=line_of(path, int(row)), column=name, value=shown(str(cells.at[row])), further=further,
        )
        for row, further in first_of(cells.index[read.bad.to_numpy(dtype=bool)].tolist())
    ]  # fmt: skip
    said.append(f"{name}: {read.said}")
    return read.value


def _as_texts(cells: pd.Series[Any]) -> pd.Series[str]:
    codes, each = distinct(cells)
    return each.take(codes).set_axis(cells.index)


def in_zone(stamps: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Return time stamps with a zone: those that carry none are local times of `zone`.

    A local time that occurs twice in autumn counts as the later one, one that spring skips as the first after it:
    a record is never dated earlier than it can have been. Dates without a time stay as they are. Written in UTC, an
    evening of New York would be midnight and so be taken for a date.
    """
    if pd.api.types.is_datetime64_any_dtype(stamps.dtype):
        return _placed(stamps, zone) if stamps.dt.tz is None else stamps
    return mapped(stamps, lambda texts: _texts_in_zone(texts, zone))


def _placed(clock: pd.Series[pd.Timestamp], zone: str) -> pd.Series[pd.Timestamp]:
    # Standard time is the later of the two: False says that a doubtful time is not in daylight saving.
    return clock.dt.tz_localize(zone, ambiguous=np.zeros(len(clock), dtype=bool), nonexistent="shift_forward")


def _texts_in_zone(stamps: pd.Series[str], zone: str) -> pd.Series[str]:
    times = read_times(stamps)
    naive = times.clock.notna() & ~times.zoned & ~times.midnight  # midnight is a date, by the day that is written
    if not naive.any():
        return stamps
    result = stamps.copy()
    result[naive] = _placed(times.clock[naive], zone).dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    return result


__all__ = ["ReadDates", "in_zone", "read_date_columns"]
