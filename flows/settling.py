"""What became of a run's tasks, where the server was away when they reported it."""

from __future__ import annotations

import time
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State, TaskRun

from flows.patience import patiently

SETTLE_SECONDS = 15.0
"""A server records what a task reports a few seconds later."""
LOST = "It ended; the server was away when it said so."


def settle_tasks(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Let no task of a run that is over say Running for ever. Prefect sends a task's state once, and forgets it.

    A hook for flows that completed, failed, or whose process died: a task whose end was not recorded takes the end of
    its flow.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    with get_client(sync_client=True) as client:
        while left := patiently(lambda: _unfinished(client, flow_run)):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        for task in left:
            client.set_task_run_state(task.id, State(type=state.type, message=LOST), force=True)


def _unfinished(client: SyncPrefectClient, flow_run: FlowRun) -> list[TaskRun]:
    found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
    return [task for task in found if task.state is None or not task.state.is_final()]
