"""Rows are written where they differ: the chunks of the others are left alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnex.store import StoreWriter, writing
from finnex.store.folder import Folder
from finnex.store.store_template import FEATURE_ROWS
from tests.helpers.stores import sessions, template

ROWS, NAME = 700, "feature_normalized"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreWriter]:
    path = tmp_path_factory.mktemp("rows") / "s.zarr"
    with writing(path):
        made = StoreWriter.prepare(path, template())
        made.ensure_symbol("A", sessions(ROWS), template())
        yield made


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    changed=st.lists(st.integers(0, ROWS - 1), max_size=3),
    first=st.integers(0, ROWS - 1),
    length=st.integers(0, ROWS),
    value=st.sampled_from([0.5, 0.25, float("nan")]),
)
def test_what_is_stored_is_what_was_given_and_only_chunks_that_differ_are_written(
    store: StoreWriter, changed: list[int], first: int, length: int, value: float
) -> None:
    before = store.values("A", NAME)
    wanted = before.copy()
    wanted[changed, 1] = value
    part = wanted[first : first + length]
    differing = {row for row in changed if first <= row < first + length and before[row, 1] != value}
    differing = {row for row in differing if not (np.isnan(before[row, 1]) and np.isnan(value))}
    written, put_all = set(), Folder.put_all

    def noting(place: Folder, items: Sequence[tuple[str, bytes]]) -> None:
        written.update(key for key, _ in items)
        put_all(place, items)

    with pytest.MonkeyPatch.context() as watched:
        watched.setattr(Folder, "put_all", noting)
        assert store.write_rows("A", NAME, first, part) == bool(differing)
    before[first : first + length] = part
    assert store.values("A", NAME).tobytes() == before.tobytes()
    of_chunk = FEATURE_ROWS
    assert of_chunk < ROWS
    assert {int(Path(key).name.split(".")[1]) for key in written} == {row // of_chunk for row in differing}
