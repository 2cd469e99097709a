"""How a version became champion, sealed: earned against baselines and champion, or forced; and which trial it was.

A record stays with the version permanently: one that was forced once stays a forced champion with any later results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from finnex.config.section import Section
from finnex.errors import ModelRefused
from finnex.evaluation.promotion_rule import Decision
from finnex.evaluation.trials import TestPart
from finnex.tracking.key import make_key, read_key
from finnex.tracking.seal import ModelVersion, check_seal, seal_of, seals

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as Entry

RECORD, RECORD_SEAL = "finnex.promotion", "finnex.promotion_seal"
PURPOSE = b"finnex: a promotion\n"
FORCED = "Promoted by --force, without having shown that it is better than the baselines or the champion."
NOT_RECORDED = "No promotion of it by FinNeX is recorded: whether it is better than the baselines was not shown."
VERSIONS_A_PAGE = 100


class Promotion(Section):
    """What `promote` records of a version that it made champion."""

    format: Literal[1]
    name: str
    version: int
    run_id: str
    forced: bool
    reason: str

    def words(self) -> str:
        """Say how it became champion."""
        return FORCED if self.forced else "Promoted on its merits."


def promotion_of(entry: Entry, key_file: Path) -> Promotion | None:
    """Return how a version became champion; None where no record is sealed with this state's key."""
    text, seal, key = entry.tags.get(RECORD), entry.tags.get(RECORD_SEAL), read_key(key_file)
    if text is None or seal is None or key is None or not seals(PURPOSE, text, key, seal):
        return None
    try:
        found = Promotion.model_validate_json(text)
    except ValidationError:
        return None
    same = (found.name, found.version, found.run_id) == (entry.name, int(entry.version), entry.run_id)
    return found if same else None


@dataclass(frozen=True)
class Listed:
    """A version of the registered model, as a person asks for it.

    Attributes
    ----------
    titles
        Champion, challenger.
    promotion
        How it became champion, once; empty where it never did.
    trial
        Which trial of its test part it is; None where its seal does not say.
    """

    version: int
    titles: tuple[str, ...]
    promotion: str
    trial: int | None
    test_part: str
    verdict: str

    def row(self) -> dict[str, object]:
        """Return it as a row of a table."""
        return {
            "version": self.version,
            "titles": ", ".join(self.titles),
            "promotion": self.promotion,
            "test part": self.test_part,
            "trial": self.trial,
            "verdict": self.verdict,
        }


def listed(client: MlflowClient, name: str, titles: Mapping[str, int], key_file: Path) -> list[Listed]:
    """Return all versions of a registered model, by number.

    Parameters
    ----------
    client
        Client of the MLflow server.
    name
        Name of the registered model.
    titles
        Title to the number of the version that has it.
    key_file
        Key that models are sealed with.

    Returns
    -------
    list of Listed
        One for each version; a refused one says why, and its trial is None.
    """
    found, parts = [], dict[int, TestPart]()
    for entry in versions_of(client, name):
        number = int(entry.version)
        own = tuple(title for title, version in titles.items() if version == number)
        record = promotion_of(entry, key_file)
        promotion = record.words() if record else NOT_RECORDED if "champion" in own else ""
        try:
            said = check_seal(entry, key_file, "").said
        except ModelRefused as refused:
            found.append(Listed(number, own, promotion, None, "not known", f"Refused: {refused.reason}."))
            continue
        parts[number] = said.test_part
        trial = trial_among(number, said.test_part, parts)
        found.append(Listed(number, own, promotion, trial, str(said.test_part), said.verdict))
    return found


def standing(entry: Entry, key_file: Path) -> str:
    """Say how a champion became one."""
    found = promotion_of(entry, key_file)
    return NOT_RECORDED if found is None else found.words()


def record_promotion(client: MlflowClient, entry: Entry, decision: Decision, key_file: Path) -> None:
    """Write down how a version becomes champion: in its tags, sealed, and in those of its run, for people.

    Parameters
    ----------
    client
        Client of the MLflow server.
    entry
        The version that becomes champion.
    decision
        The decision that makes it so.
    key_file
        Key that the record is sealed with.
    """
    before = promotion_of(entry, key_file)
    forced = decision.forced or (before is not None and before.forced)
    made = Promotion(
        format=1, name=entry.name, version=int(entry.version), run_id=entry.run_id, forced=forced,
        reason=decision.reason,
    )  # fmt: skip
    text = made.model_dump_json()
    tags = {RECORD: text, RECORD_SEAL: seal_of(PURPOSE, text, make_key(key_file))}
    tags["promotion"] = "forced" if forced else "earned"
    for key, value in tags.items():
        client.set_model_version_tag(entry.name, str(entry.version), key, value)
    client.set_tag(entry.run_id, "promotion", made.words())
    client.log_text(entry.run_id, f"{made.words()}\n{decision.reason}\n", "promotion.txt")


def versions_of(client: MlflowClient, name: str) -> list[Entry]:
    """Return all versions of a registered model that are there, by number."""
    found: list[Entry] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=VERSIONS_A_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return sorted(found, key=lambda entry: int(entry.version))


def trial_of(client: MlflowClient, version: ModelVersion, key_file: Path) -> int:
    """Return which trial of its test part a registered version is."""
    parts: dict[int, TestPart] = {}
    for entry in versions_of(client, version.name):
        try:
            parts[int(entry.version)] = check_seal(entry, key_file, "").said.test_part
        except ModelRefused:  # its test part is not recorded
            continue
    return trial_among(version.version, version.said.test_part, parts)


def trial_among(number: int, own: TestPart, parts: Mapping[int, TestPart]) -> int:
    """Return which trial of its test part a version is: how many versions up to it were judged on dates of it.

    Every earlier version counts, a deleted one too, unless its seal says that its test part shares no date with this
    one's. So no trial is lost by deleting what failed.

    Parameters
    ----------
    parts
        Test part of every version whose seal says it, by number.
    """
    return number - sum(before < number and not part.shares(own) for before, part in parts.items())
