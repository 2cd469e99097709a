"""Patches tile an image, know what they show, and tell the specification's table from the layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.errors import LayoutError
from finnex.images.decode import feature_map
from finnex.layout import Layout, Section, load_layout
from finnex.patches.grid import (
    extract_patches,
    join_patches,
    patch_grid,
    patch_intelligence_mapping,
)

MEGA = load_layout("mega")
GRID = patch_grid(MEGA)


def the_specifications_function(row: int) -> str:
    if row < 5:
        return "macro_economic"
    if row < 11:
        return "behavioral_technical"
    return "fundamental_competitive"


def test_the_default_layouts_sections_are_the_specifications_function_of_the_row() -> None:
    assert len(GRID) == 256
    assert [patch.section for patch in GRID.patches] == [
        the_specifications_function(divmod(number, 16)[0]) for number in range(256)
    ]
    assert [(patch.row, patch.column) for patch in GRID.patches] == [divmod(number, 16) for number in range(256)]
    assert np.bincount(GRID.section_of).tolist() == [80, 96, 80]


def moved_sections(first: int, second: int) -> Layout:
    """The default layout's pixels under sections that begin at other rows."""
    bounds = [(0, first), (first, second), (second, 512)]
    return replace(MEGA, sections=tuple(Section(f"s{number}", rows) for number, rows in enumerate(bounds)))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 255), st.integers(256, 511), st.sampled_from([32, 64, 128]))
def test_a_patch_belongs_to_the_section_that_holds_most_of_its_rows(first: int, second: int, px: int) -> None:
    layout = moved_sections(first, second)
    of_row = np.searchsorted([first, second], np.arange(512), side="right")
    for patch in patch_grid(layout, px).patches[:: 512 // px]:
        held = np.bincount(of_row[slice(*patch.rows)], minlength=3)
        assert held[int(patch.section[1])] == held.max()


def test_of_two_sections_that_hold_as_many_rows_the_upper_one_counts() -> None:
    assert patch_grid(moved_sections(16, 304)).at(0, 0).section == "s0"
    assert patch_grid(moved_sections(16, 304)).at(9, 0).section == "s1"


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.sampled_from(["f4", "f2", "u1"]),
    st.lists(st.integers(1, 3), max_size=2),
)  # fmt: skip
def test_joining_patches_gives_back_the_image(
    down: int, across: int, px: int, channels: int, dtype: str, lead: list[int]
) -> None:
    shape = (*lead, down * px, across * px, channels)
    images = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    patches = extract_patches(images, px)
    assert patches.shape == (*lead, down * across, px, px, channels)
    np.testing.assert_array_equal(join_patches(patches, across), images)
    np.testing.assert_array_equal(extract_patches(join_patches(patches, across), px), patches)


def test_a_patch_is_the_square_at_its_place() -> None:
    image = np.random.default_rng(1).random((512, 512, 3), dtype=np.float32)
    for patch, cut in zip(GRID.patches, extract_patches(image), strict=True):
        np.testing.assert_array_equal(cut, image[slice(*patch.rows), slice(*patch.columns)])


def test_sizes_that_do_not_tile_the_image_are_refused_with_those_that_do() -> None:
    with pytest.raises(LayoutError, match=r"patches of 30 pixels do not tile.*8, 16, 32, 64"):
        patch_grid(MEGA, 30)
    with pytest.raises(LayoutError, match="patches of 0 pixels"):
        extract_patches(np.zeros((512, 512, 3)), 0)
    with pytest.raises(LayoutError, match="255 patches do not fill"):
        join_patches(np.zeros((255, 32, 32, 3)))
    with pytest.raises(LayoutError, match="row 16, column 0 lies outside the grid; rows run from 0 to 15"):
        GRID.at(16, 0)


def test_a_patch_tells_what_its_pixels_come_from() -> None:
    pixels = feature_map(MEGA)
    for patch in GRID.patches[::7]:
        square = (slice(*patch.rows), slice(*patch.columns))
        lag, feature = pixels.lag[square], pixels.feature[square]
        assert patch.lags == (lag[lag >= 0].min(), lag.max())
        assert set(patch.features) == {MEGA.catalogue.names[i] for i in np.unique(feature) if i >= 0}
        for channel, name in enumerate(MEGA.channels):
            shown = {MEGA.regions[i].name for i in np.unique(pixels.region[square][:, :, channel])}
            assert set(patch.regions[name]) == shown
    chart = GRID.at(7, 1)
    assert chart.regions["green"] == ("price_chart",)
    assert all(name.startswith("news_") or MEGA.catalogue.find(name).region != "news" for name in chart.features)


def test_a_patch_of_nothing_but_margin_shows_no_session() -> None:
    thin = patch_grid(MEGA, 8)
    assert thin.at(0, 63).lags is None
    assert thin.at(0, 63).features == ()
    assert thin.at(0, 62).lags == (0, 0)


KEYS = {"patch_range", "financial_context", "features_encoded", "cnn_learning_target", "interpretation"}


def test_the_specifications_mapping_is_read_off_the_layout() -> None:
    mapping = patch_intelligence_mapping(MEGA)
    assert list(mapping) == ["macro_patches", "behavioral_technical_patches", "fundamental_competitive_patches"]
    assert all(set(entry) == KEYS for entry in mapping.values())
    assert [entry["patch_range"] for entry in mapping.values()] == [
        "rows 0-4 (patches 0-79)", "rows 5-10 (patches 80-175)", "rows 11-15 (patches 176-255)",
    ]  # fmt: skip
    macro, middle, bottom = (entry["features_encoded"] for entry in mapping.values())
    assert {"vix_level", "sector_rotation_20", "rate_10y", "sessions_to_fomc"} <= set(macro)
    assert {"news_tone", "rsi_14", "yang_zhang_20"} <= set(middle)
    assert {"revenue_growth_yoy", "earnings_to_price", "competitive_rank"} <= set(bottom)
    assert set(macro) | set(middle) | set(bottom) == set(MEGA.catalogue.names)
    assert mapping["macro_patches"]["financial_context"].startswith("market environment")
    assert mapping["fundamental_competitive_patches"]["financial_context"].startswith("company health")


def test_another_layout_has_another_mapping() -> None:
    sentiment = patch_intelligence_mapping(load_layout("sentiment_only"))
    assert {entry["financial_context"] for entry in sentiment.values()} == {"investor psychology 100%"}
    (chart,) = patch_intelligence_mapping(load_layout("chart")).values()
    assert chart["features_encoded"] == []
    assert chart["financial_context"] == "price action and momentum 100%"
    moved = patch_intelligence_mapping(moved_sections(40, 72))
    assert [entry["patch_range"] for entry in moved.values()] == [
        "rows 0-0 (patches 0-15)", "rows 1-1 (patches 16-31)", "rows 2-15 (patches 32-255)",
    ]  # fmt: skip
