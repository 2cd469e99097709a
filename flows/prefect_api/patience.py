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
    """Return the result of a call; repeat it for two minutes while no server answers or the server has an error."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return call()
        except httpx.HTTPError as error:
            if not _passes(error) or time.monotonic() > deadline:
                raise
            time.sleep(EVERY_SECONDS)


def _passes(error: httpx.HTTPError) -> bool:
    """Whether the fault is the server's or the line's: a locked database answers 500 and is there again soon."""
    return isinstance(error, httpx.TransportError) or (
        isinstance(error, httpx.HTTPStatusError) and error.response.is_server_error
    )


def if_there(call: Callable[[], object]) -> None:
    """Make a call that may be lost: the next progress update follows two seconds later."""
    try:
        call()
    except httpx.HTTPError as error:
        if not _passes(error):
            raise
        logging.getLogger(__name__).info("the Prefect server did not answer (%s); going on", error)
