"""Fixtures that many tests share: the bundled sample as files, a configuration over it, small tables."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from finnex.config import Config, parse_config
from finnex.sample import SYNTHETIC_TABLES, sample_tables

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it that starts the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def sample_inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundled sample, written once."""
    return sample_tables(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def sample_config(sample_inputs: dict[str, Path], tmp_path: Path) -> Callable[..., Config]:
    """Return a maker of configurations over the sample, with a store of their own."""

    def make(**changes: object) -> Config:
        document: dict[str, object] = {
            "inputs": {name: str(path) for name, path in sample_inputs.items()} | {"synthetic": list(SYNTHETIC_TABLES)},
            "symbols": ["NVDA"],
            "start": date(2015, 3, 2),
            "end": date(2015, 3, 31),
            "store": {"path": str(tmp_path / "images.zarr")},
        }
        return parse_config(document | changes, tmp_path / "finnex.toml")

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
