"""Who becomes champion: a better log loss with its interval, on sessions that both were asked about."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.evaluation.promotion_rule import Against, Decision, decide, judge
from finnex.evaluation.trials import TestPart, trial_level


def answers(
    labels: np.ndarray, confidence: float, hit_rate: float, seed: int, sessions: slice = slice(None)
) -> pd.DataFrame:
    """Answers that name the right class at a rate, always equally sure."""
    rng = np.random.default_rng(seed)
    right = rng.random(len(labels)) < hit_rate
    named = np.where(right, labels, (labels + rng.integers(1, 3, len(labels))) % 3)
    said = np.full((len(labels), 3), (1 - confidence) / 2)
    said[np.arange(len(labels)), named] = confidence
    days = np.datetime64("2015-01-02") + np.arange(len(labels))
    table = pd.DataFrame(said, columns=["p_sell", "p_hold", "p_buy"]).assign(
        symbol="A", decision_date=days.astype("datetime64[ms]"), label=labels
    )
    return table[sessions]


LABELS = np.random.default_rng(0).integers(0, 3, 400)


FREQUENCIES = np.bincount(LABELS) / len(LABELS)
MAJORITY = answers(LABELS, 0.4, 0.4, 9).assign(p_sell=FREQUENCIES[0], p_hold=FREQUENCIES[1], p_buy=FREQUENCIES[2])
BASELINES = {"majority": MAJORITY, "persistence": answers(LABELS, 0.36, 1 / 3, 8)}


def decided(own: pd.DataFrame, theirs: pd.DataFrame | None, trial: int = 1) -> Decision:
    return decide(own, theirs, BASELINES, horizon=5, trial=trial)


def test_a_clearly_better_model_is_promoted_with_its_interval() -> None:
    found = decided(answers(LABELS, 0.6, 0.6, 1), answers(LABELS, 0.4, 0.4, 2))
    assert found.promoted
    assert found.log_loss is not None
    assert found.log_loss.high is not None
    assert found.log_loss.high < 0
    assert (found.sessions, found.rows, found.trial, found.level) == (400, 400, 1, trial_level(1))
    assert "beats the majority class and the best simple baseline, persistence" in found.reason


def test_the_first_champion_must_beat_the_majority_and_the_best_simple_baseline() -> None:
    assert decided(answers(LABELS, 0.6, 0.6, 1), None).promoted
    noise = decided(answers(LABELS, 0.4, 1 / 3, 1), None)
    assert not noise.promoted
    assert "it does not beat the majority class, as a champion must" in noise.reason
    strong = BASELINES | {"boosted_trees": answers(LABELS, 0.6, 0.6, 3)}
    found = decide(answers(LABELS, 0.6, 0.6, 1), None, strong, horizon=5, trial=1)
    assert not found.promoted
    assert "it does not beat the best simple baseline, boosted trees" in found.reason


def test_a_refusal_says_whether_the_log_loss_is_lower_or_higher_by_a_positive_number() -> None:
    def said(gain: float) -> str:
        """The reason where the challenger's log loss is less than each baseline's by `gain` in the mean."""
        noise = np.tile([5.0, -5.0], 100)
        days = np.datetime64("2015-01-02") + np.arange(200)
        other = np.full(200, 1.1)
        against = Against(days, noise - gain, np.zeros(200), other)
        found = judge({"majority": against, "persistence": against}, None, horizon=5, trial=1)
        assert not found.promoted
        return found.reason.split("as a champion must: ")[1]

    worse, better, same = said(-0.0412), said(0.0001), said(0.0)
    assert worse.startswith("its log loss is higher by 0.0412 (")
    low, high = re.findall(r"-?[0-9.]+", worse)[1:3]
    assert float(low) < 0.0412 < float(high)
    assert better.startswith("its log loss is lower by 0.0001 (")
    assert same.startswith("its log loss is the same to four decimals, a difference of 0.0000 (")
    assert said(0.00001).startswith("its log loss is the same to four decimals, a difference of 0.0000 (")
    assert said(-0.00001).startswith("its log loss is the same to four decimals, a difference of 0.0000 (")


def test_a_refusal_without_an_interval_says_by_how_much_too() -> None:
    own = answers(LABELS, 0.4, 1 / 3, 1, slice(0, 30))
    found = decided(own, None)
    assert re.search(r"its log loss is higher by 0\.[0-9]{4} \(no interval: 30 sessions", found.reason)


def test_a_later_champion_must_beat_the_baselines_too() -> None:
    found = decided(answers(LABELS, 0.5, 0.36, 1), answers(LABELS, 0.99, 0.34, 2))
    assert not found.promoted
    assert "does not beat the majority class" in found.reason


def test_without_majority_and_another_baseline_there_is_no_champion() -> None:
    for few in ({}, {"majority": MAJORITY}, {"persistence": MAJORITY, "chart": MAJORITY}):
        found = decide(answers(LABELS, 0.6, 0.6, 1), None, few, horizon=5, trial=1)
        assert not found.promoted
        assert "Name 'majority' and another one in [training] baselines" in found.reason


def test_the_same_answers_are_not_better() -> None:
    own = answers(LABELS, 0.6, 0.6, 1)
    found = decided(own, own)
    assert not found.promoted
    assert "not better" in found.reason


def test_a_higher_accuracy_alone_promotes_no_model() -> None:
    # More often right, but so sure of itself that its mistakes cost more than its hits bring.
    found = decided(answers(LABELS, 0.9999, 0.95, 1), answers(LABELS, 0.85, 0.90, 2))
    assert found.accuracy is not None
    assert found.accuracy.value > 0.03
    assert not found.promoted


def test_a_lower_accuracy_stands_in_the_way_of_a_better_log_loss() -> None:
    found = decided(answers(LABELS, 0.5, 0.5, 1), answers(LABELS, 0.99, 0.65, 2))
    assert found.log_loss is not None
    assert found.log_loss.high is not None
    assert found.log_loss.high < 0
    assert not found.promoted
    assert "its accuracy is lower" in found.reason


def test_too_few_common_sessions_decide_nothing() -> None:
    own = answers(LABELS, 0.9, 0.9, 1, slice(0, 200))
    theirs = answers(LABELS, 0.4, 0.4, 2, slice(200 - 59, None))
    found = decided(own, theirs)
    assert not found.promoted
    assert found.sessions == 59
    assert "no interval: 59 sessions, at least 60 are needed at horizon 5" in found.reason


def test_every_trial_of_a_test_part_must_be_clearer_and_all_of_them_spend_what_is_promised() -> None:
    levels = [trial_level(trial) for trial in range(1, 100_000)]
    assert levels == sorted(levels, reverse=True)
    assert 0.0399 < sum(levels) < 0.04
    own, theirs = answers(LABELS, 0.5, 0.5, 1), answers(LABELS, 0.4, 0.4, 2)
    assert decided(own, theirs).promoted
    late = decided(own, theirs, trial=1000)
    assert not late.promoted
    assert "1000th trial of its test part" in late.reason


def test_test_parts_share_dates_or_are_apart() -> None:
    part = TestPart(date(2020, 1, 1), date(2020, 6, 30))
    assert part.shares(TestPart(date(2020, 6, 30), date(2020, 12, 31)))
    assert part.shares(TestPart(date(2019, 1, 1), date(2021, 1, 1)))
    assert not part.shares(TestPart(date(2020, 7, 1), date(2020, 12, 31)))


@settings(max_examples=15, deadline=None)
@given(seeds=st.integers(2, 5))
def test_a_session_answered_by_several_seeds_is_one_session(seeds: int) -> None:
    own, theirs = answers(LABELS, 0.6, 0.6, 1), answers(LABELS, 0.4, 0.4, 2)
    once, often = decided(own, theirs), decided(pd.concat([own] * seeds), pd.concat([theirs] * seeds))
    assert (once.sessions, once.rows) == (often.sessions, often.rows)
    assert once.log_loss is not None
    assert often.log_loss is not None
    np.testing.assert_allclose([once.log_loss.low, once.log_loss.high], [often.log_loss.low, often.log_loss.high])
