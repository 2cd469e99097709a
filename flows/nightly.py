"""Draw every missing session up to the last close; the first run after an outage catches up."""

from __future__ import annotations

from typing import Any

import numpy as np
from prefect import Task, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from finnex.config import Config
from finnex.data.freshness import expected_session, late_inputs, still_written
from finnex.errors import FinnexError, InputError, InputsLate, InputsMissing
from finnex.pipeline import BuildResult, Run, read_run
from flows.build import build_images
from flows.prefect_api.requests import BackfillRequest, NightlyRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.warned import ending

LOOK_AGAIN_SECONDS = 600


def _may_arrive(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether to read again: inputs that are late, missing or still being written, but not wrong ones."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, InputError):
        return still_written(error)
    return isinstance(error, InputsLate | InputsMissing)


class CompaniesUnfinished(InputError):
    """Files of companies that could be left out are wrong, and were written lately."""


@task(name="read inputs", retry_condition_fn=_may_arrive, cache_policy=NO_CACHE, persist_result=False)
def read_inputs(request: NightlyRequest, now: np.datetime64) -> tuple[Config, Run]:
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
    wrong = CompaniesUnfinished(list(dict.fromkeys(problem for one in run.bad for problem in one.problems)))
    if still_written(wrong):  # what is wrong with a company may be mended by the rest of its file
        raise wrong
    if late := late_inputs(run.tables, config, expected):
        raise InputsLate(late)
    return config, run


@flow(name="finnex-nightly", **WHEN_IT_ENDS)
def nightly(request: NightlyRequest) -> State[Any]:
    """Draw every missing session up to the last close; do nothing on a day without a session.

    The range does not depend on the scheduled time: a late or repeated run does the same work. The run waits for inputs
    that are missing or incomplete. After `wait_minutes` it fails and reports which table ends where, or what is wrong
    with it. Where only the newest rows are missing, it draws the available sessions first.
    """
    return ending(draw_tonight(request).bad)


def draw_tonight(request: NightlyRequest) -> BuildResult:
    """Wait for the inputs and draw what is missing; call inside a flow.

    Parameters
    ----------
    request
        Configuration, and how long to wait.

    Returns
    -------
    BuildResult
        What was drawn, and which companies were left out.

    Raises
    ------
    InputsLate
        They did not arrive; all available sessions were drawn.
    InputsMissing, InputError
        A table is missing or cannot be trusted; nothing was drawn.
    """
    looks, rest = divmod(60 * request.wait_minutes, LOOK_AGAIN_SECONDS)
    pauses = [float(LOOK_AGAIN_SECONDS)] * looks + [float(rest)] * (rest > 0)
    reading = read_inputs.with_options(retries=len(pauses), retry_delay_seconds=pauses)
    found = reading(request, np.datetime64("now"), return_state=True).result(raise_on_failure=False)
    everything = BackfillRequest(config=request.config)
    if isinstance(found, InputsLate):
        get_run_logger().warning("%s Drawing the available sessions.", found)
        try:
            build_images(request.load(), everything, skip_missing=True)
        except FinnexError as error:
            get_run_logger().error("Not all available sessions could be drawn: %s", error)
        raise found
    if isinstance(found, CompaniesUnfinished):
        return build_images(request.load(), everything, skip_missing=True)
    if isinstance(found, Exception):
        raise found
    config, run = found
    return build_images(config, everything, run, skip_missing=True)
