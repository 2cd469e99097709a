"""Which MLflow server records a training: the configured one, a running one, or one for the time being."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from finnex.config import Config
from finnex.errors import ServiceError
from flows.access import PASSWORD, USER, authorization
from flows.services import answers
from flows.stack import ADDRESSES, Stack, state_folder


@contextmanager
def recording_server(config: Config) -> Iterator[str]:
    """Yield the address of an MLflow server that answers.

    It is `[mlflow] uri`, else that of the stack that this process belongs to, else that of a running `finnex up`,
    else one that is started here on the same state folder, so that `finnex up` shows the run later.

    Raises
    ------
    ServiceError
        The configured server does not answer; nothing was computed in vain.
    """
    given = config.mlflow.uri or os.environ.get("MLFLOW_TRACKING_URI") or _running()
    if password := os.environ.get(PASSWORD):  # as `finnex up` has it; MLflow's own variables go before
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", USER)
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", password)
    if given is None:
        with Stack(state_folder(), mlflow_port=0, only_mlflow=True) as stack:
            yield stack.mlflow_address
        return
    if given.startswith("http") and not answers(f"{given.rstrip('/')}/health"):
        raise ServiceError(
            f"no MLflow server answers at {given}. Start it, correct [mlflow] uri, or remove that key: "
            "then `finnex train` starts one itself."
        )
    yield given


def _running() -> str | None:
    try:
        address = str(json.loads((state_folder() / ADDRESSES).read_text())["mlflow"])
    except (OSError, ValueError, KeyError):
        return None
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
