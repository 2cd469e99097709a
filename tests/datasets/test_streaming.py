"""Streaming: what comes when, the same bits on every way in, and a store that moves or is damaged under a training."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config import HORIZONS, LabelSettings
from finnex.datasets import (
    Batch,
    BatchSequence,
    ImageBatches,
    PatchBatches,
    PinnedStore,
    load,
)
from finnex.datasets.buffers import Room
from finnex.datasets.epoch_order import ImagePlan, PatchPlan, Plan
from finnex.datasets.loader import prefetch
from finnex.datasets.pinned import memory_limit
from finnex.datasets.samples import labelled_samples
from finnex.errors import StoreCorrupt, TrainingError
from finnex.store import NOT_A_DAY, ImageStore, StoreWriter
from tests.helpers.stores import make_store, publish, publish_one, sessions, template

DAYS, SYMBOLS = 20, ("AAA", "BBB")
HORIZON_5 = HORIZONS.index(5)
"""Column of the horizon that the samples have."""


def picture(symbol: str, index: int) -> npt.NDArray[np.float32]:
    """Every patch of every image is another one, and every pixel of it."""
    rng = np.random.default_rng([index, SYMBOLS.index(symbol)])
    coarse = rng.uniform(0.1, 0.8, (64, 64, 3)).astype(np.float32)
    y, x = np.mgrid[:512, :512].astype(np.float32)
    return np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1) + ((y % 8) * 8 + x % 8)[:, :, None] / 1000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    labels = {name: np.random.default_rng(n).integers(0, 3, DAYS) for n, name in enumerate(SYMBOLS)}
    return make_store(tmp_path_factory.mktemp("small") / "images.zarr", sessions(DAYS), picture, labels)


@pytest.fixture
def own(small: ImageStore, tmp_path: Path) -> ImageStore:
    """A copy that a test may change."""
    return ImageStore.open(shutil.copytree(small.path, tmp_path / "own.zarr"))


def pin(store: ImageStore) -> PinnedStore:
    return PinnedStore(store, labelled_samples(store, LabelSettings()))


def same(one: Batch, other: Batch) -> bool:
    patches = (one.patches is None and other.patches is None) or (
        one.patches is not None and other.patches is not None and torch.equal(one.patches, other.patches)
    )
    return (
        patches
        and torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and np.array_equal(one.rows, other.rows)
    )


def all_same(some: list[Batch], others: list[Batch]) -> bool:
    return len(some) == len(others) and all(map(same, some, others))


def kinds(pinned: PinnedStore, rows: npt.NDArray[np.intp], *, seed: int = 3) -> tuple[BatchSequence, BatchSequence]:
    return (
        ImageBatches(pinned, rows, 4, shuffle=True, seed=seed),
        PatchBatches(pinned, rows, 300, block_images=4, shuffle=True, seed=seed),
    )


# ---- what comes when ---------------------------------------------------------------------------------------------


def image_plans(n: int, batch_size: int, world_size: int, *, shuffle: bool = True) -> list[ImagePlan]:
    rows = np.arange(1000, 1000 + n)
    return [ImagePlan(rows, batch_size, shuffle, 5, rank, world_size) for rank in range(world_size)]


def patch_plans(n: int, batch_size: int, world_size: int, patches: int, block_images: int) -> list[PatchPlan]:
    rows = np.arange(1000, 1000 + n)
    return [PatchPlan(rows, batch_size, True, 5, rank, world_size, patches, block_images) for rank in range(world_size)]


def patches_of(plan: PatchPlan, epoch: int) -> list[npt.NDArray[np.intp]]:
    """Return each batch as (row, patch) pairs."""
    found = []
    for block, rows in enumerate(plan.images(epoch)):
        for places in plan.batches(epoch, block, len(rows)):
            found.append(np.stack([rows[places // plan.patches], places % plan.patches], axis=1))
    return found


@settings(max_examples=150, deadline=None)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 40), world_size=st.integers(1, 4), epoch=st.integers(0, 3))
def test_every_image_comes_once_an_epoch_in_as_many_batches_in_every_process(
    n: int, batch_size: int, world_size: int, epoch: int
) -> None:
    if n < world_size:
        with pytest.raises(TrainingError, match="cannot be shared"):
            image_plans(n, batch_size, world_size)
        return
    plans = image_plans(n, batch_size, world_size)
    shares = [plan.batches(epoch) for plan in plans]
    assert sorted(np.concatenate([rows for share in shares for rows in share]).tolist()) == list(range(1000, 1000 + n))
    assert {len(share) for share in shares} == {len(plans[0])}
    sizes = [len(rows) for share in shares for rows in share]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    # One more only where samples of one apiece do not divide among the processes.
    assert max(sizes) <= batch_size + (batch_size == 1 and n % world_size > 0)
    if world_size == 1:
        assert len(plans[0]) == -(-n // batch_size)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(4, 60), batch_size=st.integers(1, 100), world_size=st.integers(1, 4), patches=st.integers(4, 40),
    block_images=st.integers(1, 20), epoch=st.integers(0, 3),
)  # fmt: skip
def test_every_patch_comes_once_an_epoch_and_no_process_reads_anothers_images(
    n: int, batch_size: int, world_size: int, patches: int, block_images: int, epoch: int
) -> None:
    try:
        plans = patch_plans(n, batch_size, world_size, patches, block_images)
    except TrainingError:
        assert batch_size < 2 * world_size  # a few patches for each of several processes
        return
    shares = [patches_of(plan, epoch) for plan in plans]
    together = np.concatenate([pairs for share in shares for pairs in share])
    assert len(together) == n * patches == len(np.unique(together, axis=0))
    assert {len(share) for share in shares} == {len(plans[0])}
    assert all(1 <= len(pairs) <= batch_size for share in shares for pairs in share)
    read = [set(np.concatenate(plan.images(epoch)).tolist()) for plan in plans]
    assert sum(map(len, read)) == n == len(set.union(*read))
    assert max(plan.largest_block for plan in plans) <= block_images + (n % world_size > 0)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(2, 60), batch_size=st.integers(2, 100), block_images=st.integers(1, 20),
    at=st.floats(0, 1), world_size=st.integers(1, 2),
)  # fmt: skip
def test_what_is_read_from_a_batch_on_is_the_rest_of_what_is_read_in_an_epoch(
    n: int, batch_size: int, block_images: int, at: float, world_size: int
) -> None:
    plans: list[Plan] = [
        *image_plans(n, batch_size, world_size),
        *patch_plans(n, batch_size, world_size, 16, block_images),
    ]
    for plan in plans:
        assert isinstance(plan, ImagePlan | PatchPlan)
        first = round(at * len(plan))
        whole, rest = plan.groups(2, 0), plan.groups(2, first)
        assert all(map(np.array_equal, whole[len(whole) - len(rest) :], rest))
        if isinstance(plan, PatchPlan):
            block, done = plan.begin(first)
            before = sum(len(plan.batches(2, number, len(rows))) for number, rows in enumerate(plan.images(2)[:block]))
            assert before + done == first
            if first < len(plan):
                assert done < len(plan.batches(2, block, len(plan.images(2)[block])))


def test_seed_and_epoch_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        plan = PatchPlan(np.arange(40), 64, True, seed, 0, 1, 16, 8)
        return np.concatenate(patches_of(plan, epoch)).ravel().tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_a_batch_of_patches_strays_from_the_labels_of_all_at_most_twice_as_far_as_one_drawn_from_everywhere() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 1280)

    def strays(block_images: int) -> float:
        plan = PatchPlan(np.arange(1280), 256, True, 1, 0, 1, 256, block_images)
        shares = [label[pairs[:, 0]].mean() for pairs in patches_of(plan, 0)]
        assert np.mean(shares) == pytest.approx(label.mean())  # all of them together do not stray
        return float(np.std(shares))

    everywhere = np.sqrt(label.mean() * (1 - label.mean()) / 256)
    from finnex.datasets.patch_batches import BLOCK_IMAGES

    assert strays(BLOCK_IMAGES) < 2 * everywhere
    assert strays(8) > 4 * everywhere  # so the block's size does matter


# ---- the same bits on every way in -------------------------------------------------------------------------------


def test_image_batches_hold_the_stored_pixels_and_labels_from_memory_and_from_the_store_alike(
    small: ImageStore,
) -> None:
    streamed, held = pin(small), pin(small)
    assert held.hold_in_memory()
    assert not streamed.hold_in_memory(limit_bytes=10_000_000)
    assert (streamed.in_memory, held.in_memory) == (False, True)
    samples, rows = streamed.samples, np.array([0, 17, 21])
    (one,), (other,) = ImageBatches(streamed, rows, 8), ImageBatches(held, rows, 8)
    assert same(one, other)
    assert one.images.dtype == torch.float16
    for k, row in enumerate(rows):
        image = small.image(samples.symbols[samples.symbol[row]], samples.decision[row])
        np.testing.assert_array_equal(one.images[k].permute(1, 2, 0).numpy(), image.astype(np.float16))
        assert int(one.labels[k]) == samples.label[row]
    assert one.patches is None


def test_patches_are_cut_from_the_stored_images_row_by_row(small: ImageStore) -> None:
    streamed, held = pin(small), pin(small)
    assert held.hold_in_memory()
    rows = np.array([3, 12, 20, 25, 7])
    for shuffle, px in ((True, 32), (False, 64)):
        given_ = {"patch_px": px, "block_images": 2, "shuffle": shuffle, "seed": 1}
        one = list(PatchBatches(streamed, rows, 100, **given_))  # type: ignore[arg-type]
        assert all_same(one, list(PatchBatches(held, rows, 100, **given_)))  # type: ignore[arg-type]
        across, wholes = 512 // px, dict(zip(rows.tolist(), streamed.read(rows), strict=True))
        assert sum(map(len, one)) == len(rows) * across**2
        for batch in one:
            assert batch.patches is not None
            assert batch.images.shape[1:] == (3, px, px)
            for image, label, row, patch in zip(batch.images, batch.labels, batch.rows, batch.patches, strict=True):
                down, right = divmod(int(patch), across)
                place = slice(down * px, (down + 1) * px), slice(right * px, (right + 1) * px)
                assert torch.equal(image, wholes[int(row)][:, *place])
                assert int(label) == streamed.samples.label[row]
        if not shuffle:
            pairs = [(int(row), int(p)) for batch in one for row, p in zip(batch.rows, batch.patches, strict=True)]  # type: ignore[arg-type]
            assert pairs == [(row, patch) for row in rows for patch in range(across**2)]


def test_an_epoch_can_be_gone_on_with_in_its_middle_bit_for_bit(small: ImageStore) -> None:
    pinned = pin(small)
    for batches in kinds(pinned, np.arange(11)):
        batches.set_epoch(2)
        whole = list(batches)
        assert len(whole) == len(batches)
        for first in (0, 1, len(whole) // 2, len(whole) - 1, len(whole)):
            batches.set_epoch(2, first)
            assert all_same(list(load(batches)), whole[first:])
        batches.set_epoch(3)
        assert not same(next(iter(batches)), whole[0])
        with pytest.raises(TrainingError, match=rf"no batch {len(whole) + 1} in epoch 2"):
            batches.set_epoch(2, len(whole) + 1)


def test_processes_share_an_epoch_without_overlap(small: ImageStore) -> None:
    pinned, rows = pin(small), np.arange(25)
    shares: list[list[BatchSequence]] = [
        [ImageBatches(pinned, rows, 8, shuffle=True, seed=3, rank=rank, world_size=2) for rank in range(2)],
        [
            PatchBatches(pinned, rows, 999, patch_px=128, shuffle=True, seed=3, rank=rank, world_size=2)
            for rank in range(2)
        ],
    ]
    for one, other in shares:
        seen = [
            (int(row), 0 if batch.patches is None else int(batch.patches[k]))
            for batch in [*one, *other]
            for k, row in enumerate(batch.rows)
        ]
        assert len(one) == len(other)
        assert len(seen) == len(set(seen))
        assert {row for row, _ in seen} == set(rows.tolist())


def test_a_batch_stays_as_it_is_when_the_next_ones_come(small: ImageStore) -> None:
    for batches in kinds(pin(small), np.arange(12)):
        kept = [(batch, batch.images.clone()) for batch in load(batches)]
        parts = [batch.images[-1, 0].numpy() for batch in load(batches)]  # all that is left of these is a view
        for epoch in (1, 2):
            batches.set_epoch(epoch)
            list(load(batches))
        assert all(torch.equal(batch.images, image) for batch, image in kept)
        assert all(np.array_equal(part, image[-1, 0]) for part, (_, image) in zip(parts, kept, strict=True))
        twice = [iter(batches), iter(batches)]
        assert all(same(one, other) for one, other in zip(*twice, strict=True))


def test_room_is_given_out_again_when_the_last_view_of_it_is_gone() -> None:
    room = Room((3, 8, 8))
    first = room.take(4)
    where, view = first.data_ptr(), first.view(-1)[5:7]
    del first
    assert room.take(4).data_ptr() != where  # and is left at once
    del view
    assert {room.take(4).data_ptr() for _ in range(5)} & {where}
    kept = [room.take(3) for _ in range(20)]
    assert len({piece.data_ptr() for piece in kept}) == 20
    assert kept[0].shape == (3, 3, 8, 8)


def test_an_epoch_of_batches_needs_no_more_room_than_the_few_that_are_on_their_way(small: ImageStore) -> None:
    batches = ImageBatches(pin(small), np.arange(30), 2)
    assert len({batch.images.data_ptr() for batch in load(batches)}) <= 6


def test_what_does_not_fit_is_refused(small: ImageStore) -> None:
    pinned = pin(small)
    with pytest.raises(TrainingError, match="patches of 33 pixels do not tile images of 512 x 512"):
        PatchBatches(pinned, np.arange(4), 8, patch_px=33)
    with pytest.raises(TrainingError, match="block_images is 0"):
        PatchBatches(pinned, np.arange(4), 8, block_images=0, shuffle=True)
    with pytest.raises(
        TrainingError, match=rf"rows reach from 0 to 99; samples are numbered from 0 to {DAYS * 2 - 11}"
    ):
        ImageBatches(pinned, np.array([0, 99]), 8)
    with pytest.raises(TrainingError, match="batch_size 0"):
        ImageBatches(pinned, np.arange(4), 0)
    with pytest.raises(TrainingError, match="'fork'"):
        load(ImageBatches(pinned, np.arange(4), 2), workers=1, start_method="fork")  # type: ignore[arg-type]


def test_images_are_held_in_memory_within_a_quarter_of_what_is_free_and_two_gigabytes(small: ImageStore) -> None:
    free = psutil.virtual_memory().available
    assert 0 < memory_limit() <= 2 * 1024**3
    assert memory_limit(1000) <= free // 2000
    pinned, needed = pin(small), 2 * (DAYS - 5) * 512 * 512 * 3 * 2
    told: list[tuple[int, int]] = []
    assert not pinned.hold_in_memory(needed - 1)
    assert pinned.hold_in_memory(needed, lambda done, total: told.append((done, total)))
    assert told[-1] == (30, 30)


def test_a_pinned_store_travels_as_a_path_and_leaves_held_images_behind(small: ImageStore) -> None:
    pinned = pin(small)
    assert pinned.hold_in_memory()
    travelled = pickle.dumps(pinned)
    assert len(travelled) < 100_000  # one image is 1.5 MB
    again = pickle.loads(travelled)
    assert not again.in_memory
    assert torch.equal(again.read(np.arange(3)), pinned.read(np.arange(3)))
    again.check()


# ---- reading ahead -----------------------------------------------------------------------------------------------


def test_an_error_of_the_prefetch_thread_reaches_the_reader() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the chunk is gone")

    ahead = prefetch(items)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="the chunk is gone"):
        next(ahead)


def test_reading_ahead_goes_no_further_than_it_may_and_ends_with_its_reader() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    before = threading.active_count()
    ahead = prefetch(items, depth=3)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) == 5  # one taken, three ready, one in hand
    ahead.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_leaving_an_epoch_early_leaves_no_thread_behind(small: ImageStore) -> None:
    before = threading.active_count()
    for batches in kinds(pin(small), np.arange(12)):
        for _ in load(batches):
            break
        assert threading.active_count() == before


# ---- several processes read --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_method", "workers"),
    [pytest.param("spawn", 2, marks=pytest.mark.accept), ("forkserver", 1), ("forkserver", 2)],
)
def test_batches_and_their_order_do_not_depend_on_how_many_processes_read(
    small: ImageStore, start_method: str, workers: int
) -> None:
    # Starting by spawn takes seconds a process: patches alone, whose assembly depends more on the order.
    for batches in kinds(pin(small), np.arange(15))[1 if start_method == "spawn" else 0 :]:
        for epoch, first in ((0, 0), (1, 0), (1, len(batches) - 2)):
            batches.set_epoch(epoch, first)
            expected = list(load(batches))
            assert all_same(list(load(batches, workers=workers, start_method=start_method)), expected)  # type: ignore[arg-type]


def children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    }


@pytest.fixture
def before(small: ImageStore) -> set[int]:
    """Processes that are there before a test's own: the server that starts others, once it runs."""
    there = children()
    first = ImageBatches(pin(small), np.arange(2), 1)
    list(load(first, workers=1))
    (reader,) = [pid for pid in children() - there if psutil.Process(pid).ppid() != os.getpid()]
    del first
    wait_for_the_end_of({reader})
    return children()


