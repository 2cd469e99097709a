from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.encoders import ENCODERS, Candlestick, EventProximity, Gramian, Heatmap, Recurrence
from finnex.encoders.gramian import field
from finnex.encoders.recurrence import distances
from finnex.errors import LayoutError

NO_BARS = np.full((3, 5), np.nan, dtype=np.float32)


def bright(unit: object) -> np.ndarray:
    return (0.02 + 0.98 * np.asarray(unit, dtype=np.float64)).astype(np.float32)


def test_a_heat_map_repeats_each_value_over_its_band_and_its_session() -> None:
    values = bright([[0.0, 1.0], [0.25, 0.75], [0.5, np.nan]])
    tile = Heatmap(session_px=2).draw(values, NO_BARS, height=4)
    expected = np.repeat(np.repeat(values.T, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(tile, expected)


def test_a_gramian_field_of_three_sessions_by_hand() -> None:
    # x = -1, 0, 1 has the angles pi, pi/2, 0: cos(a + b) and sin(a - b) follow without a calculator.
    x = np.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(field(x, "summation"), [[1, 0, -1], [0, -1, 0], [-1, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(field(x, "difference"), [[0, 1, 0], [-1, 0, 1], [0, -1, 0]], atol=1e-12)


def test_a_recurrence_plot_of_three_sessions_by_hand() -> None:
    np.testing.assert_allclose(distances(np.array([0.0, 0.25, 1.0])), [[0, 0.25, 1], [0.25, 0, 0.75], [1, 0.75, 0]])


@pytest.mark.parametrize("method", ["summation", "difference"])
def test_the_gramian_field_agrees_with_pyts(method: str) -> None:
    pyts = pytest.importorskip("pyts.image")
    x = np.random.default_rng(0).uniform(-1, 1, 56)
    theirs = pyts.GramianAngularField(sample_range=None, method=method).transform(x[None])[0]
    np.testing.assert_allclose(field(x, method), theirs, atol=1e-6)


def test_the_recurrence_plot_agrees_with_pyts() -> None:
    pyts = pytest.importorskip("pyts.image")
    x = np.random.default_rng(0).uniform(0, 1, 56)
    np.testing.assert_allclose(distances(x), pyts.RecurrencePlot().transform(x[None])[0], atol=1e-6)


def test_a_candle_has_its_open_left_its_range_in_the_middle_and_its_close_right() -> None:
    # Two sessions: the first flat at the low end, the second rising from 0 to 1 and falling back to 0.5.
    bars = np.array([[0, 0, 0, 0, 0.5], [0, 1, 0, 0.5, 1.0]], dtype=np.float32)
    tile = Candlestick(session_px=3, volume_share=0.0).draw(np.empty((2, 0), dtype=np.float32), bars, height=5)
    paper, up = np.float32(0.02), np.float32(1.0)
    assert tile[:, 3].tolist() == [paper, paper, paper, paper, up]  # open at the bottom row
    assert tile[:, 4].tolist() == [up] * 5  # high to low
    assert tile[:, 5].tolist() == [paper, paper, up, paper, paper]  # close half way


def test_a_falling_session_is_half_as_bright_and_volume_stands_below() -> None:
    bars = np.array([[0, 0, -1, -1, 1.0], [0, 0, -0.5, -0.5, 0.0]], dtype=np.float32)
    tile = Candlestick(session_px=3, volume_share=0.5).draw(np.empty((2, 0), dtype=np.float32), bars, height=8)
    assert set(np.unique(tile)) == {np.float32(0.02), np.float32(0.5)}
    assert (tile[4:, 0] == np.float32(0.5)).all()
    assert (tile[4:7, 3] == np.float32(0.02)).all()


def test_a_session_without_a_bar_is_not_drawn_and_moves_no_other() -> None:
    rng = np.random.default_rng(5)
    bars = np.sort(rng.normal(0, 0.02, (6, 4)), axis=1)[:, [1, 3, 0, 2]]
    full = np.column_stack([bars, rng.uniform(0, 1, 6)]).astype(np.float32)
    hole = full.copy()
    hole[3] = np.nan
    tile = Candlestick().draw(np.empty((6, 0), dtype=np.float32), hole, height=40)
    assert np.isnan(tile[:, 9:12]).all()
    assert not np.isnan(np.delete(tile, slice(9, 12), axis=1)).any()


def test_an_event_ramp_reaches_as_far_as_the_event_is_near() -> None:
    near = np.array([[0.5, 1.0], [1.0, 0.5], [0.1, np.nan]], dtype=np.float32)  # pairs: to the next, since the last
    tile = EventProximity(session_px=1).draw(near, NO_BARS, height=4)
    dark = np.float32(0.02)
    assert tile[:, 0].tolist() == [dark, 0.5, 1.0, 1.0]  # half way to the next above, just happened below
    assert tile[:, 1].tolist() == [1.0, 1.0, 0.5, dark]
    assert tile[:2, 2].tolist() == [dark, dark]
    assert np.isnan(tile[2:, 2]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), holes=st.floats(0, 1), name=st.sampled_from(sorted(ENCODERS)))
def test_every_encoder_stays_in_range_and_says_not_known_for_nothing_known(seed: int, holes: float, name: str) -> None:
    rng = np.random.default_rng(seed)
    encoder = ENCODERS[name]()
    features = {"heatmap": 5, "event_proximity": 4, "candlestick": 0}.get(name, 1)
    values = np.where(rng.uniform(size=(20, features)) < holes, np.nan, rng.uniform(0.02, 1, (20, features))).astype(
        np.float32
    )
    bars = np.concatenate(
        [np.sort(rng.normal(0, 0.02, (20, 4)), axis=1)[:, [1, 3, 0, 2]], rng.uniform(size=(20, 1))], axis=1
    ).astype(np.float32)
    bars[rng.uniform(size=20) < holes] = np.nan
    kept = values.copy(), bars.copy()
    tile = encoder.draw(values, bars, height=30)
    assert tile.shape == (30, 20 * encoder.session_px)
    assert tile.dtype == np.float32
    known = tile[~np.isnan(tile)]
    assert ((known >= np.float32(0.02)) & (known <= 1)).all()
    np.testing.assert_array_equal(tile, encoder.draw(values, bars, height=30))
    np.testing.assert_array_equal(kept[0], values)
    np.testing.assert_array_equal(kept[1], bars)
    nothing = encoder.draw(np.full_like(values, np.nan), np.full_like(bars, np.nan), height=30)
    assert np.isnan(nothing).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Heatmap(session_px=0),
        lambda: Candlestick(session_px=2),
        lambda: Candlestick(volume_share=0.9),
        lambda: Gramian(method="sum"),
    ],
)  # type: ignore[arg-type]
def test_a_parameter_out_of_range_is_refused(make: object) -> None:
    with pytest.raises(LayoutError):
        make()  # type: ignore[operator]


def test_an_encoder_refuses_a_number_of_features_it_cannot_draw() -> None:
    assert Heatmap().accepts(0)
    assert Gramian().accepts(2)
    assert Recurrence().accepts(0)
    assert EventProximity().accepts(3)
    assert Candlestick().accepts(1)
