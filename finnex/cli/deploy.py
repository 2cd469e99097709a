"""`finnex deploy`: register FinNeX's deployments with a Prefect server that `finnex up` does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.terminal import err, out


def deploy(
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A prefect.yaml of your own.  [default: the one that `finnex up` serves]"),
    ] = None,
) -> None:
    """Create work pool, deployments, schedule, limits and automations on the server of PREFECT_API_URL.

    Run it again after every upgrade: what has not changed is left as it is.
    """
    from flows.deploy.deploying import deploy as apply
    from flows.deploy.deployments import FILE, WORK_POOL

    with err().status("Deploying"):
        names = apply(FILE if file is None else file)
    screen = out()
    for name in names:
        screen.print(f"Deployed {name}")
    screen.print(f"Start a worker: FINNEX_PROJECT=FOLDER prefect worker start --pool {WORK_POOL} --type process")
    screen.print("FOLDER is where finnex.toml lies on the worker's machine: runs start there.")
