"""The tear sheet: its figures are those of the courses, its words are escaped, and it fetches nothing."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from finnex.errors import ExportError, TrainingError
from finnex.evaluation.benchmark_line import benchmark_line
from finnex.evaluation.portfolio import Course
from finnex.evaluation.return_figures import return_figures
from finnex.files.output import HTML_GENERATOR
from finnex.reporting.return_charts import drawdown_chart, rolling_chart, strokes, wealth_chart, yearly_bars
from finnex.reporting.tear_sheet import ALWAYS, TearSheet, render_tear_sheet, write_tear_sheet
from finnex.reporting.tear_sheet_tables import definitions, month_rows
from tests.helpers.courses import Floats, course_of, noise

LIMIT_BYTES = 1_500_000
HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{1}{$", "_hidden", "{{ 7 * 7 }}{% x %}",
    "a\u202eb\x1b[31m\x00", "\ud800", "收益", "w" * 3000, "' onload='x", "&lt;b&gt;", "style: url(http://a.b)",
)  # fmt: skip


class Page(HTMLParser):
    """Everything that a page would run or fetch, its pictures' words, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts, self.alts, self.text = 0, [], ""
        self.fetched: list[str] = []
        self.tags: set[str] = set()
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
        self.text = " " + " ".join(self.text.split())  # unbroken spaces are spaces

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag in {"script", "iframe", "object", "link"} or any(name.startswith("on") for name, _ in attrs)
        self.fetched += [
            value or "" for name, value in attrs
            if name in {"src", "srcset", "href"} and not (value or "").startswith("data:image/png;base64,")
        ]  # fmt: skip
        if tag == "img":
            self.alts.append(dict(attrs).get("alt") or "")

    def handle_data(self, data: str) -> None:
        self.text += f" {data.strip()}"


def sheet(
    course: Course | None = None, benchmarks: Mapping[str, Course] | None = None, sessions: int = 300
) -> TearSheet:
    own = course_of(noise(1, sessions, 0.0005), np.full(sessions, 0.2)) if course is None else course
    others = {"buy_and_hold": course_of(noise(2, len(own.days)))} if benchmarks is None else benchmarks
    return TearSheet(
        title="A sheet", does="It does this.", name="own_model", course=own, benchmarks=others, sessions_per_year=252,
        horizon=5, cost_bps=5, not_shown=["Companies that left the market."],
    )  # fmt: skip


def without_pictures(html: str) -> str:
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)


def test_every_figure_of_the_table_is_that_of_the_course() -> None:
    made = sheet()
    text = Page(render_tear_sheet(made)).text
    own = return_figures(made.course, sessions_per_year=252, horizon=5, cost_bps=5)
    other = return_figures(made.benchmarks["buy_and_hold"], sessions_per_year=252, horizon=5, cost_bps=5)
    for label, name in (
        ("return a year", "return_per_year"), ("return in all", "total_return"), ("volatility a year", "volatility"),
        ("maximum drawdown", "max_drawdown"), ("value at risk, 5 %", "value_at_risk"),
        ("expected shortfall, 5 %", "expected_shortfall"), ("positive days", "positive_days"),
        ("positive months", "positive_months"), ("costs a year", "costs_per_year"), ("costs in all", "costs_paid"),
    ):  # fmt: skip
        assert f" {label} {100 * getattr(own, name):.1f} % {100 * getattr(other, name):.1f} %" in text
    for label, name in (
        ("Sortino ratio", "sortino_ratio"), ("Calmar ratio", "calmar_ratio"), ("tail ratio", "tail_ratio"),
        ("skewness", "skewness"), ("kurtosis", "kurtosis"), ("turnover a year", "turnover"),
    ):  # fmt: skip
        assert f" {label} {getattr(own, name):.2f} {getattr(other, name):.2f}" in text
    sharpe = own.sharpe_ratio
    assert sharpe is not None
    assert f" Sharpe ratio {sharpe.value:.2f} {sharpe.low:.2f} to {sharpe.high:.2f}" in text
    line = benchmark_line(made.course, made.benchmarks["buy_and_hold"], sessions_per_year=252, horizon=5)
    alpha = line.alpha_per_year
    assert alpha is not None
    assert alpha.low is not None
    assert alpha.high is not None
    assert f" beta {line.beta:.2f} correlation {line.correlation:.2f}" in text
    assert f" alpha a year {100 * alpha.value:.1f} % {100 * alpha.low:.1f} % to {100 * alpha.high:.1f} %" in text
    for fall in own.largest_drawdowns:
        when = f"{fall.first} {fall.trough} {fall.recovered or 'not recovered'} {fall.sessions}"
        assert f" {100 * fall.depth:.1f} % {when}" in text
    for words in own.words("own model") + line.words("own model", "buy and hold"):
        assert words in text
    for words in ("It does this.", "2020-01-01 to 2020-10-26, 300 sessions", "Companies that left", *ALWAYS):
        assert words in text


