"""Answers of a model by session: seeds averaged, parts in order of time, and nothing that cannot be scored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finnex.errors import TrainingError
from finnex.evaluation.session_answers import fitting_parts, models_in, session_answers
from tests.helpers.calibrated import right_probabilities, tabulated


def table(validation: int = 4, n: int = 10, **more: object) -> pd.DataFrame:
    return tabulated(*right_probabilities(np.random.default_rng(0), n, 1, 2), 2, 1, validation=validation, **more)


def test_seeds_are_averaged_before_anything_acts_on_them() -> None:
    one = table()
    said = np.random.default_rng(1).dirichlet(np.ones(3), len(one))
    other = one.assign(seed=8, p_sell=said[:, 0], p_hold=said[:, 1], p_buy=said[:, 2])
    both = pd.concat([one, other]).sample(frac=1, random_state=0)
    found = session_answers(both, model="cnn", split="test")
    test = one[one["split"] == "test"].sort_values(["symbol", "decision_date"])
    expected = (test[["p_sell", "p_hold", "p_buy"]].to_numpy() + said[test.index]) / 2
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-15)
    assert (len(found), found.sessions, found.label.tolist()) == (12, 6, test["label"].tolist())
    np.testing.assert_array_equal(found.symbols, test["symbol"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_sell": np.nan}, "C00 on 2015-01-02 has a probability that is no number: \\[nan"),
        ({"p_sell": -0.1}, "outside of \\[0, 1\\]: \\[-0.1"),
        ({"p_sell": 0.0, "p_hold": 0.0, "p_buy": 0.9}, "that do not add up to 1: \\[0.0, 0.0, 0.9\\]"),
        ({"label": 3}, "a label outside of 0 to 2"),
        ({"label": -1}, "a label outside of 0 to 2"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named(change: dict[str, float], said: str) -> None:
    frame = table(validation=0)
    frame.loc[0, list(change)] = list(change.values())
    with pytest.raises(TrainingError, match=said):
        session_answers(frame, model="cnn", split="test")


def test_what_is_missing_or_mixed_is_named_with_a_remedy() -> None:
    frame = table()
    with pytest.raises(TrainingError, match="no column 'label'"):
        session_answers(frame.drop(columns="label"), model="cnn", split="test")
    with pytest.raises(TrainingError, match="'vit' have no row of split 'test'; models there: cnn"):
        session_answers(frame, model="vit", split="test")
    with pytest.raises(TrainingError, match="look \\[1, 5\\] sessions ahead"):
        session_answers(frame.assign(horizon=np.tile([1, 5], 10)), model="cnn", split="test")
    other = frame.assign(seed=8, label=(frame["label"] + 1) % 3)
    with pytest.raises(TrainingError, match="seeds of 'cnn' have different labels for C00 on 2015-01-08 in fold 0"):
        session_answers(pd.concat([frame, other]), model="cnn", split="test")


def test_models_come_judged_first() -> None:
    frame = pd.concat([table(model=name) for name in ("boosted_trees", "majority", "cnn")])
    assert models_in(frame, "test") == ["cnn", "majority", "boosted_trees"]
    assert models_in(frame, "train") == []


def test_a_part_to_fit_on_lies_before_the_part_to_judge_on() -> None:
    later = table(fold=1, start="2015-01-08")  # whose validation part is the first fold's test part
    pairs = fitting_parts(pd.concat([table(), later]), "cnn")
    assert [(known.split, unseen.split, int(known.fold[0])) for known, unseen in pairs] == [
        ("validation", "test", 0), ("validation", "test", 1)
    ]  # fmt: skip
    assert all(known.days.max() < unseen.days.min() for known, unseen in pairs)
    swapped = table().assign(split=lambda one: one["split"].map({"validation": "test", "test": "validation"}))
    with pytest.raises(TrainingError, match="fold 0, reach to 2015-01-15 and its test part begins on 2015-01-02"):
        fitting_parts(swapped, "cnn")
    with pytest.raises(TrainingError, match="fold 1 of 'cnn' has no row of split 'validation'"):
        fitting_parts(pd.concat([table(), later[later["split"] == "test"]]), "cnn")


def test_a_validation_label_that_ends_within_the_test_part_is_refused() -> None:
    start = np.datetime64("2015-01-08")
    ends = table().assign(label_end=lambda one: one["decision_date"])
    last = ends["split"].eq("validation")
    assert len(fitting_parts(ends.assign(label_end=ends["label_end"].mask(last, start)), "cnn")) == 1  # as `cut` allows
    with pytest.raises(TrainingError, match="would have seen the test part"):
        fitting_parts(ends.assign(label_end=ends["label_end"].mask(last, start + 1)), "cnn")
