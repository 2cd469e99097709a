"""The process that serves every deployment: `python -m flows.serve [--config F]`; started by `finnex up`.

It registers the deployments with the Prefect server, then starts one process for each run of a flow.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.backfill import backfill
from flows.nightly import nightly
from flows.train import train_model

DEPLOYMENTS = ("finnex-backfill/backfill", "finnex-nightly/nightly", "finnex-train/train")
RUNS_AT_ONCE = 2
"""A build and a training fill two cores."""
EXIT_SECONDS = 10.0
"""What a process may take to end after its run has."""
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def deployments(config: Path | None) -> list[RunnerDeployment]:
    """Return every deployment; `config` becomes the default of their `config` parameter.

    The nightly schedule is active only where there is a configuration to run it with.
    """
    night = Cron("30 18 * * 1-5", timezone="America/New_York", active=config is not None)
    return [
        _deployment(backfill, "backfill", config),
        _deployment(nightly, "nightly", config, night),
        _deployment(train_model, "train", config),
    ]


def _deployment(
    flow: Flow[..., Any], name: str, config: Path | None, schedule: Schedule | None = None
) -> RunnerDeployment:
    made = flow.to_deployment(
        name,
        parameters={} if config is None else {"request": {"config": str(config.resolve())}},
        schedule=schedule,
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,  # found from any folder, unlike a file's path
        tags=["finnex"],
    )
    assert isinstance(made, RunnerDeployment)  # outside an event loop it is no coroutine
    return made


class FlowRunner(Runner):
    """A runner that, told to stop, cancels what runs and leaves alone what has ended.

    Prefect's own handler calls `astop` without awaiting it, so that runs are killed and stay `Running` for ever;
    and `astop` calls a run cancelled that has completed while its process is still on its way out.
    """

    def handle_sigterm(self, *args: object, **kwargs: object) -> None:
        """Cancel what runs, then end the polling loop."""
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


def main() -> None:
    """Register all deployments, say so in the ready file, then serve until a signal arrives."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", type=Path, help="finnex.toml that runs use unless told otherwise")
    options.add_argument("--ready-file", type=Path, help="file to make once all deployments are registered")
    given = options.parse_args()
    # A stopped stack must not pause the nightly schedule: it goes on when the stack is started again.
    runner = FlowRunner(name="finnex", pause_on_shutdown=False, limit=RUNS_AT_ONCE)
    for deployment in deployments(given.config):
        runner.add_deployment(deployment)
    if given.ready_file is not None:
        given.ready_file.touch()
    asyncio.run(runner.start())


if __name__ == "__main__":
    main()
