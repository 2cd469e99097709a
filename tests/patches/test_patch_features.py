"""What is said of a patch is what its definition says, is known at its session, and differs as it should."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config import Config
from finnex.data.panel import Panel, make_panel
from finnex.errors import LayoutError
from finnex.images.render import Renderer
from finnex.layout import load_layout
from finnex.patches import estimators as estimate
from finnex.patches.describe import (
    ENHANCED_FIELDS,
    METADATA_FIELDS,
    MarketContext,
    PatchDescription,
    describe,
    generate_enhanced_patch_features,
)
from finnex.patches.features import ENHANCED, PAST
from finnex.patches.grid import extract_patches, patch_grid
from finnex.patches.neighbors import spatial_neighbors
from finnex.patches.patch_metadata import ATTENTION, METADATA
from finnex.patches.patch_panel import PatchPanel, decoded_panel
from finnex.patches.patch_signals import COMPOSITES, KINDS, directions, kind, mask
from finnex.patches.shown import PRICE_BARS, shown
from finnex.pipeline import read_run

MEGA = load_layout("mega")
GRID = patch_grid(MEGA)
NUMBERS = {**METADATA, **ENHANCED}
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def sample_panel(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Panel:
    document = {"inputs": dict(sample_inputs), "symbols": ("NVDA",)}
    config = Config.model_validate(document | {"store": {"path": tmp_path_factory.mktemp("p") / "s.zarr"}})
    run = read_run(config)
    return make_panel(run.tables, config, "NVDA", run.layout.catalogue.entries)


@pytest.fixture(scope="module")
def panel(sample_panel: Panel) -> PatchPanel:
    return PatchPanel(sample_panel.calendar.days, sample_panel.normalized)


@pytest.fixture(scope="module")
def draw(sample_panel: Panel) -> Callable[[int], npt.NDArray[np.float32]]:
    def image(row: int) -> npt.NDArray[np.float32]:
        window = slice(row - 55, row + 1)
        return Renderer(MEGA).draw(sample_panel.normalized[window], sample_panel.bars[window])[0]

    return image


@pytest.fixture(scope="module")
def described(panel: PatchPanel) -> PatchDescription:
    return describe(GRID, panel, panel.days[400:440])


def noise(sessions: int, unknown: float, seed: int = 0) -> PatchPanel:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.02, 1, (sessions, len(MEGA.catalogue.names))).astype(np.float32)
    values[rng.random(values.shape) < unknown] = np.nan
    return PatchPanel(np.datetime64("2015-01-01") + np.arange(sessions), values)


# ---- the specification's names, each documented ------------------------------------------------------------


def test_the_specifications_names_are_all_there() -> None:
    assert set(ENHANCED_FIELDS) == {
        "patch_section", "spatial_neighbors", "section_importance", "sentiment_momentum", "price_sentiment_coupling",
        "regime_transition_signals", "macro_micro_alignment", "fundamental_technical_convergence",
        "behavioral_rational_divergence", "momentum_divergence_signals", "mean_reversion_potential",
        "breakout_probability", "volatility_expansion_risk",
    }  # fmt: skip
    assert set(METADATA_FIELDS) == {
        "aggregated_sentiment", "sentiment_volatility", "news_intensity", "social_engagement",
        "sentiment_price_correlation", "momentum_signals", "regime_context", "patch_section", "spatial_coordinates",
    }  # fmt: skip


def test_every_name_that_a_definition_uses_is_in_the_catalogue() -> None:
    names = set(MEGA.catalogue.names)
    assert names >= {name for features in COMPOSITES.values() for name in features}
    assert names >= {name for features in ATTENTION.values() for name in features}
    assert PRICE_BARS in names
    assert {kind(entry) for entry in MEGA.catalogue.entries} == set(KINDS)
    assert all(MEGA.catalogue.find(name).direction != "none" for names in COMPOSITES.values() for name in names)


def test_the_page_says_of_every_number_what_the_code_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "patches.md").read_text(encoding="utf-8")
    for name, one in NUMBERS.items():
        high = f"{one.high:.2f}".rstrip("0").rstrip(".")
        assert (
            f"| `{name}` | {one.meaning} | {one.low:g} to {high} | {one.unknown} | {one.source} | {one.per} |" in page
        )
    for name in ("patch_section", "spatial_neighbors", "regime_context", "spatial_coordinates"):
        assert f"| `{name}` |" in page


# ---- nothing from the future ------------------------------------------------------------------------------


def cut(panel: PatchPanel, row: int) -> PatchPanel:
    return PatchPanel(panel.days[: row + 1], panel.brightness[: row + 1])


def scrambled(panel: PatchPanel, row: int) -> PatchPanel:
    later = panel.brightness.copy()
    later[row + 1 :] = np.random.default_rng(5).permutation(later[row + 1 :], axis=1)
    return PatchPanel(panel.days, later)


@pytest.mark.parametrize("alter", [cut, scrambled])
def test_no_bit_of_a_description_comes_from_a_later_session(
    panel: PatchPanel, alter: Callable[[PatchPanel, int], PatchPanel]
) -> None:
    days = panel.days[398:421]
    whole = describe(GRID, panel, days)
    for place in (0, 11, 22):
        alone = describe(GRID, alter(panel, 398 + place), days[: place + 1])
        for name, values in alone.columns.items():
            assert values[place].tobytes() == whole.columns[name][place].tobytes(), name
        np.testing.assert_array_equal(alone.regime[place], whole.regime[place])


def test_an_earlier_session_is_in_the_description_of_a_later_one(panel: PatchPanel) -> None:
    """The test above would pass for a description of nothing: a change within reach must show."""
    row = 420
    changed = panel.brightness.copy()
    changed[row - 6 : row] = np.random.default_rng(1).permutation(changed[row - 6 : row], axis=1)
    one = describe(GRID, panel, panel.days[[row]])
    other = describe(GRID, PatchPanel(panel.days, changed), panel.days[[row]])
    differ = {name for name in NUMBERS if not np.array_equal(one.columns[name], other.columns[name], equal_nan=True)}
    assert differ == set(NUMBERS)


def test_a_description_does_not_depend_on_which_other_sessions_are_asked_for(panel: PatchPanel) -> None:
    days = panel.days[[300, 390, 420]]
    together = describe(GRID, panel, days)
    for place in range(3):
        alone = describe(GRID, panel, days[[place]])
        for name, values in alone.columns.items():
            assert values[0].tobytes() == together.columns[name][place].tobytes(), name


# ---- ranges and not known ---------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.integers(1, 230), st.integers(0, 99))
def test_no_number_leaves_its_range_whatever_is_known(unknown: float, sessions: int, seed: int) -> None:
    made = noise(sessions, unknown, seed)
    found = describe(GRID, made, made.days[-2:])
    for name, values in found.columns.items():
        assert values.shape == (min(2, sessions), 256)
        known = values[~np.isnan(values)]
        assert ((known >= NUMBERS[name].low - 1e-6) & (known <= NUMBERS[name].high + 1e-6)).all(), name
        assert unknown < 1 or len(known) == 0, name
    assert unknown < 1 or (found.regime == -1).all()


def test_without_sentiment_only_what_needs_sentiment_is_unknown(panel: PatchPanel) -> None:
    silent = panel.brightness.copy()
    silent[:, [kind(entry) == "behavioral" for entry in MEGA.catalogue.entries]] = np.nan
    found = describe(GRID, PatchPanel(panel.days, silent), panel.days[[420]]).columns
    nothing = {name for name, values in found.items() if np.isnan(values).all()}
    assert nothing == {
        "aggregated_sentiment", "sentiment_volatility", "news_intensity", "social_engagement",
        "sentiment_price_correlation", "sentiment_momentum", "price_sentiment_coupling", "regime_transition_signals",
        "behavioral_rational_divergence",
    }  # fmt: skip


def test_a_layout_without_sentiment_says_nothing_of_it() -> None:
    grid = patch_grid(load_layout("price_only"))
    made = noise(200, 0.0)
    found = describe(grid, made, made.days[-1:]).columns
    for name in ("aggregated_sentiment", "sentiment_volatility", "sentiment_momentum", "price_sentiment_coupling"):
        assert np.isnan(found[name]).all()
    assert not np.isnan(found["breakout_probability"]).any()


def test_a_catalogue_that_lacks_a_feature_leaves_it_out(panel: PatchPanel) -> None:
    kept = [entry for entry in MEGA.catalogue.entries if entry.name not in {"regime_calm", "fear_greed", "return_1"}]
    catalogue = replace(MEGA.catalogue, entries=tuple(kept))
    features = {entry.name for entry in kept}
    regions = tuple(
        replace(region, features=tuple(name for name in region.features if name in features)) for region in MEGA.regions
    )
    layout = replace(MEGA, catalogue=catalogue, regions=regions)
    columns = [MEGA.catalogue.position[entry.name] for entry in kept]
    found = describe(patch_grid(layout), PatchPanel(panel.days, panel.brightness[:, columns]), panel.days[[420]])
    assert (found.regime == -1).all()
    assert np.isnan(found.columns["price_sentiment_coupling"]).all()
    assert not np.isnan(found.columns["macro_micro_alignment"]).all()


# ---- what differs, and from what --------------------------------------------------------------------------


def test_numbers_differ_between_sessions_and_between_the_patches_of_one(described: PatchDescription) -> None:
    for name, values in described.columns.items():
        assert len(np.unique(values[:, 70])) > 10, f"{name} never changes"
        distinct = len(np.unique(values[20][~np.isnan(values[20])]))
        if NUMBERS[name].per == "patch":
            assert distinct > 100, f"{name} has {distinct} values over 256 patches"
        else:
            assert 3 <= distinct <= 100, name
    for name in ("section_importance",):
        for section in range(3):
            assert len(np.unique(described.columns[name][20, GRID.section_of == section])) == 1
        shares = [described.columns[name][:, first] for first in (0, 80, 176)]
        np.testing.assert_allclose(np.sum(shares, axis=0), 1, atol=1e-6)


def test_a_sessions_own_figures_are_the_same_in_patches_that_look_at_the_same_sessions(
    described: PatchDescription,
) -> None:
    for name in ("regime_transition_signals", "momentum_signals", "news_intensity", "sentiment_price_correlation"):
        values = described.columns[name].reshape(-1, 16, 16)
        assert np.unique(values[:, :5], axis=1).shape[1] == 1  # five rows of macro patches, one figure a column
        assert np.array_equal(values[:, 11], values[:, 15])


def test_a_patch_on_the_left_says_what_the_patch_on_the_right_said_then(panel: PatchPanel) -> None:
    """Same rows of a region across the canvas: column 15 shows sessions 2 to 0, column 6 those of 34 to 31 before."""
    now, then = GRID.at(12, 6), GRID.at(12, 15)
    assert (now.lags, then.lags) == ((31, 34), (0, 2))
    left = describe(GRID, panel, panel.days[[440]], only=now.number).columns
    right = describe(GRID, panel, panel.days[[440 - 31]], only=then.number).columns
    for name in set(ENHANCED) - {"section_importance"}:
        assert left[name][0, 0] == pytest.approx(right[name][0, 0], abs=1e-6, nan_ok=True), name


def test_stress_counts_against_and_attention_for_nothing(panel: PatchPanel) -> None:
    signed = directions(panel, MEGA)
    position = MEGA.catalogue.position
    stress, greed = position["volatility_20"], position["fear_greed"]
    np.testing.assert_allclose(signed[:, stress], 1 - 2 * (panel.brightness[:, stress] - 0.02) / 0.98, atol=1e-6)
    np.testing.assert_allclose(signed[:, greed], 2 * (panel.brightness[:, greed] - 0.02) / 0.98 - 1, atol=1e-6)
    assert np.isnan(signed[:, position["news_volume"]]).all()


# ---- definitions against what they say ---------------------------------------------------------------------


def test_aggregated_sentiment_is_the_mean_of_the_patchs_sentiment_pixels(
    panel: PatchPanel, draw: Callable[[int], npt.NDArray[np.float32]]
) -> None:
    row = 430
    found = describe(GRID, panel, panel.days[[row]]).columns["aggregated_sentiment"][0]
    image, wanted = draw(row), mask(MEGA, "behavioral")
    for patch in (GRID.at(1, 7), GRID.at(6, 2), GRID.at(7, 5), GRID.at(11, 15)):
        square = (slice(*patch.rows), slice(*patch.columns))
        feature = GRID.pixels.feature[square]
        counted = (feature >= 0) & wanted[feature] & (image[square] > 0) & (GRID.pixels.lag[square] >= 0)
        pixels = image[square][counted]
        assert len(pixels) > 200
        assert found[patch.number] == pytest.approx((2 * (pixels.astype(float) - 0.02) / 0.98 - 1).mean(), abs=1e-5)


def one_patch(number: int) -> tuple[dict[str, float], npt.NDArray[np.int64]]:
    """Share of each feature in what a patch shows, on the newest session it shows."""
    newest = shown(GRID).newest
    own = newest.patch == number
    names = [MEGA.catalogue.names[i] for i in newest.feature[own]]
    return dict(zip(names, newest.pixels[own].astype(float), strict=True)), newest.lag[own]


def test_definitions_of_a_patch_by_hand(panel: PatchPanel) -> None:
    """Patch (12, 15): management, statements and competition on the image's own session."""
    patch, row = GRID.at(12, 15), 440
    weights, lags = one_patch(patch.number)
    assert set(lags.tolist()) == {0}
    signed = pd.DataFrame(directions(panel, MEGA), columns=list(MEGA.catalogue.names)).iloc[: row + 1]

    def own(*kinds: str) -> pd.Series[float]:
        names = [name for name in weights if kind(MEGA.catalogue.find(name)) in kinds and signed[name].notna().any()]
        share = pd.DataFrame({name: weights[name] * signed[name].notna() for name in names})
        total: pd.Series[float] = (signed[names].fillna(0.0) * share).sum(axis=1) / share.sum(axis=1)
        return total

    def session(name: str) -> pd.Series[float]:
        mean: pd.Series[float] = signed[list(COMPOSITES[name])].mean(axis=1)
        return mean

    mood, tone = own("behavioral"), own(*KINDS)
    change, gap = mood.diff(), (own("fundamental") - own("technical")).abs()
    price = signed[PRICE_BARS]
    time_axis = pd.Series(np.arange(len(tone)), dtype="float64")
    expected = {
        "sentiment_momentum": mood.iloc[-5:].mean() - mood.iloc[-20:].mean(),
        "sentiment_volatility": change.iloc[-20:].std(),
        "price_sentiment_coupling": change.iloc[-20:].corr(signed["return_1"].iloc[-20:]),
        "macro_micro_alignment": 1 - abs(tone.iloc[-1] - session("macro").iloc[-1]),
        "fundamental_technical_convergence": (gap.iloc[-21] - gap.iloc[-1]) / 2,
        "behavioral_rational_divergence": (mood.iloc[-1] - own("macro", "fundamental").iloc[-1]) / 2,
        "momentum_divergence_signals": (
            tone.iloc[-20:].corr(time_axis.iloc[-20:]) - price.iloc[-20:].corr(time_axis.iloc[-20:])
        ) / 2,
        "momentum_signals": session("technical").iloc[-1],
    }  # fmt: skip
    found = describe(GRID, panel, panel.days[[row]]).columns
    for name, value in expected.items():
        assert found[name][0, patch.number] == pytest.approx(value, abs=1e-5, nan_ok=True), name
    assert not np.isnan([found[name][0, patch.number] for name in set(expected) - {"price_sentiment_coupling"}]).any()


