"""States of a session: every change follows the table of transitions, and what is withheld stays withheld."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnex.data.calendar import session_calendar
from finnex.errors import StoreError
from finnex.store import (
    DRAFTED,
    NO_BAR,
    QUARANTINED,
    READY,
    ImageStore,
    Receipt,
    StoreWriter,
    writing,
)
from finnex.store.states import TRANSITIONS
from tests.helpers.format_3 import DAYS, TEMPLATE, image_of
from tests.helpers.stores import publish


def draw(store: StoreWriter, index: int, seed: int) -> Receipt:
    draft, crc = store.target("A", f"run{seed}").write(index, image_of(seed))
    return Receipt(index, seed, draft, crc, (1.0, 0.5), (1.0, 1.0), 0.1)


@pytest.fixture
def store(tmp_path: Path) -> StoreWriter:
    made = StoreWriter.prepare(tmp_path / "images.zarr", TEMPLATE)
    made.ensure_symbol("A", DAYS, TEMPLATE)
    return made


def row(index: int) -> np.ndarray:
    return np.array([index])


def test_a_quarantined_image_is_withheld_from_readers_until_it_is_released(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1), draw(store, 4, 2)])
    before = store.fingerprint()
    assert store.quarantine("A", row(3), "frozen feed") == 1
    reader = ImageStore.open(store.path)
    assert reader.record().companies["A"].quarantined == {str(DAYS[3]): "frozen feed"}
    assert reader.open_images("A").sizes["date"] == 1
    with pytest.raises(StoreError, match="no published image"):
        reader.image("A", DAYS[3])
    assert reader.fingerprint() != before
    assert store.release("A", row(3)) == 1
    assert reader.record().companies["A"].quarantined == {}
    np.testing.assert_array_equal(reader.image("A", DAYS[3]), image_of(1))
    assert reader.fingerprint() == before


def test_a_quarantined_image_stays_so_when_drawn_from_the_same_inputs_and_not_from_others(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    store.quarantine("A", row(3), "odd")
    publish(store, "A", [draw(store, 3, 1)])
    assert store.state("A").status[3] == QUARANTINED
    publish(store, "A", [Receipt(3, 1, error="no memory")])
    assert store.state("A").status[3] == QUARANTINED
    publish(store, "A", [draw(store, 3, 2)])
    assert store.state("A").status[3] == READY
    assert store.record().companies["A"].quarantined == {}


def test_what_has_no_image_cannot_be_quarantined_and_what_is_ready_not_released(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    with pytest.raises(StoreError, match="that is empty cannot become quarantined"):
        store.quarantine("A", row(7), "odd")
    with pytest.raises(StoreError, match="that is empty cannot become ready by 'released'"):
        store.release("A", row(7))
    assert store.release("A", row(3)) == 0


def test_an_image_whose_bar_is_gone_is_removed(store: StoreWriter) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    store.mark_no_bar("A", row(3))
    state = store.state("A")
    assert (state.status[3], state.image_crc[3], state.input_hash[3]) == (NO_BAR, 0, 0)
    assert not (Path(str(store.path)) / "A" / "image" / "c.3.0.0.0").exists()


def test_a_session_is_drafted_while_the_journal_names_its_first_image(
    store: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "A", [draw(store, 4, 1)])
    seen: list[list[int]] = []
    real = StoreWriter._record

    def record(self: StoreWriter, *about: object) -> None:
        seen.append(ImageStore.open(store.path).state("A").status[3:5].tolist())
        real(self, *about)  # type: ignore[arg-type]

    monkeypatch.setattr(StoreWriter, "_record", record)
    publish(store, "A", [draw(store, 3, 2), draw(store, 4, 3)])
    assert seen == [[DRAFTED, READY]]
    assert store.state("A").status[3:5].tolist() == [READY, READY]


def test_readers_keep_the_old_axis_until_an_extension_is_complete(
    store: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "A", [draw(store, 3, 1)])
    longer = session_calendar("XNYS", date(2015, 12, 1), date(2016, 12, 30)).days
    sizes: set[int] = set()
    real = type(store._place).put

    def put(place: object, key: str, data: bytes) -> None:
        real(place, key, data)  # type: ignore[arg-type]
        reader = ImageStore.open(store.path)
        found = reader.open_sessions("A")
        assert {array.sizes["date"] for array in found.variables.values() if "date" in array.dims} == {
            found.sizes["date"]
        }
        sizes.add(len(reader.state("A").days))

    monkeypatch.setattr(type(store._place), "put", put)
    store.ensure_symbol("A", longer, TEMPLATE)
    assert sizes == {len(DAYS), len(longer)}


ACTIONS = ("publish", "publish others", "fail", "no bar", "quarantine", "release", "damaged")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2)), max_size=12))
def test_every_change_follows_the_table_and_a_reopened_store_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("states") / "images.zarr"
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        store.ensure_symbol("A", DAYS, TEMPLATE)
        known = {(one.source, one.target) for one in TRANSITIONS}
        for number, (action, index) in enumerate(actions):
            before = store.state("A").status.copy()
            try:
                match action:
                    case "publish":
                        publish(store, "A", [draw(store, index, 1)])
                    case "publish others":
                        publish(store, "A", [draw(store, index, 2 + number)])
                    case "fail":
                        publish(store, "A", [Receipt(index, 1, error="no memory")])
                    case "no bar":
                        store.mark_no_bar("A", row(index))
                    case "quarantine":
                        store.quarantine("A", row(index), "odd")
                    case "release":
                        store.release("A", row(index))
                    case "damaged":
                        store.mark_damaged("A", row(index))
            except StoreError:
                assert store.state("A").status.tolist() == before.tolist()
            after = store.state("A").status
            for old, new in zip(before, after, strict=True):
                assert old == new or (old, new) in known
        state = store.state("A")
        images = {int(file.name.split(".")[1]) for file in (path / "A" / "image").glob("c.*")}
        assert images == set(np.flatnonzero(np.isin(state.status, (READY, QUARANTINED))))
        withheld = {str(state.days[i]) for i in np.flatnonzero(state.status == QUARANTINED)}
        assert set(store.record().companies["A"].quarantined) == withheld
        again = StoreWriter.reopen(path)
        assert again.fingerprint() == store.fingerprint()
        assert again.state("A").status.tolist() == state.status.tolist()
