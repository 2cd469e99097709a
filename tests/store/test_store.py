from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from finnex.data.calendar import session_calendar
from finnex.errors import ConfigError, StoreBusy, StoreCorrupt, StoreError, StoreMismatch
from finnex.store import FAILED, READY, ImageStore, Receipt, StoreTemplate, StoreWriter, writing
from finnex.store.lease import Lease
from finnex.store.place import Place
from finnex.store_path import StorePath, store_path
from tests.helpers.stores import publish

pytest_plugins = ["tests.helpers.buckets"]

DAYS = session_calendar("XNYS", date(2015, 1, 1), date(2015, 12, 31)).days
TEMPLATE = StoreTemplate(
    layout_name="mega", layout_hash="abc", layout_toml="[canvas]", catalogue_csv="name", lookback_sessions=56,
    shape=(512, 512, 3), channels=("red", "green", "blue"), regions=("a", "b"), features=("x", "y"), horizons=(1, 5),
    label_kinds=("price_movement",),
    label_settings={"threshold": 0.5}, exchange="XNYS", synthetic_tables=("sentiment",),
)  # fmt: skip


def image_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, (512, 512, 3)).astype(np.float32)


def draw(store: StoreWriter, index: int, seed: int, run: str = "run") -> Receipt:
    path, crc = store.target("A", run).write(index, image_of(seed))
    return Receipt(index, seed, path, crc, (1.0, 0.5), (1.0, 1.0), 0.1)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.accept)])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> StorePath:
    """A new place for a store: every promise holds in a folder, and in a bucket in make accept."""
    if request.param == "folder":
        return tmp_path / "images.zarr"
    return store_path(f"s3://{request.getfixturevalue('s3')}/{uuid.uuid4().hex}/images.zarr")


@pytest.fixture
def store(path: StorePath) -> Iterator[StoreWriter]:
    with writing(path):
        made = StoreWriter.prepare(path, TEMPLATE)
        made.ensure_symbol("A", DAYS, TEMPLATE)
        yield made


def test_a_published_image_comes_back_bit_for_bit(store: StoreWriter) -> None:
    assert publish(store, "A", [draw(store, 3, 1), draw(store, 7, 2)]) == []
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    np.testing.assert_array_equal(store.image("A", DAYS[7]), image_of(2))
    assert store.open_images("A").sizes["date"] == 2


def test_anyone_reads_it_with_xarray_and_without_a_warning(store: StoreWriter, path: StorePath) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    data = xr.open_zarr(str(path), group="A")
    assert data["image"].dims == ("date", "y", "x", "channel")
    assert data["image"].dtype == np.float32
    assert data["image"].encoding["chunks"] == (1, 512, 512, 3)
    codecs = json.loads((path / "A" / "image" / "zarr.json").read_text())["codecs"]
    assert [codec["name"] for codec in codecs] == ["transpose", "bytes", "blosc"]
    assert codecs[0]["configuration"]["order"] == [0, 3, 1, 2], "the channels lie one after the other"
    assert codecs[2]["configuration"].items() >= {"cname": "lz4", "shuffle": "shuffle"}.items()
    ready = data.isel(date=np.flatnonzero(data["status"].to_numpy() == READY))
    assert ready["date"].to_numpy().astype("datetime64[D]").tolist() == [DAYS[3].item()]
    np.testing.assert_array_equal(ready["image"][0].to_numpy(), image_of(1))
    assert data.attrs["synthetic_tables"] == ["sentiment"]


def test_a_draft_is_not_visible_until_it_is_published(store: StoreWriter) -> None:
    receipt = draw(store, 3, 1)
    assert store.open_images("A").sizes["date"] == 0
    with pytest.raises(StoreError, match="no published image"):
        store.image("A", DAYS[3])
    publish(store, "A", [receipt])
    assert store.open_images("A").sizes["date"] == 1


