"""A store in a bucket: a writer that lost its lease changes nothing, and damage is found and drawn again."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import numpy as np
import pytest
import xarray as xr

from finnex.errors import StoreBusy, StoreError
from finnex.store import READY, ImageStore, StoreWriter, bucket, writing
from finnex.store.keys import JOURNAL
from finnex.store.lease import Lease
from finnex.store.place import place_of
from finnex.store.rights import rights
from finnex.store.s3 import delete_if, filesystem, put_if, read, versions
from finnex.store_path import store_path
from tests.helpers.stores import publish
from tests.helpers.suspended_writer import (
    LONG,
    LOST,
    TEMPLATE,
    begin,
    content,
    draw,
    image_of,
    interrupt,
    label,
    rehearse,
    short_leases,
)

pytest_plugins = ["tests.helpers.buckets"]
pytestmark = pytest.mark.slow
LONGER = pytest.mark.accept


@pytest.fixture
def address(s3: str) -> str:
    return f"s3://{s3}/{uuid.uuid4().hex}/images.zarr"


def stolen(address: str) -> None:
    """Let another writer take the lease although it is held, as it may from one that is suspended."""
    lease = rights[address]
    assert isinstance(lease, Lease)
    files, target = filesystem(), lease._object
    found = read(files, target)
    assert found is not None
    other = Lease(address)
    other.generation = lease.generation + 1
    assert other._write(found[1])


def test_what_is_published_in_a_bucket_is_read_bit_for_bit_also_when_the_calendar_grew(address: str) -> None:
    begin(address)
    with writing(store_path(address)):
        StoreWriter.reopen(store_path(address)).ensure_symbol("A", LONG, TEMPLATE)
    with xr.open_zarr(address, group="A", chunks=None) as data:
        assert data.sizes["date"] == len(LONG)
        assert np.flatnonzero(data["status"].to_numpy() == READY).tolist() == [0, 1, 2, 3]
        np.testing.assert_array_equal(data["image"][2].to_numpy(), image_of(12))
    store = ImageStore.open(store_path(address))
    np.testing.assert_array_equal(store.image("A", LONG[3]), image_of(13))
    assert store.damaged("A").tolist() == []


def test_the_generation_grows_with_every_writer(address: str) -> None:
    seen = []
    for _ in range(3):
        with writing(address):
            lease = rights[address]
            assert isinstance(lease, Lease)
            seen.append(lease.generation)
            with pytest.raises(StoreBusy, match="another process"), writing(address):
                pass
    assert seen == [1, 2, 3]


def test_two_spellings_of_one_place_have_one_lease(s3: str) -> None:
    name = uuid.uuid4().hex
    with writing(f"s3://{s3}/{name}/"), pytest.raises(StoreBusy), writing(f"s3://{s3}/{name}"):
        pass


def test_nothing_is_written_to_a_bucket_without_its_lease(address: str) -> None:
    begin(address)
    place = place_of(address)
    for change in (
        lambda: place.put("A/status/c.0", b""),
        lambda: place.delete("A/status/c.0"),
        lambda: place.delete_folder("A"),
        lambda: place.claim(JOURNAL),
        lambda: StoreWriter.reopen(store_path(address)),
    ):
        with pytest.raises(StoreError, match=r"finnex\.store\.writing"):
            change()
    assert ImageStore.open(address).damaged("A").tolist() == []


def test_a_request_that_was_answered_and_not_heard_is_no_refusal(s3: str) -> None:
    files, target = filesystem(), {"Bucket": s3, "Key": uuid.uuid4().hex}
    first = put_if(files, target, b"one", None)
    assert first is not None
    assert put_if(files, target, b"one", None) == first, "it is sent again, and lies there"
    assert put_if(files, target, b"two", None) is None
    second = put_if(files, target, b"two", first)
    assert put_if(files, target, b"two", first) == second
    assert put_if(files, target, b"three", first) is None
    assert not delete_if(files, target, first)
    assert second is not None
    assert delete_if(files, target, second)
    assert delete_if(files, target, second)
    assert put_if(files, target, b"three", second) is None, "it was removed by somebody"


def test_of_many_writers_one_wins(s3: str) -> None:
    for etag in (None, "there"):
        target = {"Bucket": s3, "Key": uuid.uuid4().hex}
        before = put_if(filesystem(), target, b"before", None) if etag else None
        together, won = threading.Barrier(4), list[int]()

        def go(number: int, *about: Any) -> None:
            target, before, wait, won = about
            wait.wait()
            if put_if(filesystem(), target, f"{number}".encode() * 100_000, before) is not None:
                won.append(number)

        threads = [threading.Thread(target=go, args=(number, target, before, together, won)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def test_a_listing_of_more_than_a_page_is_whole(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, name = filesystem(), uuid.uuid4().hex
    for number in range(7):
        put_if(files, {"Bucket": s3, "Key": f"{name}/{number}"}, b"x" * number, None)
    real = files.call_s3
    monkeypatch.setattr(files, "call_s3", lambda method, **about: real(method, **about, MaxKeys=3), raising=False)
    found = versions(files, s3, f"{name}/")
    assert {key: one.size for key, one in found.items()} == {str(number): number for number in range(7)}


def test_a_writer_that_is_refused_writes_nothing_more(address: str) -> None:
    begin(address)
    with writing(address):
        store = StoreWriter.reopen(store_path(address))
        before = content(address)
        found = read(filesystem(), bucket.Bucket(address)._target(JOURNAL))
        assert found is not None
        put_if(filesystem(), bucket.Bucket(address)._target(JOURNAL), b"finnex-lease 9 other\n", found[1])
        receipt = draw(store, "late", 2, 99)
        with pytest.raises(StoreBusy, match=r"\.finnex/journal\.json was written by another process"):
            publish(store, "A", [receipt])
        for change in (
            lambda: publish(store, "A", [receipt]),
            lambda: store.write_rows("A", "label_price_movement", 0, np.ones((3, 2), dtype=np.int8)),
            store.sweep,
        ):
            with pytest.raises(StoreBusy, match="was lost"):
                change()
        assert content(address) == before


def test_a_journal_that_is_on_its_way_when_the_next_writer_claims_it_is_taken_up_or_refused(address: str) -> None:
    begin(address)
    place = bucket.Bucket(address)
    with writing(address):
        StoreWriter.reopen(store_path(address))
        first = rights[address]
        assert isinstance(first, Lease)
        known = first.versions[JOURNAL]
        stolen(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finnex.store.lease.LEASE_SECONDS", -10.0)  # the other one has died
        second = Lease(address)
        second.acquire(5)
    rights[address] = second
    try:
        assert second.generation == first.generation + 2
        assert place.claim(JOURNAL) is None
        assert put_if(filesystem(), place._target(JOURNAL), first.mark + b"late", known.etag) is None
        assert place.get(JOURNAL) is None
    finally:
        del rights[address]
        second.release()


@pytest.mark.parametrize("ignored", ["IfMatch", "IfNoneMatch"])
def test_a_server_that_ignores_conditions_is_refused(
    address: str, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = filesystem()
    real = files.call_s3

    def without(method: str, **about: Any) -> Any:
        about.pop(ignored, None)
        return real(method, **about)

    monkeypatch.setattr(files, "call_s3", without, raising=False)
    monkeypatch.setattr("finnex.store.lease.filesystem", lambda: files)
    with pytest.raises(StoreError, match=r"ignores conditions on writes"), writing(address):
        pass


@pytest.mark.accept
def test_what_an_earlier_writer_sent_late_lands_only_on_what_nobody_replaced_and_the_next_build_corrects_it(
    address: str,
) -> None:
    begin(address)
    place, files = bucket.Bucket(address), filesystem()
    with writing(address):
        first = rights[address]
        assert isinstance(first, Lease)
        store = StoreWriter.reopen(store_path(address))
        label(store, 1)
        sent = place.get("A/label_price_movement/c.0.0")
        label(store, 0)
        known = dict(first.versions)
    with writing(address):  # its labels are those that are stored, so that it does not write them
        store = StoreWriter.reopen(store_path(address))
        label(store, 0)
        publish(store, "A", [draw(store, "second", 3, 33)])
    before = content(address)
    recorded = [f"A/{name}/c.0" for name in ("rendered_at", "input_hash", "image_crc", "image_tag")]
    for key in (JOURNAL, "A/image/c.3.0.0.0", *recorded):
        assert put_if(files, place._target(key), b"late", known[key].etag) is None, key
    assert content(address) == before
    key = "A/label_price_movement/c.0.0"
    assert sent is not None
    assert put_if(files, place._target(key), sent, known[key].etag) is not None
    assert content(address) != before
    with writing(address):
        label(StoreWriter.reopen(store_path(address)), 0)
    assert content(address) == before


def test_damage_in_a_bucket_is_found_by_the_listing_and_drawn_again(address: str) -> None:
    begin(address)
    place, files = bucket.Bucket(address), filesystem()
    data = bytearray(place.get("A/image/c.1.0.0.0") or b"")
    data[len(data) // 2] ^= 1
    files.pipe_file(place._path("A/image/c.1.0.0.0"), bytes(data))
    files.rm_file(place._path("A/image/c.2.0.0.0"))
    with writing(address):
        store = StoreWriter.prepare(store_path(address), TEMPLATE)
        assert store.lost("A", np.arange(4)).tolist() == [1, 2]
        assert publish(store, "A", [draw(store, "again", index, 10 + index) for index in (1, 2)]) == []
    with writing(address):
        assert StoreWriter.reopen(store_path(address)).lost("A", np.arange(4)).tolist() == []
    reader = ImageStore.open(address)
    for index in range(4):
        np.testing.assert_array_equal(reader.image("A", reader.state("A").days[index]), image_of(10 + index))


def test_checksums_of_an_earlier_publication_are_damage_although_the_image_is_whole(address: str) -> None:
    """What a writer of an earlier version did that came back after it had lost its lease."""
    begin(address)
    place, files = bucket.Bucket(address), filesystem()
    old = place.get("A/image_crc/c.0")
    with writing(address):
        store = StoreWriter.reopen(store_path(address))
        publish(store, "A", [draw(store, "new", 3, 99)])
    files.pipe_file(place._path("A/image_crc/c.0"), old)
    with writing(address):
        assert StoreWriter.reopen(store_path(address)).lost("A", np.arange(4)).tolist() == [3]


def test_no_image_is_read_where_the_listing_agrees_and_each_once_where_no_version_is_known(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(address)
    reads: list[str] = []
    real = bucket.Bucket.get

    def get(place: bucket.Bucket, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        if "/image/c." in key:
            reads.append(key)
        return real(place, key, first, length)

    monkeypatch.setattr(bucket.Bucket, "get", get)
    with writing(address):
        store = StoreWriter.reopen(store_path(address))
        assert store.lost("A", np.arange(4)).tolist() == []
        assert reads == []
        store._write("A", {"image_tag": np.zeros(len(store.state("A").days), dtype=np.uint64)})  # as after an upgrade
        assert store.lost("A", np.arange(4)).tolist() == []
        assert len(reads) == 4
        assert store.lost("A", np.arange(4)).tolist() == []
        assert len(reads) == 4


@pytest.mark.integration
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "before", ["the move", pytest.param("checksums", marks=LONGER), pytest.param("status", marks=LONGER)]
)
def test_a_writer_that_is_suspended_and_comes_back_harms_nothing(
    s3: str, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Suspended between journal and move, while it records, and before it sets `status`."""
    short_leases(monkeypatch.setattr)
    calm = f"s3://{s3}/{uuid.uuid4().hex}/images.zarr"
    keys = rehearse(calm)
    wanted = content(calm)
    moves = [number for number, key in enumerate(keys) if "/image/c." in key]
    recorded = [number for number, key in enumerate(keys) if "/image_crc/c" in key]
    status = [number for number, key in enumerate(keys) if "/status/c" in key and number > recorded[0]]
    number, resume = {"the move": (moves[0], 3), "checksums": (recorded[0], None), "status": (status[0], None)}[before]
    address = f"s3://{s3}/{uuid.uuid4().hex}/images.zarr"
    ended, _ = interrupt(address, number, resume)
    assert ended == LOST, f"before {keys[number]}"
    assert content(address) == wanted, f"before {keys[number]}"


def test_a_reader_without_a_lease_sees_which_company_of_a_bucket_was_written(address: str) -> None:
    begin(address)
    store = ImageStore.open(store_path(address))
    before = store.survey_versions()
    assert before == store.survey_versions() != {}
    assert all(before.values())
    symbol = store.symbols[0]
    with writing(address):
        writer = StoreWriter.reopen(store_path(address))
        values = writer.outcomes(symbol)["label_price_movement"]
        values[0] = (values[0] + 2) % 3
        assert writer.write_rows(symbol, "label_price_movement", 0, values)
    after = store.survey_versions()
    assert [name for name in before if after[name] != before[name]] == [symbol]
    assert store.survey(symbol).version == after[symbol]
    assert bucket.Bucket(address).version([f"{symbol}/label_price_movement/c.9.9"]) == ""
