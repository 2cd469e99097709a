"""Whether models of a predictions table claim as much as they know, and what may be said of it.

Two tests a model: of the difference between mean probability of the answer and share of right answers, by the project's
interval, and of how much bins differ from that mean, against right probabilities. A word is said by Holm's step-down
over both tests of all models. That nothing is found shows no calibration: 'calibrated' needs an interval of the
difference within `MARGIN`, and an expected calibration error that chance explains, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from finnex.evaluation.calibration import (
    BINS,
    Bin,
    brier_by_row,
    class_curves,
    class_errors,
    reliability_curve,
)
from finnex.evaluation.calibration_by_chance import DRAWS, ErrorByChance, error_by_chance
from finnex.evaluation.interval import LEVEL, Estimate, Interval, mean_estimate
from finnex.evaluation.session_answers import SessionAnswers, models_in, session_answers
from finnex.evaluation.verdict import adjusted

MARGIN = 0.05
"""A difference of claim and share whose interval lies within this is as good as none."""
CalibrationWord = Literal["calibrated", "claims more", "claims less", "uneven", "open"]


@dataclass(frozen=True)
class CalibrationLine:
    """How a model's probabilities compare with what happened.

    Attributes
    ----------
    model
        Whose; its seeds are averaged.
    rows, sessions
        Companies and sessions, and distinct decision dates.
    brier_score
        Mean over rows of the sum over classes, in [0, 2].
    claimed
        Mean probability of the answers.
    right
        Share of the answers that happened.
    excess
        `claimed` less `right`: above 0, it claims more than it knows.
    by_chance
        Expected calibration error of the answers, and that of right probabilities.
    curve
        Of the answers.
    class_curves, class_errors
        Of each class' probability, by its name.
    word
        What may be said: `claims more` or `claims less`, by `excess`; `uneven`, by bins that differ and not by
        `excess`; `calibrated`, where neither is found, the interval of `excess` lies within `MARGIN`, and the error is
        one by chance; else `open`.
    """

    model: str
    rows: int
    sessions: int
    brier_score: Interval
    claimed: float
    right: Interval
    excess: Interval
    by_chance: ErrorByChance
    curve: tuple[Bin, ...]
    class_curves: Mapping[str, tuple[Bin, ...]]
    class_errors: Mapping[str, float]
    word: CalibrationWord

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is no bound.

        Returns
        -------
        dict
            Scores with bounds, the word, and the curves as lists of the records of their bins.
        """
        chance = self.by_chance
        return {
            "model": self.model,
            "rows": self.rows,
            "sessions": self.sessions,
            **_bounds("brier_score", self.brier_score),
            "claimed": self.claimed,
            **_bounds("right", self.right),
            **_bounds("excess", self.excess),
            "excess_reason": self.excess.reason,
            "calibration_error": chance.error,
            "calibration_error_by_chance": chance.mean,
            "calibration_error_by_chance_at_most": chance.most,
            "calibration_error_p_value": None if chance.reason else chance.p_value,
            "uneven_p_value": None if chance.reason else chance.uneven_p_value,
            "calibration_error_reason": chance.reason,
            "correlation_of_companies": chance.correlation,
            "draws": chance.draws,
            "class_calibration_errors": dict(self.class_errors),
            "verdict": self.word,
            "curve": [one.record() for one in self.curve],
            "class_curves": {name: [one.record() for one in curve] for name, curve in self.class_curves.items()},
        }

    def words(self) -> str:
        """Say in one sentence whether it claims as much as it knows.

        Returns
        -------
        str
            One sentence.
        """
        name, chance = self.model.replace("_", " "), self.by_chance
        sure = f"it is {self.claimed:.3f} sure on average and right in {self.right.value:.3f}"
        if self.excess.reason or chance.reason:
            return f"Whether {name} is calibrated cannot be said ({self.excess.reason or chance.reason}): {sure}."
        excess = f"a difference of {self.excess.words()}"
        error = (
            f"its expected calibration error is {chance.error:.3f}, where a calibrated model shows up to "
            f"{chance.most:.3f} by chance in {LEVEL:.0%} of cases"
        )
        return {
            "claims more": f"{name} claims more than it knows: {sure}, {excess}; {error}.",
            "claims less": f"{name} claims less than it knows: {sure}, {excess}; {error}.",
            "uneven": f"{name} is not calibrated, its bins differ from each other by more than chance explains: "
            f"{error}; {sure}, {excess}.",
            "calibrated": f"{name} is calibrated on average, to within {MARGIN}: {sure}, {excess}; {error}.",
            "open": f"Whether {name} is calibrated is open, on {self.sessions} sessions: {sure}, {excess}; {error}.",
        }[self.word]