def test_macro_patches_are_held_against_the_share_and_others_against_the_market(panel: PatchPanel) -> None:
    changed = panel.brightness.copy()
    changed[:, [MEGA.catalogue.position[name] for name in COMPOSITES["technical"]]] = 1.0
    one = describe(GRID, panel, panel.days[[440]]).columns["macro_micro_alignment"][0]
    other = describe(GRID, PatchPanel(panel.days, changed), panel.days[[440]]).columns["macro_micro_alignment"][0]
    macro = GRID.section_of == 0
    assert (one != other)[macro].all()
    assert (one == other)[GRID.section_of == 2].all()


def test_the_regime_is_the_likeliest_state_of_the_session(panel: PatchPanel, described: PatchDescription) -> None:
    columns = [MEGA.catalogue.position[f"regime_{name}"] for name in ("calm", "normal", "stressed")]
    chance = panel.brightness[400:440, columns]
    chance[:, 2] = 1.02 - chance[:, 2]  # drawn dark where it is likely
    chance = chance.round(5)  # a step is 0.0038: what differs by less is equal, and the first of equals counts
    assert (np.sort(chance)[:, -1] == np.sort(chance)[:, -2]).any()
    np.testing.assert_array_equal(described.regime[:, 79], chance.argmax(axis=1))


