"""The three processes of the local stack: the command of each, and the check that it is ready.

All their settings are here and none is inherited: `PREFECT_*` and `MLFLOW_*` variables of the calling shell do not
reach them. A comment gives the reason of each unusual setting.
"""

from __future__ import annotations

import os
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finnex.config.state import HOME
from flows.servers.access import LOOPBACK, NAMES, PASSWORD, USER, at_port, host_names, is_everywhere

MARK = "FINNEX_STACK"
"""Environment variable that every process of a stack inherits: none can be overlooked when it stops."""
READY_FILE = "flows.ready"
"""Made in the state folder once all deployments are registered."""
HEARTBEAT_SECONDS = 60
"""Interval of a run's heartbeats: each is an event of a kilobyte until it is vacuumed."""
PREFECT_SERVER_SETTINGS = {
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # else runs are kept for ever
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "3d",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    # A server that forgot its leases when it restarts would end the runs that hold them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "10",  # until a queued run asks again
}
"""How every Prefect server of ours runs, here and in `docker/compose.yaml`."""


@dataclass(frozen=True)
class Service:
    """One process of the stack.

    Attributes
    ----------
    name
        What the screen and the errors call it.
    address
        Where a person looks at it.
    ready
        Whether it answers; cheap, never raises.
    prepare
        What is done before it starts.
    private
        Whether the files that it makes are for this account alone.
    folder
        Where it runs; absent, in the state folder.
    """

    name: str
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    ready: Callable[[], bool]
    prepare: Callable[[], None] = lambda: None
    folder: Path | None = None
    private: bool = True


def answers(url: str) -> bool:
    """Return whether `url` answers with success within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _environment(state: Path, **own: str) -> dict[str, str]:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PREFECT_", "MLFLOW_")) and key != PASSWORD
    }
    # MLflow accepts only the word "true" here, Prefect any truth.
    quiet = {"DO_NOT_TRACK": "true", "PYTHONUNBUFFERED": "1", MARK: str(state)}
    return inherited | quiet | own | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}


@dataclass(frozen=True)
class Door:
    """Where a server of the stack listens, and what it asks for.

    Attributes
    ----------
    password
        None where it asks for none.
    """

    host: str
    port: int
    password: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """`host:port` of every name it may be asked for, the one for people first."""
        return tuple(at_port(name, self.port) for name in host_names(self.host))

    @property
    def address(self) -> str:
        """Where people and other machines reach it."""
        return f"http://{self.names[0]}"

    @property
    def inside(self) -> str:
        """Where the processes of the stack reach it."""
        return f"http://{at_port(LOOPBACK if is_everywhere(self.host) else self.host, self.port)}"

    @property
    def origins(self) -> str:
        """Pages that may use it: its own, comma-separated."""
        return ",".join(f"http://{name}" for name in self.names)


def _prefect_client(state: Path, door: Door) -> dict[str, str]:
    settings = {
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"{door.inside}/api",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # no hidden second server on the same database
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_COLORS": "false",
    }
    return settings | ({"PREFECT_API_AUTH_STRING": f"{USER}:{door.password}"} if door.password else {})


def prefect_server(state: Path, door: Door) -> Service:
    """Return the Prefect server: API, UI and scheduler on an SQLite file of its own."""
    settings = {
        NAMES: ",".join(door.names),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{state / 'prefect' / 'prefect.db'}",
        "PREFECT_SERVER_UI_API_URL": f"{door.address}/api",  # else the UI asks port 4200
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(state / "prefect" / "ui"),  # site-packages may be read-only
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": door.origins,  # by default any web page could drive the server
        **PREFECT_SERVER_SETTINGS,
    }
    if door.password:
        settings["PREFECT_SERVER_API_AUTH_STRING"] = f"{USER}:{door.password}"
    return Service(
        name="Prefect server",
        address=door.address,
        command=(sys.executable, "-m", "flows.servers.origin_gate", "--host", door.host, "--port", str(door.port)),
        environment=_environment(state, **_prefect_client(state, door), **settings),
        log=state / "logs" / "prefect.log",
        ready=lambda: answers(f"{door.inside}/api/ready"),
    )


def mlflow_server(state: Path, door: Door) -> Service:
    """Return the MLflow server: runs in an SQLite file, artifacts proxied; clients never open either."""
    folder = state / "mlflow"
    settings = {
        NAMES: ",".join(door.names),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if door.password:
        settings |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": door.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
        }
    return Service(
        name="MLflow server",
        address=door.address,
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--host", door.host, "--port", str(door.port)),
            *("--artifacts-destination", str(folder / "artifacts")),
            *("--workers", "1"),  # with job execution, four workers would be sixteen processes and 2.5 GB
            *("--allowed-hosts", ",".join(door.names)),
            *("--cors-allowed-origins", door.origins),
            *("--app-name", "finnex"),  # flows.servers.origin_gate
        ),
        environment=_environment(state, **settings),
        log=state / "logs" / "mlflow.log",
        ready=lambda: answers(f"{door.inside}/health"),
        prepare=lambda: _write_users(folder),
    )


def _write_users(folder: Path) -> None:
    """Let MLflow's file of users be made anew, so that a changed password counts from the next start on."""
    (folder / "users.db").unlink(missing_ok=True)
    text = f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{folder / 'users.db'}\n"
    text += f"admin_username = {USER}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    settings = folder / "auth.ini"
    settings.unlink(missing_ok=True)
    settings.touch(mode=0o600)
    settings.write_text(text)


def flow_service(state: Path, prefect: Door, mlflow: Door, config: Path | None) -> Service:
    """Return the process that serves every deployment and starts one process for each run of a flow.

    Parameters
    ----------
    state
        Folder of the stack's state.
    prefect
        Where Prefect listens.
    mlflow
        Where MLflow listens.
    config
        Configuration that forms start from; None where there is none.

    Returns
    -------
    Service
        Command, environment and log of the process.
    """
    flag = state / READY_FILE
    command = (sys.executable, "-m", "flows.deploy.serve", "--ready-file", str(flag))
    credentials = (
        {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": mlflow.password} if mlflow.password else {}
    )
    return Service(
        name="Flows",
        address=f"{prefect.address}/deployments",
        command=command if config is None else (*command, "--config", str(config.resolve())),
        environment=_environment(
            state,
            **_prefect_client(state, prefect),
            **{HOME: str(state)},  # a configuration that names no state folder has this one
            PREFECT_RUNNER_POLL_FREQUENCY="2",  # seconds until a requested run begins
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY=str(HEARTBEAT_SECONDS),
            DASK_LOGGING__DISTRIBUTED="warning",
            MLFLOW_TRACKING_URI=mlflow.inside,
            MLFLOW_DISABLE_TELEMETRY="true",
            **credentials,
        ),
        log=state / "logs" / "flows.log",
        ready=flag.exists,
        folder=None if config is None else config.resolve().parent,  # relative paths in a form start there
        private=False,  # its runs write stores, which others may be meant to read
    )
