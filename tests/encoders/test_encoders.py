from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.data.calendar import session_calendar
from finnex.data.panel import CHART_STEP, price_bars
from finnex.encoders import ENCODERS, Candlestick, Delta, Encoder, EventProximity, Gramian, Heatmap, Markov, Recurrence
from finnex.encoders.delta import changes
from finnex.encoders.gramian import field
from finnex.encoders.markov import transitions
from finnex.encoders.recurrence import distances
from finnex.errors import LayoutError

NO_BARS = np.full((3, 6), np.nan, dtype=np.float32)
FEATURES = {"heatmap": 5, "delta": 5, "event_proximity": 4, "candlestick": 0}  # what a test hands an encoder; else one
CASES: dict[str, Encoder] = {
    **{name: kind() for name, kind in ENCODERS.items()},
    "gramian difference": Gramian(method="difference"),
    "delta of one session": Delta(session_px=2, lag_sessions=1),
    "candlestick of large dots": Candlestick(session_px=10, dot_px=2, style="candle", moving_average=0.4),
}


def window(rng: np.random.Generator, name: str, sessions: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Values and bars that differ everywhere."""
    values = rng.uniform(0.02, 1, (sessions, FEATURES.get(name.split(maxsplit=1)[0], 1))).astype(np.float32)
    prices = np.sort(rng.normal(0, 0.02, (sessions, 4)), axis=1)[:, [1, 3, 0, 2]]
    return values, np.column_stack([prices, rng.uniform(size=sessions), rng.normal(0, 0.02, sessions)]).astype(
        "float32"
    )


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


def test_a_markov_field_of_three_sessions_by_hand() -> None:
    # Bins low, low, high: of the two steps out of low one stays and one leaves; no step leaves high.
    np.testing.assert_allclose(transitions(np.array([0.1, 0.2, 0.9]), 2), [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 0]])


def test_a_markov_field_takes_no_step_over_an_unknown_session() -> None:
    field_of_gap = transitions(np.array([0.1, np.nan, 0.9, 0.9]), 2)
    assert np.isnan(field_of_gap[1]).all()
    assert np.isnan(field_of_gap[:, 1]).all()
    np.testing.assert_allclose(field_of_gap[np.ix_([0, 2, 3], [0, 2, 3])], [[0, 0, 0], [0, 1, 1], [0, 1, 1]])


def test_a_markov_field_keeps_the_level() -> None:
    # Moves within one bin of the scale are no moves, at whatever level; a window's own extremes would call them moves.
    assert (transitions(np.array([0.05, 0.15, 0.05, 0.15]), 2) == 1).all()
    assert (transitions(np.array([0.55, 0.65, 0.65, 0.55]), 2) == 1).all()
    assert transitions(np.array([0.45, 0.55, 0.45, 0.55]), 2)[0].tolist() == [0, 1, 0, 1]


def test_a_delta_map_of_three_sessions_by_hand() -> None:
    x = np.array([[0.0, 1.0], [0.25, 0.5], [1.0, np.nan]])
    np.testing.assert_allclose(changes(x, 1), [[np.nan, np.nan], [0.25, -0.5], [0.75, np.nan]])
    np.testing.assert_allclose(changes(x, 1, gain=2.0), [[np.nan, np.nan], [0.5, -1.0], [1.0, np.nan]])
    tile = Delta(session_px=1, lag_sessions=1).draw(bright(x), NO_BARS, height=2)
    np.testing.assert_allclose(tile, bright([[np.nan, 0.625, 0.875], [np.nan, 0.25, np.nan]]), atol=1e-6)


def test_no_change_is_drawn_in_the_middle_of_the_scale() -> None:
    tile = Delta(session_px=1, lag_sessions=1, gain=16.0).draw(bright([[0.3], [0.3]]), NO_BARS[:2], height=1)
    assert tile[0, 1] == pytest.approx(0.51)


@pytest.fixture(scope="module")
def pyts() -> Iterator[ModuleType]:
    """An independent implementation, interpreted: compiling it takes a minute."""
    numba = pytest.importorskip("numba")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        yield pytest.importorskip("pyts.image")


@pytest.mark.parametrize("method", ["summation", "difference"])
def test_the_gramian_field_agrees_with_pyts(method: str, pyts: ModuleType) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 56)
    theirs = pyts.GramianAngularField(sample_range=None, method=method).transform(x[None])[0]
    np.testing.assert_allclose(field(x, method), theirs, atol=1e-6)


def test_the_recurrence_plot_agrees_with_pyts(pyts: ModuleType) -> None:
    x = np.random.default_rng(0).uniform(0, 1, 56)
    np.testing.assert_allclose(distances(x), pyts.RecurrencePlot().transform(x[None])[0], atol=1e-6)


@pytest.mark.parametrize("n_bins", [2, 5, 8])
def test_the_markov_field_agrees_with_pyts(n_bins: int, pyts: ModuleType) -> None:
    x = np.random.default_rng(n_bins).uniform(0, 1, 56)
    x[[7, 30]] = 0.0, 1.0  # pyts cuts between a window's own extremes: here they are those of the whole scale
    theirs = pyts.MarkovTransitionField(n_bins=n_bins, strategy="uniform").transform(x[None])[0]
    np.testing.assert_allclose(transitions(x, n_bins), theirs, atol=1e-6)


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


@pytest.mark.parametrize("style", ["ohlc", "candle"])
@pytest.mark.parametrize("rise", [-0.3, 0.3])
def test_a_window_that_begins_without_a_bar_is_drawn_wherever_prices_go_then(style: str, rise: float) -> None:
    bars = np.array([[rise, rise + 0.02, rise - 0.02, rise, 0.5, 0.0]] * 6, dtype=np.float32)
    bars[0] = np.nan
    chart = Candlestick(session_px=9, style=style, moving_average=0.3)
    tile = chart.draw(np.empty((6, 0), dtype=np.float32), bars, height=170)
    assert np.isnan(tile[:, :9]).all()
    assert not np.isnan(tile[:, 9:]).any()
    assert (tile[:, 9:] > np.float32(0.02)).any(axis=0).sum() >= 5


def test_a_candle_of_its_own_style_has_a_body_from_open_to_close_around_its_wick() -> None:
    bars = np.array([[0, 0, 0, 0, 0.5, 0], [0.25, 1, 0, 0.75, 1.0, 0]], dtype=np.float32)
    chart = Candlestick(session_px=7, style="candle", volume_share=0.0)
    tile = chart.draw(np.empty((2, 0), dtype=np.float32), bars, height=5)[:, 7:] > np.float32(0.02)
    assert tile[:, 3].all()
    assert tile[:, [1, 2, 4, 5]].tolist() == [[False] * 4, [True] * 4, [True] * 4, [True] * 4, [False] * 4]
    assert not tile[:, [0, 6]].any()


def test_a_channel_can_hide_the_falling_sessions() -> None:
    _, bars = window(np.random.default_rng(3), "candlestick")
    tile = Candlestick(falling=0.02).draw(np.empty((20, 0), dtype=np.float32), bars, height=60)
    lit = (tile > np.float32(0.02)).reshape(60, 20, 3).any(axis=(0, 2))
    np.testing.assert_array_equal(lit, bars[:, 3] >= bars[:, 0])


def test_the_moving_average_runs_through_its_level_and_breaks_where_it_is_not_known() -> None:
    # Closes stay at 0 in a range of -1 to 1; the average stands at 0.5, a quarter down from the top.
    bars = np.tile(np.array([0, 1, -1, 0, 0.0, 0.5], dtype=np.float32), (4, 1))
    bars[2, 5] = np.nan
    draw = Candlestick(session_px=3, volume_share=0.0, moving_average=0.75).draw
    tile = draw(np.empty((4, 0), dtype=np.float32), bars, height=9)
    line = tile == np.float32(0.75)
    assert np.flatnonzero(line.any(axis=1)).tolist() == [2]
    assert np.flatnonzero(line[2]).tolist() == [2, 3]  # strokes stand on 1 and 4; unknown from 5 on
    assert (draw(np.empty((4, 0), dtype=np.float32), bars[:, :5], height=9) != np.float32(0.75)).all()


def test_a_chart_of_larger_dots_is_the_small_chart_enlarged() -> None:
    _, bars = window(np.random.default_rng(4), "candlestick")
    nothing = np.empty((20, 0), dtype=np.float32)
    small = Candlestick(session_px=3, moving_average=1.0).draw(nothing, bars, height=64)
    large = Candlestick(session_px=24, dot_px=8, moving_average=1.0).draw(nothing, bars, height=512)
    np.testing.assert_array_equal(large, np.repeat(np.repeat(small, 8, axis=0), 8, axis=1))


def test_an_event_ramp_reaches_as_far_as_the_event_is_near() -> None:
    near = np.array([[0.5, 1.0], [1.0, 0.5], [0.1, np.nan]], dtype=np.float32)  # pairs: to the next, since the last
    tile = EventProximity(session_px=1).draw(near, NO_BARS, height=4)
    dark = np.float32(0.02)
    assert tile[:, 0].tolist() == [dark, 0.5, 1.0, 1.0]  # half way to the next above, just happened below
    assert tile[:, 1].tolist() == [1.0, 1.0, 0.5, dark]
    assert tile[:2, 2].tolist() == [dark, dark]
    assert np.isnan(tile[2:, 2]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), holes=st.floats(0, 1), name=st.sampled_from(sorted(CASES)))
def test_every_encoder_stays_in_range_and_says_not_known_for_nothing_known(seed: int, holes: float, name: str) -> None:
    rng = np.random.default_rng(seed)
    encoder = CASES[name]
    values, bars = window(rng, name)
    values[rng.uniform(size=values.shape) < holes] = np.nan
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
        lambda: Markov(n_bins=1),
        lambda: Markov(n_bins=33),
        lambda: Markov(n_bins=8.0),
        lambda: Delta(lag_sessions=2),
        lambda: Delta(gain=0.5),
        lambda: Delta(gain=float("nan")),
        lambda: Candlestick(style="candles"),
        lambda: Candlestick(session_px=3, style="candle"),
        lambda: Candlestick(falling=0.0),
        lambda: Candlestick(moving_average=0.01),
        lambda: Candlestick(session_px=8, dot_px=3),
        lambda: Heatmap(session_px="9"),
        lambda: Heatmap(session_px=True),
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
    assert Markov().accepts(2)
    assert Delta().accepts(0)


def test_all_parameters_that_are_wrong_are_listed() -> None:
    with pytest.raises(LayoutError, match=r"volume_share 0.9.*falling 2.0.*moving_average -1.0"):
        Candlestick(volume_share=0.9, falling=2.0, moving_average=-1.0)


def named(encoder: Encoder, features: int, feature: int, lag: int) -> np.ndarray:
    """Pixels of 31 rows and 20 sessions whose origin names a cell."""
    origin = encoder.origin(20, features, 31)
    return (origin.feature == feature) & ((origin.lag == lag) | (origin.lag_other == lag))


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_origin_covers_every_pixel_and_names_what_there_is(name: str) -> None:
    values, bars = window(np.random.default_rng(0), name)
    features = values.shape[1]
    origin = CASES[name].origin(20, features, 31)
    shape = CASES[name].draw(values, bars, 31).shape
    assert origin.feature.shape == origin.lag.shape == origin.lag_other.shape == shape
    assert set(np.unique(origin.feature)) == (set(range(features)) or {-1})
    assert set(np.unique(origin.lag)) == set(range(20))
    assert (np.diff(origin.lag, axis=1) <= 0).all()  # the newest session is at the right
    assert (origin.lag_other >= -1).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), name=st.sampled_from(sorted(CASES)), lag=st.integers(0, 19), pick=st.integers(0, 9))
def test_the_pixels_that_an_unknown_cell_darkens_are_those_that_name_it(
    seed: int, name: str, lag: int, pick: int
) -> None:
    values, bars = window(np.random.default_rng(seed), name)
    encoder, features = CASES[name], values.shape[1]
    before = np.isnan(encoder.draw(values, bars, 31))
    feature = pick % features if features else -1
    if features:
        values[19 - lag, feature] = np.nan
    else:
        bars[19 - lag] = np.nan
    after = np.isnan(encoder.draw(values, bars, 31))
    darkened = after & ~before
    assert darkened.any()
    np.testing.assert_array_equal(darkened, named(encoder, features, feature, lag) & ~before)


EXACT = sorted(name for name, encoder in CASES.items() if not encoder.origin(2, 2, 2).whole_window)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), name=st.sampled_from(EXACT), lag=st.integers(0, 19), pick=st.integers(0, 9))
def test_the_pixels_that_a_changed_value_moves_are_those_that_name_it(
    seed: int, name: str, lag: int, pick: int
) -> None:
    values, bars = window(np.random.default_rng(seed), name)
    encoder, features = CASES[name], values.shape[1]
    feature = pick % features
    before = encoder.draw(values, bars, 31)
    moved = np.zeros(before.shape, dtype=bool)
    for value in (0.02, 0.37, 0.71, 1.0):  # one value may look like another in a pixel: cos 0 = cos 2 pi
        other = values.copy()
        other[19 - lag, feature] = value
        moved |= (before != encoder.draw(other, bars, 31)) & ~np.isnan(before)
    wanted = named(encoder, features, feature, lag) & ~np.isnan(before)
    if name in {"recurrence", "gramian difference"}:
        origin = encoder.origin(20, features, 31)
        wanted &= origin.lag != origin.lag_other  # a session beside itself always looks the same
    np.testing.assert_array_equal(moved, wanted)


@pytest.mark.parametrize("name", sorted(set(CASES) - set(EXACT)))
def test_an_encoder_says_when_other_sessions_of_the_window_move_a_pixel(name: str) -> None:
    values, bars = window(np.random.default_rng(8), name)
    encoder, features = CASES[name], values.shape[1]
    before = encoder.draw(values, bars, 31)
    if features:
        values[10] = 1.02 - values[10]
    else:
        bars[10, 1] = 0.5
    changed = before != encoder.draw(values, bars, 31)
    assert (changed & ~named(encoder, features, 0 if features else -1, 9)).any()


def test_the_moving_average_of_the_bars_is_causal_free_of_scale_and_known_after_20_closes() -> None:
    rng = np.random.default_rng(11)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, 80)))
    table = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": 1e6})
    calendar = session_calendar("XNYS", date(2015, 1, 2), date(2015, 12, 31))
    average = price_bars(table, calendar)[:80, 5]
    assert np.isnan(average[:19]).all()
    expected = [np.log(close[t - 19 : t + 1].mean() / close[t - 1]) for t in range(19, 80)]
    np.testing.assert_allclose(average[19:], expected, atol=2 * CHART_STEP)  # two levels and a join of quarters
    np.testing.assert_array_equal(price_bars(table[:60], calendar)[:60, 5], average[:60])
    split = table.assign(close=close / 7, open=close / 7, high=close / 7, low=close / 7)
    np.testing.assert_array_equal(price_bars(split, calendar), price_bars(table, calendar))
    long_ago = table.copy()
    long_ago.loc[1, "close"] = 5000.0
    np.testing.assert_array_equal(price_bars(long_ago, calendar)[21:80, 5], average[21:])


def test_a_chart_of_rounded_levels_does_not_drift() -> None:
    """Its steps add up to the move of the whole window, however many there are."""
    close = 50 * np.exp(np.cumsum(np.random.default_rng(12).normal(0, 0.001, 240)))
    table = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": 1e6})
    calendar = session_calendar("XNYS", date(2015, 1, 2), date(2015, 12, 31))
    moves = price_bars(table, calendar)[1:240, 3].astype(np.float64)
    np.testing.assert_allclose(np.cumsum(moves), np.log(close[1:] / close[0]), atol=3 * CHART_STEP)
