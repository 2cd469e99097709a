"""Prefect automations for stuck runs: without them, a run whose process died keeps the state Running for ever.

A run's process sends a heartbeat every minute. From events the server detects a missing heartbeat, a missing start and
a run that exceeds its longest duration, on whichever machine the run's process was.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.deploy.deployments import DEPLOYMENTS, TAGS, Deployment
from flows.servers.services import HEARTBEAT_SECONDS

SILENT_SECONDS = 5 * HEARTBEAT_SECONDS
PENDING_MINUTES = 15
OURS = "FinNeX: "
"""Prefix of all automations of FinNeX: one that is no longer in the list is removed."""

ALIVE = {f"prefect.flow-run.{sign}" for sign in ("heartbeat", "Running", "Cancelling")}
"""After each of these another event must come. A cancelled run whose process is gone stays Cancelling."""
WITH_WARNINGS = "CompletedWithWarnings"
"""Name of the state, of the type Completed, of a run that left companies out."""
ENDED = {
    f"prefect.flow-run.{state}" for state in ("Completed", WITH_WARNINGS, "Failed", "Cancelled", "Crashed", "TimedOut")
}


def automations(
    deployments: Sequence[Deployment] = DEPLOYMENTS,
    silent_seconds: float = SILENT_SECONDS,
    pending_minutes: float = PENDING_MINUTES,
) -> tuple[AutomationCore, ...]:
    """Return every automation; `silent_seconds` is at least three heartbeats of the runs."""
    return (
        AutomationCore(
            name=f"{OURS}crash runs that fell silent",
            description="The process was killed, or its machine was: it sends no heartbeat and never will.",
            trigger=_absence(ALIVE, {"prefect.flow-run.*"}, silent_seconds),
            actions=[_crash(f"The run's process sent no sign of life for {silent_seconds:.0f} seconds.")],
        ),
        AutomationCore(
            name=f"{OURS}crash runs that do not start",
            description="A run holds its place in the queue from Pending on; one that never starts would block it.",
            trigger=_absence({"prefect.flow-run.Pending"}, {"prefect.flow-run.Running"} | ENDED, 60 * pending_minutes),
            actions=[_crash(f"The run did not start within {pending_minutes:g} minutes of being picked up.")],
        ),
        *(_cancel_what_takes_too_long(line) for line in deployments),
    )


def _cancel_what_takes_too_long(line: Deployment) -> AutomationCore:
    related = {"prefect.resource.role": "deployment", "prefect.resource.name": line.name}
    words = f"The run took longer than the {line.longest_hours:g} hours that {line.name} may take."
    return AutomationCore(
        name=f"{OURS}cancel {line.name} after {line.longest_hours:g} hours",
        description="So that the runs that wait for it are not late for ever.",
        trigger=_absence({"prefect.flow-run.Running"}, ENDED, 3600 * line.longest_hours, related),
        actions=[ChangeFlowRunState(state=StateType.CANCELLING, message=words)],
    )


def _absence(
    after: set[str], expected: set[str], seconds: float, related: dict[str, str] | None = None
) -> EventTrigger:
    """Return a trigger: a run of ours has no event of `expected` within `seconds` after one of `after`."""
    tagged = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAGS[0]}"}
    return EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=[tagged] if related is None else [tagged, related],
        after=after,
        expect=expected,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=seconds),
    )


def _crash(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, message=message, force=True)


def apply_automations(client: SyncPrefectClient, wanted: Sequence[AutomationCore]) -> None:
    """Make the server's automations of ours these and no others; running it again changes nothing."""
    left = {one.name: one for one in client.read_automations() if one.name.startswith(OURS)}
    for automation in wanted:
        found = left.pop(automation.name, None)
        if found is None:
            client.create_automation(automation)
        elif automation.model_dump() != AutomationCore.model_validate(found.model_dump(exclude={"id"})).model_dump():
            client.update_automation(found.id, automation)
    for gone in left.values():
        client.delete_automation(gone.id)
