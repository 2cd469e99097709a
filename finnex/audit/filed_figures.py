"""The figures of a company's filings, each with the session at which no outsider can know it yet.

A figure over a quarter is asked for at the close of the first session on or after the quarter's last day: the books are
not closed then. Later, an announcement before the filing may have said it, and a series that holds it is honest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.innovations import Floats
from finnex.data.calendar import SessionCalendar
from finnex.data.names import FLOWS

Integers = npt.NDArray[np.intp]
SUMS = (*FLOWS, "eps")
"""Metrics that are sums over the quarter."""
BALANCES = ("total_assets", "equity")
"""Metrics at the quarter's end that follow from closed books. Shares and debt may be known on the day itself."""
RATIOS_TO = ("revenue", *BALANCES)
QUARTER_DAYS, SLACK_DAYS = 91.3, 20.0
SAME_PERIOD_DAYS = 45
"""Rows of two origins whose periods end so close to each other are of one quarter."""


@dataclass(frozen=True)
class Figures:
    """Figures of one origin, a row for each quarter, in their order.

    Attributes
    ----------
    asked
        First session on or after the quarter's end (filings,); -1 where it lies outside the calendar, or the figures
        are known there already.
    since
        First session (filings,) that may use the filing of the quarter before; `asked` where there is none before it.
    filed
        First session (filings,) that may use the filing; the number of sessions where none yet may.
    amounts
        Figures (filings, metrics) as first filed, NaN where not given.
    earlier
        Row of the quarter 0 to 5 quarters before (6, filings), -1 where there is none.
    """

    origin: str
    metrics: tuple[str, ...]
    asked: Integers
    since: Integers
    filed: Integers
    amounts: Floats
    earlier: Integers

    def before(self, values: Floats, quarters: int) -> Floats:
        """Return values of so many quarters before, (filings, ...), NaN where there is none."""
        row = self.earlier[quarters]
        moved: Floats = values[row].astype(np.float64)
        moved[row < 0] = np.nan
        return moved

    def size(self, metric: int) -> Floats:
        """Return the mean size of a metric in a quarter and the four before it (filings,), NaN where none is known."""
        sizes = np.stack([np.abs(self.before(self.amounts[:, metric], quarters)) for quarters in range(5)])
        known = (~np.isnan(sizes)).sum(axis=0)
        mean: Floats = np.where(known > 0, np.nansum(sizes, axis=0) / np.maximum(known, 1), np.nan)
        return mean

    def unit(self, metric: int) -> float:
        """Return the largest power of ten of which all figures of a metric are multiples, 0 where there is none."""
        values = self.amounts[~np.isnan(self.amounts[:, metric]), metric]
        for power in range(12, -7, -1):
            scaled = values / 10.0**power
            if np.all(np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1.0)):
                return float(10.0**power)
        return 0.0


def filed_figures(frame: pd.DataFrame, known: Integers, calendar: SessionCalendar) -> list[Figures]:
    """Return the figures of one company, for each origin.

    Parameters
    ----------
    frame
        The company's rows of the fundamentals table.
    known
        First session (rows,) that may use each row.
    """
    names = [name for name in (*SUMS, *BALANCES) if name in frame.columns]
    rows = frame.assign(known=known).sort_values(["known", "period_end"], kind="stable")
    rows = rows[rows[names].notna().any(axis=1)] if names else rows.iloc[:0]
    ends = rows["period_end"].to_numpy().astype("datetime64[D]")
    first_known = rows["known"].to_numpy()
    found = []
    for origin, own in rows.groupby("origin", sort=True):
        table = own.groupby("period_end")[[*names, "known"]].first()
        end = table.index.to_numpy().astype("datetime64[D]")
        asked = np.searchsorted(calendar.days, end, side="left").astype(np.intp)
        inside = (asked < len(calendar)) & (end >= calendar.days[0])
        near = np.abs((end[:, None] - ends[None, :]).astype(np.int64)) <= SAME_PERIOD_DAYS
        earliest = np.where(near, first_known[None, :], len(calendar)).min(axis=1)
        asked = np.where(inside & (earliest > asked), asked, -1)
        earlier = np.stack([_rows_before(end, quarters) for quarters in range(6)])
        filed = table["known"].to_numpy(dtype=np.intp)
        since = np.where(earlier[1] >= 0, np.minimum(filed[earlier[1]], asked), asked)
        found.append(
            Figures(str(origin), tuple(names), asked, since, filed, table[names].to_numpy(dtype=np.float64), earlier)
        )
    return found


def _rows_before(end: npt.NDArray[np.datetime64], quarters: int) -> Integers:
    wanted = end.astype(np.int64) - QUARTER_DAYS * quarters
    off = np.abs(end.astype(np.int64)[None, :] - wanted[:, None])
    nearest = off.argmin(axis=1)
    return np.where(off[np.arange(len(end)), nearest] <= SLACK_DAYS, nearest, -1).astype(np.intp)


@dataclass(frozen=True)
class Form:
    """What a column may hold of a figure: its words, the column of its metric, and amounts (filings,).

    Attributes
    ----------
    size
        What an amount is small or large against (filings,): the metric's own size about then, or 1 for ratios.
    """

    what: str
    metric: int
    amounts: Floats
    size: Floats


def forms(figures: Figures) -> Iterator[Form]:
    """Yield the forms of all figures: what a column may hold of a filing.

    The figure itself, its logarithm, its change and growth on the quarter and on the year before, the sum of four
    quarters and its growth, and ratios to revenue, assets and equity.
    """
    with np.errstate(all="ignore"):
        for number, metric in enumerate(figures.metrics):
            quarter, size = figures.amounts[:, number], figures.size(number)
            year = sum((figures.before(quarter, quarters) for quarters in (1, 2, 3)), quarter)
            yield from _with_changes(figures, Form(metric, number, quarter, size), (1, 4))
            if metric in SUMS:
                yield from _with_changes(figures, Form(f"{metric} of four quarters", number, year, size), (4,))
            for other in RATIOS_TO:
                if other in figures.metrics and other != metric:
                    base = figures.amounts[:, figures.metrics.index(other)]
                    yield Form(f"{metric} to {other}", number, quarter / base, np.ones(len(base)))
                    if metric in SUMS:
                        sums = sum((figures.before(base, quarters) for quarters in (1, 2, 3)), base)
                        ratio = year / (sums if other in SUMS else base)
                        yield Form(f"{metric} of four quarters to {other}", number, ratio, np.ones(len(base)))


def _with_changes(figures: Figures, form: Form, over: tuple[int, ...]) -> Iterator[Form]:
    """Yield a form, its logarithm, and its changes over quarters."""
    yield form
    what, number, amounts, one = form.what, form.metric, form.amounts, np.ones(len(form.amounts))
    logarithm = np.where(amounts > 0, np.log(amounts), np.nan)
    yield Form(f"logarithm of {what}", number, logarithm, one)
    for quarters in over:
        base, since = figures.before(amounts, quarters), "year" if quarters == 4 else "quarter"
        yield Form(f"change of {what} on the {since} before", number, amounts - base, form.size)
        yield Form(f"growth of {what} on the {since} before", number, (amounts - base) / np.abs(base), one)
        before = figures.before(logarithm, quarters)
        yield Form(f"log growth of {what} on the {since} before", number, logarithm - before, one)