def wait_for_the_end_of(processes: set[int]) -> None:
    deadline = time.monotonic() + 30
    while children() & processes:
        assert time.monotonic() < deadline, f"{children() & processes} still run"
        time.sleep(0.05)


@pytest.mark.slow
def test_reading_processes_stay_for_the_next_epoch_and_end_with_their_batches(
    small: ImageStore, before: set[int]
) -> None:
    for number in range(2):
        batches = kinds(pin(small), np.arange(16))[number]
        whole = list(load(batches, workers=2))
        readers = children() - before
        assert len(readers) == 2
        for _ in load(batches, workers=2):  # an epoch that is left early disturbs the next one in nothing
            break
        assert all_same(list(load(batches, workers=2)), whole)
        assert children() - before == readers
        del batches, _
        wait_for_the_end_of(readers)


@pytest.mark.slow
def test_a_reading_process_that_is_killed_stops_the_training_with_a_reason(small: ImageStore, before: set[int]) -> None:
    batches = PatchBatches(pin(small), np.arange(24), 300, block_images=2, shuffle=True)
    whole = list(load(batches))
    loaded = load(batches, workers=2)
    next(loaded)
    readers = children() - before
    assert len(readers) == 2
    for pid in readers:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"a reading process ended: .*Start fewer workers"):
        list(loaded)
    assert all_same(list(load(batches, workers=1)), whole)  # another takes over


