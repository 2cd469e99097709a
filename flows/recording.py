"""Which MLflow server records a study: the configured one, the one on its state folder, or one for the time being."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from finnex.config import Config
from finnex.config.state import earlier_state_folder, state_folder
from finnex.errors import ServiceError, StateBusy
from finnex.plain_text import plain_text
from flows.servers.access import PASSWORD, USER, authorization
from flows.servers.services import MARK, answers
from flows.servers.stack import ADDRESSES, START_SECONDS, Stack
from flows.servers.stop_signals import stop_on_signals

USERS = "users.lock"
"""File in the state folder that commands hold together while they use a server that one of them started."""
ASK_AGAIN_SECONDS = 0.5


@contextmanager
def recording_server(config: Config) -> Iterator[str]:
    """Yield the address of the MLflow server of a study: there is one registry for it, whichever command asks.

    It is `[mlflow] uri`, else that of the stack that this process belongs to, else the one that runs on the state
    folder of the configuration, else one that is started here on that folder and lives until the last command that
    uses it has ended.

    Parameters
    ----------
    config
        Address of MLflow, and the state folder.

    Yields
    ------
    str
        The address, as `http://HOST:PORT` or as it is configured.

    Raises
    ------
    ServiceError
        The configured server does not answer, the stack has another state folder than the configuration, or a server
        runs on the state folder as it was before it was moved; nothing was computed in vain.
    """
    if password := os.environ.get(PASSWORD):  # as `finnex up` has it; MLflow's own variables go before
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", USER)
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", password)
    state = config.state.path or state_folder(Path.cwd())
    if config.mlflow.uri is None and (stack := os.environ.get(MARK)) and Path(stack) != state:
        raise ServiceError(
            f"this runs on the state folder {stack}, and the configuration's is {state}: its models would be in two "
            f"registries. Set [state] path = '{stack}' in it, or start `finnex up` with this configuration."
        )
    given = config.mlflow.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if given is None:
        with _server_of(state) as address:
            yield address
        return
    if given.startswith("http") and not answers(f"{given.rstrip('/')}/health"):
        raise ServiceError(
            f"no MLflow server answers at {given}. Start it, correct [mlflow] uri, or remove that key: "
            "then `finnex train` starts one itself."
        )
    yield given


@contextmanager
def _server_of(state: Path) -> Iterator[str]:
    """Yield the address of the one MLflow server that runs on a state folder, started where there is none."""
    if state == earlier_state_folder().resolve():
        words = f"finnex: the state is in {state}, where an earlier version kept it. To name it: [state] path."
        print(plain_text(words), file=sys.stderr)
    deadline = time.monotonic() + START_SECONDS
    stack = Stack(state, mlflow_port=0, only_mlflow=True)
    with ExitStack() as opened:
        opened.enter_context(stop_on_signals())
        opened.callback(stack.stop)  # before it starts: a signal may arrive as soon as it has
        while (address := running_server(state)) is None:
            try:
                stack.start()
            except StateBusy:  # another command is starting one, or ends
                if time.monotonic() > deadline:
                    raise
                time.sleep(ASK_AGAIN_SECONDS)
                continue
            opened.callback(_wait_for_others, state)
            yield stack.mlflow_address
            return
        opened.enter_context(_using(state))
        yield address


@contextmanager
def _using(state: Path) -> Iterator[None]:
    """Prevent the command that started the server from ending it."""
    with (state / USERS).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _wait_for_others(state: Path) -> None:
    """Wait until no other command uses the server that this one started."""
    with (state / USERS).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("finnex: waiting for another command that uses this server.", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)


def running_server(state: Path) -> str | None:
    """Return the address of the MLflow server that runs on a state folder, None where none does.

    Its supervisor holds the folder's lock; an address that a killed one left may be another's by now.

    Raises
    ------
    ServiceError
        The folder cannot be used, or was moved since the server was started on it.
    """
    if not (state / ADDRESSES).is_file():
        return None
    lock = FileLock(str(state / ".lock"), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pass
    except OSError as error:
        raise ServiceError(
            f"the state folder {state} cannot be used ({error.strerror}). Correct its permissions or [state] path."
        ) from None
    else:
        lock.release()
        return None
    try:
        written = json.loads((state / ADDRESSES).read_text())
        address, process, place = str(written["mlflow"]), written.get("process"), Path(written.get("state", state))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # it is being written
        return None
    if place != state and not (place.exists() and place.samefile(state)):
        raise ServiceError(
            f"the servers of process {process} run on this state folder, which was at {place} when they started and is "
            f"at {state} now. Put the folder back, or stop that process first (Ctrl-C, or kill {process})."
        )
    return address if answers(f"{address}/health") else None


def end_open_runs(uri: str, experiment: str, flow_run_id: str) -> int:
    """Mark the unfinished MLflow runs of a flow run KILLED; return how many there were.

    Over the REST interface: it is called when a process was killed, and must not wait for mlflow's import.
    """
    headers = {"Content-Type": "application/json"}
    if password := os.environ.get("MLFLOW_TRACKING_PASSWORD"):
        headers |= authorization(os.environ.get("MLFLOW_TRACKING_USERNAME", ""), password)

    def ask(path: str, body: dict[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(f"{uri.rstrip('/')}/api/2.0/mlflow/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer

    found = ask("experiments/search", {"max_results": 1, "filter": f"name = '{experiment}'"})
    ids = [one["experiment_id"] for one in found.get("experiments", [])]
    wanted = f"tags.`prefect.flow_run_id` = '{flow_run_id}' AND attributes.status = 'RUNNING'"
    left = ask("runs/search", {"experiment_ids": ids, "filter": wanted}).get("runs", []) if ids else []
    for run in left:
        ended = {"run_id": run["info"]["run_id"], "status": "KILLED", "end_time": int(time.time() * 1000)}
        ask("runs/update", ended)
    return len(left)
