"""One table of deployments: the same forms, limits, schedule and automations wherever it is applied."""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.server.events.schemas.automations import EventTrigger as Judge
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.settings import PREFECT_API_URL
from prefect.states import Running
from prefect.testing.utilities import prefect_test_harness
from prefect.utilities.callables import parameter_schema

import flows
from finnex.cli.template import configuration_text, write_new
from finnex.config import load_config
from finnex.errors import ServiceError
from finnex.store import writing
from flows.deploy.automations import OURS, apply_automations, automations
from flows.deploy.deploying import _run_prefect_deploy, deploy
from flows.deploy.deployments import (
    DEPLOYMENTS,
    FILE,
    STORE_WRITERS,
    TAGS,
    WORK_POOL,
    Deployment,
    read_deployments,
    served,
    share_the_writers_limit,
)
from flows.deploy.serve import crash_what_was_left
from flows.prefect_api.requests import BackfillRequest, NightlyRequest, TrainRequest
from flows.prefect_api.runs import FlowRuns
from flows.prefect_api.settling import settle_tasks
from flows.servers.services import HEARTBEAT_SECONDS
from tests.helpers.flow_runs import (
    BACKFILL,
    calm_fingerprint,
    completes,
    ends,
    other_project,
    process_of,
    state_of,
    until,
)

pytest_plugins = ("tests.helpers.servers",)

A_FORTNIGHT = ("end = 2015-09-30", "end = 2015-03-13")


