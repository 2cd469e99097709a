"""A batch as Prefect sees it: one task for some thousand images of any companies, published unit by unit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from finnex.errors import BuildError, FinnexError, ServiceError
from finnex.pipeline import Draw, OnDrawn, Outcome, Portion, draw_units
from flows.clusters.arguments import untouched

RETRY_AFTER_SECONDS = (2.0, 20.0)


class Batch:
    """Sessions of some companies that are drawn in one task; what is done stays done when the task is retried.

    Parameters
    ----------
    portions
        What is drawn of each company.
    draw
        Draws blocks, here or on a cluster.
    dates_per_task
        The most sessions of one Dask task.
    on_drawn
        Called as sessions are drawn.
    """

    def __init__(self, portions: Sequence[Portion], draw: Draw, dates_per_task: int, on_drawn: OnDrawn) -> None:
        self._draw, self._dates_per_task, self._on_drawn = draw, dates_per_task, on_drawn
        self._left = {portion.symbol: portion for portion in portions}
        self._reasons: dict[tuple[str, date], str] = {}
        self._why = "the batch was given up"
        self._ended: list[Outcome] = []
        days = [day for portion in portions for day in (portion.days()[0], portion.days()[-1])]
        names = portions[0].symbol if len(portions) == 1 else f"{len(portions)} companies"
        images = sum(len(portion.positions) for portion in portions)
        self.title = f"{names}, {min(days)} to {max(days)}, {images} images"

    @property
    def built(self) -> int:
        """How many images are published."""
        return sum(one.built for one in self._ended)

    @property
    def failed(self) -> dict[tuple[str, date], str]:
        """By company and session that has no image yet, why; those of a company together."""
        left = [(symbol, day) for symbol, portion in self._left.items() for day in portion.days()]
        return {one: self._reasons.get(one, f"not drawn: {self._why}") for one in left}

    def outcomes(self) -> list[Outcome]:
        """Return what became of everything."""
        failed: dict[str, list[tuple[date, str]]] = {}
        for (symbol, day), reason in self.failed.items():
            failed.setdefault(symbol, []).append((day, reason))
        return [*self._ended, *(Outcome(symbol, failed=tuple(days)) for symbol, days in failed.items())]

    def run(self) -> None:
        """Draw and publish what is left of the batch, unit by unit.

        Raises
        ------
        BuildError
            Some sessions failed; the next call draws these alone.
        """
        self._reasons.clear()
        left = [portion for portion in self._left.values() if portion.positions]
        try:
            for portion, outcome in draw_units(left, self._draw, self._on_drawn, self._dates_per_task):
                self._note(portion, outcome)
        except Exception as error:
            self._why = str(error) if isinstance(error, FinnexError) else f"{type(error).__name__}: {error}"
            raise
        if failed := self.failed:
            (symbol, day), reason = next(iter(failed.items()))
            raise BuildError(f"{len(failed)} sessions could not be drawn, the first is {symbol} {day}: {reason}")

    def _note(self, portion: Portion, outcome: Outcome) -> None:
        symbol, left = portion.symbol, self._left[portion.symbol]
        self._ended.append(replace(outcome, failed=()))
        reasons = {(symbol, day): reason for day, reason in outcome.failed}
        self._reasons |= reasons
        over = {
            position for position, day in zip(portion.positions, portion.days(), strict=True)
            if (symbol, day) not in reasons
        }  # fmt: skip
        kept = () if outcome.corrupt else tuple(one for one in left.positions if one not in over)
        self._left[symbol] = replace(left, positions=kept)


def _may_pass(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether to draw again what failed: workers that are gone for minutes do not come back in seconds."""
    return not isinstance(state.result(raise_on_failure=False), ServiceError)


@task(
    name="draw images",
    task_run_name="{title}",
    retries=len(RETRY_AFTER_SECONDS),
    retry_delay_seconds=list(RETRY_AFTER_SECONDS),
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def draw_batch(title: str, batch: Batch) -> None:
    """Draw and publish one batch; the title is for the UI, the batch knows its sessions.

    Parameters
    ----------
    title
        What the batch draws.
    batch
        What is drawn.
    """
    began = time.perf_counter()
    batch.run()
    get_run_logger().info("%s: drawn in %.1f s", title, time.perf_counter() - began)


def in_a_task(batch: Batch) -> Sequence[Outcome]:
    """Run a batch as a Prefect task, with its retries.

    Raises
    ------
    ServiceError
        No worker is left to draw: every further batch would wait as long.
    """
    state = draw_batch(batch.title, untouched(batch), return_state=True)
    if isinstance(found := state.result(raise_on_failure=False), ServiceError):
        raise found
    return batch.outcomes()
