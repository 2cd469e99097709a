"""A store that an earlier version wrote is read, upgraded in place by the first writer, and keeps every image."""

from __future__ import annotations

import json
import tarfile
import zlib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from numcodecs import Blosc

from finnex.data.calendar import session_calendar
from finnex.store import (
    EMPTY,
    FAILED,
    NO_BAR,
    READY,
    ImageStore,
    Receipt,
    StoreWriter,
    writing,
)
from tests.helpers.format_3 import ARCHIVE, DAYS, FINGERPRINT, TEMPLATE, image_of
from tests.helpers.stores import publish


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of format 3: companies A and B, images 0 to 3 published, session 5 without a bar, session 6 failed."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "images.zarr", filter="data")
    return tmp_path / "images.zarr"


def looks_as_it_was(path: Path) -> None:
    store = ImageStore.open(path)
    assert store.symbols == ["A", "B"]
    assert store.fingerprint() == FINGERPRINT
    for symbol in store.symbols:
        state = store.state(symbol)
        assert state.days.tolist() == DAYS.tolist()
        assert state.status[:8].tolist() == [READY] * 4 + [EMPTY, NO_BAR, FAILED, EMPTY]
        for index in range(4):
            np.testing.assert_array_equal(store.image(symbol, DAYS[index]), image_of(index))
        assert xr.open_zarr(str(path), group=symbol).sizes["date"] == len(DAYS)
        assert store.open_images(symbol).sizes["date"] == 4


def test_a_reader_reads_it_and_changes_nothing(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    looks_as_it_was(path)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_reader_sees_nothing_of_an_array_that_an_upgrade_has_begun_to_add(path: Path) -> None:
    for symbol in ("A", "B"):
        (path / symbol / "image_tag").mkdir()
    for symbol in ("A", "B"):  # Zarr warns of a folder without metadata, and a warning fails a test
        store = ImageStore.open(path)
        assert "image_tag" not in store.array_names(symbol)
        assert "image_tag" not in store.open_sessions(symbol)
        assert store.open_images(symbol).sizes["date"] == 4


def test_the_first_writer_upgrades_it_and_it_takes_new_images_and_states(path: Path) -> None:
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        looks_as_it_was(path)
        assert store.attrs["finnex_format"] == 4
        draft, crc = store.target("A", "run").write(4, image_of(4))
        assert publish(store, "A", [Receipt(4, 5, draft, crc, (1.0, 0.5), (1.0, 1.0), 0.1)]) == []
        assert store.quarantine("A", np.array([2]), "looks odd") == 1
        store.ensure_symbol("A", session_calendar("XNYS", date(2015, 12, 1), date(2016, 12, 30)).days, TEMPLATE)
    assert xr.open_zarr(str(path), group="A").sizes["date"] > len(DAYS)
    assert "quarantined" in xr.open_zarr(str(path), group="A")["status"].attrs["flag_meanings"]


def test_an_extension_that_an_earlier_version_left_half_done_is_read_and_undone(path: Path) -> None:
    for name in ("image", "status", "coverage"):
        file = path / "A" / name / "zarr.json"
        document = json.loads(file.read_text())
        document["shape"][0] += 200
        file.write_text(json.dumps(document))
    store = ImageStore.open(path)
    assert store.fingerprint() == FINGERPRINT
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE)
    looks_as_it_was(path)
    plain = zarr.open_group(str(path), path="A", mode="r", use_consolidated=False)
    assert plain["image"].shape[0] == len(DAYS)


@pytest.mark.parametrize("moved", [0, 1])
def test_a_publication_that_an_earlier_version_left_half_done_is_finished(path: Path, moved: int) -> None:
    encoder = Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE)
    receipts = []
    for index, seed in ((3, 30), (4, 40)):
        encoded = encoder.encode(np.ascontiguousarray(image_of(seed).transpose(2, 0, 1)))
        if index == 3 or moved:
            (path / "A" / "image" / f"c.{index}.0.0.0").write_bytes(encoded)
        draft = f"A/image/.drafts/run-{index}"
        receipts.append(vars(Receipt(index, seed, draft, zlib.crc32(encoded), (1.0, 0.5), (1.0, 1.0))))
    (path / "A" / ".publishing.json").write_text(json.dumps(receipts))
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
    np.testing.assert_array_equal(store.image("A", DAYS[3]), image_of(30))
    assert store.state("A").status[4] == (READY if moved else EMPTY)
    assert store.damaged("A").tolist() == []
    assert not (path / "A" / ".publishing.json").exists()
