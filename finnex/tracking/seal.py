"""What `train` records of a version that it registers, and the seal that authenticates it.

The statement is one tag, the seal another: an HMAC-SHA-256 of the statement's very text. Everything that FinNeX goes by
is taken from the statement; other tags are for people.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from finnex.config.section import Section
from finnex.errors import ModelRefused
from finnex.evaluation.trials import TestPart
from finnex.tracking.key import read_key
from finnex.training.saved_network import FileDigest

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Entry

STATEMENT, SEAL = "finnex.statement", "finnex.seal"
PURPOSE = b"finnex: a registered model version\n"
PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
ArtifactPath = Annotated[str, Field(max_length=200, pattern=rf"^{PART}(/{PART})*$")]
"""Below the artifact's root: no leading slash or dot, so nothing that leads out of it."""


class Statement(Section):
    """What a training registered.

    Attributes
    ----------
    name
        Of the registered model.
    model_id
        MLflow's own name of the artifact.
    files
        All of the artifact.
    predictions
        The run's table, by which challengers are judged.
    trained_until
        Last date on which an outcome was known that it was trained or chosen with.
    test_first, test_last
        First decision and last outcome that it was judged on.
    """

    format: Literal[2]
    name: str
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    model_id: Annotated[str, Field(pattern=r"^m-[0-9a-f]{32}$")]
    files: Annotated[dict[ArtifactPath, FileDigest], Field(min_length=1, max_length=32)]
    predictions: FileDigest
    trained_until: date
    test_first: date
    test_last: date
    fingerprint: str
    layout_hash: str
    label_kind: str
    horizon: int
    fold: int
    seed: int
    model: str
    verdict: str

    @property
    def test_part(self) -> TestPart:
        """What it was judged on."""
        return TestPart(self.test_first, self.test_last)

    @property
    def source(self) -> str:
        """MLflow's address of the artifact."""
        return f"models:/{self.model_id}"


@dataclass(frozen=True)
class ModelVersion:
    """A registered model that `train` registered.

    Attributes
    ----------
    said
        What the training said of it.
    """

    version: int
    said: Statement

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return self.said.name


def sealed(statement: Statement, key: bytes) -> dict[str, str]:
    """Return the two tags of a version."""
    text = statement.model_dump_json()
    return {STATEMENT: text, SEAL: seal_of(PURPOSE, text, key)}


def check_seal(entry: Entry, key_file: Path, remedy: str) -> ModelVersion:
    """Return a version of the registry if `train` registered it from this state folder; nothing of it is read before.

    Raises
    ------
    ModelRefused
        It bears no seal, another one, or that of another version.
    ServiceError
        The key cannot be used.
    """
    tags: Mapping[str, str] = dict(entry.tags)
    which = f"version {entry.version} of '{entry.name}'"
    text, seal, key = tags.get(STATEMENT), tags.get(SEAL), read_key(key_file)
    if text is None or seal is None:
        raise ModelRefused(
            "it bears no seal of `finnex train`: an earlier version of FinNeX registered it, or another program",
            which, remedy,
        )  # fmt: skip
    if key is None or not seals(PURPOSE, text, key, seal):
        raise ModelRefused(
            "its seal is not of this state's key: it was trained with another state folder, or altered",
            which,
            f"{remedy} If you trained it elsewhere, put that state's {key_file.name} at {key_file}.",
        )
    try:
        said = Statement.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelRefused(
            f"another version of FinNeX registered it ({where}: {first['msg']})", which, remedy
        ) from None
    own = {"name": entry.name, "run": entry.run_id, "source": entry.source}
    theirs = {"name": said.name, "run": said.run_id, "source": said.source}
    if differing := [key for key, value in own.items() if value != theirs[key]]:
        raise ModelRefused(f"its seal is that of another version: they differ in {', '.join(differing)}", which, remedy)
    return ModelVersion(int(entry.version), said)


def seal_of(purpose: bytes, text: str, key: bytes) -> str:
    """Return the seal of a text; of another purpose it is another one."""
    return hmac.new(key, purpose + text.encode(), sha256).hexdigest()


def seals(purpose: bytes, text: str, key: bytes, seal: str) -> bool:
    """Return whether a seal is that of a text, in constant time.

    Parameters
    ----------
    purpose
        What the seal is made for; seals of another purpose do not match.
    text
        Text that is sealed.
    key
        Key of the seal.
    seal
        Seal to compare.

    Returns
    -------
    bool
        True where they are equal.
    """
    return hmac.compare_digest(seal_of(purpose, text, key), seal)
