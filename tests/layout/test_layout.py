from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from finnex.cli import main
from finnex.errors import LayoutError
from finnex.images.render import Renderer
from finnex.layout import BUNDLED, Layout, load_layout, parse_catalogue, parse_layout
from finnex.reporting.layout_map import toy_window

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


def test_all_mistakes_of_a_layout_are_listed_and_a_mistake_hides_no_other() -> None:
    text = MEGA.text
    for old, new in (
        ("n_bins = 8", "n_bins = 99"),
        ('channel = "red"', 'channel = "rde"'),
        ("lookback_sessions = 56", "lookback_sessions = 56\ncolour = 3"),
        ('method = "difference"', 'method = "diff"'),
        ("volume_share = 0.25", "volume_share = 0.9, falling = 7.0"),
        ('name = "analyst"', 'name = "analist"'),
        ("rows = [390, 511]", "rows = [395, 510]"),
        ("rows = [64, 170]", "rows = [60, 170]"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(LayoutError) as caught:
        parse_layout(text, MEGA.catalogue, file="mine.toml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("mine.toml: ") for line in lines)
    wanted = (
        "n_bins 99", "channel 'rde'", "unknown key 'colour'", "method 'diff'", "volume_share 0.9", "group of this name",
        "channel 'blue' has a gap at row 390, column 0, 5 rows by 512 columns",
        "channel 'blue' has a gap at row 511, column 0, 1 rows by 512 columns",
        "region 'economy' overlaps region 'calendar' in channel 'blue'",
    )  # fmt: skip
    assert [sum(words in line for line in lines) for words in wanted] == [1] * len(wanted)
    assert sum("falling 7.0" in line for line in lines) == 1
    assert len(lines) == len(wanted)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rows = [0, 170]", "rows = [0, 900]", "beyond the canvas"),
        ('name = "social"', 'name = "news"', "two regions are called 'news'"),
        ("height = 512", 'height = "512"', "height '512' is wrong"),
        ("width = 512", "width = 51200", "width 51200 is outside"),
        ("rows = [171, 341]", "rows = [171, 330]", "rows 331 to 341 lie in no section"),
        ("rows = [171, 341]", "rows = [160, 341]", "inside another"),
        ("session_px = 9 }", "session_px = 9.5 }", "session_px 9.5 is no whole number"),
        ("columns = [0, 511]", "columns = [511, 0]", "is no span"),
        ("columns = [0, 511]", "columns = [0, 511000000000]", "both included, below 8192"),
        ('features = ["return_5"]', 'features = "return_5"', "no list of words"),
        ('features = ["return_5"]', 'groups = ["technicals"]', "technical"),
        ('features = ["return_5"]', 'features = ["return_5"]\ntables = ["prices"]', "Keep one way"),
        ('encoder = "recurrence"\nparameters = { session_px = 3 }', 'encoder = "recurrence"\nparameters = 3', "wrong"),
        ("lookback_sessions = 56", "lookback_sessions = 0", "lookback_sessions 0 is outside"),
    ],
)
def test_what_is_no_layout_is_told_without_a_traceback(old: str, new: str, words: str) -> None:
    with pytest.raises(LayoutError, match=words):
        parse_layout(changed(old, new), MEGA.catalogue)


@pytest.mark.parametrize("text", ["", "region = 3", "[region]\nname = 'x'", "canvas = 1", "[[region]]", "[canvas"])
def test_a_fragment_is_refused(text: str) -> None:
    with pytest.raises(LayoutError):
        parse_layout(text, MEGA.catalogue)


def test_a_change_that_no_window_can_show_is_refused() -> None:
    with pytest.raises(LayoutError, match="a change over 5 sessions is never known in a window of 4"):
        load_layout("price_only", lookback=4)


def test_a_feature_in_no_heat_map_is_refused_where_the_canvas_asks_for_every_one() -> None:
    less = changed("every_feature = true", "every_feature = false")
    start, end = (less.index('[[region]]\nname = "valuation"'), less.index('[[region]]\nname = "competitive"'))
    less = less[:start] + less[end:].replace("rows = [390, 511]", "rows = [342, 511]")
    assert "sales_to_price" not in parse_layout(less, MEGA.catalogue).rows
    with pytest.raises(LayoutError, match=r"group 'valuation' appear in no heat map: 'sales_to_price'") as caught:
        parse_layout(less.replace("every_feature = false", "every_feature = true"), MEGA.catalogue)
    assert len(str(caught.value).splitlines()) == 1


def test_a_region_takes_other_groups_and_only_the_tables_it_names() -> None:
    layout = load_layout("sentiment_only")
    assert {layout.catalogue.find(name).table for name in layout.rows} == {"sentiment"}
    voices = [layout.catalogue.find(name).region for name in layout.region("slow_voices").features]
    assert list(dict.fromkeys(voices)) == ["management", "analyst", "fear_greed"]
    prices = load_layout("price_only")
    assert {prices.catalogue.find(name).table for name in prices.rows} == {"prices"}
    assert set(prices.rows) == {entry.name for entry in prices.catalogue.entries if entry.table == "prices"}


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_layout_draws_a_picture_that_networks_can_read(name: str) -> None:
    layout = load_layout(name)
    image, coverage = Renderer(layout).draw(*toy_window(layout))
    assert image.shape == (512, 512, 3)
    assert len(coverage) == len(layout.regions)
    for region, known in zip(layout.regions, coverage, strict=True):
        unknown = getattr(region.encoder, "lag_sessions", 0) / layout.lookback
        assert known == pytest.approx(1 - unknown)
        tile = image[slice(*region.rows), slice(*region.columns), layout.channels.index(region.channel)]
        assert tile.std() > 0.01


def test_every_value_of_a_heat_map_is_at_least_two_rows_high() -> None:
    for name in BUNDLED:
        layout = load_layout(name)
        for region in layout.regions:
            if region.encoder_name in {"heatmap", "delta"}:
                assert region.rows_per_value(layout.lookback)[0] >= 2


def chart_pixels(layout: Layout, channel: str) -> np.ndarray:
    image, _ = Renderer(layout).draw(*toy_window(layout))
    return image[:, :, layout.channels.index(channel)]


def test_the_chart_is_white_on_black_and_an_enlarged_small_picture() -> None:
    chart = load_layout("chart")
    red, green, blue = (chart_pixels(chart, channel) for channel in chart.channels)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)
    assert set(np.unique(red[:, :480])) == {np.float32(0.02), np.float32(1)}
    small = red[::8, :480:8]
    assert small.shape == (64, 60)
    np.testing.assert_array_equal(np.repeat(np.repeat(small, 8, axis=0), 8, axis=1), red[:, :480])


