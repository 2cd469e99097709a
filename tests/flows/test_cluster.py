"""Where images are drawn: local processes, a scheduler that is there, or one that a job queue or Kubernetes runs."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import distributed
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from finnex.config import TLS_KEYS, Config, DaskSettings
from finnex.errors import ConfigError, ServiceError
from finnex.pipeline import build
from finnex.pipeline.dask_workers import Watch
from finnex.store import READY, ImageStore
from flows.clusters.adapters import WORKER_ENVIRONMENT, job_queue, kubernetes_spec
from flows.clusters.cluster import cluster_client
from flows.clusters.identity import tls_identity
from flows.clusters.local import local_cluster


@pytest.mark.slow
def test_local_workers_are_processes_without_dasks_malloc_setting() -> None:
    os.environ["MALLOC_TRIM_THRESHOLD_"] = "65536"  # as an earlier cluster in this process leaves it
    with local_cluster(2, "1GiB") as client:
        pids = set(client.run(os.getpid).values())
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert set(client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_").values()) == {None}
        assert set(client.run(os.environ.get, "OMP_NUM_THREADS").values()) == {"1"}
        with pytest.raises(ValueError, match="No global client found"):
            distributed.get_client()


def reached(theirs: distributed.Client) -> dict[str, str]:
    """Return the settings with which a cluster that somebody else started is used."""
    return {
        "address": theirs.scheduler.address,
        "tls_ca": theirs.security.tls_ca_file,
        "tls_cert": theirs.security.tls_client_cert,
        "tls_key": theirs.security.tls_client_key,
    }


@pytest.mark.slow
def test_an_existing_scheduler_is_used_by_address(sample_config: Callable[..., Config]) -> None:
    with local_cluster(1, "1GiB") as theirs:
        config = sample_config(end=date(2015, 3, 6), dask=reached(theirs))
        with cluster_client(config) as client:
            assert client is not None
            assert build(config, client=client).built == 5
        assert len(theirs.scheduler_info()["workers"]) == 1  # it is theirs: it stays when we go


@pytest.mark.slow
def test_a_scheduler_without_workers_is_an_error(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        config = sample_config(dask={"address": cluster.scheduler_address})
        with pytest.raises(ServiceError, match="has no workers"), cluster_client(config):
            pass


class Killer:
    """Kills the only worker of a cluster, the first time it is called."""

    def __init__(self, client: distributed.Client) -> None:
        self.client = client
        self.killed = False

    def __call__(self, _: int = 0) -> None:
        if not self.killed:
            [worker] = self.client.run(os.getpid).values()
            os.kill(worker, signal.SIGKILL)
            self.killed = True


def kill_before_fetching(monkeypatch: pytest.MonkeyPatch, kill: Killer) -> None:
    """Let the worker die when images are drawn and their receipts are still with it."""
    fetch = Watch.gather

    def fetch_from_the_dead(self: Watch, futures: dict[str, Any], *, direct: bool = False) -> dict[str, Any]:
        if futures and not direct:  # receipts come through the scheduler, features do not
            kill()
        return fetch(self, futures, direct=direct)

    monkeypatch.setattr(Watch, "gather", fetch_from_the_dead)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [pytest.param("between_receipts", marks=pytest.mark.accept), "drawn_but_not_fetched"]
)
def test_a_scheduler_that_loses_its_last_worker_ends_the_build_and_keeps_what_was_drawn(
    sample_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its own nanny would start it again; a worker of a job queue that reached its time has none."""
    monkeypatch.setattr("finnex.pipeline.dask_workers.WORKERLESS_SECONDS", 3.0)
    with ExitStack() as opened:
        scheduler = opened.enter_context(local_cluster(0, "1GiB"))
        found = reached(scheduler)
        address = found["address"]
        options = [word for name in TLS_KEYS for word in (f"--{name}".replace("_", "-"), found[name])]
        options[0] = "--tls-ca-file"
        words = ["worker", address, *options, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        opened.enter_context(running(*words, log=tmp_path / "worker.log"))
        config = sample_config(end=date(2015, 5, 29), dask=found)
        with cluster_client(config) as client:
            assert client is not None
            kill = Killer(client)
            if moment == "drawn_but_not_fetched":
                kill_before_fetching(monkeypatch, kill)
            with pytest.raises(ServiceError, match=rf"scheduler {address} has had no worker for 3 s\. Start some"):
                build(config, client=client, on_progress=kill if moment == "between_receipts" else None)
    drawn = (ImageStore.open(config.store.path).state("NVDA").status == READY).sum()
    again = build(config.model_copy(update={"dask": DaskSettings(workers=0)}))
    assert (again.built, again.skipped) == (63 - drawn, drawn)


@pytest.mark.accept
@pytest.mark.slow
def test_receipts_that_die_with_their_worker_are_made_again(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sample_config(end=date(2015, 5, 29))
    with local_cluster(1, "1GiB") as client:
        kill_before_fetching(monkeypatch, kill := Killer(client))
        result = build(config, client=client)
    assert kill.killed
    assert result.built == 63
    assert (ImageStore.open(config.store.path).state("NVDA").status == READY).sum() == 63


def test_no_workers_means_this_process(sample_config: Callable[..., Config]) -> None:
    config = sample_config().model_copy(update={"dask": DaskSettings(workers=0)})
    with cluster_client(config) as client:
        assert client is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"address": "tcp://h:1", "workers": 2}, "address or workers"),
        ({"address": "tcp://h:1", "cluster": "slurm"}, "address or cluster"),
        ({"cluster": "slurm", "workers": 0}, "needs workers"),
        ({"cluster": "slrum"}, "slurm"),
        ({"options": {"queue": "short"}}, "name it with cluster"),
        ({"address": "tls://h:1", "tls_ca": "a"}, "alone are no identity"),
        ({"address": "tls://h:1"}, "tls_ca"),
        ({"address": "tcp://h:1", "tls_ca": "a", "tls_cert": "b", "tls_key": "c"}, "starts with tls://"),
        ({"tls_ca": "a", "tls_cert": "b", "tls_key": "c"}, "address or a job queue"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DaskSettings.model_validate(given)


def test_a_missing_certificate_is_told(sample_config: Callable[..., Config], tmp_path: Path) -> None:
    files = {name: f"{name}.pem" for name in TLS_KEYS}
    (tmp_path / "tls_ca.pem").touch()
    with pytest.raises(ConfigError, match=r"\[dask\] tls_cert names .*tls_cert\.pem, which does not exist"):
        sample_config(dask={"address": "tls://127.0.0.1:1", **files})


@dataclass(frozen=True)
class Identity:
    """An authority and one certificate of its making, as PEM files."""

    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        return {name: str(self.folder / f"{name}.pem") for name in TLS_KEYS}

    @property
    def options(self) -> list[str]:
        """What `dask scheduler` and `dask worker` take."""
        names = ("--tls-ca-file", "--tls-cert", "--tls-key")
        return [word for name, file in zip(names, self.settings.values(), strict=True) for word in (name, file)]


def make_identity(folder: Path) -> Identity:
    folder.mkdir()
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, key: Any, issuer: str, signer: Any) -> bytes:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(hours=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (folder / "tls_ca.pem").write_bytes(certificate("authority", authority, "authority", authority))
    (folder / "tls_cert.pem").write_bytes(certificate("finnex", own, "authority", authority))
    plain = serialization.NoEncryption()
    pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls_key.pem").write_bytes(pem)
    return Identity(folder)


@contextmanager
def running(*words: str, log: Path, **environment: str) -> Iterator[None]:
    """Run `dask ...` for as long as the block lasts."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words], stdout=file, stderr=file, env=os.environ | environment
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@dataclass(frozen=True)
class Encrypted:
    address: str
    identity: Identity
    folder: Path


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """A scheduler and a worker that speak TLS and nothing else, started the way an operator does."""
    folder = tmp_path_factory.mktemp("tls")
    identity = make_identity(folder / "identity")
    where = folder / "scheduler.json"
    options = [*identity.options, "--protocol", "tls", "--host", "127.0.0.1"]
    with ExitStack() as stack:
        scheduler = ["scheduler", *options, "--port", "0", "--scheduler-file", str(where), "--no-dashboard"]
        stack.enter_context(running(*scheduler, log=folder / "scheduler.log"))
        worker = ["worker", "--scheduler-file", str(where), *options, "--no-dashboard", "--nthreads", "1"]
        stack.enter_context(running(*worker, log=folder / "worker.log", **WORKER_ENVIRONMENT))
        deadline = time.monotonic() + 60
        while not where.exists():
            assert time.monotonic() < deadline, (folder / "scheduler.log").read_text()
            time.sleep(0.1)
        yield Encrypted(json.loads(where.read_text())["address"], identity, folder)


@pytest.mark.slow
def test_images_are_drawn_over_tls(
    encrypted: Encrypted, sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 60)
    assert encrypted.address.startswith("tls://")
    config = sample_config(end=date(2015, 3, 6), dask={"address": encrypted.address, **encrypted.identity.settings})
    with cluster_client(config) as client:
        assert client is not None
        assert build(config, client=client).built == 5
        assert set(client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_").values()) == {None}


@pytest.mark.slow
def test_another_identity_or_none_is_refused_by_a_tls_scheduler(
    encrypted: Encrypted, sample_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 3)
    strangers = make_identity(tmp_path / "strangers")
    plain = encrypted.address.replace("tls://", "tcp://")
    for dask in ({"address": encrypted.address, **strangers.settings}, {"address": plain}):
        with pytest.raises(ServiceError, match="no Dask scheduler answers"), cluster_client(sample_config(dask=dask)):
            pass


@pytest.mark.slow
def test_a_worker_with_other_packages_is_refused_by_name_and_version(
    encrypted: Encrypted, sample_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is real; a package description before the installed one makes it say another version."""
    monkeypatch.setattr("flows.clusters.cluster.CONNECT_SECONDS", 60)
    described = tmp_path / "numcodecs-0.1.2.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: numcodecs\nVersion: 0.1.2\n")
    config = sample_config(dask={"address": encrypted.address, **encrypted.identity.settings})
    options = [*encrypted.identity.options, "--protocol", "tls", "--host", "127.0.0.1", "--no-dashboard"]
    with running("worker", encrypted.address, *options, log=tmp_path / "log", PYTHONPATH=str(tmp_path)):
        with cluster_client_of(encrypted) as client:
            client.wait_for_workers(2, timeout=60)
        ours = importlib.metadata.version("numcodecs")
        with (
            pytest.raises(ServiceError, match=rf"tls://\S+ has numcodecs 0\.1\.2, this process {re.escape(ours)}"),
            cluster_client(config),
        ):
            pass


