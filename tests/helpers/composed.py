"""`docker/compose.yaml` without containers: the same commands, environments and health checks, as processes.

A service's name and port become loopback and a free port, the targets of its volumes become folders, and what the
Dockerfile copies into the image is taken from where it was copied from. Where the system allows it, a service with a
read-only root sees a file system in which it can write to its volumes and to /tmp alone. Nothing else is changed, and
nothing of the calling environment is passed on.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE, DOCKERFILE, EXAMPLE = (ROOT / "docker" / name for name in ("compose.yaml", "Dockerfile", ".env.example"))
MARK = "FINNEX_COMPOSED"
PATIENCE_SECONDS = 150
READ_ONLY = """
while [ "$1" != -- ]; do mount --bind "$1" "$1"; writable="$writable $1 "; shift; done; shift
findmnt --raw --noheadings --output TARGET | while read -r target; do
    case "$writable" in *" $target "*) continue;; esac
    case "$target" in /proc*|/sys*|/dev*) continue;; esac
    mount -o remount,bind,ro "$target"
done
exec "$@"
"""
"""Run by sh in a mount namespace of its own: `FOLDER... -- COMMAND...` can write below the folders only."""


def variables_of(path: Path) -> dict[str, str]:
    """Return the variables that an env file sets."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?}` as Compose does."""

    def fill(match: re.Match[str]) -> str:
        name, kind, rest = match[1], match[2], match[3] or ""
        if given := variables.get(name):
            return given
        if kind == ":?":
            raise KeyError(f"{name} is not set, or empty")
        return rest

    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)(:-|:\?)?([^}]*)\}", fill, value)
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    return value


def services(variables: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the services of the compose file, filled in if variables are given."""
    document = yaml.safe_load(COMPOSE.read_text())["services"]
    return document if variables is None else interpolate(document, variables)  # type: ignore[no-any-return]


def dockerfile(instruction: str) -> list[str]:
    """Return the arguments of every such instruction of the last stage of the Dockerfile."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") + 1 :]
    return [line.split(None, 1)[1] for line in last.splitlines() if line.startswith(f"{instruction} ")]


