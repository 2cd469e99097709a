"""Workers are started when there is enough to do, once, and not where nothing is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, cast

import pytest

from finnex.config import Config
from finnex.pipeline import Workers, build, draw_here
from finnex.pipeline.workers import FEW_COMPANIES, FEW_SESSIONS

Maker = Callable[..., Config]


def _started(*, running: bool = False) -> tuple[Workers, list[int]]:
    calls: list[int] = []

    def start() -> None:
        calls.append(1)

    return Workers(cast(Any, start), running=running), calls


@pytest.mark.parametrize("sessions", [0, 1, FEW_SESSIONS, FEW_SESSIONS + 1, 250])
@pytest.mark.parametrize("running", [False, True])
def test_workers_are_started_for_many_sessions_and_once(sessions: int, running: bool) -> None:
    workers, calls = _started(running=running)
    for _ in range(2):
        assert workers.draw(sessions) is draw_here  # as starting gave none
    assert len(calls) == (sessions > FEW_SESSIONS or running)


@pytest.mark.parametrize("companies", [0, 1, FEW_COMPANIES, FEW_COMPANIES + 1])
@pytest.mark.parametrize("running", [False, True])
def test_workers_are_started_for_many_companies(companies: int, running: bool) -> None:
    workers, calls = _started(running=running)
    with workers.compute(cast(Any, None), [f"C{number}" for number in range(companies)]):
        assert len(calls) == (companies > FEW_COMPANIES or (running and companies > 0))


def test_a_build_with_little_or_nothing_due_starts_none(sample_config: Maker) -> None:
    def start() -> None:
        raise AssertionError("workers were started")

    config = sample_config()
    day = date(2015, 3, 3)
    assert build(config, start=day, end=day, client=start).built > 0
    assert build(config, start=day, end=day, client=start).built == 0
