"""Charts of portfolios by session and year: wealth, drawdown, rolling figures, yearly returns.

No name is drawn into a picture, so none can spoil it: the page writes the legend. Lines come in the order of `strokes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from finnex.data.calendar import Days
from finnex.reporting.style import DPI, FAINT, INK, SERIES, dates_along, figure, png

Floats = npt.NDArray[np.float64]
WIDE, NARROW = (9.4, 3.3), (3.5, 2.7)
"""Inches of a chart for a page of more than 600 pixels, and for a narrower one."""
NARROW_DPI = 165
NARROW_DATES = 5
MOST_LINES = 5
DECADE = 10.0
BELOW = 1.3
"""By this factor the lower edge of a logarithmic axis is below the lowest wealth above 0, where one is 0."""
SHALLOWEST = 1.0
"""Percent that an axis of drawdowns reaches down to at least."""


def strokes(count: int) -> list[tuple[str, str]]:
    """Return colour and stroke of each line; neighbours differ without colour too."""
    return list(islice(zip(SERIES, cycle(("solid", "dashed", "dotted")), strict=False), count))


def wealth_chart(days: Days, wealth: Sequence[Floats], *, log: bool = False, narrow: bool = False) -> bytes:
    """Draw the value of each portfolio by session, in multiples of the capital at the start.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    wealth
        (sessions,) each, 0 or more.
    log
        Whether equal ratios are equally far apart; a wealth of 0 is drawn at the lower edge then.
    narrow
        Whether it is for a phone.

    Returns
    -------
    bytes
        The PNG.
    """
    with figure(*(NARROW if narrow else WIDE), dpi=NARROW_DPI if narrow else DPI) as drawn:
        axes = drawn.subplots()
        axes.axhline(1, color=FAINT, linewidth=1)
        if not log:
            _lines(axes, days, wealth, narrow)
            return png(drawn)
        axes.set_yscale("log")
        lowest, _ = _log_ticks(axes, wealth)
        edge = lowest / BELOW
        _lines(axes, days, [np.where(one > 0, one, edge) for one in wealth], narrow)
        if any((one == 0).any() for one in wealth):
            axes.set_ylim(bottom=edge)
        return png(drawn)


def _log_ticks(axes: Axes, wealth: Sequence[Floats]) -> tuple[float, float]:
    """Write round numbers along a logarithmic axis, the capital at the start among them; return the ends above 0."""
    known = np.concatenate([one[one > 0] for one in wealth] + [np.ones(1)])
    low, high = float(known.min()), float(known.max())
    chosen = LogLocator(subs=(1.0, 2.0, 5.0)) if high / low > DECADE else MaxNLocator(6)
    ticks = np.asarray(chosen.tick_values(low, high))
    ticks = ticks[(ticks > 0) & (np.abs(np.log(np.where(ticks > 0, ticks, 1))) > 0.06 * np.log(high / low))]
    axes.yaxis.set_major_locator(FixedLocator([*ticks[(ticks >= low) & (ticks <= high)], 1.0]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return low, high


def drawdown_chart(days: Days, fall: Sequence[Floats], *, narrow: bool = False) -> bytes:
    """Draw by how much each portfolio is below its highest close before, downwards in percent.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    fall
        (sessions,) each, in [0, 1].
    narrow
        Whether it is for a phone.

    Returns
    -------
    bytes
        The PNG.
    """
    with figure(*(NARROW if narrow else WIDE), dpi=NARROW_DPI if narrow else DPI) as drawn:
        axes = drawn.subplots()
        axes.fill_between(days, -100 * fall[0], 0, color=SERIES[0], alpha=0.18, linewidth=0)
        _lines(axes, days, [-100 * one for one in fall], narrow)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        axes.set_ylim(min(axes.get_ylim()[0], -SHALLOWEST), 0)
        return png(drawn)


def rolling_chart(days: Days, sharpe: Sequence[Floats], volatility: Sequence[Floats], *, narrow: bool = False) -> bytes:
    """Draw the Sharpe ratio and the volatility a year of a window that ends at each session.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    sharpe, volatility
        (sessions,) each; NaN is not drawn.
    narrow
        Whether it is for a phone: one below the other then.

    Returns
    -------
    bytes
        The PNG.
    """
    width, height = (NARROW[0], 2 * NARROW[1] - 0.4) if narrow else WIDE
    with figure(width, height, dpi=NARROW_DPI if narrow else DPI) as drawn:
        first, second = drawn.subplots(*((2, 1) if narrow else (1, 2)))
        first.axhline(0, color=FAINT, linewidth=1)
        _lines(first, days, sharpe, narrow)
        first.set_title("Sharpe ratio")
        _lines(second, days, [100 * one for one in volatility], narrow)
        second.set_title("volatility a year, %")
        second.set_ylim(bottom=0)
        return png(drawn)


def yearly_bars(years: Sequence[Mapping[str, float]], *, narrow: bool = False) -> bytes:
    """Draw the return of each portfolio in each year, in percent.

    Parameters
    ----------
    years
        Return by ISO year, of each portfolio; a year that one does not have is left empty.
    narrow
        Whether it is for a phone.

    Returns
    -------
    bytes
        The PNG.
    """
    names = sorted({year for one in years for year in one})
    width = 0.8 / len(years)
    with figure(*(NARROW if narrow else WIDE), dpi=NARROW_DPI if narrow else DPI) as drawn:
        axes = drawn.subplots()
        for number, (one, (colour, _)) in enumerate(zip(years, strokes(len(years)), strict=True)):
            place = [k + (number - (len(years) - 1) / 2) * width for k, year in enumerate(names) if year in one]
            axes.bar(place, [100 * one[year] for year in names if year in one], width, color=colour, edgecolor="white")
        axes.axhline(0, color=INK, linewidth=1)
        step = -(-len(names) // (6 if narrow else 16))
        axes.set_xticks(range(0, len(names), step), names[::step])
        axes.set_xlim(-0.6, max(2.6, len(names) - 0.4))
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        return png(drawn)


def _lines(axes: Axes, days: Days, values: Sequence[Floats], narrow: bool) -> None:
    """Draw a line each, the first on top, with a dot where there is one session only."""
    marker, scale = "o" if len(days) == 1 else None, 0.75 if narrow else 1.0
    for number, (one, (colour, stroke)) in enumerate(zip(values, strokes(len(values)), strict=True)):
        axes.plot(
            days, one, color=colour, linestyle=stroke, linewidth=(1.9 if number == 0 else 1.3) * scale, marker=marker,
            zorder=3 if number == 0 else 2,
        )  # fmt: skip
    dates_along(axes, NARROW_DATES if narrow else None)
    axes.margins(x=0.01)
    if len(days) == 1:
        day = np.timedelta64(1, "D")
        axes.set_xlim(days[0] - day, days[0] + day)
        axes.set_xticks(days, [str(days[0])])
