"""Formulas on how much a Sharpe ratio can be believed: the papers' values, exact integrals, and bad input."""

from __future__ import annotations

import doctest
import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from finnex.errors import TrainingError
from finnex.evaluation.sharpe_tests import deflated_reference, deflated_sharpe, expected_maximum, probabilistic_sharpe
from finnex.evaluation.track_record import minimum_backtest_years, minimum_track_record

HEDGE_FUND: dict[str, Any] = {"skew": -2.448, "kurtosis": 10.164}
"""Of the monthly returns of the example in the papers of 2012 and 2025."""
TRIALS: dict[str, Any] = {"trials_variance": 0.5 / 250}
"""Of the example in the paper of 2014, per session."""
RATIO_2014 = 2.5 / math.sqrt(250)


def test_the_expected_maximum_is_the_papers() -> None:
    assert expected_maximum(100) == pytest.approx(2.5306028932016846, abs=1e-9)
    by_hand = (1 - np.euler_gamma) * norm.ppf(1 - 1 / 45) + np.euler_gamma * norm.ppf(1 - 1 / (45 * math.e))
    assert expected_maximum(45) == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("trials", [1, 2, 3, 4, 5, 10, 100, 1000, 100_000])
def test_the_expected_maximum_is_as_near_the_exact_one_as_its_docstring_says(trials: int) -> None:
    exact = quad(lambda x: x * trials * norm.pdf(x) * norm.cdf(x) ** (trials - 1), -12, 12, limit=200)[0]
    low, high = (0.0, 0.0) if trials == 1 else (-0.0445, -0.0435) if trials == 2 else (0.0, 0.036)
    assert low - 1e-9 <= expected_maximum(trials) - exact <= high + 1e-9


def test_the_deflated_sharpe_ratio_is_the_papers_of_2014() -> None:
    fat = deflated_sharpe(RATIO_2014, 1250, trials=100, skew=-3, kurtosis=10, **TRIALS)
    assert fat == pytest.approx(0.9003968344493904, abs=1e-9)
    assert deflated_sharpe(RATIO_2014, 1250, trials=46, skew=-3, kurtosis=10, **TRIALS) == pytest.approx(
        0.9505017, abs=5e-8
    )
    assert deflated_sharpe(RATIO_2014, 1250, trials=88, **TRIALS) == pytest.approx(0.9504908, abs=5e-8)


def test_the_probabilistic_sharpe_ratio_is_the_papers_of_2012_and_2025() -> None:
    old = probabilistic_sharpe(1.585 / math.sqrt(12), 24, **HEDGE_FUND)
    assert old == pytest.approx(0.9132343068848602, abs=1e-9)
    new = {**HEDGE_FUND, "convention": "reference"}
    assert probabilistic_sharpe(0.036 / 0.079, 24, **new) == pytest.approx(0.9872, abs=5e-5)
    assert probabilistic_sharpe(0.036 / 0.079, 24, reference=0.1, **new) == pytest.approx(0.939, abs=5e-4)


def test_the_conventions_by_hand_against_a_reference() -> None:
    """The default has the variance at the estimate, and sessions less 1."""

    def variance(at: float) -> float:
        return 1 - HEDGE_FUND["skew"] * at + (HEDGE_FUND["kurtosis"] - 1) / 4 * at**2

    by_hand = norm.cdf((0.4 - 0.1) / math.sqrt(variance(0.4) / 23))
    assert probabilistic_sharpe(0.4, 24, reference=0.1, **HEDGE_FUND) == pytest.approx(by_hand, abs=1e-12)
    newer = norm.cdf((0.4 - 0.1) / math.sqrt(variance(0.1) / 24))
    found = probabilistic_sharpe(0.4, 24, reference=0.1, convention="reference", **HEDGE_FUND)
    assert found == pytest.approx(newer, abs=1e-12)


