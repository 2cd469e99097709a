"""stub."""

from prefect import flow

from flows.requests import TrainRequest


@flow(name="finnex-train")
def train_model(request: TrainRequest) -> None:
    """Stub."""