def test_it_runs_nothing_fetches_nothing_and_describes_its_pictures() -> None:
    html = render_tear_sheet(sheet())
    page = Page(html)
    assert (page.scripts, page.fetched) == (0, [])
    assert not re.search(r"url\(|@import|http", without_pictures(html))
    assert "prefers-color-scheme: dark" in html
    assert HTML_GENERATOR in html
    assert len(page.alts) == 4
    assert f"At the end: own model {sheet().course.wealth[-1]:.2f}; buy and hold" in page.alts[0]
    assert all("own model" in alt or "strategy" in alt for alt in page.alts)
    assert html.count('class="key"') == 2 * len(page.alts)
    assert render_tear_sheet(sheet()) == html


@cache
def usual_page() -> Page:
    return Page(render_tear_sheet(replace(sheet(sessions=30), synthetic_tables=["x"])))


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_stay_words(hostile: str) -> None:
    plain = sheet(sessions=30)
    made = replace(
        plain, title=hostile, does=hostile, name=f"{hostile[:60]}1", not_shown=[hostile],
        benchmarks={f"{hostile[:60]}2": course_of(noise(2, 30))}, facts={hostile: hostile}, synthetic_tables=[hostile],
    )  # fmt: skip
    html = render_tear_sheet(made)
    page, usual = Page(html), usual_page()
    assert (page.scripts, page.fetched, page.tags) == (0, [], usual.tags)
    assert len(page.alts) == len(usual.alts)
    assert not re.search("[\x00\x1b\u202e]", html)
    html.encode()
    if hostile.isprintable() and len(hostile) < 60:
        assert page.text.count(hostile) >= 5
        assert unescape(html).count(hostile) >= 5


FLAT, BROKE = np.zeros(200), np.array([*noise(3, 150), -1.0, *np.zeros(49)])


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ([0.01], ("1 session, fewer than a month's 21.", "Rolling figures need 126 sessions; there is 1.")),
        (noise(1, 20), ("20 sessions, fewer than a month's 21.",)),
        (noise(1, 45), ("no interval: 45 sessions, at least 60 are needed at horizon 5",)),
        (noise(1, 125), ("Rolling figures need 126 sessions; there are 125.",)),
        (FLAT, ("own model: no Sharpe ratio, skewness, kurtosis: returns are the same in all 200 sessions.",
                "The wealth never fell below its highest close.")),
        (BROKE, ("own model was bankrupt on 2020-05-30: nothing was left, and its figures end there.",)),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_said_in_words_and_never_printed_as_nan(returns: Floats, said: tuple[str, ...]) -> None:
    course = course_of(returns)
    for benchmarks, log in (None, False), ({}, True), ({"cash": course_of(np.zeros(len(returns)))}, True):
        page = Page(render_tear_sheet(replace(sheet(course, benchmarks), log_wealth=log)))
        assert ("Over the last 126" in page.text) == ("Rolling figures need" not in page.text)
        assert all(words in page.text for words in said)
        assert not re.search(r"\b(nan|inf|None)\b", page.text + " ".join(page.alts), re.IGNORECASE)


def test_a_bankruptcy_is_a_drawdown_that_is_not_recovered() -> None:
    text = Page(render_tear_sheet(sheet(course_of(BROKE)))).text
    assert re.search(r" 100\.0 % 2020-\d\d-\d\d 2020-05-30 not recovered \d+", text)
    assert "-100.0" in text


def test_a_wealth_of_0_falls_to_the_lower_edge_of_a_logarithmic_axis() -> None:
    """Left out, it would look as if the line ended where it was before."""
    course = course_of(BROKE)
    drawn = matplotlib.image.imread(io.BytesIO(wealth_chart(course.days, [course.wealth], log=True)))
    blue = np.isclose(drawn[..., :3], np.array([0x35, 0x68, 0xB8]) / 255, atol=0.02).all(axis=-1)
    rows, columns = np.nonzero(blue)
    assert columns[rows == rows.max()].max() - columns.min() > 0.9 * (columns.max() - columns.min())
    assert columns.max() > 0.95 * drawn.shape[1]
    assert "A wealth of 0 is at its lower edge." in render_tear_sheet(replace(sheet(course), log_wealth=True))
    assert "lower edge" not in render_tear_sheet(replace(sheet(sessions=30), log_wealth=True))


def test_twenty_years_with_four_benchmarks_fit_the_size() -> None:
    n = 5040
    others = {f"benchmark {k}": course_of(noise(k, n, 0.0003)) for k in range(2, 6)}
    html = render_tear_sheet(sheet(course_of(noise(1, n, 0.0003), begin="2001-01-01"), {
        name: replace(one, days=np.datetime64("2001-01-01") + np.arange(n)) for name, one in others.items()
    }))  # fmt: skip
    assert len(html.encode()) < LIMIT_BYTES


