"""Builds over compacted years: a night rewrites none, a redraw takes its year out, damage in a shard is mended."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks import panel as panels
from finnex.config import Config, load_config
from finnex.data.panel import make_panel
from finnex.datasets.image_source import from_store
from finnex.patches.patch_panel import decoded_panel
from finnex.pipeline import build, stage_1
from finnex.store import ImageStore, StoreWriter, compact, writing
from finnex.store.verified import VERIFIED
from tests.store.test_compaction import flip

COMPANIES, SESSIONS, CLOSED = 2, 320, 2025
OWN, OTHER = "C0001", "C0000"
LAST_NIGHT = date(2025, 1, 3)
"""Two sessions of 2024 and two of 2025 are drawn by then, and one more by the night after it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel and its store, with images on both sides of a new year; the last session is still to be drawn."""
    folder = tmp_path_factory.mktemp("panel")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "LAST_DAY", date(2025, 1, 6))
        panels.write_tables(folder, COMPANIES, SESSIONS)
    path = panels.write_config(folder, COMPANIES, date(2024, 12, 30))
    lines = path.read_text().replace("sectors = []", 'sectors = ["XLK"]').splitlines(keepends=True)
    path.write_text("".join([lines[0], f'peers = ["{OTHER}"]\n', *lines[2:]]))
    assert build(load_config(path), end=LAST_NIGHT).built == COMPANIES * 4
    return folder


@pytest.fixture
def panel(made: Path, tmp_path: Path) -> Path:
    """A copy of it whose closed year is compacted."""
    shutil.copytree(made, tmp_path / "panel", copy_function=shutil.copy2)
    compact_all(tmp_path / "panel")
    return tmp_path / "panel"


@pytest.fixture
def loose(made: Path, tmp_path: Path) -> Path:
    """A copy of it that is not compacted."""
    shutil.copytree(made, tmp_path / "loose", copy_function=shutil.copy2)
    return tmp_path / "loose"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The companies of which a build computed Stage 1."""
    found: list[str] = []

    def noting(tables: Any, config: Any, symbol: str, *rest: Any) -> Any:
        found.append(symbol)
        return make_panel(tables, config, symbol, *rest)

    monkeypatch.setattr(stage_1, "make_panel", noting)
    return found


def of(panel: Path, share: float = 0) -> Config:
    config = load_config(panel / "finnex.toml")
    return config.model_copy(update={"store": config.store.model_copy(update={"scrub_share": share})})


def compact_all(panel: Path) -> None:
    path = of(panel).store.path
    with writing(path):
        found = compact(StoreWriter.reopen(path), CLOSED, (OTHER, OWN))
    assert [(one.symbol, one.year, one.images, one.left) for one in found] == [
        (OTHER, "2024", 2, ""),
        (OWN, "2024", 2, ""),
    ]


def store_of(panel: Path) -> ImageStore:
    return ImageStore.open(of(panel).store.path)


def content(panel: Path, symbol: str) -> xr.Dataset:
    return store_of(panel).open_images(symbol).load().drop_vars(["rendered_at", "image_tag"])


def shards(panel: Path) -> dict[str, tuple[int, bytes]]:
    found = sorted((panel / "images.zarr").glob("*/years/*/image/c.0.0.0.0"))
    return {str(one.relative_to(panel)): (one.stat().st_mtime_ns, one.read_bytes()) for one in found}


def test_compaction_leaves_every_value_that_a_reader_of_finnex_sees(panel: Path, loose: Path) -> None:
    for symbol in (OWN, OTHER):
        assert content(panel, symbol).equals(content(loose, symbol))
        ours, theirs = (from_store(of(one).store.path, symbol) for one in (panel, loose))
        assert ours.version == theirs.version
        for row in range(len(theirs)):
            np.testing.assert_array_equal(ours.image(row), theirs.image(row))
        decoded = [
            decoded_panel(map(one.image, range(len(one))), one.days, one.layout, one.exchange).brightness
            for one in (ours, theirs)
        ]
        assert np.isfinite(decoded[0]).any()
        np.testing.assert_array_equal(*decoded)


def test_a_build_right_after_a_compaction_computes_nothing_and_rewrites_no_shard(
    panel: Path, computed: list[str]
) -> None:
    before, fingerprint = shards(panel), store_of(panel).fingerprint()
    assert len(before) == COMPANIES
    done = build(of(panel), end=LAST_NIGHT)
    assert (done.built, done.skipped, done.fingerprint) == (0, 4 * COMPANIES, fingerprint)
    assert computed == []
    assert shards(panel) == before
    (panel / "images.zarr" / VERIFIED).unlink()  # so that every company is computed and compared
    assert build(of(panel, share=1), end=LAST_NIGHT).built == 0
    assert sorted(computed) == [OTHER, OWN]
    assert shards(panel) == before


def test_a_night_draws_the_new_session_and_rewrites_no_shard(panel: Path, loose: Path) -> None:
    before = shards(panel)
    assert build(of(panel)).built == build(of(loose)).built == COMPANIES
    assert shards(panel) == before
    assert store_of(panel).fingerprint() == store_of(loose).fingerprint()
    for symbol in (OWN, OTHER):
        assert content(panel, symbol).equals(content(loose, symbol))


def test_a_correction_of_a_closed_year_takes_it_out_of_that_company_alone(panel: Path, loose: Path) -> None:
    for one in (panel, loose):
        frame = pd.read_parquet(one / "sentiment.parquet")
        rows = (frame["symbol"] == OWN) & (frame["timestamp"].dt.date == date(2024, 12, 30))
        assert rows.any()
        frame.loc[rows, "score"] = -0.987
        frame.to_parquet(one / "sentiment.parquet", index=False)
        assert build(of(one)).built > COMPANIES
    assert store_of(panel).compacted(OWN) == {}
    assert store_of(panel).compacted(OTHER) == {"2024": 2}
    assert store_of(panel).fingerprint() == store_of(loose).fingerprint()
    for symbol in (OWN, OTHER):
        assert content(panel, symbol).equals(content(loose, symbol))
    path = of(panel).store.path
    with writing(path):
        assert [one.symbol for one in compact(StoreWriter.reopen(path), CLOSED, (OTHER, OWN))] == [OWN]
    assert content(panel, OWN).equals(content(loose, OWN))


@pytest.mark.parametrize("damage", ["a byte", "the index", "gone"])
def test_damage_in_a_shard_is_mended_by_the_build(panel: Path, loose: Path, damage: str) -> None:
    shard = panel / "images.zarr" / OWN / "years/2024/image/c.0.0.0.0"
    if damage == "gone":
        shard.unlink()
    else:
        flip(shard, -1 if damage == "a byte" else 3)
    assert len(store_of(panel).damaged(OWN)) == (1 if damage == "a byte" else 2)
    (panel / "images.zarr/.finnex/scrub.json").unlink(missing_ok=True)  # the next build is that of another day
    done = build(of(panel, share=1), end=LAST_NIGHT)
    assert done.built == (1 if damage == "a byte" else 2)
    assert store_of(panel).damaged(OWN).tolist() == []
    assert content(panel, OWN).equals(content(loose, OWN))
