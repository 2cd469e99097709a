"""The cluster that a build starts on this machine: closed to other accounts, and started again when a worker dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed
import psutil
import pytest
from distributed.comm import connect

from finnex.errors import ServiceError
from flows.clusters.identity import PREFIX, make_identity, private_folder
from flows.clusters.local import STARTS, local_cluster

pytestmark = pytest.mark.slow
LISTEN = psutil.CONN_LISTEN


def listening() -> set[tuple[str, int]]:
    """Return address and port of every socket on which this process or a child of it accepts connections."""
    own = psutil.Process()
    return {
        (found.laddr.ip, found.laddr.port)
        for process in (own, *own.children(recursive=True))
        for found in process.net_connections("tcp")
        if found.status == LISTEN
    }


async def send_code(address: str, arguments: dict[str, Any], marker: Path) -> bool:
    """Ask a port to make a folder, as Dask's client asks schedulers, nannies and workers; return whether it did."""
    code = {"function": pickle.dumps(os.mkdir), "args": pickle.dumps((str(marker),)), "reply": True}
    for operation in ("run", "run_function"):  # a worker or nanny knows the first, a scheduler the second
        with contextlib.suppress(OSError, TimeoutError, ValueError, RuntimeError):
            comm = await connect(address, timeout=2, **arguments)
            try:
                await comm.write({"op": operation} | code)
                await comm.read()
            finally:
                comm.abort()
    return marker.exists()


def refused(address: str, arguments: dict[str, Any], marker: Path) -> bool:
    async def within_seconds() -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(send_code(address, arguments, marker), 5)
        return not marker.exists()

    return asyncio.run(within_seconds())


