"""The command, the report and MLflow show the same trading figures under the same names."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from finnex.cli.terminal import print_trading
from finnex.config import TradingSettings
from finnex.evaluation import TradingCard
from finnex.evaluation.trading import BUY_AND_HOLD, FIGURES, trade_without_a_model
from finnex.reporting.html import render_report
from finnex.tracking.entries import of_trading
from flows.learning import trading_rows
from tests.helpers.reports import content
from tests.helpers.trades import decisions, market, performance, until

NAMES = ("sharpe_ratio", *FIGURES)
DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture(scope="module")
def card() -> TradingCard:
    prices = market(4, 300, 2, 0.01)
    settings = TradingSettings()
    coins = until(np.random.default_rng(4).integers(-1, 2, (300, 2)).astype(float), 290)
    lines = {name: performance(prices, coins * way, 5, settings) for name, way in (("vit", 1), ("majority", 0))}
    lines["logistic_regression_lags"] = lines["vit"]
    lines[BUY_AND_HOLD] = trade_without_a_model(decisions(prices, coins, 5), prices, settings)[BUY_AND_HOLD].performance
    return TradingCard("vit", 5, settings, prices.sessions_per_year, lines)


def test_mlflow_gets_every_figure_that_is_known_of_every_line(card: TradingCard) -> None:
    metrics = {name: value for name, value, _ in of_trading(card)}
    for name in NAMES:
        found = card.records()[0][name]
        assert metrics[f"test.{name}"] == pytest.approx(found)
        assert f"test.{BUY_AND_HOLD}.{name}" in metrics
    assert metrics["test.sharpe_ratio_low"] < metrics["test.sharpe_ratio"] < metrics["test.sharpe_ratio_high"]
    assert "test.majority.sharpe_ratio" not in metrics  # it held cash: there is no ratio
    assert metrics["test.majority.turnover"] == 0
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_report_shows_them(card: TradingCard) -> None:
    page = content([], [])
    html = render_report(type(page)(**(vars(page) | {"trading": card})))
    table = html[html.index("Acting on the predictions") : html.index("Quality of the images")]
    for name in NAMES:
        assert f">{name}</th>" in table
    for found in card.lines.values():
        assert f"{100 * found.max_drawdown:.1f} %" in table
        assert f"{found.turnover:.2f}" in table
    assert card.words()[0] in table
    assert "Acting on the predictions" not in render_report(page)


def test_the_command_prints_them_within_80_columns(card: TradingCard) -> None:
    text = io.StringIO()
    print_trading(Console(file=text, width=80), trading_rows(card))
    said = text.getvalue()
    assert "…" not in said
    words = re.sub(r"\s+", " ", said)
    for name in NAMES:
        assert set(name.split("_")) <= set(words.split())
    assert "_" not in said  # no head breaks within an identifier
    found = card.lines["vit"]
    assert f"{found.volatility:.2f}" in words
    assert f"{found.sharpe_ratio.low:.2f} to {found.sharpe_ratio.high:.2f}" in words
    assert max(map(len, said.splitlines())) <= 80


def test_figures_that_are_not_there_are_told_and_not_drawn(card: TradingCard) -> None:
    none = TradingCard("vit", 5, TradingSettings(), 252, {}, "prices end on 2020-01-01")
    assert of_trading(none) == []
    page = content([], [])
    html = render_report(type(page)(**(vars(page) | {"trading": none})))
    assert "No trading figures: prices end on 2020-01-01" in html
    assert "sharpe_ratio" not in html
    silent = io.StringIO()
    print_trading(Console(file=silent, width=80), trading_rows(none))
    assert silent.getvalue() == ""


def test_the_documentation_explains_every_figure_with_its_formula() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (
        *NAMES,
        "trades",
        "decisions",
        "trading_sessions",
        "bankrupt",
        "unfinished",
        "cost_bps",
        "borrow_fee_per_year",
    ):
        assert f"| `{name}` |" in text, name
