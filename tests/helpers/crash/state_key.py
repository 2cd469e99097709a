"""Which crash points leave the same store: readers and the next build are then asked once.

A change is made with seeded names and a fixed clock, so that two runs of it that are killed at the same call leave the
same files, byte for byte.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace

import finnex.pipeline.due_sessions
import finnex.store.writer
import finnex.store.year_changes
from finnex.store.folder import PARTIAL
from tests.helpers.crash.states import NOTES

CLOCK_SECONDS = 1_450_000_000


class _FixedClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(CLOCK_SECONDS, tz)


def same_names_and_clock(seed: int = 0) -> None:
    """Let drafts have seeded names and images a fixed time in this process."""
    # Only the names of drafts: partial files are named by several threads, in any order, and are no part of the key.
    rng = random.Random(seed)
    seeded = SimpleNamespace(uuid4=lambda: uuid.UUID(int=rng.getrandbits(128), version=4))
    finnex.pipeline.due_sessions.uuid = seeded  # type: ignore[attr-defined]
    finnex.store.year_changes.uuid = seeded  # type: ignore[attr-defined]
    finnex.store.writer.time = SimpleNamespace(time=lambda: CLOCK_SECONDS)  # type: ignore[attr-defined]
    finnex.store.writer.datetime = _FixedClock  # type: ignore[misc]


def state_key(folder: Path) -> str:
    """Return a digest of all files below a folder, by name and content.

    Locks count by name: they hold the number of a process. Files that wait for their rename count by how many there
    are: they are opened by the process that writes them and by no other, and the next writer deletes them. Notes of
    what need not be read again hold times of files, and count by name.
    """
    digest, partial = hashlib.sha256(), 0
    for path in sorted(folder.rglob("*")):
        if path.parent.match(f"*/{PARTIAL}"):
            partial += 1
            continue
        digest.update(f"\0{path.relative_to(folder)}\0".encode())
        if path.is_file() and path.suffix != ".lock" and not str(path).endswith(NOTES):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(str(partial).encode())
    return digest.hexdigest()
