"""Files that are not there for one computation: what it reads is missing, what it writes lies in a folder of its own.

Code that fits a value once, writes it to a file and reads it back must fit it anew; its own file must stay as it is.
"""

from __future__ import annotations

import builtins
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPENERS = ((builtins, "open"), (io, "open"), (os, "open"), (os, "stat"), (os, "access"), (os, "lstat"))
"""The functions that Python's own readers and writers call; files that a C library opens directly are not shadowed."""


@contextmanager
def absent(paths: Collection[str]) -> Iterator[None]:
    """Let files seem absent in this process, and keep elsewhere what is written to them. For a fork of one thread."""
    if not paths:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="finnex-absent-"))
    places = {str(Path(path).absolute()): str(folder / str(number)) for number, path in enumerate(sorted(paths))}

    def shadowed(call: Callable[..., Any]) -> Callable[..., Any]:
        def with_place(path: Any, *arguments: Any, **named: Any) -> Any:
            if isinstance(path, str | Path):
                path = places.get(str(Path(path).absolute()), path)
            return call(path, *arguments, **named)

        return with_place

    before = [(module, name, getattr(module, name)) for module, name in OPENERS]
    try:
        for module, name, call in before:
            setattr(module, name, shadowed(call))
        yield
    finally:
        for module, name, call in before:
            setattr(module, name, call)
        shutil.rmtree(folder, ignore_errors=True)
