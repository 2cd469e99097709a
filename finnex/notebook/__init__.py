"""What a notebook does with a store and a configuration: open, look at a session, train, predict.

`import finnex` offers these names; everything heavy is imported when it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finnex.config import Config
from finnex.notebook.views import CompanyView, SessionView, StoreView
from finnex.store import ImageStore, study_companies

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

    Returns
    -------
    StoreView
        The store by company; nothing of it is read yet but its description.

    Raises
    ------
    StoreError
        There is no store.

    Examples
    --------
    >>> import finnex
    >>> finnex.open("images.zarr")
    <image store images.zarr, 1 companies>
      NVDA: 12 sessions, 2015-03-02 to 2015-03-17
    >>> finnex.open("no_such_folder")
    Traceback (most recent call last):
    ...
    finnex.errors.StoreError: ...
    """
    return StoreView(ImageStore.open(path))


def train(config: Config) -> TrainingResult:
    """Train the configured network and its baselines on the configured store: see `finnex.training.train`.

    Nothing is recorded in MLflow: `finnex train` does that.

    Parameters
    ----------
    config
        Store, labels, network and training.

    Returns
    -------
    TrainingResult
        Predictions of the network and its baselines for validation and test, every training, and the chosen network.

    Raises
    ------
    StoreError, TrainingError
        As `finnex.training.train`.

    Examples
    --------
    >>> import finnex
    >>> result = finnex.train(finnex.load_config("finnex.toml"))  # of a dozen sessions
    Traceback (most recent call last):
    ...
    finnex.errors.TrainingError: ...
    """
    from finnex.training import train as train_on

    return train_on(config, ImageStore.open(config.store.path))


def predict(config: Config, sessions: int = 1) -> list[Prediction]:
    """Ask the champion about each symbol's newest published sessions without a prediction, and keep its answers.

    Parameters
    ----------
    config
        Store, symbols, and the MLflow server with the champion; one is started where none is configured.
    sessions
        How many of the newest sessions of each symbol are looked at.

    Returns
    -------
    list of Prediction
        One for each session that was asked about: probabilities of sell, hold and buy.

    Raises
    ------
    TrainingError
        There is no champion, or it was trained on another layout or other labels.
    ServiceError
        The configured MLflow server does not answer.
    StoreError
        There is no store, or it cannot be written.

    Examples
    --------
    >>> import finnex
    >>> config = finnex.load_config("finnex.toml")  # its [mlflow] uri is that of a server that is down
    >>> finnex.predict(config)
    Traceback (most recent call last):
    ...
    finnex.errors.ServiceError: ...
    """
    from finnex.tracking.nightly_predictions import predict_newest
    from flows.recording import recording_server

    with recording_server(config) as uri:
        return predict_newest(config, uri, sessions)


def dataset(config: Config) -> ImageDataset:
    """Return the labelled sessions of the configured store as a torch data set: see `ImageDataset`.

    Parameters
    ----------
    config
        Store, symbols, and kind and horizon of the labels.

    Returns
    -------
    ImageDataset
        The sessions whose label is known, in order of time.

    Raises
    ------
    StoreError, TrainingError
        There is no store, or it has no such labels.

    Examples
    --------
    >>> import finnex
    >>> data = finnex.dataset(finnex.load_config("finnex.toml"))
    >>> image, label = data[0]
    >>> tuple(image.shape), label  # 0 sell, 1 hold, 2 buy
    ((3, 512, 512), 1)
    """
    from finnex.datasets.image_dataset import ImageDataset

    store = ImageStore.open(config.store.path)
    return ImageDataset(store, config.labels, study_companies(config, store))
