from __future__ import annotations

import numpy as np
import pytest

from finnex.errors import LayoutError
from finnex.images.render import Renderer
from finnex.layout import load_layout, parse_catalogue, parse_layout

MEGA = load_layout("mega")


def changed(old: str, new: str) -> str:
    assert old in MEGA.text
    return MEGA.text.replace(old, new, 1)


def test_the_default_layout_is_the_specifications_nine_cells() -> None:
    assert (MEGA.height, MEGA.width, MEGA.channels) == (512, 512, ("red", "green", "blue"))
    assert [(section.name, section.rows) for section in MEGA.sections] == [
        ("macro_economic", (0, 171)),
        ("behavioral_technical", (171, 342)),
        ("fundamental_competitive", (342, 512)),
    ]
    cells = {(region.section, region.channel) for region in MEGA.regions}
    assert len(cells) == 9


def test_every_feature_is_the_row_of_exactly_one_heat_map() -> None:
    rows = [feature for region in MEGA.regions if region.encoder_name == "heatmap" for feature in region.features]
    assert sorted(rows) == sorted(MEGA.catalogue.names)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('encoder = "gramian"', 'encoder = "gramain"', "gramian"),
        ('features = ["return_5"]', 'features = ["return_55"]', "return_5"),
        ('channel = "red"', 'channel = "rde"', "red"),
        ("volume_share = 0.25", "volume_shar = 0.25", "volume_share"),
        ("columns = [0, 170]", "columns = [0, 180]", "overlaps"),
        ("columns = [0, 170]", "columns = [2, 170]", "gap at row 171, column 0"),
        ("session_px = 9", "session_px = 10", "need 560 columns"),
        ("rows = [36, 63]", "rows = [36, 40]", "need as many rows"),
        ('features = ["return_5"]', 'features = ["return_5", "return_1"]', "exactly one feature"),
        ("lookback_sessions = 56", "lookback_session = 56", "lookback_sessions"),
        ("volume_share = 0.25", "volume_share = 0.9", "volume_share 0.9"),
    ],
)
def test_a_mistake_in_a_layout_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        parse_layout(changed(old, new), MEGA.catalogue)


def test_a_feature_in_two_heat_maps_is_refused() -> None:
    twice = changed('name = "news"\nchannel = "red"', 'name = "news"\nfeatures = ["rsi_14"]\nchannel = "red"')
    with pytest.raises(LayoutError, match="two heat maps"):
        parse_layout(twice, MEGA.catalogue)


def test_an_unknown_bundled_layout_is_named() -> None:
    with pytest.raises(LayoutError, match="mega"):
        load_layout("maga")


def test_all_mistakes_of_a_catalogue_are_listed() -> None:
    lines = MEGA.catalogue.text.splitlines()
    wrong = [
        lines[0],
        lines[1].replace("bounded", "bounds"),
        lines[2].replace(",-3,3,", ",3,-3,"),
        lines[3],
        lines[3],
    ]
    with pytest.raises(LayoutError) as caught:
        parse_catalogue("\n".join(wrong))
    assert [f"row {row}" in str(caught.value) for row in (2, 3, 4, 5)] == [True, True, False, True]


def test_the_hash_follows_layout_catalogue_and_window() -> None:
    assert parse_layout(MEGA.text, MEGA.catalogue).hash == MEGA.hash
    assert parse_layout(MEGA.text + "\n", MEGA.catalogue).hash != MEGA.hash
    assert parse_layout(MEGA.text, parse_catalogue(MEGA.catalogue.text + "\n")).hash != MEGA.hash
    assert parse_layout(MEGA.text, MEGA.catalogue, lookback=40).hash != MEGA.hash


def window(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.02, 1, (56, len(MEGA.catalogue.names))).astype(np.float32)
    bars = np.column_stack(
        [np.sort(rng.normal(0, 0.02, (56, 4)), axis=1)[:, [1, 3, 0, 2]], rng.uniform(size=56)]
    ).astype(np.float32)
    return values, bars


def test_an_image_is_in_range_and_zero_exactly_in_the_margins_when_all_is_known() -> None:
    image, coverage = Renderer(MEGA).draw(*window(1))
    assert image.shape == (512, 512, 3)
    assert image.dtype == np.float32
    assert coverage == (1.0,) * len(MEGA.regions)
    margin = np.zeros((512, 512, 3), dtype=bool)
    for region in MEGA.regions:
        drawn = MEGA.lookback * region.encoder.session_px
        margin[
            slice(*region.rows),
            region.columns[0] + drawn : region.columns[1],
            MEGA.channels.index(region.channel),
        ] = True
    assert ((image == 0) == margin).all()
    assert image[~margin].min() >= np.float32(0.02)
    assert image.max() <= 1


def test_coverage_counts_the_pixels_that_are_not_known() -> None:
    values, bars = window(2)
    values[:28] = np.nan
    image, coverage = Renderer(MEGA).draw(values, bars)
    for region, known in zip(MEGA.regions, coverage, strict=True):
        drawn = MEGA.lookback * region.encoder.session_px
        tile = image[
            slice(*region.rows),
            region.columns[0] : region.columns[0] + drawn,
            MEGA.channels.index(region.channel),
        ]
        assert known == pytest.approx((tile > 0).mean())
    assert coverage[[region.name for region in MEGA.regions].index("technical")] == pytest.approx(0.5)


def test_an_image_drawn_over_another_keeps_nothing_of_it() -> None:
    renderer = Renderer(MEGA)
    values, bars = window(6)
    values[:20] = np.nan
    bars[5] = np.nan
    fresh, coverage = renderer.draw(values, bars)
    used, _ = renderer.draw(*window(7))
    over, again = renderer.draw(values, bars, out=used)
    assert over is used
    np.testing.assert_array_equal(over, fresh)
    assert again == coverage


def test_time_runs_from_left_to_right() -> None:
    values, bars = window(3)
    later, _ = Renderer(MEGA).draw(np.roll(values, -1, axis=0), bars)
    image, _ = Renderer(MEGA).draw(values, bars)
    np.testing.assert_array_equal(image[0:171, 9:504, 0], later[0:171, 0:495, 0])


def test_a_region_shows_its_feature_and_nothing_else() -> None:
    values, bars = window(4)
    other = values.copy()
    other[:, MEGA.catalogue.position["rsi_14"]] = 0.5
    a, b = Renderer(MEGA).draw(values, bars)[0], Renderer(MEGA).draw(other, bars)[0]
    rows, columns, channels = np.nonzero(a != b)
    region = MEGA.region("technical")
    assert set(channels) == {1}
    assert region.rows[0] <= rows.min() <= rows.max() < region.rows[1]
    assert rows.max() - rows.min() <= 2
    assert region.columns[0] <= columns.min()
