"""The registry: every training is a new version and the challenger; `promote` decides which is the champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.datasets.samples import labelled_samples
from finnex.errors import TrainingError
from finnex.evaluation.promotion_rule import Decision, decide
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.models.exported import Exported
from finnex.store import ImageStore
from finnex.tracking.entries import LoggedModel
from finnex.tracking.key import key_file, make_key
from finnex.tracking.promotion_records import Listed, listed, record_promotion, standing, trial_of
from finnex.tracking.seal import ModelVersion, Statement, check_seal, sealed
from finnex.tracking.server import connected
from finnex.tracking.versions import (
    baseline_answers,
    by_alias,
    by_number,
    load_network,
    own_answers,
    predictions_of,
)
from finnex.training import TrainingResult
from finnex.training.published_sessions import ask_about
from finnex.training.saved_network import FileDigest

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
MUST_AGREE = ("label_kind", "horizon")
TRAIN_AGAIN = "Train again: `finnex train` registers a new challenger."
FORCE = "`finnex promote --force` puts the challenger in its place without comparing the two."
TRAIN_AND_FORCE = (
    "Train with `finnex train`, then run `finnex promote --force`; or name a version that was registered here: "
    "`finnex promote --version N --force`."
)


def register(
    client: MlflowClient, config: Config, run_id: str, logged: LoggedModel, predictions: FileDigest,
    result: TrainingResult, verdict: str,
) -> int:  # fmt: skip
    """Register a training's model as a new version, sealed, the challenger; return its number.

    Parameters
    ----------
    client
        Client of the MLflow server.
    config
        Name of the registered model, symbols and labels.
    run_id
        Run that trained it.
    logged
        The logged model and its files.
    predictions
        Of the run's table of predictions.
    result
        The training.
    verdict
        What the scorecard says of the model, in words.

    Returns
    -------
    int
        Number of the version, from 1.

    Raises
    ------
    ServiceError
        The key that seals it cannot be read or written.
    """
    name = config.mlflow.model
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    chosen = result.chosen
    seen, judged = (chosen.predictions[chosen.predictions["split"] == part] for part in ("validation", "test"))
    statement = Statement(
        format=2, name=name, run_id=run_id, model_id=logged.model_id, files=dict(logged.files), predictions=predictions,
        trained_until=seen["label_end"].max().date(), test_first=judged["decision_date"].min().date(),
        test_last=judged["label_end"].max().date(), fingerprint=result.fingerprint,
        layout_hash=result.study.layout_hash, label_kind=config.labels.kind, horizon=config.labels.horizon,
        fold=chosen.member.fold, seed=chosen.member.seed, model=chosen.member.model, verdict=verdict,
    )  # fmt: skip
    for_people = statement.model_dump(
        mode="json", exclude={"format", "name", "run_id", "model_id", "files", "predictions"}
    )
    tags = {key: str(value) for key, value in for_people.items()} | {"symbols": " ".join(config.symbols)}
    made = client.create_model_version(
        name, source=logged.uri, run_id=run_id, tags=tags | sealed(statement, make_key(key_file(config))),
        model_id=logged.model_id,  # the server refuses a source that this id does not own
    )  # fmt: skip
    trial = trial_of(client, ModelVersion(int(made.version), statement), key_file(config))
    client.set_model_version_tag(name, str(made.version), "trial", str(trial))
    client.set_registered_model_alias(name, CHALLENGER, str(made.version))
    return int(made.version)


@dataclass(frozen=True)
class Champion:
    """The version in use, ready to predict.

    Attributes
    ----------
    about
        How it became champion, and its result against its baselines when it was trained.
    """

    version: ModelVersion
    model: Exported
    about: str


def load_champion(config: Config, store: ImageStore, uri: str) -> Champion:
    """Return the champion, ready to be asked about the store's images.

    Raises
    ------
    TrainingError
        There is none, or it was trained on another layout or other labels than are configured.
    ModelRefused
        `train` did not register it, or its files are not those that it registered.
    ServiceError
        No MLflow server answers.
    """
    with connected(uri) as client:
        entry = by_alias(client, config.mlflow.model, CHAMPION)
        if entry is None:
            raise TrainingError(
                f"the registered model '{config.mlflow.model}' at {uri} has no champion. Train with `finnex train`, "
                "then run `finnex promote`."
            )
        champion = check_seal(entry, key_file(config), TRAIN_AND_FORCE)
        _check_labels(config, champion, CHAMPION)
        if champion.said.layout_hash != store.attrs["layout_hash"]:
            raise TrainingError(
                f"the champion, version {champion.version} of '{champion.name}', was trained on layout "
                f"{champion.said.layout_hash}; {store.path} holds {store.attrs['layout_hash']}. "
                "Train and promote a model of this layout, under another [mlflow] model."
            )
        model = load_network(client, uri, champion, TRAIN_AND_FORCE)
        return Champion(champion, model, f"{standing(entry, key_file(config))} {champion.said.verdict}")


def models(config: Config, uri: str) -> list[Listed]:
    """Return every version of the registered model: titles, how it was promoted, its trial, its verdict.

    Raises
    ------
    ServiceError
        No MLflow server answers.
    """
    name, titles = config.mlflow.model, {}
    with connected(uri) as client:
        for title in (CHAMPION, CHALLENGER):
            entry = by_alias(client, name, title)
            if entry is not None:
                titles[title] = int(entry.version)
        return listed(client, name, titles, key_file(config))


def champion_words(config: Config, uri: str) -> str:
    """Say which version is the champion and how it became one.

    Raises
    ------
    ServiceError
        No MLflow server answers.
    """
    with connected(uri) as client:
        entry = by_alias(client, config.mlflow.model, CHAMPION)
        return "none" if entry is None else f"version {entry.version}. {standing(entry, key_file(config))}"


def _check_labels(config: Config, version: ModelVersion, role: str) -> None:
    wanted = {"label_kind": config.labels.kind, "horizon": config.labels.horizon}
    for key in MUST_AGREE:
        found = version.said.model_dump(include={key})[key]
        if found != wanted[key]:
            raise TrainingError(
                f"the {role}, version {version.version} of '{version.name}', answers {key} {found}, [labels] now asks "
                f"for {wanted[key]}. Put it back, or name another [mlflow] model."
            )


def promote(
    config: Config, store: ImageStore, uri: str, *, version: int | None = None, force: bool = False
) -> tuple[Decision, ModelVersion | None]:
    """Make the challenger the champion if it is better; return the decision and the champion after it.

    It must beat the majority class and the best simple baseline on its test part, and the champion on the sessions of
    it after everything that the champion was trained on, at the level of its trial of the test part.

    Parameters
    ----------
    config
        Name of the registered model, and the labels.
    store
        Store whose sessions the two are compared on.
    uri
        Address of the MLflow server.
    version
        Which version challenges; by default the newest that was trained.
    force
        Whether it takes the place without a comparison, as where the champion is refused; this is recorded with it.

    Returns
    -------
    tuple
        The decision, and the champion after it; None where there is none.

    Raises
    ------
    TrainingError
        There is no challenger, the two answer different questions, or the store has nothing to ask about.
    ModelRefused
        `train` did not register one of the two, or its files are not those that it registered.
    ServiceError
        No MLflow server answers.
    """
    name = config.mlflow.model
    with connected(uri) as client:
        found = by_alias(client, name, CHALLENGER) if version is None else by_number(client, name, version)
        if found is None:
            raise TrainingError(f"the registered model '{name}' at {uri} has no challenger. Train one: finnex train.")
        challenger = check_seal(found, key_file(config), TRAIN_AGAIN)
        _check_labels(config, challenger, CHALLENGER)
        load_network(client, uri, challenger, TRAIN_AGAIN)  # what cannot be asked is no champion
        entry = by_alias(client, name, CHAMPION)
        before = None if entry is None else int(entry.version)
        if before == challenger.version:
            return Decision(False, f"Version {challenger.version} is the champion already."), challenger
        if force:
            place = "the first champion" if before is None else f"champion in place of version {before}"
            decision = Decision(True, f"Forced: {place}, without a comparison. {challenger.said.verdict}", forced=True)
        else:
            held = None if entry is None else check_seal(entry, key_file(config), FORCE)
            decision = _compare(client, config, store, uri, challenger, held)
        client.set_model_version_tag(name, str(challenger.version), "decision", decision.reason)
        if decision.promoted:
            record_promotion(client, found, decision, key_file(config))
            client.set_registered_model_alias(name, CHAMPION, str(challenger.version))
            return decision, challenger
        return decision, None if entry is None else check_seal(entry, key_file(config), FORCE)


def _compare(
    client: MlflowClient, config: Config, store: ImageStore, uri: str, challenger: ModelVersion,
    champion: ModelVersion | None,
) -> Decision:  # fmt: skip
    """Hold the challenger against the baselines of its own study, and against the champion where there is one."""
    table = predictions_of(client, uri, challenger, TRAIN_AGAIN)
    own, baselines = own_answers(table, challenger), baseline_answers(table, challenger)
    theirs = None
    if champion is not None:
        later = own[own["decision_date"] > pd.Timestamp(champion.said.trained_until)]
        theirs = _answers(client, config, store, uri, champion, later)
        theirs = theirs[theirs["decision_date"] > pd.Timestamp(champion.said.trained_until)]
    trial = trial_of(client, challenger, key_file(config))
    return decide(own, theirs, baselines, horizon=config.labels.horizon, trial=trial)


def _answers(
    client: MlflowClient, config: Config, store: ImageStore, uri: str, champion: ModelVersion, asked: pd.DataFrame
) -> pd.DataFrame:
    """Return the champion's answers for the rows asked, from the store; of another layout, those that it gave then."""
    if asked.empty or champion.said.layout_hash != store.attrs["layout_hash"]:
        return own_answers(predictions_of(client, uri, champion, FORCE), champion)
    # The companies that the challenger was asked about; the configuration may have changed since.
    samples = labelled_samples(store, config.labels, tuple(sorted(set(asked["symbol"].astype(str)))))
    wanted = asked[["symbol", "decision_date"]].drop_duplicates()
    model, found = load_network(client, uri, champion, FORCE), []
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
