"""Series that know the next filing when its quarter ends are found; what an honest analyst knows is not."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from benchmarks.next_filing import held
from finnex.audit.clock import known_session
from finnex.audit.filed_figures import Figures, filed_figures, forms
from finnex.audit.filing_news import least_filings, news_of_metric
from finnex.audit.next_filing import FilingSearch, knowing_the_next_filing
from finnex.data.calendar import SessionCalendar

FEW, SOME, MANY = 420, 1_000, 2_500
FIRST = np.datetime64("2012-01-03")


def calendar_of(sessions: int) -> SessionCalendar:
    days = np.busday_offset(FIRST, np.arange(sessions), roll="forward")
    return SessionCalendar("XNYS", days, days.astype("datetime64[ns]") + np.timedelta64(21, "h"))


def filings(seed: int, sessions: int) -> pd.DataFrame:
    """Twelve quarters before the first session, and those up to the last one: a walk, a trend and a season."""
    rng = np.random.default_rng([seed, 1])
    quarters = np.arange(FIRST.astype("datetime64[M]").astype(int) // 3 - 12, 56 * 4)
    ends = ((quarters + 1) * 3).astype("datetime64[M]").astype("datetime64[D]") - 1
    season = np.array([0.0, 0.05, -0.1, 0.2])[quarters % 4]
    revenue = 4e9 * np.exp(np.cumsum(0.02 + 0.03 * rng.standard_normal(len(quarters))) + season)
    income = revenue * (0.1 + 0.02 * rng.standard_normal(len(quarters)))
    table = pd.DataFrame(
        {
            "symbol": "A", "origin": "sec", "period_end": ends.astype("datetime64[ns]"),
            "available": (ends + 40).astype("datetime64[ns]"), "available_is_date": True,
            "revenue": revenue.round(-5), "net_income": income.round(-5),
        }
    )  # fmt: skip
    return table[table["available"] <= pd.Timestamp(calendar_of(sessions).days[-1])].reset_index(drop=True)


def figures_of(table: pd.DataFrame, sessions: int) -> Figures:
    calendar = calendar_of(sessions)
    (found,) = filed_figures(table, known_session("fundamentals", table, calendar, {}), calendar)
    return found


def close_of(sessions: int) -> np.ndarray:
    return 50 * np.exp(np.cumsum(0.01 * np.random.default_rng(3).standard_normal(sessions)))


def ask(
    series: dict[str, np.ndarray], sessions: int, seed: int = 0, opinions: tuple[str, ...] = (), **more: np.ndarray
) -> FilingSearch:
    figures = figures_of(filings(seed, sessions).assign(**more), sessions)
    return knowing_the_next_filing(series, opinions, [figures], close_of(sessions))


def revenue_of(figures: Figures) -> np.ndarray:
    return figures.amounts[:, figures.metrics.index("revenue")]


Column = Callable[[Figures, int], np.ndarray]
LEAKS: dict[str, Column] = {
    "revenue": lambda one, n: held(one, revenue_of(one), one.since, n),
    "revenue in billions": lambda one, n: held(one, revenue_of(one) / 1e9, one.since, n),
    "revenue as of its quarter's end": lambda one, n: held(one, revenue_of(one), one.asked, n),
    "growth": lambda one, n: held(one, revenue_of(one) / one.before(revenue_of(one), 4) - 1, one.since, n),
    "logarithm, scaled": lambda one, n: held(one, 3 * np.log(revenue_of(one)) - 5, one.since, n),
    "net margin": lambda one, n: held(one, one.amounts[:, 1] / one.amounts[:, 0], one.since, n),
}


@pytest.mark.parametrize("sessions", [FEW, SOME])
@pytest.mark.parametrize("what", LEAKS)
def test_a_column_that_holds_a_figure_of_the_next_filing_is_found(what: str, sessions: int) -> None:
    figures = figures_of(filings(0, sessions), sessions)
    column = LEAKS[what](figures, sessions)
    (found,) = ask({"x": column, "noise": close_of(sessions)}, sessions).found
    assert found.name == "x"
    assert "of the next filing" in found.evidence
    quarters = (figures.asked >= 0).sum()
    assert quarters >= 5
    assert "quarters" in found.evidence


def test_the_finding_says_which_figure_how_early_and_in_how_many_quarters() -> None:
    figures = figures_of(filings(0, FEW), FEW)
    (found,) = ask({"x": LEAKS["growth"](figures, FEW)}, FEW).found
    quarters = int((figures.asked >= 0).sum())
    assert found.evidence.startswith(
        "knows at the end of a quarter the growth of revenue on the year before of the next"
    )
    assert f"of what is new in it, in {quarters} of {quarters} quarters" in found.evidence
    sessions = int(re.search(r"(\d+) sessions before it is available", found.evidence)[1])
    assert 28 <= sessions <= 30, "it is filed after 40 days"


def test_one_restated_figure_among_many_hides_no_leak() -> None:
    figures = figures_of(filings(0, SOME), SOME)
    amounts = revenue_of(figures).copy()
    amounts[np.flatnonzero(figures.asked >= 0)[5]] *= 1.2
    found = ask({"x": held(figures, amounts, figures.since, SOME)}, SOME).found
    assert [one.name for one in found] == ["x"]


@pytest.mark.parametrize("sessions", [FEW, SOME, MANY])
def test_what_is_known_honestly_is_no_finding(sessions: int) -> None:
    """Figures as filed, naive forecasts, an announcement after the quarter's end, the best estimates."""
    figures = figures_of(filings(0, sessions), sessions)
    revenue, rng = revenue_of(figures), np.random.default_rng(1)
    announced = np.where(figures.asked >= 0, figures.asked + 5, figures.filed)
    growth = np.log(revenue / figures.before(revenue, 4))
    new = float(np.nanstd(growth - figures.before(growth, 1)))
    series = {
        "as filed": held(figures, revenue, figures.filed, sessions),
        "as announced": held(figures, revenue, announced.astype(np.intp), sessions),
        "a year ago": held(figures, figures.before(revenue, 4), figures.since, sessions),
        "a year ago, grown": held(figures, figures.before(revenue, 4) * 1.1, figures.since, sessions),
        "quarter": np.arange(sessions) // 63.0,
        "trend": np.exp(0.0003 * np.arange(sessions)),
    }
    for share in (0.1, 0.2, 0.5):
        error = share * new * rng.standard_normal(len(revenue))
        series[f"estimate {share}"] = held(figures, revenue * np.exp(error), figures.since, sessions)
    assert ask(series, sessions).found == []


