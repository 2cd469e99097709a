"""`finnex demo`: everything once, on real sample data, through the same deployments an operator uses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import err, out, print_scores, progress_bar

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from flows.prefect_api.runs import FlowRuns
    from flows.servers.stack import Stack

EPOCHS = 4
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
    from flows.servers.stop_signals import stop_on_signals

    screen = out()
    began = time.monotonic()
    config = _project(directory, screen)
    try:
        with stop_on_signals(), _servers(directory, config) as stack:
            screen.print(f"Servers: Prefect UI {stack.prefect_address}, MLflow UI {stack.mlflow_address}")
            outcome = _run_flows(stack, config, screen)
    except KeyboardInterrupt:
        err().print(f"Stopped, the servers too. `finnex demo {directory}` continues with what is built.")
        raise typer.Exit(130) from None
    _summary(screen, config, outcome, time.monotonic() - began)


@dataclass(frozen=True)
class _Outcome:
    built: dict[str, Any]
    scores: list[dict[str, Any]]
    where: dict[str, Any]


@contextmanager
def _servers(directory: Path, config: Path) -> Iterator[Stack]:
    from flows.servers.stack import Stack

    stack = Stack(directory / "state", prefect_port=0, mlflow_port=0, config=config)
    try:
        with err().status("Starting Prefect, MLflow and the flows"):
            stack.start()
        yield stack
    finally:
        stack.stop()


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


def _run_flows(stack: Stack, config: Path, screen: Console) -> _Outcome:
    from flows.prefect_api.requests import BackfillRequest, TrainRequest
    from flows.prefect_api.runs import FlowRuns

    runs = FlowRuns(stack.prefect_address, stack.auth_string)
    where = str(config.resolve())
    build = _follow(runs, stack, "finnex-backfill/backfill", BackfillRequest(config=where), "Drawing images")
    built = runs.table(build, "build-result")[0]
    screen.print(
        f"Images: {built['built']} drawn, {built['skipped']} up to date, {built['images_per_second']:.0f} images/s"
    )
    training = _follow(runs, stack, "finnex-train/train", TrainRequest(config=where), "Training")
    return _Outcome(built, runs.table(training, "scores"), runs.table(training, "training-result")[0])


def _follow(runs: FlowRuns, stack: Stack, deployment: str, request: BaseModel, title: str) -> Any:
    from flows.prefect_api.runs import FlowRunEnded
    from flows.servers.stack import tail

    with progress_bar(title, counted=False) as show:
        run = runs.start(deployment, request)
        try:
            runs.follow(run, lambda percent, what: show(round(percent), 100, what), stack.check)
        except FlowRunEnded as error:
            log = stack.state / "logs" / "flows.log"
            more = f"(Log: {log})" if error.explained else f"The end of {log}:\n{tail(log)}"
            raise FlowRunEnded(f"{title}: {error}\n{more}", explained=True) from None
    return run


def _summary(screen: Console, config: Path, outcome: _Outcome, seconds: float) -> None:
    from finnex.config import load_config
    from finnex.sample import SAMPLE_LIMITS, SYNTHETIC_TABLES

    folder, built = config.parent, outcome.built
    store = load_config(config).store.path
    drawn = f"{built['built']} drawn now, {built['images_per_second']:.0f} images/s"
    screen.print(f"\n{built['built'] + built['skipped']} images in {store.name}, {drawn}.")
    print_scores(screen, outcome.scores)
    screen.print(outcome.where["verdict"])
    screen.print(f"\nThe sample's {' and '.join(SYNTHETIC_TABLES)} are SYNTHETIC. {SAMPLE_LIMITS}")
    screen.print(
        f"\nImages       {store}\n"
        f"Report       {outcome.where['report']}, its pictures in the same folder\n"
        f"Runs         {folder / 'state' / 'mlflow' / 'mlflow.db'}\n"
        f"Logs         {folder / 'state' / 'logs'}\n"
        f"Look around  finnex up --state {folder / 'state'} --config {config}\n"
        f"One image    finnex show --config {config} NVDA 2016-03-01 --out nvda.png"
    )
    screen.print(f"Done in {seconds:.0f} s; the servers are stopped.")
