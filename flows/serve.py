"""The process that serves every deployment: `python -m flows.serve [--config F]`; started by `finnex up`.

It registers the deployments with the Prefect server, then starts one process for each run of a flow.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron

from flows.backfill import backfill
from flows.nightly import nightly
from flows.train import train_model

DEPLOYMENTS = ("finnex-backfill/backfill", "finnex-nightly/nightly", "finnex-train/train")
RUNS_AT_ONCE = 2
"""A build and a training fill two cores."""
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def deployments(config: Path | None) -> list[RunnerDeployment]:
    """Return every deployment; `config` becomes the default of their `config` parameter.

    The nightly schedule is active only where there is a configuration to run it with.
    """
    defaults = {} if config is None else {"request": {"config": str(config.resolve())}}
    night = Cron("30 18 * * 1-5", timezone="America/New_York", active=config is not None)
    module = EntrypointType.MODULE_PATH
    return [
        backfill.to_deployment(
            "backfill", parameters=defaults, concurrency_limit=ONE_AT_A_TIME, entrypoint_type=module, tags=["finnex"]
        ),
        nightly.to_deployment(
            "nightly", parameters=defaults, concurrency_limit=ONE_AT_A_TIME, entrypoint_type=module, tags=["finnex"], schedule=night
        ),
        train_model.to_deployment(
            "train", parameters=defaults, concurrency_limit=ONE_AT_A_TIME, entrypoint_type=module, tags=["finnex"]
        ),
    ]


def main() -> None:
    """Register all deployments, say so in the ready file, then serve until a signal arrives."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", type=Path, help="finnex.toml that runs use unless told otherwise")
    options.add_argument("--ready-file", type=Path, help="file to make once all deployments are registered")
    given = options.parse_args()
    # A stopped stack must not pause the nightly schedule: it goes on when the stack is started again.
    runner = Runner(name="finnex", pause_on_shutdown=False, limit=RUNS_AT_ONCE)
    for deployment in deployments(given.config):
        runner.add_deployment(deployment)
    if given.ready_file is not None:
        given.ready_file.touch()
    asyncio.run(runner.start())


if __name__ == "__main__":
    main()