@pytest.mark.slow
def test_reading_processes_end_with_a_training_that_is_killed(small: ImageStore) -> None:
    program = f"""
import time
from pathlib import Path
import numpy as np
from finnex.config import LabelSettings
from finnex.store import ImageStore
from finnex.datasets import ImageBatches, PinnedStore, load
from finnex.datasets.samples import labelled_samples
if __name__ == "__main__":
    store = ImageStore.open(Path({str(small.path)!r}))
    batches = ImageBatches(PinnedStore(store, labelled_samples(store, LabelSettings())), np.arange(8), 2)
    next(load(batches, workers=2))
    print("reading", flush=True)
    time.sleep(600)
"""
    training = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert training.stdout is not None
        assert training.stdout.readline() == "reading\n"
        others = psutil.Process(training.pid).children(recursive=True)
        assert len(others) >= 4  # two that read, their server, and one that tracks what they share
    finally:
        training.kill()
        training.wait()
    _, alive = psutil.wait_procs(others, timeout=30)
    for process in alive:
        process.kill()
    assert not alive
    training.stdout.close()


@pytest.mark.slow
def test_a_torch_data_loader_of_ones_own_gives_the_same_batches(small: ImageStore) -> None:
    for batches in kinds(pin(small), np.arange(9)):
        batches.set_epoch(1, 1)
        expected = list(batches)
        loaded = torch.utils.data.DataLoader(
            batches, batch_size=None, num_workers=2, multiprocessing_context="forkserver"
        )
        assert all_same(list(loaded), expected)


