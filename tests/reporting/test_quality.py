"""Quality checks find what is planted, and pass what is sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from finnex.errors import StoreError
from finnex.quality import Check, quality_checks
from tests.helpers.stores import blank, make_store, paint, sessions

N = 40
Image = npt.NDArray[np.float32]


def walks(index: int) -> Image:
    """All nine cells drawn from slow random walks, so that neighbours are alike."""
    image = blank()
    for number, section in enumerate(("macro", "behavioral", "fundamental")):
        for channel in range(3):
            steps = np.random.default_rng([number, channel]).normal(0, 0.04, (12, N + 56)).cumsum(axis=1)
            values = 0.5 + 0.45 * np.sin(4 * steps[:, index : index + 56] + np.arange(12)[:, None])
            paint(image, section, channel, values)
    return image


def checked(
    path: Path, images: Callable[[int], Image], labels: npt.NDArray[np.integer] | None = None
) -> dict[str, Check]:
    labels = np.arange(N) % 3 if labels is None else labels
    store = make_store(path / "s.zarr", sessions(N), lambda _, i: images(i), {"AAA": labels})
    return {check.name: check for check in quality_checks(store, sample=20)}


def test_a_sound_store_passes_every_check(tmp_path: Path) -> None:
    found = checked(tmp_path, walks)
    assert [check for check in found.values() if not check.passed] == []
    assert sum(name.startswith("alive: ") for name in found) == 9
    assert found["published sessions"].value == N
    assert all(check.meaning and check.limit for check in found.values())


def test_a_dead_cell_is_named(tmp_path: Path) -> None:
    def dead(index: int) -> Image:
        image = walks(index)
        image[171:342, :, 1] = 0.4
        return image

    found = checked(tmp_path, dead)
    failed = [name for name, check in found.items() if not check.passed]
    assert failed == ["alive: behavioral_technical green"]


@pytest.mark.parametrize(
    ("value", "name"),
    [(1.5, "pixel range"), (-0.1, "pixel range"), (np.nan, "pixel range"), (0.01, "zero means not known")],
)
def test_a_pixel_that_is_no_value_is_found(tmp_path: Path, value: float, name: str) -> None:
    def wrong(index: int) -> Image:
        image = walks(index)
        image[5, 5, 0] = value
        return image

    assert not checked(tmp_path, wrong)[name].passed


def test_images_without_a_trend_in_time_fail_continuity(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(N)
    found = checked(tmp_path, lambda index: walks(int(order[index])))
    sound = checked(tmp_path / "sound", walks)
    for section in ("macro_economic", "behavioral_technical", "fundamental_competitive"):
        assert found[f"continuity: {section}"].value > 0.8
        assert sound[f"continuity: {section}"].value < 0.5


def test_images_that_hardly_differ_fail_variety(tmp_path: Path) -> None:
    found = checked(tmp_path, lambda index: (0.5 + 0.03 * walks(index)).astype(np.float32))
    assert not found["variety: macro_economic"].passed
    assert found["variety: macro_economic"].value < 0.05


def test_duplicates_are_counted(tmp_path: Path) -> None:
    found = checked(tmp_path, lambda index: walks(min(index, 30)))
    assert found["duplicates"].value == N - 31
    assert not found["duplicates"].passed


def test_a_flipped_byte_on_disk_is_found(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.zarr", sessions(N), lambda _, i: walks(i), {"AAA": np.arange(N) % 3})
    chunk = store.path / "AAA" / "image" / "c.0.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(bytes(content))
    found = {check.name: check for check in quality_checks(store)}
    assert found["checksums"].value == 1
    assert not found["checksums"].passed


def test_a_rare_class_and_missing_labels_fail(tmp_path: Path) -> None:
    rare = np.zeros(N, dtype=int)
    rare[0] = 2
    found = checked(tmp_path, walks, rare)
    assert {name for name, check in found.items() if not check.passed} == {"class: hold", "class: buy"}
    assert not checked(tmp_path / "none", walks, np.full(N, -1))["labels"].passed


def test_an_input_that_ran_dry_is_named_and_one_that_never_was_is_told(tmp_path: Path) -> None:
    def drying(index: int) -> Image:
        image = walks(index)
        image[171:342, :, 2] = 0
        if index >= N - 20:
            image[:171, :, 0] = 0
        return image

    found = checked(tmp_path, drying)
    assert [name for name, check in found.items() if name.startswith("coverage") and not check.passed] == [
        "coverage: macro_red"
    ]
    assert found["coverage: behavioral_blue"].meaning.startswith("no input")
    assert not found["alive: behavioral_technical blue"].passed


def test_a_store_of_one_session_says_what_is_missing(tmp_path: Path) -> None:
    store = make_store(
        tmp_path / "s.zarr", sessions(10), lambda _, i: walks(i), {"AAA": np.zeros(10, int)}, unpublished=9
    )
    with pytest.raises(StoreError, match="0 pairs of adjacent published sessions"):
        quality_checks(store)
