"""The writer's lock: one process writes to a store, readers never wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from finnex.errors import StoreBusy, StoreError


@contextmanager
def writing(path: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the store's writer lock: one writer at a time, readers never wait.

    The lock is a file beside the store, not in it, so that the store's tree stays plain Zarr.

    Raises
    ------
    StoreBusy
        Another process kept the lock for `wait_seconds`.
    StoreError
        The folder cannot be written.
    """
    lock = FileLock(str(path.with_name(f".{path.name}.lock")))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_seconds)
        if path.is_dir():
            probe = path / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
    except Timeout:
        raise StoreBusy(f"another process is writing to {path}. Wait for it to end, or stop it.") from None
    except OSError as error:
        lock.release()
        raise StoreError(
            f"the store {path} cannot be written ({error.strerror}). Correct [store] path or its permissions."
        ) from None
    try:
        yield
    finally:
        lock.release()
