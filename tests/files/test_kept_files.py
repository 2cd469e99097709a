"""What is kept in a folder is given back whole or not at all, costs no error, and does not grow without end."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnex.files import kept_files
from finnex.files.kept_files import DAY, KeptFiles, digest_of

KEY = digest_of(b"key")
WRITES = """
import sys
from pathlib import Path
from finnex.files.kept_files import KeptFiles
for number in range(40):
    kept = KeptFiles(Path(sys.argv[1]))
    kept.put(sys.argv[2], bytes([number]) * 50_000)
    found = kept.get(sys.argv[2])
    assert found is None or found == found[:1] * 50_000, "a part was read"  # None: another replaces it just now
    kept.tidy()
"""


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.kept"))


@given(content=st.binary(max_size=300), at=st.integers(0, 299), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_entry_is_none_and_is_written_anew(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, bit: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("kept") / "tables"
    KeptFiles(folder).put(KEY, content)
    assert KeptFiles(folder).get(KEY) == content
    assert KeptFiles(folder).get(digest_of(b"another")) is None
    (path,) = entries(folder)
    damaged = bytearray(content or b"more")
    damaged[at % len(damaged)] ^= 1 << bit
    path.write_bytes(content[: at % len(content)] if cut and content else damaged)
    assert KeptFiles(folder).get(KEY) is None
    KeptFiles(folder).put(KEY, content)
    assert len(entries(folder)) == 1
    assert KeptFiles(folder).get(KEY) == content


def test_folder_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeptFiles(tmp_path / "state" / "tables").put(KEY, b"content")
    finally:
        os.umask(before)
    rights = [stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "state", *(tmp_path / "state").rglob("*"))]
    assert rights == [0o700, 0o700, 0o600]


def into_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def entry_into(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (path,) = entries(folder)
        path.rename(folder / "content")
        make(path)

    return change


@pytest.mark.parametrize(
    "change",
    [
        into_a_link, lambda folder: folder.chmod(0o777), lambda folder: folder.chmod(0o770),
        entry_into(lambda path: path.symlink_to("content")), entry_into(Path.mkdir), entry_into(os.mkfifo),
    ],
)  # fmt: skip
def test_what_others_could_have_put_there_is_not_read(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = tmp_path / "tables"
    KeptFiles(folder).put(KEY, b"content")
    change(folder)
    assert KeptFiles(folder).get(KEY) is None
    KeptFiles(folder).put(KEY, b"more")  # no error, wherever it can or cannot be written


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_read_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    folder = tmp_path / "state" / "tables"
    KeptFiles(folder).put(KEY, b"content")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    aged(folder, KEY, 3)
    for name in ("utime", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(kept_files, "replacing", refuse)
    kept = KeptFiles(folder)
    kept.put(digest_of(b"more"), b"more")
    kept.tidy()
    assert kept.get(KEY) == b"content"
    assert kept.get(digest_of(b"more")) is None
    entries(folder)[0].write_bytes(b"damaged")
    assert kept.get(KEY) is None


def test_where_a_file_takes_the_folders_place_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    kept = KeptFiles(tmp_path / "state" / "tables")
    kept.put(KEY, b"content")
    kept.tidy()
    assert kept.get(KEY) is None
    assert (tmp_path / "state").read_text() == "a file"
    nowhere = KeptFiles(None)
    nowhere.put(KEY, b"content")
    assert nowhere.get(KEY) is None


def aged(folder: Path, key: str, days: float) -> None:
    for path in folder.glob(f"{key}-*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_what_is_old_or_too_much_goes_and_what_is_used_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, keys = tmp_path / "tables", [digest_of(bytes([number])) for number in range(8)]
    for number, key in enumerate(keys):
        KeptFiles(folder).put(key, bytes([number]) * 100)
        aged(folder, key, number)
    aged(folder, keys[6], 8)
    (folder / "foreign.txt").write_text("not ours")
    kept = KeptFiles(folder)
    assert kept.get(keys[6]) is not None  # used: though old it stays, and is young from now on
    aged(folder, keys[6], 8)
    aged(folder, keys[7], 8)
    kept.tidy()
    assert len(entries(folder)) == 8  # nothing was written: nothing to make room for
    kept.put(KEY, b"new")
    kept.tidy()
    assert {path.name[:32] for path in entries(folder)} == {KEY, *keys[:7]}
    monkeypatch.setattr(kept_files, "MOST_ENTRIES", 5)
    kept.tidy()
    assert {path.name[:32] for path in entries(folder)} == {KEY, keys[6], *keys[:3]}
    monkeypatch.setattr(kept_files, "MOST_BYTES", 250)
    kept.tidy()
    assert {path.name[:32] for path in entries(folder)} == {KEY, keys[6], keys[0]}
    monkeypatch.setattr(kept_files, "MOST_BYTES", 1)
    kept.tidy()
    assert {path.name[:32] for path in entries(folder)} == {KEY, keys[6]}
    assert (folder / "foreign.txt").exists()


def test_an_entry_in_use_grows_young_again(tmp_path: Path) -> None:
    KeptFiles(tmp_path / "tables").put(KEY, b"content")
    aged(tmp_path / "tables", KEY, 6)
    assert KeptFiles(tmp_path / "tables").get(KEY) == b"content"
    assert time.time() - entries(tmp_path / "tables")[0].stat().st_mtime < DAY


def test_processes_that_write_and_tidy_at_once_do_not_meet(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    writers = [subprocess.Popen([sys.executable, "-c", WRITES, str(folder), KEY]) for _ in range(3)]
    assert [one.wait(60) for one in writers] == [0, 0, 0]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert KeptFiles(folder).get(KEY) is not None
    assert len(entries(folder)) <= len(writers)


def test_an_entry_under_the_name_of_another_key_is_not_taken_for_its_content(tmp_path: Path) -> None:
    KeptFiles(tmp_path).put(KEY, b"content")
    (path,) = entries(tmp_path)
    other = digest_of(b"another")
    path.rename(path.with_name(path.name.replace(KEY, other)))
    assert KeptFiles(tmp_path).get(other) is None