def serves_pages(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try:
            return plain.recv(64).startswith(b"HTTP/")
        except ConnectionResetError:
            return False


def test_who_has_no_key_runs_no_code_on_any_port_of_a_cluster(tmp_path: Path) -> None:
    """Every open port is asked to run code: with the cluster's own key it does, else never."""
    (tmp_path / "stranger").mkdir()
    keyless = ssl.create_default_context()
    keyless.check_hostname, keyless.verify_mode = False, ssl.CERT_NONE
    strangers = [
        ("tls", "another key", make_identity(tmp_path / "stranger").get_connection_args("client")),
        ("tls", "no key", {"ssl_context": keyless, "require_encryption": True, "extra_conn_args": {}}),
        ("tcp", "plain", distributed.Security(require_encryption=False).get_connection_args("client")),
    ]
    before = listening()
    with local_cluster(2, "1GiB") as client:
        ports = sorted(listening() - before)
        assert {ip for ip, _ in ports} == {"127.0.0.1"}
        assert len(ports) >= 5  # a scheduler, two nannies, two workers
        for _, port in ports:
            for protocol, what, arguments in strangers:
                marker = tmp_path / f"{port} {what}"
                assert refused(f"{protocol}://127.0.0.1:{port}", arguments, marker), marker.name
            assert not serves_pages(port)
            own = client.security.get_connection_args("client")
            assert not refused(f"tls://127.0.0.1:{port}", own, tmp_path / f"{port} own"), port
        assert list(client.nthreads().values()) == [2, 2]  # all of it did the cluster no harm
    assert listening() <= before


@pytest.fixture
def shared_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder in which every account may write, as /tmp is, and a umask that hides nothing."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return shared


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_key_and_scratch_files_are_for_this_account_alone_and_go_with_the_cluster(
    shared_temporary_folder: Path,
) -> None:
    with umask(0), local_cluster(1, "1GiB") as client:
        [folder] = shared_temporary_folder.iterdir()
        assert folder.name.startswith(PREFIX)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        keys = sorted(folder.glob("*.pem"))
        assert [key.name for key in keys] == ["ca.pem", "cert.pem", "key.pem"]
        assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
        assert b"PRIVATE" in (folder / "key.pem").read_bytes()
        [scratch] = client.run(lambda dask_worker: dask_worker.local_directory).values()
        assert folder in Path(scratch).parents
    assert list(shared_temporary_folder.iterdir()) == []


STARTS_AND_WAITS = """
import sys, time
from flows.clusters.local import local_cluster
if __name__ == "__main__":
    with local_cluster(1, "1GiB"):
        print("up", flush=True)
        time.sleep(60)
"""


def test_what_a_killed_process_left_is_swept_at_the_next_start_and_nothing_else(
    shared_temporary_folder: Path, tmp_path: Path
) -> None:
    kept = {shared_temporary_folder / f"{PREFIX}{name}" for name in ("not-ours", "link", "file")}
    (shared_temporary_folder / f"{PREFIX}not-ours").mkdir()
    (shared_temporary_folder / f"{PREFIX}not-ours" / "images.zarr").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "key.pem").touch()
    (shared_temporary_folder / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    (shared_temporary_folder / f"{PREFIX}file").touch()
    script = tmp_path / "script.py"
    script.write_text(STARTS_AND_WAITS)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        [used] = set(shared_temporary_folder.iterdir()) - kept
        with private_folder(shared_temporary_folder) as mine:
            assert set(shared_temporary_folder.iterdir()) == kept | {used, mine}
        child.kill()
    assert (used / "key.pem").exists()
    with private_folder(shared_temporary_folder) as mine:
        assert set(shared_temporary_folder.iterdir()) == kept | {mine}
    assert (tmp_path / "elsewhere" / "key.pem").exists()


IMPORTS = """
import importlib
from flows.clusters.local import local_cluster
def load():
    importlib.import_module("wave")
if __name__ == "__main__":
    with local_cluster(1, "1GiB") as client:
        client.run(load, nanny=False)
        client.run(load, nanny=True)
        client.run_on_scheduler(load)
"""


def test_modules_that_others_left_in_shared_folders_are_not_imported(
    shared_temporary_folder: Path, tmp_path: Path
) -> None:
    """Dask puts its scratch folder first on the path, and spawned processes their working folder."""
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "script.py"
    script.write_text(IMPORTS)
    scratch, work = shared_temporary_folder / "dask-scratch-space", tmp_path / "work"
    for folder in (scratch, work):
        folder.mkdir()
        folder.chmod(0o777)
    for module in (scratch / "wave.py", work / "wave.py", work / "multiprocessing.py", work / "runpy.py"):
        module.write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()\n")
    done = subprocess.run(
        [sys.executable, script], cwd=work, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "marker").exists()


def workers_on_their_way() -> list[psutil.Process]:
    """Return the worker processes of this process, from the first moment on."""
    found = []
    for child in psutil.Process().children():
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def is_listening(process: psutil.Process) -> bool:
    try:
        return any(found.status == LISTEN for found in process.net_connections("tcp"))
    except psutil.Error:
        return False


MOMENTS: dict[str, Callable[[psutil.Process, float], bool]] = {
    "as it appears": lambda process, age: True,
    "while it imports": lambda process, age: age > 0.2,
    "when it listens": lambda process, age: is_listening(process),
}


class Killer(threading.Thread):
    """Kills so many of the worker processes of this process, each at a moment of its start."""

    def __init__(self, moment: str, kills: int, how: int = signal.SIGKILL) -> None:
        super().__init__(daemon=True)
        self.is_due, self.left, self.how = MOMENTS[moment], kills, how
        self.killed: set[int] = set()
        self.over = threading.Event()

    def run(self) -> None:
        since: dict[int, float] = {}
        while self.left and not self.over.is_set():
            for process in workers_on_their_way():
                age = time.monotonic() - since.setdefault(process.pid, time.monotonic())
                if self.left and process.pid not in self.killed and self.is_due(process, age):
                    process.send_signal(self.how)
                    self.killed.add(process.pid)
                    self.left -= 1
            time.sleep(0.002)

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.join()


def alive(client: distributed.Client) -> set[int]:
    """Return the processes of the workers that answer."""
    found = client.run(os.getpid, on_error="return")
    return {process for process in found.values() if isinstance(process, int)}


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    "moment",  # the first one is in every run below, at each start
    [pytest.param(one, marks=pytest.mark.accept if one == "as it appears" else ()) for one in MOMENTS],
)
def test_a_worker_that_is_killed_while_it_starts_does_not_end_the_build(
    moment: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with Killer(moment, kills=1) as killer, local_cluster(2, "1GiB") as client:
        killer.join(10)
        assert killer.killed
        until(lambda: len(alive(client)) == 2)
    assert capfd.readouterr() == ("", "")
    assert workers_on_their_way() == []


@pytest.mark.parametrize("moment", ["as it appears", "while it imports"])
def test_workers_that_are_killed_at_every_start_end_the_build_with_one_sentence(
    moment: str, capfd: pytest.CaptureFixture[str], shared_temporary_folder: Path
) -> None:
    with (
        Killer(moment, kills=1000) as killer,
        pytest.raises(ServiceError, match=rf"could not be started in {STARTS} attempts.*workers = 0") as told,
        local_cluster(2, "1GiB"),
    ):
        pass
    assert len(killer.killed) >= STARTS
    assert "\n" not in str(told.value)
    assert capfd.readouterr() == ("", "")
    assert workers_on_their_way() == []
    assert list(shared_temporary_folder.iterdir()) == []


def test_a_worker_that_hangs_while_it_starts_is_given_up(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clusters.local.START_SECONDS", 2.0)
    with Killer("while it imports", kills=1, how=signal.SIGSTOP) as killer, local_cluster(1, "1GiB") as client:
        assert killer.killed
        assert len(client.run(os.getpid)) == 1
    assert capfd.readouterr() == ("", "")
    assert workers_on_their_way() == []
