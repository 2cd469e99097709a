"""A store that an earlier renderer drew is drawn again, and the build says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from finnex.config import Config
from finnex.images.render import RENDERER_VERSION
from finnex.pipeline import build, due_sessions, input_keys, stage_1
from finnex.store import ImageStore
from finnex.store.sealed import seal, unseal
from tests.pipeline.test_build import edited

Maker = Callable[..., Config]
RECORD = ".finnex/root.json"
SESSIONS = 5


@pytest.fixture
def config(sample_config: Maker, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Of a store that renderer 1 drew, as the version of FinNeX that had it recorded its builds."""
    config = sample_config(end=date(2015, 3, 6))
    with monkeypatch.context() as earlier:
        for module in (due_sessions, stage_1, input_keys):
            earlier.setattr(module, "RENDERER_VERSION", "1")
        assert build(config).built == SESSIONS
    content = unseal((config.store.path / RECORD).read_bytes())
    for entry in content["inputs"]:
        assert entry.pop("renderer") == "1"
    (config.store.path / RECORD).write_bytes(seal(content))
    return config


def recorded(config: Config) -> str:
    return ImageStore.open(config.store.path).record().renderer("NVDA")


def test_images_of_an_earlier_renderer_are_drawn_again_once_and_the_build_says_why(config: Config) -> None:
    said: list[str] = []
    assert build(config, on_redrawn=said.append).built == SESSIONS
    assert len(said) == 1
    assert said[0].startswith(f"NVDA: {SESSIONS} published images are drawn again: renderer 1 drew them")
    assert f"renderer {RENDERER_VERSION}" in said[0]
    assert recorded(config) == RENDERER_VERSION
    assert build(config, on_redrawn=said.append).built == 0
    assert len(said) == 1


def test_a_build_of_a_part_leaves_the_reason_for_the_rest(config: Config) -> None:
    said: list[str] = []
    newest = build(config, start=date(2015, 3, 5), on_redrawn=said.append)
    assert (newest.built, recorded(config)) == (2, "1")
    assert build(config, on_redrawn=said.append).built == SESSIONS - 2
    assert [line.split(" are")[0] for line in said] == ["NVDA: 2 published images", "NVDA: 3 published images"]
    assert recorded(config) == RENDERER_VERSION


def test_images_whose_inputs_changed_are_not_laid_to_the_renderer(config: Config, tmp_path: Path) -> None:
    build(config)
    said: list[str] = []
    more = edited(config, tmp_path, "prices", lambda frame: frame.assign(volume=np.arange(len(frame)) % 7 + 1.0))
    assert build(more, on_redrawn=said.append).built == SESSIONS
    assert said == []
