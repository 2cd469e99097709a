"""Single quarters from figures over three, six, nine and twelve months, each as it was known at its filing.

Companies report income of a quarter, cash flows from the start of the fiscal year, and no fourth quarter at all: what
is missing is the difference of two reported periods.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Integers = npt.NDArray[np.int64]

DAYS: Final = {1: (80, 119), 2: (160, 205), 3: (245, 290), 4: (350, 380)}
"""Quarters in a period to its least and most days, both ends counted.

A calendar quarter has 90 to 92 days. Fiscal years of 52 or 53 weeks (26 CFR 1.441-2) are cut into quarters of 12 or 13
weeks and one of up to 17 (12, 12, 12 and 16 or 17; or 16, 12, 12, 12), so that half a year has 24 to 29 weeks and three
quarters 36 to 41. The SEC's `frames` interface takes 365 +- 30 days for a year and 91 +- 30 for a quarter
(sec.gov/edgar/sec-api-documentation); these bounds are narrower, and leave room between them.
"""
SLACK_DAYS = 3
"""Periods of one fiscal year start together, and quarters follow each other, within so many days."""
COMPARATIVE_DAYS = 300
"""A figure that is filed with one whose period ends so much later is that filing's comparative of the year before."""
SERIES = ["symbol", "origin", "metric"]


def quarters_in(days: Integers) -> Integers:
    """Return how many quarters periods of `days` days have: 1 to 4, and 0 where the number fits none."""
    found = np.zeros(len(days), dtype=np.int64)
    for quarters, (least, most) in DAYS.items():
        found[(days >= least) & (days <= most)] = quarters
    return found


Part = tuple[int, int, float]
"""First and last day of a period, in days since 1970, and its value."""


@dataclass
class Known:
    """The periods of one metric of one company that were filed so far; of a period the newest figure."""

    by_start: dict[int, dict[int, Part]] = field(default_factory=lambda: {n: {} for n in DAYS})
    by_end: dict[int, dict[int, Part]] = field(default_factory=lambda: {n: {} for n in DAYS})

    def add(self, quarters: int, part: Part) -> None:
        """Keep a period; the same period filed before is replaced."""
        self.by_start[quarters][part[0]] = part
        self.by_end[quarters][part[1]] = part

    def from_the_start(self, quarters: int, day: int) -> list[Part]:
        """Return periods that follow each other from `day` on and have so many quarters together; none: []."""
        whole = _near(self.by_start[quarters], day)
        if whole is not None:
            return [whole]
        before = self.from_the_start(quarters - 1, day) if quarters > 1 else []
        last = _near(self.by_start[1], before[-1][1] + 1) if before else None
        return [] if last is None else [*before, last]

    def differences(self, quarters: int, whole: Part) -> Iterator[tuple[Part, list[Part]]]:
        """Yield the last quarter of a longer period, and its first, where the rest of the period is known."""
        rest = self.from_the_start(quarters - 1, whole[0])
        if rest:
            yield (rest[-1][1] + 1, whole[1], whole[2] - sum(part[2] for part in rest)), rest
        later = _near(self.by_end[quarters - 1], whole[1])
        if later is not None:
            yield (whole[0], later[0] - 1, whole[2] - later[2]), [later]


def _near(parts: dict[int, Part], day: int) -> Part | None:
    for off in range(SLACK_DAYS + 1):
        for one in (day - off, day + off):
            if one in parts:
                return parts[one]
    return None


def single_quarters(facts: pd.DataFrame) -> pd.DataFrame:
    """Return the single quarters that follow from figures over periods of one to four quarters.

    Parameters
    ----------
    facts
        symbol, origin, metric; start, end (midnights, both days belong to the period, which fits `DAYS`); available
        (UTC), available_is_date; value (finite, of one currency a series). Of one period and one filing there is one
        value.

    Returns
    -------
    pandas.DataFrame
        symbol, origin, metric, end, available, available_is_date, value, derived: a row for each quarter that is
        given, at each of its filings, and for each derived quarter where it is first known and where it changes.

    Notes
    -----
    The fourth quarter is the year less nine months, or less the three quarters; the second and third accordingly; the
    first is the half year less the second quarter. A quarter that is given is never derived. Filings are taken in
    their order, and a difference is known when the last of its inputs is. It is formed again when the longer period is
    filed again or a shorter one is corrected. It is not formed again when a shorter one is filed anew as the
    comparative of the next year, where it may be restated while the year is not yet: the two would not belong together.
    """
    moment = facts["available"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    # A date is known from the next day on: every session closes on its own day in UTC.
    moment = moment + np.where(facts["available_is_date"].to_numpy(dtype=bool), 86_400 * 10**9, 0)
    order = np.argsort(moment, kind="stable")
    given, moment = facts.iloc[order].reset_index(drop=True), moment[order]
    start, end = (given[name].to_numpy().astype("datetime64[D]").astype(np.int64) for name in ("start", "end"))
    count, value = quarters_in(end - start + 1), given["value"].to_numpy(dtype=np.float64)
    found: list[tuple[int, int, float, bool]] = []
    for rows in given.groupby(SERIES, sort=False).indices.values():
        own = np.asarray(rows, dtype=np.int64)
        for at, day, number, derived in _of_one_series(start[own], end[own], count[own], value[own], moment[own]):
            found.append((int(own[at]), day, number, derived))
    result = given.iloc[[row for row, _, _, _ in found]][[*SERIES, "available", "available_is_date"]]
    result = result.reset_index(drop=True)
    result["end"] = np.array([day for _, day, _, _ in found], dtype="datetime64[D]").astype("datetime64[ns]")
    result["value"] = np.array([number for _, _, number, _ in found], dtype=np.float64)
    result["derived"] = np.array([derived for _, _, _, derived in found], dtype=bool)
    return result


def _of_one_series(
    start: Integers, end: Integers, count: Integers, value: npt.NDArray[np.float64], moment: Integers
) -> Iterator[tuple[int, int, float, bool]]:
    """Yield row of the filing, last day, value and whether it is derived; rows are in the order of `moment`."""
    known, formed = Known(), dict[int, tuple[int, float]]()
    longer = dict[tuple[int, int], int]()
    for filing in np.split(np.arange(len(moment)), np.flatnonzero(np.diff(moment)) + 1):
        filed, corrected, newest = set[tuple[int, int]](), set[tuple[int, int]](), int(end[filing].max())
        for row in filing.tolist():
            period = int(start[row]), int(end[row])
            known.add(int(count[row]), (*period, float(value[row])))
            filed.add(period)
            if newest - period[1] < COMPARATIVE_DAYS:
                corrected.add(period)
            if count[row] == 1:
                yield row, period[1], float(value[row]), False
            else:
                longer[period] = int(count[row])
        first, last = min(day for day, _ in filed) - SLACK_DAYS, newest + DAYS[4][1]
        wholes = [(n, period) for period, n in longer.items() if period[1] >= first and period[1] <= last]
        for quarters, period in sorted(wholes):
            whole = known.by_start[quarters].get(period[0])
            if whole is None or whole[1] != period[1]:
                continue
            for (day, until, number), parts in known.differences(quarters, whole):
                if not DAYS[1][0] <= until - day + 1 <= DAYS[1][1] or _near(known.by_end[1], until) is not None:
                    continue
                before = formed.get(until)
                again = period in filed or any(part[:2] in corrected for part in parts)
                if before is None or (again and quarters <= before[0] and number != before[1]):
                    formed[until] = quarters, number
                    yield int(filing[0]), until, number, True
