"""The operator's pages: every command in them is run on a real stack, or, where it needs containers, taken apart."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import pytest

from finnex.cli.template import FILE, configuration_text
from finnex.config import DaskSettings, load_config
from finnex.pipeline import build
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import READY, ImageStore
from flows.clusters.cluster import cluster_client
from flows.deploy.deployments import DEPLOYMENTS
from flows.servers.services import MARK
from tests.helpers.composed import COMPOSE, ROOT, free_port, services

OPERATIONS, SECURITY = (ROOT / "docs" / name for name in ("operations.md", "security.md"))
KINDS = {"sh", "sh background", "sh docker", "sh install", "toml"}
EXPORT = re.compile(r"^export .*$", re.MULTILINE)


def test_the_page_tells_how_long_each_run_may_take() -> None:
    text = " ".join(OPERATIONS.read_text(encoding="utf-8").split())
    told = {
        name: int(number)
        for names, number in re.findall(
            r"((?:\w+, )*\w+): (\d+)", text[text.index("allows (") : text.index("is cancelled")]
        )
        for name in names.split(", ")
    }
    assert told == {line.name: line.longest_hours for line in DEPLOYMENTS}


@dataclass(frozen=True)
class Block:
    page: str
    kind: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command; a backslash continues a line."""
        return [shlex.split(line) for line in self.text.replace("\\\n", " ").splitlines()]


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(.+?)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(page.name, kind, text) for kind, text in found]


def test_every_block_of_both_pages_is_of_a_kind_that_is_checked() -> None:
    for page in (OPERATIONS, SECURITY):
        found = blocks(page)
        assert len(found) >= 5
        assert {block.kind for block in found} <= KINDS
        assert page.read_text().count("```") == 2 * len(found)


def test_configurations_are_valid() -> None:
    found = [
        tomllib.loads(block.text) for page in (OPERATIONS, SECURITY) for block in blocks(page) if block.kind == "toml"
    ]
    assert len(found) >= 4
    for document in found:
        assert set(document) == {"dask"}
        DaskSettings.model_validate(document["dask"])


def test_commands_for_containers_name_files_services_and_options_that_exist() -> None:
    found = [words for block in blocks(OPERATIONS) if block.kind == "sh docker" for words in block.commands]
    assert len(found) >= 8
    for words in found:
        if words[0] == "cp":
            assert (ROOT / words[1]).is_file()
            assert (ROOT / words[2]).parent.is_dir()
            continue
        assert words[:3] == ["docker", "compose", "--file"]
        assert (ROOT / words[3]) == COMPOSE
        verb, rest = words[4], words[5:]
        options, others = [w for w in rest if w.startswith("--")], [w for w in rest if not w.startswith("--")]
        if verb == "up":
            assert (options, others) == (["--detach", "--build"], [])
        elif verb == "logs":
            assert options == ["--follow"]
            assert others[0] in services()
        elif verb == "exec":
            assert rest[:2] == ["postgres", "pg_dump"]
            databases = re.findall(r"CREATE DATABASE (\w+);", (COMPOSE.parent / "databases.sql").read_text())
            assert rest[-1] in databases
            assert services()[rest[0]]["environment"]["POSTGRES_USER"] == rest[rest.index("--username") + 1]
        else:
            assert (verb in {"ps", "down"}, rest) == (True, [])


def test_what_is_installed_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = OPERATIONS.read_text()
    named = re.findall(r"'(?:finnex|\.)\[(\w+)\]'", text)
    assert {"production", "jobqueue", "kubernetes"} == set(named) <= set(extras)
    [words] = [words for block in blocks(OPERATIONS) if block.kind == "sh install" for words in block.commands]
    assert words[:2] == ["pip", "install"]
    assert (ROOT / words[words.index("--constraint") + 1]).is_file()


