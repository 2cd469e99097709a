"""Quality checks find what is planted, and pass what is sound."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnex.cli import main
from finnex.cli.template import configuration_text
from finnex.config import Config, parse_config
from finnex.errors import StoreError
from finnex.pipeline import build, read_run
from finnex.pipeline.lacking import lacking
from finnex.pipeline.region_inputs import region_inputs, shown_sessions, valued_features
from finnex.quality import NO_INPUT, Check, _cell_checks, _coverage_checks, _pixel_checks, quality_checks
from finnex.store import ImageStore
from tests.helpers.stores import blank, make_store, paint, sessions

N = 40
Image = npt.NDArray[np.float32]


def walks(index: int) -> Image:
    """All nine cells drawn from slow random walks, so that neighbours are alike."""
    image = blank()
    for number, section in enumerate(("macro", "behavioral", "fundamental")):
        for channel in range(3):
            steps = np.random.default_rng([number, channel]).normal(0, 0.04, (12, N + 56)).cumsum(axis=1)
            values = 0.5 + 0.45 * np.sin(4 * steps[:, index : index + 56] + np.arange(12)[:, None])
            paint(image, section, channel, values)
    return image


def checked(
    path: Path, images: Callable[[int], Image], labels: npt.NDArray[np.integer] | None = None
) -> dict[str, Check]:
    labels = np.arange(N) % 3 if labels is None else labels
    store = make_store(path / "s.zarr", sessions(N), lambda _, i: images(i), {"AAA": labels})
    return {check.name: check for check in quality_checks(store, sample=20)}


def test_a_sound_store_passes_every_check(tmp_path: Path) -> None:
    found = checked(tmp_path, walks)
    assert [check for check in found.values() if not check.passed] == []
    assert sum(name.startswith("alive: ") for name in found) == 9
    assert found["published sessions"].value == N
    assert all(check.meaning and check.limit for check in found.values())


def test_a_dead_cell_is_named(tmp_path: Path) -> None:
    def dead(index: int) -> Image:
        image = walks(index)
        image[171:342, :, 1] = 0.4
        return image

    found = checked(tmp_path, dead)
    failed = [name for name, check in found.items() if not check.passed]
    assert failed == ["alive: behavioral_technical green"]


@pytest.mark.parametrize(
    ("value", "name"),
    [(1.5, "pixel range"), (-0.1, "pixel range"), (np.nan, "pixel range"), (0.01, "zero means not known")],
)
def test_a_pixel_that_is_no_value_is_found(tmp_path: Path, value: float, name: str) -> None:
    def wrong(index: int) -> Image:
        image = walks(index)
        image[5, 5, 0] = value
        return image

    assert not checked(tmp_path, wrong)[name].passed


def test_images_without_a_trend_in_time_fail_continuity(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(N)
    found = checked(tmp_path, lambda index: walks(int(order[index])))
    sound = checked(tmp_path / "sound", walks)
    for section in ("macro_economic", "behavioral_technical", "fundamental_competitive"):
        assert found[f"continuity: {section}"].value > 0.8
        assert sound[f"continuity: {section}"].value < 0.5


def test_images_that_hardly_differ_fail_variety(tmp_path: Path) -> None:
    found = checked(tmp_path, lambda index: (0.5 + 0.03 * walks(index)).astype(np.float32))
    assert not found["variety: macro_economic"].passed
    assert found["variety: macro_economic"].value < 0.05


def test_duplicates_are_counted(tmp_path: Path) -> None:
    found = checked(tmp_path, lambda index: walks(min(index, 30)))
    assert found["duplicates"].value == N - 31
    assert not found["duplicates"].passed


def test_a_flipped_byte_on_disk_is_found(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr", sessions(N), lambda _, i: walks(i), {"AAA": np.arange(N) % 3})
    chunk = store.path / "AAA" / "image" / "c.0.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(bytes(content))
    found = {check.name: check for check in quality_checks(store)}
    assert found["checksums"].value == 1
    assert not found["checksums"].passed


def test_a_rare_class_and_missing_labels_fail(tmp_path: Path) -> None:
    rare = np.zeros(N, dtype=int)
    rare[0] = 2
    found = checked(tmp_path, walks, rare)
    assert {name for name, check in found.items() if not check.passed} == {"class: hold", "class: buy"}
    assert not checked(tmp_path / "none", walks, np.full(N, -1))["labels"].passed


def test_an_input_that_ran_dry_is_named_and_one_that_never_was_is_told(tmp_path: Path) -> None:
    def drying(index: int) -> Image:
        image = walks(index)
        image[171:342, :, 2] = 0
        if index >= N - 20:
            image[:171, :, 0] = 0
        return image

    found = checked(tmp_path, drying)
    assert [name for name, check in found.items() if name.startswith("coverage") and not check.passed] == [
        "coverage: macro_red"
    ]
    assert found["coverage: behavioral_blue"].limit == NO_INPUT
    assert "no input table gives this region anything" in found["coverage: behavioral_blue"].meaning
    assert not found["alive: behavioral_technical blue"].passed


@pytest.fixture(scope="module")
def few_tables(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A store of prices, three series and fundamentals without share counts: many features have no input."""
    path = tmp_path_factory.mktemp("few")
    macro = pd.read_csv(sample_inputs["macro"])
    macro[macro["series"].isin(["VIX", "DGS10", "DGS2"])].to_csv(path / "macro.csv", index=False)
    filed = pd.read_csv(sample_inputs["fundamentals"]).drop(columns="shares_outstanding")
    filed.to_csv(path / "filed.csv", index=False)
    tables = {"prices": str(sample_inputs["prices"]), "macro": "macro.csv", "fundamentals": "filed.csv"}
    document: dict[str, object] = {
        "inputs": tables, "symbols": ["NVDA"], "start": "2015-05-11", "end": "2015-06-05",
        "store": {"path": str(path / "images.zarr")},
    }  # fmt: skip
    config = parse_config(document, path / "finnex.toml")
    assert build(config).built > 10
    return config


