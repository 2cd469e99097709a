"""Fixtures that many tests share: the bundled sample as files, a configuration over it, small tables."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finnex.config import Config
from finnex.sample import sample_tables
from tests.helpers.longest_first import longest_first
from tests.helpers.sample_configs import sampled_config

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it that starts the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no worker wait at the end for a long file that another began last."""
    items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run all files that share a server, which takes half a minute to start."""
    from tests.helpers.shared_servers import SharedServers

    return SharedServers(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def sample_inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundled sample, written once."""
    return sample_tables(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def sample_config(sample_inputs: dict[str, Path], tmp_path: Path) -> Callable[..., Config]:
    """Return a maker of configurations over the sample, with a store of their own."""

    def make(**changes: object) -> Config:
        return sampled_config(sample_inputs, tmp_path, **changes)

    return make


@pytest.fixture(scope="session", autouse=True)
def state_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder of their own for configurations that name none: no test touches that of the account."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINNEX_HOME", str(tmp_path_factory.mktemp("home") / "state"))
        yield


@pytest.fixture
def fixed_seed() -> None:
    """Let weights and dropout be the same each time, on one thread."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Research tables beside the project, where they are present."""
    if not (REAL_DATA / "prices.csv.gz").is_file():
        pytest.skip("the research tables are not beside the project")
    return REAL_DATA


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store with everything that a store can hold; copy it before it is changed."""
    from tests.helpers.damaged_stores import make_whole

    return make_whole(tmp_path_factory.mktemp("whole") / "images.zarr")
