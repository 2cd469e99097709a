"""Every chunk of a small array is there and carries its checksum: one that is gone is damage, not emptiness."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from finnex.data.calendar import session_calendar
from finnex.errors import StoreCorrupt
from finnex.store import ImageStore, StoreWriter, upgrade_chunks, writing
from finnex.store.folder import Folder
from tests.helpers.format_3 import ARCHIVE, DAYS, FINGERPRINT, TEMPLATE, image_of

FIVE_YEARS = session_calendar("XNYS", date(2015, 12, 1), date(2020, 12, 31)).days


class Stopped(Exception):
    """Stands for a crash; an interrupt would end Zarr's own thread."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with writing(tmp_path / "images.zarr"):
        StoreWriter.prepare(tmp_path / "images.zarr", TEMPLATE).ensure_symbol("A", DAYS, TEMPLATE)
    return tmp_path / "images.zarr"


def small_chunks(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.glob("A/*/c*") if one.is_file()}


def test_a_chunk_that_is_gone_is_damage_and_named(path: Path) -> None:
    store = ImageStore.open(path)
    assert store.broken("A") == {}
    for key in sorted(small_chunks(path)):
        name = key.split("/")[1]
        held = (path / key).read_bytes()
        (path / key).unlink()
        assert store.broken("A") == {name: f"its chunk {key.split('/')[2]} is gone"}
        with pytest.raises(StoreCorrupt, match=f"A/{name} .*gone.*finnex repair"):
            ImageStore.open(path).values("A", name)
        (path / key).write_bytes(held)


def test_an_extension_writes_the_chunks_that_it_needs_and_hides_no_loss(path: Path) -> None:
    (path / "A" / "prediction" / "c.0.0").unlink()
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE).ensure_symbol("A", FIVE_YEARS, TEMPLATE)
    assert "A/feature_scale/c.2.0" in small_chunks(path)
    assert set(ImageStore.open(path).broken("A")) == {"prediction"}
    assert np.isnan(ImageStore.open(path).values("A", "feature_scale")).all()


@pytest.mark.parametrize("puts", [0, 3, 14, 30, 70])
def test_a_store_of_format_3_gets_checksums_and_keeps_every_value_wherever_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    path = tmp_path / "images.zarr"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(path, filter="data")
    reader = ImageStore.open(path)
    before = {name: reader.values("A", name).tolist() for name in reader.array_names("A") if name != "image"}
    left = [puts]
    put, complete = Folder.put, upgrade_chunks.complete

    def stops(self: Folder, key: str, data: bytes) -> None:
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        put(self, key, data)

    def while_it_is_completed(*arguments: object) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "put", stops)
            complete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("finnex.store.writer.complete", while_it_is_completed)
    with writing(path), pytest.raises(Stopped):
        StoreWriter.prepare(path, TEMPLATE)
    monkeypatch.undo()
    assert ImageStore.open(path).fingerprint() == FINGERPRINT
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE)
    store = ImageStore.open(path)
    assert store.fingerprint() == FINGERPRINT
    for name, values in before.items():
        assert repr(store.values("A", name).tolist()) == repr(values), name
    for index in range(4):
        np.testing.assert_array_equal(store.image("B", DAYS[index]), image_of(index))
    for name in ("status", "date", "prediction", "horizon"):
        assert json.loads((path / "B" / name / "zarr.json").read_bytes())["codecs"][-1] == {"name": "crc32c"}
    status = path / "B" / "status" / "c.0"
    status.write_bytes(bytes([status.read_bytes()[0] ^ 1]) + status.read_bytes()[1:])
    assert set(ImageStore.open(path).broken("B")) == {"status"}


def test_an_array_of_format_3_that_cannot_be_read_gets_no_checksum_and_is_found(tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(path, filter="data")
    (path / "B" / "coverage" / "c.0.0").write_bytes(bytes(range(128, 256)))
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
    assert set(store.broken("B")) == {"coverage"}
    assert store.broken("A") == {}


# ---- what lies in the way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "dangling link", "cyclic link", "pipe"])
def test_what_is_no_file_reads_as_gone_and_is_set_aside_by_a_write(tmp_path: Path, kind: str) -> None:
    place, file = Folder(str(tmp_path)), tmp_path / "A" / "c.0"
    file.parent.mkdir()
    if kind == "folder":
        file.mkdir()
        (file / "letter.txt").write_text("dear")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file if kind == "cyclic link" else tmp_path / "nowhere")
    assert place.get("A/c.0") is None
    place.put("A/c.0", b"new")
    assert file.read_bytes() == b"new"
    assert not file.is_symlink()
    if kind == "folder":
        assert [one.read_text() for one in tmp_path.glob(".finnex/set_aside/*/letter.txt")] == ["dear"]


@pytest.mark.parametrize("where", ["A", ".finnex", ".finnex/partial"])
@pytest.mark.parametrize("link", [False, True])
def test_a_file_where_a_folder_must_be_is_set_aside(tmp_path: Path, where: str, link: bool) -> None:
    (tmp_path / ".finnex").mkdir()
    shutil.rmtree(tmp_path / where, ignore_errors=True)
    if link:
        (tmp_path / where).symlink_to("nowhere")
    else:
        (tmp_path / where).write_text("dear")
    place = Folder(str(tmp_path))
    assert place.get(f"{where}/c.0") is None
    place.put("A/c.0", b"new")
    place.sync()
    assert (tmp_path / "A" / "c.0").read_bytes() == b"new"
    [aside] = (tmp_path / ".finnex" / "set_aside").iterdir()
    assert os.readlink(aside) == "nowhere" if link else aside.read_text() == "dear"  # noqa: PTH115


def test_a_folder_where_the_journal_must_be_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / ".finnex" / "journal.json" / "mine").mkdir(parents=True)
    Folder(str(tmp_path)).delete(".finnex/journal.json")
    assert not (tmp_path / ".finnex" / "journal.json").exists()
    assert len(list((tmp_path / ".finnex" / "set_aside").glob("*/mine"))) == 1
