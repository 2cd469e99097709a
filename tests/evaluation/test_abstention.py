"""Conformal sets cover what they state where rows are exchangeable; thresholds answer what was wished."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.coverage import persistent
from finnex.errors import TrainingError
from finnex.evaluation.abstention import (
    ConfidenceThreshold,
    ConformalSets,
    fit_confidence_threshold,
    fit_conformal_sets,
)
from finnex.evaluation.abstention_card import abstention_card, answered_less_withheld
from finnex.evaluation.interval import mean_estimate
from finnex.evaluation.session_answers import SessionAnswers, session_answers
from tests.helpers.calibrated import answered, guesses, right_probabilities, tabulated, tempered


def exchangeable(rng: np.random.Generator, n: int, split: str, *, ties: bool = False) -> SessionAnswers:
    """Independent rows of a model that is far too sure."""
    said, label = right_probabilities(rng, n, 1, 1)
    said = tempered(said, 3.0)
    return answered(np.round(said * 10) / 10 if ties else said, label, 1, 1, split=split)


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_the_threshold_is_the_quantile_of_the_paper(coverage: float) -> None:
    """1 - least probability is the ceil((n + 1) coverage)-th smallest score 1 - p of what happened."""
    known = exchangeable(np.random.default_rng(0), 99, "validation")
    rule = fit_conformal_sets(known, coverage)
    scores = np.sort(1 - known.given)
    assert 1 - rule.least_probability == pytest.approx(scores[round(100 * coverage) - 1], abs=1e-12)
    inside = rule.sets(known.probabilities)[np.arange(99), known.label]
    assert inside.sum() == round(100 * coverage)


@pytest.mark.parametrize("ties", [False, True])
def test_exchangeable_rows_are_covered_as_stated_or_more(ties: bool) -> None:
    """Over draws of both parts, by at least 0.9; without ties by at most 0.9 + 1 / (n + 1)."""
    rng, held = np.random.default_rng(0), []
    for _ in range(1500):
        rule = fit_conformal_sets(exchangeable(rng, 60, "validation", ties=ties))
        one = exchangeable(rng, 1, "test", ties=ties)
        held.append(rule.sets(one.probabilities)[0, one.label[0]])
    error = 3 * np.sqrt(0.09 / 1500)
    assert np.mean(held) >= 0.9 - error
    if not ties:
        assert np.mean(held) <= 0.9 + 1 / 61 + error


def test_with_too_few_rows_every_set_is_full() -> None:
    rule = fit_conformal_sets(exchangeable(np.random.default_rng(0), 8, "validation"))  # 0.9 of 9 is more than 8
    assert rule.least_probability == 0
    assert rule.sets(np.array([[1.0, 0.0, 0.0]])).all()
    nine = fit_conformal_sets(exchangeable(np.random.default_rng(0), 9, "validation"))
    assert nine.least_probability > 0


def test_the_place_is_not_moved_by_floating_point() -> None:
    """0.7 (9 + 1) is 7, also as 7.000000000000001: the seventh largest of nine."""
    known = exchangeable(np.random.default_rng(0), 9, "validation")
    assert fit_conformal_sets(known, 0.7).least_probability == np.sort(known.given)[::-1][6]


def test_a_threshold_answers_the_wished_share_of_validation() -> None:
    known = exchangeable(np.random.default_rng(0), 200, "validation")
    rule = fit_confidence_threshold(known, 0.3)
    assert rule.answered_on_validation == 0.3
    np.testing.assert_array_equal(rule.answered(known.probabilities), known.confidence >= rule.least_confidence)
    constant = fit_confidence_threshold(
        answered(np.full((90, 3), 1 / 3), np.arange(90) % 3, 1, 1, split="validation"), 0.3
    )
    assert constant.answered_on_validation == 1.0  # ties are answered together


@pytest.mark.parametrize("fit", [fit_conformal_sets, fit_confidence_threshold])
def test_a_rule_sees_validation_of_one_fold_only(fit: type) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TrainingError, match="chosen on split 'validation', and these 50 answers"):
        fit(exchangeable(rng, 50, "test"))
    said, label = right_probabilities(rng, 60, 1, 1)
    both = pd.concat([tabulated(said, label, 1, 1, validation=30, fold=fold) for fold in (0, 1)])
    with pytest.raises(TrainingError, match="are of folds \\[0, 1\\]"):
        fit(session_answers(both, model="cnn", split="validation"))
    for share in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(TrainingError, match="it is a share above 0 and below 1"):
            fit(exchangeable(rng, 50, "validation"), share)


def test_records_make_the_rules_again_and_act_the_same() -> None:
    known, new = (exchangeable(np.random.default_rng(seed), 100, "validation") for seed in (0, 1))
    sets, threshold = fit_conformal_sets(known), fit_confidence_threshold(known)
    again = ConformalSets.from_record(json.loads(json.dumps(sets.record())))
    assert again == sets
    np.testing.assert_array_equal(again.sets(new.probabilities), sets.sets(new.probabilities))
    other = ConfidenceThreshold.from_record(json.loads(json.dumps(threshold.record())))
    assert other == threshold


def test_too_few_sessions_are_said() -> None:
    for fit in (fit_conformal_sets, fit_confidence_threshold):
        few, enough = (fit(exchangeable(np.random.default_rng(0), n, "validation")) for n in (59, 60))
        assert (few.remark, enough.remark) == ("fitted on 59 sessions, where figures at horizon 1 need 60", "")


def test_what_is_no_probability_gets_no_set() -> None:
    rule = fit_conformal_sets(exchangeable(np.random.default_rng(0), 50, "validation"))
    with pytest.raises(TrainingError, match="row 1 of the probabilities has one that is no number"):
        rule.sets(np.array([[0.5, 0.3, 0.2], [np.nan, 0.5, 0.5]]))
    with pytest.raises(TrainingError, match="have shape \\(2, 2\\); give \\(rows, 3\\), for sell, hold, buy"):
        rule.sets(np.full((2, 2), 0.5))
    assert not rule.sets(np.empty((0, 3))).size


def test_the_card_measures_the_test_part_each_fold_at_its_rule() -> None:
    rng, frames = np.random.default_rng(0), []
    for fold, power in ((0, 1.0), (1, 3.0)):
        said, label = right_probabilities(rng, 300, 5, 2)
        start = str(np.busday_offset("2015-01-02", 150 * fold, roll="forward"))
        frames.append(tabulated(tempered(said, power), label, 2, 5, validation=150, fold=fold, start=start))
    table = pd.concat(frames)
    line = abstention_card(table, wished=0.4).lines[0]
    held, size, given, right, days = [], [], [], [], []
    for fold, (sets, threshold) in enumerate(zip(line.sets, line.thresholds, strict=True)):
        part = session_answers(table[table["fold"] == fold], model="cnn", split="test")
        inside = part.probabilities >= sets.least_probability
        held += inside[np.arange(len(part)), part.label].tolist()
        size += inside.sum(axis=1).tolist()
        given += (part.confidence >= threshold.least_confidence).tolist()
        right += part.right.tolist()
        days += part.days.tolist()
    size, given, right, day = np.array(size), np.array(given), np.array(right), np.array(days, dtype="datetime64[D]")
    assert line.covered == mean_estimate(np.array(held, dtype=float), day, 5, share=True).interval()
    assert (line.mean_size, line.empty) == (size.mean(), (size == 0).mean())
    assert (line.single, line.full) == ((size == 1).mean(), (size == 3).mean())
    assert line.right_answered == mean_estimate(right[given], day[given], 5, share=True).interval()
    assert line.answered.value == pytest.approx(given.mean())
    assert line.gain is not None
    assert line.gain.value == pytest.approx(right[given].mean() - right[~given].mean(), abs=1e-12)
    words = abstention_card(table).words()
    assert "stated to hold the outcome in 90.0%, held it in" in words[0]
    assert "The stated coverage holds for exchangeable rows. Those of a market are not" in words[-1]


def test_a_constant_model_answers_all_and_has_plain_values() -> None:
    label = np.random.default_rng(0).integers(0, 3, 300)
    card = abstention_card(tabulated(np.tile([0.2, 0.5, 0.3], (300, 1)), label, 1, 5, validation=150))
    line = card.lines[0]
    assert (line.gain, line.gain_word, line.full) == (None, "open", 1.0)
    record = json.loads(json.dumps(card.record(), allow_nan=False))["models"][0]
    assert (record["gain"], record["gain_reason"]) == (None, "there is no such row")
    assert "nothing is left out" in card.words()[1]


def test_a_model_that_is_never_as_sure_again_answers_nothing() -> None:
    said = np.concatenate([np.tile([0.1, 0.8, 0.1], (150, 1)), np.tile([0.3, 0.4, 0.3], (150, 1))])
    card = abstention_card(tabulated(said, np.arange(300) % 3, 1, 5, validation=150))
    assert card.lines[0].right_answered is None
    assert "never as sure as on validation" in card.words()[1]
    assert card.lines[0].answered.reason == "no interval: the same in all 150 sessions"


def test_times_that_change_are_measured_and_said() -> None:
    """On the test part the model is wrong far more often: the stated coverage is not the measured one."""
    rng = np.random.default_rng(0)
    said, label = right_probabilities(rng, 800, 5, 2, known=0.8)
    label = np.where(np.arange(1600) < 800, label, rng.integers(0, 3, 1600))
    line = abstention_card(tabulated(said, label, 2, 5, validation=400)).lines[0]
    assert line.coverage_word == "worse"
    assert "less than stated" in line.words()[0]


@pytest.mark.parametrize(("n", "horizon", "companies", "memory"), [(500, 5, 5, 0.99), (1000, 1, 3, 0.9)])
def test_confidence_that_knows_nothing_is_called_a_help_in_at_most_5_of_100_studies(
    n: int, horizon: int, companies: int, memory: float
) -> None:
    """Answers that are given are runs of sessions, for a model whose confidence changes slowly."""
    rng, said = np.random.default_rng(3), []
    for _ in range(300):
        answers = answered(*guesses(rng, n, horizon, companies), companies, horizon)
        given = np.repeat(persistent(rng, n, 1, memory).ravel() > 0.3, companies)
        if 0 < given.sum() < len(given) and not (found := answered_less_withheld(answers, given)).reason:
            said.append(min(found.p_above(), found.p_below()) <= 0.025)
    assert len(said) > 200
    assert np.mean(said) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(said))


def test_confidence_that_knows_is_found() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 1500, 5, 5, known=0.7)
    line = abstention_card(tabulated(said, label, 5, 5, validation=500), wished=0.3).lines[0]
    assert line.gain_word == "beats"
    assert line.right_answered is not None
    assert line.right_answered.value > line.right.value + 0.1
