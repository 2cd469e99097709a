"""The gate before Prefect and MLflow: forged headers on real servers, and no way around it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.servers.services import MARK
from flows.servers.stack import Stack, close_to_others

pytest_plugins = ("tests.helpers.servers",)
pytestmark = pytest.mark.integration

MEGABYTE = 1 << 20
REFUSED = {400, 403}
"""400 is the HTTP parser's own answer, to two Host headers for instance."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def speak(address: str, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> Answer:
    """Send a request as it is written here, every header as given: no library corrects it."""
    port = urlsplit(address).port
    assert port is not None
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall("\r\n".join(lines).encode("latin-1") + body)
        with contextlib.closing(http.client.HTTPResponse(line)) as reply:
            reply.begin()
            return Answer(reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read())


def creation(server: str) -> tuple[str, bytes]:
    """Return path and body of a request that changes the state of a server."""
    if server == "prefect":
        return "/api/flows/", b'{"name": "planted"}'
    return "/api/2.0/mlflow/registered-models/create", b'{"name": "planted"}'


def planted(stack: Stack) -> list[str]:
    """Return where something was created by name `planted`."""
    found = []
    body = json.dumps({"flows": {"name": {"any_": ["planted"]}}}).encode()
    headers = [("Host", own(stack.prefect_address)), ("Content-Type", "application/json")]
    flows = speak(stack.prefect_address, "POST", "/api/flows/filter", headers, body)
    assert flows.status == 200
    if json.loads(flows.body):
        found.append("prefect")
    wanted = "/api/2.0/mlflow/registered-models/get?name=planted"
    model = speak(stack.mlflow_address, "GET", wanted, [("Host", own(stack.mlflow_address))])
    assert model.status in {200, 404}
    if model.status == 200:
        found.append("mlflow")
    return found


def own(address: str) -> str:
    return urlsplit(address).netloc


def address_of(stack: Stack, server: str) -> str:
    return stack.prefect_address if server == "prefect" else stack.mlflow_address


SERVERS = ("prefect", "mlflow")

# {P} is the port of the server that is asked, {Q} the port of another local server.
FOREIGN_HOSTS = (
    "attacker.example", "attacker.example:{P}", "ATTACKER.Example:{P}", "127.0.0.1.attacker.example:{P}",
    "localhost.attacker.example:{P}", "localtest.me:{P}", "127.0.0.1.nip.io:{P}", "127.0.0.2:{P}", "10.0.0.1:{P}",
    "192.168.1.7:{P}", "172.16.0.1:{P}", "0.0.0.0:{P}", "127.1:{P}", "2130706433:{P}", "0x7f000001:{P}",
    "0177.0.0.1:{P}", "[::1]:{P}", "[::]:{P}", "[::ffff:127.0.0.1]:{P}", "[0:0:0:0:0:0:0:1]:{P}", "[::1%lo]:{P}",
    "::1", "127.0.0.1", "localhost", "127.0.0.1:", "127.0.0.1:80", "127.0.0.1:{Q}", "localhost:{Q}", "127.0.0.1.:{P}",
    "localhost.:{P}", "localhost..:{P}", "127.0.0.1:{P}:{P}", "127.0.0.1:{P}@attacker.example",
    "attacker.example@127.0.0.1:{P}", "127.0.0.1:{P},attacker.example", "127.0.0.1:{P}#", "127.0.0.1:{P}/",
    "http://127.0.0.1:{P}", "127.0.0.1 :{P}", "127.0.0.1:0{P}", "*", "null", "",
)  # fmt: skip
FOREIGN_ORIGINS = (
    "http://127.0.0.1:{Q}", "http://localhost:{Q}", "http://[::1]:{Q}", "http://127.0.0.1", "http://localhost",
    "http://localhost:{P}", "http://[::1]:{P}", "http://127.0.0.2:{P}", "http://LOCALHOST:{Q}", "https://127.0.0.1:{P}",
    "https://127.0.0.1", "ws://127.0.0.1:{P}", "file://", "file://127.0.0.1:{P}", "null", "NULL", "*", "",
    "chrome-extension://abcdefgh", "moz-extension://127.0.0.1:{P}", "http://attacker.example",
    "http://attacker.example:{P}", "http://127.0.0.1:{P}.attacker.example", "http://127.0.0.1.attacker.example:{P}",
    "http://127.0.0.1:{P}@attacker.example", "http://attacker.example@127.0.0.1:{P}", "http://127.0.0.1:{P}/",
    "http://127.0.0.1:{P}/page", "http://127.0.0.1.:{P}", "http://127.0.0.1:{P}:80", "//127.0.0.1:{P}", "127.0.0.1:{P}",
    "http:127.0.0.1:{P}", "http://127.0.0.1:{P} http://attacker.example", "http://127.0.0.1:{P}, http://127.0.0.1:{P}",
)  # fmt: skip


