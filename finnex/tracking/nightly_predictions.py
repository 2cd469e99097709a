"""The champion's answers for the newest sessions, kept in the store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finnex.config import Config
from finnex.datasets.samples import CLASSES
from finnex.store import ImageStore, StoreWriter, still_verified, study_companies, writing
from finnex.tracking import load_champion
from finnex.training.published_sessions import ask_about


@dataclass(frozen=True)
class Prediction:
    """The champion's prediction for one session.

    Attributes
    ----------
    probabilities
        Of sell, hold and buy.
    version
        Of the registered model.
    about
        How the champion became one, and its result against its baselines when it was trained: the evidence for its
        predictions.
    symbol, session
        Company, and session whose image was shown.

    Examples
    --------
    >>> one = Prediction("NVDA", np.datetime64("2015-03-02"), (0.2, 0.5, 0.3), 1, "")
    >>> one.row()
    {'symbol': 'NVDA', 'session': '2015-03-02', 'sell': 0.2, 'hold': 0.5, 'buy': 0.3, 'model version': 1}
    """

    symbol: str
    session: np.datetime64
    probabilities: tuple[float, ...]
    version: int
    about: str

    def row(self) -> dict[str, object]:
        """Return it as a row of a table.

        Returns
        -------
        dict
            Column to value; probabilities with four decimals.
        """
        said = {word: round(value, 4) for word, value in zip(CLASSES, self.probabilities, strict=True)}
        return {"symbol": self.symbol, "session": str(self.session), **said, "model version": self.version}


def predict_newest(config: Config, uri: str, sessions: int, *, wait_seconds: float = 0.0) -> list[Prediction]:
    """Ask the champion about each symbol's newest published sessions that have no prediction yet, and keep its answers.

    Parameters
    ----------
    config
        Store, symbols and the name of the registered model.
    uri
        Address of the MLflow server.
    sessions
        How many of the newest sessions of each symbol are looked at.
    wait_seconds
        How long another process that writes to the store is waited for.

    Returns
    -------
    list of Prediction
        One for each session that was asked about.

    Raises
    ------
    TrainingError
        There is no champion, or it was trained on another layout or other labels; a `ModelRefused` where `train` did
        not register it or its files are others.
    ServiceError
        No MLflow server answers at `uri`.
    StoreError
        There is no store, or it cannot be written.
    """
    reader = ImageStore.open(config.store.path)
    champion = load_champion(config, reader, uri)
    found = []
    with writing(config.store.path, wait_seconds):
        store = StoreWriter.reopen(config.store.path)
        symbols = study_companies(config, store)
        with still_verified(store, symbols):
            for symbol in symbols:
                indexes = store.unpredicted(symbol, sessions)
                answers = ask_about(champion.model, store, symbol, indexes.tolist())
                store.record_predictions(symbol, indexes.tolist(), answers, champion.version.version)
                days = store.state(symbol).days
                found += [
                    Prediction(symbol, days[index], tuple(answer.tolist()), champion.version.version, champion.about)
                    for index, answer in zip(indexes, answers, strict=True)
                ]
    return found
