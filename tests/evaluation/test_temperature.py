"""A temperature is scikit-learn's, is fitted on validation alone, and its gain is said at its level."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import _TemperatureScaling
from sklearn.metrics import log_loss

from finnex.errors import TrainingError
from finnex.evaluation.calibration import brier_score, expected_error
from finnex.evaluation.session_answers import fitting_parts, session_answers, together
from finnex.evaluation.temperature import HIGHEST, LOWEST, Temperature, fit_temperature
from finnex.evaluation.temperature_card import temperature_card
from tests.helpers.calibrated import answered, guesses, right_probabilities, tabulated, tempered


@pytest.mark.parametrize("power", [0.4, 1.0, 3.0])
def test_it_is_scikit_learns_and_undoes_what_was_done(power: float) -> None:
    said, label = right_probabilities(np.random.default_rng(0), 4000, 1, 1)
    wrong = tempered(said, power)
    found = fit_temperature(answered(wrong, label, 1, 1, split="validation"))
    scaling = _TemperatureScaling().fit(np.log(wrong), label)
    assert found.temperature == pytest.approx(1 / scaling.beta_, rel=1e-6)
    after = found.apply(wrong)
    assert log_loss(label, after) == pytest.approx(log_loss(label, scaling.predict(np.log(wrong))), abs=1e-9)
    assert found.temperature == pytest.approx(power, rel=0.15)
    np.testing.assert_array_equal(after.argmax(axis=1), wrong.argmax(axis=1))
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-12)
    for near in (0.99, 1.01):  # no neighbour is better
        assert log_loss(label, tempered(wrong, near / found.temperature)) > log_loss(label, after)


def test_a_fit_refuses_to_see_test_rows() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 100, 1, 1)
    with pytest.raises(
        TrainingError, match="fitted on split 'validation', and these 100 answers of 'cnn' are of split 't"
    ):
        fit_temperature(answered(said, label, 1, 1, split="test"))


def test_it_is_fitted_on_one_fold() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 60, 1, 1)
    folds = [tabulated(said, label, 1, 1, validation=30, fold=fold) for fold in (0, 1)]
    both = session_answers(pd.concat(folds), model="cnn", split="validation")
    with pytest.raises(TrainingError, match="are of folds \\[0, 1\\]"):
        fit_temperature(both)


def test_another_test_part_changes_no_temperature() -> None:
    rng = np.random.default_rng(0)
    said, label = right_probabilities(rng, 300, 5, 2)
    one = tabulated(tempered(said, 2), label, 2, 5, validation=100)
    other = one.assign(label=np.where(one["split"] == "test", (one["label"] + 1) % 3, one["label"]))
    first, second = (temperature_card(frame).lines[0] for frame in (one, other))
    assert first.temperatures == second.temperatures
    assert first.log_loss[0].value != second.log_loss[0].value


def test_what_cannot_be_fitted_inside_is_said() -> None:
    label = np.arange(90) % 3
    flat = fit_temperature(answered(np.full((90, 3), 1 / 3), label, 1, 1, split="validation"))
    assert (flat.temperature, flat.remark[:37]) == (1.0, "all classes have the same probability")
    perfect = fit_temperature(answered(np.eye(3)[label] * 0.7 + 0.1, label, 1, 1, split="validation"))
    assert (perfect.temperature, perfect.remark[:22]) == (LOWEST, "the best is 0.05 or le")
    false = fit_temperature(answered(np.eye(3)[(label + 1) % 3] * 0.7 + 0.1, label, 1, 1, split="validation"))
    assert (false.temperature, false.remark[:20]) == (HIGHEST, "the best is 20 or mo")
    sure = fit_temperature(answered(np.eye(3)[np.zeros(90, dtype=int)], label, 1, 1, split="validation"))
    assert sure.temperature == HIGHEST  # zeros are no infinite loss
    constant = fit_temperature(answered(np.tile([0.6, 0.2, 0.2], (90, 1)), label, 1, 1, split="validation"))
    assert constant.temperature == HIGHEST  # it happened in a third


def test_too_few_sessions_are_said() -> None:
    label = np.arange(59) % 3
    said = np.tile([0.5, 0.3, 0.2], (59, 1))
    few = fit_temperature(answered(said, label, 1, 1, split="validation"))
    assert few.remark.endswith("fitted on 59 sessions, where figures at horizon 1 need 60")
    enough = fit_temperature(answered(said[:1].repeat(60, axis=0), np.arange(60) % 4 % 3, 1, 1, split="validation"))
    assert enough.remark == ""


def test_a_record_makes_the_temperature_again() -> None:
    one = Temperature("cnn", 2, 1.7, 500, 100)
    assert Temperature(**json.loads(json.dumps(one.record()))) == one


def test_the_card_reports_the_test_parts_before_and_after_each_fold_at_its_own() -> None:
    rng, frames = np.random.default_rng(0), []
    for fold, power in ((0, 2.0), (1, 4.0)):
        said, label = right_probabilities(rng, 300, 5, 2)
        start = str(np.busday_offset("2015-01-02", 150 * fold, roll="forward"))
        frames.append(tabulated(tempered(said, power), label, 2, 5, validation=150, fold=fold, start=start))
    table = pd.concat(frames)
    card = temperature_card(table)
    line, pairs = card.lines[0], fitting_parts(table, "cnn")
    fitted = [fit_temperature(known) for known, _ in pairs]
    assert list(line.temperatures) == fitted
    before = together([unseen for _, unseen in pairs])
    after = np.concatenate([one.apply(part.probabilities) for one, (_, part) in zip(fitted, pairs, strict=True)])
    right = before.right
    assert line.log_loss[0].value == pytest.approx(log_loss(before.label, before.probabilities), abs=1e-12)
    assert line.log_loss[1].value == pytest.approx(log_loss(before.label, after), abs=1e-12)
    assert line.brier_score[1].value == pytest.approx(brier_score(after, before.label), abs=1e-12)
    assert line.calibration_error[1] == pytest.approx(expected_error(after.max(axis=1), right), abs=1e-12)
    assert (line.word, line.rows, line.sessions) == ("beats", 600, 300)
    assert line.calibration_error[1] < line.calibration_error[0]
    assert "lowers the test log loss of cnn" in card.words()[0]
    assert json.loads(json.dumps(card.record(), allow_nan=False))["models"][0]["temperatures"][1]["fold"] == 1


def test_a_fold_without_validation_is_refused() -> None:
    said, label = right_probabilities(np.random.default_rng(0), 60, 1, 1)
    with pytest.raises(TrainingError, match="no row of split 'validation'"):
        temperature_card(tabulated(said, label, 1, 1))


def test_right_probabilities_are_said_to_gain_in_at_most_5_of_100_studies() -> None:
    """The true temperature is 1: a fitted one gains nothing, and is said to in half of the level."""
    rng, found = np.random.default_rng(0), []
    for _ in range(150):
        said, label = right_probabilities(rng, 300, 5, 1)
        found.append(temperature_card(tabulated(said, label, 1, 5, validation=150)).lines[0].word)
    assert np.mean([one == "beats" for one in found]) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 150)


def test_guesses_become_less_sure_and_gain() -> None:
    said, label = guesses(np.random.default_rng(0), 600, 5, 5)
    line = temperature_card(tabulated(said, label, 5, 5, validation=300)).lines[0]
    assert line.temperatures[0].temperature > 3
    assert line.word == "beats"
