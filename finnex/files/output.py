"""Files under a name that a user chose: written whole, and only over files that FinNeX wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from finnex.errors import ExportError
from finnex.files.replacing import replacing
from finnex.store_path import StorePath

PNG_SOFTWARE = {"Software": "FinNeX"}
"""Metadata of every picture; without a version, so that equal pictures have equal bytes."""
HTML_GENERATOR = '<meta name="generator" content="FinNeX">'
"""In the head of every page."""
SIGNED_BYTES = 4096
PNG_BEGINS = b"\x89PNG\r\n\x1a\n"
UNSIGNED_HTML = b":root { --paper: #ffffff; --card: #f5f7fa"
UNSIGNED_PNG = (b"pHYs\x00\x00\x10\xeb\x00\x00\x10\xeb\x01", b"pHYs\x00\x00\r\xd7\x00\x00\r\xd7\x01")
"""In pages and pictures (110 and 90 dots an inch) that FinNeX wrote before it signed them."""


def write_output(path: StorePath, data: bytes) -> None:
    """Write a picture or page; one that FinNeX wrote earlier is replaced, and nothing else.

    Raises
    ------
    ExportError
        Something else is there: a file of another origin, a link, a folder.
    OSError
        The place cannot be written.
    """
    if isinstance(path, UPath):  # a bucket: an object is replaced whole, and there are no links
        if path.exists() and not _is_signed(path.read_bytes()[:SIGNED_BYTES]):
            raise _refused(path, "it is no picture or page of FinNeX")
        path.write_bytes(data)
        return
    refuse_others(path, lambda file: _is_signed(file.read(SIGNED_BYTES)), "it is no picture or page of FinNeX")
    with replacing(path) as file:
        file.write(data)


def write_constant_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files whose content is always the same; those that are there already are left as they are.

    Parameters
    ----------
    files
        Content by path in the folder.

    Raises
    ------
    ExportError
        A file of one of these names has another content. Nothing is written then.
    OSError
        The folder cannot be written.
    """
    missing = []
    for name, content in files.items():
        path = folder / name
        if not os.path.lexists(path):
            missing.append(path)
        elif not path.is_file() or path.stat().st_size != len(content) or path.read_bytes() != content:
            raise _refused(path, "its content is another")
    for path in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(files[path.relative_to(folder).as_posix()])


def refuse_others(path: Path, is_ours: Callable[[BinaryIO], bool], otherwise: str, remedy: str = "") -> None:
    """Refuse a path at which there is anything but a file that may be replaced.

    Parameters
    ----------
    path
        Where a file is to be written.
    is_ours
        Says of the open file that is there whether it may be replaced.
    otherwise
        Why a file may not be replaced, as a clause.
    remedy
        What else helps against a file that may not, as a sentence.

    Raises
    ------
    ExportError
        A file of another origin is there, a link, or a folder.
    """
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        if path.is_symlink():
            raise _refused(path, "it is a symbolic link, which is not followed") from None
        raise _refused(path, f"it cannot be read ({error.strerror})") from None
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise _refused(path, "it is no file")
        with os.fdopen(found, "rb", closefd=False) as file:
            if not is_ours(file):
                raise _refused(path, otherwise, remedy)
    finally:
        os.close(found)


def _is_signed(begin: bytes) -> bool:
    if begin.startswith(PNG_BEGINS):
        return b"Software\0FinNeX" in begin or (b"tEXt" not in begin and any(size in begin for size in UNSIGNED_PNG))
    return HTML_GENERATOR.encode() in begin or UNSIGNED_HTML in begin


def _refused(path: StorePath, why: str, remedy: str = "") -> ExportError:
    advice = "Choose another folder or name, or move it away."
    return ExportError(f"{path} exists and is not overwritten: {why}. {advice}{remedy and ' '}{remedy}")
