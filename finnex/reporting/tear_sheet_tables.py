"""Tables of a tear sheet: their rows as text, and how each figure is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from finnex.evaluation.benchmark_line import BenchmarkLine
from finnex.evaluation.interval import Interval
from finnex.evaluation.return_figures import Dated, ReturnFigures
from finnex.reporting.html import bounds, percent, ratio

GAIN, LOSS = (53, 104, 184), (200, 68, 60)
"""Red, green and blue of the heat map; they differ to most who see red and green alike."""
DEEPEST_SHADE = 0.5
"""Opacity of the largest month, at which text is still read in light and dark."""
NO_BREAK = "\N{NO-BREAK SPACE}"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Cell:
    """What a cell says, and below it in small a date, bounds or a reason."""

    text: str
    note: str = ""

    def __post_init__(self) -> None:
        """Keep a number and its percent sign on one line."""
        for name in ("text", "note"):
            object.__setattr__(self, name, getattr(self, name).replace(" %", NO_BREAK + "%"))


def _dated(found: Dated | None) -> Cell:
    return Cell("-") if found is None else Cell(percent(found.value), found.when)


def _sharpe(found: Interval | None) -> Cell:
    if found is None:
        return Cell("-")
    there = found.low is not None and found.high is not None
    return Cell(ratio(found.value), f"{found.low:.2f} to {found.high:.2f}" if there else found.reason)


def _interval(found: Interval | None) -> Cell:
    return Cell("-") if found is None else Cell(percent(found.value), bounds(found))


Row = tuple[str, str, Callable[[ReturnFigures], Cell]]
FIGURES: Mapping[str, Sequence[Row]] = {
    "Return, net of costs": (
        ("return a year", "Compound: the wealth's growth over all sessions, scaled to a year.",
         lambda one: Cell(percent(one.return_per_year))),
        ("return in all", "Wealth at the last close over the capital at the start, less 1.",
         lambda one: Cell(percent(one.total_return))),
    ),
    "Risk": (
        ("volatility a year", "Standard deviation of daily returns, times the root of the sessions a year.",
         lambda one: Cell(percent(one.volatility))),
        ("maximum drawdown", "Largest fall from the highest close before, as a share of it.",
         lambda one: Cell(percent(one.max_drawdown))),
        (f"value at risk, 5{NO_BREAK}%", "Loss that one day in twenty reached or exceeded.",
         lambda one: Cell(percent(one.value_at_risk))),
        (f"expected shortfall, 5{NO_BREAK}%", "Mean loss of the worst twentieth of days (Acerbi and Tasche, 2002).",
         lambda one: Cell(percent(one.expected_shortfall))),
    ),
    "Return for risk": (
        ("Sharpe ratio", "Mean over standard deviation of daily returns, times the root of the sessions a year; the "
         "interest rate is 0. Below it: 95 % interval from the long-run variance of the sessions.",
         lambda one: _sharpe(one.sharpe_ratio)),
        ("Sortino ratio", "Mean of daily returns over the root of the mean of squared losses, all sessions counted, "
         "times the same root (Sortino and van der Meer, 1991; target 0).", lambda one: Cell(ratio(one.sortino_ratio))),
        ("Calmar ratio", "Return a year over maximum drawdown (Young, 1991; here over the whole period).",
         lambda one: Cell(ratio(one.calmar_ratio))),
        ("tail ratio", "Size of the 95th percentile of daily returns over that of the 5th.",
         lambda one: Cell(ratio(one.tail_ratio))),
    ),
    "Days and months": (
        ("best day", "Highest daily return.", lambda one: _dated(one.best_day)),
        ("worst day", "Lowest daily return.", lambda one: _dated(one.worst_day)),
        ("positive days", "Share of days with a return above 0.", lambda one: Cell(percent(one.positive_days))),
        ("best month", "The first and the last month may be parts of one.", lambda one: _dated(one.best_month)),
        ("worst month", "The first and the last month may be parts of one.", lambda one: _dated(one.worst_month)),
        ("positive months", "Share of months with a return above 0.", lambda one: Cell(percent(one.positive_months))),
        ("skewness", "Third standardised moment of daily returns; below 0, large losses exceed large gains.",
         lambda one: Cell(ratio(one.skewness))),
        ("kurtosis", "Fourth standardised moment of daily returns, not excess: 3 for a normal distribution.",
         lambda one: Cell(ratio(one.kurtosis))),
    ),
    "Trading": (
        ("turnover a year", "Value bought plus value sold, over the wealth at the close before, a year; 1 is the whole "
         "wealth once.", lambda one: Cell(ratio(one.turnover))),
        ("costs a year", "What that costs, as a share of the wealth; borrow fees are in the returns, not here.",
         lambda one: Cell(percent(one.costs_per_year))),
        ("costs in all", "Sum of the costs, as a share of the capital at the start.",
         lambda one: Cell(percent(one.costs_paid))),
    ),
}  # fmt: skip
AGAINST: Sequence[tuple[str, str, Callable[[BenchmarkLine], Cell]]] = (
    ("beta", "Slope of the least squares line of daily returns on the benchmark's.",
     lambda one: Cell(ratio(one.beta))),
    ("correlation", "Pearson's, of daily returns.", lambda one: Cell(ratio(one.correlation))),
    ("alpha a year", "Intercept of that line, times the sessions a year (Jensen, 1968; interest rate 0), with its "
     "95 % interval.", lambda one: _interval(one.alpha_per_year)),
    ("return a year beyond it", "Mean difference of daily returns, times the sessions a year, with its 95 % interval.",
     lambda one: _interval(one.excess_per_year)),
)  # fmt: skip


def figure_rows(columns: Sequence[ReturnFigures]) -> dict[str, list[tuple[str, list[Cell]]]]:
    """Return rows by group: a label, and a cell for each portfolio."""
    return {
        group: [(label, [cell(one) for one in columns]) for label, _, cell in rows] for group, rows in FIGURES.items()
    }


def benchmark_rows(lines: Sequence[BenchmarkLine]) -> list[tuple[str, list[Cell]]]:
    """Return a label, and a cell for each benchmark."""
    return [(label, [cell(one) for one in lines]) for label, _, cell in AGAINST]


def definitions() -> list[tuple[str, str]]:
    """Return each label with how its figure is made."""
    rows = [row for group in FIGURES.values() for row in group]
    return [(label, meaning) for label, meaning, _ in (*rows, *AGAINST)]


@dataclass(frozen=True)
class Shaded:
    """A month of the heat map: its name, its return in percent, and a CSS colour; both empty where there is none."""

    month: str
    text: str
    colour: str


def month_rows(months: Mapping[str, float], years: Mapping[str, float]) -> list[tuple[str, list[Shaded], str]]:
    """Return a row for each year: its number, twelve months and its return.

    Parameters
    ----------
    months, years
        Returns by ISO month and year.

    Returns
    -------
    list of tuple
        Blue is a gain and red a loss, the stronger the nearer to the largest of all months.
    """
    largest = max((abs(value) for value in months.values()), default=0.0)

    def shaded(year: str, number: int) -> Shaded:
        value = months.get(f"{year}-{number + 1:02}")
        if value is None:
            return Shaded(MONTHS[number], "", "")
        red, green, blue = GAIN if value >= 0 else LOSS
        opacity = DEEPEST_SHADE * abs(value) / largest if largest > 0 else 0.0
        return Shaded(MONTHS[number], f"{100 * value:.1f}", f"rgba({red}, {green}, {blue}, {opacity:.2f})")

    return [(year, [shaded(year, number) for number in range(12)], f"{100 * years[year]:.1f}") for year in years]
