"""The writer's lock: one process writes to a store, readers never wait."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from finnex.errors import StoreBusy, StoreError
from finnex.store.bucket import out_of_reach
from finnex.store.lease import Lease
from finnex.store_path import StorePath

NO_ROOM = "there is no room left for the store {path} ({reason}). Make room"
TOO_MANY_FILES = (
    "too many files are open to write the store {path} ({reason}). Raise the limit, as `ulimit -n 1024` does,"
)
LIMITS = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM,
    errno.EFBIG: "a file of the store {path} became larger than this process may write ({reason}). Raise the limit, as "
    "`ulimit -f unlimited` does,",
    errno.EMFILE: TOO_MANY_FILES,
    errno.ENFILE: TOO_MANY_FILES,
}
"""What the system can run out of while a store is written, and how to mend it."""

_leases: dict[str, Lease] = {}
"""Leases that this process holds, by the store's address."""


@contextmanager
def writing(path: StorePath, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the store's writer lock: one writer at a time, readers never wait.

    The lock lies beside the store, not in it, so that the store's tree stays plain Zarr: a file, or in a bucket an
    object that is kept fresh.

    Raises
    ------
    StoreBusy
        Another process kept the lock for `wait_seconds`.
    StoreError
        The folder cannot be written, or the bucket not reached; or the block met the end of the disk or a limit.
    """
    hold = _folder if isinstance(path, Path) else _bucket
    with hold(path, wait_seconds):  # type: ignore[arg-type]  # mypy joins the two signatures
        yield


def check_right_to_write(address: str) -> None:
    """Raise `StoreBusy` where this process no longer holds the lock of a store in a bucket."""
    if address in _leases:
        _leases[address].check()


@contextmanager
def _folder(path: Path, wait_seconds: float) -> Iterator[None]:
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
    except OSError as error:
        if error.errno not in LIMITS:
            raise
        limit = LIMITS[error.errno].format(path=path, reason=error.strerror)
        raise StoreError(f"{limit} and run this again: what is published stays.") from error
    finally:
        lock.release()


@contextmanager
def _bucket(path: StorePath, wait_seconds: float) -> Iterator[None]:
    address = str(path)
    lease = Lease(address)
    try:
        lease.acquire(wait_seconds)
    except out_of_reach() as error:
        raise StoreError(
            f"the store {address} cannot be written ({error}). Correct [store] path, or AWS's variables."
        ) from None
    _leases[address] = lease
    try:
        yield
    finally:
        del _leases[address]
        lease.release()
