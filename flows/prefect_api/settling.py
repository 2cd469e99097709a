"""Final states of tasks that could not report them: the server was down, or the run's process has died."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun

from flows.deploy.deployments import TAGS
from flows.prefect_api.patience import patiently

SETTLE_SECONDS = 15.0
"""A server records what a task reports a few seconds later."""
PROCESS_IS_GONE = {StateType.CRASHED, StateType.CANCELLED}
GONE_SECONDS = 3.0
"""A process that has ended reports nothing more."""
LONG_AGO = timedelta(minutes=10)
NOT_OVER = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
"""Scheduled is a task that waits for its retry."""
LOST = "Its run had ended before it could report its final state."


def settle_tasks(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Let no task of a run that is over say Running for ever. Prefect sends a task's state once, and forgets it.

    A hook for every end of a flow: a task whose end was not recorded takes the end of its flow. Tasks of earlier runs
    go with them: where a whole machine died, no process was left to call any hook.
    """
    deadline = time.monotonic() + (GONE_SECONDS if state.type in PROCESS_IS_GONE else SETTLE_SECONDS)
    own = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    with get_client(sync_client=True) as client:
        while left := patiently(lambda: _not_over(client, own)):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        for task in left:
            client.set_task_run_state(task.id, State(type=state.type, message=LOST), force=True)
        settle_earlier_runs(client)


def settle_earlier_runs(client: SyncPrefectClient, before: datetime | None = None) -> int:
    """Crash the tasks that are under way in runs of ours that ended ten minutes ago, or `before`; return how many."""
    over = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAGS[0]]),
        end_time=FlowRunFilterEndTime(before_=before or datetime.now(UTC) - LONG_AGO, is_null_=False),
    )
    left = patiently(lambda: _not_over(client, over))
    for task in left:
        client.set_task_run_state(task.id, State(type=StateType.CRASHED, message=LOST), force=True)
    return len(left)


def _not_over(client: SyncPrefectClient, runs: FlowRunFilter) -> list[TaskRun]:
    tasks = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=NOT_OVER)))
    return client.read_task_runs(flow_run_filter=runs, task_run_filter=tasks)


WHEN_IT_ENDS: dict[str, Any] = {
    f"on_{end}": [settle_tasks] for end in ("completion", "failure", "cancellation", "crashed")
}
"""Hooks of a flow."""
