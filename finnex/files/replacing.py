"""A file that is replaced whole: written under a random name in the same folder, then renamed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

DRAFT = re.compile(r"\..+\.finnex-[0-9a-f]{16}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it takes the path's place when the block ends well, else nothing is left of it.

    At every moment the path is the old file or the new one. A link at the path is replaced, not followed: whether what
    is there may be replaced is the caller's to know.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.finnex-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o666), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # `sweep_drafts` sees that its process is at work
            yield file
            file.flush()
            draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def sweep_drafts(folder: Path) -> None:
    """Remove from a folder of FinNeX's what processes that were killed while they wrote a file left there."""
    for path in folder.glob(".*.finnex-*"):
        if not DRAFT.fullmatch(path.name):
            continue
        with suppress(OSError):
            found = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                about = os.fstat(found)
                if stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid():
                    fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            finally:
                os.close(found)
