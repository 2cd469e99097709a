"""Scores against worked examples and known distributions; the scorecard compares like with like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from finnex.errors import TrainingError
from finnex.evaluation import classification_scores, confusion, scorecard
from finnex.evaluation.interval import Estimate, Interval, least_sessions, mean_estimate
from finnex.evaluation.metrics import averaged_classes
from finnex.evaluation.verdict import adjusted, verdicts
from tests.helpers.predictions import answers, table
from tests.helpers.stores import sessions


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


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_macro_scores_are_scikit_learns_over_the_classes_that_occur(absent: int) -> None:
    """One class has no session and is answered often; another occurs and is never answered."""
    rng = np.random.default_rng(absent)
    there = [one for one in range(3) if one != absent]
    labels, given = rng.choice(there, 200), rng.choice([absent, there[0]], 200)
    scores = classification_scores(labels, answers(*given))
    assert scores.classes == tuple(there)
    assert scores.balanced_accuracy == scores.recall
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert scores.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, given))
    for name, score in (("precision", scores.precision), ("recall", scores.recall), ("f1", scores.f1)):
        each = getattr(metrics, f"{name}_score")(labels, given, labels=[0, 1, 2], average=None, zero_division=0)
        assert score == pytest.approx(each[there].mean())
        assert score != pytest.approx(each.mean())  # the absent class is not a silent 0
        assert each[there[1]] == 0  # the one that is never answered is one
    names = ["sell", "hold", "buy"]
    words = averaged_classes(scores.classes, names)
    assert words.endswith(f"over {names[there[0]]} and {names[there[1]]}; no session is labelled {names[absent]}.")
    every = classification_scores(np.array([0, 1, 2]), answers(0, 1, 2))
    assert averaged_classes(every.classes, names).endswith("are means over sell, hold and buy.")


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="0 labels and 0 predictions"):
        classification_scores(np.zeros(0, dtype=int), np.zeros((0, 3)))


def test_a_symbol_more_that_moves_as_the_first_makes_no_interval_narrower() -> None:
    values, days = np.random.default_rng(0).normal(size=100), sessions(100)
    one = mean_estimate(values, days, 5).interval()
    two = mean_estimate(np.tile(values, 2), np.tile(days, 2), 5).interval()
    np.testing.assert_allclose([one.low, one.high], [two.low, two.high])


@pytest.mark.parametrize(("horizon", "least"), [(1, 60), (5, 60), (10, 120), (20, 240)])
def test_below_the_least_sessions_there_is_no_interval_and_the_reason_is_said(horizon: int, least: int) -> None:
    assert least_sessions(horizon) == least
    values = np.random.default_rng(0).normal(size=least)
    assert mean_estimate(values, sessions(least), horizon).interval().low is not None
    few = mean_estimate(values[1:], sessions(least - 1), horizon)
    assert few.interval() == Interval(
        values[1:].mean(), None, None,
        f"no interval: {least - 1} sessions, at least {least} are needed at horizon {horizon}",
    )  # fmt: skip
    assert (few.p_above(), few.p_below()) == (1, 1)


def test_what_never_varies_has_no_interval_and_no_verdict() -> None:
    same = mean_estimate(np.ones(100), sessions(100), 5, share=True)
    assert same.interval().reason == "no interval: the same in all 100 sessions"
    assert verdicts({"majority": same}) == {"majority": "open"}
    seldom = mean_estimate((np.arange(100) == 50) * 1.0, sessions(100), 5)
    assert "count as 1, at least 5 are needed at horizon 5" in seldom.interval().reason


def test_the_interval_of_a_share_is_wilsons_and_stays_within_0_and_1() -> None:
    found = mean_estimate((np.arange(100) % 20 == 0) * 1.0, sessions(100), 1, share=True)
    interval = found.interval()
    assert interval.low is not None
    assert interval.high is not None
    n = 1 / found.variance[1]  # independent sessions that these count as
    from scipy.stats import t

    z = t.ppf(0.975, found.freedom)
    middle = (0.05 + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(0.05 * 0.95 / n + z**2 / (4 * n**2))
    np.testing.assert_allclose([interval.low, interval.high], [middle - half, middle + half])


def test_the_step_down_is_holms() -> None:
    assert adjusted({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert adjusted({}) == {}


def test_a_lead_that_would_do_alone_is_open_among_six() -> None:
    lead = Estimate(2.3, (1.0, 0.0, 0.0), 40)
    others = {str(number): Estimate(0.0, (1.0, 0.0, 0.0), 40) for number in range(5)}
    assert verdicts({"majority": lead}) == {"majority": "beats"}
    assert verdicts({"majority": lead, **others})["majority"] == "open"


def test_too_few_sessions_are_said_instead_of_a_verdict() -> None:
    said = scorecard(table(0.6, n=45)).verdict()
    assert said == (
        "On 45 unseen sessions nothing can be said of cnn and its baselines (no interval: 45 sessions, at least 60 are "
        "needed at horizon 5)."
    )


def test_a_better_model_is_told_from_its_baselines_and_an_equal_one_is_not() -> None:
    better, equal = scorecard(table(0.6)), scorecard(table(1 / 3, seed=4))
    assert set(better.words.values()) == {"beats"}
    assert all(gap.low is not None and gap.low > 0 for gap in better.gaps.values())
    assert set(equal.words.values()) == {"open"}
    assert "beats majority and logistic regression" in better.verdict()
    assert "is not clearly different from majority and logistic regression" in equal.verdict()
    assert "is worse than majority and logistic regression" in scorecard(table(0.05)).verdict()


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
