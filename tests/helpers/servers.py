"""Real servers for tests: one stack for all modules that name this plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from finnex.cli.template import FILE, configuration_text
from finnex.sample import SYNTHETIC_TABLES
from flows.prefect_api.requests import NightlyRequest, TrainRequest
from flows.prefect_api.runs import FlowRuns
from flows.servers.stack import Stack


@pytest.fixture(scope="session")
def served_project(tmp_path_factory: pytest.TempPathFactory, sample_inputs: dict[str, Path]) -> Path:
    """A configuration over the sample: two symbols, a hundred and fifty sessions, two epochs."""
    path = tmp_path_factory.mktemp("served") / FILE
    inputs = {name: str(table) for name, table in sample_inputs.items()}
    text = configuration_text(inputs, ["NVDA", "AAPL"], synthetic=SYNTHETIC_TABLES, epochs=2)
    text = text.replace("# start = 2015-01-02", "start = 2015-03-02").replace("# end = 2024-03-08", "end = 2015-09-30")
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, served_project: Path) -> Iterator[Stack]:
    """Prefect, MLflow and the flows, as `finnex up --config` starts them, on free ports."""
    with Stack(tmp_path_factory.mktemp("state"), prefect_port=0, mlflow_port=0, config=served_project) as running:
        yield running


@pytest.fixture(scope="session")
def runs(stack: Stack) -> FlowRuns:
    """What starts and follows flow runs on the stack."""
    return FlowRuns(stack.prefect_address)


@pytest.fixture(scope="session")
def trained(runs: FlowRuns, served_project: Path) -> UUID:
    """A finished training on a finished build, both through their deployments."""
    where = str(served_project)
    build = runs.start("finnex-nightly/nightly", NightlyRequest(config=where))
    runs.follow(build, lambda *_: None)
    training = runs.start("finnex-train/train", TrainRequest(config=where))
    runs.follow(training, lambda *_: None)
    return training