def image_environment() -> dict[str, str]:
    """Return what ENV sets in the image."""
    return dict(pair.split("=", 1) for words in dockerfile("ENV") for pair in words.split())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_programs() -> Path | None:
    """Return where Debian keeps the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def read_only_is_possible() -> bool:
    """Return whether a process may have a view of the file system of its own here."""
    tried = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", "--", "true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@dataclass
class Composed:
    """The services of the compose file as processes below one folder."""

    folder: Path
    variables: dict[str, str]
    ports: dict[tuple[str, str], int] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.services = services(self.variables)
        self.replicas = {
            name: int(service.get("deploy", {}).get("replicas", 1)) for name, service in self.services.items()
        }
        for name, service in self.services.items():
            for port in service.get("expose", []):
                self.ports[name, port] = free_port()
        for service, variable, port in (
            ("prefect", "PREFECT_PORT", "4200"), ("mlflow", "MLFLOW_PORT", "5000"),
        ):  # fmt: skip
            self.variables[variable] = str(self.ports[service, port])  # as if published under its own number
        self.services = services(self.variables)
        copied = [words.split() for words in dockerfile("COPY") if not words.startswith("--from")]
        self.image_files = {target: str(ROOT / source) for source, target in copied}
        self.can_be_read_only = read_only_is_possible()

    def address(self, service: str, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[service, port]}"

    def log(self, name: str) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}*.log")))

    def here(self, service: str, value: Any, own: Mapping[str, int] | None = None) -> Any:
        """Return a value of a service as it has to be for a process of this machine."""
        if isinstance(value, dict):
            return {key: self.here(service, item, own) for key, item in value.items()}
        if isinstance(value, list):
            return [self.here(service, item, own) for item in value]
        text = str(value)
        mine = own or {port: found for (name, port), found in self.ports.items() if name == service}
        for (name, port), found in self.ports.items():
            text = re.sub(rf"(?<![\w.-]){name}:{port}(?!\d)", f"127.0.0.1:{found}", text)
        for port, found in mine.items():
            text = re.sub(rf"(?<=127\.0\.0\.1:){port}(?!\d)", str(found), text)
            text = re.sub(rf"^(:|--port=)?{port}$", rf"\g<1>{found}", text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        places = self.folders(service) | self.image_files
        # At once: a checkout may lie below /tmp, which stands for another folder.
        return re.sub(rf"(?<![\w/.])({'|'.join(places)})(?=/|$)", lambda found: places[found[1]], text)

    def confined(self, service: str, command: list[str]) -> list[str]:
        """Return the command with which a service sees a read-only file system, as it would in its container."""
        if not (self.can_be_read_only and self.services[service].get("read_only")):
            return command
        locked = {volume.split(":")[1] for volume in self.services[service].get("volumes", []) if volume[-3:] == ":ro"}
        writable = [folder for target, folder in self.folders(service).items() if target not in locked]
        return ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", *writable, "--", *command]

    def folders(self, service: str) -> dict[str, str]:
        """Return which folder stands for the target of each volume, and for /tmp."""
        found = {"/tmp": str(self.folder / f"tmp-{service}")}
        for volume in self.services[service].get("volumes", []):
            source, target = volume.removesuffix(":ro").rsplit(":", 1)
            if not source.endswith(".sql"):
                found[target] = source if source.startswith("/") else str(self.folder / f"volume-{source}")
        for folder in found.values():
            Path(folder).mkdir(parents=True, exist_ok=True)
        return found

    def command(self, service: str, own: Mapping[str, int] | None = None) -> list[str]:
        return self.program(self.here(service, self.services[service]["command"], own))

    @staticmethod
    def program(words: list[str]) -> list[str]:
        """Return a command whose program is that of this environment, where the image has it in its own."""
        beside = Path(sys.executable).parent / words[0]
        assert beside.exists(), f"the image would have no {words[0]}"
        return [str(beside), *words[1:]]

    def environment(self, service: str, own: Mapping[str, int] | None = None) -> dict[str, str]:
        image = {key: self.here(service, value) for key, value in image_environment().items() if key != "PATH"}
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        given = self.here(service, self.services[service].get("environment", {}), own)
        home = str(self.folder / "home")
        places = {"TMPDIR": self.folders(service)["/tmp"], "PYTHONPATH": str(ROOT)}  # the image holds this checkout
        return {"PATH": path, "HOME": home, MARK: str(self.folder)} | places | image | given

    def start(self, service: str) -> None:
        """Start a service, all its replicas, and wait as its dependants would."""
        if service == "postgres":
            return start_postgres(self)
        if service == "s3":
            return start_s3(self)
        for number in range(self.replicas[service]):
            own = {
                port: found if number == 0 else free_port()
                for (name, port), found in self.ports.items()
                if name == service
            }
            folder = self.folder / "home"
            if "working_dir" in self.services[service]:
                folder = Path(self.here(service, self.services[service]["working_dir"]))
            folder.mkdir(exist_ok=True)
            command = self.confined(service, self.command(service, own))
            process = self.launch(command, self.environment(service, own), folder, f"{service}-{number}")
            check = self.services[service].get("healthcheck")
            if check is None:
                process.wait(PATIENCE_SECONDS)  # one that does its work and ends
                assert process.returncode == 0, self.log(service)
            else:
                self.wait_until_healthy(service, process, self.program(self.here(service, check["test"][1:], own)))
        return None

    def launch(
        self, command: list[str], environment: Mapping[str, str], folder: Path, name: str
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def wait_until_healthy(self, service: str, process: subprocess.Popen[bytes] | None, check: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        environment = self.environment(service) if process is not None else None
        while subprocess.run(check, env=environment, capture_output=True, timeout=30, check=False).returncode:
            assert process is None or process.poll() is None, self.log(service)
            assert time.monotonic() < deadline, f"{service} is not healthy:\n{self.log(service)[-3000:]}"
            time.sleep(1)

    def start_all(self) -> None:
        """Start every service as soon as those it depends on are there, as Compose does."""
        there: dict[str, Future[None]] = {}

        def start_after(name: str) -> None:
            for needed in self.services[name].get("depends_on", {}):
                there[needed].result()
            self.start(name)

        with ThreadPoolExecutor(len(self.services)) as pool:
            for name in self._order():  # so that each finds in `there` what it waits for
                there[name] = pool.submit(start_after, name)
        for started in there.values():
            started.result()

    def _order(self) -> list[str]:
        ordered: list[str] = []

        def visit(name: str) -> None:
            for needed in self.services[name].get("depends_on", {}):
                visit(needed)
            if name not in ordered:
                ordered.append(name)

        for name in self.services:
            visit(name)
        return ordered

    def stop(self) -> None:
        """Stop everything that carries our mark: politely first, as Compose does."""
        found = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, left = psutil.wait_procs(found, timeout=15)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        for mine in self.processes:
            mine.wait(10)

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get(MARK) == str(self.folder)
        return False


def start_postgres(composed: Composed) -> None:
    """Run Debian's PostgreSQL as the image's entry point would: a new cluster, one user, the SQL of the volume."""
    programs = postgres_programs()
    assert programs is not None
    given = composed.services["postgres"]["environment"]
    port = str(composed.ports["postgres", "5432"])
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    folder = composed.folder / "postgres"
    folder.mkdir()
    for path in (composed.folder, *composed.folder.parents):
        if path.stat().st_uid == os.geteuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)  # let its user pass through
    (folder / "password").write_text(given["POSTGRES_PASSWORD"])
    for path in (folder, folder / "password"):
        shutil.chown(path, account.pw_uid, account.pw_gid)
    data, user = str(folder / "data"), given["POSTGRES_USER"]
    as_user: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "cwd": folder}
    environment = {"PATH": "/usr/bin:/bin", MARK: str(composed.folder), "LC_ALL": "C.UTF-8"}
    make = [programs / "initdb", "-D", data, "-U", user, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    subprocess.run(make, env=environment, check=True, capture_output=True, **as_user)
    with (composed.folder / "postgres.log").open("wb") as log:
        run = [programs / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
        process = subprocess.Popen([*run, "-c", "fsync=off"], env=environment, stdout=log, stderr=log, **as_user)
    composed.processes.append(process)
    client = {"PATH": "/usr/bin:/bin", "PGPASSWORD": given["POSTGRES_PASSWORD"]}
    where = ["--host", "127.0.0.1", "--port", port, "--username", user]
    composed.wait_until_healthy("postgres", None, [str(programs / "pg_isready"), *where])
    sql = [source for source in map(str, composed.services["postgres"]["volumes"]) if ".sql:" in source]
    for source in sql:
        file = COMPOSE.parent / source.split(":")[0]
        psql = [programs / "psql", *where, "--dbname", "postgres", "-v", "ON_ERROR_STOP=1", "--file", file]
        subprocess.run(psql, env=client, check=True, capture_output=True)
    check = composed.here("postgres", composed.services["postgres"]["healthcheck"]["test"][1:])
    composed.wait_until_healthy("postgres", None, [str(programs / check[0]), *check[1:]])


def start_s3(composed: Composed) -> None:
    """Run moto's server in place of the S3 image: the one part that is not what the compose file runs."""
    port = str(composed.ports["s3", "9000"])
    environment = {"PATH": "/usr/bin:/bin", MARK: str(composed.folder)}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    composed.launch(command, environment, composed.folder, "s3")


@contextlib.contextmanager
def running(composed: Composed) -> Iterator[Composed]:
    """Start all services in their order, and leave none."""
    try:
        composed.start_all()
        yield composed
    finally:
        composed.stop()