def test_a_torn_draft_is_refused_and_the_published_image_stays(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    torn = draw(store, 3, 2, "again")
    draft = store.path / torn.draft
    draft.write_bytes(draft.read_bytes()[:1000])
    bad = publish(store, "A", [torn, draw(store, 4, 5)])
    assert [receipt.index for receipt in bad] == [3]
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    assert store.state("A").status[[3, 4]].tolist() == [READY, READY]


def test_a_session_that_failed_says_so_and_can_be_published_later(store: StoreWriter) -> None:
    publish(store, "A", [Receipt(5, 1, error="no memory")])
    assert store.state("A").status[5] == FAILED
    publish(store, "A", [draw(store, 5, 1)])
    assert store.state("A").status[5] == READY


def test_damage_on_disk_is_noticed(store: StoreWriter, path: StorePath) -> None:
    publish(store, "A", [draw(store, 3, 1), draw(store, 4, 2)])
    chunk = path / "A" / "image" / "c.3.0.0.0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    assert store.damaged("A").tolist() == [3]
    with pytest.raises(StoreCorrupt):
        store.image("A", DAYS[3])


def test_an_image_that_is_drawn_again_meanwhile_is_not_called_damaged(
    store: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "A", [draw(store, 3, 1), draw(store, 4, 2)])
    before, now = store.state("A"), store.state
    publish(store, "A", [draw(store, 3, 7)])
    seen = iter([before])
    monkeypatch.setattr(store, "state", lambda symbol: next(seen, None) or now(symbol))
    assert store.damaged("A", [3, 4]).tolist() == []


def test_drafts_of_an_interrupted_run_are_swept(store: StoreWriter) -> None:
    draw(store, 3, 1), draw(store, 4, 1)
    assert store.sweep() == 2
    assert store.sweep() == 0


def test_the_calendar_grows_and_keeps_positions(store: StoreWriter, path: StorePath) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    longer = session_calendar("XNYS", date(2015, 1, 1), date(2016, 12, 31)).days
    store.ensure_symbol("A", longer, TEMPLATE)
    data = xr.open_zarr(str(path), group="A")
    assert data.sizes["date"] == len(longer)
    assert {array.sizes["date"] for array in data.data_vars.values() if "date" in array.dims} == {len(longer)}
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(1))
    store.ensure_symbol("A", DAYS, TEMPLATE)
    assert len(store.state("A").days) == len(longer)


def test_a_calendar_that_begins_earlier_is_refused(store: StoreWriter) -> None:
    with pytest.raises(StoreMismatch, match="begins at"):
        store.ensure_symbol("A", session_calendar("XNYS", date(2014, 1, 1), date(2015, 12, 31)).days, TEMPLATE)


def test_a_planned_session_that_was_none_keeps_its_row_and_a_published_one_is_no_plan(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 29, 1), draw(store, 31, 2)])
    store.ensure_symbol("A", np.delete(DAYS, 30), TEMPLATE)
    np.testing.assert_array_equal(store.state("A").days, DAYS)
    np.testing.assert_array_equal(store.image("A", DAYS[31]), image_of(2))
    with pytest.raises(StoreMismatch, match=rf"has an image of {DAYS[31]}, which is no session of its calendar now"):
        store.ensure_symbol("A", np.delete(DAYS, 31), TEMPLATE)


def test_a_session_announced_after_the_plan_takes_its_place_behind_what_is_stored(
    store: StoreWriter, path: StorePath
) -> None:
    publish(store, "A", [draw(store, 29, 1), draw(store, 31, 2)])
    saturday = np.datetime64("2015-11-14")
    for early in (np.datetime64("2015-01-03"), DAYS[29] + np.timedelta64(1, "D")):  # the second a Saturday
        with pytest.raises(StoreMismatch, match=rf"{early} is a session .* later ones are stored already"):
            store.ensure_symbol("A", np.union1d(DAYS, early), TEMPLATE)
    store.ensure_symbol("A", np.union1d(DAYS, saturday), TEMPLATE)
    np.testing.assert_array_equal(store.state("A").days, np.union1d(DAYS, saturday))
    np.testing.assert_array_equal(store.image("A", DAYS[31]), image_of(2))
    data = xr.open_zarr(str(path), group="A")
    assert {array.sizes["date"] for array in data.data_vars.values() if "date" in array.dims} == {len(DAYS) + 1}


