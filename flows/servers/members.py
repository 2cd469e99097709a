"""The processes of a stack: which state folder they run on, and which process supervises them.

A path does not identify a state folder: the folder can be moved while servers run on it, and another one be made in its
place. So the folder holds a random id, and every process of a stack carries, in its environment, the path, that id, and
process number and start of its supervisor.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from finnex.errors import ServiceError
from flows.servers.services import MARK

OWNER = "FINNEX_STACK_OWNER"
"""Environment variable: id of the state folder, process number and start of the supervisor."""
IDENTITY = ".id"
"""File in the state folder that holds its id."""
KILL_ROUNDS = 5
"""A process that is killed may have started another one after they were listed."""


@dataclass(frozen=True)
class Supervisor:
    """A process that starts and stops a stack, by its number and its start: numbers are used again."""

    process: int
    started: str

    @classmethod
    def this(cls) -> Supervisor:
        """Return the process that calls."""
        return cls(os.getpid(), _start(os.getpid()) or "")

    def lives(self) -> bool:
        """Return whether it runs; a process that has ended and was not waited for does not."""
        return _start(self.process) == self.started


@dataclass(frozen=True)
class Member:
    """A process that carries the mark of a stack.

    Attributes
    ----------
    state
        Path of the state folder when the stack was started.
    identity
        Id of that folder; '' where an earlier version started the stack.
    supervisor
        None where an earlier version started the stack.
    """

    process: psutil.Process
    state: Path
    identity: str
    supervisor: Supervisor | None


def _start(process: int) -> str | None:
    """Return when a process started, in a form that a change of the clock leaves alone; None where it does not run."""
    try:
        if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return None
        status = Path(f"/proc/{process}/stat")
        if status.is_file():  # ticks since the machine started, the twentieth word after the name in brackets
            return status.read_text(errors="replace").rpartition(")")[2].split()[19]
        return str(psutil.Process(process).create_time())
    except (psutil.Error, OSError, IndexError):
        return None


def mark(identity: str, supervisor: Supervisor) -> str:
    """Return the value of `FINNEX_STACK_OWNER` for the processes of a supervisor on a state folder."""
    return f"{identity} {supervisor.process} {supervisor.started}"


def marked_processes() -> Iterator[Member]:
    """Yield the processes of every stack, but for the calling process; those of other accounts cannot be seen."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if MARK not in environment or process.pid == os.getpid():
                continue
            identity, _, rest = environment.get(OWNER, "").partition(" ")
            number, _, started = rest.partition(" ")
            supervisor = Supervisor(int(number), started) if number.isdecimal() else None
            yield Member(process, Path(environment[MARK]), identity, supervisor)


def stored_identity(state: Path) -> str:
    """Return the id that a state folder holds, '' where it holds none."""
    try:
        return (state / IDENTITY).read_text().strip()
    except (OSError, ValueError):
        return ""


def identity_of(state: Path) -> str:
    """Return the id of a state folder, made where it holds none, or where the folder is a copy of one in use.

    The caller holds the folder's lock.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    found = stored_identity(state)
    if found and not any(_copied(state, member) for member in marked_processes() if member.identity == found):
        return found
    made = secrets.token_hex(16)
    (state / IDENTITY).unlink(missing_ok=True)
    with open(state / IDENTITY, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(f"{made}\n")
    return made


def _copied(state: Path, member: Member) -> bool:
    """Return whether the folder on which a process runs is still in its place, and is another one with the same id."""
    there = member.state / IDENTITY
    if stored_identity(member.state) != member.identity:
        return False
    try:
        return not there.samefile(state / IDENTITY)
    except OSError:
        return False


def members(state: Path) -> list[Member]:
    """Return the processes that run on a state folder, or on one that was at its path.

    A folder that was moved is found by its id. Processes on the original of a copied folder are left out.
    """
    identity = stored_identity(state)
    return [
        member
        for member in marked_processes()
        if member.state == state or (identity and member.identity == identity and not _copied(state, member))
    ]


def refuse_living(state: Path) -> None:
    """Refuse to start where the supervisor of another stack runs, although the folder's lock is free.

    The lock is a file in the folder: a folder that was moved took it along, and it can be deleted. Two stacks would
    then keep two registries for one study.

    Raises
    ------
    ServiceError
        Such a stack runs; the message names its process and the remedy.
    """
    for member in members(state):
        if member.supervisor is None:
            raise ServiceError(
                f"process {member.process.pid} of a server that an earlier version of FinNeX started runs on {state}. "
                f"Stop its `finnex up`, or that process (kill {member.process.pid}), then give the command again."
            )
        if member.supervisor.lives():
            raise ServiceError(_refusal(state, member, member.supervisor.process))


def _refusal(state: Path, member: Member, supervisor: int) -> str:
    begun = f"a command of FinNeX (process {supervisor}, `finnex up` or another that started servers) runs on"
    stop = f"Stop it first (Ctrl-C, or kill {supervisor})"
    if member.state == state and stored_identity(state) == member.identity:
        return f"{begun} the state folder {state}, whose lock file was deleted. {stop}, then give the command again."
    if member.state == state:
        return (
            f"{begun} the state folder {state}, and that folder was moved or deleted since it started. {stop}, put the "
            "folder back, then give the command again: here it would begin a second, empty registry."
        )
    return (
        f"{begun} this state folder, which was at {member.state} when it started and is at {state} now. {stop}, then "
        "give the command again."
    )


def kill_orphans(state: Path) -> None:
    """Kill every process on this state folder whose supervisor has ended, and wait until they are gone."""
    _kill(lambda: [one for one in members(state) if one.supervisor is not None and not one.supervisor.lives()])


def kill_own(owner: str) -> None:
    """Kill every process that carries this value of `FINNEX_STACK_OWNER`, and wait until they are gone."""
    _kill(lambda: [one for one in marked_processes() if one.supervisor and mark(one.identity, one.supervisor) == owner])


def _kill(listed: Callable[[], list[Member]]) -> None:
    for _ in range(KILL_ROUNDS):
        found = listed()
        if not found:
            return
        for member in found:
            with contextlib.suppress(psutil.Error):
                member.process.kill()
        psutil.wait_procs([member.process for member in found], timeout=5)
