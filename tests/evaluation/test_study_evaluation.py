"""A training is judged with all trials of its test part, on its own store, and says what it cannot say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.study_evaluation import dollar_volume, evaluate_study
from finnex.reporting.tear_sheet import render_tear_sheet
from finnex.reporting.tear_sheet_of_study import sheet_of
from finnex.store import ImageStore
from tests.helpers.stores import blank, make_store, sessions

SESSIONS, FIRST, LAST, HORIZON = 160, 60, 155, 5
VALIDATION = slice(0, 50)
SYMBOLS = tuple("ABCDEFGHIJKL")
RANDOM = np.random.default_rng(11)
LABELS = {name: RANDOM.integers(0, 3, SESSIONS).astype(np.int8) for name in SYMBOLS}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    path = tmp_path_factory.mktemp("evaluated") / "s.zarr"
    return make_store(path, sessions(SESSIONS), lambda *_: blank() + 0.5, LABELS)


def answers(seed: int, right: float = 0.0, symbols: tuple[str, ...] = SYMBOLS) -> pd.DataFrame:
    """Answers that are right at a rate, and else random."""
    rng, tables = np.random.default_rng(seed), []
    for symbol in symbols:
        rows = np.r_[VALIDATION, FIRST:LAST]
        label, count = LABELS[symbol][rows], len(rows)
        answer = np.where(rng.random(count) < right, label, rng.integers(0, 3, count))
        said = rng.uniform(0.1, 0.3, (count, 3))
        said[np.arange(count), answer] += 0.5
        said /= said.sum(axis=1, keepdims=True)
        tables.append(
            pd.DataFrame(
                {"decision_date": sessions(SESSIONS)[rows].astype("datetime64[ms]"), "symbol": symbol,
                 "split": np.where(rows < FIRST, "validation", "test"), "model": "cnn", "seed": 0, "fold": 0,
                 "horizon": HORIZON, "label_kind": "price_movement", "label": label,
                 **dict(zip(("p_sell", "p_hold", "p_buy"), said.T, strict=True))}
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def test_one_training_is_one_trial_and_its_deflated_ratio_the_probabilistic_one(store: ImageStore) -> None:
    found = evaluate_study(answers(1), store, TradingSettings())
    assert found.sharpe is not None
    assert (found.sharpe.trials, found.sharpe.deflated) == (1, found.sharpe.probabilistic)
    assert found.overfitting is None
    assert found.sharpe.value == pytest.approx(found.trading.lines["cnn"].sharpe_ratio.value, abs=1e-12)
    record = found.record()
    assert record["words"] == found.words()
    assert record["trials_compared"] == 1


def test_more_trials_lower_what_a_ratio_proves(store: ImageStore) -> None:
    own = answers(1, right=0.2)
    alone = evaluate_study(own, store, TradingSettings())
    many = evaluate_study(
        own, store, TradingSettings(), trials=7, others={number: answers(number) for number in range(2, 6)}
    )
    assert alone.sharpe is not None
    assert many.sharpe is not None
    assert many.sharpe.value == alone.sharpe.value
    assert many.sharpe.deflated is not None
    assert alone.sharpe.deflated is not None
    assert many.sharpe.deflated < alone.sharpe.deflated
    assert (many.sharpe.trials, many.sharpe.trials_known) == (7, 5)
    assert many.overfitting is not None
    assert many.overfitting.trials == 5


def test_trials_of_other_companies_are_counted_and_said(store: ImageStore) -> None:
    found = evaluate_study(answers(1), store, TradingSettings(), trials=2, others={2: answers(2, symbols=SYMBOLS[:4])})
    assert "1 other trial made less than 90% of these decisions: counted, and not compared." in found.words()
    assert found.overfitting is None


def test_a_panel_has_a_cross_section_and_a_few_companies_a_reason(store: ImageStore) -> None:
    whole = evaluate_study(answers(1), store, TradingSettings()).record()["cross_section"]
    assert whole["judged_sessions"] == LAST - FIRST
    assert whole["information"] is not None
    few = evaluate_study(answers(1, symbols=SYMBOLS[:3]), store, TradingSettings())
    assert "No cross-section of cnn: no session has 10 companies, the most is 3." in few.words()


def test_the_value_that_is_traded_is_placed_on_the_sessions_of_prices() -> None:
    days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    prices = SessionPrices(days, ("A", "B"), np.ones((3, 2)), np.ones((3, 2)))
    bars = pd.DataFrame(
        {"symbol": ["B", "A", "Z", "A"], "date": [*days[[0, 2, 1]], np.datetime64("2019-12-31")],
         "close": [2.0, 3.0, 9.0, 9.0], "volume": [10, 100, 1, 1]}
    )  # fmt: skip
    found = dollar_volume(bars, prices)
    np.testing.assert_array_equal(found, [[np.nan, 20.0], [np.nan, np.nan], [300.0, np.nan]])


def test_the_tear_sheet_says_how_many_trials_there_were_and_what_the_words_say(store: ImageStore) -> None:
    found = evaluate_study(answers(1), store, TradingSettings(), trials=3, others={2: answers(2)})
    sheet = sheet_of(found, TradingSettings(), "today's members")
    assert sheet is not None
    assert sheet.facts["Trials"] == "3"
    assert set(sheet.benchmarks) == {"buy and hold", "equal weight"}
    assert "today&#39;s members" in render_tear_sheet(sheet)


def test_a_store_without_prices_has_scores_and_no_tear_sheet(tmp_path: Path) -> None:
    bare = make_store(
        tmp_path / "s.zarr", sessions(SESSIONS), lambda *_: blank() + 0.5, LABELS,
        features={name: np.full((SESSIONS, 2), 0.5) for name in SYMBOLS},
    )  # fmt: skip
    found = evaluate_study(answers(1), bare, TradingSettings())
    assert found.trading.unavailable
    assert found.sharpe is found.section is found.overfitting is None
    assert sheet_of(found, TradingSettings(), "") is None
    assert found.card.lines
