"""Results that are kept in a folder by their keys: whole, this account's own, and few; a loss costs only time."""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from finnex.files.replacing import replacing, sweep_drafts

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
WRITABLE_BY_OTHERS = 0o022
ENTRY = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}\.kept")
DAY = 86_400.0
OLDEST_DAYS = 7
MOST_ENTRIES, MOST_BYTES = 200, 2 << 30
_log = logging.getLogger(__name__)


def digest_of(content: bytes) -> str:
    """Return the digest by which contents and keys are named: BLAKE2b, 16 bytes, in hexadecimal digits."""
    return blake2b(content, digest_size=16).hexdigest()


class KeptFiles:
    """Contents by their keys, in a folder of this account alone.

    The name of a file is its key and a digest of key and content, so a file that was cut, damaged or renamed is found
    out, and `put` takes its place. A folder of another account, or one into which others may write, is not read.

    What this object neither gave nor took goes, once `tidy` is called: all that was last used more than `OLDEST_DAYS`
    ago, then those longest unused until at most `MOST_ENTRIES` of `MOST_BYTES` together are left. What it gave or took
    stays, and counts.

    Parameters
    ----------
    folder
        Made at the first `put`, mode 700; its files have mode 600. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._used: set[str] = set()
        self._wrote = False

    def get(self, key: str) -> bytes | None:
        """Return the content that is kept under a key; None where there is none that is whole."""
        try:
            with self._opened() as folder:
                for name in _names(folder, key):
                    content = _read(folder, name)
                    if content is not None and name == _name(key, content):
                        self._used.add(name)
                        _touch(folder, name)
                        return content
        except OSError as error:
            _log.debug("nothing is taken from %s: %s", self._folder, error)
        return None

    def put(self, key: str, content: bytes) -> None:
        """Keep a content under a key; where the folder cannot be written nothing is kept, which costs time alone."""
        if self._folder is None:
            return
        name = _name(key, content)
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with self._opened() as folder, replacing(self._folder / name) as file:
                for other in _names(folder, key):
                    with suppress(OSError):  # a folder in its place stays
                        os.unlink(other, dir_fd=folder)
                os.fchmod(file.fileno(), 0o600)
                file.write(content)
            self._used.add(name)
            self._wrote = True
        except OSError as error:
            _log.debug("nothing is kept in %s: %s", self._folder, error)

    def tidy(self) -> None:
        """Remove what is old or too much, and drafts of killed processes; only where something was written."""
        if not self._wrote or self._folder is None:
            return
        with suppress(OSError), self._opened() as folder:
            sweep_drafts(self._folder)
            found = []
            for name in _names(folder):
                with suppress(FileNotFoundError):  # another process tidies too
                    about = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    found.append((name in self._used, about.st_mtime, about.st_size, name))
            entries = size = 0
            for used, changed, own, name in sorted(found, reverse=True):
                entries, size = entries + 1, size + own
                old = time.time() - changed > OLDEST_DAYS * DAY
                if not used and (old or entries > MOST_ENTRIES or size > MOST_BYTES):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the folder.

        Raises
        ------
        OSError
            There is none, or not this account alone writes into it.
        """
        if self._folder is None:
            raise FileNotFoundError(0, "no folder is given")
        folder = os.open(self._folder, FOLDER)
        try:
            about = os.fstat(folder)
            if about.st_uid != os.geteuid() or about.st_mode & WRITABLE_BY_OTHERS:
                raise PermissionError(0, "others can write into it")
            yield folder
        finally:
            os.close(folder)


def _name(key: str, content: bytes) -> str:
    return f"{key}-{digest_of(key.encode() + content)}.kept"


def _names(folder: int, key: str = "") -> list[str]:
    """Return the names of entries, those of a key where one is given."""
    with os.scandir(folder) as entries:
        return [one.name for one in entries if one.name.startswith(key) and ENTRY.fullmatch(one.name)]


def _read(folder: int, name: str) -> bytes | None:
    """Return the bytes of a regular file of this account; None of anything else."""
    try:
        found = os.open(name, FILE, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(found, "rb") as file:
        about = os.fstat(found)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            return None
        return file.read()


def _touch(folder: int, name: str) -> None:
    """Let a file's time say on which day it was last used; where it cannot be written, it says when it was made."""
    with suppress(OSError):
        if time.time() - os.stat(name, dir_fd=folder).st_mtime > DAY:
            os.utime(name, dir_fd=folder)
