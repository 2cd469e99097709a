"""Draw a range of sessions: symbols, first and last day, and whether to draw published ones again."""

from __future__ import annotations

from prefect import flow

from flows.build import build_images
from flows.requests import BackfillRequest
from flows.settling import settle_tasks


@flow(name="finnex-backfill", on_completion=[settle_tasks], on_failure=[settle_tasks], on_crashed=[settle_tasks])
def backfill(request: BackfillRequest) -> None:
    """Draw every session of a range that is missing or whose picture changed, and publish it in the store."""
    build_images(request.load(), request)
