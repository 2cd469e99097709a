"""Pictures and the report: legible, self-contained, and loud about generated data."""

from __future__ import annotations

import io
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import numpy.typing as npt
import pytest

from finnex.evaluation import scorecard
from finnex.quality import Check
from finnex.reporting.charts import class_distribution, confusion_matrix, coverage_over_time, score_chart
from finnex.reporting.figures import _legend, contact_sheet, show_session
from finnex.reporting.html import render_report
from finnex.reporting.report import make_report
from finnex.reporting.style import figure
from finnex.store import ImageStore, StoreWriter, writing
from tests.helpers.predictions import table
from tests.helpers.reports import AREAS, Area, content, picture_of
from tests.helpers.stores import blank, make_config, make_store, sessions

REPORT_LIMIT_BYTES = 3_000_000


KNOWN = {area.name: 0.5 for area in AREAS} | {"news": 1.0, "social": 1.0}


def pixels(png: bytes) -> npt.NDArray[np.float32]:
    return np.asarray(matplotlib.image.imread(io.BytesIO(png)))


class Sources(HTMLParser):
    """Everything a page would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.fetched, self.images = 0, [], 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script" or any(name.startswith("on") for name, _ in attrs)
        for name, value in attrs:
            if name in {"src", "href"} and value is not None:
                self.images += value.startswith("data:image/png;base64,")
                if not value.startswith("data:"):
                    self.fetched.append(value)


def test_a_session_is_shown_with_its_channels_and_unknown_pixels_grey(tmp_path: Path) -> None:
    image = picture_of(0)
    image[:171, :, 0] = 0
    png = show_session(image, AREAS, KNOWN, "AAPL  2016-01-04", tmp_path / "session.png")
    assert (tmp_path / "session.png").read_bytes() == png
    shown = pixels(png)
    assert shown.shape[0] > 900
    assert shown.shape[1] > 1400
    grey = np.array([0xD9, 0xDD, 0xE5]) / 255
    share = np.isclose(shown[..., :3], grey, atol=0.01).all(axis=-1).mean()
    whole = pixels(show_session(picture_of(0), AREAS, KNOWN, "t"))[..., :3]
    without = np.isclose(whole, grey, atol=0.01).all(axis=-1).mean()
    assert share > without + 0.03


def test_the_legend_tells_the_share_of_known_values_that_the_store_keeps() -> None:
    with figure(8, 4) as drawn:
        axes = drawn.subplots()
        _legend(axes, AREAS[:2], {AREAS[0].name: 1.0, AREAS[1].name: 0.25})
        told = [text.get_text() for text in axes.texts]
    assert [word for word in told if word.endswith("%")] == ["100%", "25%"]


def test_news_is_shown_red_grey_and_yellow_and_the_stored_channel_is_one_number() -> None:
    image = blank()
    for feature, level in enumerate((0.0, 0.5, 1.0)):
        image[171 + 57 * feature : 228 + 57 * feature, :168, 0] = 0.02 + 0.98 * level
    news = [Area("news", "behavioral", "red", (171, 342), (0, 171))]
    shown = pixels(show_session(image, news, KNOWN, "t"))[..., :3]

    def share(colour: tuple[int, int, int]) -> float:
        return float(np.isclose(shown, np.array(colour) / 255, atol=0.02).all(axis=-1).mean())

    colours = ((0xA3, 0x20, 0x1C), (0x7D, 0x82, 0x8C), (0xF5, 0xD3, 0x27))
    assert min(share(colour) for colour in colours) > 0.004
    social = [Area("social", "behavioral", "red", (171, 342), (0, 171))]
    elsewhere = pixels(show_session(image, social, KNOWN, "t"))[..., :3]
    assert not np.isclose(elsewhere, np.array(colours[2]) / 255, atol=0.02).all(axis=-1).any()


def test_pictures_of_one_input_are_equal_and_of_two_are_not() -> None:
    one, again, other = (contact_sheet([picture_of(seed)], ["t"]) for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_charts_are_drawn_for_short_and_long_inputs() -> None:
    card = scorecard(table(0.6))
    for n in (2, 500):
        drawn = coverage_over_time(sessions(n), np.random.default_rng(0).uniform(0, 1, (n, 9)), ["r"] * 9, "known")
        assert pixels(drawn).std() > 0.05
    assert pixels(score_chart(card)).std() > 0.02
    assert pixels(confusion_matrix(np.eye(3, dtype=np.int64) * 5, ("sell", "hold", "buy"), "t")).std() > 0.05
    assert pixels(class_distribution({"train": {"sell": 3, "hold": 5, "buy": 0}})).std() > 0.05


def test_the_report_runs_nothing_fetches_nothing_and_escapes_its_words() -> None:
    html = render_report(content([], [Check("pixel range", True, 0.0, "= 0", "no & other")]))
    found = Sources()
    found.feed(html)
    assert (found.scripts, found.fetched, found.images) == (0, [], 1)
    assert not re.search(r"url\(|@import|http", html)
    assert "Report &lt;b&gt;of&lt;/b&gt; a store" in html
    assert "prefers-color-scheme: dark" in html


def test_generated_tables_are_printed_loudly_and_only_then() -> None:
    loud = render_report(content(["sentiment"], []))
    assert "Synthetic data: the input tables sentiment hold generated values" in loud
    assert loud.count("SYNTHETIC") == 1
    assert "Synthetic data" not in render_report(content([], []))


def test_a_failed_check_is_counted_and_marked() -> None:
    checks = [Check("a", True, 1, "> 0", "m"), Check("b", False, float("nan"), "> 0", "m")]
    html = render_report(content([], checks))
    assert "1 of 2 checks failed" in html
    assert html.count("FAIL") == 1
    assert "All 1 checks passed" in render_report(content([], checks[:1]))


def test_scores_come_with_their_numbers_of_sessions_and_intervals() -> None:
    card = scorecard(table(0.6))
    html = render_report(content([], [], card))
    assert card.verdict() in html
    assert f'<td class="n">{card.sessions}</td><td class="n">{card.rows}</td>' in html
    for line in card.lines:
        assert f"{100 * line.accuracy.low:.1f} % to {100 * line.accuracy.high:.1f} %" in html
    assert card.averaged() in html
    assert " beats it</td>" in " ".join(html.split())
    few = " ".join(render_report(content([], [], scorecard(table(0.6, n=45)))).split())
    assert "no interval: 45 sessions, at least 60 are needed at horizon 5" in few
    assert "beats" not in few.split("Intervals:")[0]


@pytest.fixture(scope="module")
def small_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    root = tmp_path_factory.mktemp("report")
    labels = {"AAA": np.arange(40) % 3}
    store = make_store(root / "s.zarr", sessions(40), lambda _, i: picture_of(i), labels, synthetic=("fundamentals",))
    report = make_report(
        make_config(store, root), store, sample=8, champion="version 3. Promoted by --force, not earned."
    )
    return report.html, [picture.name for picture in report.pictures]


def test_a_store_has_a_report_without_any_training(small_report: tuple[str, list[str]]) -> None:
    html, names = small_report
    assert names == ["session", "contact_sheet", "coverage"]
    assert "Synthetic data: the input tables fundamentals" in html
    assert "<dt>champion</dt><dd>version 3. Promoted by --force, not earned.</dd>" in html
    assert len(html.encode()) < REPORT_LIMIT_BYTES


def test_the_report_says_whose_members_a_study_is_of(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr", sessions(40), lambda _, i: picture_of(i), {"AAA": np.arange(40) % 3})

    def said() -> str:
        return make_report(make_config(store, tmp_path), ImageStore.open(store.path), sample=8).html

    assert "survivorship: today&#39;s members" in said()
    with writing(store.path):
        writer = StoreWriter.reopen(store.path)
        writer.record_inputs(["AAA"], {"companies": (date(2015, 1, 2), date(2019, 12, 31))}, "")
    assert "survivorship" not in said()
    assert "with days from 2015-01-02 to 2019-12-31" in said()