class Reader:
    """Somebody who follows a page from top to bottom, in one folder."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self.folder, self._ports = folder, ports
        self._exports = ""
        self.started: list[subprocess.Popen[bytes]] = []
        self.ran: list[str] = []

    def here(self, text: str) -> str:
        """Return a block with free ports in place of the usual ones, and this source in place of ~/finnex."""
        for usual, free in self._ports.items():
            text = re.sub(rf"(?<=[: ]){usual}(?!\d)", free, text)
        options = f"--prefect-port {self._ports['4200']} --mlflow-port {self._ports['5000']}"
        return text.replace("~/finnex/", f"{ROOT}/").replace("finnex up ", f"finnex up {options} ")

    def _shell(self, text: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", f"{self._exports}\n{text}"]

    @property
    def _environment(self) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "FINNEX_"))
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        quiet = {"PREFECT_HOME": str(self.folder / "client"), "PREFECT_LOGGING_COLORS": "false", "COLUMNS": "200"}
        return kept | quiet | {"PATH": path, "READER": str(self.folder)}

    def run(self, block: Block) -> str:
        text = self.here(block.text)
        done = subprocess.run(
            self._shell(text), cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=240,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.page}:\n{text}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        self._exports += "\n".join(EXPORT.findall(text)) + "\n"
        self.ran.append(block.text)
        return done.stdout

    def start(self, block: Block, until: Path | None = None) -> subprocess.Popen[bytes]:
        log = self.folder / f"background-{len(self.started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self._shell(f"exec env {self.here(block.text)}"), cwd=self.folder, env=self._environment, stdout=file,
                stderr=file,
            )  # fmt: skip
        self.started.append(process)
        deadline = time.monotonic() + 150
        while until is not None and not until.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        self.ran.append(block.text)
        return process

    def stop(self) -> list[int]:
        """Press Ctrl-C in every terminal, the last first."""
        for process in reversed(self.started):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return [process.returncode for process in self.started]

    def left(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("READER") == str(self.folder):
                    found.append(" ".join(process.cmdline()))
                    process.kill()
            except psutil.Error:
                continue
        return found


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    reader = Reader(folder, {usual: str(free_port()) for usual in ("4200", "5000", "8786")})
    try:
        yield reader
    finally:
        reader.stop()
        reader.left()


@pytest.fixture
def project(tmp_path: Path, sample_inputs: dict[str, Path]) -> Path:
    """The folder of a finnex.toml, two weeks of one symbol."""
    inputs = {name: str(table) for name, table in sample_inputs.items()}
    days = {"start": date(2015, 3, 2), "end": date(2015, 3, 12)}
    (tmp_path / FILE).write_text(configuration_text(inputs, ["NVDA"], synthetic=SYNTHETIC_TABLES, **days))
    return tmp_path


@pytest.mark.integration
@pytest.mark.accept
@pytest.mark.timeout(900)
def test_the_page_of_operations_does_what_it_says(project: Path) -> None:
    assert MARK not in os.environ
    with reading(project) as reader:
        said: dict[str, str] = {}
        for block in blocks(OPERATIONS):
            if block.kind == "sh background":
                until = project / "state" / "addresses.json" if "finnex up" in block.text else None
                reader.start(block, until)
            elif block.kind == "sh":
                said[block.text] = reader.run(block)

        def told(words: str) -> str:
            [text] = [output for command, output in said.items() if words in command]
            return text

        assert "finnex-nightly/nightly" in told("deployment ls")
        assert "18" in told("schedule ls")
        assert "Completed" in told("flow-run logs")
        assert "NVDA" in told("finnex info")
        assert "finnex-store-writers" in told("finnex info")
        assert "FinNeX: crash runs that" in told("finnex info")
        assert "cancel" in told("flow-run cancel").lower()
        assert "Deployed finnex-train/train" in told("finnex deploy")
        store = ImageStore.open(load_config(project / FILE).store.path)
        ready = store.state("NVDA").days[store.state("NVDA").status == READY]
        assert (len(ready), ready[-1]) == (9, np.datetime64("2015-03-12", "D"))
        assert (project / "state-before" / "prefect" / "prefect.db").exists()
        wanted = [block for block in blocks(OPERATIONS) if block.kind in {"sh", "sh background"}]
        assert reader.ran == [block.text for block in wanted]
        assert reader.stop()[0] == 0
        assert reader.left() == []


@pytest.mark.integration
def test_the_page_of_security_makes_a_scheduler_that_only_its_certificate_opens(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 60)
    with reading(project) as reader:
        document = ""
        for block in blocks(SECURITY):
            if block.kind == "sh":
                reader.run(block)
            elif block.kind == "sh background" and "dask" in block.text:
                reader.start(block)
                time.sleep(1)
            elif block.kind == "toml":
                document = reader.here(block.text)
        path = project / FILE
        path.write_text(re.sub(r"^\[dask\].*?(?=^\[|\Z)", document, path.read_text(), flags=re.MULTILINE | re.DOTALL))
        config = load_config(path)
        with cluster_client(config) as client:
            assert build(config, client=client).built == 9
