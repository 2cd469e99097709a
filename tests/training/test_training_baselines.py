"""Baselines: strong, honest, and blind to everything that a decision could not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config.training import TrainingSettings
from finnex.datasets.samples import Samples
from finnex.datasets.splits import TimeSplit, walk_forward
from finnex.evaluation.scorecard import BASELINE_NAMES
from finnex.training.baselines import BASELINES, answer, last_known_label, logistic_regression, majority, persistence
from tests.helpers.stores import sessions

N = 240


def market(seed: int = 0, horizon: int = 5, symbols: int = 2, days: int = N) -> Samples:
    """Two symbols; feature 0 tells the label, feature 1 tells it two sessions later, feature 2 has holes."""
    rng = np.random.default_rng(seed)
    axis = sessions(days + horizon)
    parts: dict[str, list[npt.NDArray[np.generic]]] = {}
    panels = []
    for number in range(symbols):
        label = rng.integers(0, 3, days)
        panel = rng.uniform(0.02, 1, (days, 5)).astype(np.float32)
        panel[:, 0] = (label + rng.uniform(0.1, 0.9, days)) / 3
        panel[:-2, 1] = (label[2:] + rng.uniform(0.1, 0.9, days - 2)) / 3
        panel[::7, 2] = np.nan
        panel[:, 3] = np.nan
        panels.append(panel)
        for name, values in {
            "symbol": np.full(days, number), "index": np.arange(days), "decision": axis[:days],
            "entry": axis[1 : days + 1], "label_end": axis[horizon : days + horizon], "label": label,
            "outcome": ((label - 1) * 0.01).astype(np.float32),
        }.items():  # fmt: skip
            parts.setdefault(name, []).append(values)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    order = np.lexsort((joined["symbol"], joined["decision"]))
    names = tuple("ABC"[:symbols])
    return Samples(symbols=names, panels=tuple(panels), **{key: value[order] for key, value in joined.items()})


def split_of(samples: Samples) -> TimeSplit:
    return walk_forward(
        samples.decision, samples.label_end, train_fraction=0.6, validation_fraction=0.2, embargo_sessions=2
    )[0]


def accuracy(samples: Samples, rows: npt.NDArray[np.intp], said: npt.NDArray[np.float64]) -> float:
    return float((said.argmax(axis=1) == samples.label[rows]).mean())


def test_configuration_harness_and_scorecard_know_the_same_baselines() -> None:
    assert set(BASELINES) == set(TrainingSettings().baselines) <= set(BASELINE_NAMES)
    compared = TrainingSettings(compare=("price_only", "sentiment_only", "candlestick", "chart")).compare
    assert set(BASELINE_NAMES) == set(BASELINES) | set(compared)


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_baseline_answers_with_probabilities_for_every_row(name: str) -> None:
    samples = market()
    rows = split_of(samples).test
    said = answer(name, samples, split_of(samples), rows)  # type: ignore[arg-type]
    assert said.shape == (len(rows), 3)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-9)
    assert (said >= 0).all()


@pytest.mark.parametrize("name", ["logistic_regression", "boosted_trees"])
def test_table_models_find_a_rule_of_the_session_and_on_lags_one_of_the_past(name: str) -> None:
    samples = market()
    split = split_of(samples)
    blind = replace(samples, panels=tuple(np.where(np.arange(5) == 0, np.nan, panel) for panel in samples.panels))

    def score(given: Samples, kind: str) -> float:
        return accuracy(given, split.test, answer(kind, given, split, split.test))  # type: ignore[arg-type]

    assert score(samples, name) > 0.85
    assert score(blind, name) < 0.5
    assert score(blind, f"{name}_lags") > 0.75


@pytest.mark.parametrize("name", list(BASELINES))
def test_no_answer_depends_on_what_came_after_it(name: str) -> None:
    """The first test decisions stay the same when all that comes later is scrambled: features, labels, returns."""
    samples = market()
    split = split_of(samples)
    first = split.test[:6]
    before = answer(name, samples, split, first)  # type: ignore[arg-type]
    rng = np.random.default_rng(9)
    last_index = samples.index[first].max()
    panels = [panel.copy() for panel in samples.panels]
    for panel in panels:
        panel[last_index + 1 :] = rng.uniform(0, 1, panel[last_index + 1 :].shape)
    unknown = samples.label_end > samples.decision[first].min()
    label = np.where(unknown, (samples.label + 1) % 3, samples.label)
    changed = replace(samples, panels=tuple(panels), label=label, outcome=rng.normal(size=len(label)))
    np.testing.assert_array_equal(answer(name, changed, split, first[:2]), before[:2])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["logistic_regression", "boosted_trees"])
def test_normalisation_and_fit_see_the_training_part_only(name: str) -> None:
    """What the test part looks like as a whole does not change the answer for one of its rows."""
    samples = market()
    split = split_of(samples)
    one = split.test[-1:]
    shifted = [panel.copy() for panel in samples.panels]
    for panel in shifted:
        panel[samples.index[split.test].min() : samples.index[one[0]]] *= 100
    changed = replace(samples, panels=tuple(shifted))
    before, after = (answer(name, given, split, one) for given in (samples, changed))  # type: ignore[arg-type]
    np.testing.assert_array_equal(after, before)


def test_majority_is_the_training_parts_frequencies() -> None:
    samples = market()
    split = split_of(samples)
    frequencies = np.bincount(samples.label[split.train], minlength=3) / len(split.train)
    np.testing.assert_allclose(majority(samples, split, split.test), np.tile(frequencies, (len(split.test), 1)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 3), shift=st.integers(1, 12))
def test_persistence_is_the_newest_label_whose_outcome_was_known(seed: int, symbols: int, shift: int) -> None:
    samples = market(seed, horizon=shift, symbols=symbols, days=60)
    rng = np.random.default_rng(seed)
    # Barriers end some outcomes early, and some sessions are no samples.
    early = samples.entry + (samples.label_end - samples.entry) * rng.integers(0, 2, len(samples))
    samples = replace(samples, label_end=early).choose(np.flatnonzero(rng.random(len(samples)) < 0.8))
    rows = rng.permutation(len(samples))
    found = last_known_label(samples, rows)
    for row, label in zip(rows, found, strict=True):
        known = (samples.symbol == samples.symbol[row]) & (samples.label_end <= samples.decision[row])
        expected = samples.label[known][samples.decision[known].argmax()] if known.any() else -1
        assert label == expected


def test_persistence_is_as_sure_as_it_was_right_and_stands_by_its_answer() -> None:
    samples = market()
    split = split_of(samples)
    said = persistence(samples, split, split.test)
    np.testing.assert_array_equal(said.argmax(axis=1), last_known_label(samples, split.test))
    steady = replace(samples, label=np.zeros(len(samples), dtype=np.int64))
    assert persistence(steady, split, split.test)[:, 0].min() > 0.97
    assert said.max() < 0.5


def test_a_class_that_training_never_saw_has_no_probability() -> None:
    samples = market()
    split = split_of(samples)
    label = samples.label.copy()
    label[split.train] = np.minimum(label[split.train], 1)
    for name in ("logistic_regression", "boosted_trees"):
        said = answer(name, replace(samples, label=label), split, split.test)  # type: ignore[arg-type]
        assert said[:, 2].max() == 0


def test_features_that_are_known_nowhere_are_refused() -> None:
    samples = market()
    empty = replace(samples, panels=tuple(np.full_like(panel, np.nan) for panel in samples.panels))
    with pytest.raises(Exception, match="all 5 features are unknown in all"):
        logistic_regression(empty, split_of(empty), split_of(empty).test)
