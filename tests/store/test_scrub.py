"""The scrub reads a share of the images each day, the longest unread first, and finds damage that no size shows."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnex.store import StoreWriter, scrub, writing
from finnex.store.folder import Folder
from finnex.store.place import place_of
from finnex.store.scrub import last_scrub
from tests.helpers.stores import blank, make_store, sessions, template

module = importlib.import_module("finnex.store.scrub")


class Clock:
    """A clock that a test moves by a day."""

    now_is = datetime(2026, 1, 1, 22, tzinfo=UTC)

    @classmethod
    def now(cls, zone: Any = None) -> datetime:
        return cls.now_is

    @classmethod
    def next_day(cls) -> None:
        cls.now_is += timedelta(days=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "datetime", Clock)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreWriter]:
    days = sessions(7)
    labels = {symbol: np.zeros(7, dtype=np.int8) for symbol in ("A", "B", "C")}
    with writing(tmp_path / "s.zarr"):
        make_store(tmp_path / "s.zarr", days, lambda _, i: blank() + i / 16, labels, horizon=1)
        yield StoreWriter.prepare(tmp_path / "s.zarr", template())


def read_of(store: StoreWriter, monkeypatch: pytest.MonkeyPatch, share: float) -> list[str]:
    """Return the keys of the images that a scrub reads."""
    found, get = [], Folder.get

    def noting(place: Folder, key: str, *rest: Any) -> bytes | None:
        if "/image/c" in key:
            found.append(key)
        return get(place, key, *rest)

    with monkeypatch.context() as watched:
        watched.setattr(Folder, "get", noting)
        scrub(store, share)
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(share=st.sampled_from([1 / 30, 1 / 7, 1 / 4, 0.4, 1.0]))
def test_every_image_is_read_once_before_any_is_read_again(
    store: StoreWriter, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    images, read = 21, []
    nights = int(np.ceil(images / np.ceil(share * images)))
    for _ in range(nights):
        Clock.next_day()
        read += read_of(store, monkeypatch, share)
    assert len(set(read[:images])) == images
    Clock.next_day()
    again = read_of(store, monkeypatch, share)
    position = len(read) % images
    assert again[0] == read[position]  # of all, the one that was read the longest time ago


def test_a_share_is_read_once_a_day(store: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock.next_day()
    assert len(read_of(store, monkeypatch, 1 / 3)) == 7
    assert read_of(store, monkeypatch, 1 / 3) == []
    Clock.next_day()
    assert len(read_of(store, monkeypatch, 1 / 3)) == 7
    Clock.next_day()
    assert read_of(store, monkeypatch, 0) == []


def test_damage_that_neither_size_nor_time_shows_is_found(store: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(str(store.path)) / "B" / "image"
    chunk = sorted(one for one in path.rglob("*") if one.is_file() and one.name != "zarr.json")[3]
    known, data = chunk.stat(), bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    os.utime(chunk, ns=(known.st_atime_ns, known.st_mtime_ns))
    rows = np.arange(7)
    assert len(store.lost("B", rows)) == 0  # as a build sees it
    found = None
    for _ in range(30):
        Clock.next_day()
        found = scrub(store, 1 / 30)
        assert found is not None
        if found.damaged:
            break
    assert found is not None
    assert [(symbol, len(days)) for symbol, days in found.damaged.items()] == [("B", 1)]
    assert last_scrub(place_of(str(store.path))) == found
    assert len(store.lost("B", rows)) == 1  # the next build draws it again


def test_an_honest_store_raises_no_alarm(store: StoreWriter) -> None:
    for _ in range(8):
        Clock.next_day()
        found = scrub(store, 1 / 4)
        assert found is not None
        assert found.damaged == {}


def test_companies_that_come_and_go_are_no_obstacle(store: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock.next_day()
    assert len(read_of(store, monkeypatch, 0.5)) == 11  # ends within B
    store.remove("B")
    Clock.next_day()
    read = read_of(store, monkeypatch, 0.5)
    assert {key.split("/")[0] for key in read} == {"C"}


def test_a_company_without_images_has_its_turn_with_its_neighbours(store: StoreWriter) -> None:
    store.mark_damaged("B", np.arange(7))
    ended: list[tuple[str, ...]] = []
    for _ in range(2):
        Clock.next_day()
        found = scrub(store, 0.6)  # nine of fourteen
        assert found is not None
        ended.append(found.finished)
    assert ended[0] == ("A", "B")
    assert "C" in ended[1]


def test_a_clock_that_was_set_back_or_forward_stops_no_scrub(
    store: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (1, 4000, -4000, -3000):
        Clock.now_is += timedelta(days=days)
        assert len(read_of(store, monkeypatch, 1 / 3)) == 7
