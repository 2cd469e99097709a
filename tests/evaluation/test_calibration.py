"""Brier score and calibration against scikit-learn and worked cases; words on calibration hold at their level."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from benchmarks.coverage import classes, overlapping, persistent
from finnex.errors import TrainingError
from finnex.evaluation.calibration import (
    bin_numbers,
    brier_score,
    class_curves,
    class_errors,
    expected_error,
    reliability_curve,
)
from finnex.evaluation.calibration_by_chance import error_by_chance, shared_part
from finnex.evaluation.calibration_card import MARGIN, CalibrationWord, calibration_card, calibration_words
from finnex.evaluation.interval import mean_estimate
from finnex.evaluation.session_answers import SessionAnswers
from tests.helpers.calibrated import answered, right_probabilities, tabulated, tempered
from tests.helpers.stores import sessions

STUDIES = 300


def limit(repeats: int, level: float = 0.05) -> float:
    """Three standard errors of a simulated share above the level."""
    return float(level + 3 * np.sqrt(level * (1 - level) / repeats))


def test_the_brier_score_is_scikit_learns_sum_over_classes() -> None:
    rng = np.random.default_rng(0)
    said, labels = rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200)
    expected = brier_score_loss(labels, said, labels=[0, 1, 2], scale_by_half=False)
    assert brier_score(said, labels) == pytest.approx(expected, abs=1e-12)
    two, happened = said[:, :2] / said[:, :2].sum(axis=1, keepdims=True), labels % 2
    assert brier_score(two, happened) == pytest.approx(2 * brier_score_loss(happened, two[:, 1]), abs=1e-12)
    assert brier_score(np.eye(3)[labels], labels) == 0
    assert brier_score(np.eye(3)[(labels + 1) % 3], labels) == 2
    with pytest.raises(ValueError, match="0 rows"):
        brier_score(said[:0], labels[:0])


def test_a_worked_case_of_the_expected_error() -> None:
    """Bins 0.1, 0.2 | 0.3, 0.4 | 0.8, 0.9: gaps 0.15 - 0.5, 0.35 - 0, 0.85 - 1, each of a third of the rows."""
    probability = np.array([0.9, 0.1, 0.4, 0.2, 0.8, 0.3])
    happened = np.array([1, 0, 0, 1, 1, 0])
    assert expected_error(probability, happened, bins=3) == pytest.approx((0.35 + 0.35 + 0.15) / 3, abs=1e-12)
    curve = reliability_curve(probability, happened, sessions(6), 1, bins=3)
    assert [(one.low, one.high, one.rows, one.share.value) for one in curve] == [
        (0.1, 0.2, 2, 0.5), (0.3, 0.4, 2, 0.0), (0.8, 0.9, 2, 1.0)
    ]  # fmt: skip


def test_the_curve_is_scikit_learns_of_quantiles() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(200)  # no ties; of 200 in ten bins the quantiles lie between two values
    happened = (rng.random(200) < probability).astype(int)
    share, claimed = calibration_curve(happened, probability, n_bins=10, strategy="quantile")
    curve = reliability_curve(probability, happened, sessions(200), 5)
    np.testing.assert_allclose([one.share.value for one in curve], share, atol=1e-12)
    np.testing.assert_allclose([one.claimed for one in curve], claimed, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_equal_probabilities_are_in_one_bin_and_bins_are_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, rng.integers(1, 40), 300) / 40
    number = bin_numbers(probability)
    assert number.max() + 1 == len(np.unique(number)) <= 10
    assert all(len(np.unique(number[probability == one])) == 1 for one in np.unique(probability))
    assert (np.diff(number[np.argsort(probability)]) >= 0).all()
    assert np.bincount(bin_numbers(rng.random(300))).tolist() == [30] * 10


def test_a_bin_has_the_projects_interval_or_the_reason_why_not() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 600, 5, 2)
    answers = answered(said, label, 2, 5)
    curve = reliability_curve(answers.confidence, answers.right, answers.days, 5, bins=4)
    mine = bin_numbers(answers.confidence, 4) == 2
    expected = mean_estimate(answers.right[mine], answers.days[mine], 5, share=True).interval()
    assert curve[2].share == expected
    assert expected.low is not None
    assert (curve[2].rows, curve[2].sessions) == (300, len(np.unique(answers.days[mine])))
    few = reliability_curve(answers.confidence[:80], answers.right[:80], answers.days[:80], 5, bins=4)
    assert few[0].share.low is None
    assert "at least 60 are needed at horizon 5" in few[0].share.reason


def test_a_constant_gives_one_bin() -> None:
    constant = np.full(100, 0.4)
    assert len(reliability_curve(constant, np.zeros(100), sessions(100), 1)) == 1
    assert expected_error(constant, np.arange(100) < 50) == pytest.approx(0.1, abs=1e-12)


def test_each_class_has_a_curve_also_one_that_never_happens() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 300, 1, 1)
    answers = answered(said, np.where(label == 1, 0, label), 1, 1)
    curves, errors = class_curves(answers), class_errors(answers)
    assert list(curves) == list(errors) == ["sell", "hold", "buy"]
    assert {one.share.value for one in curves["hold"]} == {0.0}
    assert errors["hold"] == pytest.approx(said[:, 1].mean(), abs=1e-12)


def test_the_error_by_chance_of_independent_rows_is_the_binomial_one() -> None:
    """One bin of 400 rows at a constant 0.5: |binomial share - 0.5| has a known mean and 95th percentile."""
    said = np.tile([0.5, 0.25, 0.25], (400, 1))
    found = error_by_chance(answered(said, np.arange(400) % 3, 1, 1), draws=4000)
    deviation = 0.5 / np.sqrt(400)
    assert found.mean == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.05)
    assert found.most == pytest.approx(deviation * ndtri(0.975), rel=0.05)


def test_overlap_and_common_moves_make_the_error_by_chance_larger() -> None:
    """Of a constant answer: no errors of others cancel it."""
    said, label = right_probabilities(np.random.default_rng(0), 500, 5, 4, known=0.0)
    together = answered(said, label, 4, 5)
    shuffled = np.random.default_rng(1).permutation(len(label))
    apart = answered(said[shuffled], label[shuffled], 4, 1)
    dependent, independent = (error_by_chance(one, draws=400).mean for one in (together, apart))
    assert dependent is not None
    assert independent is not None
    assert dependent > 2 * independent  # the square root of 5 overlapping labels, and more of 4 companies


def test_the_shared_part_of_companies_is_found() -> None:
    """Companies of `benchmarks.coverage` share half of their variance."""
    for known in (0.0, 0.5, 0.8):
        found = shared_part(answered(*right_probabilities(np.random.default_rng(1), 4000, 1, 5, known=known), 5, 1))
        assert found == pytest.approx(0.5, abs=0.06)
    assert shared_part(answered(*right_probabilities(np.random.default_rng(1), 100, 1, 1), 1, 1)) is None
    certain = np.eye(3)[np.zeros(200, dtype=int)]
    assert shared_part(answered(certain, np.zeros(200, dtype=np.int64), 2, 1)) == 0.0


def word(answers: SessionAnswers, seed: int, draws: int = 199) -> CalibrationWord:
    excess = mean_estimate(answers.confidence - answers.right, answers.days, answers.horizon)
    return calibration_words({"cnn": excess}, {"cnn": error_by_chance(answers, draws=draws, seed=seed)})["cnn"]


@pytest.mark.parametrize(
    ("horizon", "n", "companies", "known"), [(1, 60, 1, 0.5), (5, 250, 1, 0.0), (5, 150, 5, 0.8), (20, 240, 3, 0.5)]
)
def test_right_probabilities_are_called_wrong_in_at_most_5_of_100_studies(
    horizon: int, n: int, companies: int, known: float
) -> None:
    rng = np.random.default_rng((horizon, n, companies))
    found = [
        word(answered(*right_probabilities(rng, n, horizon, companies, known=known), companies, horizon), seed)
        for seed in range(STUDIES)
    ]
    assert np.mean([one in ("claims more", "claims less", "uneven") for one in found]) <= limit(STUDIES)


def test_slow_regimes_that_a_model_does_not_see_break_the_error_by_chance_and_no_word() -> None:
    """Outside of what it assumes: a constant answer, and regimes of ten sessions with 30 % of the variance."""
    rng, repeats, words, errors = np.random.default_rng(0), 200, [], []
    for seed in range(repeats):
        slow = np.repeat(persistent(rng, 500, 1, 0.9), 3, axis=1)
        label = classes(np.sqrt(0.3) * slow + np.sqrt(0.7) * overlapping(rng, 500, 5, 3)).ravel()
        answers = answered(np.tile([1 / 3 + 1e-6, 1 / 3, 1 / 3 - 1e-6], (1500, 1)), label, 3, 5)
        excess = mean_estimate(answers.confidence - answers.right, answers.days, 5)
        chance = error_by_chance(answers, draws=99, seed=seed)
        words.append(calibration_words({"cnn": excess}, {"cnn": chance})["cnn"])
        errors.append(chance.p_value <= 0.05)
    assert np.mean([one in ("claims more", "claims less", "uneven") for one in words]) <= limit(repeats)
    assert np.mean(errors) > limit(repeats)  # as its description says; no word is said by it


def test_a_simulation_row_by_row_would_call_them_wrong_far_more_often() -> None:
    """The same studies, with labels drawn as if no two rows had anything in common."""
    rng, found = np.random.default_rng(0), []
    for seed in range(100):
        said, label = right_probabilities(rng, 150, 5, 5)
        alone = answered(said, label, 5, 5)
        apart = SessionAnswers("cnn", "test", 1, alone.fold, sessions(len(label)), alone.symbols, said, label)
        found.append(error_by_chance(apart, draws=199, seed=seed).p_value <= 0.05)
    assert np.mean(found) > 0.3


def test_a_model_that_claims_five_points_too_much_is_called_calibrated_in_at_most_5_of_100_studies() -> None:
    """At the edge of the margin; the answers' probability is raised, and nothing else."""
    rng, found = np.random.default_rng(0), []
    for seed in range(STUDIES):
        said, label = right_probabilities(rng, 1000, 5, 1)
        raised = said - MARGIN / 2 + 1.5 * MARGIN * np.eye(3)[said.argmax(axis=1)]
        found.append(word(answered(np.clip(raised, 0, 1), label, 1, 5), seed, draws=19))
    assert np.mean([one == "calibrated" for one in found]) <= limit(STUDIES)


