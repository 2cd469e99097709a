"""Compaction: the images of a closed year lie in one file, and no reader of FinNeX notices."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnex.config import LabelSettings
from finnex.datasets import ImageBatches, PinnedStore, labelled_samples, load
from finnex.errors import StoreBusy, StoreCorrupt, StoreError
from finnex.store import (
    NO_BAR,
    QUARANTINED,
    READY,
    CompactedYear,
    ImageStore,
    Receipt,
    StoreWriter,
    attributes,
    compact,
    compaction_plan,
    restore,
    scrub,
    writing,
)
from finnex.store.bucket import Bucket
from finnex.store.folder import Folder
from finnex.store.place import place_of
from finnex.store.record import RECORD, read_record, write_record
from finnex.store_path import StorePath, store_path
from tests.helpers.stores import make_store, publish, template

pytest_plugins = ["tests.helpers.buckets"]

SMALL = replace(template(), shape=(8, 8, 3))
OF_YEAR = ("03-03", "03-04", "06-01", "12-30", "12-31")
DAYS = np.array([f"{year}-{day}" for year in (2014, 2015, 2016) for day in OF_YEAR], dtype="datetime64[D]")
DRAWN = (0, 1, 3, 5, 6, 8, 9, 10, 11)
"""Rows with an image; of 2014 and 2015 a session is absent in each."""
CLOSED = 2016
SHARDS = ("A/years/2014/image/c.0.0.0.0", "A/years/2015/image/c.0.0.0.0")


def image_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 1, SMALL.shape).astype(np.float32)


def drafts(store: StoreWriter, seeds: dict[int, int]) -> list[Receipt]:
    target, regions = store.target("A", uuid.uuid4().hex), len(SMALL.regions)
    found = []
    for row, seed in seeds.items():
        draft, crc = target.write(row, image_of(seed))
        found.append(Receipt(row, seed + 1, draft, crc, (1.0,) * regions, (1.0,) * regions))
    return found


def begin(path: StorePath) -> None:
    with writing(path):
        store = StoreWriter.prepare(path, SMALL)
        store.ensure_symbol("A", DAYS, SMALL)
        assert publish(store, "A", drafts(store, {row: row for row in DRAWN})) == []


@contextlib.contextmanager
def writer(path: StorePath) -> Iterator[StoreWriter]:
    with writing(path):
        yield StoreWriter.reopen(path)


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.accept)])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> StorePath:
    """A store with images of three years, in a folder, and in a bucket in make accept."""
    found: StorePath = tmp_path / "images.zarr"
    if request.param == "bucket":
        found = store_path(f"s3://{request.getfixturevalue('s3')}/{uuid.uuid4().hex}/images.zarr")
    begin(found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    begin(tmp_path / "images.zarr")
    return tmp_path / "images.zarr"


def compacted(path: StorePath) -> dict[str, int]:
    with writer(path) as store:
        return {one.year: one.images for one in compact(store, CLOSED, ["A"]) if not one.left}


def year_of(path: StorePath, year: str) -> xr.Dataset:
    return xr.open_zarr(f"{path}/A/years/{year}", chunks=None)


def assert_holds(store: ImageStore, wanted: dict[int, int]) -> None:
    """Assert that every way of reading gives the wanted images (by row, the seed), and no other."""
    assert np.flatnonzero(store.state("A").status == READY).tolist() == sorted(wanted)
    assert store.damaged("A").tolist() == []
    data, array = store.open_images("A"), store.image_array("A")
    assert data["date"].to_numpy().astype("datetime64[D]").tolist() == DAYS[sorted(wanted)].tolist()
    for image, (row, seed) in zip(data["image"].to_numpy(), sorted(wanted.items()), strict=True):
        np.testing.assert_array_equal(image, image_of(seed))
        np.testing.assert_array_equal(np.asarray(array[row]), image_of(seed))
        np.testing.assert_array_equal(store.image("A", DAYS[row]), image_of(seed))
        for crc in (None, int(store.state("A").image_crc[row])):
            planes = np.empty((3, 8, 8), dtype=np.float32)
            store.read_planes("A", row, planes, crc)
            np.testing.assert_array_equal(planes.transpose(1, 2, 0), image_of(seed))


AS_DRAWN = {row: row for row in DRAWN}


def test_every_image_is_bit_for_bit_what_it_was_for_readers_that_were_open_and_for_new_ones(path: StorePath) -> None:
    opened = ImageStore.open(path)
    lazy, fingerprint, state = opened.open_images("A"), opened.fingerprint(), opened.state("A")
    assert compacted(path) == {"2014": 3, "2015": 4}
    for store in (opened, ImageStore.open(path)):
        assert_holds(store, AS_DRAWN)
        assert store.fingerprint() == fingerprint
        assert store.state("A").image_crc.tolist() == state.image_crc.tolist()
        assert store.compacted("A") == {"2014": 3, "2015": 4}
        assert np.flatnonzero(store.has_chunk("A")).tolist() == list(DRAWN)
        assert np.flatnonzero(store.matching("A")).tolist() == list(DRAWN)
    np.testing.assert_array_equal(lazy["image"].to_numpy(), np.stack([image_of(row) for row in DRAWN]))


def test_a_closed_year_has_one_image_file_and_the_open_year_has_one_a_session(path: StorePath) -> None:
    compacted(path)
    place = place_of(str(path))
    assert sorted(place.keys("A/image")) == ["A/image/c.10.0.0.0", "A/image/c.11.0.0.0", "A/image/zarr.json"]
    for year in ("2014", "2015"):
        keys = [key.rpartition("/")[2] for key in place.keys(f"A/years/{year}/image")]
        assert keys == ["c.0.0.0.0", "zarr.json"]
    assert place.keys(".finnex/drafts/A") == []


def test_plain_xarray_opens_a_year_by_its_group_without_a_warning(path: StorePath) -> None:
    compacted(path)
    by_group = xr.open_zarr(str(path), group="A/years/2015", consolidated=False, chunks=None)
    for data in (year_of(path, "2015"), by_group):
        assert data["date"].to_numpy().astype("datetime64[D]").tolist() == DAYS[5:10].tolist()
        assert data["image"].dims == ("date", "y", "x", "channel")
        assert data["image"].attrs["valid_range"] == [0.0, 1.0]
        for session, row in enumerate(range(5, 10)):
            found = data["image"][session].to_numpy()
            np.testing.assert_array_equal(found, image_of(row) if row in DRAWN else np.full(SMALL.shape, np.nan))


def test_the_bytes_of_an_image_are_copied_and_not_encoded_again(folder: Path) -> None:
    before = (folder / "A/image/c.8.0.0.0").read_bytes()
    compacted(folder)
    shard = (folder / SHARDS[1]).read_bytes()
    assert shard.count(before) == 1
    assert zlib.crc32(before) == int(ImageStore.open(folder).state("A").image_crc[8])


def test_a_random_read_of_a_compacted_year_is_one_read_of_its_own_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compacted(folder)
    store, planes = ImageStore.open(folder), np.empty((3, 8, 8), dtype=np.float32)
    crcs = store.state("A").image_crc
    for row in (5, 0):  # the record and an index a year are read once
        store.read_planes("A", row, planes, int(crcs[row]))
    read: list[tuple[str, int, int | None]] = []
    get = Folder.get

    def noting(place: Folder, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        read.append((key, first, length))
        return get(place, key, first, length)

    monkeypatch.setattr(Folder, "get", noting)
    for row in (6, 1, 8):
        store.read_planes("A", row, planes, int(crcs[row]))
    assert [key for key, _, _ in read] == [SHARDS[1], SHARDS[0], SHARDS[1]]
    assert all(length is not None and 0 < length < (folder / key).stat().st_size for key, _, length in read)


def test_compacting_twice_changes_nothing(folder: Path) -> None:
    compacted(folder)
    before = {key: (folder / key).stat().st_mtime_ns for key in SHARDS}
    assert compacted(folder) == {}
    assert compaction_plan(ImageStore.open(folder), CLOSED, ["A"]) == []
    assert {key: (folder / key).stat().st_mtime_ns for key in SHARDS} == before


def test_a_dry_run_changes_no_file(folder: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    found = compaction_plan(ImageStore.open(folder), CLOSED, ["A"])
    assert [(one.symbol, one.year, one.images) for one in found] == [("A", "2014", 3), ("A", "2015", 4)]
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_a_redraw_takes_its_year_out_and_no_other(path: StorePath) -> None:
    compacted(path)
    with writer(path) as store:
        assert publish(store, "A", drafts(store, {6: 106})) == []
        assert store.lost("A", np.array(DRAWN)).tolist() == []
    store = ImageStore.open(path)
    assert_holds(store, {**AS_DRAWN, 6: 106})
    assert store.compacted("A") == {"2014": 3}
    assert place_of(str(path)).keys("A/years/2015/image") == []
    assert compacted(path) == {"2015": 4}
    assert_holds(ImageStore.open(path), {**AS_DRAWN, 6: 106})


def test_a_session_that_is_drawn_first_after_its_year_was_compacted_is_read_and_taken_in_next_time(
    path: StorePath,
) -> None:
    compacted(path)
    with writer(path) as store:
        publish(store, "A", drafts(store, {7: 107}))
        assert store.compacted("A") == {"2014": 3, "2015": 4}
    assert_holds(ImageStore.open(path), {**AS_DRAWN, 7: 107})
    assert compacted(path) == {"2015": 5}
    assert_holds(ImageStore.open(path), {**AS_DRAWN, 7: 107})


def test_a_quarantined_image_stays_withheld_from_plain_readers_of_its_year(path: StorePath) -> None:
    without = {row: row for row in DRAWN if row != 6}
    with writer(path) as store:
        store.quarantine("A", np.array([6]), "odd")
    assert compacted(path) == {"2014": 3, "2015": 3}
    assert_holds(ImageStore.open(path), without)
    assert np.isnan(year_of(path, "2015")["image"][1].to_numpy()).all()
    with writer(path) as store:  # released without a draw: its bytes are there
        assert store.release("A", np.array([6])) == 1
    assert_holds(ImageStore.open(path), AS_DRAWN)
    assert compacted(path) == {"2015": 4}
    with writer(path) as store:
        store.quarantine("A", np.array([6]), "odd again")
    assert_holds(ImageStore.open(path), without)
    assert place_of(str(path)).keys("A/years/2015/image") == []
    assert ImageStore.open(path).state("A").status[6] == QUARANTINED


def test_a_session_that_loses_its_bar_loses_its_image_in_a_compacted_year_too(folder: Path) -> None:
    compacted(folder)
    with writer(folder) as store:
        store.mark_no_bar("A", np.array([6]))
        assert store.state("A").status[6] == NO_BAR
    assert_holds(ImageStore.open(folder), {row: row for row in DRAWN if row != 6})
    assert not (folder / "A/image/c.6.0.0.0").exists()
    assert not (folder / "A/years/2015").exists()


def test_removing_a_company_removes_its_years(path: StorePath) -> None:
    compacted(path)
    with writer(path) as store:
        store.remove("A")
    assert ImageStore.open(path).symbols == []
    assert "A" not in place_of(str(path)).folders()


def test_the_calendar_of_a_compacted_company_grows(folder: Path) -> None:
    compacted(folder)
    longer = np.append(DAYS, np.array(["2017-01-03", "2017-01-04"], dtype="datetime64[D]"))
    with writer(folder) as store:
        store.ensure_symbol("A", longer, SMALL)
        publish(store, "A", drafts(store, {15: 15}))
    store = ImageStore.open(folder)
    assert store.compacted("A") == {"2014": 3, "2015": 4}
    np.testing.assert_array_equal(store.image("A", longer[15]), image_of(15))
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(3))


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["draw", "quarantine", "release", "no bar", "compact", "scrub"]), st.integers(0, 11)),
    max_size=9,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_any_sequence_of_changes_gives_what_it_gives_without_compaction(
    tmp_path: Path, operations: list[tuple[str, int]]
) -> None:
    if not (tmp_path / "begun").exists():
        begin(tmp_path / "begun")
    paths = [tmp_path / uuid.uuid4().hex for _ in range(2)]
    for path in paths:
        shutil.copytree(tmp_path / "begun", path, copy_function=shutil.copy2)
    seeds, reader = dict(AS_DRAWN), ImageStore.open(paths[0])
    for number, (what, row) in enumerate(operations):
        for path in paths:
            with writer(path) as store:
                status = store.state("A").status[row]
                if what == "draw":
                    assert publish(store, "A", drafts(store, {row: 100 + number})) == []
                    seeds[row] = 100 + number
                elif what == "quarantine" and status == READY:
                    store.quarantine("A", np.array([row]), "odd")
                elif what == "release" and status == QUARANTINED:
                    store.release("A", np.array([row]))
                elif what == "no bar":
                    store.mark_no_bar("A", np.array([row]))
                elif what == "compact" and path == paths[0]:
                    compact(store, CLOSED, ["A"])
                elif what == "scrub":
                    scrub(store, 1)
                assert store.lost("A", np.flatnonzero(store.state("A").status == READY)).tolist() == []
    ready = np.flatnonzero(ImageStore.open(paths[1]).state("A").status == READY)
    for store in (reader, *map(ImageStore.open, paths)):
        assert_holds(store, {int(row): seeds[int(row)] for row in ready})
        assert store.fingerprint() == reader.fingerprint()


EVERY = 6
"""Of the changes of a file, which are interrupted here; `python -m benchmarks.crash` interrupts before every call."""


class Crashed(Exception):
    """What ends a writer in the middle."""


def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> list[int]:
    """Let the n-th change of a file raise before it is made; the list counts."""
    made = [0]
    for name in ("put", "move", "delete", "draft", "delete_folder"):
        change = getattr(Folder, name)

        def counting(place: Folder, *args: Any, change: Callable[..., Any] = change, **options: Any) -> Any:
            made[0] += 1
            if made[0] == at:
                raise Crashed
            return change(place, *args, **options)

        monkeypatch.setattr(Folder, name, counting)
    return made


def redraw(path: Path) -> None:
    with writer(path) as store:
        assert publish(store, "A", drafts(store, {6: 106})) == []


@pytest.mark.parametrize(
    ("change", "prepared", "images"),
    [
        (compacted, begin, AS_DRAWN),
        (redraw, lambda path: (begin(path), compacted(path)), {**AS_DRAWN, 6: 106}),
    ],
    ids=["compaction", "redraw in a compacted year"],
)
def test_an_interrupted_change_loses_nothing_and_is_taken_up_by_the_next_writer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], Any],
    prepared: Callable[[Path], Any],
    images: dict[int, int],
) -> None:
    prepared(tmp_path / "before")
    shutil.copytree(tmp_path / "before", tmp_path / "calm", copy_function=shutil.copy2)
    change(tmp_path / "calm")
    wanted = {str(file.relative_to(tmp_path / "calm")) for file in (tmp_path / "calm").rglob("*") if file.is_file()}
    for at in range(1, 500, EVERY):
        path = tmp_path / f"at {at}"
        shutil.copytree(tmp_path / "before", path, copy_function=shutil.copy2)
        with monkeypatch.context() as patch:
            made = crashing(patch, at)
            with contextlib.suppress(Crashed):
                change(path)
        if made[0] < at:
            break
        store = ImageStore.open(path)
        status = store.state("A").status
        assert np.flatnonzero(status == READY).tolist() == list(DRAWN), at
        for row in DRAWN:
            found = store.image("A", DAYS[row])
            assert any(np.array_equal(found, image_of(seed)) for seed in {row, images[row]}), (at, row)
        change(path)
        assert_holds(ImageStore.open(path), images)
        left = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
        assert left == wanted, at
    assert at > 30, "the change was interrupted at each of its steps"


def test_two_compactions_at_once_are_refused(folder: Path) -> None:
    with writer(folder), pytest.raises(StoreBusy, match="another process"):
        compacted(folder)
    assert compacted(folder) == {"2014": 3, "2015": 4}


@pytest.mark.parametrize("years", [1, 1000])
def test_a_year_that_is_not_over_is_refused(folder: Path, years: int) -> None:
    now = datetime.now(UTC).year
    with writer(folder) as store, pytest.raises(StoreError, match=f"not over.*--before {now}"):
        compact(store, now + years, ["A"])
    assert ImageStore.open(folder).compacted("A") == {}


def test_an_earlier_version_refuses_a_compacted_store_and_reads_one_that_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_earlier(path: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(attributes, "READABLE", (4,))
            ImageStore.open(path)

    as_earlier(folder)
    assert b"years" not in (folder / RECORD).read_bytes()
    compacted(folder)
    with pytest.raises(StoreError, match="later version of FinNeX"):
        as_earlier(folder)
    redraw(folder)
    with writer(folder) as store:
        assert attributes.read_attributes(place_of(str(folder)))["finnex_format"] == 5
        assert store.compacted("A") == {"2014": 3}


def test_years_that_a_later_version_compacted_are_refused_by_name(folder: Path) -> None:
    compacted(folder)
    place = place_of(str(folder))
    record = read_record(place)
    assert record is not None
    company = record.companies["A"]
    later = replace(company.years["2015"], layout=2)
    with writing(folder):
        write_record(place, record.with_company("A", replace(company, years={**company.years, "2015": later})))
    for refused in (
        lambda: ImageStore.open(folder).image("A", DAYS[0]),
        lambda: StoreWriter.reopen(folder),
        lambda: restore(folder, SMALL),
    ):
        with pytest.raises(StoreError, match="A/years/2015 was compacted by a later version"), writing(folder):
            refused()


def test_a_year_with_a_damaged_image_is_left_and_the_others_are_compacted(folder: Path) -> None:
    flip(folder / "A/image/c.1.0.0.0", -1)
    with writer(folder) as store:
        found = compact(store, CLOSED, ["A"])
    left, done = found
    assert (left.year, left.images, done) == ("2014", 0, CompactedYear("A", "2015", 4))
    assert "the image of A for 2014-03-04 is damaged" in left.left
    assert (folder / "A/image/c.0.0.0.0").exists()
    with writer(folder) as store:
        publish(store, "A", drafts(store, {1: 1}))
    assert compacted(folder) == {"2014": 3}
    assert_holds(ImageStore.open(folder), AS_DRAWN)


def flip(file: Path, at: int) -> None:
    """Change a byte and leave size and time alone."""
    data, known = bytearray(file.read_bytes()), file.stat()
    data[at] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(known.st_atime_ns, known.st_mtime_ns))


def test_a_damaged_image_in_a_shard_is_found_by_a_scrub_and_mended_by_its_redraw(folder: Path) -> None:
    compacted(folder)
    flip(folder / SHARDS[1], -1)
    store = ImageStore.open(folder)
    assert store.damaged("A").tolist() == [9]
    with pytest.raises(StoreCorrupt, match=r"2015-12-31 is damaged on disk.*finnex build"):
        store.image("A", DAYS[9])
    with writer(folder) as writing_store:
        found = scrub(writing_store, 1)
        assert found is not None
        assert found.damaged == {"A": [DAYS[9].item()]}
        assert writing_store.lost("A", np.array(DRAWN)).tolist() == [9]
        assert publish(writing_store, "A", drafts(writing_store, {9: 9})) == []
    assert_holds(ImageStore.open(folder), AS_DRAWN)


@pytest.mark.parametrize("damage", ["gone", "index", "empty"])
def test_a_shard_that_cannot_be_read_is_found_and_its_year_is_drawn_again(folder: Path, damage: str) -> None:
    compacted(folder)
    if damage == "gone":
        (folder / SHARDS[1]).unlink()
    elif damage == "index":
        flip(folder / SHARDS[1], 20)
    else:
        (folder / SHARDS[1]).write_bytes(b"")
    store = ImageStore.open(folder)
    assert store.damaged("A").tolist() == [5, 6, 8, 9]
    with pytest.raises(StoreCorrupt, match="finnex build"):
        store.image("A", DAYS[5])
    with writer(folder) as writing_store:
        if damage == "index":  # size and time are as they were
            scrub(writing_store, 1)
        lost = writing_store.lost("A", np.array(DRAWN)).tolist()
        assert lost == [5, 6, 8, 9]
        assert publish(writing_store, "A", drafts(writing_store, {row: row for row in lost})) == []
    assert_holds(ImageStore.open(folder), AS_DRAWN)
    assert compacted(folder) == {"2015": 4}


@pytest.mark.parametrize("damaged", ["zarr.json", "image/zarr.json", "date/zarr.json", "date/c.0"])
def test_what_plain_readers_need_of_a_year_is_repaired(folder: Path, damaged: str) -> None:
    compacted(folder)
    file = folder / "A/years/2015" / damaged
    whole = file.read_bytes()
    for content in (None, b"damaged"):
        file.unlink() if content is None else file.write_bytes(content)
        with writing(folder):
            assert [one.symbol for one in restore(folder, SMALL, dry=True)] == ["A"]
            found = restore(folder, SMALL)
            assert restore(folder, SMALL) == []
        assert len(found) == 1
        assert found[0].lost == ""
        assert "A/years/2015/date" in found[0].where or damaged in found[0].where
        assert file.read_bytes() == whole


def test_a_record_that_is_lost_is_made_again_with_the_compacted_years(folder: Path) -> None:
    compacted(folder)
    (folder / RECORD).write_bytes(b"damaged")
    with writing(folder):
        restore(folder, SMALL)
    assert_holds(ImageStore.open(folder), AS_DRAWN)
    assert ImageStore.open(folder).compacted("A") == {"2014": 3, "2015": 4}


def test_a_status_that_is_lost_is_made_again_from_the_images_in_shards(folder: Path) -> None:
    compacted(folder)
    (folder / "A/status/c.0").write_bytes(b"damaged")
    with writing(folder):
        restore(folder, SMALL)
    assert_holds(ImageStore.open(folder), AS_DRAWN)


def test_a_journal_that_is_damaged_has_every_image_checked_and_the_damaged_taken_out(folder: Path) -> None:
    compacted(folder)
    flip(folder / SHARDS[1], -1)
    (folder / ".finnex/journal.json").write_bytes(b"damaged")
    with writing(folder):
        restore(folder, SMALL)
    assert_holds(ImageStore.open(folder), {row: row for row in DRAWN if row != 9})
    assert ImageStore.open(folder).compacted("A") == {"2014": 3}


def test_training_reads_the_same_batches_also_when_its_years_are_compacted_meanwhile(tmp_path: Path) -> None:
    path, rng = tmp_path / "s.zarr", np.random.default_rng(0)
    base = rng.uniform(0.02, 1, (512, 512, 3)).astype(np.float32)
    label = rng.integers(0, 3, len(DAYS))
    with writing(path):
        store = make_store(path, DAYS, lambda _, row: np.roll(base, row, axis=0), {"A": label}, horizon=1)
    wanted = LabelSettings(kind="price_movement", horizon=1)

    def batches() -> ImageBatches:
        pinned = PinnedStore(store, labelled_samples(store, wanted))
        return ImageBatches(pinned, range(12), batch_size=2, shuffle=True, seed=3)

    before = [(batch.images.numpy().copy(), batch.labels.tolist()) for batch in load(batches())]
    half = iter(batches())
    found = [next(half)]
    with writer(path) as writing_store:
        compact(writing_store, CLOSED, ["A"])
    found += list(half)
    assert [one.labels.tolist() for one in found] == [labels for _, labels in before]
    for one, again, (images, _) in zip(found, load(batches()), before, strict=True):
        np.testing.assert_array_equal(one.images.numpy(), images)
        np.testing.assert_array_equal(again.images.numpy(), images)


@pytest.mark.slow
def test_in_a_bucket_a_random_read_asks_for_a_range(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store_path(f"s3://{s3}/{uuid.uuid4().hex}/images.zarr")
    begin(path)
    compacted(path)
    store, planes = ImageStore.open(path), np.empty((3, 8, 8), dtype=np.float32)
    store.read_planes("A", 5, planes)
    asked: list[tuple[int | None, int | None]] = []
    place = place_of(str(path))
    assert isinstance(place, Bucket)
    files, cat = place._files, place._files.cat_file

    def noting(key: str, start: int | None = None, end: int | None = None) -> Any:
        asked.append((start, end))
        return cat(key, start=start, end=end)

    monkeypatch.setattr(files, "cat_file", noting)
    store.read_planes("A", 8, planes)
    assert len(asked) == 1
    first, last = asked[0]
    assert first is not None
    assert last is not None
    assert 0 < first < last
