"""What is deployed, read from `deployments/prefect.yaml`: `finnex up` serves it, `finnex deploy` applies that file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.importtools import import_object
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from finnex.errors import ServiceError, repeated, shown

FILE = Path(__file__).with_name("prefect.yaml")
"""A link to `deployments/prefect.yaml` in a checkout; a wheel holds the file itself."""
TAGS = ("finnex",)
"""Tags that every deployment has: automations and settling find runs by them."""
WORK_POOL = "finnex"
"""Where `finnex deploy` lets runs wait for a worker."""
STORE_WRITERS = "finnex-store-writers"
"""Global concurrency limit, shared by the deployments that write a store. A run takes its slot before its process
starts, so a waiting run occupies no worker. The guarantee of one writer is the store's own lock."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(_Entry):
    """When a deployment is started by the server."""

    cron: str
    timezone: str
    active: bool = True

    @model_validator(mode="after")
    def _is_one(self) -> Schedule:
        CronSchedule(cron=self.cron, timezone=self.timezone)
        return self


class Parameters(_Entry):
    """Defaults of a run that is started without filling in the form: every flow has one parameter, its request."""

    request: dict[str, Any]


class Deployment(_Entry):
    """One entry of the file. A key that `finnex up` could not serve is refused.

    Attributes
    ----------
    name
        Its flow is called `finnex-NAME`.
    entrypoint
        Dotted path of the flow, found from any folder, unlike a file's path.
    work_pool
        Where `finnex deploy` lets it run; `finnex up` runs it itself.
    longest_hours
        A run that takes longer is considered stuck and is cancelled.
    writes_store
        Whether it shares the limit of those that write a store; else it has a limit of its own.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    work_pool: dict[str, Any]
    parameters: Parameters
    concurrency_limit: ConcurrencyLimitConfig
    schedules: tuple[Schedule, ...]
    longest_hours: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
    writes_store: bool

    @model_validator(mode="after")
    def _is_watched(self) -> Deployment:
        if missing := [tag for tag in TAGS if tag not in self.tags]:
            raise ValueError(f"the tag '{missing[0]}' is missing, by which automations find its runs. Add it")
        if self.concurrency_limit.limit < 1:
            raise ValueError(f"the limit is {self.concurrency_limit.limit}: no run would ever start. Give at least 1")
        if self.work_pool.get("name") != WORK_POOL:
            raise ValueError(f"the work pool is not '{WORK_POOL}', which `finnex deploy` makes. Name that one")
        return self

    @property
    def full_name(self) -> str:
        """`flow/deployment`, as Prefect's commands take it."""
        return f"finnex-{self.name}/{self.name}"

    def load(self) -> Flow[..., Any]:
        """Return the flow; its imports take seconds.

        Raises
        ------
        ServiceError
            The entrypoint is no flow that is called `finnex-NAME`.
        """
        try:
            found = import_object(self.entrypoint)
        except (ImportError, AttributeError, ValueError) as error:
            raise ServiceError(
                f"deployment '{self.name}': its entrypoint cannot be imported ({error}). Name a flow "
                "by its dotted path, such as flows.nightly.nightly."
            ) from None
        if not isinstance(found, Flow) or found.name != f"finnex-{self.name}":
            raise ServiceError(
                f"deployment '{self.name}': {self.entrypoint} is no flow called finnex-{self.name}, by which "
                "automations find its runs. Rename the deployment, or name another entrypoint."
            )
        return found


def _words(problem: Mapping[str, Any]) -> str:
    """Return what is wrong in the words of YAML."""
    return "must be a list, [] for none" if problem["type"] == "tuple_type" else str(problem["msg"])


def read_deployments(file: Path) -> tuple[Deployment, ...]:
    """Return the deployments of a prefect.yaml, in its order.

    Raises
    ------
    ServiceError
        The file cannot be read, or with everything that is wrong in it.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        entries = document["deployments"]
        found = TypeAdapter(tuple[Deployment, ...]).validate_python(entries)
    except ValidationError as error:
        problems = [
            f"{file}, deployments.{'.'.join(map(str, one['loc']))}: {_words(one)}. Correct it."
            for one in error.errors(include_url=False)
        ]
        raise ServiceError("\n".join(problems)) from None
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ServiceError(f"{file} holds no deployments ({shown(str(error))}). Take the one of FinNeX.") from None
    if twice := repeated(one.name for one in found):
        raise ServiceError(f"{file}: two deployments are called '{twice[0]}'. Rename one.")
    if len(limits := {one.concurrency_limit.limit for one in found if one.writes_store}) > 1:
        raise ServiceError(
            f"{file}: deployments that write a store share one limit, and are given {sorted(limits)}. Give them one."
        )
    return found


DEPLOYMENTS = read_deployments(FILE)


def served(config: Path | None, deployments: Sequence[Deployment] = DEPLOYMENTS) -> list[RunnerDeployment]:
    """Return every deployment for a process that serves them; `config` becomes the default of their parameter.

    A schedule is active only where there is a configuration to run with.
    """
    return [_served(line, config) for line in deployments]


def _served(line: Deployment, config: Path | None) -> RunnerDeployment:
    request = {name: value for name, value in line.parameters.request.items() if name != "config"}
    if config is not None:
        request["config"] = str(config.resolve())
    made = line.load().to_deployment(
        line.name,
        description=line.description,
        parameters={"request": request} if request else {},
        schedules=[
            Cron(one.cron, timezone=one.timezone, active=one.active and config is not None) for one in line.schedules
        ],
        concurrency_limit=line.concurrency_limit,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=list(line.tags),
    )
    assert isinstance(made, RunnerDeployment)  # outside an event loop it is no coroutine
    return made


def share_the_writers_limit(client: SyncPrefectClient, deployments: Sequence[Deployment] = DEPLOYMENTS) -> None:
    """Let the registered deployments that write a store share one limit; running it again changes nothing.

    Prefect gives a deployment a limit of its own. Its server knows shared ones, its client does not yet, so this
    speaks to the server directly. Registering a deployment again keeps the shared limit, because it is as high.
    """
    writers = [line for line in deployments if line.writes_store]
    if not writers:
        return
    client.upsert_global_concurrency_limit_by_name(STORE_WRITERS, writers[0].concurrency_limit.limit)
    shared = client.read_global_concurrency_limit_by_name(STORE_WRITERS)
    left_over = {limit.name for limit in client.read_global_concurrency_limits(limit=200)}
    for line in writers:
        found = client.read_deployment_by_name(line.full_name)
        own = f"deployment:{found.id}"
        client.request(
            "PATCH",
            "/deployments/{id}",
            path_params={"id": found.id},
            json={"global_concurrency_limit_id": str(shared.id)},
        )
        if own in left_over:
            client.delete_global_concurrency_limit_by_name(own)