@pytest.mark.slow
def test_a_scheduler_with_other_packages_is_refused_by_name_and_version(
    sample_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_cluster(1, "1GiB") as theirs:
        config = sample_config(dask=reached(theirs))
        told = theirs.get_versions

        def older(*given: Any, **named: Any) -> dict[str, Any]:
            found: dict[str, Any] = told(*given, **named)
            found["scheduler"]["packages"]["distributed"] = "2023.1.0"
            return found

        monkeypatch.setattr(distributed.Client, "get_versions", lambda self, *given, **named: older(*given, **named))
        with pytest.raises(ServiceError, match=r"the scheduler has distributed 2023\.1\.0"), cluster_client(config):
            pass


@contextmanager
def cluster_client_of(encrypted: Encrypted) -> Iterator[distributed.Client]:
    ca, certificate, key = encrypted.identity.settings.values()
    identity = distributed.Security(
        tls_ca_file=ca, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
    )
    with distributed.Client(encrypted.address, security=identity, set_as_default=False, timeout=60) as client:
        yield client


QUEUE_OPTIONS = {"queue": "short", "account": "research", "walltime": "00:30:00", "interface": "lo"}


def _need_jobqueue() -> None:
    """Skip where it is not installed; imported here, it would take Ctrl-C from the other tests of this process."""
    if find_spec("dask_jobqueue") is None:
        pytest.skip("dask-jobqueue is not installed")


def test_an_adapter_leaves_ctrl_c_to_the_flow() -> None:
    _need_jobqueue()
    script = (
        "import signal\nfrom flows.clusters.adapters import _adapter\n_adapter('dask_jobqueue', 'jobqueue')\n"
        "raise SystemExit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False).returncode == 0


@pytest.mark.slow
def test_the_job_script_asks_slurm_for_what_is_configured(tmp_path: Path) -> None:
    _need_jobqueue()
    identity = make_identity(tmp_path / "identity")
    prologue = ["module load python"]
    settings = DaskSettings.model_validate(
        {"cluster": "slurm", "memory_limit": "3GiB", "options": QUEUE_OPTIONS | {"job_script_prologue": prologue}}
    )
    with job_queue(settings, tls_identity(*map(Path, identity.settings.values()))) as cluster:
        script = cluster.job_script()
        assert cluster.scheduler_address.startswith("tls://")
    for line in ("#SBATCH -p short", "#SBATCH -A research", "#SBATCH -t 00:30:00", "#SBATCH --mem=3G", *prologue):
        assert line in script.splitlines()
    for name, value in WORKER_ENVIRONMENT.items():
        assert f'export {name}="{value}"' in script
    assert "--nthreads 1" in script
    assert f"--tls-key {identity.settings['tls_key']}" in script
    wrong = settings.model_copy(update={"options": {"qeue": "short", "interface": "lo"}})
    with pytest.raises(ConfigError, match=r"qeue.*queue"), cluster_client(_with(wrong)):
        pass


def _with(settings: DaskSettings) -> Config:
    document = {"inputs": {"prices": "p"}, "symbols": ["A"], "store": {"path": "s"}}
    return Config.model_validate(document).model_copy(update={"dask": settings})


@pytest.mark.slow
def test_images_are_drawn_by_workers_that_a_job_queue_starts(
    sample_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands stand in for SLURM's; they run the job here, as a node of the queue would."""
    _need_jobqueue()
    commands = {
        # The queue keeps a script that its caller removes.
        "sbatch": (
            'cp "$1" "$JOBS/$$.sh"; setsid sh "$JOBS/$$.sh" >>"$JOBS/log" 2>&1 & '
            'echo $! >>"$JOBS/started"; echo "Submitted batch job $!"'
        ),
        "scancel": 'for job in "$@"; do kill -- "-$job" && echo "$job" >>"$JOBS/cancelled"; done',
    }
    for name, text in commands.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    options = {"interface": "lo", "walltime": "00:10:00"}
    config = sample_config(
        end=date(2015, 3, 6), dask={"cluster": "slurm", "workers": 2, "memory_limit": "1GiB", "options": options}
    )
    with cluster_client(config) as client:
        assert client is not None
        client.wait_for_workers(2, timeout=60)
        assert all(address.startswith("tls://") for address in client.scheduler_info()["workers"])
        assert build(config, client=client).built == 5
    started = (tmp_path / "started").read_text().split()
    assert len(started) == 2
    assert sorted((tmp_path / "cancelled").read_text().split()) == sorted(started)
    assert list(tmp_path.glob(".finnex-*")) == []  # the identity has gone with the cluster


def test_kubernetes_is_asked_for_what_is_configured() -> None:
    pytest.importorskip("dask_kubernetes")
    options = {
        "image": "registry/finnex:1",
        "namespace": "research",
        "env": {"AWS_ENDPOINT_URL": "http://s3:9000"},
        "volume_claim": "images",
        "volume_path": "/data",
    }
    settings = DaskSettings.model_validate(
        {"cluster": "kubernetes", "workers": 8, "memory_limit": "3GiB", "options": options}
    )
    made = kubernetes_spec(settings)
    assert made["kind"] == "DaskCluster"
    assert made["metadata"]["name"].startswith("finnex-")
    assert made["spec"]["idleTimeout"] == 900
    worker = made["spec"]["worker"]
    assert worker["replicas"] == 8
    [container] = worker["spec"]["containers"]
    assert container["image"] == "registry/finnex:1"
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]
    assert container["resources"]["limits"] == {"memory": "3Gi", "cpu": "1"}
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment == WORKER_ENVIRONMENT | options["env"]  # type: ignore[operator]
    assert worker["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "images"
    assert container["volumeMounts"] == [{"name": "store", "mountPath": "/data"}]
    for missing in ("image", "volume_path"):
        left = {key: value for key, value in options.items() if key != missing}
        with pytest.raises(ConfigError, match=missing):
            kubernetes_spec(settings.model_copy(update={"options": left}))


def test_an_adapter_that_is_not_installed_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", None)
    settings = DaskSettings.model_validate({"cluster": "kubernetes", "options": {"image": "i"}})
    with pytest.raises(ServiceError, match=r"pip install 'finnex\[kubernetes\]'"):
        kubernetes_spec(settings)
