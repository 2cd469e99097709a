"""Draw a range of sessions: symbols, first and last day, and whether to draw published ones again."""

from __future__ import annotations

from prefect import flow

from flows.build import build_images
from flows.prefect_api.requests import BackfillRequest
from flows.prefect_api.settling import WHEN_IT_ENDS


@flow(name="finnex-backfill", **WHEN_IT_ENDS)
def backfill(request: BackfillRequest) -> None:
    """Draw every session of a range that is missing or whose picture changed, and publish it in the store."""
    build_images(request.load(), request)
