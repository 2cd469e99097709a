"""Many companies: each is read once, nothing of it stays open, and an epoch costs what it reads."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import torch
import zarr

from finnex.config import LabelSettings
from finnex.datasets import ImageBatches, PatchBatches, PinnedStore, Samples, labelled_samples, load
from finnex.datasets import panels as panels_module
from finnex.datasets.loader import _Reading
from finnex.datasets.panels import StoredPanels
from finnex.datasets.splits import TimeSplit, thin, walk_forward
from finnex.errors import TrainingError
from finnex.store import ImageStore, StoreWriter
from tests.helpers.stores import make_store, publish, publish_one, sessions, template

SYMBOLS, DAYS = tuple(f"C{number}" for number in range(6)), 14
LABELS = LabelSettings(horizon=5)


def picture(symbol: str, index: int) -> npt.NDArray[np.float32]:
    return np.full((512, 512, 3), 0.1 + index / 100 + SYMBOLS.index(symbol) / 20, dtype=np.float32)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    labels = {name: np.random.default_rng(n).integers(0, 3, DAYS) for n, name in enumerate(SYMBOLS)}
    return make_store(tmp_path_factory.mktemp("panel") / "images.zarr", sessions(DAYS), picture, labels)


class Looks:
    """Counts the groups that Zarr opens and the companies whose arrays are read."""

    def __init__(self) -> None:
        self.groups = self.companies = 0


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    counted, opened, read = Looks(), zarr.open_group, ImageStore._survey

    def open_group(*given: object, **more: object) -> object:
        counted.groups += 1
        return opened(*given, **more)  # type: ignore[arg-type]

    def survey(*given: object) -> object:
        counted.companies += 1
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(zarr, "open_group", open_group)
    monkeypatch.setattr(ImageStore, "_survey", survey)
    return counted


def test_every_company_is_read_once_for_a_training_and_none_for_its_epochs(panel: ImageStore, looks: Looks) -> None:
    store = ImageStore.open(panel.path)
    pinned = PinnedStore(store, labelled_samples(store, LABELS))
    assert looks.companies == len(SYMBOLS)
    assert looks.groups <= 1  # for the shape of an image
    batches = ImageBatches(pinned, np.arange(len(pinned.samples)), 8, shuffle=True, samples=20)
    for epoch in range(5):
        pinned.check()
        batches.set_epoch(epoch)
        assert sum(len(batch) for batch in load(batches)) == 20
    assert (looks.companies, looks.groups) == (len(SYMBOLS), 1)


def test_only_a_company_that_was_written_is_read_again(panel: ImageStore, looks: Looks, tmp_path: Path) -> None:
    own = ImageStore.open(shutil.copytree(panel.path, tmp_path / "own.zarr"))
    pinned = PinnedStore(own, labelled_samples(own, LABELS))
    before = looks.companies
    writer = StoreWriter.prepare(own.path, template())
    last = DAYS - 1  # its outcome is not known: no sample
    assert not publish(writer, "C3", [publish_one(writer.target("C3", "again"), last, picture("C0", 0))])
    for _ in range(3):
        pinned.check()
    assert looks.companies == before + 1
    assert not publish(writer, "C4", [publish_one(writer.target("C4", "again"), 2, picture("C0", 0))])
    for _ in range(2):  # it stays noticed
        with pytest.raises(TrainingError, match="Changed: the image of C4"):
            pinned.check()


def test_samples_of_a_store_that_moved_since_are_pinned_as_it_is_now(panel: ImageStore, tmp_path: Path) -> None:
    own = ImageStore.open(shutil.copytree(panel.path, tmp_path / "own.zarr"))
    samples = labelled_samples(own, LABELS)
    writer = StoreWriter.prepare(own.path, template())
    assert not publish(writer, "C1", [publish_one(writer.target("C1", "again"), 2, picture("C0", 9))])
    pinned = PinnedStore(own, samples)
    assert pinned.fingerprint == own.fingerprint() != PinnedStore(panel, labelled_samples(panel, LABELS)).fingerprint
    row = np.flatnonzero((samples.symbol == 1) & (samples.index == 2))
    assert float(pinned.read(row)[0, 0, 0, 0]) == pytest.approx(0.19, abs=1e-3)
    pinned.check()


def test_the_index_of_samples_is_what_the_store_holds(panel: ImageStore) -> None:
    samples = labelled_samples(panel, LABELS, ("C4", "C1"))
    assert samples.symbols == ("C1", "C4")
    for number, name in enumerate(samples.symbols):
        own, data = samples.choose(np.flatnonzero(samples.symbol == number)), panel.open_images(name)
        at = data.sel(horizon=5)
        known = at["label_price_movement"].to_numpy() >= 0
        np.testing.assert_array_equal(own.label, at["label_price_movement"].to_numpy()[known])
        np.testing.assert_array_equal(own.outcome, at["return_price_movement"].to_numpy()[known])
        ends = at["label_end_price_movement"].to_numpy()[known]
        np.testing.assert_array_equal(own.label_end, ends.astype("datetime64[D]"))
        np.testing.assert_array_equal(own.decision, data["date"].to_numpy()[known].astype("datetime64[D]"))
        whole = panel.open_sessions(name)["feature_normalized"].to_numpy()
        np.testing.assert_array_equal(own.features(np.arange(len(own))), whole[own.index])


def many(samples: Samples, times: int) -> Samples:
    return samples.choose(np.tile(np.arange(len(samples)), times))


def test_a_reading_process_gets_handles_and_no_copy_of_hundreds_of_thousands_of_samples(panel: ImageStore) -> None:
    samples = many(labelled_samples(panel, LABELS), 4000)
    assert len(samples) > 200_000
    batches = ImageBatches(
        PinnedStore(panel, samples), np.arange(len(samples)), 16, shuffle=True, group=samples.symbol, seed=3
    )
    reading = _Reading(batches.plan, batches.pinned.reader, torch.zeros(2, dtype=torch.int64))
    travelled = bytes(ForkingPickler.dumps(reading))
    assert len(travelled) < 20_000
    again = ForkingPickler.loads(travelled)
    np.testing.assert_array_equal(again._plan.order(2), batches.plan.order(2))
    np.testing.assert_array_equal(again._reader.columns["crc"], batches.pinned.reader.columns["crc"])
    rows = np.arange(3)
    assert torch.equal(again._reader.read(rows), batches.pinned.read(rows))


@pytest.mark.slow
def test_reading_processes_give_the_drawn_and_balanced_batches_too(panel: ImageStore) -> None:
    pinned = PinnedStore(panel, labelled_samples(panel, LABELS))
    rows, group = np.arange(len(pinned.samples)), pinned.samples.symbol
    for kind, size in ((ImageBatches, 4), (PatchBatches, 300)):
        batches = kind(pinned, rows, size, shuffle=True, seed=3, samples=15, group=group, first_epoch=1)
        for epoch, first in ((1, 0), (4, 1)):
            batches.set_epoch(epoch, first)
            expected = list(load(batches))
            found = list(load(batches, workers=2))
            assert len(found) == len(expected) > 1
            for one, other in zip(found, expected, strict=True):
                assert np.array_equal(one.rows, other.rows)
                assert torch.equal(one.images, other.images)


def test_memory_stays_flat_over_epochs_and_an_index_takes_few_bytes_a_sample(panel: ImageStore) -> None:
    store = ImageStore.open(panel.path)
    samples = labelled_samples(store, LABELS)
    reading = samples.reading
    assert reading is not None
    columns = [value for value in vars(samples).values() if isinstance(value, np.ndarray)]
    pinned_bytes = sum(
        values.nbytes
        for pin in reading.pins.values()
        for values in (pin.index, pin.days, pin.status, pin.crc, *pin.outcomes.values())
    )
    assert (sum(column.nbytes for column in columns) + pinned_bytes) / len(samples) < 300
    pinned = PinnedStore(store, samples)
    batches = ImageBatches(pinned, np.arange(len(samples)), 8, shuffle=True, group=samples.decision.astype(np.int64))
    resident = []
    for epoch in range(8):
        pinned.check()
        batches.set_epoch(epoch)
        for _ in load(batches):
            pass
        gc.collect()
        resident.append(psutil.Process().memory_info().rss)
    assert resident[-1] - resident[2] < 16 * 2**20  # of 54 images, 85 MB, in each epoch
    assert not isinstance(samples.panels, StoredPanels) or not samples.panels._held  # no epoch needs features
    assert len(store._opened) <= 1


def test_features_beyond_what_may_be_held_are_read_again_and_are_the_same(
    panel: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(20)
    wanted = labelled_samples(panel, LABELS).features(rows, (0, 2))
    one = labelled_samples(panel, LABELS).panels[0].nbytes
    monkeypatch.setattr(panels_module, "HELD_AT_MOST_BYTES", 2 * one)
    samples = labelled_samples(panel, LABELS)
    for _ in range(2):
        np.testing.assert_array_equal(samples.features(rows, (0, 2)), wanted)
    assert isinstance(samples.panels, StoredPanels)
    assert len(samples.panels._held) == 2


# ---- every so-many-th session ------------------------------------------------------------------------------------


def of(samples: Samples) -> TimeSplit:
    (split,) = walk_forward(
        samples.decision, samples.label_end, train_fraction=0.6, validation_fraction=0.2, embargo_sessions=0
    )
    return split


@pytest.mark.parametrize("every", [5, 7])
def test_training_sessions_are_the_same_for_all_companies_and_no_two_outcomes_overlap(
    tmp_path: Path, every: int
) -> None:
    days = sessions(80)
    labels = {name: np.random.default_rng(n).integers(0, 3, 80) for n, name in enumerate(SYMBOLS[:2])}
    labels["C1"][::3] = -1  # a company whose sessions have gaps
    store = make_store(tmp_path / "s.zarr", days, lambda *_: np.full((512, 512, 3), 0.5, dtype=np.float32), labels)
    samples = labelled_samples(store, LABELS)
    assert samples.reading is not None
    np.testing.assert_array_equal(samples.reading.sessions[:80], days.astype("datetime64[D]"))
    whole = of(samples)
    split = thin(whole, samples.decision, samples.reading.sessions, every)
    assert set(np.unique(np.searchsorted(days, samples.decision[split.train])) % every) == {0}
    for number in (0, 1):
        own = split.train[samples.symbol[split.train] == number]
        assert (samples.label_end[own[:-1]] <= samples.decision[own[1:]]).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.thinned])), whole.train)
    np.testing.assert_array_equal(split.validation, whole.validation)
    np.testing.assert_array_equal(split.test, whole.test)
    assert thin(whole, samples.decision, samples.reading.sessions, 1) is whole


def test_more_sessions_apart_than_the_training_part_has_are_refused() -> None:
    days = sessions(10).astype("datetime64[D]")
    split = TimeSplit(0, np.arange(6), np.arange(6, 8), np.arange(8, 10), days[6], days[8], 0)
    with pytest.raises(TrainingError, match="every_sessions is 7, and the training part of fold 0 has 6 sessions"):
        thin(split, days, days, 7)
    gaps = replace(split, train=np.array([1, 3]))
    with pytest.raises(TrainingError, match="every_sessions = 2 leaves no training sample of fold 0"):
        thin(gaps, days, days, 2)
