"""The examples of calibration, temperature, regimes, breakdown and abstention run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = ("abstention", "breakdown", "calibration", "calibration_card", "regimes", "session_answers", "temperature")


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(import_module(f"finnex.evaluation.{name}"), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 3
    assert found.failed == 0
