"""What a series of returns proves of its Sharpe ratio, against the formulas and the project's interval."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import kurtosis, skew, t

from finnex.errors import TrainingError
from finnex.evaluation.interval import cosine_weights, cosines, least_sessions, ratio_estimate
from finnex.evaluation.sharpe_evidence import sharpe_evidence
from finnex.evaluation.sharpe_tests import deflated_sharpe, expected_maximum, probabilistic_sharpe
from finnex.evaluation.track_record import minimum_backtest_years

RETURNS = np.random.default_rng(0).normal(0.001, 0.01, 504)
RATIOS = [1.1, 0.3, -0.2, 0.7]
CONVENTIONS = pytest.mark.parametrize("convention", ["estimate", "reference"])


@CONVENTIONS
def test_the_independent_figures_are_the_formulas(convention: Any) -> None:
    found = sharpe_evidence(RETURNS, 5, RATIOS, convention=convention)
    ratio = RETURNS.mean() / RETURNS.std(ddof=1)
    moments = {"skew": skew(RETURNS), "kurtosis": kurtosis(RETURNS, fisher=False), "convention": convention}
    assert found.value == pytest.approx(ratio * math.sqrt(252), abs=1e-12)
    assert found.probabilistic_independent == pytest.approx(probabilistic_sharpe(ratio, 504, **moments), abs=1e-12)
    trials_variance = np.var(RATIOS, ddof=1) / 252
    deflated = deflated_sharpe(ratio, 504, trials=4, trials_variance=trials_variance, **moments)
    assert found.deflated_independent == pytest.approx(deflated, abs=1e-12)
    assert found.deflated_reference == pytest.approx(np.std(RATIOS, ddof=1) * expected_maximum(4), abs=1e-12)


def test_against_0_at_the_reference_it_is_the_test_of_the_interval() -> None:
    for horizon in (1, 5, 20):
        found = sharpe_evidence(RETURNS, horizon, convention="reference")
        assert found.probabilistic == pytest.approx(1 - ratio_estimate(RETURNS, horizon).p_above(), abs=1e-12)


@CONVENTIONS
def test_the_standard_error_is_the_long_run_variance_of_lo(convention: Any) -> None:
    """From the influence itself, against the best of four trials."""
    found = sharpe_evidence(RETURNS, 5, RATIOS, convention=convention)
    z = (RETURNS - RETURNS.mean()) / RETURNS.std(ddof=1)
    ratio, against = z_ratio(RETURNS), np.std(RATIOS, ddof=1) / math.sqrt(252) * expected_maximum(4)
    at, count = (against, 504) if convention == "reference" else (ratio, 503)
    weights = cosine_weights(z - at / 2 * (z**2 - np.mean(z**2)), 5)
    by_hand = t.cdf((ratio - against) * math.sqrt(count / np.mean(weights**2)), len(weights))
    assert found.deflated == pytest.approx(by_hand, abs=1e-9)


def z_ratio(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1))


def test_effective_sessions_are_those_of_independent_ones_with_this_error() -> None:
    """Of a moving sum of h shocks they are n / h, of independent returns n; by the mean of 200 variances."""
    rng, weight = np.random.default_rng(1), {1: [], 10: []}  # type: ignore[var-annotated]
    for h, found in weight.items():
        for _ in range(200):
            shocks = np.concatenate([[0.0], np.cumsum(rng.normal(size=1000 + h - 1))])
            known = sharpe_evidence(shocks[h:] - shocks[:-h], h).effective_sessions
            assert known is not None
            found.append(1 / known)
    assert 1 / np.mean(weight[1]) == pytest.approx(1000, rel=0.1)
    assert 1 / np.mean(weight[10]) == pytest.approx(100, rel=0.2)


@CONVENTIONS
@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_minimum_track_record_is_the_first_length_at_the_level(horizon: int, convention: Any) -> None:
    """By trying all lengths; and it is at most what there is exactly where the ratio is above 0 already."""
    met = set()
    for seed in range(5):
        returns = np.random.default_rng(seed).normal(0.0012, 0.01, 504)
        found = sharpe_evidence(returns, horizon, convention=convention)
        if found.value is None or found.value <= 0:
            continue
        estimate = ratio_estimate(returns, horizon)
        at = 0.0 if convention == "reference" else estimate.value
        one = 504 * (estimate.variance[0] + estimate.variance[1] * at + estimate.variance[2] * at**2)
        less = 1 if convention == "estimate" else 0
        lengths = np.arange(least_sessions(horizon), 40_000)
        freedom = [cosines(int(length), horizon) for length in lengths]
        level = t.cdf(estimate.value * np.sqrt((lengths - less) / one), freedom)
        length = int(lengths[np.argmax(level >= 0.95)])
        assert level.max() >= 0.95
        assert found.minimum_track_record == length
        assert found.probabilistic is not None
        met.add(found.probabilistic >= 0.95)
        assert (found.probabilistic >= 0.95) == (length <= 504)
    assert met == {True, False}


def test_a_minimum_backtest_counts_effective_sessions() -> None:
    found = sharpe_evidence(RETURNS, 5, RATIOS)
    assert found.value is not None
    assert found.effective_sessions is not None
    plain = minimum_backtest_years(4, found.value)
    assert found.minimum_backtest_years == pytest.approx(plain * 504 / found.effective_sessions, rel=1e-12)


def test_one_trial_is_deflated_by_nothing() -> None:
    for found in (sharpe_evidence(RETURNS, 5), sharpe_evidence(RETURNS, 5, [1.1]), sharpe_evidence(RETURNS, 5, [None])):
        assert found.trials == 1
        assert found.deflated == found.probabilistic
        assert found.deflated_reference == 0
        assert found.minimum_backtest_years is None
        assert found.reasons == {"minimum_backtest_years": "of one trial nothing was chosen"}
        assert "One trial: nothing was chosen, and the deflated Sharpe ratio is the probabilistic one." in found.words()


def test_numbers_of_numpy_are_taken() -> None:
    found = sharpe_evidence(RETURNS, np.int64(5), np.array(RATIOS).tolist(), trials=np.int64(9))  # type: ignore[arg-type]
    assert found == sharpe_evidence(RETURNS, 5, RATIOS, trials=9)
    assert json.loads(json.dumps(found.record())) == found.record()


def test_more_trials_and_more_different_ones_deflate_more() -> None:
    def deflated(*arguments: Any, **named: Any) -> float:
        found = sharpe_evidence(RETURNS, 5, *arguments, **named).deflated
        assert found is not None
        return found

    assert deflated(RATIOS, trials=50) < deflated(RATIOS) < deflated()
    assert deflated([2 * one for one in RATIOS]) < deflated(RATIOS)
    assert deflated([1.1, 1.1, 1.1, 1.1]) == deflated()


def test_trials_without_a_ratio_count_and_are_said() -> None:
    found = sharpe_evidence(RETURNS, 5, [*RATIOS, None, math.nan])
    assert (found.trials, found.trials_known) == (6, 4)
    assert found.deflated == sharpe_evidence(RETURNS, 5, RATIOS, trials=6).deflated
    assert "The ratios of 4 of 6 trials are known." in found.words()
    unknown = sharpe_evidence(RETURNS, 5, [1.1, None])
    assert unknown.deflated is unknown.deflated_reference is unknown.deflated_independent is None
    assert unknown.probabilistic is not None
    reason = "the ratios of 1 of 2 trials are known, at least two are needed"
    assert unknown.reasons == {"deflated": reason}
    assert f"No deflated Sharpe ratio: {reason}." in unknown.words()


@pytest.mark.parametrize(
    ("returns", "horizon", "reason"),
    [
        (RETURNS[:59], 1, "59 sessions, at least 60 are needed at horizon 1"),
        (RETURNS[:239], 20, "239 sessions, at least 240 are needed at horizon 20"),
        (np.where(np.arange(504) == 9, 0.1, 0.0), 1, "so few of 504 sessions make the difference that they count as 1"),
        (RETURNS[:1], 1, "one session"),
        (np.full(504, 0.001), 1, "the same return in all 504 sessions"),
        (np.zeros(504), 5, "the same return in all 504 sessions"),
    ],
)
def test_what_cannot_be_said_has_a_reason(returns: np.ndarray, horizon: int, reason: str) -> None:
    found = sharpe_evidence(returns, horizon, RATIOS)
    record = found.record()
    assert all(why.startswith(reason) for why in found.reasons.values())
    for name in ("probabilistic", "deflated", "minimum_track_record", "minimum_backtest_years"):
        assert name in found.reasons
        assert record[name] is None
    assert record["probabilistic_independent"] is record["deflated_independent"] is record["effective_sessions"] is None
    assert ("value" in found.reasons) == (found.value is None) == reason.startswith(("the same", "one"))
    assert reason in found.words()[-1]


def test_a_loss_has_no_track_record_that_is_long_enough() -> None:
    found = sharpe_evidence(-RETURNS, 5, RATIOS)
    assert found.minimum_track_record is found.minimum_backtest_years is None
    assert set(found.reasons.values()) == {"the ratio is not above 0"}
    assert found.words()[-1] == "No minimum track record and minimum backtest: the ratio is not above 0."


def test_the_record_is_plain_and_the_words_say_the_convention() -> None:
    found = sharpe_evidence(RETURNS, 5, RATIOS)
    assert json.loads(json.dumps(found.record())) == found.record()
    assert "Bailey and Lopez de Prado 2012 and 2014" in " ".join(found.words())
    newer = sharpe_evidence(RETURNS, 5, RATIOS, convention="reference")
    assert "Lopez de Prado, Lipton and Zoonekynd 2025" in " ".join(newer.words())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sharpe_evidence(RETURNS[:, None], 1), r"\(504, 1\) is not \(sessions,\)\. Give"),
        (lambda: sharpe_evidence(np.array([]), 1), r"\(0,\) is not"),
        (lambda: sharpe_evidence(np.array([0.1, np.nan]), 1), r"nan in session 1, counted from 0\. Leave"),
        (lambda: sharpe_evidence(RETURNS, 0), r"horizon: 0 .*\. Give"),
        (lambda: sharpe_evidence(RETURNS, 5, [1.0, math.inf]), r"trial_ratios: inf in place 1\. Give"),
        (lambda: sharpe_evidence(RETURNS, 5, RATIOS, trials=3), r"trials: 3 .* with 4 ratios\. Give"),
        (lambda: sharpe_evidence(RETURNS, 5, trials=0), r"trials: 0 .*\. Give"),
        (lambda: sharpe_evidence(RETURNS, 5, sessions_per_year=0), r"sessions_per_year: 0 .*\. Give"),
        (lambda: sharpe_evidence(RETURNS, 5, convention="2025"), r"convention: '2025' .*\. Give"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused_with_its_value_and_a_remedy(call: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        call()
