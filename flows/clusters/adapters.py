"""Dask workers that a job queue or Kubernetes gives for the time of a flow: `[dask] cluster` and `options`.

The scheduler of a job queue's workers lives in the flow's process and listens on the network, so its connections
are encrypted, with a temporary identity unless one is configured. Kubernetes' own network policy
guards the other.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import distributed

from finnex.config import DaskSettings
from finnex.errors import ConfigError, ServiceError, nearest
from flows.clusters.identity import make_identity, private_folder
from flows.servers.access import LOOPBACK

JOB_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
}
WORKER_ENVIRONMENT = {
    # Without the first, malloc gives memory back early, which costs a third of the rate with arrays of 3 MB.
    "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": "{'MALLOC_TRIM_THRESHOLD_': None, 'NUMBA_NUM_THREADS': 1}",
    "DASK_LOGGING__DISTRIBUTED": "warning",
}
"""Environment of every worker process that FinNeX does not start itself."""
IDLE_SECONDS = 900
"""After this time without work Kubernetes removes the workers, even where the flow that requested them has died."""
SHARED_PREFIX = ".finnex-dask-"
VOLUME_KEYS = ("volume_claim", "volume_path")


@contextmanager
def ask_for_cluster(settings: DaskSettings, identity: distributed.Security | None) -> Iterator[Any]:
    """Ask for the workers of `settings`, and give them back when the block ends.

    Raises
    ------
    ConfigError
        An option is unknown or wrong.
    ServiceError
        The adapter is not installed, or the queue or Kubernetes does not answer.
    """
    with ExitStack() as made:
        try:
            if settings.cluster == "kubernetes":
                cluster = made.enter_context(kubernetes(settings))
            else:
                if identity is None:
                    folder = private_folder(Path.cwd(), SHARED_PREFIX, "Start it in a folder that the nodes share.")
                    identity = make_identity(made.enter_context(folder))
                cluster = made.enter_context(job_queue(settings, identity))
                cluster.scale(jobs=settings.workers)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"[dask] options: {error}. The keys are those of {settings.cluster}'s cluster.") from None
        except (OSError, RuntimeError) as error:
            raise ServiceError(f"{settings.cluster} gave no cluster ({error}). Correct [dask] options.") from None
        yield cluster


def job_queue(settings: DaskSettings, identity: distributed.Security) -> Any:
    """Return a cluster of no workers yet; its `job_script()` is what the queue will be given, one job a worker."""
    module = _adapter("dask_jobqueue", "jobqueue")
    given: dict[str, Any] = dict(settings.options)
    prologue = [f'export {name}="{value}"' for name, value in WORKER_ENVIRONMENT.items()]
    defaults = {
        "cores": 1,
        "processes": 1,
        "memory": settings.memory_limit,
        "security": identity,
        "scheduler_options": {"dashboard_address": f"{LOOPBACK}:0", "dashboard": False},
    }
    kind = getattr(module, JOB_QUEUES[settings.cluster])
    _check_options(given, kind)
    given["job_script_prologue"] = [*prologue, *given.get("job_script_prologue", [])]
    return kind(**(defaults | given))


def _check_options(given: Mapping[str, Any], kind: type) -> None:
    """Refuse what neither the cluster nor its jobs take, before a scheduler has been started."""
    classes = (*kind.__mro__, *kind.job_cls.__mro__)  # type: ignore[attr-defined]
    known = {name for one in classes if "__init__" in vars(one) for name in inspect.signature(one.__init__).parameters}
    known -= {"self", "args", "kwargs", "base_class_kwargs", "scheduler", "name"}
    if unknown := [name for name in given if name not in known]:
        raise ConfigError(f"[dask] options: '{unknown[0]}' is unknown. {nearest(unknown[0], known)}")


def kubernetes(settings: DaskSettings) -> Any:
    """Return a cluster of the Dask operator, its workers on their way."""
    module = _adapter("dask_kubernetes.operator", "kubernetes")
    own = {key: value for key, value in settings.options.items() if key in {"namespace", "resource_timeout"}}
    return module.KubeCluster(custom_cluster_spec=kubernetes_spec(settings), shutdown_on_close=True, quiet=True, **own)


def kubernetes_spec(settings: DaskSettings) -> dict[str, Any]:
    """Return the DaskCluster resource that Kubernetes is given.

    In addition to the arguments of `dask_kubernetes.operator.make_cluster_spec`, options may name a `volume_claim` that
    holds the store, and the `volume_path` where every process mounts it.

    Raises
    ------
    ConfigError
        The image is not named, or only one of the claim and its path is given.
    """
    module = _adapter("dask_kubernetes.operator", "kubernetes")
    options: dict[str, Any] = dict(settings.options)
    claim = [options.pop(key, None) for key in VOLUME_KEYS]
    for key in ("namespace", "resource_timeout"):
        options.pop(key, None)
    if "image" not in options:
        raise ConfigError("[dask] options: image is missing. Name the one that docker/Dockerfile made for you.")
    if (claim[0] is None) != (claim[1] is None):
        raise ConfigError(f"[dask] options: {' and '.join(VOLUME_KEYS)} go together. Give both, or neither.")
    bounds = {"memory": _quantity(settings.memory_limit), "cpu": "1"}
    defaults = {
        "name": f"finnex-{uuid.uuid4().hex[:8]}",
        "n_workers": settings.workers,
        "worker_command": "dask worker --nthreads 1",
        "resources": {"limits": bounds, "requests": bounds},
        "idle_timeout": IDLE_SECONDS,
    }
    environment = WORKER_ENVIRONMENT | options.pop("env", {})
    made = module.make_cluster_spec(**(defaults | options), env=environment)
    return made if claim[0] is None else _with_volume(made, claim[0], claim[1])


def _with_volume(spec: Mapping[str, Any], claim: str, path: str) -> dict[str, Any]:
    changed: dict[str, Any] = copy.deepcopy(dict(spec))
    pod = changed["spec"]["worker"]["spec"]
    pod["volumes"] = [{"name": "store", "persistentVolumeClaim": {"claimName": claim}}]
    for container in pod["containers"]:
        container["volumeMounts"] = [{"name": "store", "mountPath": path}]
    return changed


def _quantity(memory: str) -> str:
    """Return Dask's '2GiB' as Kubernetes writes it: '2Gi'."""
    return memory.removesuffix("B") if memory.endswith("iB") else memory


def _adapter(module: str, extra: str) -> ModuleType:
    """Import an adapter; dask_jobqueue ends the process at Ctrl-C from then on, where a flow has to clear up."""
    before = signal.getsignal(signal.SIGINT)
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ServiceError(f"[dask] cluster needs {error.name}. Install it: pip install 'finnex[{extra}]'.") from None
    if signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)
    return found
