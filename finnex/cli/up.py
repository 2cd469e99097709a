"""`finnex up`: the Prefect server, the MLflow server and the flows, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.terminal import StateOption, err, out


def up(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Configuration that runs use unless they name another; needed for the nightly schedule.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where both listen; beyond this machine only with FINNEX_PASSWORD."),
    ] = "127.0.0.1",
    prefect_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the Prefect UI; 0 chooses a free one.")
    ] = 4200,
    mlflow_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the MLflow UI; 0 chooses a free one.")
    ] = 5000,
) -> None:
    """Start Prefect, MLflow and the flows on this machine, and stop them all on Ctrl-C.

    With --config, the nightly flow runs on weekdays at 18:30 New York time. With FINNEX_PASSWORD in the environment,
    both web pages ask for it; the user of MLflow is 'finnex', Prefect wants 'finnex:PASSWORD'.
    """
    from flows.servers.stack import Stack
    from flows.servers.stop_signals import stop_on_signals

    folder = _state_folder(config, state)
    out_, err_ = out(), err()
    stack = Stack(folder, host=host, prefect_port=prefect_port, mlflow_port=mlflow_port, config=config)
    with stop_on_signals():
        try:
            with err_.status("Starting Prefect, MLflow and the flows"):
                stack.start()
            out_.print(f"Prefect UI   {stack.prefect_address}")
            out_.print(f"MLflow UI    {stack.mlflow_address}")
            out_.print(f"Deployments  {stack.deployments_address}")
            out_.print(f"Logs and databases are in {stack.state}. Ctrl-C stops everything.")
            stack.wait()
        except KeyboardInterrupt:
            err_.print("Stopping.")
        finally:
            stack.stop()


def _state_folder(config: Path | None, given: Path | None) -> Path:
    """Return where the stack keeps its state: where every other command with this configuration looks for it.

    Raises
    ------
    ConfigError
        --state names another folder than the configuration.
    """
    from finnex.config import load_config
    from finnex.config.state import state_folder
    from finnex.errors import ConfigError

    if config is None:
        return (given or state_folder(Path.cwd())).expanduser().resolve()
    folder = load_config(config).state.path  # a wrong file is refused here, not at half past six
    assert folder is not None
    if given is not None and given.expanduser().resolve() != folder:
        raise ConfigError(
            f"--state {given} is not the state folder of {config}, {folder}, where its other commands look. "
            f"Leave --state away, or add to {config}: [state] path = '{given.expanduser().resolve()}'"
        )
    return folder
