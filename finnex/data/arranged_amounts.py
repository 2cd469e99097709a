"""Numbers of a vendor's file: amounts with signs and letters, scales, rows that say nothing, splits."""

from __future__ import annotations

from typing import Any

import pandas as pd

from finnex.config.table_source import TableSource
from finnex.data.cells import distinct, empty, is_text, mapped
from finnex.data.columns import is_word_name
from finnex.data.csv_cells import plain_cells
from finnex.data.csv_format import CsvFormat, format_of
from finnex.data.faults import Faults
from finnex.data.file_kind import DAMAGED, kind_of
from finnex.data.json_tables import NUMBERED
from finnex.data.names import METRICS, OPTION_COLUMNS
from finnex.data.own_columns import AMOUNTS, DAYS, MOMENTS, PRICE_COLUMNS, SCALED
from finnex.data.preset import Preset, plain
from finnex.data.remarks import Caution
from finnex.data.vendor_splits import adjusted, factors_of, ratios_of
from finnex.data.written_numbers import amounts, floats, shows
from finnex.data.written_times import read_times
from finnex.errors import InputError, nearest

CORRECT = "Correct the cell, or leave it empty where the table allows it."
READ = frozenset((*AMOUNTS, *METRICS, *OPTION_COLUMNS))
LEFT = frozenset((*DAYS, *MOMENTS, "text", "peer"))
"""Columns of ours without numbers, besides those that `is_word_name` knows."""
OTHER_SIGN = {".": ",", ",": "."}
"""Decimal sign of a file of which the thousands sign alone is known."""
PLAIN_FORMAT = CsvFormat("utf-8", ",", 0, 1, ())
LOOKED_AT = 2000
"""Distinct texts of each column that may show the file's decimal sign."""


def read_amounts(frame: pd.DataFrame, whole: pd.DataFrame, preset: Preset, faults: Faults) -> None:
    """Read the amounts of a preset that writes them its own way, in place; others are left to the readers.

    Texts are as the file has them: each sign is read one time, here.

    Parameters
    ----------
    frame
        Under our names.
    whole
        The file's columns, those that are not read too: a change in percent may show the decimal sign.
    preset
        Signs of currencies, letters of units, and signs within numbers.
    faults
        Cells that are no amounts are added to it.
    """
    if not preset.reads_amounts:
        return
    source = faults.source or TableSource(path="")
    sign, thousands = source.decimal or preset.decimal, source.thousands or preset.thousands
    if sign is None and thousands in OTHER_SIGN:
        sign = OTHER_SIGN[thousands]
    if thousands == sign:  # the configuration gave the preset's sign another meaning
        thousands = None
    written = _written(faults)
    for name in frame.columns:
        if not is_text(frame[name]):
            continue
        cells = frame[name]
        if name not in READ:
            if not (written.is_plain or is_word_name(name) or name in LEFT):
                frame[name] = plain_cells(cells, written)
            continue
        codes, each = distinct(cells)
        decimal = sign or shows(_bare(each, preset)) or (sign := _sign_of(whole, preset, written))
        value = amounts(
            each.tolist(), currency=preset.currency, units=preset.units, decimal=decimal, thousands=thousands
        )
        found = pd.Series(value[codes], index=cells.index)
        faults.of_cells(cells, found.isna().to_numpy() & ~empty(cells), name, "is not a number", CORRECT)
        frame[name] = found


def _written(faults: Faults) -> CsvFormat:
    """Return how the file writes its numbers; as Python does where it is no CSV file."""
    try:
        return format_of(faults.path, faults.source) if kind_of(faults.path) == "text" else PLAIN_FORMAT
    except (*DAMAGED, InputError):  # cells that did not come from a file
        return PLAIN_FORMAT


def _sign_of(whole: pd.DataFrame, preset: Preset, written: CsvFormat) -> str:
    """Return the decimal sign that a file shows; columns that were read as numbers show it in the file alone."""
    return shows(_numbers_of(whole, preset)) or ("," if written.decimal == "," else ".")


def _numbers_of(whole: pd.DataFrame, preset: Preset) -> list[str]:
    texts: list[str] = []
    for name in whole.columns:
        if is_text(whole[name]):
            texts += _bare(distinct(whole[name])[1].head(LOOKED_AT), preset)
    return texts