@pytest.mark.parametrize(
    "change",
    [{"layout_hash": "other"}, {"label_settings": {"threshold": 0.7}}, {"synthetic_tables": ()}, {"exchange": "XLON"}],
)
def test_a_store_refuses_another_layout_or_other_labels(
    store: StoreWriter, path: StorePath, change: dict[str, object]
) -> None:
    with pytest.raises(StoreMismatch, match=next(iter(change))):
        StoreWriter.prepare(path, replace(TEMPLATE, **change))  # type: ignore[arg-type]


def test_a_folder_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    with pytest.raises(StoreError, match="no image store"):
        StoreWriter.prepare(tmp_path / "letters", TEMPLATE)
    assert [file.name for file in (tmp_path / "letters").iterdir()] == ["love.txt"]
    with pytest.raises(StoreError, match="finnex build"):
        ImageStore.open(tmp_path / "nowhere")


def test_one_writer_at_a_time(store: StoreWriter, path: StorePath) -> None:
    with pytest.raises(StoreBusy, match="another process"), writing(path):
        pass


def test_the_fingerprint_follows_images_and_labels_and_nothing_else(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    first = store.fingerprint()
    publish(store, "A", [draw(store, 3, 1, "again")])
    assert store.fingerprint() == first
    publish(store, "A", [draw(store, 3, 2)])
    second = store.fingerprint()
    assert second != first
    store.write_rows("A", "label_price_movement", 3, np.array([[2, 1]], dtype=np.int8))
    assert store.fingerprint() != second


def test_equal_rows_are_not_written_again(store: StoreWriter, path: StorePath) -> None:
    values = np.ones((10, 2), dtype=np.float32)
    assert store.write_rows("A", "feature_normalized", 0, values)
    before = {file: file.stat().st_mtime for file in path.rglob("*") if file.is_file()}
    assert not store.write_rows("A", "feature_normalized", 0, values)
    assert before == {file: file.stat().st_mtime for file in path.rglob("*") if file.is_file()}


def test_an_unknown_symbol_names_the_nearest(store: StoreWriter) -> None:
    with pytest.raises(StoreError, match="no symbol 'B'"):
        store.open_images("B")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after_moves", [0, 1, 2])
def test_a_publication_that_was_killed_half_way_is_finished_by_the_next_writer(
    store: StoreWriter, path: StorePath, after_moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "A", [draw(store, 3, 1), draw(store, 4, 2)])
    moves = 0
    place = type(store._place)
    real = place.move

    def move(place: Place, source: str, target: str) -> None:
        nonlocal moves
        if "image/c." in target:
            if moves == after_moves:
                raise Killed
            moves += 1
        real(place, source, target)

    monkeypatch.setattr(place, "move", move)
    monkeypatch.setattr(StoreWriter, "_record", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        publish(store, "A", [draw(store, 3, 5, "again"), draw(store, 4, 6, "again")])
    monkeypatch.undo()
    reader = ImageStore.open(path)
    for index, before, after in ((3, 1, 5), (4, 2, 6)):  # a reader sees one image or the other, whole, at any moment
        seen = reader.image("A", DAYS[index])
        assert any(np.array_equal(seen, image_of(seed)) for seed in (before, after))
    healed = StoreWriter.prepare(path, TEMPLATE)
    assert healed.damaged("A").tolist() == []
    state = healed.state("A")
    assert state.input_hash[[3, 4]].tolist() == [5, 6]
    assert healed.sweep() == 0


def test_a_symbol_that_was_not_laid_out_to_its_end_is_no_symbol_and_is_laid_out_again(
    store: StoreWriter, path: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    real, made = zarr.Group.create_array, 0

    def create(group: zarr.Group, name: str, **settings: object) -> object:
        nonlocal made
        made += 1
        if made == 6:
            raise Killed
        return real(group, name, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(zarr.Group, "create_array", create)
    with pytest.raises(Killed):
        store.ensure_symbol("B", DAYS, TEMPLATE)
    monkeypatch.undo()
    assert ImageStore.open(path).symbols == ["A"]
    again = StoreWriter.prepare(path, TEMPLATE)
    again.ensure_symbol("B", DAYS, TEMPLATE)
    assert again.symbols == ["A", "B"]
    assert len(again.state("B").days) == len(DAYS)
    np.testing.assert_array_equal(again.image("A", DAYS[3]), image_of(1))


def test_what_a_writer_has_not_finished_warns_no_reader(tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    store = StoreWriter.prepare(path, TEMPLATE)
    store.ensure_symbol("A", DAYS, TEMPLATE)
    publish(store, "A", [draw(store, 3, 1)])
    before = store.fingerprint()
    (path / "B" / "image").mkdir(parents=True)  # killed before Zarr had written what it is
    (path / ".finnex" / "partial" / "half").write_bytes(b"[")
    again = ImageStore.open(path)  # warnings are errors here
    assert (again.symbols, again.fingerprint()) == (["A"], before)
    longer = session_calendar("XNYS", date(2015, 1, 1), date(2016, 12, 31)).days
    store.ensure_symbol("A", longer, TEMPLATE)
    assert len(store.state("A").days) == len(longer)
    assert store.sweep() == 1


def test_planes_are_read_without_being_turned(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    planes = np.empty((3, 512, 512), dtype=np.float32)
    crc = int(store.state("A").image_crc[3])
    with pytest.raises(StoreCorrupt, match="do not match their checksum"):
        store.read_planes("A", 3, planes, crc + 1)
    store.read_planes("A", 3, planes, crc)
    np.testing.assert_array_equal(planes, image_of(1).transpose(2, 0, 1))
    with pytest.raises(StoreCorrupt, match="missing"):
        store.read_planes("A", 4, planes)


@pytest.mark.slow
def test_a_lease_that_is_no_longer_renewed_is_taken_over_and_its_holder_publishes_nothing(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_path(f"s3://{s3}/{uuid.uuid4().hex}/images.zarr")
    monkeypatch.setattr("finnex.store.lease.LEASE_SECONDS", 1.5)
    monkeypatch.setattr("finnex.store.lease.RENEW_SECONDS", 100.0)  # it hangs: nobody renews
    first = Lease(str(path))
    first.acquire(0)
    with pytest.raises(StoreBusy, match="another process"):
        Lease(str(path)).acquire(0)
    second = Lease(str(path))
    second.acquire(10)
    with pytest.raises(StoreBusy, match="was lost"):
        first.check()
    first.release()  # leaves the new holder's lock alone
    with pytest.raises(StoreBusy, match="another process"):
        Lease(str(path)).acquire(0)
    second.release()
    third = Lease(str(path))
    third.acquire(0)
    third.release()


@pytest.mark.slow
def test_a_writer_that_lost_its_lease_publishes_nothing(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store_path(f"s3://{s3}/{uuid.uuid4().hex}/images.zarr")
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        store.ensure_symbol("A", DAYS, TEMPLATE)
        receipt = draw(store, 3, 1)
        monkeypatch.setattr("finnex.store.lease.LEASE_SECONDS", 0.0)
        with pytest.raises(StoreBusy, match="was lost"):
            publish(store, "A", [receipt])
        assert store.state("A").status[3] != READY


@pytest.mark.slow
def test_a_renewed_lease_is_kept_as_long_as_the_writer_lives(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store_path(f"s3://{s3}/{uuid.uuid4().hex}/images.zarr")
    monkeypatch.setattr("finnex.store.lease.LEASE_SECONDS", 2.0)
    monkeypatch.setattr("finnex.store.lease.RENEW_SECONDS", 0.3)
    first = Lease(str(path))
    first.acquire(0)
    with pytest.raises(StoreBusy, match="another process"):
        Lease(str(path)).acquire(4)
    first.check()
    first.release()


@pytest.mark.slow
def test_a_bucket_that_cannot_be_reached_is_named_with_the_remedy(s3: str) -> None:
    with pytest.raises(StoreError, match="AWS's variables"), writing(store_path("s3://no-such-bucket/images.zarr")):
        pass
    with pytest.raises(StoreError, match="s3://no-such-bucket"):
        ImageStore.open("s3://no-such-bucket/images.zarr")


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="s3://BUCKET"):
        ImageStore.open("gs://bucket/images.zarr")
