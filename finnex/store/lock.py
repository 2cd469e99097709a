"""The writer's lock: one process writes to a store, readers never wait."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from finnex.errors import StoreBusy, StoreError
from finnex.store.folder import flush_folder
from finnex.store.lease import Lease
from finnex.store.rights import rights
from finnex.store.s3 import out_of_reach
from finnex.store.store_site import check_one_disk, check_site
from finnex.store_path import StorePath, store_path

REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE}
NO_FOLDER_LOCK = {errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}
"""Network file systems answer so where a folder cannot be locked: there the file next to the store is the lock."""
NO_UNNAMED_FILE = {errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
"""File systems answer so that cannot make a file without a name."""
ASK_AGAIN_SECONDS = 0.1
NO_ROOM = "there is no room left for the store {path} ({reason}). Make room"
TOO_MANY_FILES = (
    "too many files are open to write the store {path} ({reason}). Raise the limit, as `ulimit -n 1024` does,"
)
LIMITS = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM,
    errno.EFBIG: "a file of the store {path} became larger than this process may write ({reason}). Raise the limit, as "
    "`ulimit -f unlimited` does,",
    errno.EXDEV: "a folder inside the store {path} lies on another file system ({reason}). Move it back",
    errno.EMFILE: TOO_MANY_FILES,
    errno.ENFILE: TOO_MANY_FILES,
}
"""What ends while a store is written, and how to mend it."""


@contextmanager
def writing(path: StorePath | str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the store's writer lock: one writer at a time, readers never wait.

    The store's tree stays plain Zarr. In a bucket the lock is an object next to the store that is renewed. On a disk
    it is a file next to the real path, so that symbolic links lead to one lock, and the folder itself, so that other
    mounts of it do.

    Raises
    ------
    StoreBusy
        Another process kept the lock for `wait_seconds`.
    StoreError
        The path is no folder, lies in another store, or has parts on another disk; it cannot be written, or the
        bucket not reached; or, inside the block, the disk or a limit was reached, or the store was moved away or its
        permissions taken.
    """
    path = store_path(path)
    hold = _folder if isinstance(path, Path) else _bucket
    with hold(path, wait_seconds):  # type: ignore[arg-type]  # mypy joins the two signatures
        yield


class _FolderRight:
    """The lock of a folder that is open, and whether the store's path still leads there."""

    def __init__(self, path: Path, real: Path) -> None:
        self.path = path
        self._file = os.open(real, os.O_RDONLY | os.O_DIRECTORY)

    def lock(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Timeout(str(self.path)) from None
            except OSError as error:
                if error.errno not in NO_FOLDER_LOCK:
                    raise
                return
            else:
                return
            time.sleep(ASK_AGAIN_SECONDS)

    def is_elsewhere(self) -> bool:
        try:
            return not os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return True

    def gone(self) -> StoreError:
        return StoreError(
            f"the store {self.path} was moved, removed or replaced while it was written. What was published lies in "
            "the folder that was moved; put it back, or correct [store] path, and run this again."
        )

    def check(self) -> None:
        if self.is_elsewhere():
            raise self.gone()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)  # also where a child process has the folder open
        os.close(self._file)


@contextmanager
def _folder(path: Path, wait_seconds: float) -> Iterator[None]:
    check_site(path)
    real = Path(os.path.realpath(path))
    file_lock, deadline = FileLock(str(real.with_name(f".{real.name}.lock"))), time.monotonic() + wait_seconds
    right: _FolderRight | None = None
    try:
        _make(real.parent)
        file_lock.acquire(timeout=wait_seconds)
        made = _make(real)
        right = _FolderRight(path, real)
        right.lock(deadline)
        _probe(real)
    except (Timeout, OSError) as error:
        if right is not None:
            right.close()
        file_lock.release()
        if isinstance(error, Timeout):
            raise StoreBusy(f"another process is writing to {path}. Wait for it to end, or stop it.") from None
        raise StoreError(
            f"the store {path} cannot be written ({error.strerror}). Correct [store] path or its permissions."
        ) from None
    rights[str(path)] = right
    try:
        check_one_disk(path)
        yield
        right.check()
    except Exception as error:
        if right.is_elsewhere():
            raise right.gone() from error
        if isinstance(error, OSError) and (said := _in_words(error, path, real)) is not None:
            raise said from error
        raise
    finally:
        del rights[str(path)]
        if made:
            with contextlib.suppress(OSError):
                real.rmdir()  # only where nothing was written
        right.close()
        file_lock.release()


def _in_words(error: OSError, path: Path, real: Path) -> StoreError | None:
    if error.errno in LIMITS:
        limit = LIMITS[error.errno].format(path=path, reason=error.strerror)
        return StoreError(f"{limit} and run this again: what is published stays.")
    named = str(error.filename or "")
    if error.errno in REFUSED and (not named or named.startswith((str(path), str(real)))):
        return StoreError(
            f"{named or path} of the store {path} cannot be read or written ({error.strerror}). Correct its "
            "permissions or this account's limits and run this again: what is published stays."
        )
    return None


def _make(folder: Path) -> bool:
    """Make a folder and those above it, durably; return whether it was not there."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
    for one in missing:
        flush_folder(str(one.parent))
    return bool(missing)


def _probe(folder: Path) -> None:
    """Raise `OSError` where no file can be made in a folder; a process that is killed during the test leaves none."""
    if hasattr(os, "O_TMPFILE"):
        try:
            os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
        except OSError as error:
            if error.errno not in NO_UNNAMED_FILE:
                raise
        else:
            return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _bucket(path: StorePath, wait_seconds: float) -> Iterator[None]:
    address = str(path).rstrip("/")
    lease = Lease(address)
    try:
        lease.acquire(wait_seconds)
    except out_of_reach() as error:
        raise StoreError(
            f"the store {address} cannot be written ({error}). Correct [store] path, or AWS's variables."
        ) from None
    rights[address] = lease
    try:
        yield
    finally:
        del rights[address]
        lease.release()
