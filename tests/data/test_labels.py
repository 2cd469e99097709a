from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finnex.config import HORIZONS, LabelSettings
from finnex.data.labels import BUY, HOLD, KINDS, SELL, UNKNOWN, make_labels

SETTINGS = LabelSettings(volatility_sessions=20)
DAYS = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 120)


def bars_of(close: np.ndarray, *, spread: float = 0.001) -> pd.DataFrame:
    opened = np.concatenate([close[:1], close[:-1]])
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + spread),
            "low": np.minimum(opened, close) * (1 - spread),
            "close": close,
        }
    )


def walk(seed: int, sessions: int = 120) -> pd.DataFrame:
    return bars_of(np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, sessions))))


def test_the_return_enters_at_the_next_open_and_leaves_at_the_close_of_the_horizon() -> None:
    bars = walk(1)
    labels = make_labels(bars, DAYS, SETTINGS)["price_movement"]
    for column, horizon in enumerate(HORIZONS):
        assert np.isclose(labels.outcome[60, column], bars["close"][60 + horizon] / bars["open"][61] - 1, atol=1e-6)
        assert labels.end[60, column] == DAYS[60 + horizon]


def test_the_sign_and_size_of_the_outcome_decide_the_class() -> None:
    bars = walk(2)
    labels = make_labels(bars, DAYS, SETTINGS)["price_movement"]
    volatility = np.log(bars["close"]).diff().rolling(20).std().to_numpy()
    for column, horizon in enumerate(HORIZONS):
        known = labels.label[:, column] != UNKNOWN
        threshold = SETTINGS.threshold_volatility * volatility * np.sqrt(horizon)
        outcome = labels.outcome[:, column]
        expected = np.where(outcome > threshold, BUY, np.where(outcome < -threshold, SELL, HOLD))
        assert (labels.label[known, column] == expected[known]).all()
    assert {SELL, HOLD, BUY} <= set(labels.label[:, 2])


def test_a_future_that_has_not_happened_has_no_label() -> None:
    labels = make_labels(walk(3), DAYS, SETTINGS)
    movement, barrier = labels["price_movement"], labels["triple_barrier"]
    for column, horizon in enumerate(HORIZONS):
        assert (movement.label[-horizon:, column] == UNKNOWN).all()
        assert np.isnat(movement.end[-horizon:, column]).all()
        assert movement.label[-horizon - 1, column] != UNKNOWN
        # A barrier that was touched is known before the horizon is over; one that was not, is not.
        open_still = np.isnat(barrier.end[-horizon:, column])
        assert (barrier.label[-horizon:, column][open_still] == UNKNOWN).all()
        assert (barrier.label[-horizon:, column][~open_still] != HOLD).all()
    assert np.isnat(barrier.end[-1]).all()


def test_a_bar_that_touches_both_barriers_is_the_stop() -> None:
    bars = walk(4)
    bars.loc[61, ["high", "low"]] = [bars["open"][61] * 2, bars["open"][61] / 2]
    labels = make_labels(bars, DAYS, SETTINGS)["triple_barrier"]
    assert (labels.label[60] == SELL).all()
    assert (labels.end[60] == DAYS[61]).all()
    assert (labels.outcome[60] < 0).all()


def test_a_bar_that_opens_beyond_the_barrier_is_left_at_its_open() -> None:
    bars = walk(5)
    bars.loc[62, ["open", "high", "low", "close"]] = bars["open"][61] * np.array([1.5, 1.6, 1.4, 1.5])
    labels = make_labels(bars, DAYS, SETTINGS)["triple_barrier"]
    held = labels.end[60] == DAYS[62]
    assert held[1:].all()
    assert np.allclose(labels.outcome[60][held], 0.5)


def test_a_missing_bar_on_the_way_leaves_no_label() -> None:
    bars = walk(6).drop(index=63)
    labels = make_labels(bars, DAYS, SETTINGS)
    movement = labels["price_movement"].label
    for column, horizon in enumerate(HORIZONS):  # bars on both ends do not make up for one between them
        assert (movement[63 - horizon : 63, column] == UNKNOWN).all()
        assert movement[63 - horizon - 1, column] != UNKNOWN
    barrier = labels["triple_barrier"]
    open_still = barrier.end[60] > DAYS[62]
    assert not open_still.any() or (barrier.label[60][open_still] == UNKNOWN).all()
    assert np.isnan(barrier.outcome[62]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(40, 110))
def test_a_label_that_is_known_never_changes_when_more_days_come(seed: int, cut: int) -> None:
    bars = walk(seed)
    early, late = make_labels(bars[:cut], DAYS[:cut], SETTINGS), make_labels(bars, DAYS, SETTINGS)
    for kind in KINDS:
        known = early[kind].label != UNKNOWN
        assert (late[kind].label[:cut][known] == early[kind].label[known]).all()
        assert (late[kind].outcome[:cut][known] == early[kind].outcome[known]).all()
        assert (late[kind].end[:cut][known] <= DAYS[cut - 1]).all()
        assert (late[kind].end[:cut] > DAYS[:cut, None])[known].all()


@pytest.mark.parametrize("sessions", [10, 19, 505])
def test_a_window_of_volatility_that_gives_none_is_refused(sessions: int) -> None:
    with pytest.raises(ValidationError, match="volatility_sessions"):
        LabelSettings(volatility_sessions=sessions)
