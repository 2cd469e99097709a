"""The production stack: its files agree with each other, and what they start works together, without containers."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shlex
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
import yaml

import finnex
from finnex.cli.template import configuration_text
from finnex.config import load_config
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import READY, ImageStore
from flows.clusters.adapters import WORKER_ENVIRONMENT
from flows.clusters.cluster import cluster_client
from flows.clusters.identity import make_identity
from flows.deploy.deployments import DEPLOYMENTS, FILE, WORK_POOL
from flows.prefect_api.requests import BackfillRequest, NightlyRequest
from flows.prefect_api.runs import FlowRuns
from flows.servers.access import NAMES, authorization
from flows.servers.services import HEARTBEAT_SECONDS, PREFECT_SERVER_SETTINGS
from tests.helpers.composed import (
    COMPOSE,
    DOCKERFILE,
    EXAMPLE,
    ROOT,
    Composed,
    dockerfile,
    image_environment,
    interpolate,
    postgres_programs,
    running,
    services,
    variables_of,
)

SECRETS = ("FINNEX_PASSWORD", "FINNEX_SECRET_KEY", "POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
FILLED = dict.fromkeys(SECRETS, "given")
OURS = ("buckets", "prefect", "mlflow", "deploy", "worker", "identity", "scheduler", "dask-worker")

OPERATIONS = ROOT / "docs" / "operations.md"
ONCE = {"buckets", "deploy", "identity"}


def used_variables() -> set[str]:
    return set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))


def test_every_variable_is_explained_and_used_and_secrets_have_no_default() -> None:
    example = variables_of(EXAMPLE)
    assert used_variables() == set(example) - {"COMPOSE_PROFILES"}
    for name in SECRETS:
        assert example[name] == "", name
        assert set(re.findall(rf"\$\{{{name}([^}}]*)\}}", COMPOSE.read_text())) == {":?"}, name
    for name in set(example) - set(SECRETS) - {"COMPOSE_PROFILES"}:
        assert set(re.findall(rf"\$\{{{name}:-([^}}]*)\}}", COMPOSE.read_text())) == {example[name]}, name
    with pytest.raises(KeyError, match="is not set"):
        services(example)
    filled = example | dict.fromkeys(SECRETS, "given")
    for service in services(filled).values():
        assert "$" not in json.dumps(service)


def test_nothing_is_published_beyond_loopback_unless_told() -> None:
    given = services(dict.fromkeys(SECRETS, "given"))
    published = {name: service["ports"] for name, service in given.items() if "ports" in service}
    assert set(published) == {"prefect", "mlflow"}
    for name, ports in published.items():
        for port in ports:
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), (name, port)
            assert port.split(":")[2] in given[name]["expose"]


def test_no_container_is_root_has_a_capability_or_writes_outside_its_volumes() -> None:
    given = services(dict.fromkeys(SECRETS, "given"))
    for name, service in given.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert "/tmp" in service["tmpfs"], name
        assert int(service["user"].split(":")[0]) > 0, name
        assert not {"network_mode", "privileged", "cap_add", "devices", "pid", "ipc"} & set(service), name
        if name in OURS:
            assert service["user"] == dockerfile("USER")[0]


def test_every_image_is_pinned_and_none_is_a_preview() -> None:
    images = {name: service["image"] for name, service in services(variables_of(EXAMPLE) | FILLED).items()}
    bases = re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    foreign = [f"python:{base}" for base in bases] + [images[name] for name in images if name not in OURS]
    assert len(foreign) == 3
    for image in foreign:
        assert re.fullmatch(r"[\w/]+:\d+\.\d+[.\d]*[-\w]*@sha256:[0-9a-f]{64}", image), image
        assert not re.search(r"alpha|beta|rc|latest|preview", image), image
    assert {images[name] for name in OURS} == {f"finnex:{finnex.__version__}"}
    assert f"--tag finnex:{finnex.__version__} ." in DOCKERFILE.read_text()


def test_ports_agree_in_commands_checks_addresses_and_the_image() -> None:
    given = services(dict.fromkeys(SECRETS, "given"))
    listening = {(name, port) for name, service in given.items() for port in service.get("expose", [])}
    for name, service in given.items():
        spoken = json.dumps([service.get("command"), service.get("environment"), service.get("healthcheck")])
        for other in given:
            for port in re.findall(rf"(?<![\w.-]){other}:(\d+)", spoken):
                assert (other, port) in listening, (name, other, port)
        check = json.dumps(service.get("healthcheck", {}))
        for port in re.findall(r"(?:127\.0\.0\.1:|--port\", \")(\d+)", check):
            assert (name, port) in listening
        for port in service.get("expose", []):
            assert port in spoken or name == "postgres", (name, port)
    [exposed] = dockerfile("EXPOSE")
    assert set(exposed.split()) == {port for name, port in listening if name in OURS}


def test_services_of_one_image_are_watched() -> None:
    given = services(dict.fromkeys(SECRETS, "given"))
    assert [name for name, service in given.items() if "build" in service] == list(OURS)
    for name in OURS:
        service = given[name]
        assert service["init"] is True
        assert (ROOT / service["build"]["dockerfile"]) == DOCKERFILE
        assert (COMPOSE.parent / service["build"]["context"]).resolve() == ROOT
        once = service["restart"] == "no"
        assert once is (name in ONCE)
        assert once is ("healthcheck" not in service)
    assert {name for name, service in given.items() if "healthcheck" not in service} == ONCE
    used = {
        volume.split(":")[0]
        for service in given.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    for name, service in given.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in given[needed], (name, needed)
            elif how["condition"] == "service_completed_successfully":
                assert given[needed]["restart"] == "no", (name, needed)
    # A store is one path for whoever draws into it.
    assert "images:/data" in given["worker"]["volumes"]
    assert "images:/data" in given["dask-worker"]["volumes"]


def test_settings_are_those_of_the_code() -> None:
    given = services(dict.fromkeys(SECRETS, "given"))
    assert PREFECT_SERVER_SETTINGS.items() <= given["prefect"]["environment"].items()
    assert NAMES in given["prefect"]["environment"]
    assert WORKER_ENVIRONMENT.items() <= given["dask-worker"]["environment"].items()
    worker = given["worker"]
    assert worker["command"][worker["command"].index("--pool") + 1] == WORK_POOL
    pull = yaml.safe_load(FILE.read_text())["pull"]
    [folder] = re.findall(r"\$(\w+)", json.dumps(pull))
    assert folder in worker["environment"]
    assert image_environment()["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert not any("MLFLOW_ALLOW_PICKLE_DESERIALIZATION" in one.get("environment", {}) for one in given.values())
    # The key that models are sealed with lies on a volume: it outlives the container.
    assert worker["environment"]["FINNEX_HOME"].startswith("/state/")
    assert "worker:/state" in worker["volumes"]


def test_the_image_has_what_the_commands_need() -> None:
    text = DOCKERFILE.read_text()
    [user] = dockerfile("USER")
    assert text.index(f"USER {user}") < text.index("CMD ")
    assert text.count("\nFROM ") == 2
    [command] = dockerfile("CMD")
    assert json.loads(command) == ["finnex", "--help"]
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    stage = text[: text.rindex("\nFROM ")]
    copied = [word for line in stage.splitlines() if line.startswith("COPY ") for word in shlex.split(line)[1:-1]]
    copied += [words.split()[0] for words in dockerfile("COPY") if not words.startswith("--from")]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    image = dict(words.split()[::-1] for words in dockerfile("COPY") if not words.startswith("--from"))
    for service in services().values():
        for path in re.findall(r"/opt/finnex/[\w./]+", json.dumps(service)):
            assert path in image or str(Path(path).parent) in image, path
    assert image_environment()["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"


def test_interpolation_is_composes() -> None:
    assert interpolate("a${X:-b}c", {}) == "abc"
    assert interpolate({"k": ["${X:-b}"]}, {"X": "1"}) == {"k": ["1"]}
    assert interpolate("${X:-b}", {"X": ""}) == "b"
    with pytest.raises(KeyError, match="X is not set"):
        interpolate("${X:?}", {"X": ""})


def dask_settings(composed: Composed) -> str:
    """Return what docs/operations.md says of [dask], for the processes of this machine."""
    [told] = re.findall(r'^address = "tls://scheduler:8786"\n(?:.+\n)+?(?=```)', OPERATIONS.read_text(), re.MULTILINE)
    return str(composed.here("worker", told))


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, sample_inputs: dict[str, Path]
) -> Iterator[tuple[Composed, Path]]:
    """The whole stack, up, and the project folder that it works on."""
    if postgres_programs() is None:
        pytest.skip("Debian's PostgreSQL is not installed: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("production")
    project = folder / "project"
    project.mkdir()
    given = {name: secrets.token_hex(16) for name in SECRETS} | {
        "FINNEX_PROJECT": str(project), "DASK_MEMORY": "1GiB", "S3_ENDPOINT": "http://s3:9000",
    }  # fmt: skip
    composed = Composed(folder, variables_of(EXAMPLE) | given)
    inputs = {name: str(table) for name, table in sample_inputs.items()}
    text = configuration_text(
        inputs, ["NVDA"], start=date(2015, 3, 2), end=date(2015, 3, 12), synthetic=SYNTHETIC_TABLES
    )
    images = composed.folders("worker")["/data"]
    text = text.replace('path = "images.zarr"', f'path = "{images}/images.zarr"')
    text = text.replace("[dask] ", f"[dask]\n{dask_settings(composed)}\n#")
    (project / "finnex.toml").write_text(text)
    with running(composed):
        yield composed, project


def ask(address: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"} | (headers or {}))
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def status(address: str, headers: dict[str, str] | None = None, body: dict[str, Any] | None = None) -> int:
    try:
        ask(address, body, headers)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


@pytest.mark.accept
@pytest.mark.integration
def test_a_backfill_and_a_night_run_through_worker_and_dask_into_the_store(
    production: tuple[Composed, Path],
) -> None:
    composed, project = production
    password = composed.variables["FINNEX_PASSWORD"]
    runs = FlowRuns(composed.address("prefect", "4200"), f"finnex:{password}")
    request = BackfillRequest(config="finnex.toml", start=date(2015, 3, 2), end=date(2015, 3, 6))
    backfill = runs.start("finnex-backfill/backfill", request)
    runs.follow(backfill, lambda *_: None)
    assert runs.table(backfill, "build-result")[0]["built"] == 5
    night = runs.start("finnex-nightly/nightly", NightlyRequest(config="finnex.toml"))
    runs.follow(night, lambda *_: None)
    built = runs.table(night, "build-result")[0]
    assert (built["built"], built["skipped"], built["failed"]) == (4, 5, 0)
    store = ImageStore.open(load_config(project / "finnex.toml").store.path)
    assert (store.state("NVDA").status == READY).sum() == 9
    assert np.isfinite(store.image("NVDA", np.datetime64("2015-03-06", "D"))).all()
    with runs.client() as client:
        assert client.read_work_pool(WORK_POOL).type == "process"
        [night_schedule] = client.read_deployment_by_name("finnex-nightly/nightly").schedules
        assert night_schedule.active
        deployed = [client.read_deployment_by_name(line.full_name) for line in DEPLOYMENTS]
        assert {one.work_pool_name for one in deployed} == {WORK_POOL}
        for one in deployed:  # whatever the worker's own settings are
            assert one.job_variables["env"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}


@pytest.mark.integration
def test_only_the_certificate_of_the_stack_opens_dask_and_its_pages_tell_nothing(
    production: tuple[Composed, Path], tmp_path: Path
) -> None:
    composed, project = production
    with cluster_client(load_config(project / "finnex.toml")) as client:
        assert client is not None
        assert len(client.scheduler_info()["workers"]) == 2
    address = f"127.0.0.1:{composed.ports['scheduler', '8786']}"
    for protocol, security in (("tcp", None), ("tls", make_identity(tmp_path))):
        with pytest.raises(OSError, match=r"closed|TLS certificate does not match"):
            distributed.Client(f"{protocol}://{address}", security=security, set_as_default=False, timeout=2)
    with urllib.request.urlopen(composed.address("scheduler", "8787") + "/health", timeout=10) as health:
        assert health.read() == b"ok"
    for page in ("/json/counts.json", "/info/main/workers.html", "/metrics", "/status", "/proxy/80/127.0.0.1/"):
        assert status(composed.address("scheduler", "8787") + page) == 404, page
    key = Path(composed.folders("identity")["/tls"]) / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    composed.start("identity")
    assert key.read_bytes() == before  # a second start keeps it: running containers know it


@pytest.mark.integration
def test_services_cannot_write_outside_their_volumes(production: tuple[Composed, Path]) -> None:
    composed, _ = production
    if not composed.can_be_read_only:
        pytest.skip("no mount namespaces here")
    for service in OURS:
        writable = composed.confined(service, ["touch", str(composed.folder / "outside")])
        assert "Read-only file system" in subprocess.run(writable, capture_output=True, text=True, check=False).stderr
        inside = f"{composed.folders(service)['/tmp']}/inside"
        subprocess.run(composed.confined(service, ["touch", inside]), check=True)


@pytest.mark.accept
@pytest.mark.integration
def test_deploying_again_changes_nothing(production: tuple[Composed, Path]) -> None:
    composed, _ = production
    runs = FlowRuns(composed.address("prefect", "4200"), f"finnex:{composed.variables['FINNEX_PASSWORD']}")

    def told() -> dict[str, Any]:
        with runs.client() as client:
            deployed = [client.read_deployment_by_name(line.full_name) for line in DEPLOYMENTS]
            return {
                "automations": sorted((one.name, one.id) for one in client.read_automations()),
                "limits": sorted((one.name, one.limit) for one in client.read_global_concurrency_limits(limit=50)),
                "deployments": [
                    (one.name, one.id, one.global_concurrency_limit.name, one.parameters, one.pull_steps, one.tags)
                    for one in deployed
                    if one.global_concurrency_limit is not None
                ],
                "schedules": [[(each.schedule, each.active) for each in one.schedules] for one in deployed],
            }

    before = told()
    assert len(before["deployments"]) == len(DEPLOYMENTS)
    composed.start("deploy")
    assert told() == before


@pytest.mark.integration
def test_only_the_password_of_the_env_file_opens_prefect_and_mlflow(production: tuple[Composed, Path]) -> None:
    composed, _ = production
    password = composed.variables["FINNEX_PASSWORD"]
    doors = {
        composed.address("prefect", "4200") + "/api/flows/count": {},
        composed.address("mlflow", "5000") + "/api/2.0/mlflow/experiments/search": {"max_results": 1},
    }
    strangers: list[dict[str, str]] = [
        {},
        authorization("admin", "password1234"),
        authorization("admin", "password"),
        authorization("admin", "pass"),
        authorization("finnex", "finnex"),
        authorization("", ""),
    ]
    for address, body in doors.items():
        assert status(address, authorization("finnex", password), body) == 200
        for header in strangers:
            assert status(address, header, body) == 401, (address, header)
        name = {"Host": "attacker.example"} | authorization("finnex", password)
        page = {"Origin": "http://attacker.example"} | authorization("finnex", password)
        assert status(address, name, body) == 403, address
        assert status(address, page, body) == 403, address


@pytest.mark.integration
def test_artifacts_go_through_mlflow_into_the_bucket(production: tuple[Composed, Path]) -> None:
    import boto3

    composed, _ = production
    mlflow = composed.address("mlflow", "5000")
    header = authorization("finnex", composed.variables["FINNEX_PASSWORD"])
    made = ask(f"{mlflow}/api/2.0/mlflow/experiments/create", {"name": "proxied"}, header)
    info = ask(
        f"{mlflow}/api/2.0/mlflow/runs/create", {"experiment_id": made["experiment_id"], "run_name": "one"}, header
    )["run"]["info"]
    assert info["artifact_uri"].startswith("mlflow-artifacts:/")
    path = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    request = urllib.request.Request(
        f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/{path}/hello.txt", b"hello", header, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 200
    s3 = boto3.client(
        "s3", endpoint_url=composed.address("s3", "9000"), region_name="us-east-1",
        aws_access_key_id=composed.variables["S3_ACCESS_KEY"],
        aws_secret_access_key=composed.variables["S3_SECRET_KEY"],
    )  # fmt: skip
    assert {one["Name"] for one in s3.list_buckets()["Buckets"]} == {"finnex-artifacts", "finnex-images"}
    found = s3.get_object(Bucket="finnex-artifacts", Key=f"mlflow/{path}/hello.txt")["Body"].read()
    assert found == b"hello"


@pytest.mark.integration
def test_no_secret_is_in_any_log_of_the_stack(production: tuple[Composed, Path]) -> None:
    composed, _ = production
    logs = {path.name: path.read_text(errors="replace") for path in composed.folder.glob("*.log")}
    assert len(logs) >= len(composed.services)
    assert sum(len(text) for text in logs.values()) > 1000
    for name in SECRETS:
        secret = composed.variables[name]
        for shown in (secret, base64.b64encode(f"finnex:{secret}".encode()).decode()):
            assert [log for log, text in logs.items() if shown in text] == [], name
