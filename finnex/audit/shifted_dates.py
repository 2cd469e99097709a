"""Whether bars and their volumes have the date of their own session: series of one market move in the same session.

Two series of one market have their largest correlation at the same session. Where it lies a session apart, and is
clearly larger there, one of the two has a wrong date. The date written in the row decides, not when the row is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.foreknowledge import Bars
from finnex.audit.innovations import normal_scores
from finnex.data.calendar import SessionCalendar

Floats = npt.NDArray[np.float64]
MOST_SESSIONS_APART = 2
LEAST_CORRELATION = 0.2
STANDARD_ERRORS = 4.5
"""Of the difference of two correlations by Fisher's transformation: one in 300,000 by chance, and dozens are asked."""
LEAST_SESSIONS = 100
MOST_COMPARED = 24
"""Other symbols that are asked one by one, the sector funds first: time does not grow with companies."""
STOCK_INDICES: Final = ("SP500", "NASDAQ", "DJIA")
NEW_YORK: Final = ("XNYS", "XNAS", "XASE")
REMEDY = "Compare a few dates of both with another source, and correct those that are wrong."
REMEDY_OF_SYMBOLS = (
    "Compare a few dates of both with another source. Where they are wrong, correct them; where they are right, the "
    "one that follows trades too thinly for its close to be of that session: give closing quotes, or leave it out."
)


@dataclass(frozen=True)
class Step:
    """A series that moves with another one of `sessions` later (earlier, where negative)."""

    sessions: int
    there: float
    same_session: float

    @property
    def words(self) -> str:
        """Return both correlations."""
        side = "later" if self.sessions > 0 else "before"
        return f"rank correlation {self.there:+.2f} {self.apart} {side}, {self.same_session:+.2f} at the same session"

    @property
    def apart(self) -> str:
        """Return the distance."""
        return "a session" if abs(self.sessions) == 1 else f"{abs(self.sessions)} sessions"


def correlations(left: Floats, right: Floats) -> dict[int, float] | None:
    """Return the rank correlation with the other series so many sessions later, None where too little is known.

    Parameters
    ----------
    left, right
        (sessions,) changes of one session each; NaN where not known.
    """
    found: dict[int, float] = {}
    for lag in range(-MOST_SESSIONS_APART, MOST_SESSIONS_APART + 1):
        moved = np.full(len(right), np.nan)
        moved[max(0, -lag) : len(right) - max(0, lag)] = right[max(0, lag) : len(right) + min(0, lag)]
        both = ~np.isnan(left) & ~np.isnan(moved)
        if both.sum() < LEAST_SESSIONS or np.ptp(left[both]) == 0 or np.ptp(moved[both]) == 0:
            return None
        scores = normal_scores(np.column_stack([left[both], moved[both]]))
        one, two = scores[:, 0], scores[:, 1]
        found[lag] = float(one @ two / np.sqrt((one @ one) * (two @ two)))
    return found


def step(left: Floats, right: Floats) -> Step | None:
    """Return how far a series is out of step with another one, None where it is not, or nothing shows.

    Parameters
    ----------
    left, right
        (sessions,) changes of one session each; NaN where not known.
    """
    found = correlations(left, right)
    if found is None:
        return None
    best = max(found, key=lambda lag: abs(found[lag]))
    sessions = int((~np.isnan(left) & ~np.isnan(right)).sum())
    alike = max(0.0, found[0] * np.sign(found[best]))  # of the other sign it is an echo: changes of volume turn back
    apart = np.arctanh(min(abs(found[best]), 0.9999)) - np.arctanh(min(alike, 0.9999))
    if best == 0 or abs(found[best]) < LEAST_CORRELATION or apart * np.sqrt((sessions - 3) / 2) < STANDARD_ERRORS:
        return None
    return Step(best, found[best], found[0])


def out_of_step(symbol: str, bars: Bars, others: pd.DataFrame, indices: pd.DataFrame) -> list[Finding]:
    """Find bars and volumes of a symbol, and bars of others, that are dated at a wrong session.

    Parameters
    ----------
    symbol
        Symbol whose bars are looked at.
    bars
        Of the symbol on all sessions.
    others
        Closes of other symbols of the exchange (session, symbol), NaN where one did not trade.
    indices
        Closes of stock indices of the exchange by the date that is written (session, index).

    Returns
    -------
    list of Finding
        Findings about the symbol and its volume; about indices only where there are none of those.
    """
    own = _changes(np.log(bars.close))
    moves = {str(name): _changes(np.log(values.to_numpy(dtype=np.float64))) for name, values in others.items()}
    found = _of_symbols(symbol, own, moves) + _of_volume(symbol, bars)
    if found:
        return found
    steps = {str(name): step(_changes(np.log(values.to_numpy())), _mean([own, *moves.values()]))
             for name, values in indices.items()}  # fmt: skip
    return _of_indices(steps)