def test_the_deflated_ratio_is_the_probabilistic_one_against_the_best_without_skill() -> None:
    against = deflated_reference(10, 0.004)
    assert against == pytest.approx(math.sqrt(0.004) * expected_maximum(10), abs=1e-15)
    assert deflated_sharpe(0.2, 500, trials=10, trials_variance=0.004) == probabilistic_sharpe(
        0.2, 500, reference=against
    )
    assert deflated_sharpe(0.2, 500, trials=1, trials_variance=0.004) == probabilistic_sharpe(0.2, 500)


@pytest.mark.parametrize("convention", ["reference", "estimate"])
@pytest.mark.parametrize("reference", [0.0, 0.05])
def test_a_minimum_track_record_has_the_level_exactly(convention: Any, reference: float) -> None:
    about = {**HEDGE_FUND, "convention": convention, "reference": reference}
    sessions = minimum_track_record(0.2, **about)
    assert probabilistic_sharpe(0.2, sessions, **about) == pytest.approx(0.95, abs=1e-9)
    assert probabilistic_sharpe(0.2, minimum_track_record(0.2, level=0.99, **about), **about) == pytest.approx(0.99)


def test_a_minimum_track_record_is_the_papers_of_2025_and_infinite_without_a_gain() -> None:
    new = minimum_track_record(0.036 / 0.079, convention="reference", **HEDGE_FUND)
    assert new == pytest.approx(13.029, abs=5e-4)
    assert minimum_track_record(0.1, reference=0.1) == math.inf
    assert minimum_track_record(-0.1) == math.inf


def test_the_minimum_backtest_length_is_the_papers() -> None:
    assert minimum_backtest_years(45, 1.0) == pytest.approx(4.9980870, abs=5e-8)
    assert minimum_backtest_years(45, 2.0) == pytest.approx(minimum_backtest_years(45, 1.0) / 4, abs=1e-12)
    assert minimum_backtest_years(1, 1.0) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: expected_maximum(0), "trials: 0 .* Give a whole number"),
        (lambda: expected_maximum(2.5), "trials: 2.5"),
        (lambda: deflated_reference(3, -1.0), "trials_variance: -1.0"),
        (lambda: deflated_reference(3, math.nan), "trials_variance: nan"),
        (lambda: probabilistic_sharpe(0.1, 1), "sessions: 1 are too few"),
        (lambda: probabilistic_sharpe(0.1, math.nan), "sessions: nan"),
        (lambda: probabilistic_sharpe(math.nan, 100), "ratio: nan is not finite"),
        (lambda: probabilistic_sharpe(0.1, 100, skew=math.inf), "skew: inf"),
        (lambda: probabilistic_sharpe(0.1, 100, kurtosis=0.0), "kurtosis: 0.0 .* not the excess"),
        (lambda: probabilistic_sharpe(0.1, 100, skew=-3, kurtosis=7), "kurtosis: 7 .* at least 1"),
        (lambda: probabilistic_sharpe(1.0, 100, skew=2, kurtosis=5), "no standard error"),
        (lambda: probabilistic_sharpe(0.1, 100, convention="2012"), "convention: '2012'"),  # type: ignore[arg-type]
        (lambda: minimum_track_record(0.1, level=1.0), "level: 1.0"),
        (lambda: minimum_track_record(math.nan), "ratio: nan"),
        (lambda: minimum_backtest_years(3, 0.0), "ratio_a_year: 0.0"),
        (lambda: minimum_backtest_years(0, 1.0), "trials: 0"),
    ],
)
def test_bad_input_is_refused_with_its_value_and_a_remedy(call: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=words) as raised:
        call()
    assert any(remedy in str(raised.value) for remedy in (". Give ", ". Leave "))


@pytest.mark.parametrize("module", ["overfitting", "sharpe_evidence", "sharpe_tests", "track_record"])
def test_the_examples_run(module: str) -> None:
    found = doctest.testmod(import_module(f"finnex.evaluation.{module}"), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
