"""The shim and the memory it shares with the harness."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONTROL_VARIABLE = "FINNEX_CRASH_CONTROL"
COUNT, KILL_SELF, KILL_GROUP, STEP = range(4)
SOURCE = Path(__file__).with_name("shim.c")


class Control(ctypes.Structure):
    """`struct control` of shim.c."""

    _fields_ = (
        ("count", ctypes.c_uint64),
        ("target", ctypes.c_uint64),
        ("waiting", ctypes.c_uint64),
        ("released", ctypes.c_uint64),
        ("fired", ctypes.c_uint32),
        ("stepping", ctypes.c_uint32),
        ("action", ctypes.c_uint32),
        ("half", ctypes.c_uint32),
        ("no_sync", ctypes.c_uint32),
        ("group", ctypes.c_int32),
        ("process", ctypes.c_int32),
        ("log", ctypes.c_uint32),
        ("folder", ctypes.c_char * 1024),
        ("only", ctypes.c_char * 256),
        ("log_file", ctypes.c_char * 1024),
        ("call", ctypes.c_char * 2048),
    )

    def watch(
        self,
        folder: Path | None,
        action: int = COUNT,
        target: int = 0,
        *,
        half: bool = False,
        only: str = "",
        process: int = 0,
    ) -> None:
        """Count from zero below `folder`; None counts nothing. `process` is as in shim.c."""
        self.folder = b""  # off while the rest changes
        self.count = self.target = self.waiting = self.released = self.fired = self.stepping = self.group = 0
        self.call = b""
        self.action, self.target, self.half, self.only = action, target, half, only.encode()
        self.process = process
        self.folder = b"" if folder is None else str(folder).encode()

    @property
    def what(self) -> tuple[str, ...]:
        """The call at which the shim acted: its name and one or two paths."""
        return tuple(part for part in self.call.decode().split("\t") if part)


@dataclass(frozen=True)
class Shim:
    """A compiled shim and its control file."""

    library: Path
    control_file: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be counted."""
        return {"LD_PRELOAD": str(self.library), CONTROL_VARIABLE: str(self.control_file)}


def why_not() -> str:
    """Return why the shim cannot be used here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return f"the crash harness needs Linux's LD_PRELOAD; this is {sys.platform}"
    return "" if shutil.which("cc") else "no C compiler: `cc` is not installed"


@contextmanager
def compiled() -> Iterator[tuple[Shim, Control]]:
    """Compile the shim, and map its control file."""
    with tempfile.TemporaryDirectory() as name:
        library, control_file = Path(name) / "shim.so", Path(name) / "control"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        control_file.write_bytes(bytes(ctypes.sizeof(Control)))
        yield Shim(library, control_file), mapped(control_file)


def mapped(control_file: Path) -> Control:
    """Map a control file."""
    with control_file.open("r+b") as file:
        return Control.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(Control)))


def from_environment() -> Control:
    """Map the control file of this process, which runs with the shim loaded."""
    return mapped(Path(os.environ[CONTROL_VARIABLE]))


def steps(
    control: Control, running: Callable[[], bool], seconds: float = 60.0
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Let a process that is watched with `STEP` run from call to call; yields before each, while it waits."""
    while True:
        deadline = time.monotonic() + seconds
        while control.waiting <= control.released:
            if not running():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no call for {seconds:.0f} s after call {control.released}: {control.what}")
            time.sleep(0.00005)
        number = control.waiting
        yield number, control.what
        control.released = number