def test_no_process_is_started_to_read_what_is_held_in_memory(small: ImageStore) -> None:
    pinned = pin(small)
    assert pinned.hold_in_memory()
    batches = ImageBatches(pinned, np.arange(8), 4)
    before = psutil.Process().children(recursive=True)
    assert all_same(list(load(batches, workers=2)), list(batches))
    assert psutil.Process().children(recursive=True) == before


# ---- a store that is damaged -------------------------------------------------------------------------------------


def chunk(store: ImageStore, pinned: PinnedStore, row: int) -> Path:
    symbol = pinned.samples.symbols[pinned.samples.symbol[row]]
    return store.path / symbol / "image" / f"c.{pinned.samples.index[row]}.0.0.0"


def flip(path: Path) -> None:
    """Change one bit of the last byte: most decoders do not notice."""
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_chunk_reaches_the_reader_as_what_it_is(own: ImageStore, damage: str) -> None:
    pinned = pin(own)
    path = chunk(own, pinned, 6)
    if damage == "flip":
        flip(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.unlink()
    reason = "it is missing" if damage == "remove" else "its bytes do not match their checksum"
    for batches in kinds(pinned, np.arange(12)):
        with pytest.raises(StoreCorrupt, match=rf"image of AAA at position 3 .*\({reason}\).*draws it again"):
            list(load(batches))
    with pytest.raises(StoreCorrupt, match="position 3"):
        pinned.hold_in_memory()
    assert not pinned.in_memory
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("finnex-")]


