"""What `finnex deploy` does: everything a Prefect server must know about FinNeX, applied as often as you like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from finnex.errors import ServiceError
from flows.deploy.automations import apply_automations, automations
from flows.deploy.deployments import WORK_POOL, read_deployments, share_the_writers_limit

DEPLOY_SECONDS = 300


def deploy(file: Path) -> tuple[str, ...]:
    """Create or renew work pool, deployments, shared limit and automations; return the deployments' names.

    Parameters
    ----------
    file
        A prefect.yaml.

    Raises
    ------
    ServiceError
        No Prefect server answers at `PREFECT_API_URL`, it refuses, or the file is not there or wrong.
    """
    if not file.is_file():
        raise ServiceError(f"there is no {file}. Name another with --file, or none: FinNeX has one.")
    deployments = read_deployments(file)
    address = PREFECT_API_URL.value()
    if address is None:
        raise ServiceError(
            "PREFECT_API_URL is not set. Give it the address of the Prefect server: http://HOST:4200/api"
        )
    for one in deployments:
        one.load()
    try:
        with get_client(sync_client=True) as client:
            _make_work_pool(client)
            _run_prefect_deploy(file)
            share_the_writers_limit(client, deployments)
            apply_automations(client, automations(deployments))
    except PrefectHTTPStatusError as error:
        if error.response.status_code in {401, 403}:
            raise ServiceError(
                f"the Prefect server at {address} wants another password. Set PREFECT_API_AUTH_STRING to USER:PASSWORD."
            ) from None
        raise ServiceError(f"the Prefect server at {address} refused: {error.response.text[:300]}") from None
    except httpx.TransportError as error:
        raise ServiceError(
            f"no Prefect server answers at {address} ({error}). Start it, or correct the address."
        ) from None
    return tuple(line.full_name for line in deployments)


def _make_work_pool(client: SyncPrefectClient) -> None:
    try:
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process", description="Runs of FinNeX."))
    except ObjectAlreadyExists:
        found = client.read_work_pool(WORK_POOL)
        if found.type != "process":
            raise ServiceError(
                f"the work pool '{WORK_POOL}' is there, of type '{found.type}'. Delete it, or rename it."
            ) from None


def _run_prefect_deploy(file: Path) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file.resolve())]
    environment = os.environ | {"PREFECT_LOGGING_COLORS": "false"}
    environment.pop("FINNEX_PROJECT", None)  # every worker has its own: Prefect would write this machine's into each
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEPLOY_SECONDS, check=False)
    if done.returncode != 0:
        raise ServiceError(f"`prefect deploy` failed on {file}:\n{(done.stdout + done.stderr)[-2000:]}")
