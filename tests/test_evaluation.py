"""Scores against worked examples and known distributions; the scorecard compares like with like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from stores import sessions

from finnex.errors import TrainingError
from finnex.evaluation import classification_scores, confusion, scorecard
from finnex.evaluation.bootstrap import block_bootstrap

CLASSES = ["p_sell", "p_hold", "p_buy"]


def answers(*codes: int) -> np.ndarray:
    """Probabilities whose largest is the given class."""
    return np.eye(3)[list(codes)] * 0.7 + 0.1


def test_scores_equal_a_worked_example() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    scores = classification_scores(labels, answers(0, 0, 1, 1, 2, 2))
    assert scores.n == 6
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.precision == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert scores.f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert scores.log_loss == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)
    assert confusion(labels, answers(0, 0, 1, 1, 2, 2)).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_an_answer_that_does_not_look_scores_nothing() -> None:
    labels = np.array([0, 1, 1, 2, 1])
    scores = classification_scores(labels, answers(1, 1, 1, 1, 1))
    assert (scores.accuracy, scores.balanced_accuracy, scores.mcc) == (pytest.approx(0.6), pytest.approx(1 / 3), 0.0)


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="0 labels and 0 predictions"):
        classification_scores(np.zeros(0, dtype=int), np.zeros((0, 3)))


def test_the_interval_covers_the_truth_as_often_as_it_says_despite_overlap() -> None:
    """Five-session overlap and two symbols that move as one: an interval over rows would cover far too seldom."""
    rng = np.random.default_rng(0)
    days = np.tile(sessions(400), 2)
    covered = naive = 0
    for trial in range(150):
        shocks = rng.normal(size=404)
        right = (np.convolve(shocks, np.ones(5), "valid") > 0).astype(float)
        values = np.tile(right, 2)
        found = block_bootstrap(values, days, block_sessions=20, draws=300, seed=trial)
        covered += found.low <= 0.5 <= found.high
        margin = 1.96 * values.std() / np.sqrt(len(values))
        naive += abs(values.mean() - 0.5) <= margin
    assert 0.86 <= covered / 150 <= 0.99
    assert naive / 150 < 0.7


def table(model_right: float, n: int = 200, seed: int = 0) -> pd.DataFrame:
    """A predictions table in which the model is right with a given chance, the baselines with a third."""
    rng = np.random.default_rng(seed)
    frames = []
    labels = rng.integers(0, 3, 2 * n)
    for name, chance in (("cnn", model_right), ("majority", None), ("logistic_regression", 1 / 3)):
        if chance is None:
            given = np.ones(2 * n, dtype=int)
        else:
            given = np.where(rng.random(2 * n) < chance, labels, (labels + rng.integers(1, 3, 2 * n)) % 3)
        frame = pd.DataFrame(answers(*given), columns=CLASSES)
        frame["decision_date"] = np.tile(sessions(n), 2)
        frame["symbol"] = np.repeat(["AAA", "BBB"], n)
        frames.append(frame.assign(split="test", model=name, horizon=5, label=labels))
    return pd.concat(frames, ignore_index=True)


def test_a_better_model_is_told_from_its_baselines_and_an_equal_one_is_not() -> None:
    better, equal = scorecard(table(0.6)), scorecard(table(1 / 3, seed=4))
    assert all(gap.low > 0 for gap in better.gaps.values())
    assert all(gap.low < 0 < gap.high for gap in equal.gaps.values())
    assert "beats majority and logistic regression" in better.verdict()
    assert "cannot be told from majority and logistic regression" in equal.verdict()


def test_the_scorecard_counts_sessions_not_only_rows() -> None:
    card = scorecard(table(0.5))
    assert (card.rows, card.sessions) == (400, 200)
    assert [line.model for line in card.lines] == ["cnn", "majority", "logistic_regression"]
    record = card.records()[1]
    assert record["gap"] == pytest.approx(card.lines[0].scores.accuracy - card.lines[1].scores.accuracy)
    assert record["accuracy_low"] < record["accuracy"] < record["accuracy_high"]


def test_the_order_of_rows_does_not_matter() -> None:
    predictions = table(0.5)
    shuffled = predictions.sample(frac=1, random_state=1)
    assert scorecard(predictions).records()[0] == scorecard(shuffled).records()[0]


def test_validation_rows_do_not_touch_the_test_score() -> None:
    predictions = table(0.5)
    extra = table(0.9, seed=9).assign(split="validation")
    assert scorecard(pd.concat([predictions, extra])).records() == scorecard(predictions).records()


def test_models_asked_about_different_sessions_are_not_compared() -> None:
    predictions = table(0.5)
    with pytest.raises(TrainingError, match="not of the same sessions"):
        scorecard(predictions.drop(index=predictions.index[-1]))
    with pytest.raises(TrainingError, match="judges one model"):
        scorecard(predictions, split="lockbox")
