"""Every deployment, in one table: `finnex up` serves it, and `deployments/prefect.yaml` has the same for a work pool.

A new flow is one line here and one entry there; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.importtools import import_object

ZONE = "America/New_York"
EVENING = "30 18 * * 1-5"
"""Two and a half hours after the close; on holidays the run finds nothing to do."""
TAGS = ("finnex",)
STORE_WRITERS = "finnex-store-writers"
"""Global concurrency limit of one, shared by the deployments that write a store. A run takes its slot before its
process starts, so a waiting run occupies no worker. The guarantee of one writer is the store's own lock."""
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


@dataclass(frozen=True)
class Deployment:
    """One line of the table.

    Attributes
    ----------
    name
        Its flow is called `finnex-NAME`.
    entrypoint
        Dotted path of the flow, found from any folder, unlike a file's path.
    longest_hours
        A run that takes longer is considered stuck and is cancelled.
    writes_store
        Whether it shares the limit of those that write a store; else it has a limit of one to itself.
    cron
        Schedule in the time zone `ZONE`; '' where it runs on demand only.
    """

    name: str
    entrypoint: str
    longest_hours: float
    writes_store: bool
    description: str
    cron: str = ""

    @property
    def full_name(self) -> str:
        """`flow/deployment`, as Prefect's commands take it."""
        return f"finnex-{self.name}/{self.name}"

    def load(self) -> Flow[..., Any]:
        """Return the flow; its imports take seconds."""
        found = import_object(self.entrypoint)
        assert isinstance(found, Flow)
        return found


DEPLOYMENTS = (
    Deployment("nightly", "flows.nightly.nightly", 6, True, "Draws every session that is missing so far.", EVENING),
    Deployment("backfill", "flows.backfill.backfill", 48, True, "Draws a range of sessions, or draws them again."),
    Deployment("train", "flows.train.train_model", 48, False, "Trains a model, judges it, and records it in MLflow."),
    Deployment("predict", "flows.predict.predict", 6, True, "Draws the newest session; the champion predicts it."),
    Deployment("qa", "flows.qa.qa", 6, False, "Checks what the store holds, and writes the report."),
    Deployment("export", "flows.export.export_files", 12, False, "Writes a symbol's images as plain files."),
    Deployment("audit", "flows.audit.look_ahead_audit", 24, False, "Checks tables, features, labels for look-ahead."),
)


def served(config: Path | None) -> list[RunnerDeployment]:
    """Return every deployment for a process that serves them; `config` becomes the default of their parameter.

    The schedule is active only where there is a configuration to run with.
    """
    return [_served(line, config) for line in DEPLOYMENTS]


def _served(line: Deployment, config: Path | None) -> RunnerDeployment:
    made = line.load().to_deployment(
        line.name,
        description=line.description,
        parameters={} if config is None else {"request": {"config": str(config.resolve())}},
        schedule=Cron(line.cron, timezone=ZONE, active=config is not None) if line.cron else None,
        concurrency_limit=ONE_AT_A_TIME,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=list(TAGS),
    )
    assert isinstance(made, RunnerDeployment)  # outside an event loop it is no coroutine
    return made


def share_the_writers_limit(client: SyncPrefectClient) -> None:
    """Let the registered deployments that write a store share one limit; running it again changes nothing.

    Prefect gives a deployment a limit of its own. Its server knows shared ones, its client does not yet, so this
    speaks to the server directly. Registering a deployment again keeps the shared limit, because it is as high.
    """
    client.upsert_global_concurrency_limit_by_name(STORE_WRITERS, ONE_AT_A_TIME.limit)
    shared = client.read_global_concurrency_limit_by_name(STORE_WRITERS)
    left_over = {limit.name for limit in client.read_global_concurrency_limits(limit=200)}
    for line in DEPLOYMENTS:
        if not line.writes_store:
            continue
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
