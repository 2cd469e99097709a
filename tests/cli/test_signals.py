"""Signals that end a command: its servers end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.servers.services import MARK
from flows.servers.stack import ADDRESSES
from flows.servers.stop_signals import held_back, stop_on_signals
from tests.helpers.stack_processes import running_on


@pytest.fixture
def usual() -> Iterator[None]:
    """The handlers that a command has when it starts."""
    earlier = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for one, handler in earlier.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("usual")
def test_a_signal_unwinds_once_and_is_the_systems_own_afterwards(number: signal.Signals) -> None:
    cleared = []

    def work() -> None:
        with stop_on_signals():
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)  # the second one of `timeout`
                cleared.append(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert cleared == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.usefixtures("usual")
def test_a_signal_that_is_ignored_or_has_a_handler_keeps_it() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with stop_on_signals():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM]


def test_outside_the_main_thread_nothing_is_set() -> None:
    before = signal.getsignal(signal.SIGTERM)
    inside: list[object] = []

    def work() -> None:
        with stop_on_signals(), held_back():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]


@pytest.mark.usefixtures("usual")
def test_a_signal_waits_until_a_started_process_is_noted() -> None:
    noted = []

    def work() -> None:
        with stop_on_signals(), held_back():
            signal.raise_signal(signal.SIGTERM)
            noted.append("the process")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert noted == ["the process"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "moment"), [("predict", "it starts"), pytest.param("models", "it answers", marks=pytest.mark.accept)]
)
def test_a_command_that_is_ended_leaves_no_server(
    tmp_path: Path, sample_inputs: dict[str, Path], command: str, moment: str
) -> None:
    config, state = tmp_path / "finnex.toml", tmp_path / "state"
    tables = f'symbols = ["NVDA"]\n[inputs]\nprices = "{sample_inputs["prices"]}"\n'
    config.write_text(f'{tables}[store]\npath = "a.zarr"\n[state]\npath = "state"\n')
    environment = {name: value for name, value in os.environ.items() if name not in {MARK, "MLFLOW_TRACKING_URI"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "finnex.cli", command, "--config", str(config)], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not (running_on(state) if moment == "it starts" else (state / ADDRESSES).exists()):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        assert running_on(state)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        # Where the interrupt arrives in an `exec` of text (a dataclass is defined), CPython ends itself with SIGINT; a
        # shell says 130 of both.
        assert process.returncode in {130, -signal.SIGINT}, errors
        assert "Traceback" not in errors
        assert running_on(state) == []
        assert not (state / ADDRESSES).exists()
    finally:
        process.kill()
        process.communicate()
        for left in running_on(state):
            left.kill()
