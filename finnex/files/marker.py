"""The marker of a folder that FinNeX made: a small file with a random token, written and locked when it is made."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import asdict, dataclass

MARKER = ".finnex-export"
FORMAT = 1
TOKEN = re.compile("[0-9a-f]{32}")
MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class Marker:
    """Content of a marker.

    Attributes
    ----------
    token
        Random; also in the folder's name until it is whole, so that a copy of the marker marks nothing else.
    target
        The name that the folder takes when it is whole.
    """

    token: str
    target: str

    def text(self) -> bytes:
        """Return the marker as the file's content."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()


def open_marker(folder: int) -> int:
    """Open the marker of an open folder, for locking and reading.

    Raises
    ------
    OSError
        There is none, or it is a link or no file of this user.
    """
    found = os.open(MARKER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    about = os.fstat(found)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        os.close(found)
        raise PermissionError(f"{MARKER} is no file of this user")
    return found


def read_marker(descriptor: int) -> Marker | None:
    """Return what an open marker says, None where it says nothing that FinNeX writes."""
    try:
        said = json.loads(os.pread(descriptor, MOST_BYTES, 0))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        return None
    token, target = said.get("token"), said.get("target")
    if not isinstance(token, str) or not isinstance(target, str) or not TOKEN.fullmatch(token):
        return None
    return Marker(token, target)
