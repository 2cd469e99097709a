"""Scores against what companies earned: by hand, against scipy, and what must not change it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from finnex.data.session_prices import SessionPrices
from finnex.errors import PricesUnknown, TrainingError
from finnex.evaluation.information_coefficient import DECAY_HORIZONS, information_coefficient
from finnex.evaluation.interval import mean_estimate, ratio_estimate
from finnex.evaluation.score_panel import ScorePanel, before, correlations, forward_returns, score_panel
from tests.helpers.scores import market_of, panel_of, permuted, predictions_of
from tests.helpers.trades import prices_of


def test_a_return_is_from_the_next_open_to_the_close_of_the_horizon_and_spans_no_missing_bar() -> None:
    opens = np.array([[1.0, 1.0], [2.0, 4.0], [5.0, np.nan], [8.0, 6.0]])
    closes = np.array([[1.0, 1.0], [3.0, 5.0], [6.0, np.nan], [10.0, 9.0]])
    found = forward_returns(prices_of(opens, closes), 2)
    np.testing.assert_allclose(found, [[2.0, np.nan], [1.0, np.nan], [np.nan] * 2, [np.nan] * 2], atol=1e-12)
    np.testing.assert_allclose(forward_returns(prices_of(opens, closes), 1)[0], [0.5, 0.25])
    assert np.isnan(forward_returns(prices_of(opens, closes), 4)).all()


@pytest.mark.parametrize("digits", [12, 1])
def test_correlations_are_scipys_also_with_equal_values_and_missing_companies(digits: int) -> None:
    rng = np.random.default_rng(digits)
    first, second = np.round(rng.normal(size=(2, 60, 25)), digits)
    first[rng.random(first.shape) < 0.2] = np.nan
    second[rng.random(second.shape) < 0.2] = np.nan
    for ranks, theirs in ((True, spearmanr), (False, pearsonr)):
        found = correlations(first, second, ranks=ranks)
        both = ~np.isnan(first) & ~np.isnan(second)
        expected = [theirs(x[k], y[k]).statistic for x, y, k in zip(first, second, both, strict=True)]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_session_with_nine_companies_or_equal_values_has_no_correlation() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 10))
    first[0, 3] = np.nan
    second[1] = 0.1 + 1e-15 * rng.random(10)
    found = correlations(first, second, ranks=True)
    assert np.isnan(found).tolist() == [True, True, False]


def test_the_coefficient_of_a_small_market_by_hand() -> None:
    """Ten companies: returns in the order of the scores, then two neighbours exchanged: 1 - 6 * 2 / (10 * 99)."""
    steps = np.array([[0.0] * 10, np.arange(10), [*range(8), 9, 8], [0.0] * 10])
    closes = 10 + steps
    opens = np.full((4, 10), 10.0)
    scores = np.where(np.arange(4)[:, None] < 3, np.arange(10) / 10, np.nan)
    found = information_coefficient(ScorePanel("cnn", "test", 1, prices_of(opens, closes), scores))
    second = 1 - 12 / 990
    assert (found.sessions, found.constant, found.too_few, found.companies) == (2, 1, 0, 10)
    assert found.rank.value == pytest.approx((1 + second) / 2, abs=1e-12)
    spread = np.std([1, second], ddof=1)
    assert found.ratio.value == pytest.approx((1 + second) / 2 / spread, abs=1e-9)
    assert found.ratio_per_year.value == pytest.approx(found.ratio.value * np.sqrt(252), abs=1e-9)
    assert found.above_zero.value == 1
    # after two sessions: entry at 10, and the closes of the session after the next
    assert found.decay[2].value == pytest.approx(second, abs=1e-12)
    assert np.isnan(found.decay[5].value)
    assert found.stability == {1: 1.0}
    assert "1 sessions are left out, with equal scores or returns of all companies" in found.words()[0]


def test_figures_are_those_of_the_projects_interval() -> None:
    panel = panel_of(np.random.default_rng(1), 120, 15, 5, memory=0.8, known=0.2)
    found = information_coefficient(panel)
    earned = forward_returns(panel.prices, 5)[:120]
    each = np.array([spearmanr(x, y).statistic for x, y in zip(panel.scores[:120], earned, strict=True)])
    mean = mean_estimate(each, panel.prices.days[:120], 5)
    assert found.rank.interval().low == pytest.approx(mean.interval().low, abs=1e-9)
    assert found.ratio.low == pytest.approx(ratio_estimate(each, 5).interval().low, abs=1e-9)
    record = found.record()
    assert record["rank"]["t"] == pytest.approx(mean.value / np.sqrt(mean.variance[0]), abs=1e-9)
    assert record["rank"]["p_value"] == pytest.approx(2 * min(mean.p_above(), mean.p_below()), abs=1e-12)
    assert record["above_zero"]["value"] == pytest.approx((each > 0).mean(), abs=1e-12)
    assert set(found.decay) == set(DECAY_HORIZONS)
    for lag in (1, 5):
        pairs = zip(panel.scores[lag:120], panel.scores[: 120 - lag], strict=True)
        assert found.stability[lag] == pytest.approx(np.mean([spearmanr(*pair).statistic for pair in pairs]), abs=1e-9)
    assert found.stability[1] > 0.6 > found.stability[5]
    # at 20 sessions 100 of 120 returns overlap: 240 sessions are needed
    assert found.decay[20].low is None
    assert "at least 240" in found.decay[20].reason


def test_a_constant_added_to_the_scores_of_a_session_changes_nothing() -> None:
    panel = panel_of(np.random.default_rng(2), 80, 12, 5, known=0.3)
    moved = panel.scores + np.random.default_rng(3).normal(size=(len(panel.scores), 1))
    a, b = (
        information_coefficient(ScorePanel("cnn", "test", 5, panel.prices, scores)) for scores in (panel.scores, moved)
    )
    assert a.rank == b.rank
    assert a.pearson.value == pytest.approx(b.pearson.value, abs=1e-12)


def test_another_order_of_the_companies_changes_nothing() -> None:
    panel = panel_of(np.random.default_rng(4), 80, 12, 5, known=0.3)
    other = permuted(panel, np.random.default_rng(5).permutation(12))
    a, b = information_coefficient(panel).record(), information_coefficient(other).record()
    assert a["rank"]["value"] == pytest.approx(b["rank"]["value"], abs=1e-12)
    assert a["pearson"]["low"] == pytest.approx(b["pearson"]["low"], abs=1e-9)


def test_scores_are_the_mean_of_seeds() -> None:
    panel = panel_of(np.random.default_rng(6), 30, 11, 5)
    table = predictions_of(panel)
    other = table.assign(p_sell=0.1, p_hold=0.2, p_buy=0.7)
    both = score_panel(pd.concat([table, other]), panel.prices)
    np.testing.assert_allclose(both.scores, (panel.scores + 0.6) / 2, atol=1e-12)


def test_constant_predictions_have_no_coefficient_and_a_reason() -> None:
    panel = panel_of(np.random.default_rng(7), 70, 12, 1)
    flat = np.where(np.isnan(panel.scores), np.nan, 0.2)
    found = information_coefficient(ScorePanel("majority", "test", 1, panel.prices, flat))
    assert (found.sessions, found.constant) == (0, 70)
    assert found.record()["rank"]["value"] is None
    assert found.words() == [
        "No information coefficient: no session has 10 companies with different scores and known returns; 70 sessions "
        "are left out, with equal scores or returns of all companies."
    ]


def test_a_session_whose_returns_are_not_known_is_left_out_and_counted() -> None:
    panel = panel_of(np.random.default_rng(8), 70, 10, 1)
    opens, closes = panel.prices.open.copy(), panel.prices.close.copy()
    opens[30, 4] = closes[30, 4] = np.nan
    bars = SessionPrices(panel.prices.days, panel.prices.symbols, opens, closes)
    found = information_coefficient(ScorePanel("cnn", "test", 1, bars, panel.scores))
    assert (found.sessions, found.too_few) == (69, 1)
    assert "1 sessions are left out, with fewer than 10 companies with a known return" in found.words()[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon": [1, 5] * 165}, r"horizons \[1, 5\]"),
        ({"model": ["cnn", "vit"] * 165}, r"has \['cnn', 'vit'\]"),
        ({"model": "majority"}, "has none"),
        ({"p_buy": np.nan}, "no probability for C0 on 2020-01-01"),
        ({"return": 0.5, "label_kind": "price_movement"}, "of C0 after 2020-01-01 is 0.500000 in the predictions"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(change: dict[str, object], words: str) -> None:
    panel = panel_of(np.random.default_rng(9), 30, 11, 5)
    with pytest.raises(TrainingError, match=words):
        score_panel(predictions_of(panel).assign(**change), panel.prices)


def test_a_table_of_other_names_or_of_no_rows_is_refused_with_those_that_it_has() -> None:
    panel = panel_of(np.random.default_rng(9), 30, 11, 5)
    with pytest.raises(TrainingError, match="no row of 'vit'; it has cnn"):
        score_panel(predictions_of(panel), panel.prices, model="vit")
    with pytest.raises(TrainingError, match="split 'validation'"):
        score_panel(predictions_of(panel), panel.prices, split="validation")
    with pytest.raises(PricesUnknown, match="prices have no X on 2020-01-01"):
        score_panel(predictions_of(panel).assign(symbol="X"), panel.prices)


def test_returns_of_the_table_agree_with_the_prices_or_are_of_another_label() -> None:
    panel = panel_of(np.random.default_rng(9), 30, 11, 5)
    table = predictions_of(panel)
    session, company = panel.prices.place(table["decision_date"].to_numpy(), table["symbol"].to_numpy().astype(str))
    earned = forward_returns(panel.prices, 5)[session, company].astype(np.float32)
    right = score_panel(table.assign(label_kind="price_movement", **{"return": earned}), panel.prices)
    np.testing.assert_allclose(right.scores, panel.scores, atol=1e-12)
    score_panel(table.assign(label_kind="triple_barrier", **{"return": 0.01}), panel.prices)


def test_values_of_sessions_before() -> None:
    assert before(np.array([[1.0], [2.0], [3.0]]), 2).ravel()[2] == 1
    assert np.isnan(before(np.array([[1.0], [2.0], [3.0]]), 2)[:2]).all()
    assert np.isnan(before(market_of(np.random.default_rng(0), 3, 2).close, 3)).all()
