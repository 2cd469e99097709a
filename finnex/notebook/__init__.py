"""What a notebook does with a store and a configuration: open, look at a session, train, predict.

`import finnex` offers these names; everything heavy is imported when it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.notebook.views import CompanyView, SessionView, StoreView
from finnex.store import ImageStore

if TYPE_CHECKING:
    from finnex.datasets.image_dataset import ImageDataset
    from finnex.tracking.nightly_predictions import Prediction
    from finnex.training import TrainingResult

__all__ = ["CompanyView", "SessionView", "StoreView", "dataset", "open_store", "predict", "train"]


def open_store(path: str | Path) -> StoreView:
    """Open an image store for reading; `finnex.open`.

    Parameters
    ----------
    path
        A folder, or `s3://bucket/prefix`.

    Raises
    ------
    StoreError
        There is no store.

    Examples
    --------
    >>> import finnex
    >>> finnex.open("no_such_folder")
    Traceback (most recent call last):
    ...
    finnex.errors.StoreError: ...
    """
    return StoreView(ImageStore.open(path))


def train(config: Config) -> TrainingResult:
    """Train the configured network and its baselines on the configured store: see `finnex.training.train`.

    Nothing is recorded in MLflow: `finnex train` does that.

    Raises
    ------
    StoreError, TrainingError
        As `finnex.training.train`.
    """
    from finnex.training import train as train_on

    return train_on(config, ImageStore.open(config.store.path))


def predict(config: Config, sessions: int = 1) -> list[Prediction]:
    """Ask the champion about each symbol's newest published sessions without a prediction, and keep its answers.

    Parameters
    ----------
    sessions
        How many of the newest sessions of each symbol are looked at.

    Raises
    ------
    TrainingError
        There is no champion, or it was trained on another layout or other labels.
    """
    from finnex.tracking.nightly_predictions import predict_newest
    from flows.recording import recording_server

    with recording_server(config) as uri:
        return predict_newest(config, uri, sessions)


def dataset(config: Config) -> ImageDataset:
    """Return the labelled sessions of the configured store as a torch data set: see `ImageDataset`.

    Raises
    ------
    StoreError, TrainingError
        There is no store, or it has no such labels.
    """
    from finnex.datasets.image_dataset import ImageDataset

    return ImageDataset(ImageStore.open(config.store.path), config.labels, config.symbols)
