"""The writer's lock of a store in a bucket: a lease, kept in a small object that its holder renews.

It is created only where there is none, and taken over from a holder that has not renewed it for `LEASE_SECONDS` only if
it is still the object that was read. Its generation grows with every acquisition. Ages are measured by the clock
of S3.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import MutableMapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from finnex.errors import StoreBusy, StoreError
from finnex.store.s3 import Version, filesystem, out_of_reach, put_if, read, versions

LEASE_SECONDS = 60.0
"""Time after which the lease of a killed holder expires."""
RENEW_SECONDS = 15.0
ASK_AGAIN_SECONDS = 2.0
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that also runs while the machine is suspended."""
ANOTHER_ETAG = '"00000000000000000000000000000000"'
MARK = b"finnex-lease "
"""How an object begins that names the lease under which it was written."""


class Lease:
    """The right to write to a store in a bucket, for as long as it is renewed.

    Parameters
    ----------
    address
        `s3://bucket/prefix` of the store; the lock lies next to it.
    """

    def __init__(self, address: str) -> None:
        self._bucket, _, self._prefix = address.rstrip("/").removeprefix("s3://").partition("/")
        folder, _, name = self._prefix.rpartition("/")
        self._object = {"Bucket": self._bucket, "Key": f"{folder}/.{name}.lock" if folder else f".{name}.lock"}
        self._address, self._files = address, filesystem()
        self._token = uuid.uuid4().hex
        self._etag: str | None = None
        self._renewed = 0.0
        self._lost = False
        self._ended, self._listing = threading.Event(), threading.Lock()
        self._renewing: threading.Thread | None = None
        self._versions: dict[str, Version] | None = None
        self.generation = 0
        """1 for the first writer of a store, and one more for every later one."""

    @property
    def mark(self) -> bytes:
        """The line by which an object is known to be of this lease: no two leases of a store have the same."""
        return MARK + f"{self.generation} {self._token}\n".encode()

    @property
    def versions(self) -> MutableMapping[str, Version]:
        """Versions of all objects of the store: one listing under this lease, then this writer's own writes.

        Raises
        ------
        StoreBusy
            The lease was lost, so that the listing may show what a later writer wrote.
        """
        with self._listing:
            if self._versions is None:
                found = versions(self._files, self._bucket, f"{self._prefix}/" if self._prefix else "")
                self.check()
                self._versions = found
            return self._versions

    def acquire(self, wait_seconds: float) -> None:
        """Take the lease.

        Raises
        ------
        StoreBusy
            Another process kept it for `wait_seconds`.
        StoreError
            The server does not refuse what it should.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._take():
            if time.monotonic() >= deadline:
                raise StoreBusy(
                    f"another process is writing to {self._address}. Wait for it to end, or stop it: "
                    f"{LEASE_SECONDS:.0f} s after a writer has died, the next one takes over."
                )
            time.sleep(min(ASK_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        for etag in (None, ANOTHER_ETAG):
            if put_if(self._files, self._object, b"{}", etag) is not None:
                raise StoreError(
                    f"the S3 server of {self._address} ignores conditions on writes (If-Match, If-None-Match), so that "
                    "two writers could damage the store. Use a server that knows them, as AWS does, or a folder."
                )
        self._renewing = threading.Thread(target=self._keep, name="finnex-lease", daemon=True)
        self._renewing.start()

    def _write(self, etag: str | None, *, held: bool = True) -> bool:
        content = {
            "generation": self.generation, "held": held, "host": socket.gethostname(), "process": os.getpid(),
            "token": self._token, "written": uuid.uuid4().hex,
        }  # fmt: skip
        asked = time.clock_gettime(CLOCK)
        found = put_if(self._files, self._object, json.dumps(content).encode(), etag)
        if found is not None:
            self._etag, self._renewed = found, asked
        return found is not None

    def _take(self) -> bool:
        found = read(self._files, self._object)
        if found is None:
            self.generation = 1
            return self._write(None)
        last = _content(found[0])
        if last.get("held", True):
            try:
                seen = self._files.call_s3("head_object", **self._object)
            except FileNotFoundError:
                return False
            if str(seen["ETag"]) != found[1] or _age_seconds(seen) <= LEASE_SECONDS:
                return False
        self.generation = int(last.get("generation", 0)) + 1
        return self._write(found[1])

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                if not self._write(self._etag):
                    self._lost = True
                    return
            except out_of_reach():  # for now; it is lost when it has grown old
                continue

    def check(self) -> None:
        """Make sure that the lease is still held, by this machine's clock; called before every write.

        Raises
        ------
        StoreBusy
            It was not renewed in time, so another writer may have begun, or another writer has begun.
        """
        if self._lost or time.clock_gettime(CLOCK) - self._renewed > LEASE_SECONDS - RENEW_SECONDS:
            raise StoreBusy(
                f"the right to write to {self._address} was lost: this process was suspended or S3 was out of reach "
                "for too long, and another process may be writing. Nothing half-made is visible; run again."
            )

    def refused(self, key: str) -> StoreBusy:
        """Give up the lease, as S3 refused a write; return what to raise."""
        self._lost = True
        return StoreBusy(
            f"the right to write to {self._address} was lost: {key} was written by another process. "
            "Nothing half-made is visible; run again."
        )

    def release(self) -> None:
        """Let others write. The object stays: it keeps the generation."""
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join(RENEW_SECONDS)
        if self._etag is not None and not self._lost:
            with contextlib.suppress(*out_of_reach()):  # then it grows old
                self._write(self._etag, held=False)


def _content(data: bytes) -> dict[str, Any]:
    """Return what a lease object says; nothing where another program wrote it."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _age_seconds(found: dict[str, Any]) -> float:
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    written: datetime = found["LastModified"]
    return (now - written).total_seconds()
