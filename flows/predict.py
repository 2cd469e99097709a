"""Draw the newest session, ask the champion about it, and keep what it says."""

from __future__ import annotations

from prefect import flow, get_run_logger

from finnex.config import Config
from finnex.errors import BuildError, InputsLate
from finnex.tracking.nightly_predictions import Prediction, predict_newest
from flows.build import WAIT_FOR_STORE_SECONDS
from flows.nightly import draw_tonight
from flows.prefect_api.progress import publish_table
from flows.prefect_api.requests import PredictRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.recording import recording_server


@flow(name="finnex-predict", **WHEN_IT_ENDS)
def predict(request: PredictRequest) -> None:
    """Do what a night does, then write the champion's answers for the newest sessions into the store.

    A prediction is made once: what was said on the night stays, with the model's version and the time. Where inputs
    have not arrived, or an image could not be drawn, it is made for what there is; then the run fails and says so.
    """
    incomplete: BuildError | InputsLate | None = None
    try:
        draw_tonight(request)
    except (BuildError, InputsLate) as error:
        incomplete = error  # one company that was not traded or drawn keeps no other from its answer
    said = _ask(request.load(), request.sessions)
    rows = [prediction.row() for prediction in said]
    publish_table("predictions", rows, said[0].about if said else "Every session asked for was predicted before")
    get_run_logger().info("%d predictions%s", len(said), f" by version {said[0].version}" if said else "")
    if incomplete is not None:
        raise incomplete


def _ask(config: Config, sessions: int) -> list[Prediction]:
    with recording_server(config) as uri:
        return predict_newest(config, uri, sessions, wait_seconds=WAIT_FOR_STORE_SECONDS)
