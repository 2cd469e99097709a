"""Probability of backtest overfitting: cases with a known answer, a clerk's recomputation, and noise."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from scipy.stats import linregress, rankdata

from finnex.errors import TrainingError
from finnex.evaluation import symmetric_splits
from finnex.evaluation.overfitting import Floats, probability_of_overfitting


def noise(seed: int, sessions: int = 480, trials: int = 20) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.01, (sessions, trials))


def clerk(returns: Floats, blocks: int, embargo: int = 0) -> tuple[list[float], list[float], list[float]]:
    """Return chosen ratio, ratio after, and logit of each split, from the sessions of each split anew."""
    size = len(returns) // blocks
    cut = np.split(returns[len(returns) - blocks * size :], blocks)
    chosen, after, logits = [], [], []
    for half in combinations(range(blocks), blocks // 2):
        here = np.concatenate([cut[block][embargo:] for block in half])
        there = np.concatenate([cut[block][embargo:] for block in range(blocks) if block not in half])
        first, second = (part.mean(axis=0) / part.std(axis=0, ddof=1) for part in (here, there))
        best = int(first.argmax())
        share = rankdata(second)[best] / (returns.shape[1] + 1)
        chosen.append(float(first[best]))
        after.append(float(second[best]))
        logits.append(float(np.log(share / (1 - share))))
    return chosen, after, logits


@pytest.mark.parametrize(
    ("sessions", "trials", "blocks", "embargo"), [(487, 7, 8, 0), (300, 12, 6, 4), (240, 2, 10, 0)]
)
def test_every_split_agrees_with_a_recomputation_from_its_sessions(
    sessions: int, trials: int, blocks: int, embargo: int
) -> None:
    returns = noise(1, sessions, trials) + np.linspace(0, 0.002, trials)
    found = probability_of_overfitting(returns, blocks=blocks, embargo_sessions=embargo)
    chosen, after, logits = clerk(returns, blocks, embargo)
    np.testing.assert_allclose(found.logits, logits, atol=1e-9)
    below, median = np.mean(np.array(logits) < -1e-12), np.mean(np.abs(logits) <= 1e-12)
    assert found.value == pytest.approx(below + median / 2, abs=1e-12)
    assert found.slope == pytest.approx(linregress(chosen, after).slope, abs=1e-9)
    assert found.loss_share == pytest.approx(np.mean(np.array(after) < 0), abs=1e-12)
    assert found.splits == comb(blocks, blocks // 2) == len(logits)


def test_the_chunks_of_splits_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = probability_of_overfitting(noise(2), blocks=8)
    monkeypatch.setattr(symmetric_splits, "AT_A_TIME", 60)
    np.testing.assert_allclose(probability_of_overfitting(noise(2), blocks=8).logits, whole.logits)


@pytest.mark.parametrize("trials", [20, 45])
def test_centred_columns_are_overfitted_in_every_split(trials: int) -> None:
    """What a trial has more in one half, it has less in the other; of very few trials, volatility may reorder some."""
    returns = noise(3, trials=trials)
    found = probability_of_overfitting(returns - returns.mean(axis=0))
    assert found.value == 1.0
    assert found.splits == 12_870
    assert found.slope is not None
    assert found.slope < 0


def test_a_dominant_column_is_never_overfitted() -> None:
    returns = noise(4)
    returns[:, 13] += 0.01
    found = probability_of_overfitting(returns)
    assert (found.value, found.loss_share) == (0.0, 0.0)
    assert set(found.logits) == {np.log(20)}


@pytest.mark.parametrize("trials", [2, 3, 9, 50])
def test_noise_is_about_one_half_on_average(trials: int) -> None:
    values = np.array([probability_of_overfitting(noise(seed, 160, trials), blocks=8).value for seed in range(200)])
    assert abs(values.mean() - 0.5) <= 3 * values.std() / np.sqrt(len(values))


def test_one_table_of_noise_may_be_far_from_one_half() -> None:
    """So there is no interval and no verdict: the module's docstring has these bounds."""
    found = np.array([probability_of_overfitting(noise(seed, trials=5)).value for seed in range(100)])
    assert np.mean((found < 0.15) | (found > 0.8)) >= 0.1 - 3 * np.sqrt(0.1 * 0.9 / 100)
    assert found.std() > 0.2


def test_noise_of_overlapping_rows_needs_the_embargo() -> None:
    """Rows of h sessions share sessions over the border of two blocks, so that chance seems to last."""
    h, values = 20, []
    for seed in range(300):
        drive = np.random.default_rng(seed).normal(size=(320 + h - 1, 10))
        total = np.cumsum(np.vstack([np.zeros((1, 10)), drive]), axis=0)
        rows = total[h:] - total[:-h]
        values.append([probability_of_overfitting(rows, blocks=8, embargo_sessions=n).value for n in (0, h - 1)])
    (without, kept), error = np.mean(values, axis=0), np.std(values, axis=0).max() / np.sqrt(300)
    assert abs(kept - 0.5) <= 3 * error
    assert without < 0.5 - 3 * error


