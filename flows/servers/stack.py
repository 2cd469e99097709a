"""The local stack behind `finnex up`: starts its processes, watches them, and stops all of them.

    with Stack(config.state.path) as stack:
        stack.wait()

One stack owns one state folder (databases, artifacts, logs). Each process in it carries path and id of the folder, and
its supervisor, in its environment (`flows.servers.members`): stopping finds every descendant, however it was started,
and the next start clears away what a supervisor left that was killed with SIGKILL.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from finnex.errors import ServiceError, StateBusy
from flows.servers.access import LOOPBACK, USER, server_password
from flows.servers.members import (
    IDENTITY,
    OWNER,
    Supervisor,
    identity_of,
    kill_orphans,
    kill_own,
    mark,
    refuse_living,
)
from flows.servers.services import READY_FILE, Door, Service, flow_service, mlflow_server, prefect_server
from flows.servers.stop_signals import held_back, no_interruption

PREFECT_PORT, MLFLOW_PORT = 4200, 5000
START_SECONDS = 180.0
STOP_SECONDS = 45.0
"""Prefect gives a cancelled run thirty."""
TAIL_LINES = 15
ADDRESSES = "addresses.json"
"""Where the servers of a state folder listen, while they do."""
OWN_ENTRIES = (
    *("logs", "prefect", "mlflow", "training", "tables", ".lock", "users.lock", "model.key", ".model.key.lock"),
    *(READY_FILE, ADDRESSES, IDENTITY),
)
"""What a stack makes in a state folder."""
PRIVATE = 0o077
"""The umask of the servers."""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, indented; '' where there is none."""
    if not log.is_file():
        return ""
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])


def _choose_port(host: str, wanted: int, flag: str) -> int:
    try:
        found = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ServiceError(f"--host {host} is no address of this machine ({error.strerror}).") from None
    family, address = found[0], found[4]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ServiceError(f"--host {host} is no address of this machine. `ip address` lists them.") from None
            raise ServiceError(
                f"port {wanted} on {host} is taken by another program. "
                f"Stop that program, or choose another port with {flag} {wanted + 1}."
            ) from None
        return int(probe.getsockname()[1])


