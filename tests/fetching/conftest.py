"""The public sources of tests of `finnex fetch`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from finnex.fetching.sources import SOURCES, Source
from tests.helpers.public_sites import Sites, sites_running
from tests.helpers.public_world import WORDS, World

ABSENT = [name for source in SOURCES.values() for name in source.libraries if find_spec(name) is None]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def sites(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    if ABSENT:
        pytest.skip(f"the extra finnex[fetch] is not installed: {', '.join(ABSENT)}")
    (tmp_path / "certificates").mkdir()
    with sites_running(tmp_path / "certificates", world) as running:
        for name, value in (running.environment() | WORDS | {"HOME": str(tmp_path / "home")}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        # The pauses between requests, of which `test_requests_are_spaced_and_the_home_stays_as_it_was` keeps watch.
        monkeypatch.setattr(Source, "seconds", property(lambda _: 0.0), raising=False)
        yield running