def test_what_no_table_feeds_fails_no_check_and_its_missing_table_is_named(few_tables: Config) -> None:
    store = ImageStore.open(few_tables.store.path)
    lacks = lacking(read_run(few_tables), few_tables.symbols)
    found = {check.name: check for check in quality_checks(store, sample=6, lacks=lacks)}
    looked_at = ("alive", "known pixels", "coverage", "variety")
    assert [check for name, check in found.items() if name.startswith(looked_at) and not check.passed] == []
    red = found["alive: fundamental_competitive red"]
    assert red.limit == NO_INPUT
    assert "management, analyst: table sentiment (the table is not given)" in red.meaning
    assert "[inputs] of finnex.toml" in red.meaning
    assert "table options (the table is not given)" in found["coverage: options"].meaning
    assert re.search(
        r"table fundamentals \(no value of [a-z_, ]*shares_outstanding", found["coverage: valuation"].meaning
    )
    assert "management" in found["known pixels"].meaning
    without_run = {check.name: check.meaning for check in quality_checks(store, sample=6)}
    assert "table sentiment (the table is not given)" in without_run["coverage: management"]
    assert "table fundamentals. " in without_run["coverage: valuation"]


def test_a_cell_that_tables_feed_fails_where_it_is_blank(few_tables: Config) -> None:
    store = ImageStore.open(few_tables.store.path)
    blank_images = np.zeros((4, 512, 512, 3), dtype=np.float32)
    shown = (blank_images != 0).any(axis=0)
    inputs = region_inputs(store)
    assert inputs.layout is not None
    found = {check.name: check for check in _cell_checks(blank_images, shown, inputs.layout.sections, inputs)}
    assert not found["alive: behavioral_technical green"].passed
    assert found["alive: fundamental_competitive red"].limit == NO_INPUT
    assert not {check.name: check for check in _pixel_checks(blank_images, shown, "")}["known pixels"].passed


def test_a_region_that_shows_nothing_fails_where_its_tables_are_given_and_lack_nothing(few_tables: Config) -> None:
    store = ImageStore.open(few_tables.store.path)
    lacks = lacking(read_run(few_tables), few_tables.symbols)
    inputs = region_inputs(store, lacks)
    dark = replace(inputs, known=(0.0,) * len(inputs.names), newest=(0.0,) * len(inputs.names))
    sound = replace(dark, lacks=dict.fromkeys(lacks, ""))
    found = {check.name: check for check in _coverage_checks(sound)}
    assert not found["coverage: valuation"].passed
    assert "lack nothing" in found["coverage: valuation"].meaning
    assert found["coverage: management"].limit == NO_INPUT  # its table is not given
    assert {check.name: check for check in _coverage_checks(dark)}["coverage: valuation"].limit == NO_INPUT
    assert sound.why_empty("fundamental_competitive") == ""


