"""Numbers of a vendor's file: amounts with signs and letters, scales, rows that say nothing, splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.cells import distinct, empty, is_text, mapped
from finnex.data.csv_file import line_of
from finnex.data.names import METRICS, OPTION_COLUMNS
from finnex.data.own_columns import AMOUNTS, PRICE_COLUMNS, SCALED
from finnex.data.preset import Preset, plain
from finnex.data.vendor_splits import adjusted, factors_of, ratios_of
from finnex.data.written_numbers import amounts
from finnex.data.written_times import read_times
from finnex.errors import Problem, first_of, nearest, shown

CORRECT = "Correct the cell, or leave it empty where the table allows it."


def read_amounts(frame: pd.DataFrame, preset: Preset, path: Path, problems: list[Problem]) -> None:
    """Read the amounts of a preset that writes them its own way, in place; others are left to the readers."""
    if not (preset.currency or preset.units or preset.thousands or preset.decimal):
        return
    for name in (*AMOUNTS, *METRICS, *OPTION_COLUMNS):
        if name in frame.columns and is_text(frame[name]):
            frame[name] = _amounts_of(frame[name], name, preset, path, problems)


def _amounts_of(
    cells: pd.Series[Any], name: str, preset: Preset, path: Path, problems: list[Problem]
) -> pd.Series[float]:
    codes, each = distinct(cells)
    value = amounts(
        each.tolist(),
        currency=preset.currency,
        units=preset.units,
        decimal=preset.decimal,
        thousands=preset.thousands,
    )
    found = pd.Series(value[codes], index=cells.index)
    problems += _no_amounts(cells, found.isna().to_numpy() & ~empty(cells), name, path)
    return found


def _no_amounts(cells: pd.Series[Any], bad: Any, name: str, path: Path) -> list[Problem]:
    return [
        Problem(
            str(path), "is no number", CORRECT, row=line_of(path, int(row)), column=name,
            value=shown(str(cells.at[row])), further=further,
        )
        for row, further in first_of(cells.index[bad].tolist())
    ]  # fmt: skip


def as_numbers(cells: pd.Series[Any], name: str, path: Path, problems: list[Problem]) -> pd.Series[float]:
    """Return a column as float64, NaN where empty; a text that is no number is a problem."""
    if not is_text(cells):
        return cells.astype("float64")
    found = mapped(cells, lambda text: pd.to_numeric(text.str.strip().mask(text.str.strip() == ""), errors="coerce"))
    found = found.astype("float64")
    problems += _no_amounts(cells, (found.isna() | np.isinf(found)).to_numpy() & ~empty(cells), name, path)
    return found


def scaled(
    frame: pd.DataFrame, file_names: dict[str, str], source: TableSource, path: Path, problems: list[Problem]
) -> None:
    """Multiply prices and values, or the columns that the scale names, in place.

    Parameters
    ----------
    frame
        Under our names.
    file_names
        Our name of a column to the file's; a scale may have either.
    source
        Its `scale`.
    path
        File, for the problems.
    problems
        List that unknown columns of a scale, and cells that are no numbers, are added to.
    """
    if source.scale == 1.0:
        return
    if not isinstance(source.scale, dict):
        factors = {name: source.scale for name in SCALED if name in frame.columns}
    else:
        ours = {plain(name): str(name) for name in frame.columns} | {
            plain(theirs): name for name, theirs in file_names.items()
        }
        factors = {}
        for name, factor in source.scale.items():
            if plain(name) in ours:
                factors[ours[plain(name)]] = factor
            else:
                what = f"scale names the column '{name}', and it is not there"
                problems.append(Problem(str(path), what, nearest(name, [*file_names.values(), *file_names])))
    for name, factor in factors.items():
        frame[name] = as_numbers(frame[name], name, path, problems) * factor


def without_values(frame: pd.DataFrame, said: list[str], preset: Preset) -> None:
    """Leave out rows whose number means that there is nothing, in place: a split's ratio of 0 or 1."""
    for name, numbers in preset.drop_values.items():
        if name not in frame.columns:
            continue
        cells = frame[name]
        value = (
            mapped(cells, lambda text: pd.to_numeric(text, errors="coerce")) if is_text(cells) else cells
        )
        nothing = value.isin(numbers).to_numpy(dtype=bool)
        frame.drop(index=frame.index[nothing], inplace=True)  # noqa: PD002
        if frame.empty:
            said.append(f"no row has a {name}")


def split_adjusted(frame: pd.DataFrame, said: list[str], preset: Preset, path: Path, problems: list[Problem]) -> None:
    """Adjust prices and volumes as they were traded by the preset's column of ratios, in place.

    Problems: a ratio that is no positive number, and cells of prices that are no numbers.
    """
    if preset.splits is None:
        return
    column = next((str(name) for name in frame.columns if plain(str(name)) == plain(preset.splits)), None)
    if column is None or "date" not in frame.columns:
        return
    before = len(problems)
    ratio = as_numbers(frame[column], column, path, problems)
    bad = ((ratio < 0) | np.isinf(ratio)).to_numpy()
    problems += [
        Problem(
            str(path), "is no ratio of a split", "Give new shares for an old one (4 for 4:1), 0 or 1 on other days.",
            row=line_of(path, int(row)), column=column, value=float(ratio[row]), further=further,
        )
        for row, further in first_of(frame.index[bad].tolist())
    ]  # fmt: skip
    date = frame["date"]
    clock = date if pd.api.types.is_datetime64_any_dtype(date.dtype) else mapped(date, lambda text: read_times(text).clock)
    frame.drop(columns=column, inplace=True)  # noqa: PD002
    prices = [name for name in PRICE_COLUMNS if name in frame.columns]
    values = {name: as_numbers(frame[name], name, path, problems) for name in prices}
    if len(problems) > before or bool(clock.isna().any()):
        return  # the reader refuses a day that is none
    ratios = ratios_of(ratio)
    days = int((ratios != 1).sum())
    if not days:
        return
    found = adjusted(pd.DataFrame(values), factors_of(clock, ratios, frame.get("symbol")))
    for name in prices:
        frame[name] = found[name]
    said.append(f"prices and volumes are adjusted for {days} split{'' if days == 1 else 's'} by {column}")