def test_a_deployment_does_not_carry_the_folder_of_who_deployed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, str] = {}

    def run(command: Sequence[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        given.update(env)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("FINNEX_PROJECT", "/home/me")
    monkeypatch.setattr("flows.deploy.deploying.subprocess.run", run)
    _run_prefect_deploy(FILE)
    assert given
    assert "FINNEX_PROJECT" not in given


def problems_of_form(schema: dict[str, Any]) -> list[str]:
    """Return what Prefect's run form cannot show well: it has trouble with unions and with deep nesting."""
    found = []
    models = schema.get("definitions", {})
    for name in schema["properties"]:
        reference = schema["properties"][name].get("allOf", [schema["properties"][name]])[0].get("$ref")
        if reference is None:
            found.append(f"{name} is no model")
    for title, model in models.items():
        positions = []
        for name, field in model["properties"].items():
            where = f"{title}.{name}"
            options = field.get("anyOf", [field])
            kinds = [option.get("type") for option in options]
            if "oneOf" in field or len(options) > 2 or (len(options) == 2 and "null" not in kinds):
                found.append(f"{where} is a union of more than a type and None")
            if "$ref" in str(field) or any(option.get("type") == "object" for option in options):
                found.append(f"{where} is nested deeper than one level")
            if any(len(option.get("enum", [1, 2])) < 2 for option in options):
                found.append(f"{where} is a menu of one")
            found += [f"{where} has no {key}" for key in ("title", "description") if not field.get(key)]
            positions.append(field.get("position"))
        if sorted(positions, key=str) != sorted(range(len(positions)), key=str):
            found.append(f"{title}: positions are {positions}")
    return found


@pytest.mark.parametrize("line", DEPLOYMENTS, ids=lambda line: line.name)
def test_every_form_renders(line: Deployment) -> None:
    schema = parameter_schema(line.load()).model_dump()
    assert list(schema["properties"]) == ["request"]
    assert problems_of_form(schema) == []


def test_a_training_form_says_only_what_differs_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "finnex.toml"
    (tmp_path / "p.csv").touch()
    write_new(path, configuration_text({"prices": "p.csv"}, ["A"], epochs=4))
    asked = TrainRequest(config=str(path))
    assert asked.load() == load_config(path)
    changed = asked.model_copy(update={"architecture": "vit", "epochs": 3, "task": "class_and_return"}).load()
    assert (changed.model.architecture, changed.model.preset) == ("vit", "small")
    assert (changed.training.epochs, changed.training.seeds, changed.training.task) == (3, 1, "class_and_return")


def test_a_form_that_would_not_render_is_noticed() -> None:
    good = {"title": "T", "description": "D", "type": "string", "position": 0}
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "union": (good | {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "union"),
        "three": (good | {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}, "union"),
        "nested": (good | {"allOf": [{"$ref": "#/definitions/Other"}]}, "nested"),
        "object": (good | {"type": "object"}, "nested"),
        "untitled": (good | {"title": ""}, "title"),
        "undescribed": (good | {"description": None}, "description"),
        "unplaced": (good | {"position": None}, "positions"),
        "lonely": (good | {"enum": ["one"]}, "menu"),
    }
    request = {"request": {"allOf": [{"$ref": "#/definitions/R"}]}}
    for name, (field, word) in bad.items():
        schema = {"properties": request, "definitions": {"R": {"properties": {"f": field}}}}
        assert any(word in problem for problem in problems_of_form(schema)), name
    optional = good | {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert problems_of_form({"properties": request, "definitions": {"R": {"properties": {"f": optional}}}}) == []
    assert problems_of_form({"properties": {"x": {"type": "string"}}, "definitions": {}}) == ["x is no model"]


CHANGES = {
    'cron: "30 18 * * 1-5"': 'cron: "15 21 * * 1-5"',
    "timezone: America/New_York": "timezone: Europe/London",
    "description: Checks what the store holds, and writes the report.": "description: Another text.",
    "    limit: 1\n": "    limit: 3\n",
    "tags: [finnex]": "tags: [finnex, ours]",
    "parameters: *configured\n    concurrency_limit: *one_at_a_time\n    schedules:  #":
        "parameters: {request: {config: a, wait_minutes: 7}}\n    concurrency_limit: *one_at_a_time\n    schedules:  #",
}  # fmt: skip


def edited(folder: Path, changes: dict[str, str]) -> Path:
    """Return a copy of the file with some of its texts replaced."""
    text = FILE.read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "prefect.yaml").write_text(text, encoding="utf-8")
    return folder / "prefect.yaml"


def test_every_entry_of_the_file_is_a_flow_of_its_name_that_the_automations_watch() -> None:
    assert yaml.safe_load(FILE.read_text())["pull"], "left out, the folder of whoever deploys is stored"
    assert {line.name for line in DEPLOYMENTS} >= {"nightly", "backfill", "train", "predict", "export"}
    for line in DEPLOYMENTS:
        assert line.load().name == f"finnex-{line.name}"
        heartbeat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}
        assert line.work_pool == {"name": WORK_POOL, "job_variables": {"env": heartbeat}}
        # A run that is started without filling in the form has a request that passes.
        line.load().validate_parameters(line.parameters.model_dump())


def test_finnex_up_serves_what_the_file_says_and_fills_in_its_configuration(tmp_path: Path) -> None:
    config = tmp_path / "finnex.toml"
    for file, cron, zone, limit, tags, rest in (
        (FILE, "30 18 * * 1-5", "America/New_York", 1, ["finnex"], {}),
        (edited(tmp_path, CHANGES), "15 21 * * 1-5", "Europe/London", 3, ["finnex", "ours"], {"wait_minutes": 7}),
    ):
        for given in (config, None):
            made = {one.name: one for one in served(given, read_deployments(file))}
            assert list(made) == [entry["name"] for entry in yaml.safe_load(file.read_text())["deployments"]]
            for one in made.values():
                assert (one.concurrency_limit, one.tags) == (limit, tags)
                request = (rest if one.name == "nightly" else {}) | ({"config": str(config)} if given else {})
                assert one.parameters == ({"request": request} if request else {})
            [schedule] = made["nightly"].schedules or []
            assert (schedule.schedule.cron, schedule.schedule.timezone) == (cron, zone)  # type: ignore[union-attr]
            assert schedule.active is (given is not None)
            assert not made["train"].schedules
    assert made["qa"].description == "Another text."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({'cron: "30 18 * * 1-5"': 'cron: "61 18 * * 1-5"'}, r"deployments\.0\.schedules\.0.*cron"),
        ({"timezone: America/New_York": "timezone: America/New_Yark"}, r"deployments\.0\.schedules\.0.*timezone"),
        ({"      - cron: \"30 18 * * 1-5\"\n": "      - interval: 60\n"}, r"schedules\.0\.interval"),
        ({"longest_hours: 24": "longest_hours: 0"}, r"deployments\.6\.longest_hours"),
        ({"longest_hours: 24": "longest_hour: 24"}, r"deployments\.6\.longest_hour: "),
        ({"tags: [finnex]": "tags: [ours]"}, r"the tag 'finnex' is missing.*Add it"),
        ({"longest_hours: 24": "longest_hours: true"}, r"deployments\.6\.longest_hours"),
        ({"- name: audit": "- name: a/b"}, r"deployments\.\d\.name"),
        ({"    name: finnex\n": "    name: ours\n"}, r"the work pool is not 'finnex'.*Name that one"),
        ({"limit: 1\n": "limit: 0\n"}, r"the limit is 0: no run would ever start"),
        ({"- name: audit": "- name: export"}, "two deployments are called 'export'"),
        ({"deployments:\n": "deploiments:\n"}, "holds no deployments"),
        ({"name: finnex\n": "name: [finnex\n"}, "holds no deployments"),
        ({"limit: *one_at_a_time\n    schedules:  #": "limit: {limit: 2}\n    schedules:  #"},
         r"share one limit, and are given \[1, 2\]"),
    ],
)  # fmt: skip
def test_a_file_that_finnex_up_could_not_serve_is_refused_with_the_place(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(ServiceError, match=said):
        read_deployments(edited(tmp_path, changes))


@pytest.mark.parametrize("entrypoint", ["flows.nightly.nightly", "os.path.join", "flows.gone.flow"])
def test_a_deployment_whose_entrypoint_is_no_flow_of_its_name_is_refused(tmp_path: Path, entrypoint: str) -> None:
    found = read_deployments(edited(tmp_path, {"entrypoint: flows.audit.": f"entrypoint: {entrypoint}  # "}))
    with pytest.raises(ServiceError, match="deployment 'audit'"):
        next(one for one in found if one.name == "audit").load()


def test_the_package_holds_the_file() -> None:
    """An installed FinNeX has no folder but its packages."""
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    assert FILE.resolve() == Path(__file__).parents[2] / "deployments" / "prefect.yaml", "one file, and a link to it"
    assert FILE.relative_to(Path(flows.__file__).parent).as_posix() in data["flows"]


@pytest.mark.accept
@pytest.mark.integration
def test_a_change_of_the_file_changes_what_finnex_up_serves_and_what_finnex_deploy_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both register on one server, and the server says what it was given."""

    def said(client: SyncPrefectClient, file: Path) -> dict[str, Any]:
        found = {}
        for line in read_deployments(file):
            one = client.read_deployment_by_name(line.full_name)
            limit = one.global_concurrency_limit
            found[line.name] = {
                "entrypoint": one.entrypoint, "description": one.description, "tags": one.tags,
                "request": {**one.parameters["request"], "config": ""}, "limit": limit and limit.limit,
                "options": one.concurrency_options and one.concurrency_options.collision_strategy,
                "schedules": [(each.schedule.model_dump(), each.active) for each in one.schedules],
            }  # fmt: skip
        return found

    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    with prefect_test_harness(server_startup_timeout=120):
        monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))  # for `prefect deploy`
        of_up, of_deploy = {}, {}
        for name, file in (("before", FILE), ("after", edited(tmp_path, CHANGES))):
            with get_client(sync_client=True) as client:
                for one in served(tmp_path / "finnex.toml", read_deployments(file)):
                    one.apply()
                share_the_writers_limit(client, read_deployments(file))
                of_up[name] = said(client, file)
                for line in read_deployments(file):
                    client.delete_deployment(client.read_deployment_by_name(line.full_name).id)
                assert deploy(file) == tuple(line.full_name for line in read_deployments(file))
                of_deploy[name] = said(client, file)
        assert of_up == of_deploy
        assert of_up["before"]["nightly"]["schedules"] != of_up["after"]["nightly"]["schedules"]
        assert {one["limit"] for one in of_up["before"].values()} == {1}
        assert {one["limit"] for one in of_up["after"].values()} == {3}
        assert [one["after"]["nightly"]["request"].get("wait_minutes") for one in (of_up, of_deploy)] == [7, 7]
        assert of_deploy["after"]["qa"]["description"] == "Another text."
        assert of_deploy["after"]["train"]["tags"] == ["finnex", "ours"]


def test_deploying_without_a_server_or_a_file_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServiceError, match=r"there is no .*prefect\.yaml.*--file"):
        deploy(tmp_path / "prefect.yaml")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ServiceError, match="PREFECT_API_URL is not set"):
        deploy(FILE)


def registered(client: SyncPrefectClient) -> dict[str, Any]:
    """Return everything the server knows that we told it, apart from when."""
    limits = client.read_global_concurrency_limits(limit=200)
    mine = [one for one in client.read_automations() if one.name.startswith(OURS)]
    deployed = [client.read_deployment_by_name(line.full_name) for line in DEPLOYMENTS]
    return {
        "limits": {one.name: (one.id, one.limit) for one in limits},
        "automations": {one.name: one.model_dump() for one in mine},
        "schedules": {one.name: [(s.schedule, s.active) for s in one.schedules] for one in deployed},
    }


@pytest.mark.integration
def test_the_writers_share_one_limit_and_applying_again_changes_nothing(runs: FlowRuns) -> None:
    with runs.client() as client:
        before = registered(client)
        assert before["limits"][STORE_WRITERS][1] == 1
        shared = before["limits"][STORE_WRITERS][0]
        for line in DEPLOYMENTS:
            found = client.read_deployment_by_name(line.full_name).global_concurrency_limit
            assert found is not None
            assert found.limit == 1
            assert (found.id == shared) is line.writes_store
        assert set(before["automations"]) == {one.name for one in automations()}
        [(night, active)] = before["schedules"]["nightly"]
        assert (night.cron, night.timezone, active) == ("30 18 * * 1-5", "America/New_York", True)
        # Another version of ours had one automation more, and another text.
        first, *others = automations()
        older = first.model_copy(update={"description": "old"})
        gone = first.model_copy(update={"name": f"{OURS}what nobody wants any more"})
        apply_automations(client, [older, gone, *others])
        assert set(registered(client)["automations"]) == {*before["automations"], gone.name}
        for _ in range(2):
            share_the_writers_limit(client)
            apply_automations(client, automations())
            after = registered(client)
            assert after["limits"] == before["limits"]
            assert after["schedules"] == before["schedules"]
            assert set(after["automations"]) == set(before["automations"])
            assert after["automations"][first.name]["description"] == first.description


def states(client: SyncPrefectClient, *names: Any) -> list[State[Any]]:
    found = [client.read_flow_run(name).state for name in names]
    assert all(found)
    return found  # type: ignore[return-value]


def wait_for(holds: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.accept
@pytest.mark.integration
def test_a_nightly_run_waits_for_a_backfill_of_the_same_store(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    config = tmp_path / "finnex.toml"
    config.write_text(served_project.read_text().replace("end = 2015-09-30", "end = 2015-03-06"))
    years = BackfillRequest(config=str(config), symbols=["NVDA"], start=date(2013, 6, 3), end=date(2023, 9, 20))
    with runs.client() as client:
        first = runs.start("finnex-backfill/backfill", years)
        wait_for(lambda: states(client, first)[0].type == StateType.RUNNING)
        second = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(config)))
        wait_for(lambda: states(client, second)[0].name == "AwaitingConcurrencySlot")
        assert states(client, first)[0].is_running()
        client.set_flow_run_state(first, State(type=StateType.CANCELLING))
        overlapped = 0

        def ended() -> bool:
            nonlocal overlapped
            now = states(client, first, second)
            overlapped += all(state.is_running() for state in now)
            return now[1].is_final()

        wait_for(ended)
        assert overlapped == 0
        assert [state.name for state in states(client, first, second)] == ["Cancelled", "Completed"]
        backfilled, nightly = (events_of(client, run) for run in (first, second))
    judged = {one.name: Judge.model_validate(one.trigger.model_dump(mode="json")) for one in automations()}
    silent, pending = (judged[f"{OURS}crash runs that {what}"] for what in ("fell silent", "do not start"))
    assert {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"} <= set(opened_by(silent, nightly))
    assert {"prefect.flow-run.Running", "prefect.flow-run.Cancelling"} <= set(opened_by(silent, backfilled))
    assert opened_by(pending, nightly) == ["prefect.flow-run.Pending"]
    for name, events in (("nightly", nightly), ("backfill", backfilled)):
        for line in DEPLOYMENTS:
            long = judged[f"{OURS}cancel {line.name} after {line.longest_hours:g} hours"]
            assert opened_by(long, events) == (["prefect.flow-run.Running"] if line.name == name else [])
    # And the end of a run is what all of them wait for.
    for trigger, last in ((pending, nightly[-1]), (silent, nightly[-1]), (silent, backfilled[-1])):
        assert trigger.covers(last)
        assert trigger.expects(last.event)


def events_of(client: SyncPrefectClient, run: Any) -> list[ReceivedEvent]:
    """Return the events of a run that has ended, the oldest first, once the last one has arrived."""
    day = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    wanted = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "occurred": day, "order": "ASC"}
    found: list[ReceivedEvent] = []

    def complete() -> bool:
        answer = client.request("POST", "/events/filter", json={"filter": wanted, "limit": 50}).json()["events"]
        found[:] = [ReceivedEvent.model_validate(event) for event in answer]
        return any(event.event.endswith(("Completed", "Cancelled")) for event in found)

    wait_for(complete)
    return sorted(found, key=lambda event: event.occurred)


def opened_by(trigger: Judge, events: Sequence[ReceivedEvent]) -> list[str]:
    """Return after which of the events of a run the server would begin to wait, each once."""
    return list(dict.fromkeys(one.event for one in events if trigger.covers(one) and trigger.starts_after(one.event)))


@pytest.mark.parametrize("line", DEPLOYMENTS, ids=lambda line: line.name)
def test_however_a_run_ends_its_tasks_are_looked_after(line: Deployment) -> None:
    flow = line.load()
    for end in ("completion", "failure", "cancellation", "crashed"):
        assert settle_tasks in getattr(flow, f"on_{end}_hooks"), end


@contextmanager
def hasty(runs: FlowRuns, **changes: Any) -> Iterator[SyncPrefectClient]:
    """Let the server's automations act within seconds, for a while."""
    with runs.client() as client:
        apply_automations(client, automations(**changes))
        time.sleep(4)  # until the server has noticed
        try:
            yield client
        finally:
            apply_automations(client, automations())


@pytest.mark.integration
def test_a_run_that_falls_silent_is_crashed_by_the_server(runs: FlowRuns) -> None:
    """The run below is nobody's: no process of it exists, as after the loss of a whole machine."""
    with hasty(runs, silent_seconds=10) as client:
        deployment = client.read_deployment_by_name("finnex-nightly/nightly")
        # A run of the flow, but not of the deployment: the runner of the stack must not take it up.
        body = {"flow_id": str(deployment.flow_id), "tags": list(TAGS), "state": {"type": "PENDING"}}
        run = client.request("POST", "/flow_runs/", json=body).json()["id"]
        client.set_flow_run_state(run, Running())
        heartbeat = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
            "related": [{"prefect.resource.id": f"prefect.tag.{TAGS[0]}", "prefect.resource.role": "tag"}],
        }
        client.request("POST", "/events", json=[heartbeat]).raise_for_status()
        wait_for(lambda: states(client, run)[0].type == StateType.CRASHED, 60)
        assert "no sign of life" in str(states(client, run)[0].message)


