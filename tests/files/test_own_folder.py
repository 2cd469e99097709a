"""A new folder is whole or absent; what FinNeX did not make is never written into, emptied or followed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnex.errors import ExportError
from finnex.files.marker import MARKER, Marker
from finnex.files.output import write_constant_files, write_output
from finnex.files.own_folder import own_folder

FOREIGN = "a letter"
DIES = """
import os, signal, sys
from pathlib import Path
from finnex.files.own_folder import own_folder
with own_folder(Path(sys.argv[1])) as draft:
    (draft / "sub").mkdir()
    (draft / "sub" / "half.npy").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def everything(folder: Path) -> dict[str, str | None]:
    """Return the content of every file below a folder; links by where they lead."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink()
        else path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
    }  # fmt: skip


def write(target: Path) -> None:
    with own_folder(target) as draft:
        (draft / "images").mkdir()
        (draft / "images" / "one.npy").write_text("whole")


def killed(target: Path) -> Path:
    """Let a process die while it writes, and return its draft."""
    done = subprocess.run([sys.executable, "-c", DIES, str(target)], check=False)
    assert done.returncode == -9
    [draft] = target.parent.glob(".finnex-export-*")
    return draft


def test_a_folder_is_there_when_it_is_whole_and_holds_nothing_of_its_making(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "new")
    assert everything(tmp_path / "a") == {
        "b": None, "b/new": None, "b/new/images": None, "b/new/images/one.npy": "whole",
    }  # fmt: skip


def test_an_error_leaves_nothing_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    def interrupted() -> None:
        with own_folder(tmp_path / "a" / "new") as draft:
            (draft / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything(tmp_path) == {}
    (tmp_path / "new").mkdir()
    write(tmp_path / "new")
    assert (tmp_path / "new" / "images" / "one.npy").read_text() == "whole"


@pytest.mark.parametrize(
    "plant",
    [
        lambda place: (place / ".new.partial").mkdir() or (place / ".new.partial" / FOREIGN).write_text("dear"),
        lambda place: (place / ".new.partial").symlink_to(place / "other"),
        lambda place: (place / f".finnex-export-{'0' * 32}").symlink_to(place / "other"),
        lambda place: shutil.copytree(place / "other", place / f".finnex-export-{'0' * 32}"),
        lambda place: (place / f".finnex-export-{'0' * 32}").write_text("no folder"),
        lambda place: shutil.copytree(place / "other", place / ".finnex-export-x"),
    ],
)
def test_a_folder_of_others_beside_the_target_stays_as_it_is(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FOREIGN).write_text("dear")
    plant(tmp_path)
    before = everything(tmp_path)
    write(tmp_path / "new")
    after = everything(tmp_path)
    assert {path: content for path, content in after.items() if not path.startswith("new")} == before


@pytest.mark.parametrize(
    ("plant", "why"),
    [
        (lambda place: (place / "new").mkdir() or (place / "new" / FOREIGN).write_text("dear"), "it is not empty"),
        (lambda place: (place / "new").write_text("a file"), "it is no folder"),
        (lambda place: (place / "new").symlink_to(place / "other"), "it is a symbolic link"),
        (lambda place: (place / "new").symlink_to(place / "nowhere"), "it is a symbolic link"),
        (lambda place: os.mkfifo(place / "new"), "it is no folder"),
    ],
)
def test_what_is_in_the_place_is_neither_replaced_nor_followed_and_the_remedy_helps(
    tmp_path: Path, plant: Callable[[Path], object], why: str
) -> None:
    (tmp_path / "other").mkdir()
    plant(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ExportError, match=f"exists and is not overwritten: {why}"):
        write(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert list((tmp_path / "other").iterdir()) == []
    (tmp_path / "new").rename(tmp_path / "moved away")
    write(tmp_path / "new")


def test_a_parent_that_is_a_link_is_written_through_once_and_for_all(tmp_path: Path) -> None:
    """The folder that the link leads to when the export begins holds all of it, wherever the link leads later."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "first")
    with own_folder(tmp_path / "link" / "new") as draft:
        (draft / "one").write_text("1")
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to(tmp_path / "second")
        (draft / "two").write_text("2")
    assert everything(tmp_path / "first") == {"new": None, "new/one": "1", "new/two": "2"}
    assert everything(tmp_path / "second") == {}


def test_the_next_export_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed(tmp_path / "new")
    write(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_a_killed_exports_draft_with_a_link_in_it_or_for_another_target_stays(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FOREIGN).write_text("dear")
    draft = killed(tmp_path / "new")
    (draft / "sub" / "link").symlink_to(tmp_path / "other")
    write(tmp_path / "new")
    assert draft.exists()
    assert everything(tmp_path / "other") == {FOREIGN: "dear"}
    (draft / "sub" / "link").unlink()
    write(tmp_path / "another target")
    assert draft.exists()


def test_a_copied_marker_marks_nothing(tmp_path: Path) -> None:
    folder = tmp_path / f".finnex-export-{'1' * 32}"
    folder.mkdir()
    (folder / FOREIGN).write_text("dear")
    (folder / MARKER).write_bytes(Marker("0" * 32, "new").text())
    write(tmp_path / "new")
    assert (folder / FOREIGN).read_text() == "dear"


@given(st.binary(max_size=200))
def test_no_content_of_a_marker_is_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    place = tmp_path_factory.mktemp("marker")
    folder = place / f".finnex-export-{'1' * 32}"
    folder.mkdir()
    (folder / MARKER).write_bytes(content)
    write(place / "new")
    assert (folder / MARKER).read_bytes() == content


def test_of_two_exports_to_one_place_one_is_refused_and_the_other_whole(tmp_path: Path) -> None:
    refused: list[str] = []
    entered, end = threading.Event(), threading.Event()

    def first() -> None:
        with own_folder(tmp_path / "new") as draft:
            (draft / "one").write_text("1")
            entered.set()
            end.wait(20)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(20)
    try:
        write(tmp_path / "new")
    except ExportError as error:
        refused.append(str(error))
    end.set()
    thread.join()
    assert len(refused) == 1
    assert "another process is exporting" in refused[0]
    assert everything(tmp_path) == {"new": None, "new/one": "1"}


def test_a_picture_of_others_is_not_overwritten_and_one_of_ours_is(tmp_path: Path) -> None:
    own = b'<html><head><meta name="generator" content="FinNeX"></head></html>'
    write_output(tmp_path / "report.html", own)
    write_output(tmp_path / "report.html", own + b" ")
    (tmp_path / "mine.html").write_text("<html>mine</html>")
    (tmp_path / "link.html").symlink_to(tmp_path / "mine.html")
    (tmp_path / "folder.html").mkdir()
    for name in ("mine.html", "link.html", "folder.html"):
        with pytest.raises(ExportError, match="exists and is not overwritten"):
            write_output(tmp_path / name, own)
    assert (tmp_path / "mine.html").read_text() == "<html>mine</html>"


def test_constant_files_are_written_where_they_are_missing_and_never_over_others(tmp_path: Path) -> None:
    write_constant_files(tmp_path, {"a/b.csv": b"1", "c.csv": b"2"})
    write_constant_files(tmp_path, {"a/b.csv": b"1", "c.csv": b"2", "d.csv": b"3"})
    (tmp_path / "e.csv").write_text("mine")
    with pytest.raises(ExportError, match="its content is another"):
        write_constant_files(tmp_path, {"e.csv": b"5", "f.csv": b"6"})
    assert not (tmp_path / "f.csv").exists()
    assert (tmp_path / "e.csv").read_text() == "mine"
