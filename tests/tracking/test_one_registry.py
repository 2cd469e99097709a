"""One study, one registry: every command finds the server on the state folder of its configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finnex.config import Config, load_config
from finnex.config.state import REGISTRY, state_folder
from finnex.errors import ServiceError
from flows.recording import recording_server, running_server
from flows.servers.services import MARK
from flows.servers.stack import ADDRESSES, Stack

Maker = Callable[..., Config]
HOLDS_A_SERVER = """
import sys
from pathlib import Path
from finnex.config import load_config
from flows.recording import recording_server
with recording_server(load_config(Path(sys.argv[1]))) as address:
    print(address, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def no_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FINNEX_HOME", "MLFLOW_TRACKING_URI", MARK):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def project(tmp_path: Path, sample_inputs: dict[str, Path]) -> Path:
    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / "finnex.toml"
    path.write_text(f'symbols = ["NVDA"]\n[inputs]\nprices = "{sample_inputs["prices"]}"\n[store]\npath = "a.zarr"\n')
    return path


def made(registry: Path) -> Path:
    registry.parent.mkdir(parents=True)
    registry.touch()
    return registry


def test_the_state_lies_beside_the_configuration_where_nothing_else_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_config(project).state.path == project.parent / "state"
    monkeypatch.setenv("FINNEX_HOME", str(tmp_path / "given"))
    assert load_config(project).state.path == tmp_path / "given"
    project.write_text(project.read_text() + '[state]\npath = "mine"\n')
    assert load_config(project).state.path == project.parent / "mine"


def test_a_registry_of_an_earlier_version_is_used_until_there_is_one_beside_the_configuration(project: Path) -> None:
    earlier = made(Path.home() / ".finnex" / REGISTRY)
    assert load_config(project).state.path == earlier.parents[1]
    made(project.parent / "state" / REGISTRY)
    assert load_config(project).state.path == project.parent / "state"


def test_up_refuses_another_state_folder_than_the_other_commands_use(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "finnex.cli", "up", "--config", str(project), "--state", str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"--state {tmp_path / 'other'} is not the state folder of" in done.stderr
    remedy = done.stderr.rpartition("add to ")[2].partition(": ")[2].strip()
    assert remedy == f"[state] path = '{tmp_path / 'other'}'"
    project.write_text(project.read_text() + remedy.replace("] ", "]\n") + "\n")
    assert load_config(project).state.path == tmp_path / "other"


def test_a_flow_of_another_study_does_not_start_a_second_registry(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path / "other"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with (
        pytest.raises(ServiceError, match="its models would be in two registries"),
        recording_server(load_config(project)),
    ):
        pass


def test_a_state_folder_that_cannot_be_made_is_named_with_the_remedy(project: Path) -> None:
    (project.parent / "state").write_text("a file")
    with (
        pytest.raises(ServiceError, match=r"state cannot be written .* \[state\] path"),
        recording_server(load_config(project)),
    ):
        pass


@pytest.mark.slow
def test_a_command_uses_the_server_that_runs_on_its_state_folder_and_no_stale_address(
    project: Path, tmp_path: Path
) -> None:
    config = load_config(project)
    assert config.state.path is not None
    with Stack(config.state.path, mlflow_port=0, only_mlflow=True) as stack:
        with recording_server(config) as address:
            assert address == stack.mlflow_address
        other = tmp_path / "killed"
        other.mkdir()
        (other / ADDRESSES).write_text(json.dumps({"mlflow": stack.mlflow_address}))  # its port is another's by now
        assert running_server(other) is None
    assert running_server(config.state.path) is None


@pytest.mark.accept
@pytest.mark.slow
def test_two_commands_at_one_moment_share_one_server_until_the_last_has_ended(project: Path) -> None:
    command = [sys.executable, "-c", HOLDS_A_SERVER, str(project)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        addresses = {one.stdout.readline().strip() for one in both}  # type: ignore[union-attr]
        assert len(addresses) == 1
        assert addresses.pop().startswith("http://127.0.0.1:")
        owner = json.loads((project.parent / "state" / ADDRESSES).read_text())["process"]
        first, second = sorted(both, key=lambda one: one.pid != owner)
        assert first.stdin is not None
        assert second.stdin is not None
        assert first.stderr is not None
        first.stdin.close()
        assert "waiting for another command" in first.stderr.readline()
        assert running_server(state_folder(project.parent)) is not None
        second.stdin.close()
        assert [one.wait(60) for one in (second, first)] == [0, 0]
    finally:
        for one in both:
            one.kill()
            for stream in (one.stdin, one.stdout, one.stderr):
                if stream is not None:
                    stream.close()
            one.wait()
    assert running_server(state_folder(project.parent)) is None