def test_figures_that_follow_from_earlier_ones_are_known_honestly() -> None:
    table = filings(0, SOME)
    season = np.array([1.0, 1.2, 0.9, 1.5])[table["period_end"].dt.quarter - 1]
    table = table.assign(revenue=1e9 * season * 1.02 ** np.arange(len(table)))[["revenue", *table.columns[:5]]]
    figures = figures_of(table, SOME)
    same = held(figures, revenue_of(figures), figures.since, SOME)
    assert knowing_the_next_filing({"x": same}, (), [figures], close_of(SOME)).found == []


def test_figures_of_few_digits_are_guessed_honestly() -> None:
    table = filings(0, FEW)
    table = table.assign(eps=(table["revenue"] / 1e10).round(1))
    figures = figures_of(table, FEW)
    guess = held(figures, table["eps"].to_numpy(), figures.since, FEW)
    assert knowing_the_next_filing({"x": guess}, (), [figures], close_of(FEW)).found == []


def test_a_score_that_knows_what_is_new_is_found_and_one_that_reacts_to_it_is_not() -> None:
    figures = figures_of(filings(0, MANY), MANY)
    new = news_of_metric(figures, 0)
    rng = np.random.default_rng(2)
    scores = {
        "sign": held(figures, np.sign(new), figures.since, MANY),
        "size": held(figures, np.tanh(new / np.nanstd(new)), figures.since, MANY) + rng.standard_normal(MANY),
        "reacts": held(figures, np.sign(new), figures.filed, MANY) + 0.1 * rng.standard_normal(MANY),
        "tone": pd.Series(rng.standard_normal(MANY)).ewm(span=60).mean().to_numpy(),
    }
    found = ask(scores, MANY, opinions=tuple(scores)).found
    assert {one.name for one in found} == {"sign", "size"}
    assert all("what is new in the revenue of the next filing: partial rank correlation +" in one.evidence
               for one in found)  # fmt: skip
    assert ask(scores, MANY).found == [], "a column may hold an analyst's estimate"