@dataclass(frozen=True)
class CalibrationCard:
    """Calibration of the models of a part.

    Attributes
    ----------
    split
        The part.
    horizon
        Sessions that a label looks ahead.
    lines
        The judged models first, then the baselines.
    """

    split: str
    horizon: int
    lines: tuple[CalibrationLine, ...]

    def record(self) -> dict[str, Any]:
        """Return plain values.

        Returns
        -------
        dict
            `split`, `horizon`, `margin`, and `models`, a list of the lines' records.
        """
        return {
            "split": self.split,
            "horizon": self.horizon,
            "margin": MARGIN,
            "models": [one.record() for one in self.lines],
        }

    def words(self) -> list[str]:
        """Say of each model whether it is calibrated, and how 'by chance' is meant.

        Returns
        -------
        list of str
            Sentences.
        """
        said = [one.words() for one in self.lines]
        if any(not one.by_chance.reason for one in self.lines):
            said.append(
                f"Words on calibration hold together at {LEVEL:.0%}. By chance: labels drawn from a model's own "
                f"probabilities, overlapping over {self.horizon} sessions and correlated between companies as their "
                "errors are; errors of sessions further apart are taken as independent."
            )
        return said


def calibration_card(
    predictions: pd.DataFrame, *, split: str = "test", bins: int = BINS, draws: int = DRAWS, seed: int = 0
) -> CalibrationCard:
    """Say of every model of a predictions table whether it claims as much as it knows.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, label, p_sell, p_hold, p_buy, and fold where there are
        several.
    split
        The part to judge on.
    bins
        Of the curves and of the error, at most so many.
    draws
        Sets of labels by which the error by chance is simulated.
    seed
        Of the draws.

    Returns
    -------
    CalibrationCard
        A line a model.

    Raises
    ------
    TrainingError
        The part is empty, or its rows cannot be used.

    Examples
    --------
    >>> days = np.array(["2015-03-02", "2015-03-03"], dtype="datetime64[D]")
    >>> one = {"decision_date": days, "symbol": "NVDA", "split": "test", "horizon": 5, "label": [0, 2]}
    >>> said = {"p_sell": [0.6, 0.1], "p_hold": [0.2, 0.2], "p_buy": [0.2, 0.7], "model": "cnn"}
    >>> card = calibration_card(pd.DataFrame({**one, **said}))
    >>> round(card.lines[0].brier_score.value, 3), card.lines[0].word
    (0.19, 'open')
    >>> card.words()[0]
    'Whether cnn is calibrated cannot be said (no interval: 2 sessions, at least 60 are needed at horizon 5): it...
    """
    names = models_in(predictions, split) or [""]  # of an empty part `session_answers` says what is wrong
    answers = {name: session_answers(predictions, model=name, split=split) for name in names}
    excesses = {name: mean_estimate(one.confidence - one.right, one.days, one.horizon) for name, one in answers.items()}
    chances = {name: error_by_chance(one, bins=bins, draws=draws, seed=seed) for name, one in answers.items()}
    words = calibration_words(excesses, chances)
    return CalibrationCard(
        split,
        answers[names[0]].horizon,
        tuple(_line(one, excesses[name], chances[name], words[name], bins) for name, one in answers.items()),
    )


def calibration_words(
    excesses: Mapping[str, Estimate], chances: Mapping[str, ErrorByChance], level: float = 1 - LEVEL
) -> dict[str, CalibrationWord]:
    """Return the word for each model, so that the chance of any wrong one is at most `level` for all together.

    Parameters
    ----------
    excesses
        By model, what it claims less what it knows.
    chances
        By model, its calibration error and that by chance.
    level
        Chance of finding any model miscalibrated although all are right.

    Returns
    -------
    dict
        By model.
    """
    tests = {f"excess {name}": 2 * min(one.p_above(), one.p_below()) for name, one in excesses.items()}
    tests |= {f"bins {name}": one.uneven_p_value for name, one in chances.items()}
    found = {name for name, p_value in adjusted(tests).items() if p_value <= level}
    words: dict[str, CalibrationWord] = {}
    for name, excess in excesses.items():
        interval, chance = excess.interval(), chances[name]
        if excess.reason or chance.reason:
            words[name] = "open"
        elif f"excess {name}" in found:
            words[name] = "claims more" if excess.value > 0 else "claims less"
        elif f"bins {name}" in found:
            words[name] = "uneven"
        elif interval.low is None or interval.high is None or max(-interval.low, interval.high) > MARGIN:
            words[name] = "open"
        else:
            words[name] = "calibrated" if chance.p_value > level else "open"
    return words


def _line(
    answers: SessionAnswers, excess: Estimate, chance: ErrorByChance, word: CalibrationWord, bins: int
) -> CalibrationLine:
    days, horizon, right = answers.days, answers.horizon, answers.right
    brier = brier_by_row(answers.probabilities, answers.label)
    return CalibrationLine(
        model=answers.model,
        rows=len(answers),
        sessions=answers.sessions,
        brier_score=mean_estimate(brier, days, horizon).interval(),
        claimed=float(np.mean(answers.confidence)),
        right=mean_estimate(right, days, horizon, share=True).interval(),
        excess=excess.interval(),
        by_chance=chance,
        curve=reliability_curve(answers.confidence, right, days, horizon, bins=bins),
        class_curves=class_curves(answers, bins),
        class_errors=class_errors(answers, bins),
        word=word,
    )


def _bounds(name: str, one: Interval) -> dict[str, Any]:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
