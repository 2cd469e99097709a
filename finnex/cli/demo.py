"""`finnex demo`: everything once, on real sample data, through the same deployments an operator uses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import err, out, progress_bar

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from flows.runs import FlowRuns
    from flows.stack import Stack

EPOCHS = 6
"""Enough for the learning curve to show, few enough for two cores."""


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to work in; made when absent.", show_default=True)
    ] = Path("finnex_demo"),
) -> None:
    """Build images of six companies, train a model and write its report, in a few minutes.

    Runs through real Prefect, Dask and MLflow processes on this machine. Run again in the same folder, it
    skips what is built.
    """
    from flows.stack import Stack, stop_on_signals

    screen = out()
    began = time.monotonic()
    config = _project(directory, screen)
    with stop_on_signals(), Stack(directory / "state", prefect_port=0, mlflow_port=0, config=config) as stack:
        screen.print(f"Servers: Prefect UI {stack.prefect_address}, MLflow UI {stack.mlflow_address}")
        built, scores = _run_flows(stack, config, screen)
    _summary(screen, directory, config, built, scores, time.monotonic() - began)


def _project(directory: Path, screen: Console) -> Path:
    """Write the sample's tables and a configuration; keep a configuration that is there."""
    from finnex.cli.template import FILE, configuration_text, write_new
    from finnex.errors import ConfigError
    from finnex.sample import SAMPLE_END, SAMPLE_START, SAMPLE_SYMBOLS, SYNTHETIC_TABLES, sample_tables

    path = directory / FILE
    try:
        with err().status("Writing the sample"):
            tables = sample_tables(directory / "inputs")
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written ({error.strerror}). Choose another folder: finnex demo DIR"
        ) from None
    if not path.exists():
        inputs = {name: str(table.relative_to(directory)) for name, table in tables.items()}
        text = configuration_text(
            inputs, SAMPLE_SYMBOLS, start=SAMPLE_START, end=SAMPLE_END, synthetic=SYNTHETIC_TABLES, epochs=EPOCHS
        )
        write_new(path, text)
    screen.print(f"Sample: {', '.join(SAMPLE_SYMBOLS)}, {SAMPLE_START} to {SAMPLE_END}, in {directory}")
    return path


def _run_flows(stack: Stack, config: Path, screen: Console) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from flows.requests import BackfillRequest, TrainRequest
    from flows.runs import FlowRuns

    runs = FlowRuns(stack.prefect_address)
    where = str(config.resolve())
    build = _follow(runs, stack, "finnex-backfill/backfill", BackfillRequest(config=where), "Drawing images")
    built = runs.table(build, "build-result")[0]
    screen.print(
        f"Images: {built['built']} drawn, {built['skipped']} up to date, {built['images_per_second']:.0f} images/s"
    )
    training = _follow(runs, stack, "finnex-train/train", TrainRequest(config=where), "Training")
    return built, runs.table(training, "scores")


def _follow(runs: FlowRuns, stack: Stack, deployment: str, request: BaseModel, title: str) -> Any:
    from finnex.errors import ServiceError
    from flows.stack import tail

    with progress_bar(title, counted=False) as show:
        run = runs.start(deployment, request)
        try:
            runs.follow(run, lambda percent, what: show(round(percent), 100, what), stack.check)
        except ServiceError as error:
            log = stack.state / "logs" / "flows.log"
            raise ServiceError(f"{title}: {error}\nThe end of {log}:\n{tail(log)}") from None
    return run
