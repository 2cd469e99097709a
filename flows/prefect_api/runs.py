"""Start a flow run through its deployment and follow it: what the Prefect UI does, for the terminal."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterLevel,
)
from prefect.client.schemas.objects import Artifact, State
from pydantic import BaseModel

import finnex.errors
from finnex.errors import FinnexError, ServiceError

POLL_SECONDS = 0.5
ERROR_LEVEL = 40

OnProgress = Callable[[float, str], None]
"""Called with percent done and what the run is about at the moment."""


class FlowRuns:
    """Runs of the deployments behind one Prefect API.

    Parameters
    ----------
    address
        Base address of the server, without `/api`.
    auth_string
        `user:password`, where the server asks for them.
    """

    def __init__(self, address: str, auth_string: str | None = None) -> None:
        self.address = address
        self._auth_string = auth_string

    def client(self) -> SyncPrefectClient:
        """Return a client of the API, to be used in a `with` block."""
        return SyncPrefectClient(f"{self.address}/api", auth_string=self._auth_string)

    def start(self, deployment: str, request: BaseModel) -> UUID:
        """Create a run of `flow/deployment` with the request as its parameter."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            run = client.create_flow_run_from_deployment(
                found.id, parameters={"request": request.model_dump(mode="json")}
            )
        return run.id

    def page(self, run: UUID) -> str:
        """Return the address of the run's page in the Prefect UI."""
        return f"{self.address}/runs/flow-run/{run}"

    def follow(self, run: UUID, on_progress: OnProgress, watch: Callable[[], None] = lambda: None) -> None:
        """Wait until the run has ended.

        Parameters
        ----------
        watch
            Called at every poll; may raise to give up.

        Raises
        ------
        FlowRunEnded
            The run failed, crashed or was cancelled.
        """
        with self.client() as client:
            while True:
                watch()
                state = client.read_flow_run(run).state
                for artifact in self._artifacts(client, run, "progress"):
                    on_progress(float(artifact.data or 0.0), artifact.description or "")  # type: ignore[arg-type]
                if state is not None and state.is_final():
                    break
                time.sleep(POLL_SECONDS)
            if not state.is_completed():
                raise _ended(client, run, state)

    def table(self, run: UUID, key: str) -> list[dict[str, Any]]:
        """Return the rows of a table artifact of the run; none where it published no such table."""
        with self.client() as client:
            for artifact in self._artifacts(client, run, "table"):
                if artifact.key == key:
                    rows: list[dict[str, Any]] = json.loads(str(artifact.data))
                    return rows
        return []

    @staticmethod
    def _artifacts(client: SyncPrefectClient, run: UUID, kind: str) -> list[Artifact]:
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        return [artifact for artifact in client.read_artifacts(artifact_filter=wanted) if artifact.type == kind]


class FlowRunEnded(ServiceError):
    """A flow run did not complete.

    Attributes
    ----------
    explained
        Whether the message says what to do about it; else the log of the flows has the details.
    """

    def __init__(self, message: str, *, explained: bool) -> None:
        super().__init__(message)
        self.explained = explained


def _ended(client: SyncPrefectClient, run: UUID, state: State[Any]) -> FlowRunEnded:
    failure = re.match(r"Flow run encountered an exception: (\w+): (.*)", state.message or "", re.DOTALL)
    if failure and _is_ours(failure[1]):
        return FlowRunEnded(failure[2], explained=True)
    errors = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]), level=LogFilterLevel(ge_=ERROR_LEVEL))
    said = state.message or "\n".join(log.message for log in client.read_logs(errors)[-3:]) or "it left no message"
    return FlowRunEnded(f"the flow run ended as {state.name}: {said}", explained=False)


def _is_ours(name: str) -> bool:
    kind = getattr(finnex.errors, name, None)
    return isinstance(kind, type) and issubclass(kind, FinnexError)