def test_sessions_that_fill_no_block_are_left_out_at_the_beginning_and_said() -> None:
    returns = noise(5, 487)
    found = probability_of_overfitting(returns)
    assert (found.first_left_out, found.sessions) == (7, 480)
    np.testing.assert_array_equal(found.logits, probability_of_overfitting(returns[7:]).logits)
    assert "Left out so that 16 blocks are equal: the first 7 sessions." in found.words()
    assert len(probability_of_overfitting(returns[7:]).words()) == 1


def test_trials_that_never_vary_are_left_out_and_said() -> None:
    returns = np.column_stack([noise(6, trials=5), np.zeros(480), np.full(480, 0.003)])
    found = probability_of_overfitting(returns)
    assert (found.trials, found.constant_trials) == (5, 2)
    np.testing.assert_array_equal(found.logits, probability_of_overfitting(returns[:, :5]).logits)
    assert found.words()[-1] == "Left out because they never vary: 2 trials."


def test_a_trial_that_does_not_trade_in_a_half_neither_gains_nor_loses_there() -> None:
    """It trades in the first half of the sessions alone, and gains; the others lose in every half."""
    returns = noise(7, 480, 3) - 0.01
    returns[:240, 0] = np.abs(returns[:240, 0])
    returns[240:, 0] = 0.0
    found = probability_of_overfitting(returns, blocks=2)
    # Of the first half it is chosen, and is the best, at 0, in the second; of the second it is chosen too.
    assert found.value == 0.0
    assert found.loss_share == 0.0
    lost = returns.copy()
    lost[240:, 0] = -0.02  # does not vary, and loses: it is the last there
    lost[:, 1] += 0.004  # the best of the second half, and the second of the first
    assert probability_of_overfitting(lost, blocks=2).logits.tolist() == pytest.approx([-np.log(3), 0.0])


def test_equal_trials_share_their_ranks() -> None:
    one = noise(8, 480, 1)
    found = probability_of_overfitting(np.repeat(one, 4, axis=1))
    assert found.value == 0.5
    assert set(found.logits) == {0.0}


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        (noise(9, 480, 1), "1 of 1 trials vary"),
        (np.zeros((480, 5)), "0 of 5 trials vary"),
        (noise(9, 100, 5), "a half of the 100 sessions has 48 of use, at least 60 are needed"),
        (noise(9, 10, 5), "has 0 of use"),
    ],
)
def test_what_cannot_be_said_has_a_reason(returns: Floats, words: str) -> None:
    found = probability_of_overfitting(returns)
    assert found.value is found.slope is found.loss_share is None
    assert words in found.reason
    assert found.words() == [f"No probability of backtest overfitting: {found.reason}."]
    assert found.record()["reason"] == found.reason
    assert found.record()["value"] is None


def test_an_embargo_counts_against_the_sessions_of_a_half() -> None:
    assert probability_of_overfitting(noise(9, 160, 5), embargo_sessions=2).value is not None
    assert "has 56 of use" in probability_of_overfitting(noise(9, 160, 5), embargo_sessions=3).reason
    assert "has 0 of use" in probability_of_overfitting(noise(9, 160, 5), embargo_sessions=30).reason


def test_the_record_holds_plain_values() -> None:
    record = probability_of_overfitting(noise(10)).record()
    assert "logits" not in record
    assert {type(value) for value in record.values()} <= {int, float, str}


def _with(value: float) -> Floats:
    returns = noise(11)
    returns[3, 2] = value
    return returns


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: probability_of_overfitting(noise(0)[:, 0]), r"\(480,\) is not \(sessions, trials\)\. Give"),
        (lambda: probability_of_overfitting(np.empty((0, 3))), r"\(0, 3\) is not"),
        (lambda: probability_of_overfitting(_with(np.nan)), r"nan in session 3, trial 2, counted from 0\. Give"),
        (lambda: probability_of_overfitting(_with(-np.inf)), r"-inf in session 3, trial 2"),
        (lambda: probability_of_overfitting(noise(0), blocks=7), r"blocks: 7 .*\. Give an even number, 2 to 20"),
        (lambda: probability_of_overfitting(noise(0), blocks=0), "blocks: 0"),
        (lambda: probability_of_overfitting(noise(0), blocks=22), "blocks: 22"),
        (lambda: probability_of_overfitting(noise(0), embargo_sessions=-1), r"embargo_sessions: -1 .*\. Give 0"),
    ],
)
def test_bad_input_is_refused_with_its_value_and_a_remedy(call: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        call()
