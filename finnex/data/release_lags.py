"""How soon the sources of known series publish them: the earliest release after the end of the period observed.

Days between the end of the period (of a month or quarter: the first day after it; of a week or day: the observation
date) and the earliest release that the source's own schedule allows, holidays included.
"""

from __future__ import annotations

from typing import Final

PERIOD_MONTHS: Final = {"monthly": 1, "quarterly": 3}

_BLS = "https://www.bls.gov/schedule/"
_BEA = "https://www.bea.gov/news/schedule"
_CENSUS = "https://www.census.gov/economic-indicators/calendar-listview.html"
_BOARD = "https://www.federalreserve.gov/releases/"
_DOL = "https://www.dol.gov/ui/data.pdf"

RELEASE_LAGS: Final[dict[str, tuple[int, str]]] = {
    "CPIAUCSL": (9, _BLS),
    "CPIAUCNS": (9, _BLS),
    "CPILFESL": (9, _BLS),
    "PPIACO": (8, _BLS),
    "PPIFIS": (8, _BLS),
    "UNRATE": (0, _BLS),  # the first Friday of the next month, which may be the 1st
    "PAYEMS": (0, _BLS),
    "CIVPART": (0, _BLS),
    "JTSJOL": (28, _BLS),
    "PCEPI": (20, _BEA),
    "PCEPILFE": (20, _BEA),
    "PCE": (20, _BEA),
    "PSAVERT": (20, _BEA),
    "DSPIC96": (20, _BEA),
    "GDP": (23, _BEA),
    "GDPC1": (23, _BEA),
    "PERMIT": (14, _CENSUS),
    "HOUST": (14, _CENSUS),
    "DGORDER": (20, _CENSUS),
    "RSAFS": (10, _CENSUS),
    "RSXFS": (10, _CENSUS),
    "INDPRO": (12, _BOARD + "g17/"),
    "TCU": (12, _BOARD + "g17/"),
    "M2SL": (20, _BOARD + "h6/"),
    "FEDFUNDS": (0, _BOARD + "h15/"),
    "TB3MS": (0, _BOARD + "h15/"),
    "GS10": (0, _BOARD + "h15/"),
    "AAA": (0, _BOARD + "h15/"),
    "BAA": (0, _BOARD + "h15/"),
    "WALCL": (1, _BOARD + "h41/"),  # as of Wednesday, released on Thursday
    "UMCSENT": (-12, "http://www.sca.isr.umich.edu/"),  # the final figure comes on the month's fourth Friday or so
    "ICSA": (4, _DOL),  # the week to Saturday, released on Thursday, before a holiday on Wednesday
    "CCSA": (11, _DOL),
    "STLFSI": (3, "https://fred.stlouisfed.org/series/STLFSI4"),
    "STLFSI4": (3, "https://fred.stlouisfed.org/series/STLFSI4"),
}
"""Series, as FRED names it, to the days of the earliest release and where the schedule is published."""


JOBS_REPORT: Final = frozenset(("UNRATE", "PAYEMS", "CIVPART"))
"""Series of the report that comes on a Friday, the first of the next month at the earliest."""


def least_lag_days(series: str) -> int | None:
    """Return the days after the end of its period on which a series is published at the earliest; None if not known."""
    known = RELEASE_LAGS.get(series.strip().upper())
    return None if known is None else known[0]
