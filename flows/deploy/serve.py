"""The process that serves every deployment: `python -m flows.deploy.serve [--config F]`; started by `finnex up`.

It registers the deployments with the Prefect server, their limits and what is done about stuck runs, then starts
one process for each run of a flow.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.runner import Runner
from prefect.states import Crashed

from flows.deploy.automations import apply_automations, automations
from flows.deploy.deployments import served, share_the_writers_limit
from flows.prefect_api.settling import settle_earlier_runs

RUNS_AT_ONCE = 2
"""A build and a training fill two cores."""
UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
EXIT_SECONDS = 10.0
"""Longest time from the end of a run to the end of its process."""


class FlowRunner(Runner):
    """A runner that, on a stop signal, cancels the runs under way and leaves completed runs unchanged.

    Prefect's own handler calls `astop` without awaiting it, so that runs are killed and stay `Running` for ever;
    and `astop` marks a completed run as cancelled while its process is still ending.
    """

    def handle_sigterm(self, *args: object, **kwargs: object) -> None:
        """Cancel the runs under way, then end the polling loop."""
        if not self.started or self._loop is None:
            sys.exit(0)
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        deadline = time.monotonic() + EXIT_SECONDS
        for run_id in self._process_manager.flow_run_ids():
            state = (await self._client.read_flow_run(run_id)).state
            while state is not None and state.is_final() and time.monotonic() < deadline:
                if run_id not in self._process_manager.flow_run_ids():
                    break
                await asyncio.sleep(0.1)
        await self.astop()


def crash_what_was_left(client: SyncPrefectClient) -> int:
    """End the runs that an earlier stack of this database left under way; return how many there were.

    Their processes have ended: what a killed stack left is removed before the next one starts. Otherwise the runs would
    keep the state Running for ever, and block others from the store.
    """
    gone: State[None] = Crashed(message="Its process was gone when the stack was started again.")
    flow_runs = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)),
    )
    ended = 0
    while found := [run.id for run in client.read_flow_runs(flow_run_filter=flow_runs)]:
        for run in found:
            client.set_flow_run_state(run, gone, force=True)
        ended += len(found)
    settle_earlier_runs(client, datetime.now(UTC))
    return ended


def main() -> None:
    """Register everything, write the ready file, then serve until a signal arrives."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", type=Path, help="finnex.toml of runs that name no other")
    options.add_argument("--ready-file", type=Path, help="file to make once all deployments are registered")
    given = options.parse_args()
    # A stopped stack must not pause the nightly schedule: it continues at the next start of the stack.
    runner = FlowRunner(name="finnex", pause_on_shutdown=False, limit=RUNS_AT_ONCE)
    with get_client(sync_client=True) as client:
        crash_what_was_left(client)
        for deployment in served(given.config):
            runner.add_deployment(deployment)
        share_the_writers_limit(client)
        apply_automations(client, automations())
    if given.ready_file is not None:
        given.ready_file.touch(mode=0o600)
    asyncio.run(runner.start())


if __name__ == "__main__":
    main()
