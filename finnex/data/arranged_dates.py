"""Columns of days and times of a vendor's file: the vendor's format, and numbers since 1970."""

from __future__ import annotations

from typing import Any

import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.cells import distinct, is_text, mapped
from finnex.data.faults import Faults
from finnex.data.own_columns import DAYS, MOMENTS
from finnex.data.preset import Preset
from finnex.data.written_dates import LOOKED_AT, UNIT_WORDS, days_of, epochs, formatted, numbers_in

LEAST_EPOCH = 1e8
"""Of a number; YYYYMMDD is below it."""


def read_date_columns(
    frame: pd.DataFrame, said: list[str], preset: Preset, source: TableSource, faults: Faults
) -> None:
    """Bring days and times to ISO texts or `datetime64`, in place.

    Parameters
    ----------
    frame
        Under our names.
    said
        List that sentences are added to.
    preset, source
        Formats and zone; those of the source override those of the preset.
    faults
        Cells that are no date of the format are added to it; and the file, where its dates are ambiguous.

    Notes
    -----
    Days are naive midnights as they are written, moments of numbers since 1970 have the zone UTC.
    """
    zone = source.timezone or preset.timezone
    own = (source.date_format,) if isinstance(source.date_format, str) else source.date_format
    formats = own or preset.date_formats
    for name in (*DAYS, *MOMENTS):
        if name not in frame.columns:
            continue
        cells = _of_digits(frame[name])
        moments, unit = _from_epochs(cells)
        if moments is not None and name in DAYS:
            frame[name], where = days_of(moments, zone)
            said.append(f"{name} is given in {UNIT_WORDS[unit]} since 1970, midnights of {where}")
        elif moments is not None:
            frame[name] = moments
            said.append(f"{name} is given in {UNIT_WORDS[unit]} since 1970, UTC")
        elif is_text(cells) and formats:
            frame[name] = _of_formats(cells, name, formats, said, faults)
        else:
            frame[name] = cells


def _of_digits(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return typed days that are written as numbers (20240308) as text; other columns as they are."""
    if not _is_number(cells) or cells.abs().max() >= LEAST_EPOCH:
        return cells
    return mapped(cells, lambda text: text.str.replace(r"\.0$", "", regex=True))


def _is_number(cells: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype)


def _from_epochs(cells: pd.Series[Any]) -> tuple[pd.Series[pd.Timestamp] | None, str]:
    """Return moments and their unit where all cells are numbers since 1970; None where they are not."""
    if _is_number(cells):
        return epochs(cells) or (None, "")
    if not is_text(cells):
        return None, ""
    first = next((text for one in cells.head(LOOKED_AT) if (text := str(one).strip())), "")
    if not first.replace(".", "", 1).isdigit():  # of most files the texts are not gone through
        return None, ""
    codes, each = (None, cells) if not isinstance(cells.dtype, pd.CategoricalDtype) else distinct(cells)
    numbers = numbers_in(each)
    found = None if numbers is None else epochs(numbers)
    if found is None:
        return None, ""
    moments, unit = found
    return (moments if codes is None else moments.take(codes).set_axis(cells.index)), unit


def _of_formats(
    cells: pd.Series[Any], name: str, formats: tuple[str, ...], said: list[str], faults: Faults
) -> pd.Series[Any]:
    read = formatted(cells, formats)
    if read is None:
        return cells
    if read.formats:
        what = f"its dates are both of {' and of '.join(read.formats)}: neither their order nor weekdays show which"
        faults.of_file(what, f'Say which: date_format = "{read.formats[0]}".', name)
        return cells
    if len(formats) > 1 or read.bad.any():
        said.append(f"{name} is written as {read.format}")
    faults.of_cells(
        cells, read.bad.to_numpy(dtype=bool), name, f"is not a date of the format {read.format}",
        'Correct the cell, or say how dates are written: date_format = "%d.%m.%Y" reads 08.03.2024.',
    )  # fmt: skip
    return read.value