def test_a_candle_is_red_or_green_and_never_both() -> None:
    layout = load_layout("candlestick")
    red, green = (chart_pixels(layout, channel) > np.float32(0.02) for channel in ("red", "green"))
    assert red.any()
    assert green.any()
    assert not (red & green).any()


def test_layout_check_prints_every_region_and_what_has_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["layout", "check", "mega"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert all(region.name in printed for region in MEGA.regions)
    with pytest.raises(SystemExit):
        main(["layout", "check", "chart", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["features_with_a_row"] == 0
    assert answer["features_without_a_row"] == list(MEGA.catalogue.names)
    assert [region["margin_columns"] for region in answer["regions"]] == [32, 32, 32]


def test_layout_check_lists_all_mistakes_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(changed("n_bins = 8", "n_bins = 1").replace("volume_share = 0.25", "volume_share = 0.9"))
    with pytest.raises(SystemExit) as done:
        main(["layout", "check", str(file)])
    assert done.value.code == 2
    told = capsys.readouterr().err
    assert told.count(f"{file}: region") == 2
    assert "n_bins 1" in told
    assert "volume_share 0.9" in told


def test_layout_draw_writes_a_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["layout", "draw", "price_only", "--out", str(tmp_path / "maps" / "map.png")])
    assert done.value.code == 0
    picture = (tmp_path / "maps" / "map.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert min(struct.unpack(">II", picture[16:24])) > 700


def test_a_layout_or_catalogue_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("# é".encode("latin-1"))
    with pytest.raises(LayoutError, match=r"latin\.toml is not UTF-8"):
        load_layout(str(tmp_path / "latin.toml"))
    with pytest.raises(LayoutError, match=r"absent\.csv cannot be read"):
        load_layout("mega", catalogue_path=tmp_path / "absent.csv")


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


def test_a_row_of_a_catalogue_that_is_too_short_or_too_long_is_named() -> None:
    text = MEGA.catalogue.text.rstrip("\n") + "\nshort,prices,sd\nlong" + "," * 40 + "\n"
    rows = len(MEGA.catalogue.names) + 1
    with pytest.raises(LayoutError, match=rf"row {rows + 1}: not as many cells.*\n.*row {rows + 2}: not as many cells"):
        parse_catalogue(text)


def test_the_hash_follows_layout_catalogue_and_window() -> None:
    assert parse_layout(MEGA.text, MEGA.catalogue).hash == MEGA.hash
    assert parse_layout(MEGA.text + "\n", MEGA.catalogue).hash != MEGA.hash
    assert parse_layout(MEGA.text, parse_catalogue(MEGA.catalogue.text + "\n")).hash != MEGA.hash
    assert parse_layout(MEGA.text, MEGA.catalogue, lookback=40).hash != MEGA.hash


def window(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.02, 1, (56, len(MEGA.catalogue.names))).astype(np.float32)
    bars = np.column_stack(
        [
            np.sort(rng.normal(0, 0.02, (56, 4)), axis=1)[:, [1, 3, 0, 2]],
            rng.uniform(size=56),
            rng.normal(0, 0.02, 56),
        ]
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
    other[:, MEGA.catalogue.position["cci_20"]] = 0.5
    a, b = Renderer(MEGA).draw(values, bars)[0], Renderer(MEGA).draw(other, bars)[0]
    rows, columns, channels = np.nonzero(a != b)
    region = MEGA.region("technical")
    assert set(channels) == {1}
    assert region.rows[0] <= rows.min() <= rows.max() < region.rows[1]
    assert rows.max() - rows.min() <= 2
    assert region.columns[0] <= columns.min()
