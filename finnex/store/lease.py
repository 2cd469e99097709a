"""The writer's lock of a store in a bucket: a small object that its holder keeps fresh.

Conditional writes make it safe: it is created only where there is none, and taken over from a holder that has not
renewed it for `LEASE_SECONDS` only if it is still the object that was looked at. Ages are told by the clock of S3.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from finnex.errors import StoreBusy
from finnex.store.bucket import filesystem, out_of_reach

LEASE_SECONDS = 60.0
"""A holder that was killed keeps others waiting for so long."""
RENEW_SECONDS = 15.0
ASK_AGAIN_SECONDS = 2.0


class Lease:
    """The right to write to a store in a bucket, for as long as it is renewed.

    Parameters
    ----------
    address
        `s3://bucket/prefix` of the store; the lock lies beside it.
    """

    def __init__(self, address: str) -> None:
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        folder, _, name = prefix.rpartition("/")
        self._object = {"Bucket": bucket, "Key": f"{folder}/.{name}.lock" if folder else f".{name}.lock"}
        self._address, self._files = address, filesystem()
        self._tag: str | None = None
        self._renewed = 0.0
        self._ended = threading.Event()

    def acquire(self, wait_seconds: float) -> None:
        """Take the lease.

        Raises
        ------
        StoreBusy
            Another process kept it for `wait_seconds`.
        """
        deadline = time.monotonic() + wait_seconds
        while not self._take():
            if time.monotonic() >= deadline:
                raise StoreBusy(
                    f"another process is writing to {self._address}. Wait for it to end, or stop it: "
                    f"{LEASE_SECONDS:.0f} s after a writer has died, the next one takes over."
                )
            time.sleep(min(ASK_AGAIN_SECONDS, max(0.0, deadline - time.monotonic())))
        threading.Thread(target=self._keep, name="finnex-lease", daemon=True).start()

    def _write(self, **condition: str) -> bool:
        me = {"host": socket.gethostname(), "process": os.getpid(), "token": uuid.uuid4().hex}
        asked = time.monotonic()
        try:
            answer = self._files.call_s3("put_object", **self._object, Body=json.dumps(me).encode(), **condition)
        except OSError as error:
            if _refused(error):
                return False
            raise
        self._tag, self._renewed = str(answer["ETag"]), asked
        return True

    def _take(self) -> bool:
        if self._write(IfNoneMatch="*"):
            return True
        try:
            found = self._files.call_s3("head_object", **self._object)
        except FileNotFoundError:
            return self._write(IfNoneMatch="*")
        if _age_seconds(found) <= LEASE_SECONDS:
            return False
        return self._write(IfMatch=str(found["ETag"]))

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                if self._tag is None or not self._write(IfMatch=self._tag):
                    self._tag = None  # somebody took over: `check` says so
                    return
            except out_of_reach():  # for now; it is lost when it has grown old
                continue

    def check(self) -> None:
        """Make sure that the lease is still held; called before anything readers can see is changed.

        Raises
        ------
        StoreBusy
            It was not renewed in time, so another writer may have begun.
        """
        if self._tag is None or time.monotonic() - self._renewed > LEASE_SECONDS - RENEW_SECONDS:
            raise StoreBusy(
                f"the right to write to {self._address} was lost: S3 was out of reach for too long, and another "
                "process may be writing. Nothing half-made is visible; run again."
            )

    def release(self) -> None:
        """Let others write."""
        self._ended.set()
        if self._tag is not None:
            with contextlib.suppress(*out_of_reach()):  # then it grows old
                if self._files.call_s3("head_object", **self._object)["ETag"] == self._tag:
                    self._files.call_s3("delete_object", **self._object)


def _refused(error: OSError) -> bool:
    """Return whether a conditional write was refused because of its condition."""
    answer = getattr(error.__cause__, "response", {})
    return answer.get("Error", {}).get("Code") in {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


def _age_seconds(found: dict[str, Any]) -> float:
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    written: datetime = found["LastModified"]
    return (now - written).total_seconds()
