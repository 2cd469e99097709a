"""A store in an S3 bucket. Every change of what readers see is a write that S3 refuses to any but the last writer.

After a writer took the lease it lists the versions of all objects. Each of its writes names the version that it
replaces; once a later writer has replaced that object, S3 refuses the write, however late it arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from finnex.errors import StoreError
from finnex.store.keys import DRAFTS, JOURNAL
from finnex.store.lease import MARK, Lease
from finnex.store.rights import rights
from finnex.store.s3 import Target, Version, delete_if, filesystem, put_if, read
from finnex.store_path import S3_OPTIONS

CLAIMS = 20
"""Journal entries of earlier writers that may arrive while it is claimed: each has one on its way at most."""
DELETIONS = 16
"""Requests under way together where a folder is removed."""


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket. Every object is whole or absent: S3 shows none that is half-written."""

    address: str

    @cached_property
    def _files(self) -> Any:
        return filesystem()

    def _path(self, key: str) -> str:
        return f"{self.address.removeprefix('s3://')}/{key}"

    def _target(self, key: str) -> Target:
        bucket, _, name = self._path(key).partition("/")
        return {"Bucket": bucket, "Key": name}

    def _lease(self) -> Lease:
        lease = rights.get(self.address)
        if not isinstance(lease, Lease):
            raise StoreError(f"{self.address} is written only under its lease. Write inside `finnex.store.writing`.")
        return lease

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes of an object, or a range of them."""
        last = None if length is None else first + length
        try:
            found: bytes = self._files.cat_file(self._path(key), start=first or None, end=last)
        except FileNotFoundError:
            return None
        return _unmarked(found) if key == JOURNAL else found

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Replace objects one after the other."""
        for key, data in items:
            self.put(key, data)

    def claim(self, key: str) -> bytes | None:
        """Write what lies under a key again, under this lease: what an earlier writer sends now is refused."""
        lease = self._lease()
        known = lease.versions
        for _ in range(CLAIMS):
            found = read(self._files, self._target(key))
            content = None if found is None else _unmarked(found[0])
            lease.check()
            marked = lease.mark + (content or b"")
            etag = put_if(self._files, self._target(key), marked, None if found is None else found[1])
            if etag is not None:
                known[key] = Version(etag, len(marked))
                return content
        raise lease.refused(key)

    def tag(self, key: str) -> int:
        """Return a hash of ETag and size of what lay under a key at this writer's listing or was written since."""
        found = self._lease().versions.get(key)
        if found is None:
            return 0
        digest = blake2b(f"{found.etag}:{found.size}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") or 1

    def signatures(self, folders: Iterable[str]) -> dict[str, str]:
        """Return a digest of keys, ETags and sizes below each folder at this writer's listing or written since."""
        found: dict[str, list[str]] = {folder: [] for folder in folders}
        for key, version in self._lease().versions.items():
            if (folder := key.partition("/")[0]) in found:
                found[folder].append(f"{key}:{version.etag}:{version.size}")
        return {
            folder: blake2b("\n".join(sorted(keys)).encode(), digest_size=16).hexdigest() if keys else ""
            for folder, keys in found.items()
        }

    def version(self, keys: Iterable[str]) -> str:
        """Return a digest of the ETags: a request a key, without their bytes."""
        digest = blake2b(digest_size=16)
        try:
            for key in keys:
                digest.update(f"{self._files.call_s3('head_object', **self._target(key))['ETag']} ".encode())
        except FileNotFoundError:
            return ""
        return digest.hexdigest()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Replace the object that this writer knows of.

        Raises
        ------
        StoreBusy
            The lease was lost, or another object lies there.
        """
        lease = self._lease()
        content = lease.mark + bytes(data) if key == JOURNAL else bytes(data)
        known = lease.versions
        lease.check()
        before = known.get(key)
        etag = put_if(self._files, self._target(key), content, None if before is None else before.etag)
        if etag is None:
            raise lease.refused(key)
        known[key] = Version(etag, len(content))

    def draft(self, key: str, data: bytes | memoryview, *, flushed: bool = False) -> None:
        """Write an object that readers do not look at, under a key that no other run uses: any worker may."""
        self._files.pipe_file(self._path(key), bytes(data))

    def flush(self, keys: Iterable[str]) -> None:
        """Nothing: S3 answers when an object is safe."""

    def move(self, source: str, target: str) -> None:
        """Read the draft, replace the target by it, remove the draft.

        Few servers know conditions on the target of a copy, so the bytes travel through this process.
        """
        found = self.get(source)
        if found is None:
            raise FileNotFoundError(f"{self.address}/{source}")
        self.put(target, found)
        self.delete(source)

    def delete(self, key: str) -> None:
        """Remove the object that this writer knows of; a draft in any version. Of the journal its mark stays.

        Raises
        ------
        StoreBusy
            The lease was lost, or another object lies there.
        """
        if key == JOURNAL:
            self.put(key, b"")
            return
        if key.startswith(f"{DRAFTS}/"):
            if (right := rights.get(self.address)) is not None:
                right.check()
            self._files.call_s3("delete_object", **self._target(key))
            return
        lease = self._lease()
        known = lease.versions
        if (before := known.get(key)) is None:
            return
        lease.check()
        if not delete_if(self._files, self._target(key), before.etag):
            raise lease.refused(key)
        known.pop(key, None)

    def delete_folder(self, folder: str) -> None:
        """Remove all objects below a prefix."""
        found = [key for key in self._lease().versions if key.startswith(f"{folder}/")]
        with ThreadPoolExecutor(DELETIONS, "finnex-delete") as threads:
            for _ in threads.map(self.delete, found):
                pass

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


def _unmarked(data: bytes) -> bytes | None:
    """Return what lies behind the line of a lease, None where nothing does."""
    if not data.startswith(MARK):
        return data or None
    return data.partition(b"\n")[2] or None
