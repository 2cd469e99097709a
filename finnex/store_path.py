"""Where a store lies: a folder, or `s3://bucket/prefix`; both know their name, their parent and what lies in them."""

from __future__ import annotations

from pathlib import Path

from upath import UPath

StorePath = Path | UPath

S3_OPTIONS = {"use_listings_cache": False}
"""s3fs would answer from what it listed earlier, and a store is written by others."""


def store_path(address: StorePath | str) -> StorePath:
    """Return an address as a path: a `UPath` of s3://, else a `Path`."""
    if not isinstance(address, str):
        return address
    return UPath(address, protocol=None, **S3_OPTIONS) if address.startswith("s3://") else Path(address)
