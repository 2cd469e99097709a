"""Draw whatever is missing up to the last close, so that an outage heals in the first night after it."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from prefect import Task, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from finnex.build import Run, read_run
from finnex.config import Config
from finnex.data.arrival import expected_session, late_inputs
from finnex.errors import FinnexError, InputsLate
from flows.arguments import untouched
from flows.build import build_images
from flows.requests import BackfillRequest, NightlyRequest
from flows.settling import settle_tasks

LOOK_AGAIN_MINUTES = 10


def _have_not_arrived(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Look again for what is late; what is wrong stays wrong."""
    return isinstance(state.result(raise_on_failure=False), InputsLate)


@task(
    name="read inputs",
    task_run_name="read inputs up to {expected}",
    retry_condition_fn=_have_not_arrived,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def read_inputs(config: Config, expected: date) -> Run:
    """Read and check all inputs; fail, to be tried again, where the last close is not in them.

    Raises
    ------
    InputsLate
        With where every table ends.
    """
    run = read_run(config)
    if late := late_inputs(run.tables, config, expected):
        raise InputsLate(late)
    return run


@flow(name="finnex-nightly", on_completion=[settle_tasks], on_failure=[settle_tasks], on_crashed=[settle_tasks])
def nightly(request: NightlyRequest) -> None:
    """Draw every session that is missing, up to the last close; idle on a day without a session.

    The range does not follow the scheduled time: a run that comes late, or twice, does the same work. Inputs that have
    not arrived are waited for; then the run draws what there is, fails, and says which table ends where.
    """
    draw_tonight(request.load(), request)


def draw_tonight(config: Config, request: NightlyRequest) -> None:
    """Wait for the inputs and draw what is missing; call inside a flow.

    Raises
    ------
    InputsLate
        They did not arrive; everything else was drawn.
    """
    expected = expected_session(config, np.datetime64("now"))
    pauses = [LOOK_AGAIN_MINUTES * 60.0] * (request.wait_minutes // LOOK_AGAIN_MINUTES)
    if rest := request.wait_minutes % LOOK_AGAIN_MINUTES:
        pauses.append(rest * 60.0)
    reading = read_inputs.with_options(retries=len(pauses), retry_delay_seconds=pauses)
    found = reading(untouched(config), expected, return_state=True).result(raise_on_failure=False)
    if isinstance(found, InputsLate):
        get_run_logger().warning("%s Drawing what there is.", found)
        try:
            build_images(config, BackfillRequest(config=request.config), what_there_is=True)
        except FinnexError as error:
            get_run_logger().error("What there is could not all be drawn: %s", error)
        raise found
    if isinstance(found, Exception):
        raise found
    build_images(config, BackfillRequest(config=request.config), found)