# ---- estimators --------------------------------------------------------------------------------------------


def test_windows_agree_with_pandas() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 120, 3))
    a[rng.random(a.shape) < 0.2] = np.nan
    frame_a, frame_b = pd.DataFrame(a), pd.DataFrame(b)
    rolling = frame_a.rolling(20, min_periods=10)
    np.testing.assert_allclose(estimate.mean(a, 20, 10), rolling.mean())
    np.testing.assert_allclose(estimate.spread(a, 20, 10), rolling.std())
    np.testing.assert_allclose(estimate.correlation(a, b, 20, 10), rolling.corr(frame_b))
    ramp = np.repeat(np.arange(120.0)[:, None], 3, axis=1)
    np.testing.assert_allclose(estimate.trend(a, 20, 10), rolling.corr(pd.DataFrame(ramp)))


def autoregressive(coefficient: float, sessions: int, columns: int, seed: int) -> Floats:
    steps = np.random.default_rng(seed).normal(size=(sessions, columns))
    for row in range(1, sessions):
        steps[row] += coefficient * steps[row - 1]
    return steps


def test_reversion_expects_what_a_pulled_series_then_does() -> None:
    series = autoregressive(0.6, 400, 400, 3)
    expected = estimate.reversion(series, 40, 20, 5)[50:-5]
    change = (series[55:] - series[50:-5]).ravel()
    slope = float(np.polyfit(expected.ravel(), change, 1)[0])
    assert 0.85 < slope < 1.15
    walk = autoregressive(1.0, 400, 400, 4)
    assert np.abs(np.mean(estimate.reversion(walk, 40, 20, 5)[50:])) < 0.05
    assert np.mean(np.abs(estimate.reversion(walk, 40, 20, 5)[50:])) < 0.7 * np.mean(np.abs(change))


