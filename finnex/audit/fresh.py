"""Run a computation in a process of its own that has computed nothing before, and record what it opens.

State that code keeps from an earlier call (a module's cache, a fitted value) would make a rebuild from cut tables
agree with the full one. A fork of a process that never ran the code has no such state. Other inputs than the tables (a
file, a socket, another program) are recorded: a comparison of tables cannot detect values that
were fitted and saved to a file.
"""

from __future__ import annotations

import os
import pickle
import site
import sys
import sysconfig
import warnings
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from finnex.audit.shadow import absent

T = TypeVar("T")
OPENS = {"open": 0, "socket.connect": 1, "subprocess.Popen": 0, "os.system": 0, "sqlite3.connect": 0}
"""Audit event (PEP 578) to the argument that names what is opened."""
CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".pth")
MOST_SEEN = 20


@dataclass(frozen=True)
class Opened:
    """An input other than the tables: a file, an address or a program, and the function that opened it."""

    what: str
    by: str


@dataclass(frozen=True)
class Fresh(Generic[T]):
    """The answer of a computation in a process of its own.

    Attributes
    ----------
    value
        What it returned; None where it failed.
    error
        What it raised, as a sentence; empty where it returned.
    opened
        What it opened other than code, time zones and its tables.
    """

    value: T | None
    error: str
    opened: tuple[Opened, ...]


def in_fresh_process(
    function: Callable[[], T], failures: tuple[type[BaseException], ...], denied: frozenset[str] = frozenset()
) -> Fresh[T]:
    """Call a function in a fork of this process and return what it returned.

    Parameters
    ----------
    failures
        Exceptions that are an answer (`Fresh.error`); others are raised here.
    denied
        What the function finds missing; files that it writes in their place do not touch them.

    Raises
    ------
    RuntimeError
        The process ended without an answer (it was killed, or ran out of memory).
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks of processes with threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            answer = _answer(function, failures, denied)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe, protocol=pickle.HIGHEST_PROTOCOL)
            code = 0
        finally:
            os._exit(code)  # no exit handler, no flush of what the parent has buffered
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if not data:
        raise RuntimeError(
            f"a rebuild of the audit ended without an answer (wait status {status}): it was killed, or ran out of "
            "memory. Audit fewer symbols at a time, or on a machine with more memory."
        )
    found: Fresh[T] | BaseException = pickle.loads(data)
    if isinstance(found, BaseException):
        raise found
    return found


def _answer(
    function: Callable[[], T], failures: tuple[type[BaseException], ...], denied: frozenset[str]
) -> Fresh[T] | BaseException:
    opened: dict[str, Opened] = {}
    roots = _code_roots()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in OPENS or len(opened) >= MOST_SEEN:
            return
        what = arguments[OPENS[event]]
        if isinstance(what, bytes):
            what = os.fsdecode(what)
        if event == "open" and (not isinstance(what, str) or _is_code(what, roots)):
            return  # a file descriptor, or part of the program
        if not denied:
            opened.setdefault(str(what), Opened(str(what), _caller(roots)))
        elif str(what) in denied and event != "open":
            raise FileNotFoundError(what)

    sys.addaudithook(hook)
    try:
        with absent(denied):
            return Fresh(function(), "", tuple(opened.values()))
    except failures as error:
        return Fresh(None, f"{type(error).__name__}: {error}", tuple(opened.values()))
    except BaseException as error:
        return error


def _code_roots() -> tuple[str, ...]:
    roots = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *site.getsitepackages(), *zoneinfo.TZPATH]
    return tuple({str(Path(root).resolve()) + os.sep for root in roots} | {"/proc/", "/sys/", "/dev/"})


def _is_code(path: str, roots: tuple[str, ...]) -> bool:
    return path.endswith(CODE) or "__pycache__" in path or str(Path(path).resolve()).startswith(roots)


def _caller(roots: tuple[str, ...]) -> str:
    """Return the innermost function on the stack that belongs to no installed library."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(("<", *roots)):
            return f"{frame.f_code.co_name} ({Path(name).name}, line {frame.f_lineno})"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "an installed library"
