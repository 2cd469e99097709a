"""The writer's lock of a folder: one lock whatever path leads to it, and a message where the folder is taken away."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from finnex.errors import FinnexError, StoreBusy, StoreError
from finnex.store import DraftTarget, ImageStore, StoreWriter, writing
from tests.helpers.stores import publish
from tests.helpers.suspended_writer import SHORT, TEMPLATE, begin, content, draw, image_of

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with four images."""
    path = tmp_path / "data" / "images.zarr"
    path.parent.mkdir()
    begin(str(path))
    return path


def in_a_child(work: Callable[[], object]) -> str:
    """Run something in a child process; return the message of its error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read()


def take(path: Path, wait_seconds: float = 0.0) -> None:
    with writing(path, wait_seconds):
        pass


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def links(path: Path) -> dict[str, Path]:
    """Other paths of the same store."""
    around = path.parent.parent
    (around / "link.zarr").symlink_to(path)
    (around / "parent").symlink_to(path.parent)
    (around / "above").symlink_to(around)
    (around / "second.zarr").symlink_to(around / "link.zarr")
    return {
        "a link to it": around / "link.zarr",
        "a link to a link": around / "second.zarr",
        "a link to its folder": around / "parent" / path.name,
        "a link further up": around / "above" / "data" / path.name,
        "dots": around / "parent" / ".." / "data" / path.name,
        "a relative path": Path(os.path.relpath(path)),
    }


def test_every_path_that_leads_to_a_store_takes_the_same_lock(path: Path) -> None:
    for name, other in links(path).items():
        with writing(path):
            assert in_a_child(lambda other=other: take(other)).startswith("StoreBusy"), name
        with writing(other):
            assert in_a_child(lambda: take(path)).startswith("StoreBusy"), name
        assert in_a_child(lambda other=other: take(other)) == "", name


def test_a_second_writer_through_a_link_sweeps_no_drafts(path: Path) -> None:
    link = path.parent.parent / "link.zarr"
    link.symlink_to(path)
    with writing(path):
        store = StoreWriter.reopen(path)
        receipt = draw(store, "run", 4, 1)

        def second() -> None:
            with writing(link):
                StoreWriter.reopen(link)

        assert in_a_child(second).startswith("StoreBusy")
        assert publish(store, "A", [receipt]) == []


def test_a_link_that_leads_to_no_folder_yet_takes_the_lock_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "link.zarr").symlink_to(tmp_path / "disk" / "images.zarr")
    with writing(tmp_path / "link.zarr"):
        assert in_a_child(lambda: take(tmp_path / "disk" / "images.zarr")).startswith("StoreBusy")
        StoreWriter.prepare(tmp_path / "link.zarr", TEMPLATE)
    assert ImageStore.open(tmp_path / "disk" / "images.zarr").symbols == []


def test_a_mount_of_the_store_at_another_place_takes_the_same_lock(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "mounted.zarr"
    place.mkdir()
    done = subprocess.run(["mount", "--bind", str(path), str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        with writing(path):
            assert in_a_child(lambda: take(place)).startswith("StoreBusy")
            began = time.monotonic()
            assert in_a_child(lambda: take(place, 0.5)).startswith("StoreBusy")
            assert time.monotonic() - began >= 0.5
        take(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_writer_that_was_killed_keeps_nobody_waiting(path: Path) -> None:
    code = (
        f"import time\nfrom finnex.store import writing\nwith writing({str(path)!r}):\n"
        "    print('in', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StoreBusy):
            take(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    take(path)


def test_taking_the_lock_leaves_no_trace(path: Path, tmp_path: Path) -> None:
    before = (path.stat().st_mtime_ns, names(path))
    with writing(path):
        assert (path.stat().st_mtime_ns, names(path)) == before
    assert (path.stat().st_mtime_ns, names(path)) == before
    take(tmp_path / "none.zarr")
    assert not (tmp_path / "none.zarr").exists()
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "one.txt").write_text("dear")
    take(letters)
    assert names(letters) == ["one.txt"]


@pytest.mark.parametrize("change", ["publish", "write_rows", "ensure_symbol", "draft", "nothing"])
def test_a_store_that_is_moved_away_while_it_is_written_is_an_error_in_words(path: Path, change: str) -> None:
    before, away = content(str(path)), path.with_name("away.zarr")

    def write() -> None:
        with writing(path):
            store = StoreWriter.reopen(path)
            receipt = draw(store, "run", 2, 99)
            path.rename(away)
            if change == "publish":
                publish(store, "A", [receipt])
            elif change == "write_rows":
                store.write_rows("A", "label_price_movement", 0, np.ones((3, 2), dtype=np.int8))
            elif change == "ensure_symbol":
                store.ensure_symbol("B", SHORT, TEMPLATE)
            elif change == "draft":
                draw(store, "run", 3, 99)

    with pytest.raises(StoreError, match=r"images\.zarr was moved, removed or replaced"):
        write()
    assert not path.exists()
    assert content(str(away)) == before
    away.rename(path)
    with writing(path):
        store = StoreWriter.reopen(path)
        assert publish(store, "A", [draw(store, "run", 2, 99)]) == []


@pytest.mark.parametrize("change", ["quarantine", "write_rows"])
def test_another_store_in_its_place_is_not_written(path: Path, change: str) -> None:
    other = path.with_name("other.zarr")
    begin(str(other))
    link = path.with_name("current.zarr")
    link.symlink_to(path)
    before = content(str(other))

    def write() -> None:
        with writing(link):
            store = StoreWriter.reopen(link)
            link.unlink()
            link.symlink_to(other)
            if change == "quarantine":
                store.quarantine("A", np.array([2]), "frozen feed")
            else:
                store.write_rows("A", "label_price_movement", 0, np.ones((3, 2), dtype=np.int8))

    with pytest.raises(StoreError, match="was moved, removed or replaced"):
        write()
    assert content(str(other)) == before


def test_a_worker_makes_no_store_where_there_is_none_any_more(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="moved or removed"):
        DraftTarget(str(tmp_path / "gone.zarr"), "A", "run").write(0, image_of(1))
    assert not (tmp_path / "gone.zarr").exists()


@contextmanager
def of_anybody() -> Iterator[Path]:
    """A folder that every account may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody() -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@pytest.mark.parametrize(
    ("part", "mode"), [("", 0o000), ("", 0o555), (".", 0o000), ("A", 0o000), ("A/status/c.0", 0o000)]
)
def test_a_store_without_permission_is_an_error_in_words_for_readers_and_writers(part: str, mode: int) -> None:
    with of_anybody() as folder:
        path = folder / "data" / "images.zarr"
        begin(str(path))
        for one in [path.parent, *path.parent.rglob("*"), *path.parent.glob(".*")]:
            os.chown(one, NOBODY, NOBODY) if os.getuid() == 0 else None
        shut = path.parent if part == "." else path / part
        shut.chmod(mode)

        def reader() -> None:
            as_nobody()
            ImageStore.open(path).fingerprint()

        def writer() -> None:
            as_nobody()
            with writing(path):
                store = StoreWriter.reopen(path)
                publish(store, "A", [draw(store, "run", 2, 99)])

        for who in (writer,) if mode == 0o555 else (reader, writer):
            said = in_a_child(who)
            assert said.startswith("StoreError"), said
            assert "ermission" in said
            assert str(path) in said
        shut.chmod(0o755)
        assert in_a_child(writer) == "", "what the message says helps"


def test_a_limit_on_the_size_of_files_is_an_error_in_words(path: Path) -> None:
    before = content(str(path))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        with writing(path):
            store = StoreWriter.reopen(path)
            publish(store, "A", [draw(store, "run", 2, 99)])

    said = in_a_child(limited)
    assert said.startswith("StoreError"), said
    assert "File too large" in said
    assert content(str(path)) == before


def test_a_path_that_cannot_be_a_folder_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "file", tmp_path / "file" / "images.zarr", tmp_path / "loop", tmp_path / ("x" * 300)):
        with pytest.raises(FinnexError, match="cannot be written"):
            take(path)


def test_where_folders_cannot_be_locked_the_file_beside_the_store_is_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def without_folders(file: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", without_folders)
    with writing(path):
        assert "StoreBusy" in in_a_child(lambda: take(path))
    assert in_a_child(lambda: take(path)) == ""
