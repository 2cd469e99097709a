"""The registry: every training is a new version and the challenger; `promote` decides who is the champion."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from finnex.config import Config
from finnex.errors import TrainingError
from finnex.evaluation.promotion import Decision, decide
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.reporting.tracking.server import aimed_at, connected
from finnex.store import ImageStore
from finnex.streaming.samples import labelled_samples
from finnex.training import TrainingResult
from finnex.training.serving import Model, ask_about

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
MUST_AGREE = ("label_kind", "horizon")


@dataclass(frozen=True)
class ModelVersion:
    """A registered model.

    Attributes
    ----------
    trained_until
        Last date on which an outcome was known that it was trained or chosen with.
    about
        Its tags: layout_hash, fingerprint, label_kind, horizon, symbols, verdict, ...
    """

    name: str
    version: int
    run_id: str
    trained_until: np.datetime64
    about: Mapping[str, str]


def register(
    client: MlflowClient, config: Config, run_id: str, model_uri: str, result: TrainingResult, verdict: str
) -> int:
    """Register a training's model as a new version, the challenger; return its number."""
    name = config.mlflow.model
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    chosen = result.chosen
    seen = chosen.predictions[chosen.predictions["split"] == "validation"]
    tags = {
        "fingerprint": result.fingerprint,
        "layout_hash": result.study.layout_hash,
        "label_kind": config.labels.kind,
        "horizon": str(config.labels.horizon),
        "symbols": " ".join(config.symbols),
        "trained_until": str(seen["label_end"].max().date()),
        "fold": str(chosen.member.fold),
        "seed": str(chosen.member.seed),
        "model": chosen.member.model,
        "verdict": verdict,
    }
    model_id = model_uri.removeprefix("models:/")  # the server refuses a source that the id beside it does not own
    made = client.create_model_version(name, source=model_uri, run_id=run_id, tags=tags, model_id=model_id)
    client.set_registered_model_alias(name, CHALLENGER, str(made.version))
    return int(made.version)


def _found(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        made = client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
    return ModelVersion(
        name, int(made.version), str(made.run_id), np.datetime64(made.tags["trained_until"], "D"), dict(made.tags)
    )


def load_champion(config: Config, store: ImageStore, uri: str) -> tuple[ModelVersion, Model]:
    """Return the champion, ready to be asked about the store's images.

    Raises
    ------
    TrainingError
        There is none, or it was trained on another layout or other labels than are configured.
    ServiceError
        No MLflow server answers.
    """
    with connected(uri) as client:
        champion = _found(client, config.mlflow.model, CHAMPION)
        if champion is None:
            raise TrainingError(
                f"the registered model '{config.mlflow.model}' at {uri} has no champion. Train with `finnex train`, "
                "then run `finnex promote`."
            )
        _check_labels(config, champion, champion=True)
        if champion.about["layout_hash"] != store.attrs["layout_hash"]:
            raise TrainingError(
                f"the champion, version {champion.version} of '{champion.name}', was trained on layout "
                f"{champion.about['layout_hash']}; {store.path} holds {store.attrs['layout_hash']}. "
                "Train and promote a model of this layout, under another [mlflow] model."
            )
        return champion, _load(uri, champion)


def _check_labels(config: Config, version: ModelVersion, *, champion: bool) -> None:
    wanted = {"label_kind": config.labels.kind, "horizon": str(config.labels.horizon)}
    for key in MUST_AGREE:
        if version.about[key] != wanted[key]:
            raise TrainingError(
                f"the {CHAMPION if champion else CHALLENGER}, version {version.version} of '{version.name}', answers "
                f"{key} {version.about[key]}, [labels] now asks for {wanted[key]}. Put it back, or name another "
                "[mlflow] model."
            )


def _load(uri: str, version: ModelVersion) -> Model:
    """Load an exported graph: no code of the artifact is run, and no pickle is read."""
    import mlflow  # noqa: PLC0415

    with aimed_at(uri):
        found = mlflow.pytorch.load_model(f"models:/{version.name}/{version.version}", map_location="cpu")

    def ask(images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(found(images))

    return ask


def _predictions(client: MlflowClient, version: ModelVersion) -> pd.DataFrame:
    """Return what a version's training said of its own test part."""
    with tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        path = client.download_artifacts(version.run_id, "predictions.parquet", folder)
        table = pd.read_parquet(Path(path))
    own = (table["split"] == "test") & (table["model"] == version.about["model"])
    # The one network that was registered: several seeds together are another, better model.
    for key in ("fold", "seed"):
        own &= table[key] == int(version.about[key])
    return table[own]


def promote(config: Config, store: ImageStore, uri: str) -> tuple[Decision, ModelVersion]:
    """Let the challenger take the champion's place if it is better; return the decision and the champion after it.

    Both answer for the challenger's test sessions after everything that the champion was trained on. A first
    champion has nobody to beat: it is one by default, with its verdict against the baselines in its tags.

    Raises
    ------
    TrainingError
        There is no challenger, the two answer different questions, or the store has nothing to ask about.
    ServiceError
        No MLflow server answers.
    """
    name = config.mlflow.model
    with connected(uri) as client:
        challenger, champion = (_found(client, name, alias) for alias in (CHALLENGER, CHAMPION))
        if challenger is None:
            raise TrainingError(f"the registered model '{name}' at {uri} has no challenger. Train one: finnex train.")
        _check_labels(config, challenger, champion=False)
        if champion is None:
            decision = Decision(True, f"The first champion: nobody to beat yet. {challenger.about['verdict']}")
        elif champion.version == challenger.version:
            decision = Decision(False, f"Version {champion.version} is the champion already.")
        else:
            own = _predictions(client, challenger)
            own = own[own["decision_date"] > pd.Timestamp(champion.trained_until)]
            theirs = _answers(client, config, store, uri, champion, own)
            decision = decide(own, theirs, horizon=config.labels.horizon)
        client.set_model_version_tag(name, str(challenger.version), "decision", decision.reason)
        if decision.promoted:
            client.set_registered_model_alias(name, CHAMPION, str(challenger.version))
        return decision, challenger if decision.promoted or champion is None else champion


def _answers(
    client: MlflowClient, config: Config, store: ImageStore, uri: str, champion: ModelVersion, asked: pd.DataFrame
) -> pd.DataFrame:
    """Return the champion's answers for the rows asked, from the store; of another layout, those that it gave then."""
    if asked.empty or champion.about["layout_hash"] != store.attrs["layout_hash"]:
        return _predictions(client, champion)
    # The companies that the challenger was asked about, whatever the configuration has become since.
    samples = labelled_samples(store, config.labels, tuple(sorted(set(asked["symbol"].astype(str)))))
    wanted = asked[["symbol", "decision_date"]].drop_duplicates()
    model, found = _load(uri, champion), []
    for symbol, rows in wanted.groupby("symbol"):
        number = samples.symbols.index(str(symbol))
        days = rows["decision_date"].to_numpy().astype("datetime64[D]")
        here = np.flatnonzero((samples.symbol == number) & np.isin(samples.decision, days))
        if len(here) == 0:
            continue
        answers = ask_about(model, store, str(symbol), samples.index[here].tolist())
        table: dict[str, Any] = {name: answers[:, code] for code, name in enumerate(PROBABILITIES)}
        table |= {"symbol": symbol, "decision_date": samples.decision[here].astype("datetime64[ms]")}
        found.append(pd.DataFrame(table | {"label": samples.label[here]}))
    if not found:
        raise TrainingError(
            f"none of the challenger's test sessions is in {store.path}. Name the store that it was trained on."
        )
    return pd.concat(found, ignore_index=True)
