"""Which crash points leave the same store: readers and the next build are then asked once.

A change is made with seeded names and a fixed clock, so that two runs of it that are killed at the same call leave the
same files, byte for byte.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from pathlib import Path
from types import SimpleNamespace

import finnex.store.writer
from finnex.store.folder import PARTIAL

CLOCK_SECONDS = 1_450_000_000


def same_names_and_clock(seed: int = 0) -> None:
    """Let drafts have seeded names and images a fixed time in this process."""
    rng = random.Random(seed)
    uuid.uuid4 = lambda: uuid.UUID(int=rng.getrandbits(128), version=4)  # type: ignore[assignment]
    finnex.store.writer.time = SimpleNamespace(time=lambda: CLOCK_SECONDS)  # type: ignore[attr-defined]


def state_key(folder: Path) -> str:
    """Return a digest of all files below a folder, by name and content.

    Locks count by name: they hold the number of a process. Files that wait for their rename count by how many there
    are: they are opened by the process that writes them and by no other, and the next writer deletes them.
    """
    digest, partial = hashlib.sha256(), 0
    for path in sorted(folder.rglob("*")):
        if path.parent.match(f"*/{PARTIAL}"):
            partial += 1
            continue
        digest.update(f"\0{path.relative_to(folder)}\0".encode())
        if path.is_file() and path.suffix != ".lock":
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(str(partial).encode())
    return digest.hexdigest()
