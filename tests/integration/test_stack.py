"""`finnex up` with real servers: all of it is there, and afterwards nothing is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.deploy.deployments import DEPLOYMENTS
from tests.helpers.stack_processes import running_on

UNPICKLING = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
NAMES = {line.name for line in DEPLOYMENTS}


def get(address: str, question: dict[str, Any] | None = None) -> Any:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def patience() -> float:
    """Return how much longer than on an idle machine things may take: more where others use it too."""
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


@contextlib.contextmanager
def finnex_up(state: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "finnex.cli", "up", "--state", str(state), *options]
    environment = os.environ | {UNPICKLING: "true"}  # what a shell may say; the servers must not follow it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        for left in running_on(state):
            left.kill()


def addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return the three addresses as they are printed; fail when the process ends first."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    while len(found) < 3:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        if match := re.match(r"(Prefect UI|MLflow UI|Deployments)\s+(http://127\.0\.0\.1:\d+\S*)$", line):
            found[match[1]] = match[2]
    return found


@pytest.mark.integration
def test_up_prints_three_addresses_shows_all_deployments_and_leaves_nothing_behind(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with finnex_up(state, "--prefect-port", "0", "--mlflow-port", "0") as process:
        began = time.monotonic()
        found = addresses(process)
        assert time.monotonic() - began < 30 * patience()
        served = get(found["Prefect UI"] + "/api/deployments/filter", {})
        assert {deployment["name"] for deployment in served} == NAMES
        night = next(deployment for deployment in served if deployment["name"] == "nightly")
        assert night["schedules"][0]["schedule"]["timezone"] == "America/New_York"
        assert not night["schedules"][0]["active"]  # no configuration was given to run it with
        with urllib.request.urlopen(found["MLflow UI"] + "/health", timeout=5) as reply:
            assert reply.read() == b"OK"
        assert len(running_on(state)) >= 3
        assert {member.environ()[UNPICKLING] for member in running_on(state)} == {"false"}
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    assert running_on(state) == []
    for address in found.values():
        with pytest.raises(OSError, match=r"refused"):
            urllib.request.urlopen(address, timeout=5)


@pytest.mark.integration
@pytest.mark.accept
def test_a_killed_supervisor_is_cleared_away_and_a_dead_server_ends_the_stack(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with finnex_up(state, "--prefect-port", "0", "--mlflow-port", "0") as first:
        found = addresses(first)
        first.kill()
        first.wait()
        left = running_on(state)
        assert left
        ports = [address.rsplit(":", 1)[1].split("/")[0] for address in (found["Prefect UI"], found["MLflow UI"])]
        with finnex_up(state, "--prefect-port", ports[0], "--mlflow-port", ports[1]) as second:
            assert addresses(second) == found
            assert not any(process.is_running() for process in left)
            mlflow = next(one for one in running_on(state) if "mlflow" in one.cmdline() and "server" in one.cmdline())
            mlflow.kill()
            _, errors = second.communicate(timeout=60)
            assert second.returncode == 2
            assert "MLflow server ended unexpectedly" in errors
            assert str(state / "logs" / "mlflow.log") in errors
            assert 'Traceback (most recent call last)\n  File "finnex' not in errors
    assert running_on(state) == []


def test_a_taken_port_is_told_with_a_remedy_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with finnex_up(tmp_path / "state", "--prefect-port", str(port), "--mlflow-port", "0") as process:
            out, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert f"port {port} on 127.0.0.1 is taken" in errors
    assert f"--prefect-port {port + 1}" in errors
    assert "Traceback" not in errors
    assert running_on(tmp_path / "state") == []
