"""A page of another local server attacks Prefect and MLflow in a real browser; without the gate it succeeds."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from flows.servers.services import answers
from flows.servers.stack import Stack
from tests.helpers.registered import free_port

pytest_plugins = ("tests.helpers.servers",)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]  # starts four servers

PAGE = Path(__file__).with_name("hostile_page.html").read_bytes()
CREATIONS = {
    "prefect": [["/api/flows/", '{"name": "NAME"}'], ["/api/variables/", '{"name": "NAME", "value": "x"}']],
    "mlflow": [
        ["/api/2.0/mlflow/experiments/create", '{"name": "NAME"}'],
        ["/ajax-api/2.0/mlflow/registered-models/create", '{"name": "NAME"}'],
    ],
}
READS = {"prefect": "/api/admin/version", "mlflow": "/api/2.0/mlflow/experiments/get?experiment_id=0"}
SOCKETS = {"prefect": "/api/events/out", "mlflow": None}
NAMES_OF_LOOPBACK = 2
WRITES = {"json", "open", "text", "untyped", "blind", "blind_untyped", "beacon", "form"}


class Attacker(http.server.ThreadingHTTPServer):
    """Serves the page at every address, and takes down every request that its page sends it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.port = int(self.server_address[1])
        self.bodies: list[bytes] = []


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Attacker

    def do_GET(self) -> None:
        self._answer()

    def do_OPTIONS(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", "*"))
        self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    server = Attacker()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Debian's chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def ungated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Prefect and MLflow as they start by themselves, on loopback too: by name, their addresses."""
    root = tmp_path_factory.mktemp("ungated")
    ports = {"prefect": free_port(), "mlflow": free_port()}
    commands = {
        "prefect": ["prefect", "server", "start", "--no-services"],
        "mlflow": [
            *("mlflow", "server", "--workers", "1", "--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}"),
            *("--artifacts-destination", str(root / "artifacts")),
        ],
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment = inherited | {
        "PREFECT_HOME": str(root / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(root / "ui"), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    ready = {"prefect": "/api/ready", "mlflow": "/health"}
    processes = []
    try:
        for name, command in commands.items():
            whole = [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(ports[name])]
            with (root / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(whole, stdout=log, stderr=log, env=environment, start_new_session=True)
                )
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        deadline = time.monotonic() + 180
        for name, address in addresses.items():
            while not answers(address + ready[name]):
                assert time.monotonic() < deadline, (root / f"{name}.log").read_text()
                time.sleep(0.5)
        yield addresses
    finally:
        for process in processes:
            os.killpg(process.pid, 15)
        for process in processes:
            process.wait(30)


def asked(address: str, document: Any = None) -> str:
    """Return the answer to a program of this machine, which sends no Origin."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return str(reply.read().decode())


def planted(server: str, address: str) -> set[str]:
    """Return the names of all that a page has created."""
    if server == "prefect":
        found = [asked(f"{address}/api/{kind}/filter", {}) for kind in ("flows", "variables")]
    else:
        api = f"{address}/api/2.0/mlflow"
        found = [asked(f"{api}/experiments/search", {"max_results": 1000})]
        found += [asked(f"{api}/registered-models/search?max_results=1000")]
    return set(re.findall(r"planted_\w+", " ".join(found)))


def page_files(address: str) -> dict[str, str]:
    """Return a script and a picture that the pages of a server use, as paths."""
    html = asked(f"{address}/")
    found = {}
    for kind, pattern in (("script", r'src="([^"]+\.js)"'), ("image", r'href="([^"]+\.(?:ico|svg|png))"')):
        match = re.search(pattern, html)
        assert match is not None, html
        found[kind] = "/" + match[1].removeprefix(".").removeprefix("/")
    return found


def attack(browser: Browser, attacker: Attacker, server: str, address: str) -> tuple[dict[str, Any], list[str]]:
    """Attack a server by both of its local names, from pages of both names of another server.

    Returns
    -------
    dict, list
        What the pages could read or open, by way; and what was shown in frames.
    """
    got: dict[str, Any] = {}
    frames = []
    pages = page_files(address) | {"read": READS[server]}
    for number, (name, target) in enumerate(
        (name, target) for name in ("127.0.0.1", "localhost") for target in ("127.0.0.1", "localhost")
    ):
        page = browser.new_page()
        page.goto(f"http://{name}:{attacker.port}/")
        where = address.replace("127.0.0.1", target)
        script = "([...given]) => attack(...given)"
        answer = page.evaluate(script, [where, CREATIONS[server], pages, SOCKETS[server], str(number)])
        got |= {f"{name} {target} {way}": one for way, one in answer.items() if one is not None}
        frames += [frame.content() for frame in page.frames if frame.url == f"{where}/"]
        page.close()
    return got, frames


@pytest.mark.parametrize("server", ["prefect", "mlflow"])
def test_a_page_of_another_local_port_creates_and_reads_nothing_behind_the_gate(
    server: str, stack: Stack, browser: Browser, attacker: Attacker
) -> None:
    address = stack.prefect_address if server == "prefect" else stack.mlflow_address
    got, frames = attack(browser, attacker, server, address)
    assert got == {}
    assert planted(server, address) == set()
    assert len(frames) == NAMES_OF_LOOPBACK**2
    assert all("<script" not in shown and "may not use this server" in shown for shown in frames), frames


@pytest.mark.accept
@pytest.mark.parametrize("server", ["prefect", "mlflow"])
def test_the_same_page_succeeds_on_a_server_without_a_gate(
    server: str, ungated: dict[str, str], browser: Browser, attacker: Attacker
) -> None:
    got, _ = attack(browser, attacker, server, ungated[server])
    made = planted(server, ungated[server])
    kinds = {name.rsplit("_", 1)[1] for name in made}
    assert kinds == {"0", "1"}, "an object of each kind"
    ways = {way.split()[2] for way in got}
    wanted = {"image", "script"} | ({"socket"} if SOCKETS[server] else set())
    assert wanted | {"open", "get_open"} <= ways, got


def test_every_way_of_the_page_sends_its_request(browser: Browser, attacker: Attacker) -> None:
    page = browser.new_page()
    page.goto(f"http://localhost:{attacker.port}/")
    pages = {"read": "/", "image": "/", "script": "/"}
    where = f"http://127.0.0.1:{attacker.port}"
    got = page.evaluate("([...given]) => attack(...given)", [where, [["/", '{"name": "NAME"}']], pages, None, "all"])
    page.close()
    sent = {json.loads(body)["name"] for body in attacker.bodies}
    assert sent == {f"planted_all_{way}_0" for way in WRITES}
    assert {way.split()[0] for way, one in got.items() if one is not None} >= {
        "json",
        "open",
        "text",
        "untyped",
        "get",
        "get_open",
    }
