"""A store in a folder: every file is replaced as a whole, and is on the disk before the change is reported."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from finnex.errors import StoreError
from finnex.store.rights import check_right_to_write

WORKING = ".finnex"
PARTIAL = f"{WORKING}/partial"
"""Folder of files that are being written; a file that stays there is from a process that died."""
SET_ASIDE = f"{WORKING}/set_aside"
"""Folder of what lay where a file or folder of the store belongs."""
ODD, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
"""Of a hash of 64 bits: Knuth's multiplier, The Art of Computer Programming 3, 6.4."""
FLUSHES = 8
"""Files and folders that are flushed side by side."""
NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
"""Answers at a key that holds no file: none, one above it that is no folder, links that lead nowhere, a socket."""
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}
"""Network and user-space file systems answer so where a folder cannot be synced: they write folders through."""


def flush(file: int) -> None:
    """Wait until the bytes of an open file are on the disk."""
    os.fdatasync(file)


def flush_folder(path: str) -> None:
    """Wait until the names in a folder are on the disk."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # removed since
        return
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(file)


def _flush_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY)
        try:
            flush(file)
        finally:
            os.close(file)


def _together(flushes: Callable[[str], None], paths: Sequence[str]) -> None:
    """Flush paths side by side: a file system writes its own journal once for those that wait at the same time."""
    if len(paths) < 2:
        for path in paths:
            flushes(path)
        return
    with ThreadPoolExecutor(min(len(paths), FLUSHES), "finnex-flush") as threads:
        for _ in threads.map(flushes, paths):
            pass


def _signature(root: str) -> str:
    """Return the digest of a folder, '' where its files cannot all be listed."""
    files, left = [], [root]
    try:
        while left:
            with os.scandir(left.pop()) as found:
                for one in found:
                    if one.is_dir(follow_symlinks=False):
                        left.append(one.path)
                        continue
                    known = one.stat()
                    if not stat.S_ISREG(known.st_mode):
                        return ""
                    files.append(f"{one.path[len(root) :]}:{known.st_size}:{known.st_mtime_ns}")
    except OSError:
        return ""
    return blake2b("\n".join(sorted(files)).encode(), digest_size=16).hexdigest()


def _unreadable(path: str, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be read ({error.strerror}). Give this account the right to read it, or mend the disk."
    )


@dataclass(frozen=True)
class Folder:
    """A folder on a disk that every worker sees."""

    address: str
    _changed: set[str] = field(default_factory=set, compare=False, repr=False)
    """Folders whose names changed since the last `sync`."""

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes of a file."""
        try:
            file = os.open(f"{self.address}/{key}", os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for a writer
        except OSError as error:
            if error.errno in NOTHING_THERE:
                return None
            raise _unreadable(f"{self.address}/{key}", error) from None
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                return None
            return os.pread(file, found.st_size - first if length is None else length, first)
        except OSError as error:
            raise _unreadable(f"{self.address}/{key}", error) from None
        finally:
            os.close(file)

    def claim(self, key: str) -> bytes | None:
        """Return the bytes of a file: the lock keeps earlier writers out."""
        return self.get(key)

    def tag(self, key: str) -> int:
        """Return a hash of size and time of modification; a scrub finds a change that leaves both alone."""
        try:
            found = os.stat(f"{self.address}/{key}")  # noqa: PTH116  one of each image, every night
        except OSError:
            return 0
        return (found.st_size * ODD ^ found.st_mtime_ns) & MASK or 1

    def signatures(self, folders: Iterable[str]) -> dict[str, str]:
        """Return a digest of names, sizes and times of modification of all files below each folder."""
        return {folder: _signature(f"{self.address}/{folder}") for folder in folders}

    def version(self, keys: Iterable[str]) -> str:
        """Return a digest of inode, size and time of modification: every write puts another file in the place."""
        digest = blake2b(digest_size=16)
        try:
            for key in keys:
                found = os.stat(f"{self.address}/{key}")  # noqa: PTH116  ten of each company, every epoch
                digest.update(f"{found.st_ino}:{found.st_size}:{found.st_mtime_ns} ".encode())
        except OSError:
            return ""
        return digest.hexdigest()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file under a temporary name, flush it, and rename it into its place.

        Raises
        ------
        StoreError
            This process holds the lock of the store, and its path does not lead there any more.
        """
        check_right_to_write(self.address)
        partial = f"{PARTIAL}/{uuid.uuid4().hex}"
        try:
            self._write(partial, data)
            self.move(partial, key)
        except BaseException:
            with contextlib.suppress(OSError):
                self.delete(partial)
            raise

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write all files under temporary names, flush them together, then rename them in this order.

        Raises
        ------
        StoreError
            This process holds the lock of the store, and its path does not lead there any more.
        """
        if len(items) < 2:
            for key, data in items:
                self.put(key, data)
            return
        check_right_to_write(self.address)
        partials = [f"{PARTIAL}/{uuid.uuid4().hex}" for _ in items]
        try:
            for partial, (_, data) in zip(partials, items, strict=True):
                self._write(partial, data, flushed=False)
            self.flush(partials)
            check_right_to_write(self.address)
            for partial, (key, _) in zip(partials, items, strict=True):
                self.move(partial, key)
        except BaseException:
            with contextlib.suppress(OSError):
                for partial in partials:
                    self.delete(partial)
            raise

    def draft(self, key: str, data: bytes | memoryview, *, flushed: bool = False) -> None:
        """Write a file; it is not whole until `flush`, which then finds little to wait for.

        Raises
        ------
        StoreError
            The store is not under its path any more: a worker makes none.
        """
        if not Path(self.address).is_dir():
            raise StoreError(f"{self.address} is gone: the store was moved or removed. Put it back, or build again.")
        self._write(key, data, flushed=flushed)

    def flush(self, keys: Iterable[str]) -> None:
        """Wait until files are on the disk; one that a writer that crashed has moved is left out."""
        _together(_flush_file, [f"{self.address}/{key}" for key in keys])

    def _write(self, key: str, data: bytes | memoryview, *, flushed: bool = True) -> None:
        path = f"{self.address}/{key}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except (FileNotFoundError, NotADirectoryError):
            self.prepare(key.rpartition("/")[0])
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            left = memoryview(data).cast("B")
            while left:
                left = left[os.write(file, left) :]
            if flushed:
                flush(file)
            elif hasattr(os, "posix_fadvise"):
                # Starts the writing without waiting: flushing a batch later takes a fifth of flushing each file here.
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)

    def move(self, source: str, target: str) -> None:
        """Rename: at every moment the target is the old file or the new one.

        What lies in the way and is no file (or no folder, where one must be) is set aside.
        """
        folder = target.rpartition("/")[0]
        try:
            os.replace(f"{self.address}/{source}", f"{self.address}/{target}")  # noqa: PTH105  a thousand a second
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not Path(f"{self.address}/{source}").is_file():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.address}/{source}") from None
            self.prepare(folder)
            if Path(f"{self.address}/{target}").is_dir():
                self._set_aside(target)
            os.replace(f"{self.address}/{source}", f"{self.address}/{target}")  # noqa: PTH105
        self._changed.add(folder)

    def delete(self, key: str) -> None:
        """Remove a file."""
        path = Path(self.address) / key
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if path.is_dir() and not path.is_symlink():
                self._set_aside(key)
            else:
                path.unlink()
            self._changed.add(key.rpartition("/")[0])

    def _set_aside(self, key: str) -> None:
        """Move what is no part of a store out of the way: it may belong to another program, and is not removed."""
        aside = Path(self.address) / key
        if key == WORKING:
            aside = aside.rename(aside.with_name(f"{WORKING}-{uuid.uuid4().hex[:8]}"))
        self.prepare(SET_ASIDE)
        aside.rename(Path(self.address) / SET_ASIDE / f"{key.replace('/', '_')}-{uuid.uuid4().hex[:8]}")
        self._changed.update((SET_ASIDE, key.rpartition("/")[0]))

    def delete_folder(self, folder: str) -> None:
        """Remove a folder and what lies in it; of a symbolic link only the link."""
        path = Path(self.address) / folder
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        self._changed.add(folder.rpartition("/")[0])

    def sync(self) -> None:
        """Flush the folders whose names changed; their files were flushed before they were renamed."""
        changed = sorted(self._changed)
        _together(flush_folder, [f"{self.address}/{folder}" for folder in changed])
        self._changed.difference_update(changed)

    def keys(self, folder: str) -> list[str]:
        """Return the files of a folder."""
        try:
            with os.scandir(f"{self.address}/{folder}") as found:
                return sorted(f"{folder}/{one.name}" for one in found if one.is_file())
        except OSError as error:
            if error.errno in NOTHING_THERE:
                return []
            raise _unreadable(f"{self.address}/{folder}", error) from None

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of folders."""
        try:
            with os.scandir(f"{self.address}/{folder}") as found:
                return sorted(one.name for one in found if one.is_dir())
        except OSError as error:
            if error.errno in NOTHING_THERE:
                return []
            raise _unreadable(f"{self.address}/{folder}", error) from None

    def prepare(self, folder: str) -> None:
        """Make the folder and those above it."""
        path = Path(self.address)
        if not path.is_dir():
            check_right_to_write(self.address)  # it was moved away: none is made in its place
        for part in ["", *Path(folder).parts]:
            path /= part
            if not path.is_dir():
                if part and (path.exists() or path.is_symlink()):
                    self._set_aside(str(path.relative_to(self.address)))
                path.mkdir(parents=not part, exist_ok=True)
                self._changed.add(str(path.parent.relative_to(self.address)) if part else "..")

    def zarr(self, *, read_only: bool, folder: str = "") -> Any:
        """Return the folder as Zarr sees it."""
        from zarr.storage import LocalStore  # noqa: PLC0415

        from finnex.store.zarr_store import WritingStore  # noqa: PLC0415

        if read_only:
            return LocalStore(Path(self.address) / folder, read_only=True)
        if folder:
            raise ValueError(f"a part of a store ({folder}) is opened for reading only")
        return WritingStore(LocalStore(self.address), self)
