"""Pages as one HTML file each: no scripts, no network, pictures inside, light and dark. The report is one of them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from finnex.evaluation import Scorecard, TradingCard
from finnex.evaluation.interval import Interval
from finnex.files.output import HTML_GENERATOR
from finnex.quality import Check
from finnex.store import InputLimits


@dataclass(frozen=True)
class Picture:
    """A PNG with its title and a sentence on how to read it; `name` is its file name elsewhere.

    Attributes
    ----------
    alt
        What it shows, for who does not see it; by default its title.
    narrow
        The same picture for a page of at most 600 pixels.
    legend
        Colour, stroke (solid, dashed or dotted) and name of each line, which the page writes above the picture.
    """

    name: str
    title: str
    caption: str
    png: bytes
    alt: str = ""
    narrow: bytes | None = None
    legend: tuple[tuple[str, str, str], ...] = ()

    @property
    def data_uri(self) -> str:
        """The picture as text that a page can hold."""
        return _data_uri(self.png)

    @property
    def narrow_uri(self) -> str:
        """The narrow picture as text that a page can hold; empty where there is none."""
        return "" if self.narrow is None else _data_uri(self.narrow)


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


@dataclass(frozen=True)
class ReportContent:
    """What a report says.

    Attributes
    ----------
    facts
        Label and value pairs under the title: store, fingerprint, layout, dates.
    synthetic_tables
        Input tables that hold generated data; named in a banner where there are any.
    inputs
        Where the input tables begin and end; None where the store does not have it.
    card
        Scores of a training; absent, the report is about the store alone.
    trading
        What acting on its predictions would have earned.
    """

    title: str
    facts: Mapping[str, str]
    synthetic_tables: Sequence[str]
    checks: Sequence[Check]
    pictures: Sequence[Picture]
    inputs: Sequence[InputLimits] = ()
    card: Scorecard | None = None
    trading: TradingCard | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def ratio(value: float | None) -> str:
    """Return a number with two decimals; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Return a share in percent with one decimal; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def bounds(interval: Interval) -> str:
    """Return the bounds of a share in percent, or why there are none."""
    if interval.low is None or interval.high is None:
        return interval.reason
    return f"{100 * interval.low:.1f} % to {100 * interval.high:.1f} %"


def _template(name: str) -> str:
    return resources.files("finnex.reporting").joinpath(name).read_text(encoding="utf-8")


def render_page(template: str, **values: Any) -> str:
    """Return a page of `page.html.jinja`'s look as the text of one self-contained HTML file.

    Every value is escaped. `content` is among them, with a `title` and `synthetic_tables`.
    """
    environment = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=_number, percent=percent, ratio=ratio, points=_points, bounds=bounds)
    return environment.get_template(template).render(generator=HTML_GENERATOR, **values)


def render_report(content: ReportContent) -> str:
    """Return the report as the text of one self-contained HTML file.

    It is made for an iframe with everything forbidden: styles are inline, pictures are data, nothing is fetched.
    """
    failed = [check for check in content.checks if not check.passed]
    return render_page("report.html.jinja", content=content, card=content.card, trading=content.trading, failed=failed)
