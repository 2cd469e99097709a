"""Opens and closes of several companies on common sessions: what a portfolio is traded and valued at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days
from finnex.errors import InputError, Problem


@dataclass(frozen=True)
class SessionPrices:
    """Prices of companies, each in a unit of its own: only ratios of one company's prices are used.

    Attributes
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    symbols
        (companies,).
    open, close
        (sessions, companies) float64, above zero; both NaN where a company has no bar.
    """

    days: Days
    symbols: tuple[str, ...]
    open: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the prices."""
        shape = (len(self.days), len(self.symbols))
        if self.open.shape != shape or self.close.shape != shape:
            raise ValueError(f"opens {self.open.shape} and closes {self.close.shape} are not of shape {shape}")
        if (np.diff(self.days) <= np.timedelta64(0, "D")).any():
            raise ValueError("sessions are not ascending")
        bar = ~np.isnan(self.close)
        if not np.array_equal(bar, ~np.isnan(self.open)):
            raise ValueError("a bar has an open and no close, or a close and no open")
        if not ((self.open[bar] > 0) & (self.close[bar] > 0) & np.isfinite(self.open[bar] * self.close[bar])).all():
            raise ValueError("a price is not above zero, or not finite")

    @property
    def sessions_per_year(self) -> int:
        """Sessions that this calendar has a year, rounded; 252 where it is shorter than a year."""
        span = int((self.days[-1] - self.days[0]).astype(int)) if len(self.days) else 0
        return round((len(self.days) - 1) / span * 365.25) if span >= 365 else 252

    def place(self, days: Days, symbols: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return session and company of pairs of day and symbol, -1 where there is no such session or company."""
        session = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        session = np.where(self.days[session] == days, session, -1)
        number = {name: position for position, name in enumerate(self.symbols)}
        company = np.array([number.get(str(name), -1) for name in symbols], dtype=np.intp)
        return session, company


def session_prices(table: pd.DataFrame, days: Days | None = None) -> SessionPrices:
    """Return a table of bars on sessions.

    Parameters
    ----------
    table
        Columns symbol, date, open, close; one row a company and date.
    days
        All sessions, ascending; by default every date that is in the table.

    Raises
    ------
    InputError
        A column is missing, a company has two rows of one date, a date is no session, or a price is not above zero.
    """
    missing = [name for name in ("symbol", "date", "open", "close") if name not in table.columns]
    if missing:
        raise InputError(
            [Problem("prices", f"there is no column '{name}'", "Add it.", column=name) for name in missing]
        )
    dates = table["date"].to_numpy().astype("datetime64[D]")
    symbols = table["symbol"].to_numpy().astype(np.str_)
    at, row = (np.unique(dates), np.searchsorted(np.unique(dates), dates)) if days is None else (days, None)
    names, column = np.unique(symbols, return_inverse=True)
    if row is None:
        row = np.minimum(np.searchsorted(at, dates), len(at) - 1)
        if (strange := at[row] != dates).any():
            raise InputError([_problem(symbols, dates, strange, "is no session", "Leave it out.")])
    values = table[["open", "close"]].to_numpy(dtype=np.float64)
    if (wrong := ~(values > 0).all(axis=1) | ~np.isfinite(values).all(axis=1)).any():
        raise InputError(
            [_problem(symbols, dates, wrong, "has a price that is not above zero", "Leave the row out, or correct it.")]
        )
    key = row * len(names) + column
    repeated = np.zeros(len(key), dtype=bool)
    repeated[np.setdiff1d(np.arange(len(key)), np.unique(key, return_index=True)[1])] = True
    if repeated.any():
        raise InputError([_problem(symbols, dates, repeated, "has two rows", "Keep one of them.")])
    bars = np.full((2, len(at), len(names)), np.nan)
    bars[:, row, column] = values.T
    return SessionPrices(at, tuple(names.tolist()), bars[0], bars[1])


def _problem(
    symbols: npt.NDArray[np.str_], dates: Days, wrong: npt.NDArray[np.bool_], what: str, remedy: str
) -> Problem:
    first = int(np.argmax(wrong))
    return Problem("prices", f"{symbols[first]} {dates[first]} {what}", remedy)
