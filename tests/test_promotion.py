"""Who becomes champion: a better log loss with its interval, on sessions that both were asked about."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.evaluation.promotion import LEAST_SESSIONS, decide


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


def test_a_clearly_better_model_is_promoted_with_its_interval() -> None:
    found = decide(answers(LABELS, 0.6, 0.6, 1), answers(LABELS, 0.4, 0.4, 2), horizon=5)
    assert found.promoted
    assert found.log_loss is not None
    assert found.log_loss.high < 0
    assert (found.sessions, found.rows) == (400, 400)


def test_the_same_answers_are_not_better() -> None:
    own = answers(LABELS, 0.5, 0.5, 1)
    found = decide(own, own, horizon=5)
    assert not found.promoted
    assert "not better" in found.reason


def test_a_higher_accuracy_alone_promotes_nobody() -> None:
    # More often right, but so sure of itself that its mistakes cost more than its hits bring.
    found = decide(answers(LABELS, 0.999, 0.62, 1), answers(LABELS, 0.5, 0.5, 2), horizon=5)
    assert found.accuracy is not None
    assert found.accuracy.value > 0.05
    assert not found.promoted


def test_a_lower_accuracy_stands_in_the_way_of_a_better_log_loss() -> None:
    found = decide(answers(LABELS, 0.36, 0.36, 1), answers(LABELS, 0.99, 0.6, 2), horizon=5)
    assert found.log_loss is not None
    assert found.log_loss.high < 0
    assert not found.promoted
    assert "accuracy is lower" in found.reason


def test_too_few_common_sessions_decide_nothing() -> None:
    own = answers(LABELS, 0.9, 0.9, 1, slice(0, 200))
    theirs = answers(LABELS, 0.4, 0.4, 2, slice(200 - LEAST_SESSIONS + 1, None))
    found = decide(own, theirs, horizon=5)
    assert not found.promoted
    assert found.sessions == LEAST_SESSIONS - 1
    assert "needed" in found.reason


@settings(max_examples=15, deadline=None)
@given(seeds=st.integers(2, 5))
def test_a_session_answered_by_several_seeds_is_one_session(seeds: int) -> None:
    own, theirs = answers(LABELS, 0.6, 0.6, 1), answers(LABELS, 0.4, 0.4, 2)
    once = decide(own, theirs, horizon=5, draws=200)
    often = decide(pd.concat([own] * seeds), pd.concat([theirs] * seeds), horizon=5, draws=200)
    assert (once.sessions, once.rows) == (often.sessions, often.rows)
    assert once.log_loss is not None
    assert often.log_loss is not None
    np.testing.assert_allclose([once.log_loss.low, once.log_loss.high], [often.log_loss.low, often.log_loss.high])
