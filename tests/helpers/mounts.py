"""Mount a small or read-only disk for a test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Path]:
    """Mount something for a while; the tests run as root or not at all."""
    path.mkdir(parents=True, exist_ok=True)
    found = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"nothing can be mounted here: {found.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)
