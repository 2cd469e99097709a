"""What an epoch draws where it does not draw all: each once before any again, all groups alike, from any batch on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.datasets.epoch_draw import EpochDraw
from finnex.datasets.epoch_order import ImagePlan, PatchPlan, Plan
from finnex.errors import TrainingError

Rows = npt.NDArray[np.intp]
EPOCHS = range(8)


@st.composite
def draws(draw: st.DrawFn, *, grouped: bool) -> EpochDraw:
    count = draw(st.integers(1, 60))
    group = None
    if grouped:
        wanted = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
        group = np.unique(wanted, return_inverse=True)[1]
    return EpochDraw(count, draw(st.integers(1, count)), draw(st.integers(0, 1000)), group)


@settings(max_examples=150, deadline=None)
@given(draw=draws(grouped=False))
def test_every_sample_is_drawn_before_any_is_drawn_again(draw: EpochDraw) -> None:
    walk = np.concatenate([draw.rows(epoch) for epoch in EPOCHS])
    for begin in range(0, len(walk) - draw.count + 1, draw.count):
        assert sorted(walk[begin : begin + draw.count].tolist()) == list(range(draw.count))
    for epoch in EPOCHS:
        assert len(draw.rows(epoch)) == draw.samples == len(set(draw.rows(epoch).tolist()))


@settings(max_examples=150, deadline=None)
@given(draw=draws(grouped=True))
def test_groups_are_drawn_from_equally_often_but_for_one_at_every_moment_and_in_every_epoch(draw: EpochDraw) -> None:
    assert draw.group is not None
    counts = np.zeros(draw.groups, dtype=int)
    for epoch in EPOCHS:
        groups = draw.group[draw.rows(epoch)]
        here = np.bincount(groups, minlength=draw.groups)
        assert np.ptp(here) <= 1
        for number in groups:
            counts[number] += 1
            assert np.ptp(counts) <= 1


@settings(max_examples=150, deadline=None)
@given(draw=draws(grouped=True))
def test_every_sample_of_a_group_is_drawn_before_any_of_it_is_drawn_again(draw: EpochDraw) -> None:
    assert draw.group is not None
    uses = np.zeros(draw.count, dtype=int)
    for row in np.concatenate([draw.rows(epoch) for epoch in EPOCHS]):
        assert uses[row] == uses[draw.group == draw.group[row]].min()
        uses[row] += 1


@settings(max_examples=100, deadline=None)
@given(draw=draws(grouped=True), epoch=st.integers(0, 40), before=st.lists(st.integers(0, 40), max_size=4))
def test_an_epoch_does_not_depend_on_others_asked_before(draw: EpochDraw, epoch: int, before: list[int]) -> None:
    for group in (draw.group, None):
        asked = EpochDraw(draw.count, draw.samples, draw.seed, group)
        for other in before:
            asked.rows(other)
        fresh = EpochDraw(draw.count, draw.samples, draw.seed, group)
        np.testing.assert_array_equal(asked.rows(epoch), fresh.rows(epoch))
        later = EpochDraw(draw.count, draw.samples, draw.seed, group, first_epoch=1)
        np.testing.assert_array_equal(later.rows(epoch + 1), fresh.rows(epoch))


def plans(n: int, batch_size: int, samples: int | None, group: Rows | None, world_size: int) -> list[list[Plan]]:
    rows = np.arange(1000, 1000 + n)
    about = {"samples": samples, "group": group, "first_epoch": 1}
    return [
        [ImagePlan(rows, batch_size, True, 5, rank, world_size, **about) for rank in range(world_size)],  # type: ignore[arg-type]
        [PatchPlan(rows, 64, True, 5, rank, world_size, 16, 4, **about) for rank in range(world_size)],  # type: ignore[arg-type]
    ]


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(8, 80), batch_size=st.integers(1, 20), share=st.floats(0.3, 1), world_size=st.integers(1, 3),
    balanced=st.booleans(), at=st.floats(0, 1), epoch=st.integers(1, 5),
)  # fmt: skip
def test_processes_share_what_an_epoch_draws_and_any_batch_on_is_its_rest(
    n: int, batch_size: int, share: float, world_size: int, balanced: bool, at: float, epoch: int
) -> None:
    samples = max(world_size, int(share * n))
    for some in plans(n, batch_size, samples, np.arange(n) % 4 if balanced else None, world_size):
        read = []
        for plan in some:
            assert isinstance(plan, ImagePlan | PatchPlan)
            whole, rest = plan.groups(epoch, 0), plan.groups(epoch, round(at * len(plan)))
            assert all(map(np.array_equal, whole[len(whole) - len(rest) :], rest))
            assert len(plan) == len(some[0])
            read += [row for rows in whole for row in rows.tolist()]
        assert sorted(read) == sorted(some[0].order(epoch).tolist())
        assert len(read) == samples


@pytest.mark.parametrize("kind", [0, 1])
def test_without_samples_or_groups_the_order_is_the_one_of_before(kind: int) -> None:
    ((image,), (patch,)) = plans(20, 4, None, None, 1)
    wanted = np.random.default_rng([5, 3]).permutation(np.arange(1000, 1020))
    np.testing.assert_array_equal((image, patch)[kind].order(3), wanted)


def test_what_cannot_be_drawn_is_refused() -> None:
    rows = np.arange(10)
    for samples in (0, 11):
        with pytest.raises(TrainingError, match=f"samples = {samples} of 10"):
            ImagePlan(rows, 4, True, 1, 0, 1, samples=samples)
    with pytest.raises(TrainingError, match="only where it is shuffled"):
        ImagePlan(rows, 4, False, 1, 0, 1, samples=5)
    with pytest.raises(TrainingError, match="10 rows and 3 groups"):
        ImagePlan(rows, 4, True, 1, 0, 1, group=np.arange(3))
    with pytest.raises(TrainingError, match="2 samples cannot be shared by 3 processes"):
        ImagePlan(rows, 4, True, 1, 0, 3, samples=2)
    with pytest.raises(TrainingError, match="there is no epoch 0: the draws begin with epoch 1"):
        ImagePlan(rows, 4, True, 1, 0, 1, samples=5, first_epoch=1).order(0)
