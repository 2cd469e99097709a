"""The one splitter: nothing that was not known yet is learned from, whatever the scheme, the symbols and the holes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config.training import TrainingSettings
from finnex.datasets.splits import TimeSplit, cut, walk_forward
from finnex.errors import TrainingError
from finnex.training import train
from tests.helpers.planted import grey_store
from tests.helpers.stores import make_config, sessions

Dates = npt.NDArray[np.datetime64]


@st.composite
def labelled_days(draw: st.DrawFn) -> tuple[Dates, Dates]:
    """Decision dates and label ends of up to three symbols with holes, outcomes up to twenty sessions later."""
    n = draw(st.integers(40, 160))
    axis = sessions(n + 30)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    decision, end = [], []
    for _ in range(draw(st.integers(1, 3))):
        kept = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.4, 0.9, 1.0])))
        decision.append(axis[kept])
        end.append(axis[kept + rng.integers(1, 21, len(kept))])
    order = rng.permutation(sum(map(len, decision)))
    return np.concatenate(decision)[order], np.concatenate(end)[order]


schemes = st.fixed_dictionaries(
    {
        "train_fraction": st.sampled_from([0.3, 0.5, 0.7, 0.8]),
        "validation_fraction": st.sampled_from([0.1, 0.15]),
        "embargo_sessions": st.integers(0, 8),
        "folds": st.integers(1, 6),
        "window": st.sampled_from(["expanding", "rolling"]),
    }
)


def splits_of(decision: Dates, end: Dates, scheme: dict[str, Any]) -> tuple[TimeSplit, ...]:
    """At least one fold, or a refusal that says what there is."""
    try:
        found = walk_forward(decision, end, **scheme)
    except TrainingError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "labelled sessions" in refused
        assert "Build more sessions" in refused
        return ()
    assert len(found) == scheme["folds"]
    return found


@settings(max_examples=150, deadline=None)
@given(data=labelled_days(), scheme=schemes)
def test_no_label_learned_from_ends_after_the_first_later_decision_minus_the_embargo(
    data: tuple[Dates, Dates], scheme: dict[str, Any]
) -> None:
    decision, end = data
    days = np.unique(decision)
    for split in splits_of(decision, end, scheme):
        parts = ((split.train, split.validation), (split.train, split.test), (split.validation, split.test))
        for earlier, later in parts:
            limit = days[np.searchsorted(days, decision[later].min()) - scheme["embargo_sessions"]]
            assert (end[earlier] <= limit).all()


@settings(max_examples=150, deadline=None)
@given(data=labelled_days(), scheme=schemes)
def test_no_date_is_in_two_parts_of_a_fold_and_no_sample_is_lost_unsaid(
    data: tuple[Dates, Dates], scheme: dict[str, Any]
) -> None:
    decision, end = data
    for split in splits_of(decision, end, scheme):
        days = [set(decision[rows].tolist()) for rows in split.parts().values()]
        assert all(days)
        assert max(days[0]) < min(days[1])
        assert max(days[1]) < min(days[2])
        first = min(days[0]) if scheme["window"] == "rolling" else decision.min()
        reach = (decision >= first) & (decision <= max(decision[split.test]))
        left_out = np.count_nonzero(reach) - sum(map(len, split.parts().values()))
        assert 0 <= left_out <= split.purged


@settings(max_examples=150, deadline=None)
@given(data=labelled_days(), scheme=schemes)
def test_the_test_parts_of_successive_folds_follow_each_other_and_miss_nothing(
    data: tuple[Dates, Dates], scheme: dict[str, Any]
) -> None:
    decision, end = data
    found = splits_of(decision, end, scheme)
    for one, next_one in pairwise(found):
        assert decision[one.test].max() < decision[next_one.test].min()
    if found:
        tested = np.concatenate([split.test for split in found])
        assert sorted(tested.tolist()) == np.flatnonzero(decision >= found[0].test_start).tolist()


def test_a_rolling_window_keeps_its_length_and_an_expanding_one_its_beginning() -> None:
    axis = sessions(210)
    rolling, expanding = (
        walk_forward(
            axis[:200], axis[5:205], train_fraction=0.4, validation_fraction=0.1, embargo_sessions=3, folds=5,
            window=window,  # type: ignore[arg-type]
        )
        for window in ("rolling", "expanding")
    )  # fmt: skip
    assert {len(split.train) for split in rolling} == {len(rolling[0].train)}
    assert [split.train.min() for split in rolling] == [0, 20, 40, 60, 80]
    assert [split.train.min() for split in expanding] == [0] * 5
    assert [split.train.max() for split in rolling] == [split.train.max() for split in expanding]
    assert [len(split.test) for split in rolling] == [20] * 5


def test_only_what_overlaps_is_purged() -> None:
    axis = sessions(110)
    (split,) = walk_forward(
        axis[:100], axis[5:105], train_fraction=0.7, validation_fraction=0.1, embargo_sessions=0
    )  # fmt: skip
    assert split.train.max() == 65  # its label ends on session 70, the first validation decision
    assert (split.validation.min(), split.validation.max(), split.test.min()) == (70, 75, 80)
    assert split.purged == 8


def test_a_longer_embargo_takes_as_many_sessions_more() -> None:
    axis = sessions(110)
    last = [
        walk_forward(
            axis[:100], axis[5:105], train_fraction=0.7, validation_fraction=0.1, embargo_sessions=embargo
        )[0].train.max()
        for embargo in (0, 1, 4)
    ]  # fmt: skip
    assert last == [65, 64, 61]


def test_every_scheme_is_made_of_the_one_cut() -> None:
    axis = sessions(110)
    decision, end, days = axis[:100], axis[5:105], axis[:100]
    split = walk_forward(
        decision, end, train_fraction=0.5, validation_fraction=0.1, embargo_sessions=2, folds=4, window="rolling"
    )[2]
    by_hand = cut(decision, end, days, 70, 80, 2, train_from=20, test_until=90, fold=2)
    for name, rows in split.parts().items():
        np.testing.assert_array_equal(rows, by_hand.parts()[name])
    assert (split.fold, split.purged, split.test_start) == (2, by_hand.purged, axis[80])


def test_the_specifications_preset_cuts_at_eighty_and_ninety_percent() -> None:
    chosen = TrainingSettings(preset="specification")
    axis = sessions(110)
    (split,) = walk_forward(
        axis[:100], axis[1:101], train_fraction=chosen.train_fraction,
        validation_fraction=chosen.validation_fraction, embargo_sessions=0,
    )  # fmt: skip
    assert (split.validation_start, split.test_start) == (axis[80], axis[90])


def test_too_few_sessions_say_how_many_there_are(tmp_path: Path) -> None:
    store = grey_store(tmp_path / "s.zarr", 20, np.arange(20) % 3)
    with pytest.raises(TrainingError, match=r"labelled.*(Build more sessions|change the fractions)"):
        train(make_config(store, tmp_path), store)
    with pytest.raises(TrainingError, match=r"15 labelled sessions are too few .* to test in 9 parts"):
        train(make_config(store, tmp_path, folds=9), store)
