"""Where a store may lie: in a folder of its own, on one disk. What is refused leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from finnex.errors import StoreError
from finnex.store import StoreWriter, restore, writing
from tests.helpers.damaged_stores import contents, same
from tests.helpers.format_3 import TEMPLATE

MEMORY = Path("/dev/shm")


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "images.zarr"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    folder = Path(tempfile.mkdtemp(prefix="finnex-test-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["A", ".finnex", "A/status", ".finnex/drafts"])
def test_a_part_of_a_store_on_another_disk_is_refused_before_anything_is_written(
    whole: Path, path: Path, elsewhere: Path, name: str
) -> None:  # fmt: skip
    (path / name).mkdir(exist_ok=True)
    moved = shutil.move(path / name, elsewhere / "part")
    (path / name).symlink_to(moved)
    before = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    for _ in range(2):
        with pytest.raises(StoreError, match=r"another file system.*Move .*part back"), writing(path):
            pytest.fail("it may be written")
    assert {one: one.read_bytes() for one in path.rglob("*") if one.is_file()} == before
    assert same(contents(path), contents(whole))  # readers follow the link
    (path / name).unlink()
    shutil.move(moved, path / name)
    with writing(path):
        assert restore(path, TEMPLATE) == []


def test_a_part_that_no_check_foresees_ends_in_words(
    path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finnex.store.lock.check_one_disk", lambda path: None)
    moved = shutil.move(path / "A", elsewhere / "A")
    (path / "A").symlink_to(moved)
    with pytest.raises(StoreError, match=r"another file system.*Move it back"), writing(path):
        StoreWriter.prepare(path, TEMPLATE).quarantine("A", np.array([1]), "odd")


def test_a_link_inside_one_disk_and_a_whole_store_behind_a_link_are_written(
    path: Path, tmp_path: Path, elsewhere: Path
) -> None:
    (path / "B").rename(tmp_path / "B")
    (path / "B").symlink_to(tmp_path / "B")
    (path / "plots").symlink_to(elsewhere)  # no part of the store
    with writing(path):
        assert StoreWriter.prepare(path, TEMPLATE).release("A", np.array([2])) == 1
    (path / "plots").unlink()
    shutil.copytree(path, elsewhere / "images.zarr")
    (tmp_path / "link").symlink_to(elsewhere / "images.zarr")
    with writing(tmp_path / "link"):
        assert restore(tmp_path / "link", TEMPLATE) == []


@pytest.mark.parametrize("below", ["", "images.zarr"])
def test_a_path_that_is_no_folder_is_refused_before_a_lock_is_made(tmp_path: Path, below: str) -> None:
    (tmp_path / "letter").write_text("dear")
    with (
        pytest.raises(StoreError, match=r"letter is no folder\. Correct \[store\] path"),
        writing(tmp_path / "letter" / below),
    ):
        pytest.fail("it may be written")
    assert [one.name for one in tmp_path.iterdir()] == ["letter"]


def test_a_device_is_no_folder() -> None:
    with pytest.raises(StoreError, match="null is no folder"), writing("/dev/null"):
        pytest.fail("it may be written")
    assert not Path("/dev/.null.lock").exists()


@pytest.mark.parametrize("name", ["A", "A/image", "new", ".finnex/new"])
def test_a_path_inside_a_store_is_refused(path: Path, name: str) -> None:
    before = sorted(path.rglob("*"))
    with pytest.raises(StoreError, match=r"lies inside the Zarr store .*images\.zarr"), writing(path / name):
        pytest.fail("it may be written")
    assert sorted(path.rglob("*")) == before
