"""A reader gets one length from everything that it compares, whenever a writer extends the calendar."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from finnex.data.calendar import session_calendar
from finnex.store import ImageStore, Receipt, StoreWriter
from finnex.store.record import RootRecord
from tests.helpers.format_3 import DAYS, TEMPLATE, image_of
from tests.helpers.stores import publish

LONGER = session_calendar("XNYS", DAYS[0].item(), date(2017, 12, 31)).days
READS: dict[str, Callable[[ImageStore], object]] = {
    "state": lambda store: len({len(values) for values in vars(store.state("A")).values()}),
    "image": lambda store: store.image("A", DAYS[3]).tobytes(),
    "damaged": lambda store: store.damaged("A").tolist(),
    "unpredicted": lambda store: store.unpredicted("A", 5).tolist(),
    "open_images": lambda store: store.open_images("A")["date"].to_numpy().tolist(),
    "fingerprint": lambda store: store.fingerprint(),
    "outcomes": lambda store: len({len(values) for values in store.outcomes("A").values()}),
}
"""What readers ask, with an answer that a longer calendar does not change."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store, and the same after its calendar was extended."""
    folder = tmp_path_factory.mktemp("grows")
    store = StoreWriter.prepare(folder / "before.zarr", TEMPLATE)
    store.ensure_symbol("A", DAYS, TEMPLATE)
    draft, crc = store.target("A", "run").write(3, image_of(1))
    publish(store, "A", [Receipt(3, 1, draft, crc, (1.0, 0.5), (1.0, 1.0), 0.1)])
    shutil.copytree(folder / "before.zarr", folder / "after.zarr")
    StoreWriter.prepare(folder / "after.zarr", TEMPLATE).ensure_symbol("A", LONGER, TEMPLATE)
    return folder / "before.zarr", folder / "after.zarr"


@pytest.mark.parametrize("what", READS)
def test_a_reader_is_not_disturbed_by_a_calendar_that_grows_after_any_of_its_looks(
    grown: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before, after = grown
    wanted, looks = READS[what](ImageStore.open(before)), 0
    assert READS[what](ImageStore.open(after)) == wanted
    look = ImageStore.record
    for moment in range(1, 50):
        path, looks = tmp_path / f"{moment}.zarr", 0
        shutil.copytree(before, path)
        writer = StoreWriter.prepare(path, TEMPLATE)

        def record(store: ImageStore, writer: StoreWriter = writer, moment: int = moment) -> RootRecord:
            nonlocal looks
            found = look(store)
            if type(store) is ImageStore:
                looks += 1
                if looks == moment:
                    writer.ensure_symbol("A", LONGER, TEMPLATE)
            return found

        monkeypatch.setattr(ImageStore, "record", record)
        found = READS[what](ImageStore.open(path))
        monkeypatch.setattr(ImageStore, "record", look)
        np.testing.assert_equal(found, wanted)
        if looks < moment:
            break
    assert moment > 1
    assert looks < moment