@pytest.mark.accept
@pytest.mark.integration
def test_a_run_whose_process_hangs_before_it_starts_is_crashed_by_the_server_and_blocks_nobody(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    project = other_project(served_project, tmp_path, A_FORTNIGHT)
    with hasty(runs, pending_minutes=0.2):
        hung = runs.start(BACKFILL, BackfillRequest(config=str(project)))
        process = until(lambda: process_of(hung))
        process.suspend()
        try:
            assert state_of(runs, hung).is_pending()
            queued = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(project), wait_minutes=0))
            until(lambda: state_of(runs, queued).name == "AwaitingConcurrencySlot")
            state = ends(runs, hung)
        finally:
            process.kill()
    told = "The run did not start within 0.2 minutes of being picked up."
    assert (state.type, state.message) == (StateType.CRASHED, told)
    assert ends(runs, queued).is_completed()
    assert runs.table(queued, "build-result")[0]["fingerprint"] == calm_fingerprint(project, tmp_path)
    until(lambda: process_of(hung) is None)
    assert state_of(runs, hung).message == told


@pytest.mark.accept
@pytest.mark.integration
def test_a_run_that_takes_too_long_is_cancelled_by_the_server_and_the_next_one_completes(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    """It takes long because another process holds the store."""
    project = other_project(served_project, tmp_path, A_FORTNIGHT)
    short = [
        line.model_copy(update={"longest_hours": 1 / 300}) if line.name == "backfill" else line for line in DEPLOYMENTS
    ]
    with writing(load_config(project).store.path), hasty(runs, deployments=short):
        run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
        assert ends(runs, run).type == StateType.CANCELLED
        until(lambda: process_of(run) is None)
    with runs.client() as client:
        told = [state.message for state in client.read_flow_run_states(run)]
    assert "The run took longer than the 0.00333333 hours that backfill may take." in told
    completes(runs, project, tmp_path, {})


@pytest.mark.integration
def test_what_a_killed_stack_left_under_way_is_ended_when_the_next_one_starts(runs: FlowRuns) -> None:
    with runs.client() as client:
        deployment = client.read_deployment_by_name("finnex-train/train")
        body = {"flow_id": str(deployment.flow_id), "state": {"type": "PENDING"}, "deployment_id": str(deployment.id)}
        left = client.request("POST", "/flow_runs/", json=body).json()["id"]
        client.set_flow_run_state(left, Running(), force=True)
        strangers = client.request("POST", "/flow_runs/", json=body | {"deployment_id": None}).json()["id"]
        client.set_flow_run_state(strangers, Running(), force=True)
        assert crash_what_was_left(client) == 1
        assert crash_what_was_left(client) == 0
        assert [state.name for state in states(client, left, strangers)] == ["Crashed", "Running"]
        client.delete_flow_run(strangers)
