"""The three processes of the local stack: how each is started, and how to tell that it is ready.

Everything they run with is written here and nothing is inherited: `PREFECT_*` and `MLFLOW_*` variables of the
calling shell do not reach them. Reasons for the settings that look odd stand beside them.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
MARK = "FINNEX_STACK"
"""Environment variable that every process of a stack inherits: none can be overlooked when it stops."""
READY_FILE = "flows.ready"
"""Made in the state folder once all deployments are registered."""


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
    flag
        The option that moves it to another port, '' where it listens on none.
    """

    name: str
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    ready: Callable[[], bool]
    port: int = 0
    flag: str = ""


def answers(url: str) -> bool:
    """Return whether `url` answers with success within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _environment(state: Path, **own: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    # MLflow accepts only the word "true" here, Prefect any truth.
    quiet = {"DO_NOT_TRACK": "true", "PYTHONUNBUFFERED": "1", MARK: str(state)}
    return inherited | quiet | own


def _prefect_client(state: Path, port: int) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # no hidden second server on the same database
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_LOGGING_COLORS": "false",
    }


def prefect_server(state: Path, port: int) -> Service:
    """Return the Prefect server: API, UI and scheduler on an SQLite file of its own."""
    origins = f"http://{LOOPBACK}:{port},http://localhost:{port}"
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{state / 'prefect' / 'prefect.db'}",
        "PREFECT_SERVER_UI_API_URL": f"http://{LOOPBACK}:{port}/api",  # else the UI asks port 4200
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(state / "prefect" / "ui"),  # site-packages may be read-only
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,  # by default any web page could drive the server
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # else runs are kept for ever
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "3d",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    }
    return Service(
        name="Prefect server",
        address=f"http://{LOOPBACK}:{port}",
        command=(sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)),
        environment=_environment(state, **_prefect_client(state, port), **settings),
        log=state / "logs" / "prefect.log",
        ready=lambda: answers(f"http://{LOOPBACK}:{port}/api/ready"),
        port=port,
        flag="--prefect-port",
    )


def mlflow_server(state: Path, port: int) -> Service:
    """Return the MLflow server: runs in an SQLite file, artifacts proxied; clients never open either."""
    return Service(
        name="MLflow server",
        address=f"http://{LOOPBACK}:{port}",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{state / 'mlflow' / 'mlflow.db'}"),
            *("--artifacts-destination", str(state / "mlflow" / "artifacts")),
            *("--workers", "1"),  # with job execution, four workers would be sixteen processes and 2.5 GB
            *("--allowed-hosts", f"{LOOPBACK}:{port},localhost:{port}"),
            *("--cors-allowed-origins", f"http://{LOOPBACK}:{port},http://localhost:{port}"),
        ),
        environment=_environment(state, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true"),
        log=state / "logs" / "mlflow.log",
        ready=lambda: answers(f"http://{LOOPBACK}:{port}/health"),
        port=port,
        flag="--mlflow-port",
    )


def flow_service(state: Path, prefect_port: int, mlflow_address: str, config: Path | None) -> Service:
    """Return the process that serves every deployment and starts one process for each run of a flow."""
    flag = state / READY_FILE
    command = (sys.executable, "-m", "flows.serve", "--ready-file", str(flag))
    return Service(
        name="Flows",
        address=f"http://{LOOPBACK}:{prefect_port}/deployments",
        command=command if config is None else (*command, "--config", str(config)),
        environment=_environment(
            state,
            **_prefect_client(state, prefect_port),
            PREFECT_RUNNER_POLL_FREQUENCY="2",  # seconds until a run that somebody started begins
            DASK_LOGGING__DISTRIBUTED="warning",
            MLFLOW_TRACKING_URI=mlflow_address,
            MLFLOW_DISABLE_TELEMETRY="true",
        ),
        log=state / "logs" / "flows.log",
        ready=flag.exists,
    )