@pytest.mark.slow
def test_a_damaged_chunk_that_another_process_reads_is_told_in_the_same_sentence(own: ImageStore) -> None:
    pinned = pin(own)
    flip(chunk(own, pinned, 6))
    for batches in kinds(pinned, np.arange(12)):
        with pytest.raises(StoreCorrupt) as here:
            list(load(batches))
        with pytest.raises(StoreCorrupt) as there:
            list(load(batches, workers=2))
        assert str(there.value) == str(here.value)


# ---- a store that moves ------------------------------------------------------------------------------------------


def rewrite(store: ImageStore, symbol: str, name: str, row: int, column: int, value: float) -> None:
    values = store.outcomes(symbol)[name]
    values[row, column] = value
    assert StoreWriter.prepare(store.path, template()).write_rows(symbol, name, 0, values)


def redraw(store: ImageStore, symbol: str, index: int) -> None:
    writer = StoreWriter.prepare(store.path, template())
    image = picture(symbol, index) * np.float32(0.5)
    assert not publish(writer, symbol, [publish_one(writer.target(symbol, "again"), index, image)])


def test_a_night_that_only_appends_does_not_stop_a_training(own: ImageStore) -> None:
    pinned, before = pin(own), own.fingerprint()
    batches = ImageBatches(pinned, np.arange(30), 8)
    whole = list(batches)
    writer = StoreWriter.prepare(own.path, template())
    for symbol in SYMBOLS:
        # Two more sessions are laid out and drawn; five more outcomes are known, and longer ones of early sessions.
        writer.ensure_symbol(symbol, sessions(DAYS + 2), template())
        target = writer.target(symbol, "night")
        drawn = [publish_one(target, index, picture(symbol, index)) for index in (DAYS, DAYS + 1)]
        assert not publish(writer, symbol, drawn)
        for name, known in (
            ("label_price_movement", 1),
            ("return_price_movement", 0.02),
            ("label_end_price_movement", 17_000),
        ):
            values = writer.outcomes(symbol)[name]
            values[DAYS - 5 : DAYS, HORIZON_5] = known
            values[:10, HORIZON_5 + 1] = known
            assert writer.write_rows(symbol, name, 0, values)
    pinned.check()
    assert all_same(list(batches), whole)
    assert pinned.fingerprint == before != own.fingerprint()  # the record still says what was trained on


