"""Draw whatever is missing up to the last close, so that an outage heals in the first night after it."""

from __future__ import annotations

from prefect import flow

from flows.build import build_images
from flows.requests import BackfillRequest, NightlyRequest


@flow(name="finnex-nightly")
def nightly(request: NightlyRequest) -> None:
    """Draw every session that is missing, up to the last close in the inputs; idle when there is none.

    The range does not follow the scheduled time: a run that comes late, or twice, does the same work.
    """
    build_images(request.load(), BackfillRequest(config=request.config))