def happened(series: Floats) -> Floats:
    """Whether each series left the range of its last 20 sessions within the next 5."""
    rolling = pd.DataFrame(series).rolling(20)
    high, low = rolling.max().to_numpy(), rolling.min().to_numpy()
    ahead = np.stack([np.roll(series, -step, axis=0) for step in range(1, 6)])
    return ((ahead.max(axis=0) > high) | (ahead.min(axis=0) < low)).astype(float)


def breakout(series: Floats) -> Floats:
    return estimate.breakout(series, PAST, estimate.autoregression(series, 40, 20)[1])


@pytest.mark.parametrize("coefficient", [1.0, 0.9, 0.7])
def test_breakouts_come_about_as_often_as_their_probability_says(coefficient: float) -> None:
    series = autoregressive(coefficient, 500, 200, 7)
    said = breakout(series)[150:-5].ravel()
    was = happened(series)[150:-5].ravel()
    assert np.mean((said - was) ** 2) < 0.95 * was.mean() * (1 - was.mean()), "no better than the overall frequency"
    for low in np.arange(0.1, 0.9, 0.2):
        these = (said >= low) & (said < low + 0.2)
        if these.sum() > 500:
            assert abs(said[these].mean() - was[these].mean()) < 0.12


def test_a_breakout_is_likelier_the_nearer_the_edge() -> None:
    tail = np.random.default_rng(9).normal(size=(160, 1)).cumsum(axis=0)
    high = tail[-20:].max()
    said = []
    for gap in (0.1, 2.0, 4.0):
        moved = tail.copy()
        moved[-1] = high - gap
        said.append(estimate.breakout(moved, PAST, np.ones(moved.shape))[-1, 0])
    assert said[0] > said[1] > said[2]
    assert breakout(np.zeros((160, 1)))[-1, 0] == 0


