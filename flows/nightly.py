"""Draw whatever is missing up to the last close, so that an outage heals in the first night after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from prefect import Task, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from finnex.data.freshness import expected_session, late_inputs, still_written
from finnex.errors import FinnexError, InputError, InputsLate, InputsMissing
from finnex.pipeline import Run, read_run
from flows.build import build_images
from flows.prefect_api.requests import BackfillRequest, NightlyRequest
from flows.prefect_api.settling import WHEN_IT_ENDS

LOOK_AGAIN_SECONDS = 600


def _may_arrive(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Look again for what is late, is not there, or is still being written; what is wrong stays wrong."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, InputError):
        return still_written(error)
    return isinstance(error, InputsLate | InputsMissing)


@task(name="read inputs", retry_condition_fn=_may_arrive, cache_policy=NO_CACHE, persist_result=False)
def read_inputs(request: NightlyRequest, now: np.datetime64) -> Run:
    """Read and check all inputs; fail, to be tried again, where the last close before `now` (UTC) is not in them.

    Raises
    ------
    InputsLate
        With where every table ends.
    InputsMissing, InputError
        A table is not there, or cannot be trusted.
    """
    config = request.load()
    expected = expected_session(config, now)
    get_run_logger().info("The newest session to draw is %s.", expected)
    run = read_run(config)
    if late := late_inputs(run.tables, config, expected):
        raise InputsLate(late)
    return run


@flow(name="finnex-nightly", **WHEN_IT_ENDS)
def nightly(request: NightlyRequest) -> None:
    """Draw every session that is missing, up to the last close; idle on a day without a session.

    The range does not follow the scheduled time: a run that comes late, or twice, does the same work. Inputs that have
    not arrived, or not whole, are waited for; then the run fails and says which table ends where, or what is wrong with
    it. What there is it draws first, where only the newest rows are missing.
    """
    draw_tonight(request)


def draw_tonight(request: NightlyRequest) -> None:
    """Wait for the inputs and draw what is missing; call inside a flow.

    Raises
    ------
    InputsLate
        They did not arrive; everything else was drawn.
    InputsMissing, InputError
        A table did not come, or not as one that can be trusted; nothing was drawn.
    """
    looks, rest = divmod(60 * request.wait_minutes, LOOK_AGAIN_SECONDS)
    pauses = [float(LOOK_AGAIN_SECONDS)] * looks + [float(rest)] * (rest > 0)
    reading = read_inputs.with_options(retries=len(pauses), retry_delay_seconds=pauses)
    found = reading(request, np.datetime64("now"), return_state=True).result(raise_on_failure=False)
    everything = BackfillRequest(config=request.config)
    if isinstance(found, InputsLate):
        get_run_logger().warning("%s Drawing what there is.", found)
        try:
            build_images(request.load(), everything, what_there_is=True)
        except FinnexError as error:
            get_run_logger().error("What there is could not all be drawn: %s", error)
        raise found
    if isinstance(found, Exception):
        raise found
    build_images(found.config, everything, found, what_there_is=True)