def test_what_is_wrong_is_said_in_its_direction() -> None:
    rng = np.random.default_rng(0)
    said, label = right_probabilities(rng, 2000, 5, 5)
    assert word(answered(tempered(said, 2.0), label, 5, 5), 0) == "claims more"
    assert word(answered(tempered(said, 0.5), label, 5, 5), 0) == "claims less"
    assert word(answered(said, label, 5, 5), 0) == "calibrated"
    said, label = right_probabilities(rng, 2000, 5, 5, known=0.8)
    most = said.max(axis=1)  # too sure where it is surest, not sure enough below, the same on average
    moved = np.where(most > 0.6, np.where(most > np.median(most[most > 0.6]), 0.1, -0.1), 0.0)[:, None]
    answers = answered(np.clip(said + moved * (1.5 * np.eye(3)[said.argmax(axis=1)] - 0.5), 0, 1), label, 5, 5)
    excess = mean_estimate(answers.confidence - answers.right, answers.days, 5)
    assert 2 * min(excess.p_above(), excess.p_below()) > 0.05
    assert word(answers, 0) == "uneven"


def test_the_card_has_every_model_and_plain_values() -> None:
    rng = np.random.default_rng(0)
    said, label = right_probabilities(rng, 400, 5, 3)
    frame = pd.concat(
        [
            tabulated(np.full((len(label), 3), 1 / 3), label, 3, 5, model="majority"),
            tabulated(tempered(said, 3.0), label, 3, 5),
        ]
    )
    card = calibration_card(frame, draws=200)
    assert [one.model for one in card.lines] == ["cnn", "majority"]
    assert card.lines[0].word == "claims more"
    assert "cnn claims more than it knows: it is 0." in card.words()[0]
    assert "errors of sessions further apart are taken as independent" in card.words()[-1]
    record = json.loads(json.dumps(card.record(), allow_nan=False))
    assert record["models"][0]["verdict"] == "claims more"
    assert record["models"][0]["excess_low"] > 0
    assert len(record["models"][0]["curve"]) == 10
    assert len(record["models"][1]["curve"]) == 1
    again = calibration_card(frame.sample(frac=1, random_state=1), draws=200)
    assert again.record() == card.record()


def test_with_too_few_sessions_nothing_is_said_and_the_reason_is() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 59, 5, 3)
    card = calibration_card(tabulated(tempered(said, 9.0), label, 3, 5))
    line = card.lines[0]
    assert (line.word, line.by_chance.most, line.by_chance.p_value) == ("open", None, 1.0)
    assert card.words() == [line.words()]
    assert "cannot be said (no interval: 59 sessions, at least 60 are needed at horizon 5)" in line.words()
    assert json.loads(json.dumps(card.record(), allow_nan=False))["models"][0]["brier_score_low"] is None


def test_an_empty_part_is_refused() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 60, 1, 1)
    with pytest.raises(TrainingError, match="no row of split 'validation'; models there: none"):
        calibration_card(tabulated(said, label, 1, 1), split="validation")
