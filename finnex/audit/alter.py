"""Tables with another future: rows not known yet are cut, scrambled, or joined by rows that were not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.clock import CLOCKS, Mask
from finnex.data.calendar import SessionCalendar

How = Literal["cut", "scrambled", "added"]
HOWS: tuple[How, ...] = ("cut", "scrambled", "added")
Rng = np.random.Generator
DAY = pd.Timedelta(days=1)
SECOND = pd.Timedelta(seconds=1)
NEW = "ADDED"
"""Symbol, series or peer of rows that the audit makes up."""
MAY_BE_EMPTY = ("fundamentals", "competitive", "options", "enhanced")
MOST_ADDED = 400


@dataclass(frozen=True)
class Alteration:
    """One way to change a table's later rows, applied to as many of them as wanted.

    Attributes
    ----------
    rows
        Positions in `frame` of the later rows, earliest known first; for `added`, positions in `other`.
    other
        Scrambled: the whole table with its later rows changed. Added: the new rows. Cut: not used.
    """

    table: str
    how: How
    frame: pd.DataFrame
    rows: npt.NDArray[np.intp]
    other: pd.DataFrame

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int) -> pd.DataFrame:
        """Return the table with the `count` earliest of the later rows changed."""
        chosen = self.rows[:count]
        if count == 0:
            return self.frame
        if self.how == "added":
            return in_order(self.table, pd.concat([self.frame, self.other.iloc[chosen]], ignore_index=True))
        keep = np.ones(len(self.frame), dtype=bool)
        keep[chosen] = False
        kept = self.frame[keep]
        if self.how == "cut":
            return kept.reset_index(drop=True)
        return in_order(self.table, pd.concat([kept, self.other.iloc[np.sort(chosen)]], ignore_index=True))

    def row(self, number: int) -> pd.Series[Any]:
        """Return the `number`th of the later rows, as the table has it (or as it was added)."""
        source = self.other if self.how == "added" else self.frame
        return source.iloc[int(self.rows[number])]


def in_order(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Sort as the readers do; rows of equal keys keep their order."""
    keys = []
    for column in CLOCKS[table].order:
        values = frame[column]
        coded = values.to_numpy().astype("int64") if values.dtype.kind == "M" else pd.factorize(values, sort=True)[0]
        keys.append(coded)
    return frame.iloc[np.lexsort(keys[::-1])].reset_index(drop=True)


def alteration(
    table: str, how: How, frame: pd.DataFrame, later: Mask, calendar: SessionCalendar, position: int, rng: Rng,
    quotes: frozenset[str] = frozenset(),
) -> Alteration:  # fmt: skip
    """Return a way to change the rows that are later than session `position`.

    Parameters
    ----------
    table
        Name of the table, a key of `CLOCKS`.
    how
        How the later rows are changed: cut, scrambled, or joined by new ones.
    frame
        Rows of the table, as they were read.
    later
        (rows,) bool: which rows are not known at the decision of session `position`.
    calendar
        Sessions and their decision times.
    position
        Position of the session whose decision is looked at.
    rng
        Source of the numbers that are made up.
    quotes
        Macro series whose rows are dated by their observation: a restatement looks like the first figure,
        so none is made up.

    Returns
    -------
    Alteration
        The rows to keep or change, in the order of their date, and the table they come from.
    """
    if how == "added":
        other = _added(table, frame, later, calendar, position, rng, quotes)
        rows = np.argsort(other[CLOCKS[table].dated].to_numpy(), kind="stable")
        return Alteration(table, how, frame, rows, other)
    rows = np.flatnonzero(later)
    rows = rows[np.argsort(frame[CLOCKS[table].dated].to_numpy()[rows], kind="stable")]
    other = scrambled(table, frame, later, rng, calendar.decision_time[position]) if how == "scrambled" else frame
    return Alteration(table, how, frame, rows, other)


def scrambled(
    table: str, frame: pd.DataFrame, rows: Mask, rng: Rng, after: np.datetime64 | None = None
) -> pd.DataFrame:
    """Return the table with all numbers of `rows` changed, and where they carry a time of their own, that too.

    Parameters
    ----------
    table
        Name of the table, a key of `CLOCKS`.
    frame
        Rows of the table; it is not changed.
    rows
        (rows,) bool: the rows to change.
    rng
        Source of the new numbers.
    after
        Rows are moved to later than this; absent, they stay.

    Returns
    -------
    pandas.DataFrame
        The changed copy: same shape, columns and index. Bars stay bars: open and close lie between low and high.
    """
    other, count = frame.copy(), int(rows.sum())
    if count == 0:
        return other
    for name in frame.select_dtypes("number").columns:
        values = frame[name].to_numpy(dtype="float64").copy()
        values[rows] = _numbers(table, str(name), values[rows], rng)
        other[name] = values
    if {"open", "high", "low", "close"} <= set(frame.columns):
        low, high = other["low"].to_numpy().copy(), other["high"].to_numpy().copy()
        bottom, top = np.minimum(low, high)[rows], np.maximum(low, high)[rows]
        low[rows], high[rows] = bottom, top
        other["low"], other["high"] = low, high
        for name in ("open", "close"):
            values = other[name].to_numpy().copy()
            values[rows] = bottom + (top - bottom) * rng.uniform(0, 1, count)
            other[name] = values
    return other if after is None else _moved(table, other, rows, pd.Timestamp(after), rng)


