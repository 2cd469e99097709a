"""Versions of a registered model: found by title or number, and loaded by FinNeX's own code.

A version is used only if its seal says that `train` registered it, and only if its files are those that it registered;
then `finnex.training.saved_network` makes the network. MLflow's loaders are never called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from finnex.errors import ModelRefused, TrainingError
from finnex.models.exported import Exported
from finnex.tracking.artifacts import Artifacts
from finnex.tracking.entries import NETWORK
from finnex.tracking.seal import ModelVersion
from finnex.training.saved_network import read_network

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as Entry

PREDICTIONS = "predictions.parquet"


def by_alias(client: MlflowClient, name: str, alias: str) -> Entry | None:
    """Return the version with a title; None where none has it."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def by_number(client: MlflowClient, name: str, number: int) -> Entry:
    """Return a version.

    Raises
    ------
    TrainingError
        There is no such version.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return client.get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise TrainingError(f"the registered model '{name}' has no version {number}. Name another one.") from None


def load_network(client: MlflowClient, uri: str, version: ModelVersion, remedy: str) -> Exported:
    """Return a version's network, made by our own code over weights whose bytes were compared.

    Parameters
    ----------
    client
        Client of the MLflow server.
    uri
        Address of the server.
    version
        Version whose files are fetched.
    remedy
        What an error asks for.

    Returns
    -------
    Model
        The network: images (B, C, H, W) to probabilities (B, classes).

    Raises
    ------
    ModelRefused
        Its files are not those that were registered.
    ServiceError
        The server does not return them.
    """
    said = version.said
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        try:
            artifacts = Artifacts.of_model(client, uri, said.model_id)
            artifacts.check_names(said.files, alone=True)
            artifacts.fetch(said.files, Path(folder))
            return read_network(Path(folder) / "data" / NETWORK)
        except ModelRefused as error:
            raise _refused(error, version, remedy) from None


def predictions_of(
    client: MlflowClient,
    uri: str,
    version: ModelVersion,
    remedy: str,
    parts: Sequence[str] = ("test",),
    *,
    every_fold: bool = False,
) -> pd.DataFrame:
    """Return the answers of a version's study for parts of its training; raises as `load_network` does.

    Parameters
    ----------
    client
        Client of the MLflow server.
    uri
        Address of the server.
    version
        Version whose run holds the table.
    remedy
        What an error asks for.
    parts
        Of 'validation' and 'test', those whose answers are wanted.
    every_fold
        Whether those of all folds are wanted, not only of the fold whose network was registered.

    Returns
    -------
    pandas.DataFrame
        The columns of `finnex.training.predictions`.
    """
    said = version.said
    wanted = {PREDICTIONS: said.predictions}
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        try:
            artifacts = Artifacts.of_run(client, uri, said.run_id)
            artifacts.check_names(wanted, alone=False)
            artifacts.fetch(wanted, Path(folder))
        except ModelRefused as error:
            raise _refused(error, version, remedy) from None
        table = pd.read_parquet(Path(folder) / PREDICTIONS)
    return table[table["split"].isin(parts) & (every_fold | (table["fold"] == said.fold))]


def own_answers(table: pd.DataFrame, version: ModelVersion) -> pd.DataFrame:
    """Return the rows of the one network that was registered: several seeds together are another, better model."""
    return table[(table["model"] == version.said.model) & (table["seed"] == version.said.seed)]


def baseline_answers(table: pd.DataFrame, version: ModelVersion) -> dict[str, pd.DataFrame]:
    """Return the rows of everything else, by name."""
    return {str(name): rows for name, rows in table.groupby("model") if name != version.said.model}


def _refused(error: ModelRefused, version: ModelVersion, remedy: str) -> ModelRefused:
    return ModelRefused(error.reason, f"version {version.version} of '{version.name}'", remedy)