@pytest.fixture(scope="module")
def neighbour() -> Iterator[int]:
    """The port of another server of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_for_a_foreign_host_is_refused(stack: Stack, server: str, neighbour: int) -> None:
    address = address_of(stack, server)
    port, (path, body) = urlsplit(address).port, creation(server)
    kind = ("Content-Type", "application/json")
    for name in FOREIGN_HOSTS:
        host = name.replace("{P}", str(port)).replace("{Q}", str(neighbour))
        for asked in (("POST", path, body), ("GET", "/", b""), ("GET", "/health", b""), ("GET", "/api/health", b"")):
            answer = speak(address, asked[0], asked[1], [("Host", host), kind], asked[2])
            assert answer.status in REFUSED, (host, asked)
    mine = own(address)
    several = (
        [("Host", mine), ("Host", "attacker.example")], [("Host", "attacker.example"), ("Host", mine)],
        [("Host", mine), ("Host", mine)], [],
    )  # fmt: skip
    for headers in several:
        assert speak(address, "POST", path, [*headers, kind], body).status in REFUSED, headers
    for forwarded in ("X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"):
        headers = [("Host", "attacker.example"), (forwarded, f"host={mine}" if forwarded == "Forwarded" else mine)]
        assert speak(address, "POST", path, [*headers, kind], body).status in REFUSED, headers
    assert planted(stack) == []


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", ""])
def test_a_page_of_another_origin_changes_and_reads_nothing(
    stack: Stack, server: str, neighbour: int, kind: str
) -> None:
    address = address_of(stack, server)
    port, (path, body) = urlsplit(address).port, creation(server)
    for text in FOREIGN_ORIGINS:
        origin = text.replace("{P}", str(port)).replace("{Q}", str(neighbour))
        page = [("Host", own(address)), ("Origin", origin)] + ([("Content-Type", kind)] if kind else [])
        preflight = [*page, ("Access-Control-Request-Method", "POST")]
        for method, headers in (("POST", page), ("PUT", page), ("DELETE", page), ("GET", page), ("OPTIONS", preflight)):
            answer = speak(address, method, path, headers, body if method == "POST" else b"")
            assert answer.status == 403, (origin, method, answer.body[:200])
            shown = [name for name in answer.headers if name.startswith("access-control-")]
            assert shown == [], (origin, method)
    mine = f"http://{own(address)}"
    for pair in ((mine, "http://attacker.example"), ("http://attacker.example", mine)):
        headers = [("Host", own(address)), *(("Origin", one) for one in pair)]
        assert speak(address, "POST", path, headers, body).status in REFUSED, pair
    assert planted(stack) == []


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_browser_marks_as_another_sites_is_refused_even_without_an_origin(stack: Stack, server: str) -> None:
    address = address_of(stack, server)
    path, body = creation(server)
    host, kind = ("Host", own(address)), ("Content-Type", "application/json")

    def asked(method: str, site: str, mode: str, dest: str, where: str = "/") -> int:
        headers = [host, kind, ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)]
        return speak(address, method, where, headers, body if method == "POST" else b"").status

    for site in ("cross-site", "same-site", "Cross-Site", "nonsense", ""):
        for mode in ("no-cors", "cors", "navigate", "websocket"):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                assert asked(method, site, mode, "document", path) == 403, (method, site, mode)
        for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")):
            assert asked("GET", site, mode, dest) == 403, (site, mode, dest)
        assert asked("GET", site, "navigate", "document") in {200, 307}, "a link, followed by a person"
    twice = [host, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site"), kind]
    assert speak(address, "POST", path, twice, body).status == 403
    for site in ("same-origin", "none"):
        assert asked("GET", site, "navigate", "document") in {200, 307}
    assert planted(stack) == []


def test_programs_and_own_pages_get_in(stack: Stack) -> None:
    for server in SERVERS:
        address = address_of(stack, server)
        port = urlsplit(address).port
        path, body = creation(server)
        read = "/api/flows/count" if server == "prefect" else "/api/2.0/mlflow/registered-models/search?max_results=1"
        method = "POST" if server == "prefect" else "GET"
        for name in (f"127.0.0.1:{port}", f"localhost:{port}"):
            headers = [("Host", name), ("Content-Type", "application/json")]
            assert speak(address, method, read, headers, b"{}").status == 200, name
            page = [*headers, ("Origin", f"http://{name.lower()}"), ("Sec-Fetch-Site", "same-origin")]
            answer = speak(address, method, read, page, b"{}")
            assert answer.status == 200, name
            assert answer.headers.get("access-control-allow-origin") in {None, f"http://{name.lower()}"}
            assert speak(address, "GET", "/", [("Host", name)]).status in {200, 307}, name
        assert path
        assert body


@pytest.mark.parametrize("server", SERVERS)
def test_a_web_socket_of_another_page_is_not_opened(stack: Stack, server: str, neighbour: int) -> None:
    address = address_of(stack, server).replace("http", "ws")
    port = urlsplit(address).port
    path = "/api/events/out" if server == "prefect" else "/"
    for text in FOREIGN_ORIGINS:
        origin = text.replace("{P}", str(port)).replace("{Q}", str(neighbour))
        with pytest.raises(InvalidStatus, match="403"), connect(address + path, additional_headers={"Origin": origin}):
            pass
    for headers in ({"Host": "attacker.example"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises((InvalidStatus, OSError)), connect(address + path, additional_headers=headers):
            pass
    if server == "prefect":
        mine: Any = f"http://{own(address)}"
        for origin in (mine, None):
            protocols: Any = ["prefect"]
            with connect(address + path, origin=origin, subprotocols=protocols):
                pass


def members(stack: Stack) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(stack.state):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_there_is_no_port_behind_the_gate(stack: Stack) -> None:
    """The gate and its server are one process, and no other port or socket file leads to a server.

    The process that serves the flows listens for its own children, which show a token (Prefect's control channel).
    """
    listening = {}
    for process in members(stack):
        if "flows.deploy.serve" in process.cmdline():
            continue
        for line in process.net_connections("inet"):
            if line.status == psutil.CONN_LISTEN:
                listening[line.laddr.ip, line.laddr.port] = process.cmdline()
        assert [line.laddr for line in process.net_connections("unix") if line.laddr] == []
    ports = {urlsplit(address).port for address in (stack.prefect_address, stack.mlflow_address)}
    assert set(listening) == {("127.0.0.1", port) for port in ports}, listening


def test_the_assistant_of_mlflow_which_runs_programs_is_closed(stack: Stack) -> None:
    host = [("Host", own(stack.mlflow_address)), ("Content-Type", "application/json")]
    for path in (
        "/ajax-api/3.0/mlflow/assistant/message",
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/assistant",
        "/ajax-api//3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/%61ssistant/config",
    ):
        for method in ("GET", "POST", "PUT"):
            assert speak(stack.mlflow_address, method, path, host, b"{}").status in {403, 404}, (method, path)


def test_an_artifact_larger_than_memory_allows_streams_both_ways(stack: Stack) -> None:
    size = 384 * MEGABYTE
    [server] = [one for one in members(stack) if "flows.servers.origin_gate:mlflow_app" in one.cmdline()]
    before = server.memory_info().rss
    peak = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], server.memory_info().rss)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        block = bytes(MEGABYTE)
        line = http.client.HTTPConnection("127.0.0.1", urlsplit(stack.mlflow_address).port or 0, timeout=60)
        path = "/api/2.0/mlflow-artifacts/artifacts/gate/large.bin"
        line.request(
            "PUT",
            path,
            (block for _ in range(size // MEGABYTE)),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        answer = line.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        line.request("GET", path)
        answer = line.getresponse()
        assert answer.status == 200
        read = 0
        while chunk := answer.read(MEGABYTE):
            read += len(chunk)
        assert read == size
        line.close()
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < 128 * MEGABYTE, f"{(peak[0] - before) // MEGABYTE} MB"


def test_a_page_at_localhost_is_sent_to_the_address_that_only_this_server_has(stack: Stack) -> None:
    for server in SERVERS:
        address = address_of(stack, server)
        visit = [("Host", f"localhost:{urlsplit(address).port}"), ("Sec-Fetch-Mode", "navigate"),
                 ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")]  # fmt: skip
        answer = speak(address, "GET", "/some/page?a=1&b=%2F", visit)
        assert (answer.status, answer.headers["location"]) == (307, f"{address}/some/page?a=1&b=%2F")


def test_what_a_stack_keeps_is_for_its_owner_alone(stack: Stack) -> None:
    seen = 0
    for path in (stack.state, *stack.state.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            private = mode & 0o077 == 0 or path.is_relative_to(stack.state / "prefect" / "storage")
            assert private, (path, oct(mode))
            seen += 1
    assert seen > 10
    for name in ("prefect/prefect.db", "mlflow/mlflow.db", "mlflow/auth.ini", "logs/mlflow.log", "addresses.json"):
        assert stat.S_IMODE((stack.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(stack.state.stat().st_mode) == 0o700


def test_state_of_an_earlier_version_is_closed_and_what_is_not_ours_is_left(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for folder in ("logs", "prefect", "mlflow/artifacts/1"):
        (state / folder).mkdir(parents=True)
    for name in ("prefect/prefect.db", "mlflow/users.db", "mlflow/artifacts/1/weights", "notes.txt"):
        (state / name).write_text("x")
        (state / name).chmod(0o644)
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "elsewhere").chmod(0o644)
    (state / "mlflow" / "link").symlink_to(tmp_path / "elsewhere")
    state.chmod(0o755)
    close_to_others(state)
    modes = {str(one.relative_to(state)): stat.S_IMODE(one.lstat().st_mode) for one in state.rglob("*")}
    assert modes["notes.txt"] == 0o644
    assert stat.S_IMODE(state.stat().st_mode) == 0o755, "it holds something that is not ours"
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o644
    ours = {name: mode for name, mode in modes.items() if name not in {"notes.txt", "mlflow/link"}}
    assert all(mode & 0o077 == 0 for mode in ours.values()), ours
    (state / "notes.txt").unlink()
    close_to_others(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_a_refusal_repeats_no_header_in_full(stack: Stack) -> None:
    for server in SERVERS:
        address = address_of(stack, server)
        answer = speak(address, "GET", "/", [("Host", "a" * 4000)])
        assert answer.status in REFUSED
        assert not re.search(rb"a{200}", answer.body)
