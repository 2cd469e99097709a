"""Calls to a Prefect server that may be away for a while: a restart must not cost a run its images."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")
WAIT_SECONDS = 120.0
EVERY_SECONDS = 2.0


def patiently(call: Callable[[], T]) -> T:
    """Return what a call answers, asking again for two minutes while no server answers."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return call()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(EVERY_SECONDS)


def if_there(call: Callable[[], object]) -> None:
    """Make a call that may be lost: progress is told again two seconds later."""
    try:
        call()
    except httpx.TransportError as error:
        logging.getLogger(__name__).info("the Prefect server did not answer (%s); going on", error)
