"""What to do about cells that are no days: the `date_format` or `timezone` of the configuration that reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from finnex.data.written_dates import NEW_YORK
from finnex.data.written_times import in_zone_midnight, read_times

WRITE_DAY = 'Write it as YYYY-MM-DD, or say how it is written: date_format = "%d.%m.%Y" reads 08.03.2024.'
OF_SPREADSHEET = "Write it as YYYY-MM-DD; spreadsheets keep a date as a number of days: format its column as a date."
OF_TIMES = 'Write the day alone, as YYYY-MM-DD; a format may hold the time: date_format = "%m/%d/%Y 16:00:00".'
FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%Y",
    "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y",
)  # fmt: skip
FIRST_ROWS = 20
"""Of a column: a format that does not read these is not tried on the others."""
LAST_CLOCK = re.compile(r"^(.*\S)\s(\d{1,2}:\d{2}(?::\d{2})?)$")
DAYS_SINCE = r"[1-9]\d{4}(?:\.0+)?"


def remedy_of(texts: Sequence[str]) -> str:
    """Return the remedy for cells of one column that are no days; it names a format only where that reads all of them.

    Examples
    --------
    >>> remedy_of(["13-Mar-2024"])
    'Write it as YYYY-MM-DD, or say how it is written: date_format = "%d-%b-%Y".'
    >>> remedy_of(["3/4/2024"])
    'Write it as YYYY-MM-DD, or say how it is written: date_format = "%m/%d/%Y" or "%d/%m/%Y", whichever it is.'
    """
    cells = pd.Series(list(dict.fromkeys(texts)), dtype="str").str.strip()
    if cells.str.fullmatch(DAYS_SINCE).all():
        return OF_SPREADSHEET
    fits = _formats_of(cells)
    if not fits and LAST_CLOCK.fullmatch(cells.iloc[0]):
        clocks = cells.str.extract(LAST_CLOCK)
        if (clocks[1] == clocks[1].iloc[0]).all():
            fits = [f"{form} {clocks[1].iloc[0]}" for form in _formats_of(clocks[0])]
    if fits:
        ending = ", whichever it is." if len(fits) > 1 else "."
        forms = " or ".join(f'"{form}"' for form in fits)
        return f"Write it as YYYY-MM-DD, or say how it is written: date_format = {forms}{ending}"
    times = read_times(cells)
    if times.zoned.all() and in_zone_midnight(times, NEW_YORK).notna().all():
        return f'Write it as YYYY-MM-DD, or say whose midnights they are: timezone = "{NEW_YORK}".'
    return OF_TIMES if times.clock.notna().all() else WRITE_DAY


def _formats_of(cells: pd.Series[str]) -> list[str]:
    """Return the formats that read all cells."""
    first = cells.head(FIRST_ROWS)
    return [form for form in FORMATS if all(_reads(form, some) for some in (first, cells))]


def _reads(form: str, cells: pd.Series[str]) -> bool:
    return bool(pd.to_datetime(cells, format=form, errors="coerce").notna().all())
