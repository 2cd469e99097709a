"""Where images are drawn: local worker processes, an existing Dask scheduler, or workers that are requested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import dask
import distributed

from finnex.config import Config, DaskSettings
from finnex.errors import ServiceError
from flows.clusters.adapters import ask_for_cluster
from flows.clusters.identity import tls_identity
from flows.clusters.local import cluster_settings, local_cluster

CONNECT_SECONDS = 15
WORKERS_SECONDS = 600
"""How long a job queue or Kubernetes may take to give the first worker."""
SAME_EVERYWHERE = ("python", "dask", "distributed", "cloudpickle", "numpy", "pandas", "numcodecs", "finnex")
"""Packages whose version may change what a worker draws, or whether it understands its task at all."""


@contextmanager
def cluster_client(config: Config) -> Iterator[distributed.Client | None]:
    """Connect to the scheduler of `[dask] address`, or start or ask for workers, for as long as the block lasts.

    Yields
    ------
    distributed.Client or None
        Never the process's default client; None where `[dask] workers` is 0 and this process draws.

    Raises
    ------
    ServiceError
        No scheduler answers at the address, it has no workers, its packages differ from ours, or a job queue or
        Kubernetes gives no workers.
    """
    settings = config.dask
    if settings.address is not None:
        with _existing(settings.address, security(settings)) as client:
            yield client
    elif settings.workers == 0:
        yield None
    elif settings.cluster == "local":
        with local_cluster(settings.workers, settings.memory_limit) as client:
            yield client
    else:
        with dask.config.set(cluster_settings()), ask_for_cluster(settings, security(settings)) as cluster:
            where = f"the {settings.cluster} cluster"
            with distributed.Client(cluster, set_as_default=False) as client:
                _wait_for_workers(client, WORKERS_SECONDS, f"{where} gave no worker within {WORKERS_SECONDS} s")
                _check_versions(client, where)
                yield client


@contextmanager
def cluster_on_demand(config: Config) -> Iterator[Callable[[], distributed.Client | None]]:
    """Yield what connects to workers, or starts them, as `cluster_client` does; they stay as long as the block lasts.

    A scheduler of `[dask] address` is connected to when the block begins, so that one that does not answer is seen.
    """
    with ExitStack() as opened:

        @cache
        def connected() -> distributed.Client | None:
            return opened.enter_context(cluster_client(config))

        if config.dask.address is not None:
            connected()
        yield connected


def security(settings: DaskSettings) -> distributed.Security | None:
    """Return the identity that `[dask] tls_*` name; None where they name none."""
    if settings.tls_ca is None or settings.tls_cert is None or settings.tls_key is None:
        return None
    return tls_identity(settings.tls_ca, settings.tls_cert, settings.tls_key)


@contextmanager
def _existing(address: str, identity: distributed.Security | None) -> Iterator[distributed.Client]:
    try:
        client = distributed.Client(address, security=identity, set_as_default=False, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:  # a refused certificate is an OSError too
        other = " One that speaks TLS has tls:// before its name and needs [dask] tls_ca, tls_cert and tls_key."
        raise ServiceError(
            f"no Dask scheduler answers at [dask] address '{address}' ({error}). Start one with "
            f"`dask scheduler`, correct the address, or give [dask] workers instead.{other if identity is None else ''}"
        ) from None
    with client:
        _wait_for_workers(client, CONNECT_SECONDS, f"the Dask scheduler {address} has no workers")
        _check_versions(client, address)
        yield client


def _wait_for_workers(client: distributed.Client, seconds: float, problem: str) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise ServiceError(f"{problem}. Start some with `dask worker {client.scheduler.address}`.") from None


def _check_versions(client: distributed.Client, address: str) -> None:
    found = client.get_versions(packages=["finnex", "numcodecs", "pandas"])
    ours = _packages(found["client"])
    skewed = [
        f"{where} has {name} {theirs.get(name, 'not installed')}, this process {ours[name]}"
        for where, described in ({"the scheduler": found["scheduler"]} | found["workers"]).items()
        for theirs in [_packages(described)]
        for name in SAME_EVERYWHERE
        if name in ours and theirs.get(name) != ours[name]
    ]
    if skewed:
        raise ServiceError(
            f"the scheduler or workers of {address} run other packages: {'; '.join(skewed[:5])}. "
            "Install the same versions on both sides."
        )


def _packages(described: dict[str, Any]) -> dict[str, str]:
    known = {name: str(version) for name, version in described["packages"].items() if version is not None}
    if "python" in known:  # 3.11.15.final.0: what is pickled depends on 3.11 alone
        known["python"] = ".".join(known["python"].split(".")[:2])
    return known
