"""The key that registered models are sealed with: one for each state folder, and for its owner alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from finnex.config import Config
from finnex.errors import ServiceError
from finnex.tracking.key import key_file, make_key, read_key


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_the_key_is_made_once_for_its_owner_alone_whatever_the_umask(state: Path) -> None:
    before = os.umask(0)
    try:
        assert read_key(state / "model.key") is None
        key = make_key(state / "model.key")
    finally:
        os.umask(before)
    assert (state.stat().st_mode & 0o777, (state / "model.key").stat().st_mode & 0o777) == (0o700, 0o600)
    assert make_key(state / "model.key") == read_key(state / "model.key") == key
    assert len(key) == 32
    assert {path.name for path in state.iterdir()} == {"model.key", ".model.key.lock"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.chmod(0o640), r"is open to other accounts \(mode 640"),
        (lambda path: path.chmod(0o602), r"is open to other accounts \(mode 602"),
        (lambda path: path.write_text(""), "holds no key of 32 bytes"),
        (lambda path: path.write_text("00" * 31), "holds no key of 32 bytes"),
        (lambda path: path.write_text("zz" * 32), "holds no key of 32 bytes"),
        (lambda path: path.rename(path.with_name("k")) and path.symlink_to("k"), "cannot be read"),
    ],
)
def test_a_key_that_others_could_know_or_that_is_none_is_not_used(
    state: Path, spoil: Callable[[Path], None], said: str
) -> None:
    make_key(state / "model.key")
    spoil(state / "model.key")
    for use in (read_key, make_key):
        with pytest.raises(ServiceError, match=said):
            use(state / "model.key")


def test_two_trainings_that_begin_together_have_one_key(state: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        made = [pool.apply_async(make_key, (state / "model.key",)) for _ in range(8)]
        assert len({one.get(120) for one in made}) == 1


def test_a_state_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"file/model\.key cannot be (read|written)"):
        make_key(tmp_path / "file" / "model.key")


def test_the_key_lies_in_the_state_folder_of_the_configuration(sample_config: Callable[..., Config]) -> None:
    config = sample_config()
    assert config.state.path is not None
    assert key_file(config) == config.state.path / "model.key"
