"""A quiet client of an MLflow server that answers."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from finnex.errors import ServiceError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # where MLflow is imported only now, and sets the level of its logger
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else the lock file of a folder that a training starts in goes into its model
}
"""What the environment may say otherwise."""
SAFE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
"""What it may not: none of MLflow's loaders unpickles, were one called."""


@contextmanager
def silence() -> Iterator[None]:
    """Keep MLflow off the terminal and from unpickling; leave environment, warnings and log levels as they were."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        own = {key: os.environ.get(key, value) for key, value in QUIET.items()} | SAFE
        with _environment(own), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def connected(uri: str) -> Iterator[MlflowClient]:
    """Yield a client of a server that answers, silently; what the server refuses becomes a `ServiceError`.

    Raises
    ------
    ServiceError
        No server answers at `uri`, or it refuses.
    """
    with silence():
        _reach(uri)
        from mlflow import MlflowClient  # noqa: PLC0415  seconds of import, and only where MLflow is spoken to
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
        except MlflowException as error:
            raise ServiceError(f"MLflow at {uri} refused: {first_line(error)}. See the server's log.") from None


def _reach(uri: str) -> None:
    """Fail within seconds where no server answers, instead of after MLflow's own minutes of retries."""
    if urlsplit(uri).scheme not in {"http", "https"}:
        raise ServiceError(
            f"[mlflow] uri '{uri}' is not the address of an MLflow server. "
            "Start one with `finnex up` and give http://HOST:PORT."
        )
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10) as answer:
            answer.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ServiceError(
            f"no MLflow server answers at {uri} ({reason}). Start one with `finnex up`, or correct [mlflow] uri."
        ) from None
