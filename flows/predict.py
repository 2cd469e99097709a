"""Draw the newest session, predict it with the champion, and store the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from finnex.config import Config
from finnex.data.bad_companies import BadCompany
from finnex.errors import BuildError, InputsLate
from finnex.tracking.nightly_predictions import Prediction, predict_newest
from flows.build import WAIT_FOR_STORE_SECONDS
from flows.nightly import draw_tonight
from flows.prefect_api.progress import publish_table
from flows.prefect_api.requests import PredictRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.recording import recording_server
from flows.warned import ending


@flow(name="finnex-predict", **WHEN_IT_ENDS)
def predict(request: PredictRequest) -> State[Any]:
    """Draw as `nightly` does, then write the champion's predictions of the newest sessions into the store.

    A prediction is made once and never replaced; it is stored with the model's version and the time. Where inputs have
    not arrived, or an image could not be drawn, the available sessions are predicted; then the run fails.
    """
    incomplete: BuildError | InputsLate | None = None
    bad: Sequence[BadCompany] = ()
    try:
        bad = draw_tonight(request).bad
    except (BuildError, InputsLate) as error:
        incomplete = error  # a symbol without a session or an image must not prevent the other predictions
    said = _ask(request.load(), request.sessions)
    rows = [prediction.row() for prediction in said]
    publish_table("predictions", rows, said[0].about if said else "Every session asked for was predicted before")
    get_run_logger().info("%d predictions%s", len(said), f" by version {said[0].version}" if said else "")
    if incomplete is not None:
        raise incomplete
    return ending(bad)


def _ask(config: Config, sessions: int) -> list[Prediction]:
    with recording_server(config) as uri:
        return predict_newest(config, uri, sessions, wait_seconds=WAIT_FOR_STORE_SECONDS)
