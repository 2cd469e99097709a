"""A store in a folder: every file is replaced as a whole, and is on the disk before it is said to be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnex.errors import StoreError
from finnex.store.rights import check_right_to_write

PARTIAL = ".finnex/partial"
"""Folder of files that are being written; what lies there is of a process that died."""
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


@dataclass(frozen=True)
class Folder:
    """A folder on a disk that every worker sees."""

    address: str
    _changed: set[str] = field(default_factory=set, compare=False, repr=False)
    """Folders whose names changed since the last `sync`."""

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes of a file."""
        try:
            file = os.open(f"{self.address}/{key}", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise StoreError(
                f"{self.address}/{key} cannot be read ({error.strerror}). Give this account the right to read it."
            ) from None
        try:
            return os.pread(file, os.fstat(file).st_size - first if length is None else length, first)
        except IsADirectoryError:
            return None
        finally:
            os.close(file)

    def claim(self, key: str) -> bytes | None:
        """Return the bytes of a file: the lock keeps earlier writers out."""
        return self.get(key)

    def tag(self, key: str) -> int:
        """Return 0: a file system names no versions."""
        return 0

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file beside the others, flush it, and rename it into its place.

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
        """Wait for drafts that other processes of this machine wrote."""
        for key in keys:
            with contextlib.suppress(FileNotFoundError):  # moved by a writer that crashed
                file = os.open(f"{self.address}/{key}", os.O_RDONLY)
                try:
                    flush(file)
                finally:
                    os.close(file)

    def _write(self, key: str, data: bytes | memoryview, *, flushed: bool = True) -> None:
        path = f"{self.address}/{key}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except FileNotFoundError:
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
        """Rename: at every moment the target is the old file or the new one."""
        folder = target.rpartition("/")[0]
        try:
            os.replace(f"{self.address}/{source}", f"{self.address}/{target}")  # noqa: PTH105  a thousand a second
        except FileNotFoundError:
            if Path(f"{self.address}/{folder}").is_dir() or not Path(f"{self.address}/{source}").is_file():
                raise
            self.prepare(folder)
            os.replace(f"{self.address}/{source}", f"{self.address}/{target}")  # noqa: PTH105
        self._changed.add(folder)

    def delete(self, key: str) -> None:
        """Remove a file."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(f"{self.address}/{key}")  # noqa: PTH108
            self._changed.add(key.rpartition("/")[0])

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
        while self._changed:
            flush_folder(f"{self.address}/{self._changed.pop()}")

    def keys(self, folder: str) -> list[str]:
        """Return the files of a folder."""
        try:
            with os.scandir(f"{self.address}/{folder}") as found:
                return sorted(f"{folder}/{one.name}" for one in found if one.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of folders."""
        try:
            with os.scandir(f"{self.address}/{folder}") as found:
                return sorted(one.name for one in found if one.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def prepare(self, folder: str) -> None:
        """Make the folder and those above it."""
        path = Path(self.address)
        if not path.is_dir():
            check_right_to_write(self.address)  # it was moved away: none is made in its place
        for part in ["", *Path(folder).parts]:
            path /= part
            if not path.is_dir():
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