def _numbers(table: str, name: str, values: npt.NDArray[np.float64], rng: Rng) -> npt.NDArray[np.float64]:
    count = len(values)
    if name == "score":
        return rng.uniform(-1, 1, count)
    if name == "repost":
        return rng.integers(0, 2, count).astype("float64")
    known = values[~np.isnan(values)]
    size = float(np.abs(known).mean()) if len(known) else 1.0
    drawn = values * np.exp(rng.normal(0, 1, count))
    drawn = np.where(values == 0, (size or 1.0) * rng.uniform(0.5, 2, count), drawn)
    if (known < 0).any():
        drawn *= rng.choice([-1.0, 1.0], count)
    if table in MAY_BE_EMPTY:
        drawn = np.where(np.isnan(values) & (rng.uniform(size=count) < 0.5), size * rng.uniform(0.5, 2, count), drawn)
        drawn = np.where(rng.uniform(size=count) < 0.1, np.nan, drawn)
    return drawn


def _moved(table: str, other: pd.DataFrame, rows: Mask, after: pd.Timestamp, rng: Rng) -> pd.DataFrame:
    count, number = int(rows.sum()), np.flatnonzero(rows)
    if table == "sentiment":
        last = other["timestamp"].max() + DAY
        shift = rng.uniform(0, 1, count) * float((last - after).value)
        stamps = other["timestamp"].to_numpy().astype("int64").copy()
        stamps[rows] = after.value + SECOND.value + shift.astype("int64")
        other["timestamp"] = stamps.astype("datetime64[ns]")
        order = rng.permutation(number)
        for name in ("symbol", "source", "provider"):
            values = other[name].to_numpy(dtype=object).copy()
            values[number] = values[order]
            other[name] = pd.Series(values, index=other.index, dtype=other[name].dtype)
    days = {"macro": 10, "fundamentals": 40, "events": 30}.get(table)
    if days is not None:
        shift = np.zeros(len(other), dtype="int64")
        shift[rows] = rng.integers(1, days, count)
        for name in ("date", "announced") if table == "events" else ("available",):
            other[name] = other[name] + pd.to_timedelta(shift, unit="D")
    return other


def _added(
    table: str, frame: pd.DataFrame, later: Mask, calendar: SessionCalendar, position: int, rng: Rng,
    quotes: frozenset[str],
) -> pd.DataFrame:  # fmt: skip
    """Return rows that become known after the decision: restatements, newcomers, what follows the end of the file."""
    day, decision = pd.Timestamp(calendar.days[position]), pd.Timestamp(calendar.decision_time[position])
    clock = CLOCKS[table]
    changed = scrambled(table, frame, np.ones(len(frame), dtype=bool), rng)
    early = changed[~later] if (~later).any() else changed

    def some(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.iloc[rng.permutation(len(rows))[:MOST_ADDED]]

    if table == "sentiment":
        # One of each kind right after the close, and an opinion: reposts count as attention only.
        each = early.drop_duplicates(["symbol", "source", "provider"], keep="last").assign(repost=0.0)
        chosen = pd.concat([each, some(early)], ignore_index=True)
        wait = rng.integers(0, 30 * 86_400, len(chosen))
        wait[: len(each)] = 0
        return chosen.assign(timestamp=decision + SECOND + pd.to_timedelta(wait, unit="s"))
    if table in ("macro", "fundamentals"):
        restated = some(early if table == "fundamentals" else early[~early["series"].isin(quotes)])
        wait = rng.integers(0, 90, len(restated))
        wait[:20] = 0  # and on the day itself: a date without a time is not trusted
        restated = restated.assign(available=day + pd.to_timedelta(wait, unit="D"), available_is_date=True)
        return pd.concat([restated, _after_the_end(changed, day, clock.words[0], clock.about or "")], ignore_index=True)
    if table == "events":
        each = early.drop_duplicates("name", keep="last")
        added = pd.concat([each.assign(date=day + days * DAY) for days in (0, 1, 2, 5, 20, 60)], ignore_index=True)
        taken = pd.MultiIndex.from_frame(frame[["name", "date"]])
        return added.assign(announced=day)[~pd.MultiIndex.from_frame(added[["name", "date"]]).isin(taken)]
    word = clock.words[-1]
    newcomers = changed[later].tail(MOST_ADDED).drop_duplicates([*clock.words[:-1], "date"]).assign(**{word: NEW})
    return pd.concat([newcomers, _after_the_end(changed, day, *clock.words, "date")], ignore_index=True)


def _after_the_end(changed: pd.DataFrame, day: pd.Timestamp, *names: str) -> pd.DataFrame:
    """Return the last row of every key again, on days after the decision and after all that the file has."""
    *words, about = names
    last = changed.sort_values(about, kind="stable").drop_duplicates(words, keep="last")
    end = max(changed[about].max(), day)
    parts = []
    for days in (1, 2, 3, 4, 5):
        moved = last.assign(**{about: end + days * DAY})
        if "available" in moved.columns:
            moved["available"] = moved["available"].clip(lower=end + days * DAY)
        parts.append(moved)
    return pd.concat(parts, ignore_index=True)
