"""Who may drive the servers, and what is never shown."""

from __future__ import annotations

import base64
import inspect
import json
import os
import re
import secrets
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from finnex.cli import COMMANDS
from finnex.config import parse_config
from finnex.errors import ConfigError, ServiceError
from flows.prefect_api.requests import NightlyRequest, TrainRequest
from flows.prefect_api.runs import FlowRuns
from flows.recording import end_open_runs
from flows.servers.access import PASSWORD, USER, at_port, authorization, host_names, is_loopback, server_password
from flows.servers.services import Door, mlflow_server
from flows.servers.stack import Stack

pytest_plugins = ("tests.helpers.servers",)

ROOT = Path(__file__).parents[2]
FOREIGN = "http://attacker.example"


def finnex(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finnex.cli", *arguments]
    given = {key: value for key, value in os.environ.items() if key != PASSWORD} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=given)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "finnex.example"])
def test_nobody_else_gets_in_without_a_password(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    assert not is_loopback(host)
    with pytest.raises(ServiceError, match=rf"need a password.*Set {PASSWORD}"):
        server_password(host)
    for short in ("", "elevenchars"):
        monkeypatch.setenv(PASSWORD, short)
        with pytest.raises(ServiceError, match=PASSWORD):
            server_password(host)
    monkeypatch.setenv(PASSWORD, "twelve chars")
    assert server_password(host) == "twelve chars"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_a_password_is_asked_for_if_one_is_set(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    assert server_password(host) is None
    monkeypatch.setenv(PASSWORD, "twelve chars")
    assert server_password(host) == "twelve chars"


def test_up_refuses_to_listen_elsewhere_without_a_password_and_starts_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = finnex("up", "--state", str(state), "--host", "0.0.0.0")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Set {PASSWORD}" in done.stderr
    assert not state.exists()
    for host in ("no.such.name.invalid", "192.0.2.1"):  # the second is nobody's, by RFC 5737
        done = finnex("up", "--state", str(state), "--host", host, FINNEX_PASSWORD="a long password")
        assert done.returncode == 2
        assert f"--host {host} is no address of this machine" in done.stderr
        assert "a long password" not in done.stderr + done.stdout


def test_a_door_knows_its_names() -> None:
    assert Door("127.0.0.1", 4200).names == ("127.0.0.1:4200", "localhost:4200")
    assert Door("192.168.1.7", 4200).names[0] == "192.168.1.7:4200"
    assert Door("::1", 4200).address == "http://[::1]:4200"
    everywhere = Door("0.0.0.0", 4200)
    assert everywhere.inside == "http://127.0.0.1:4200"
    assert at_port(socket.gethostname(), 4200) == everywhere.names[0]
    assert {"127.0.0.1", "localhost"} <= set(host_names("0.0.0.0"))


def request(
    address: str, headers: dict[str, str] | None = None, body: bytes | None = None, method: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of an answer."""
    asked = urllib.request.Request(address, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=20) as reply:
            return reply.status, reply.read(), dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


@pytest.mark.integration
def test_no_web_page_drives_the_servers_of_this_machine(stack: Stack) -> None:
    """Each of these is what a browser sends for a page of another site, or for a name that it resolves to us."""
    prefect, mlflow = stack.prefect_address, stack.mlflow_address
    own = {"Origin": prefect}
    flow = json.dumps({"name": "planted"}).encode()
    plain = {"Content-Type": "text/plain", "Origin": FOREIGN}  # such a POST needs no permission of the server
    for headers in (plain, {"Origin": FOREIGN, "Content-Type": "application/json"}, {"Origin": "null"}):
        assert request(f"{prefect}/api/flows/", headers, flow)[0] == 403
    name = {"Host": "attacker.example:4200", "Content-Type": "application/json"}
    assert request(f"{prefect}/api/flows/", name, flow)[0] == 403
    assert request(f"{prefect}/api/admin/version", {"Host": "attacker.example"})[0] == 403
    asking = {"Origin": FOREIGN, "Access-Control-Request-Method": "POST"}
    status, _, told = request(f"{prefect}/api/flows/", asking, method="OPTIONS")
    assert (status, "access-control-allow-origin" in {key.lower() for key in told}) == (403, False)
    wanted = json.dumps({"flows": {"name": {"any_": ["planted"]}}}).encode()
    status, found, _ = request(f"{prefect}/api/flows/filter", own | {"Content-Type": "application/json"}, wanted)
    assert (status, found) == (200, b"[]")
    socket_address = prefect.replace("http", "ws") + "/api/events/out"
    with pytest.raises(InvalidStatus, match="403"), connect(socket_address, origin=FOREIGN):  # type: ignore[arg-type]
        pass
    with connect(socket_address, origin=prefect, subprotocols=["prefect"]):  # type: ignore[arg-type,list-item]
        pass
    create, body = f"{mlflow}/api/2.0/mlflow/experiments/create", json.dumps({"name": "planted"}).encode()
    for headers in (plain, {"Origin": FOREIGN}, {"Host": "attacker.example"}):
        assert request(create, headers | {"Content-Type": "application/json"}, body)[0] == 403
    assert request(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=planted")[0] == 404


class Planted:
    """Secrets as a careless operator has them, and a stack that other machines may reach."""

    def __init__(self, stack: Stack, values: dict[str, str]) -> None:
        self.stack, self.values = stack, values

    @property
    def password(self) -> str:
        return self.values[PASSWORD]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, served_project: Path) -> Iterator[Planted]:
    values = {name: secrets.token_hex(16) for name in (PASSWORD, "AWS_SECRET_ACCESS_KEY", "SOME_API_TOKEN")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
        state = tmp_path_factory.mktemp("planted")
        with Stack(state, host="0.0.0.0", prefect_port=0, mlflow_port=0, config=served_project) as running:
            yield Planted(running, values)


@pytest.mark.integration
def test_beyond_loopback_both_servers_want_the_password(planted: Planted) -> None:
    stack, body = planted.stack, b'{"max_results": 1}'
    doors = (
        stack.prefect_address + "/api/flows/count",
        stack.mlflow_address + "/api/2.0/mlflow/experiments/search",
        stack.mlflow_address + "/ajax-api/2.0/mlflow/experiments/search",
    )
    for address in doors:
        kind = {"Content-Type": "application/json"}
        data = body if "mlflow" in address else b"{}"
        assert request(address, kind | authorization(USER, planted.password), data)[0] == 200, address
        for user, password in (("", ""), (USER, "password1234"), ("admin", planted.password), ("admin", "admin")):
            assert request(address, kind | authorization(user, password), data)[0] == 401, address
        assert request(address, kind, data)[0] == 401, address
        foreign = kind | {"Host": "attacker.example"}
        assert request(address, foreign | authorization(USER, planted.password), data)[0] == 403, address
    events = stack.prefect_address.replace("http", "ws") + "/api/events/out"
    with connect(events, subprotocols=["prefect"]) as client:  # type: ignore[list-item]
        client.send(json.dumps({"type": "auth", "token": f"{USER}:wrong"}))
        with pytest.raises(ConnectionClosedError, match="1008"):
            client.recv(20)


@pytest.mark.integration
def test_no_secret_is_shown_or_stored_by_a_run(planted: Planted, served_project: Path, tmp_path: Path) -> None:
    stack, config = planted.stack, tmp_path / "finnex.toml"
    config.write_text(served_project.read_text().replace("end = 2015-09-30", "end = 2015-03-06"))
    runs = FlowRuns(stack.prefect_address, stack.auth_string)
    ended = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(config)))
    runs.follow(ended, lambda *_: None)
    failed = runs.start("finnex-train/train", TrainRequest(config="/nowhere/finnex.toml"))
    with pytest.raises(ServiceError, match="nowhere"):
        runs.follow(failed, lambda *_: None)
    files = [path for path in stack.state.rglob("*") if path.is_file()]
    assert {"prefect.db", "mlflow.db", "prefect.log", "mlflow.log", "flows.log"} <= {path.name for path in files}
    shown = {str(path): path.read_bytes() for path in files}
    told = finnex("info", "--config", str(config), "--json", **planted.values)
    assert json.loads(told.stdout)["symbols"]["NVDA"]["ready"] == 5
    shown["finnex info"] = (told.stdout + told.stderr).encode()
    with runs.client() as client:
        logs = client.request("POST", "/logs/filter", json={}).content
        assert len(logs) > 100
        shown["logs"] = logs
    for name, secret in planted.values.items():
        for form in (secret.encode(), base64.b64encode(f"{USER}:{secret}".encode())):
            assert [where for where, text in shown.items() if form in text] == [], name


def test_no_command_takes_a_password_on_its_command_line() -> None:
    for command in COMMANDS:
        options = inspect.signature(command).parameters
        assert [name for name in options if re.search("passw|secret|token|auth|key", name)] == [], command.__name__


def test_a_changed_password_counts_from_the_next_start_on_and_is_in_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    (folder / "users.db").write_text("an earlier password")
    service = mlflow_server(tmp_path, Door("127.0.0.1", 5000, "a new password"))
    service.prepare()
    assert not (folder / "users.db").exists(), "MLflow makes it from the password of its environment"
    assert service.environment["MLFLOW_AUTH_ADMIN_PASSWORD"] == "a new password"
    assert "a new password" not in (folder / "auth.ini").read_text()
    assert "a new password" not in service.command
    assert stat.S_IMODE((folder / "auth.ini").stat().st_mode) == 0o600


@pytest.mark.integration
def test_our_own_calls_to_mlflow_carry_the_password(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    address = planted.stack.mlflow_address
    with pytest.raises(urllib.error.HTTPError, match="401"):
        end_open_runs(address, "nobodys", "a-flow-run")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", planted.password)
    assert end_open_runs(address, "nobodys", "a-flow-run") == 0


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").touch()
    document: dict[str, Any] = {
        "inputs": {"prices": "prices.csv"},
        "symbols": ["A"],
        "store": {"path": "s"},
        "mlflow": {"uri": "http://finnex:hunter2hunter2@mlflow:5000"},
        "dask": {"address": "tcp://finnex:hunter2hunter2@scheduler:8786"},
    }
    with pytest.raises(ConfigError) as told:
        parse_config(document, tmp_path / "finnex.toml")
    assert "hunter2" not in str(told.value)
    assert str(told.value).count("into the environment") == 2
    assert "'mlflow.uri'" in str(told.value)
