"""In which part of a version's training a session lies, as far as the registry can say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.config import Config
from finnex.data.calendar import Days
from finnex.errors import ModelRefused, TrainingError
from finnex.store import ImageStore
from finnex.tracking.key import key_file
from finnex.tracking.seal import check_seal
from finnex.tracking.server import connected
from finnex.tracking.versions import by_number, predictions_of

ASK = "Its signals have no set."
PARTS = ("validation", "test")
"""Of a training, those that a network was asked about."""


@dataclass(frozen=True)
class VersionParts:
    """The sessions at which the parts of a version's training begin, and the last that it was tested on.

    Attributes
    ----------
    validation_start, test_start
        First decision date of the part.
    test_end
        Last decision date of the test part.

    Examples
    --------
    >>> day = np.array(["2015-01-05", "2015-04-01"], dtype="datetime64[D]")
    >>> parts = VersionParts(*np.array(["2015-02-02", "2015-03-02", "2015-03-31"], dtype="datetime64[D]"))
    >>> made = day.astype("datetime64[s]") + np.timedelta64(22, "h")
    >>> parts.sets(day, made, made + np.timedelta64(16, "h")).tolist()
    ['train', 'live']
    """

    validation_start: np.datetime64
    test_start: np.datetime64
    test_end: np.datetime64

    def sets(
        self, days: Days, made_at: npt.NDArray[np.datetime64], next_open: npt.NDArray[np.datetime64]
    ) -> npt.NDArray[np.object_]:
        """Return the set of each prediction.

        Parameters
        ----------
        days
            (rows,) sessions that were predicted.
        made_at, next_open
            (rows,) when, and the open of the session after; UTC.

        Returns
        -------
        numpy.ndarray
            (rows,) 'train', 'validation' or 'test' by date; after the test part 'live' where the prediction was made
            before the next open, else 'later'; None where the next open is not known.
        """
        after = np.where(made_at < next_open, "live", "later").astype(object)
        after[np.isnat(next_open)] = None
        found: npt.NDArray[np.object_] = np.select(
            [days < self.validation_start, days < self.test_start, days <= self.test_end],
            [np.array(word, dtype=object) for word in ("train", "validation", "test")],
            after,
        )
        return found


def version_parts(
    config: Config, store: ImageStore, uri: str, versions: Iterable[int]
) -> tuple[dict[int, VersionParts], dict[int, str]]:
    """Return the parts of registered versions, and of the others why they are not known.

    Parameters
    ----------
    config
        Name of the registered model, and the state folder whose key sealed it.
    store
        Store whose predictions are asked about.
    uri
        Address of the MLflow server.
    versions
        Numbers of versions.

    Returns
    -------
    tuple of dict
        By version: its parts; else the reason, as a sentence.

    Raises
    ------
    ServiceError
        No MLflow server answers, or the key cannot be used.
    """
    found: dict[int, VersionParts] = {}
    unknown: dict[int, str] = {}
    with connected(uri) as client:
        for number in versions:
            try:
                entry = by_number(client, config.mlflow.model, number)
                version = check_seal(entry, key_file(config), ASK)
                if version.said.layout_hash != store.attrs["layout_hash"]:
                    unknown[number] = f"version {number} was trained on another layout than {store.path} has. {ASK}"
                    continue
                rows = predictions_of(client, uri, version, ASK, PARTS)
            except (ModelRefused, TrainingError) as error:
                unknown[number] = str(error)
                continue
            day = rows["decision_date"].to_numpy().astype("datetime64[D]")
            validation, test = (day[(rows["split"] == part).to_numpy()] for part in PARTS)
            found[number] = VersionParts(validation.min(), test.min(), test.max())
    return found, unknown
