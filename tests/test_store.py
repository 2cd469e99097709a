from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from finnex.data.calendar import session_calendar
from finnex.errors import StoreBusy, StoreCorrupt, StoreError, StoreMismatch
from finnex.store import FAILED, READY, ImageStore, Receipt, StoreTemplate, writing

DAYS = session_calendar("XNYS", date(2015, 1, 1), date(2015, 12, 31)).days
TEMPLATE = StoreTemplate(
    layout_name="mega", layout_hash="abc", layout_toml="[canvas]", catalogue_csv="name", lookback_sessions=56,
    shape=(512, 512, 3), channels=("red", "green", "blue"), regions=("a", "b"), features=("x", "y"), horizons=(1, 5),
    label_kinds=("price_movement",),
    label_settings={"threshold": 0.5}, exchange="XNYS", synthetic_tables=("sentiment",),
)  # fmt: skip


def image_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, (512, 512, 3)).astype(np.float32)


def draw(store: ImageStore, index: int, seed: int, run: str = "run") -> Receipt:
    path, crc = store.target("A", run).write(index, image_of(seed))
    return Receipt(index, seed, path, crc, (1.0, 0.5), (1.0, 1.0), 0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images.zarr"


@pytest.fixture
def store(path: Path) -> Iterator[ImageStore]:
    with writing(path):
        made = ImageStore.prepare(path, TEMPLATE)
        made.ensure_symbol("A", DAYS, TEMPLATE)
        yield made


def test_a_published_image_comes_back_bit_for_bit(store: ImageStore) -> None:
    assert store.publish("A", [draw(store, 3, 1), draw(store, 7, 2)]) == []
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    np.testing.assert_array_equal(store.image("A", DAYS[7]), image_of(2))
    assert store.open_images("A").sizes["date"] == 2


def test_anyone_reads_it_with_xarray_and_without_a_warning(store: ImageStore, path: Path) -> None:
    store.publish("A", [draw(store, 3, 1)])
    data = xr.open_zarr(str(path), group="A")
    assert data["image"].dims == ("date", "y", "x", "channel")
    assert data["image"].dtype == np.float32
    assert data["image"].encoding["chunks"] == (1, 512, 512, 3)
    ready = data.isel(date=np.flatnonzero(data["status"].to_numpy() == READY))
    assert ready["date"].to_numpy().astype("datetime64[D]").tolist() == [DAYS[3].item()]
    np.testing.assert_array_equal(ready["image"][0].to_numpy(), image_of(1))
    assert data.attrs["synthetic_tables"] == ["sentiment"]


def test_a_draft_is_not_visible_until_it_is_published(store: ImageStore) -> None:
    receipt = draw(store, 3, 1)
    assert store.open_images("A").sizes["date"] == 0
    with pytest.raises(StoreError, match="no published image"):
        store.image("A", DAYS[3])
    store.publish("A", [receipt])
    assert store.open_images("A").sizes["date"] == 1


def test_a_torn_draft_is_refused_and_the_published_image_stays(store: ImageStore) -> None:
    store.publish("A", [draw(store, 3, 1)])
    torn = draw(store, 3, 2, "again")
    Path(torn.draft).write_bytes(Path(torn.draft).read_bytes()[:1000])
    bad = store.publish("A", [torn, draw(store, 4, 5)])
    assert [receipt.index for receipt in bad] == [3]
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    assert store.state("A").status[[3, 4]].tolist() == [READY, READY]


def test_a_session_that_failed_says_so_and_can_be_published_later(store: ImageStore) -> None:
    store.publish("A", [Receipt(5, 1, error="no memory")])
    assert store.state("A").status[5] == FAILED
    store.publish("A", [draw(store, 5, 1)])
    assert store.state("A").status[5] == READY


def test_damage_on_disk_is_noticed(store: ImageStore, path: Path) -> None:
    store.publish("A", [draw(store, 3, 1), draw(store, 4, 2)])
    chunk = path / "A" / "image" / "c" / "3" / "0" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    assert store.damaged("A").tolist() == [3]
    with pytest.raises(StoreCorrupt):
        store.image("A", DAYS[3])


def test_drafts_of_an_interrupted_run_are_swept(store: ImageStore) -> None:
    draw(store, 3, 1), draw(store, 4, 1)
    assert store.sweep_drafts() == 2
    assert store.sweep_drafts() == 0


def test_the_calendar_grows_and_keeps_positions(store: ImageStore, path: Path) -> None:
    store.publish("A", [draw(store, 3, 1)])
    longer = session_calendar("XNYS", date(2015, 1, 1), date(2016, 12, 31)).days
    store.ensure_symbol("A", longer, TEMPLATE)
    data = xr.open_zarr(str(path), group="A")
    assert data.sizes["date"] == len(longer)
    assert {array.sizes["date"] for array in data.data_vars.values() if "date" in array.dims} == {len(longer)}
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    store.ensure_symbol("A", DAYS, TEMPLATE)
    assert len(store.state("A").days) == len(longer)


def test_a_calendar_that_begins_earlier_or_differs_is_refused(store: ImageStore) -> None:
    with pytest.raises(StoreMismatch, match="begins at"):
        store.ensure_symbol("A", session_calendar("XNYS", date(2014, 1, 1), date(2015, 12, 31)).days, TEMPLATE)
    with pytest.raises(StoreMismatch, match="calendar"):
        store.ensure_symbol("A", np.delete(DAYS, 30), TEMPLATE)


@pytest.mark.parametrize(
    "change", [{"layout_hash": "other"}, {"label_settings": {"threshold": 0.7}}, {"synthetic_tables": ()}]
)
def test_a_store_refuses_another_layout_or_other_labels(
    store: ImageStore, path: Path, change: dict[str, object]
) -> None:
    with pytest.raises(StoreMismatch, match=next(iter(change))):
        ImageStore.prepare(path, replace(TEMPLATE, **change))  # type: ignore[arg-type]


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    with pytest.raises(StoreError, match="no image store"):
        ImageStore.prepare(tmp_path / "letters", TEMPLATE)
    assert [file.name for file in (tmp_path / "letters").iterdir()] == ["love.txt"]
    with pytest.raises(StoreError, match="finnex build"):
        ImageStore.open(tmp_path / "nowhere")


def test_one_writer_at_a_time(store: ImageStore, path: Path) -> None:
    with pytest.raises(StoreBusy, match="another process"), writing(path):
        pass


def test_the_fingerprint_follows_images_and_labels_and_nothing_else(store: ImageStore) -> None:
    store.publish("A", [draw(store, 3, 1)])
    first = store.fingerprint()
    store.publish("A", [draw(store, 3, 1, "again")])
    assert store.fingerprint() == first
    store.publish("A", [draw(store, 3, 2)])
    second = store.fingerprint()
    assert second != first
    store.write_rows("A", "label_price_movement", 3, np.array([[2, 1]], dtype=np.int8))
    assert store.fingerprint() != second


def test_equal_rows_are_not_written_again(store: ImageStore, path: Path) -> None:
    values = np.ones((10, 2), dtype=np.float32)
    assert store.write_rows("A", "feature_normalized", 0, values)
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    assert not store.write_rows("A", "feature_normalized", 0, values)
    assert before == {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}


def test_an_unknown_symbol_names_the_nearest(store: ImageStore) -> None:
    with pytest.raises(StoreError, match="no symbol 'B'"):
        store.open_images("B")