def test_too_few_filings_are_not_tested_and_the_sentence_says_how_many_are_needed() -> None:
    score = {"x": np.sin(np.arange(MANY))}
    assert ask(score, 260).said == "not tested: 3 filings, 5 are needed"
    told = ask(score, FEW, opinions=("x",)).said
    needed = least_filings(2)
    assert f"of opinions association was not tested: 6 quarters with figures of earlier years, {needed}" in told
    assert f"1 of opinions for association ({needed} are needed)" in ask(score, MANY, opinions=("x",)).said
    assert least_filings(10_000) > least_filings(100) > needed
    assert knowing_the_next_filing(score, (), [], close_of(FEW)).said.startswith("not tested")


def test_a_figure_is_asked_for_when_its_quarter_ends_and_not_where_a_row_says_it_already() -> None:
    table = filings(0, FEW)
    figures, days = figures_of(table, FEW), calendar_of(FEW).days
    inside = figures.asked >= 0
    ends = table["period_end"].to_numpy().astype("datetime64[D]")[inside]
    assert (days[figures.asked[inside]] >= ends).all()
    assert (days[figures.asked[inside] - 1] < ends).all()
    early = table.assign(available=table["period_end"] - pd.Timedelta(days=1))
    assert (figures_of(early, FEW).asked == -1).all()


def test_the_form_of_a_figure_is_what_its_words_say() -> None:
    table = filings(0, SOME)
    every = {form.what: form.amounts for form in forms(figures_of(table, SOME))}
    revenue, income = table["revenue"], table["net_income"]
    assert np.allclose(every["growth of revenue on the year before"][4:], (revenue / revenue.shift(4) - 1)[4:])
    assert np.allclose(every["change of net_income on the quarter before"][1:], income.diff()[1:])
    assert np.allclose(every["revenue of four quarters"][3:], revenue.rolling(4).sum()[3:])
    assert np.allclose(every["net_income to revenue"], income / revenue)
    assert np.isnan(every["growth of revenue on the year before"][:4]).all()


def test_noise_and_estimates_are_called_foreknowing_in_less_than_one_market_of_a_hundred() -> None:
    """60 companies of 260 to 2,000 sessions, 40 series each: walks, noise, smooth tones, estimates."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(260, 2_000))
        figures = figures_of(filings(seed, n), n)
        revenue = revenue_of(figures)
        growth = np.log(revenue / figures.before(revenue, 4))
        new = float(np.nanstd(growth - figures.before(growth, 1)))
        series = {f"walk {i}": np.cumsum(rng.normal(size=n)) for i in range(10)}
        opinions = {f"tone {i}": pd.Series(rng.normal(size=n)).ewm(span=20).mean().to_numpy() for i in range(10)}
        for i in range(10):
            error = new * rng.uniform(0.1, 0.5) * rng.normal(size=len(revenue))
            series[f"estimate {i}"] = held(figures, (revenue * np.exp(error)).round(-6), figures.since, n)
            series[f"estimated growth {i}"] = held(figures, growth + error, figures.since, n)
        search = knowing_the_next_filing(series | opinions, opinions, [figures], close_of(n), seed)
        alarms += bool(search.found)
    assert alarms == 0
