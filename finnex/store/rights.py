"""Which stores this process may write to at this moment, and how that is looked at again before a change."""

from __future__ import annotations

from typing import Protocol


class Right(Protocol):
    """A lock that this process holds."""

    def check(self) -> None:
        """Raise `StoreError` where it is not held any more, without a request to another machine."""


rights: dict[str, Right] = {}
"""By the store's address, without a slash at its end."""


def check_right_to_write(address: str) -> None:
    """Raise where this process held the lock of a store and holds it no longer.

    Raises
    ------
    StoreBusy
        The lease of a store in a bucket was not renewed in time, or another writer has it.
    StoreError
        The folder is not under its path any more.
    """
    if (right := rights.get(address.rstrip("/"))) is not None:
        right.check()
