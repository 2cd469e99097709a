"""Where things are: the store, MLflow, and the workers that draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, PlainSerializer, PlainValidator, ValidationInfo, model_validator
from upath import UPath

from finnex.config.section import PositiveInt, Section
from finnex.errors import ConfigError
from finnex.store_path import StorePath, store_path

DaskCluster = Literal["local", "kubernetes", "slurm", "pbs", "sge", "lsf", "htcondor", "oar", "moab"]
TLS_KEYS = ("tls_ca", "tls_cert", "tls_key")


def _without_credentials(address: str) -> str:
    if "@" in urlsplit(address).netloc:
        raise ValueError(
            "an address with a password in it would be shown and stored; "
            "put the password into the environment (docs/security.md)"
        )
    return address


Address = Annotated[str, AfterValidator(_without_credentials)]
"""A URL without a password: secrets are read from the environment."""


def _store_path(given: object, info: ValidationInfo) -> StorePath:
    if not isinstance(given, str | Path | UPath):
        raise ValueError("must be a folder, or s3://BUCKET/PREFIX")
    try:
        return store_path(given, (info.context or {}).get("root"))
    except ConfigError as error:
        raise ValueError(str(error).removesuffix(".")) from None


class StoreSettings(Section):
    """Where the images are stored."""

    path: Annotated[StorePath, PlainValidator(_store_path), PlainSerializer(str, when_used="json")]
    """A folder, or `s3://bucket/prefix`."""
    scrub_share: Annotated[float, Field(ge=0, le=1)] = 0.033
    """Part of the published images, a thirtieth, that the first build of a day reads and compares: 0 none, 1 all."""


class StateSettings(Section):
    """Where databases, artifacts and logs lie."""

    path: Path | None = None
    """Absent: `$FINNEX_HOME`, else `state` next to the configuration. Set by `load_config`, absolute."""


class MlflowSettings(Section):
    """Where runs are recorded."""

    uri: Address | None = None
    """Absent, the server that `finnex up` starts."""
    experiment: str = "finnex"
    """The study: its trainings are compared with each other."""
    model: Annotated[str, Field(min_length=1, pattern=r"^[^/:@']+$")] = "finnex"
    """Name of the registered model, whose champion `finnex predict` uses."""


class DaskSettings(Section):
    """Where images are drawn: local worker processes, an existing scheduler, or workers that are requested."""

    address: Address | None = None
    cluster: DaskCluster = "local"
    """Who provides the workers: this machine, a job queue, or Kubernetes with the Dask operator."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Worker processes; 0 draws in this process."""
    dates_per_task: PositiveInt = 1
    memory_limit: str = "2GiB"
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Further settings of the cluster: queue, account and walltime; image and namespace; ..."""
    tls_ca: Path | None = None
    """Certificate of the authority that signed `tls_cert` and those of scheduler and workers; PEM."""
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _one_place_only(self) -> DaskSettings:
        if self.address is not None and "workers" in self.model_fields_set:
            raise ValueError("give address or workers, not both: a scheduler brings its own workers")
        if self.address is not None and self.cluster != "local":
            raise ValueError("give address or cluster, not both: a scheduler is there already")
        if self.cluster != "local" and self.workers == 0:
            raise ValueError(f"a {self.cluster} cluster needs workers; 0 draws in the calling process")
        if self.options and self.cluster == "local":
            raise ValueError("options are for a job queue or Kubernetes; name it with cluster")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> DaskSettings:
        given = [name for name in TLS_KEYS if getattr(self, name) is not None]
        if given and len(given) < len(TLS_KEYS):
            raise ValueError(f"{' and '.join(given)} alone are no identity; give {', '.join(TLS_KEYS)}")
        if given and self.address is None and self.cluster in {"local", "kubernetes"}:
            raise ValueError("TLS files are for an address or a job queue")
        if self.address is not None and bool(given) != self.address.startswith("tls://"):
            raise ValueError(f"an address with {', '.join(TLS_KEYS)} starts with tls://, and only that")
        return self