def test_the_file_is_written_whole_and_only_over_one_of_ours(tmp_path: Path) -> None:
    made, path = sheet(sessions=40), tmp_path / "sheet.html"
    assert write_tear_sheet(path, made) == path
    first = path.read_text()
    assert first == render_tear_sheet(made)
    write_tear_sheet(path, replace(made, title="Another"))
    assert "<title>Another</title>" in path.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["sheet.html"]
    path.write_text("<html>mine</html>")
    with pytest.raises(ExportError, match="is not overwritten"):
        write_tear_sheet(path, made)
    assert path.read_text() == "<html>mine</html>"


def test_generated_tables_are_printed_loudly_and_only_then() -> None:
    loud = Page(render_tear_sheet(replace(sheet(sessions=30), synthetic_tables=["prices"]))).text
    assert "Synthetic data: the input tables prices hold generated values" in loud
    assert "Figures and charts below say nothing about any market." in loud
    assert "Synthetic data" not in render_tear_sheet(sheet(sessions=30))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["own_model"], "is printed as another one is"),
        (["own model"], "is printed as another one is"),
        (["a" * 90 + "1", "a" * 90 + "2"], "is printed as another one is"),
        (["  "], "has an empty name"),
        (list("abcde"), "5 benchmarks are more than a chart shows. Give 4 at most."),
    ],
)
def test_names_that_cannot_be_kept_apart_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(TrainingError, match=re.escape(said)):
        render_tear_sheet(sheet(benchmarks={name: course_of(noise(2, 300)) for name in names}))


def test_courses_of_other_sessions_and_bad_settings_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    with pytest.raises(TrainingError, match="'late' has 299 sessions"):
        write_tear_sheet(path, sheet(benchmarks={"late": course_of(noise(2, 299))}))
    with pytest.raises(TrainingError, match="horizon 0"):
        write_tear_sheet(path, replace(sheet(), horizon=0))
    assert not path.exists()


def test_the_largest_month_has_the_strongest_shade_and_losses_another_colour() -> None:
    months = {"2020-11": 0.02, "2020-12": -0.04, "2021-02": 0.01, "2021-03": 0.0}
    rows = month_rows(months, {"2020": -0.02, "2021": 0.01})
    assert [(year, total) for year, _, total in rows] == [("2020", "-2.0"), ("2021", "1.0")]
    shades = {
        f"{year}-{cell.month}": (cell.text, cell.colour) for year, cells, _ in rows for cell in cells if cell.text
    }
    assert shades == {
        "2020-Nov": ("2.0", "rgba(53, 104, 184, 0.25)"), "2020-Dec": ("-4.0", "rgba(200, 68, 60, 0.50)"),
        "2021-Feb": ("1.0", "rgba(53, 104, 184, 0.12)"), "2021-Mar": ("0.0", "rgba(53, 104, 184, 0.00)"),
    }  # fmt: skip


def test_every_figure_of_the_tables_has_its_definition() -> None:
    page = Page(render_tear_sheet(sheet()))
    for label, meaning in definitions():
        assert page.text.count(label.split("\N{NO-BREAK SPACE}")[0]) >= 2, label
        assert meaning in page.text


def test_charts_show_their_values_and_the_logarithm_changes_the_wealth() -> None:
    days = np.datetime64("2020-01-01") + np.arange(400)
    one, other = np.cumprod(1 + noise(1, 400)), np.cumprod(1 + noise(2, 400))
    drawings = (
        lambda values: wealth_chart(days, values), lambda values: wealth_chart(days, values, log=True),
        lambda values: drawdown_chart(days, [value / 10 for value in values]),
        lambda values: rolling_chart(days, values, values), lambda values: wealth_chart(days, values, narrow=True),
        lambda values: yearly_bars([{"2020": float(value[-1])} for value in values]),
    )  # fmt: skip
    made = [draw([one, other]) for draw in drawings]
    assert len(set(made)) == len(made)
    assert [draw([one, other]) for draw in drawings] == made
    assert all(draw([other, one]) != drawn for draw, drawn in zip(drawings, made, strict=True))
    assert len({stroke for _, stroke in strokes(3)}) == 3
    assert len({colour for colour, _ in strokes(5)}) == 5


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(width: int, tmp_path: Path) -> None:
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("Debian's chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    usual = write_tear_sheet(tmp_path / "usual.html", sheet())
    long = replace(sheet(), name="w" * 70, title="t" * 300, facts={"f" * 90: "v" * 500}, not_shown=["n" * 900])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        for path in (usual, write_tear_sheet(tmp_path / "long.html", long)):
            page.goto(Path(path).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            shown = page.evaluate("Array.from(document.images).map(one => one.complete ? one.naturalWidth : 0)")
            assert [size < 600 for size in shown] == [width == 390] * 4
            if path == usual:
                inner = (
                    "Array.from(document.querySelectorAll('.wide')).every(one => one.scrollWidth <= one.clientWidth)"
                )
                assert page.evaluate(inner)
        browser.close()