def test_a_change_of_a_session_that_is_no_sample_does_not_stop_a_training(own: ImageStore) -> None:
    pinned = pin(own)
    redraw(own, "BBB", DAYS - 1)  # its outcome is not known yet
    pinned.check()


@pytest.mark.parametrize(
    ("name", "value"),
    [("label_price_movement", -1), ("return_price_movement", 0.5), ("label_end_price_movement", NOT_A_DAY)],
)
def test_a_relabelled_session_is_noticed_by_name(own: ImageStore, name: str, value: float) -> None:
    pinned = pin(own)
    rewrite(own, "BBB", name, 4, HORIZON_5, value)
    day = sessions(DAYS)[4]
    with pytest.raises(
        TrainingError,
        match=rf"changed while a model was trained on it: fingerprint \w+ became \w+\. Changed: {name} of BBB {day}\.",
    ):
        pinned.check()


def test_a_redrawn_session_is_noticed_when_it_is_read_and_when_it_is_not(own: ImageStore) -> None:
    pinned = pin(own)
    redraw(own, "AAA", 2)
    changed = rf"Changed: the image of AAA {sessions(DAYS)[2]}\. Train again"
    with pytest.raises(TrainingError, match=changed):
        pinned.check()
    for batches in kinds(pinned, np.arange(12)):
        with pytest.raises(TrainingError, match=changed):
            list(load(batches))
    with pytest.raises(TrainingError, match=changed):
        pinned.hold_in_memory()
    others = np.flatnonzero(pinned.samples.symbol == 1)
    assert len(list(ImageBatches(pinned, others, 8))) == 2


def test_a_store_that_was_built_anew_with_another_layout_is_noticed(own: ImageStore) -> None:
    pinned = pin(own)
    shutil.rmtree(own.path)
    other = replace(template(), layout_hash="feedbeef")
    StoreWriter.prepare(own.path, other).ensure_symbol("AAA", sessions(DAYS), other)
    with pytest.raises(TrainingError, match="Changed: its layout_hash"):
        pinned.check()


def test_samples_whose_image_is_not_published_cannot_be_pinned(own: ImageStore) -> None:
    samples = labelled_samples(own, LabelSettings())
    status = own.state("AAA").status
    status[7] = 2
    StoreWriter.prepare(own.path, template()).write_rows("AAA", "status", 0, status)
    with pytest.raises(TrainingError, match=rf"no published image of AAA {sessions(DAYS)[7]}"):
        PinnedStore(own, samples)