def closes_of_others(prices: pd.DataFrame, others: Sequence[str], calendar: SessionCalendar) -> pd.DataFrame:
    """Return the closes of other symbols on the sessions of a calendar."""
    return _on_sessions(prices[prices["symbol"].isin(others)], "symbol", "close", calendar)


def stock_indices(macro: pd.DataFrame | None, calendar: SessionCalendar) -> pd.DataFrame:
    """Return the stock indices of a macro table that are made from the closes of the calendar's own exchange."""
    if macro is None or calendar.exchange not in NEW_YORK:
        return pd.DataFrame()
    own = macro[macro["series"].isin(STOCK_INDICES)].drop_duplicates(["series", "date"])
    return _on_sessions(own, "series", "value", calendar)


def _on_sessions(rows: pd.DataFrame, names: str, values: str, calendar: SessionCalendar) -> pd.DataFrame:
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    wide = rows.assign(position=position)[position >= 0].pivot(index="position", columns=names, values=values)
    return wide.reindex(range(len(calendar)))


def _changes(values: Floats) -> Floats:
    return np.concatenate([[np.nan], np.diff(values)])


def _of_symbols(symbol: str, own: Floats, others: Mapping[str, Floats]) -> list[Finding]:
    some = dict(list(others.items())[:MOST_COMPARED])
    stepping = {name: one for name, values in some.items() if (one := step(values, own)) is not None}
    mean = step(_mean(list(others.values())), own) if len(others) > 1 else None
    if mean is not None and not any(_in_step(values, own) for values in some.values()):  # it differs from all others
        which, against, first, early = symbol, "the others", mean, mean.sessions < 0
        moves_with = f"the mean of the others moves with {symbol}"
    elif stepping:
        name, first = max(stepping.items(), key=lambda each: abs(each[1].there))
        alike = sorted(name for name, one in stepping.items() if one.sessions == first.sessions)
        which, against, early = ", ".join(alike), symbol, first.sessions > 0
        moves_with = f"{name} moves with {symbol}"
    else:
        return []
    ahead, behind = (which, against) if early else (against, which)
    text = (
        f"either the bars of {which} are {first.apart} {'early' if early else 'late'}, or prices of {behind} follow "
        f"those of {ahead} {first.apart} later, as in thin trading: {moves_with}, {first.words}."
    )
    return [Finding("out_of_step", "prices", (), text, REMEDY_OF_SYMBOLS, symbol)]


def _mean(values: Sequence[Floats]) -> Floats:
    return pd.DataFrame(np.stack(values)).mean().to_numpy(dtype=np.float64)  # of those that traded


def _in_step(left: Floats, right: Floats) -> bool:
    found = correlations(left, right)
    return (
        found is not None and found[0] > LEAST_CORRELATION and abs(found[0]) == max(abs(one) for one in found.values())
    )


def _of_volume(symbol: str, bars: Bars) -> list[Finding]:
    before = np.concatenate([[np.nan], bars.close[:-1]])
    top, bottom = np.fmax(bars.high, before), np.fmin(bars.low, before)  # Wilder's true range: gaps count
    with np.errstate(all="ignore"):
        true_range = np.log(np.where(top > bottom, np.log(top / bottom), np.nan))
        volume = np.log(np.where(bars.volume > 0, bars.volume, np.nan))
    found = step(_changes(volume), _changes(true_range))
    if found is None:
        return []
    early = found.sessions > 0
    text = (
        f"either the volumes of {symbol} are {found.apart} {'early' if early else 'late'}, or its highs and lows "
        f"{'late' if early else 'early'}: the volumes move with its true range, {found.words}."
    )
    return [Finding("out_of_step", "prices", (), text, REMEDY, symbol)]


def _of_indices(steps: Mapping[str, Step | None]) -> list[Finding]:
    found = {name: one for name, one in steps.items() if one is not None}
    if not found or len(found) < len(steps):
        return []  # an index in step shows that the bars are right; the other one is asked for foreknowledge
    name, first = max(found.items(), key=lambda each: abs(each[1].there))
    bars, quotes = ("late", "early") if first.sessions > 0 else ("early", "late")
    text = (
        f"either all bars are {first.apart} {bars}, or {', '.join(found)} of the macro table {quotes}: {name} moves "
        f"with the mean of all symbols, {first.words}."
    )
    return [Finding("out_of_step", "prices", (), text, REMEDY)]