def test_a_region_whose_features_have_values_fails_where_it_shows_nothing(few_tables: Config) -> None:
    store = ImageStore.open(few_tables.store.path)
    lacks = lacking(read_run(few_tables), few_tables.symbols)
    inputs = region_inputs(store, lacks)
    assert lacks["fundamentals"]  # shares_outstanding, which other features of the table do not need
    dark = replace(inputs, known=(0.0,) * len(inputs.names), newest=(0.0,) * len(inputs.names))
    found = {check.name: check for check in _coverage_checks(dark)}
    assert not found["coverage: fundamentals"].passed
    assert "features of the region have values: " in found["coverage: fundamentals"].meaning
    assert found["coverage: valuation"].limit == NO_INPUT
    assert dark.why_empty("macro_economic", "red") == ""
    bare = {check.name: check for check in _coverage_checks(replace(dark, valued=frozenset()))}
    assert bare["coverage: fundamentals"].limit == NO_INPUT


def test_a_chart_is_never_without_input(few_tables: Config) -> None:
    store = ImageStore.open(few_tables.store.path)
    lacks = dict.fromkeys(lacking(read_run(few_tables), few_tables.symbols), "the table is not given")
    inputs = region_inputs(store, lacks)
    dark = replace(inputs, known=(0.0,) * len(inputs.names), newest=(0.0,) * len(inputs.names), valued=frozenset())
    found = {check.name: check for check in _coverage_checks(dark)}
    assert not found["coverage: price_chart"].passed
    assert "bars, which the region draws" in found["coverage: price_chart"].meaning
    assert found["coverage: technical"].limit == NO_INPUT


def test_features_have_values_where_an_image_shows_them(tmp_path: Path) -> None:
    values = np.full((80, 3), np.nan)
    values[69, 0] = values[75, 1] = values[3, 2] = 0.5
    store = make_store(
        tmp_path / "s.zarr", sessions(80), lambda _, i: walks(i), {"AAA": np.zeros(80, int)},
        features={"AAA": values}, unpublished=10,
    )  # fmt: skip
    assert valued_features(store, "AAA") == {"feature_0", "feature_2"}
    chunk = next((store.path / "AAA" / "feature_normalized").glob("c*"))
    chunk.write_bytes(chunk.read_bytes()[:-4])
    assert valued_features(store, "AAA") == frozenset()


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 12))
def test_an_image_shows_its_session_and_those_before_it(published: list[bool], lookback: int) -> None:
    expected = [any(published[first : first + lookback]) for first in range(len(published))]
    assert shown_sessions(np.array(published, dtype=bool), lookback).tolist() == expected


def test_qa_prints_a_line_for_a_group_and_failed_checks_again_at_the_end(
    few_tables: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(str(few_tables.store.path.parent), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "finnex.toml"
    tables = {"prices": str(few_tables.inputs.files_of("prices")[0]), "macro": "macro.csv", "fundamentals": "filed.csv"}
    path.write_text(configuration_text(tables, ["NVDA"]))

    def printed(code: int, *options: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["qa", "--config", str(path), "--sample", "6", *options])
        assert ended.value.code == code
        said = capsys.readouterr()
        assert "warning: fundamentals: the column" in said.err
        assert "warning:" not in said.out
        return said.out

    sound = printed(0, "--all")
    assert sound.count("alive: ") == 9
    assert "FAIL" not in sound
    assert sound.splitlines()[-1] == "38 of 38 checks pass, 9 have no input."
    chunk = next((tmp_path / "images.zarr" / "NVDA" / "image").glob("c.[1-9]*"))
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(bytes(content))
    shown = printed(1).splitlines()
    assert max(map(len, shown)) <= 80
    assert sum("alive: " in line for line in shown) == 1
    assert "FAIL  checksums: 1, wanted = 0" in shown
    last = " ".join(" ".join(shown[len(shown) - shown[::-1].index("") :]).split())
    assert last.startswith("FAIL checksums: 1, wanted = 0: published images whose bytes on disk are not those written")
    assert last.endswith("checks pass, 9 have no input.")


def test_a_store_of_one_session_says_what_is_missing(tmp_path: Path) -> None:
    store = make_store(
        tmp_path / "s.zarr", sessions(10), lambda _, i: walks(i), {"AAA": np.zeros(10, int)}, unpublished=9
    )
    with pytest.raises(StoreError, match="0 pairs of adjacent published sessions"):
        quality_checks(store)
