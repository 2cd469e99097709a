"""The processes of a stack, as the system lists them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from flows.servers.services import MARK


def running_on(state: Path) -> list[psutil.Process]:
    """Return the processes that carry the mark of a state folder and have not ended."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == str(state) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
