"""The tear sheet of a strategy: figures, charts and limits against benchmarks, as one HTML file.

It is our own because quantstats downloads a benchmark that is given by its ticker and draws with seaborn (yfinance in
its `utils.py`, seaborn in its `setup.py`): two dependencies, and a network that a page of FinNeX does without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from finnex.errors import TrainingError, shortened, shown
from finnex.evaluation.benchmark_line import BenchmarkLine, benchmark_line
from finnex.evaluation.drawdowns import below_high
from finnex.evaluation.portfolio import Course
from finnex.evaluation.return_figures import ReturnFigures, return_figures
from finnex.evaluation.rolling_figures import WINDOW_SESSIONS, rolling_figures
from finnex.files.output import write_output
from finnex.plain_text import plain_text
from finnex.reporting.html import Picture, percent, render_page
from finnex.reporting.return_charts import (
    MOST_LINES,
    drawdown_chart,
    rolling_chart,
    strokes,
    wealth_chart,
    yearly_bars,
)
from finnex.reporting.tear_sheet_tables import MONTHS, benchmark_rows, definitions, figure_rows, month_rows
from finnex.store_path import StorePath

ALWAYS = (
    "It is a simulation: any amount is traded at the open or close that the prices have, in fractions of a share, and "
    "moves no price.",
    "Cash earns no interest, and figures take an interest rate of 0.",
    "Intervals know of this one strategy. The more strategies were tried before it was chosen, the more of its figures "
    "is luck.",
)
"""What no tear sheet shows."""


@dataclass(frozen=True)
class TearSheet:
    """What a tear sheet is made of.

    Attributes
    ----------
    title
        Of the page.
    does
        What the strategy does, in one sentence.
    name, course
        Of the strategy.
    benchmarks
        Courses of the same sessions by name, as `finnex.evaluation.trading.trade_without_a_model` makes; up to four.
    sessions_per_year
        By which figures of a year are made.
    horizon
        Sessions that the strategy holds a position.
    cost_bps
        Paid on each amount that is bought or sold, in hundredths of a percent.
    not_shown
        What the sheet does not show of this strategy, in sentences; what no sheet shows is added.
    facts
        Further label and value pairs under the title.
    synthetic_tables
        Input tables that hold generated data; named in a banner where there are any.
    log_wealth
        Whether the wealth has a logarithmic axis.
    """

    title: str
    does: str
    name: str
    course: Course
    benchmarks: Mapping[str, Course]
    sessions_per_year: float
    horizon: int
    cost_bps: float
    not_shown: Sequence[str]
    facts: Mapping[str, str] = field(default_factory=dict)
    synthetic_tables: Sequence[str] = ()
    log_wealth: bool = False


def write_tear_sheet(path: StorePath, sheet: TearSheet) -> StorePath:
    """Write a tear sheet; one that FinNeX wrote earlier is replaced whole.

    Parameters
    ----------
    path
        Of the HTML file; its folder exists.
    sheet
        What it is made of.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    TrainingError
        A course is none that a simulation makes, a benchmark has other sessions or the strategy's name, there are too
        many, or a setting is outside its range.
    ExportError
        Something is at the path that FinNeX did not write.
    OSError
        The place cannot be written.
    """
    write_output(path, render_tear_sheet(sheet).encode())
    return path


def render_tear_sheet(sheet: TearSheet) -> str:
    """Return a tear sheet as the text of one self-contained HTML file.

    Raises
    ------
    TrainingError
        As `write_tear_sheet`.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-02-10", dtype="datetime64[D]")
    >>> returns = np.where(np.arange(40) % 2, 0.02, -0.01)
    >>> course = Course(days, np.cumprod(1 + returns), returns, np.full(40, 0.1), None)
    >>> sheet = TearSheet("Up and down", "It goes up and down.", "seesaw", course, {}, 250, 1, 5, ["It is made up."])
    >>> html = render_tear_sheet(sheet)
    >>> "<title>Up and down</title>" in html, "Rolling figures need 126 sessions; there are 40." in html
    (True, True)
    """
    courses = _named(sheet)
    names = list(courses)
    found = [
        return_figures(
            course, sessions_per_year=sheet.sessions_per_year, horizon=sheet.horizon, cost_bps=sheet.cost_bps, name=name
        )
        for name, course in courses.items()
    ]
    lines = [
        benchmark_line(
            sheet.course, courses[name], sessions_per_year=sheet.sessions_per_year, horizon=sheet.horizon,
            names=(names[0], name),
        )
        for name in names[1:]
    ]  # fmt: skip
    own = found[0]
    return render_page(
        "tear_sheet.html.jinja",
        content=_Head(_plain(sheet.title, 200), [_plain(name) for name in sheet.synthetic_tables]),
        does=_plain(sheet.does, 2000),
        facts=_facts(sheet, own),
        verdict=_verdict(names, found),
        remarks=_remarks(names, found, lines),
        names=names,
        rows=figure_rows(found),
        against=benchmark_rows(lines),
        pictures=_pictures(sheet, courses, found),
        window=""
        if own.sessions >= WINDOW_SESSIONS
        else f"Rolling figures need {WINDOW_SESSIONS} sessions; there "
        f"{'is' if own.sessions == 1 else 'are'} {own.sessions}.",
        months=MONTHS,
        month_rows=month_rows(own.months, own.years),
        drawdowns=own.largest_drawdowns,
        not_shown=[*(_plain(words, 2000) for words in sheet.not_shown), *ALWAYS],
        definitions=definitions(),
    )


@dataclass(frozen=True)
class _Head:
    title: str
    synthetic_tables: Sequence[str]


def _plain(text: str, most: int = 80) -> str:
    return plain_text(shortened(text, most))


def _named(sheet: TearSheet) -> dict[str, Course]:
    """Return the courses by the names that are printed, the strategy first."""
    printed = {name: _plain(name.replace("_", " ")) for name in (sheet.name, *sheet.benchmarks)}
    again = [name for name in sheet.benchmarks if list(printed.values()).count(printed[name]) > 1]
    if again or sheet.name in sheet.benchmarks:
        raise TrainingError(
            f"benchmarks: {shown(again[0] if again else sheet.name)} is printed as another one is. Give each a name of "
            "its own, different in its first 77 characters."
        )
    if not all(name.strip() for name in printed.values()):
        raise TrainingError("a strategy or benchmark has an empty name. Give each a name.")
    if len(printed) > MOST_LINES:
        raise TrainingError(
            f"{len(sheet.benchmarks)} benchmarks are more than a chart shows. Give {MOST_LINES - 1} at most."
        )
    return {printed[name]: course for name, course in {sheet.name: sheet.course, **sheet.benchmarks}.items()}


def _facts(sheet: TearSheet, own: ReturnFigures) -> dict[str, str]:
    return {
        "period": f"{own.first} to {own.last}, {own.sessions} session{'' if own.sessions == 1 else 's'}",
        "a position is held": f"{sheet.horizon} session{'' if sheet.horizon == 1 else 's'}",
        "costs": f"{sheet.cost_bps:g} basis points on each amount that is bought or sold",
        "a year has": f"{sheet.sessions_per_year:g} sessions",
        **{_plain(label): _plain(value, 400) for label, value in sheet.facts.items()},
    }


def _verdict(names: Sequence[str], found: Sequence[ReturnFigures]) -> str:
    yearly = all(one.return_per_year is not None for one in found)
    each = [
        f"{name} {percent(one.return_per_year if yearly else one.total_return)}"
        for name, one in zip(names, found, strict=True)
    ]
    return f"Returned {'a year' if yearly else 'in all'}, net of costs: {'; '.join(each)}."


def _remarks(names: Sequence[str], found: Sequence[ReturnFigures], lines: Sequence[BenchmarkLine]) -> list[str]:
    return [
        *found[0].words(names[0]),
        *(words for name, line in zip(names[1:], lines, strict=True) for words in line.words(names[0], name)),
        *(words for name, one in zip(names[1:], found[1:], strict=True) for words in one.lacking(name)),
    ]


def _pictures(sheet: TearSheet, courses: Mapping[str, Course], found: Sequence[ReturnFigures]) -> dict[str, Picture]:
    days, names = sheet.course.days, list(courses)
    wealth = [course.wealth for course in courses.values()]
    fall = [below_high(one) for one in wealth]
    years = [one.years for one in found]
    keys = tuple((colour, stroke, name) for (colour, stroke), name in zip(strokes(len(names)), names, strict=True))

    def both(name: str, title: str, caption: str, alt: str, draw: Callable[[bool], bytes]) -> Picture:
        return Picture(name, title, caption, draw(False), alt, draw(True), keys)

    def each(values: Sequence[str]) -> str:
        return "; ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))

    axis = " The axis is logarithmic: equal ratios are equally far apart." if sheet.log_wealth else ""
    if sheet.log_wealth and any((one == 0).any() for one in wealth):
        axis += " A wealth of 0 is at its lower edge."
    pictures = [
        both(
            "wealth",
            "Wealth",
            f"Value at each close after all that was paid, in multiples of the capital before the first trade.{axis}",
            f"Lines of the wealth from {days[0]} to {days[-1]}. At the end: "
            f"{each([f'{one[-1]:.2f}' for one in wealth])}.",
            lambda narrow: wealth_chart(days, wealth, log=sheet.log_wealth, narrow=narrow),
        ),
        both(
            "drawdown",
            "Drawdown",
            "How far each close is below the highest one before; the area is the strategy's.",
            f"Lines of the fall from the highest close before. Deepest: {each([percent(one.max()) for one in fall])}.",
            lambda narrow: drawdown_chart(days, fall, narrow=narrow),
        ),
        both(
            "years",
            "Returns by year",
            "The first and the last year may be parts of one.",
            "Bars of the return in each year. "
            + each([", ".join(f"{year} {percent(value)}" for year, value in one.items()) for one in years])
            + ".",
            lambda narrow: yearly_bars(years, narrow=narrow),
        ),
    ]
    if found[0].sessions >= WINDOW_SESSIONS:
        rolled = [rolling_figures(course, sheet.sessions_per_year) for course in courses.values()]
        sharpe, volatility = [one[0] for one in rolled], [one[1] for one in rolled]
        known = sharpe[0][~np.isnan(sharpe[0])]
        spread = f" The strategy's Sharpe ratio is {known.min():.2f} to {known.max():.2f}." if len(known) else ""
        pictures.append(
            both(
                "rolling",
                f"Over the last {WINDOW_SESSIONS} sessions",
                "Neighbouring points share all sessions but one, so a long run of high values is one finding.",
                f"Lines of Sharpe ratio and volatility of the {WINDOW_SESSIONS} sessions up to each.{spread}",
                lambda narrow: rolling_chart(days, sharpe, volatility, narrow=narrow),
            )
        )
    return {picture.name: picture for picture in pictures}
