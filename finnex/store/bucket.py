"""A store in an S3 bucket, through s3fs: any endpoint that speaks S3, credentials from AWS's own variables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from finnex.errors import ConfigError
from finnex.store_path import S3_OPTIONS


def filesystem() -> Any:
    """Return the file system of this process.

    Raises
    ------
    ConfigError
        s3fs is not installed.
    """
    try:
        import s3fs  # noqa: PLC0415  an extra, and a second of import
    except ImportError:
        raise ConfigError('a store on s3:// needs the package s3fs. Run: pip install "finnex[s3]"') from None
    return s3fs.S3FileSystem(**S3_OPTIONS)


def out_of_reach() -> tuple[type[Exception], ...]:
    """Return what is raised where S3 refuses or cannot be reached."""
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket. Every object is whole or absent: S3 shows none that is half-written."""

    address: str
    checks_itself: bool = True

    @cached_property
    def _files(self) -> Any:
        return filesystem()

    def _path(self, key: str) -> str:
        return f"{self.address.removeprefix('s3://')}/{key}"

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes of an object, or a range of them."""
        last = None if length is None else first + length
        try:
            found: bytes = self._files.cat_file(self._path(key), start=first or None, end=last)
        except FileNotFoundError:
            return None
        return found

    def claim(self, key: str) -> bytes | None:
        """Return the bytes of an object."""
        return self.get(key)

    def tag(self, key: str) -> int:
        """Return 0."""
        return 0

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object."""
        self._files.pipe_file(self._path(key), bytes(data))

    def draft(self, key: str, data: bytes | memoryview) -> None:
        """Write an object that readers do not look at."""
        self.put(key, data)

    def move(self, source: str, target: str) -> None:
        """Copy within the bucket, which replaces the target at once, then remove the source."""
        self._files.cp_file(self._path(source), self._path(target))
        self._files.rm_file(self._path(source))

    def delete(self, key: str) -> None:
        """Remove an object; S3 does not mind one that is not there."""
        self._files.rm_file(self._path(key))

    def delete_folder(self, folder: str) -> None:
        """Remove all objects below a prefix."""
        found = self._files.find(self._path(folder))
        if found:
            self._files.rm(found)

    def sync(self) -> None:
        """Nothing: S3 answers when an object is safe."""

    def _list(self, folder: str, kind: str) -> list[str]:
        try:
            listed = self._files.ls(self._path(folder).rstrip("/"), detail=True)
        except FileNotFoundError:
            return []
        start = len(self._path(""))
        return sorted(one["name"][start:] for one in listed if one["type"] == kind)

    def keys(self, folder: str) -> list[str]:
        """List the objects of a folder."""
        return self._list(folder, "file")

    def folders(self, folder: str = "") -> list[str]:
        """List the prefixes in a folder, by their last part."""
        return [name.rsplit("/", 1)[-1] for name in self._list(folder, "directory")]

    def prepare(self, folder: str) -> None:
        """Nothing: a bucket has no folders."""

    def zarr(self, *, read_only: bool, folder: str = "") -> Any:
        """Return what Zarr opens."""
        from zarr.storage import FsspecStore  # noqa: PLC0415

        from finnex.store.zarr_store import WritingStore  # noqa: PLC0415

        address = f"{self.address}/{folder}" if folder else self.address
        options = S3_OPTIONS | {"asynchronous": True}
        found = FsspecStore.from_url(address, storage_options=options, read_only=read_only)
        return found if read_only else WritingStore(found, self)
