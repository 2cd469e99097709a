"""The report as one HTML file: no scripts, no network, pictures inside, light and dark."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from finnex.evaluation import Scorecard, TradingCard
from finnex.evaluation.interval import Interval
from finnex.files.output import HTML_GENERATOR
from finnex.quality import Check
from finnex.store import InputLimits


@dataclass(frozen=True)
class Picture:
    """A PNG with its title and a sentence on how to read it; `name` is its file name elsewhere."""

    name: str
    title: str
    caption: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """The picture as text that a page can hold."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


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


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _bounds(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return interval.reason
    return f"{100 * interval.low:.1f} % to {100 * interval.high:.1f} %"


def render_report(content: ReportContent) -> str:
    """Return the report as the text of one self-contained HTML file.

    It is made for an iframe with everything forbidden: styles are inline, pictures are data, nothing is fetched.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, percent=_percent, ratio=_ratio, points=_points, bounds=_bounds)
    text = resources.files("finnex.reporting").joinpath("report.html.jinja").read_text(encoding="utf-8")
    failed = [check for check in content.checks if not check.passed]
    return environment.from_string(text).render(
        content=content, card=content.card, trading=content.trading, failed=failed, generator=HTML_GENERATOR
    )
