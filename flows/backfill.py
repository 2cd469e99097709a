"""Draw a range of sessions: symbols, first and last day, and whether to draw published ones again."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.build import build_images
from flows.prefect_api.requests import BackfillRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.warned import ending


@flow(name="finnex-backfill", **WHEN_IT_ENDS)
def backfill(request: BackfillRequest) -> State[Any]:
    """Draw every session of a range that is missing or whose picture changed, and publish it in the store."""
    return ending(build_images(request.load(), request).bad)
