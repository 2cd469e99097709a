"""What `make lint` runs over the container files finds nothing there, and names what is planted."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.composed import ROOT

FILES = ("Dockerfile", "compose.yaml", "compose-lint.yaml")
TOOLS = ("hadolint", "check-jsonschema", "compose-lint")


def commands() -> list[list[str]]:
    """Return the lines of `make lint` that look at container files."""
    lines = [line.strip() for line in (ROOT / "Makefile").read_text().splitlines()]
    found = [shlex.split(line) for line in lines if " docker/" in line and line.startswith("$(BIN)/")]
    assert [words[0] for words in found] == [f"$(BIN)/{tool}" for tool in TOOLS]
    return [[word.replace("$(BIN)", str(Path(sys.executable).parent)) for word in words] for words in found]


def lint(folder: Path) -> str:
    """Return what the tools say about the files in `docker/` of a folder; empty where all are content."""
    said = ""
    for command in commands():
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        said += done.stdout + done.stderr if done.returncode else ""
    return said


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    for name in FILES:
        shutil.copy(ROOT / "docker" / name, tmp_path / "docker" / name)
    return tmp_path


def test_the_container_files_pass(copied: Path) -> None:
    assert lint(copied) == ""


FAULTS = {
    "compose.yaml": [
        ("  init: true\n", "  init: true\n  privileged: true\n", "CL-0002"),
        ("postgres:17.11-trixie@sha256:", "postgres:latest # ", "CL-0004"),
        ("rustfs:1.0.1@sha256:", "rustfs:1.0.1 # ", "CL-0019"),
        ("  cap_drop: [ALL]\n", "", "CL-0006"),
        ('  security_opt: ["no-new-privileges:true"]\n', "", "CL-0003"),
        ("  read_only: true\n", "", "CL-0007"),
        ('  user: "10001:10001"\n', '  user: "0:0"\n', "CL-0018"),
        ("${FINNEX_BIND:-127.0.0.1}:${PREFECT", "0.0.0.0:${PREFECT", "CL-0005"),
        ("- postgres:/var", "- /var/run/docker.sock:/var/run/docker.sock\n      - postgres:/var", "CL-0001"),
        ("RUSTFS_CHECK_UPDATE:", "ADMIN_PASSWORD: hunter2hunter2\n      RUSTFS_CHECK_UPDATE:", "CL-0020"),
        ("  restart: unless-stopped\n", "  restrat: unless-stopped\n", "'restrat' was unexpected"),
        ("      interval: 5s\n", "      intervall: 5s\n", "'intervall' does not match"),
    ],
    "Dockerfile": [
        ("USER 10001:10001", "USER root", "DL3002"),
        ("python:${PYTHON} AS build", "python:latest AS build", "DL3007"),
        ("COPY constraints.txt", "ADD constraints.txt", "DL3020"),
    ],
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_of_the_faults_that_are_planted_is_named(name: str, copied: Path) -> None:
    path = copied / "docker" / name
    text = path.read_text()
    for old, new, _ in FAULTS[name]:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    said = lint(copied)
    assert [code for _, _, code in FAULTS[name] if code not in said] == []