class Stack:
    """Prefect server, MLflow server and the process that serves the flows.

    Parameters
    ----------
    state
        Folder of databases, artifacts and logs; made when absent.
    host
        Address at which the servers listen; beyond loopback, `FINNEX_PASSWORD` must be set.
    prefect_port, mlflow_port
        0 chooses a free one.
    config
        Default configuration file of every deployment.
    only_mlflow
        Start nothing but the MLflow server.

    Raises
    ------
    ServiceError
        From `start`: a port is taken, there is no password, another stack uses the folder or used it before it was
        moved, or a process does not come up.
    """

    def __init__(
        self,
        state: Path,
        *,
        host: str = LOOPBACK,
        prefect_port: int = PREFECT_PORT,
        mlflow_port: int = MLFLOW_PORT,
        config: Path | None = None,
        only_mlflow: bool = False,
    ) -> None:
        self.state = state.expanduser().resolve()
        self._host = host
        self._ports = prefect_port, mlflow_port
        self._config = config
        self._only_mlflow = only_mlflow
        self._lock = FileLock(str(self.state / ".lock"), mode=0o600)
        self._owner = ""
        self._running: list[tuple[Service, subprocess.Popen[bytes]]] = []
        self.prefect_address = ""
        self.mlflow_address = ""
        self.auth_string: str | None = None

    @property
    def deployments_address(self) -> str:
        """Page of the Prefect UI that lists what the flows process serves."""
        return f"{self.prefect_address}/deployments"

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every process and return when all of them answer; on failure none is left."""
        password = server_password(self._host)
        self.auth_string = f"{USER}:{password}" if password else None
        self._take_state_folder()
        try:
            kill_orphans(self.state)
            mlflow = Door(self._host, _choose_port(self._host, self._ports[1], "--mlflow-port"), password)
            self.mlflow_address = mlflow.address
            if self._only_mlflow:
                self._launch(mlflow_server(self.state, mlflow))
            else:
                prefect = Door(self._host, _choose_port(self._host, self._ports[0], "--prefect-port"), password)
                self.prefect_address = prefect.address
                self._launch(prefect_server(self.state, prefect), mlflow_server(self.state, mlflow))
                close_to_others(self.state)  # Prefect gives copies of its pages the modes that they have where they lie
                self._launch(flow_service(self.state, prefect, mlflow, self._config))
            addresses = {
                "prefect": self.prefect_address,
                "mlflow": self.mlflow_address,
                "process": os.getpid(),
                "state": str(self.state),
            }
            with open(self.state / ADDRESSES, "w", opener=_for_owner) as file:
                json.dump(addresses, file)
        except BaseException:
            self.stop()
            raise

    def _take_state_folder(self) -> None:
        self._refuse_without_a_trace()
        try:
            for folder in ("logs", "prefect", "mlflow/artifacts"):
                (self.state / folder).mkdir(parents=True, exist_ok=True)
            close_to_others(self.state)
            self._lock.acquire(timeout=0)
            try:
                refuse_living(self.state)  # before anything of a stack that runs here is removed
                self._owner = mark(identity_of(self.state), Supervisor.this())
            except BaseException:
                self._lock.release()
                raise
        except Timeout:
            raise StateBusy(
                f"another command uses the state folder {self.state}: `finnex up`, or one that trains, promotes or "
                "predicts. Wait for it to end, or stop it."
            ) from None
        except OSError as error:
            raise ServiceError(
                f"the state folder {self.state} cannot be written ({error.strerror}). "
                "Correct its permissions, or choose another: [state] path in the configuration, or FINNEX_HOME."
            ) from None
        self._forget()

    def _refuse_without_a_trace(self) -> None:
        """Refuse before a folder is made where the running stack's own one is to be put back."""
        lock = self.state / ".lock"
        if lock.exists():
            return
        try:
            refuse_living(self.state)
        except ServiceError:
            if not lock.exists():  # else another command has just started here, and holds the lock
                raise

    def _forget(self) -> None:
        for name in (READY_FILE, ADDRESSES):
            (self.state / name).unlink(missing_ok=True)

    def _launch(self, *services: Service) -> None:
        for service in services:
            service.prepare()
            service.log.unlink(missing_ok=True)
            # A session of its own: Ctrl-C reaches the supervisor alone, which stops them in order.
            with open(service.log, "xb", opener=_for_owner) as log, held_back():
                process = subprocess.Popen(
                    service.command, env=service.environment | {OWNER: self._owner},
                    cwd=service.folder or self.state,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                    umask=PRIVATE if service.private else -1,
                )  # fmt: skip
                self._running.append((service, process))
        deadline = time.monotonic() + START_SECONDS
        for service in services:
            while not service.ready():
                self.check()
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"{service.name} did not answer within {START_SECONDS:.0f} s. "
                        f"The end of {service.log}:\n{tail(service.log)}"
                    )
                time.sleep(0.2)

    def check(self) -> None:
        """Raise `ServiceError` with the end of its log if a process has ended unexpectedly."""
        for service, process in self._running:
            if process.poll() is not None:
                raise ServiceError(
                    f"{service.name} ended unexpectedly (exit code {process.returncode}). "
                    f"The end of {service.log}:\n{tail(service.log)}"
                )

    def wait(self, until: Callable[[], bool] = lambda: False, every_seconds: float = 0.5) -> None:
        """Watch over the processes until `until()` holds or a signal arrives.

        Raises
        ------
        ServiceError
            One of them ended unexpectedly.
        """
        while not until():
            self.check()
            time.sleep(every_seconds)

    def stop(self) -> None:
        """Stop every process, flows first, so that their runs can still report how they ended."""
        with no_interruption():
            for _, process in reversed(self._running):
                _end(process)
            if self._running:
                kill_own(self._owner)
            self._running.clear()
            if self._lock.is_locked:
                with contextlib.suppress(OSError):
                    close_to_others(self.state)
                self._forget()
                self._lock.release()


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def close_to_others(state: Path) -> None:
    """Let only the owner read a state folder: folders 700, files 600.

    In a folder that holds other things too, theirs are left as they are.

    Raises
    ------
    OSError
        The folder belongs to another account.
    """
    foreign = [one for one in state.iterdir() if one.name not in OWN_ENTRIES]
    if not foreign:
        state.chmod(0o700)
    for entry in (state / name for name in OWN_ENTRIES):
        found = [entry] if entry.exists() and not entry.is_symlink() else []
        if found and entry.is_dir():
            found += [Path(folder) / name for folder, folders, files in os.walk(entry) for name in (*folders, *files)]
        for path in found:
            with contextlib.suppress(FileNotFoundError):  # a server's temporary file
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                    path.chmod(0o700 if stat.S_ISDIR(mode) else 0o600)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
