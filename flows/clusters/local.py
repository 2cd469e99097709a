"""Dask workers on this machine: processes of this account that accept connections from no other account."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dask
import distributed

from finnex.errors import ServiceError
from flows.clusters.identity import make_identity, private_folder, temporary_folder
from flows.servers.access import LOOPBACK

STARTS = 3
"""Attempts to start a cluster: a worker that is killed while it starts ends the whole cluster."""
START_SECONDS = 120.0
THREADS = 2
"""Of a worker: one draws while the other waits for the scheduler; more would wait for each other."""
FILES, FILES_PER_WORKER = 40, 16
"""Open files that this process needs without a cluster, and per worker of a cluster; measured: 22 and 12."""
SAFE_PATH = "PYTHONSAFEPATH"
NO_HTTP = "flows.clusters.no_http"


@contextmanager
def local_cluster(workers: int, memory_limit: str) -> Iterator[distributed.Client]:
    """Start `workers` processes of two threads each, and a client of theirs.

    They speak TLS with a key of their own and serve no web pages; key and scratch files lie in a folder that no other
    account can enter.

    Raises
    ------
    ServiceError
        The processes, or the folder, cannot be made, or this process may not open as many files as it takes.
    """
    _allow_open_files(workers)
    with (
        private_folder(temporary_folder()) as folder,
        _without_working_folder_on_the_path(),
        dask.config.set(cluster_settings() | {"temporary-directory": str(folder)}),
        ExitStack() as opened,
    ):
        yield _start(opened, workers, memory_limit, make_identity(folder))


def cluster_settings() -> dict[str, Any]:
    """Return Dask's settings for schedulers of this process and, where it starts them, their workers."""
    # Dask lets malloc return memory early, which costs a third of the rate with arrays of 3 MB; it sets the
    # variable in this process too, where an earlier cluster may have left it.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    before_spawn = dict(dask.config.get("distributed.nanny.pre-spawn-environ"))
    before_spawn.pop("MALLOC_TRIM_THRESHOLD_", None)
    return {
        "distributed.nanny.pre-spawn-environ": before_spawn | {"NUMBA_NUM_THREADS": "1"},
        # By default a cluster drops a worker permanently that does not return in 15 s: a busy machine takes longer.
        "distributed.deploy.lost-worker-timeout": f"{START_SECONDS:.0f} s",
        "distributed.scheduler.allowed-failures": 1,  # a date that kills two workers has failed
        # One task at work and one in hand: none waits for the scheduler, and nothing has to be moved between workers.
        "distributed.scheduler.worker-saturation": 2.0,
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.preload": [*dask.config.get("distributed.scheduler.preload"), NO_HTTP],
        "distributed.worker.preload": [*dask.config.get("distributed.worker.preload"), NO_HTTP],
    }


def _allow_open_files(workers: int) -> None:
    """Raise this process's limit of open files where a cluster needs more; Dask would try to open them for ever."""
    needed = FILES + FILES_PER_WORKER * workers
    now, highest = (
        sys.maxsize if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if highest < needed:
        raise ServiceError(
            f"{workers} Dask workers take {needed} open files, and this process may open {highest}. Raise the limit, "
            "as `ulimit -n 1024` does, or lower [dask] workers; with workers = 0 this process draws."
        )
    if now < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(highest, 2 * needed), highest))


@contextmanager
def _without_working_folder_on_the_path() -> Iterator[None]:
    """Keep the working folder, in which others may write, off the path of the processes that are started."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE_PATH, None)
        else:
            os.environ[SAFE_PATH] = before


def _start(opened: ExitStack, workers: int, memory_limit: str, identity: distributed.Security) -> distributed.Client:
    """Return the client of a cluster whose workers are all there; `opened` closes both."""
    for left in reversed(range(STARTS)):
        others = set(multiprocessing.active_children())
        try:
            with ExitStack() as attempt:
                cluster = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=THREADS, processes=True, memory_limit=memory_limit,
                    host=LOOPBACK, protocol="tls", security=identity, death_timeout=START_SECONDS,
                    dashboard_address=f"{LOOPBACK}:0", scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                )  # fmt: skip
                attempt.enter_context(cluster)
                client = attempt.enter_context(distributed.Client(cluster, set_as_default=False))
                if workers:
                    client.wait_for_workers(workers, timeout=START_SECONDS)
                opened.push(attempt.pop_all())
                return client
        except (RuntimeError, OSError, AssertionError) as error:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()  # one that hangs does not end when it is asked to
            if left:
                continue
            raise ServiceError(
                f"the Dask workers could not be started in {STARTS} attempts; the last one ended with: "
                f"{_first_cause(error)}. {_remedy(error)}; with workers = 0 this process draws."
            ) from None
    raise AssertionError("an attempt returns or raises")


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and what led to it, the first cause first."""
    found = [error]
    while (earlier := found[0].__cause__ or found[0].__context__) is not None:
        found.insert(0, earlier)
    return found


def _first_cause(error: BaseException) -> str:
    first = _causes(error)[0]
    return " ".join(str(first).split()).rstrip(".") or type(first).__name__


def _remedy(error: BaseException) -> str:
    numbers = {cause.errno for cause in _causes(error) if isinstance(cause, OSError)}
    if numbers & {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        return f"Make room in /dev/shm and {temporary_folder()}, which processes write to when they start"
    if numbers & {errno.EAGAIN, errno.ENOMEM}:
        return "Lower [dask] workers, or raise the limit of processes or memory"
    return (
        "A worker that is killed while it starts is often one too many for the machine's memory: lower [dask] workers"
    )
