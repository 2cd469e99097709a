"""A state folder that was moved, copied, or lost its lock while servers run on it: one registry, and none is killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from finnex.config import load_config
from finnex.errors import ServiceError
from flows.recording import recording_server
from flows.servers.members import IDENTITY, OWNER, Supervisor, identity_of, mark, stored_identity
from flows.servers.services import MARK, answers
from flows.servers.stack import ADDRESSES, Stack

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
TELLS_ITS_MARK = """
from flows.servers.members import Supervisor
this = Supervisor.this()
print(this.process, this.started, flush=True)
input()
"""
HOLDS_A_SERVER = """
import sys
from pathlib import Path
from flows.servers.stack import Stack
with Stack(Path(sys.argv[1]), mlflow_port=0, only_mlflow=True) as stack:
    print(stack.mlflow_address, flush=True)
    sys.stdin.readline()
"""
Starter = Callable[[list[str], dict[str, str]], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start processes that write a line once they run; they end with the test."""
    begun: list[subprocess.Popen[str]] = []

    def run(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def member(start: Starter) -> Callable[[Path, Supervisor], subprocess.Popen[str]]:
    """Start a process that carries the mark of a stack on a state folder."""

    def run(state: Path, supervisor: Supervisor) -> subprocess.Popen[str]:
        state.mkdir(exist_ok=True)
        (state / ".lock").touch()
        process = start(SLEEPS, {MARK: str(state), OWNER: mark(identity_of(state), supervisor)})
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    return run


@pytest.fixture
def ended(start: Starter) -> Supervisor:
    """A supervisor that was killed with SIGKILL, and was not yet waited for."""
    process = start([sys.executable, "-c", TELLS_ITS_MARK], {})
    assert process.stdout is not None
    number, started = process.stdout.readline().split()
    supervisor = Supervisor(int(number), started)
    assert supervisor.lives()
    process.kill()
    process.stdout.read()
    return supervisor


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens: a stack that gets that far starts nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def begin(state: Path, taken: int) -> None:
    """Start a stack up to its first server."""
    with pytest.raises(ServiceError, match=f"port {taken} on 127.0.0.1 is taken"):
        Stack(state, mlflow_port=taken, only_mlflow=True).start()


def refused(state: Path, taken: int) -> str:
    """Return the words with which a stack is refused before it looks for its port."""
    with pytest.raises(ServiceError) as refusal:
        Stack(state, mlflow_port=taken, only_mlflow=True).start()
    assert "port" not in str(refusal.value)
    return str(refusal.value)


def test_a_folder_that_was_moved_while_a_stack_runs_is_not_begun_anew(
    tmp_path: Path, member: Callable[..., subprocess.Popen[str]], taken: int
) -> None:
    state = tmp_path / "state"
    server = member(state, Supervisor.this())
    state.rename(tmp_path / "moved")
    words = refused(state, taken)
    assert f"process {os.getpid()}" in words
    assert "was moved or deleted" in words
    assert "put the folder back" in words
    assert not state.exists(), "else the folder cannot be moved back to its name"
    assert server.poll() is None
    (tmp_path / "moved" / ".lock").unlink()
    words = refused(tmp_path / "moved", taken)
    assert f"was at {state} when it started" in words
    assert server.poll() is None


def test_a_stack_whose_lock_was_deleted_keeps_its_processes_and_its_addresses(
    tmp_path: Path, member: Callable[..., subprocess.Popen[str]], taken: int
) -> None:
    state = tmp_path / "state"
    server = member(state, Supervisor.this())
    (state / ADDRESSES).write_text("{}")
    for remake in (False, True):  # the second time, another command has made the file again
        (state / ".lock").unlink()
        if remake:
            (state / ".lock").touch()
        words = refused(state, taken)
        assert "whose lock file was deleted" in words
        assert f"kill {os.getpid()}" in words
        assert (state / ADDRESSES).exists()
        assert server.poll() is None
        (state / ".lock").touch()


def test_what_a_killed_supervisor_left_is_cleared_away_also_where_the_folder_was_moved(
    tmp_path: Path, member: Callable[..., subprocess.Popen[str]], ended: Supervisor, taken: int
) -> None:
    state, moved = tmp_path / "state", tmp_path / "moved"
    first = member(state, ended)
    begin(state, taken)
    assert first.poll() is not None
    second = member(state, ended)
    state.rename(moved)
    begin(moved, taken)
    assert second.poll() is not None


def test_a_process_number_that_is_used_again_is_no_living_supervisor(
    tmp_path: Path, member: Callable[..., subprocess.Popen[str]], taken: int
) -> None:
    earlier = Supervisor(os.getpid(), "1")
    assert not earlier.lives()
    left = member(tmp_path / "state", earlier)
    begin(tmp_path / "state", taken)
    assert left.poll() is not None


def test_a_copy_of_a_folder_in_use_is_another_one(
    tmp_path: Path, member: Callable[..., subprocess.Popen[str]], taken: int
) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"
    server = member(state, Supervisor.this())
    shutil.copytree(state, copy)
    assert stored_identity(copy) == stored_identity(state) != ""
    begin(copy, taken)
    assert stored_identity(copy) != stored_identity(state)
    assert server.poll() is None
    begin(tmp_path / "third", taken)
    assert server.poll() is None


def test_a_process_of_an_earlier_version_is_named_and_not_killed(tmp_path: Path, start: Starter, taken: int) -> None:
    state = tmp_path / "state"
    old = start(SLEEPS, {MARK: str(state)})
    assert old.stdout is not None
    old.stdout.readline()
    assert f"(kill {old.pid})" in refused(state, taken)
    assert old.poll() is None


def test_the_id_of_a_folder_stays_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    first = identity_of(tmp_path)
    assert len(first) == 32
    assert identity_of(tmp_path) == first
    assert (tmp_path / IDENTITY).stat().st_mode & 0o077 == 0


@pytest.mark.accept
@pytest.mark.slow
def test_commands_open_no_second_registry_beside_a_running_server_and_use_it_again_afterwards(
    tmp_path: Path, start: Starter, sample_inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (MARK, "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def using(configuration: Path) -> AbstractContextManager[str]:
        return recording_server(load_config(configuration))

    config = tmp_path / "finnex.toml"
    text = f'symbols = ["NVDA"]\n[inputs]\nprices = "{sample_inputs["prices"]}"\n[store]\npath = "a.zarr"\n[state]\n'
    state, moved = tmp_path / "state", tmp_path / "moved"
    config.write_text(f'{text}path = "state"\n')
    other = tmp_path / "other.toml"
    other.write_text(f'{text}path = "moved"\n')
    holder = start([sys.executable, "-c", HOLDS_A_SERVER, str(state)], {})
    assert holder.stdout is not None
    address = holder.stdout.readline().strip()
    assert answers(f"{address}/health")

    state.rename(moved)
    command = [sys.executable, "-m", "finnex.cli", "models", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"process {holder.pid}" in done.stderr
    assert "put the folder back" in done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists()
    with pytest.raises(ServiceError, match=f"was at {state} when they started"), using(other):
        pass
    moved.rename(state)
    with using(config) as found:
        assert found == address
    (state / ".lock").unlink()
    with pytest.raises(ServiceError, match="whose lock file was deleted"), using(config):
        pass
    assert answers(f"{address}/health")
    holder.communicate("\n", timeout=60)
    assert holder.returncode == 0
    assert not answers(f"{address}/health")