def _bare(each: pd.Series[str], preset: Preset) -> list[str]:
    """Return texts without percent signs, currencies and letters of units."""
    signs = "".join(preset.currency) + "%() " + "".join(preset.units) + "".join(preset.units).lower()
    return [text.strip(signs) for text in each]


def as_numbers(cells: pd.Series[Any], name: str, faults: Faults) -> pd.Series[float]:
    """Return a column as float64, NaN where empty; a text that is no finite number is a fault."""
    if not is_text(cells):
        return cells.astype("float64")
    found = mapped(cells, floats)
    faults.of_cells(cells, found.isna().to_numpy(dtype=bool) & ~empty(cells), name, "is not a number", CORRECT)
    return found


def scaled(frame: pd.DataFrame, file_names: dict[str, str], source: TableSource, faults: Faults) -> None:
    """Multiply prices and values, or the columns that the scale names, in place.

    Parameters
    ----------
    frame
        Under our names.
    file_names
        Our name of a column to the file's; a scale may have either.
    source
        Its `scale`.
    faults
        Unknown columns of the scale, and cells that are no numbers, are added to it.
    """
    if source.scale == 1.0:
        return
    if not isinstance(source.scale, dict):
        factors = {name: source.scale for name in SCALED if name in frame.columns}
    else:
        ours = {plain(str(name)): str(name) for name in frame.columns}
        ours |= {plain(theirs): name for name, theirs in file_names.items()}
        factors = {}
        for name, factor in source.scale.items():
            if plain(name) in ours:
                factors[ours[plain(name)]] = factor
            else:
                known = [*file_names.values(), *file_names]
                faults.of_file(f"scale names the column '{name}', and it is not there", nearest(name, known))
    for name, factor in factors.items():
        frame[name] = as_numbers(frame[name], name, faults) * factor


def without_values(frame: pd.DataFrame, said: list[str], preset: Preset) -> pd.DataFrame:
    """Return the rows whose numbers say something: a split's ratio of 0 or 1 says that there was none."""
    for name, numbers in preset.drop_values.items():
        if name not in frame.columns:
            continue
        cells = frame[name]
        value = mapped(cells, floats) if is_text(cells) else cells
        frame = frame[~value.isin(numbers).to_numpy(dtype=bool)]
        said.append(f"rows with a {name}: {len(frame)} of {len(cells)}")
    return frame


def split_adjusted(frame: pd.DataFrame, said: list[str], preset: Preset, faults: Faults) -> pd.DataFrame:
    """Return bars as they were traded adjusted for the splits of the preset's column of ratios.

    Parameters
    ----------
    frame
        Under our names; the column of ratios under its own.
    said
        List that a sentence is added to.
    preset
        It names the column of ratios; others return the frame as it is.
    faults
        A ratio below zero or that is not a number, and prices that are none, are added to it.

    Returns
    -------
    pandas.DataFrame
        Without the column of ratios.
    """
    if preset.splits is None:
        return frame
    wanted = plain(preset.splits)
    column = next((str(name) for name in frame.columns if plain(NUMBERED.sub("", str(name))) == wanted), None)
    if column is None or "date" not in frame.columns:
        return frame
    ratio = as_numbers(frame[column], column, faults)
    what, remedy = "is no ratio of a split", "Give new shares for an old one (4 for 4:1), and 0 or 1 on other days."
    faults.of_cells(frame[column], (ratio < 0).to_numpy(dtype=bool), column, what, remedy)
    clock = read_times(frame["date"]).clock
    bars = frame.drop(columns=column)
    prices = [name for name in PRICE_COLUMNS if name in bars.columns]
    values = {name: as_numbers(bars[name], name, faults) for name in prices}
    if faults.rows or bool(clock.isna().any()):
        return bars  # refused here, or by the reader: a day that is none
    ratios = ratios_of(ratio)
    days = int((ratios != 1).sum())
    if days:
        found = adjusted(pd.DataFrame(values), factors_of(clock, ratios, bars.get("symbol")))
        bars = bars.assign(**{name: found[name] for name in prices})
        said.append(Caution(f"prices and volumes are adjusted for {days} split{'' if days == 1 else 's'} by {column}"))
    return bars
