"""Whether bars, and the volumes in them, stand at the session that they are of: what moves together moves at once.

Two series of one market have their largest correlation at the same session. Where it lies a session apart, and is
clearly larger there, one of the two stands under a wrong date. By the date that is written, whenever a row is used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.innovations import normal_scores
from finnex.audit.report import Finding
from finnex.data.calendar import SessionCalendar

Floats = npt.NDArray[np.float64]
MOST_SESSIONS_APART = 2
LEAST_CORRELATION = 0.2
STANDARD_ERRORS = 4.5
"""Of the difference of two correlations by Fisher's transformation: one in 300,000 by chance, and dozens are asked."""
LEAST_SESSIONS = 100
STOCK_INDICES: Final = ("SP500", "NASDAQ", "DJIA")
AMERICAN: Final = ("XNYS", "XNAS", "XASE")
REMEDY = "Compare a few dates of both with another source, and correct those that are wrong."


@dataclass(frozen=True)
class Step:
    """A series that moves with another one of `sessions` later (earlier, where negative)."""

    sessions: int
    there: float
    at_once: float

    @property
    def words(self) -> str:
        """Return both correlations."""
        apart = (
            f"{abs(self.sessions)} session{'s' * (abs(self.sessions) > 1)} {'later' if self.sessions > 0 else 'before'}"
        )
        return f"rank correlation {self.there:+.2f} {apart}, {self.at_once:+.2f} at the same session"


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


def out_of_step(
    prices: pd.DataFrame, macro: pd.DataFrame | None, calendar: SessionCalendar, symbol: str, others: Collection[str]
) -> list[Finding]:
    """Find bars and volumes of a symbol, and of those it is compared with, that stand at a wrong session.

    Parameters
    ----------
    others
        Symbols of the prices table that features look at, beside the symbol itself.
    """
    closes = {name: _on_sessions(own, "close", calendar) for name, own in _by_symbol(prices, {symbol, *others}).items()}
    moves = {name: _changes(np.log(values)) for name, values in closes.items()}
    if symbol not in moves:
        return []
    found = _of_symbols(symbol, moves) + _of_volume(symbol, prices, calendar)
    if not found and macro is not None and calendar.exchange in AMERICAN:
        found += _of_indices(macro, calendar, _mean(list(moves.values())))
    return found


def _by_symbol(prices: pd.DataFrame, wanted: Collection[str]) -> dict[str, pd.DataFrame]:
    return {str(name): own for name, own in prices[prices["symbol"].isin(wanted)].groupby("symbol", sort=True)}


def _on_sessions(rows: pd.DataFrame, column: str, calendar: SessionCalendar) -> Floats:
    position = calendar.index_of(rows["date"].to_numpy().astype("datetime64[D]"))
    values = np.full(len(calendar), np.nan)
    values[position[position >= 0]] = rows[column].to_numpy(dtype=np.float64)[position >= 0]
    return np.where(values > 0, values, np.nan)


def _changes(values: Floats) -> Floats:
    return np.concatenate([[np.nan], np.diff(values)])


def _of_symbols(symbol: str, moves: Mapping[str, Floats]) -> list[Finding]:
    own, others = moves[symbol], {name: values for name, values in moves.items() if name != symbol}
    stepping = {name: one for name, values in others.items() if (one := step(values, own)) is not None}
    mean = step(_mean(list(others.values())), own) if len(others) > 1 else None
    in_step = [name for name, values in others.items() if _in_step(values, own)]
    if mean is not None and not in_step:  # all others differ from one: it is the one
        which, early, moves_with, first = symbol, mean.sessions < 0, "the mean of the others moves with them", mean
    elif stepping:
        name, first = max(stepping.items(), key=lambda each: abs(each[1].there))
        alike = sorted(name for name, one in stepping.items() if one.sessions == first.sessions)
        which, early, moves_with = ", ".join(alike), first.sessions > 0, f"{name} moves with {symbol}"
    else:
        return []
    text = f"the bars of {which} stand {_apart(first)} {'early' if early else 'late'}: {moves_with}, {first.words}."
    return [Finding("out_of_step", "prices", (), text, REMEDY, symbol)]


def _mean(values: Sequence[Floats]) -> Floats:
    return pd.DataFrame(np.stack(values)).mean().to_numpy(dtype=np.float64)  # of those that traded


def _in_step(left: Floats, right: Floats) -> bool:
    found = correlations(left, right)
    return (
        found is not None and found[0] > LEAST_CORRELATION and abs(found[0]) == max(abs(one) for one in found.values())
    )


def _of_volume(symbol: str, prices: pd.DataFrame, calendar: SessionCalendar) -> list[Finding]:
    own = prices[prices["symbol"] == symbol]
    high, low, close, volume = (_on_sessions(own, name, calendar) for name in ("high", "low", "close", "volume"))
    before = np.concatenate([[np.nan], close[:-1]])
    top, bottom = np.fmax(high, before), np.fmin(low, before)  # Wilder's true range: openings above or below count
    true_range = np.log(np.where(top > bottom, top / bottom, np.nan))
    found = step(_changes(np.log(volume)), _changes(np.log(true_range)))
    if found is None:
        return []
    text = (
        f"the volumes of {symbol} stand {_apart(found)} {'early' if found.sessions > 0 else 'late'}: they move with "
        f"its true range, {found.words}."
    )
    return [Finding("out_of_step", "prices", (), text, REMEDY, symbol)]


def _of_indices(macro: pd.DataFrame, calendar: SessionCalendar, market: Floats) -> list[Finding]:
    steps = {}
    for name in STOCK_INDICES:
        own = macro[macro["series"] == name]
        if len(own):
            steps[name] = step(_changes(np.log(_on_sessions(own.drop_duplicates("date"), "value", calendar))), market)
    found = {name: one for name, one in steps.items() if one is not None}
    if not found or len(found) < len(steps):
        return []  # an index in step shows that the bars are right; the other one is asked for foreknowledge
    name, first = max(found.items(), key=lambda each: abs(each[1].there))
    text = (
        f"all bars stand {_apart(first)} {'late' if first.sessions > 0 else 'early'}, or {', '.join(found)} of the "
        f"macro table {'early' if first.sessions > 0 else 'late'}: {name} moves with the mean of all symbols, "
        f"{first.words}."
    )
    return [Finding("out_of_step", "prices", (), text, REMEDY)]


def _apart(one: Step) -> str:
    return "a session" if abs(one.sessions) == 1 else f"{abs(one.sessions)} sessions"