def test_larger_changes_come_about_as_often_as_their_probability_says() -> None:
    series = np.random.default_rng(12).standard_t(4, size=(600, 200)).cumsum(axis=0)
    said = estimate.expansion(series, PAST)[150:-5].ravel()
    square = np.diff(series, axis=0, prepend=np.nan) ** 2
    last = pd.DataFrame(square).rolling(20).mean().to_numpy()
    ahead = pd.DataFrame(square).rolling(5).mean().shift(-5).to_numpy()
    was = (ahead > last)[150:-5].ravel().astype(float)
    assert np.mean((said - was) ** 2) < 0.95 * was.mean() * (1 - was.mean()), "no better than the overall frequency"
    for low in np.arange(0.1, 0.9, 0.2):
        these = (said >= low) & (said < low + 0.2)
        if these.sum() > 1000:
            assert abs(said[these].mean() - was[these].mean()) < 0.08


# ---- neighbours --------------------------------------------------------------------------------------------


def pair(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Correlation over the pixels known in both, each channel about its own mean."""
    x, y = [], []
    for channel in range(3):
        known = (a[:, :, channel] > 0) & (b[:, :, channel] > 0)
        one, other = a[known, channel].astype(float), b[known, channel].astype(float)
        if known.any():
            x.append(one - one.mean())
            y.append(other - other.mean())
    left, right = np.concatenate(x), np.concatenate(y)
    return float(left @ right / np.sqrt((left @ left) * (right @ right)))


def test_neighbours_are_compared_pixel_by_pixel(draw: Callable[[int], npt.NDArray[np.float32]]) -> None:
    image = draw(430)
    patches = extract_patches(image).reshape(16, 16, 32, 32, 3)
    found = spatial_neighbors(image[None], 32)[0].reshape(16, 16)
    for row, column in ((0, 0), (5, 5), (8, 3), (15, 9)):
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [place for place in around if min(place) >= 0 and max(place) < 16]
        expected = np.mean([pair(patches[row, column], patches[place]) for place in inside])
        assert found[row, column] == pytest.approx(expected, abs=1e-5)


def test_equal_neighbours_agree_wholly_and_blank_ones_say_nothing() -> None:
    tile = np.random.default_rng(0).uniform(0.02, 1, (32, 32, 3)).astype(np.float32)
    same = np.tile(tile, (4, 4, 1))[None]
    np.testing.assert_allclose(spatial_neighbors(same, 32), 1, atol=1e-6)
    blank = same.copy()
    blank[:, :64] = 0
    assert np.isnan(spatial_neighbors(blank, 32)[0, :4]).all()
    np.testing.assert_allclose(spatial_neighbors(blank, 32)[0, 12:], 1, atol=1e-6)


# ---- one patch, and a panel from pixels --------------------------------------------------------------------


def test_one_patch_gets_the_bits_that_the_whole_data_set_gets(
    panel: PatchPanel, draw: Callable[[int], npt.NDArray[np.float32]]
) -> None:
    image, day = draw(430), panel.days[430]
    whole = describe(GRID, panel, panel.days[425:435]).columns
    context = MarketContext(GRID, panel, day, image)
    for number in (3, 100, 133, 255):
        place = divmod(number, 16)
        patch = extract_patches(image)[number]
        found = generate_enhanced_patch_features(patch, {"section": "any", "coordinates": place}, context)
        assert tuple(found) == ENHANCED_FIELDS
        assert found["patch_section"] == GRID.at(*place).section
        assert found["spatial_neighbors"] == spatial_neighbors(image[None], 32)[0, number]
        for name in ENHANCED:
            assert np.float32(found[name]).tobytes() == whole[name][5, number].tobytes(), name


def test_a_patch_of_another_session_is_refused(
    panel: PatchPanel, draw: Callable[[int], npt.NDArray[np.float32]]
) -> None:
    context = MarketContext(GRID, panel, panel.days[430], draw(430))
    with pytest.raises(LayoutError, match="is not the one at row 6, column 4 of the image of"):
        generate_enhanced_patch_features(extract_patches(draw(431))[100], {"coordinates": (6, 4)}, context)
    with pytest.raises(LayoutError, match="neither 'coordinates' nor 'spatial_coordinates'"):
        generate_enhanced_patch_features(extract_patches(draw(430))[100], {"section": "macro_economic"}, context)
    with pytest.raises(LayoutError, match="the panel has no session 1999-01-04"):
        describe(GRID, panel, np.array(["1999-01-04"], dtype="datetime64[D]"))


def test_images_alone_give_back_the_panel_they_were_drawn_from(
    panel: PatchPanel, draw: Callable[[int], npt.NDArray[np.float32]]
) -> None:
    rows = [430, 431, 436, 520]
    found = decoded_panel((draw(row) for row in rows), panel.days[rows], MEGA)
    np.testing.assert_array_equal(found.days, panel.days[430 - 55 : 521])
    shown_rows = np.concatenate([np.arange(430 - 55, 437), np.arange(520 - 55, 521)])
    at = shown_rows - (430 - 55)
    np.testing.assert_array_equal(found.brightness[at], panel.brightness[shown_rows])


def test_images_that_disagree_on_a_session_are_refused(
    panel: PatchPanel, draw: Callable[[int], npt.NDArray[np.float32]]
) -> None:
    images = [draw(430), draw(431)]
    muted = images[1].copy()
    muted[171:, 171:341, 0] = np.where(muted[171:, 171:341, 0] > 0, 0.51 + 0.7 * (muted[171:, 171:341, 0] - 0.51), 0)
    with pytest.raises(LayoutError, match=r"the image of .* shows social.* an earlier image as .*without blending"):
        decoded_panel([images[0], muted], panel.days[[430, 431]], MEGA)
    with pytest.raises(LayoutError, match="is no session of XNYS"):
        decoded_panel(images, np.array(["2015-01-03", "2015-01-05"], dtype="datetime64[D]"), MEGA)


@pytest.mark.slow
def test_a_year_of_patches_is_described_in_seconds() -> None:
    """Bounded at ten times what a quiet machine takes; docs/patches.md has the figures."""
    made = noise(252 + 196, 0.1)
    image = np.random.default_rng(0).uniform(0.02, 1, (512, 512, 3)).astype(np.float32)
    begun = time.process_time()
    found = describe(GRID, made, made.days[-252:])
    alike = spatial_neighbors(np.broadcast_to(image, (252, 512, 512, 3)), 32)
    assert found.columns["breakout_probability"].size == alike.size == 64_512
    assert time.process_time() - begun < 60
