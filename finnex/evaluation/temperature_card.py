"""What temperatures that were fitted on validation change on the test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from finnex.evaluation.calibration import BINS, brier_by_row, expected_error
from finnex.evaluation.interval import LEVEL, Estimate, Interval, mean_estimate
from finnex.evaluation.session_answers import TEST, Floats, SessionAnswers, fitting_parts, models_in, together
from finnex.evaluation.temperature import Temperature, fit_temperature
from finnex.evaluation.verdict import Word, verdicts


@dataclass(frozen=True)
class TemperatureLine:
    """What temperatures change on the test part of a model.

    Attributes
    ----------
    model
        Whose; the test parts of all folds together, each at the temperature of its fold.
    temperatures
        Of each fold, in order of time.
    rows, sessions
        Test rows, and distinct decision dates among them.
    log_loss, brier_score
        Before and after.
    calibration_error
        Expected calibration error of the answers, before and after.
    gain
        Log loss before less after: above 0, the temperature is of use.
    word
        `beats` where it is, `worse` where it does harm, `open` where neither is clear, over all models together.
    """

    model: str
    temperatures: tuple[Temperature, ...]
    rows: int
    sessions: int
    log_loss: tuple[Interval, Interval]
    brier_score: tuple[Interval, Interval]
    calibration_error: tuple[float, float]
    gain: Interval
    word: Word

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is no bound.

        Returns
        -------
        dict
            The temperatures as a list of their records, scores before and after, the gain with its bounds, the word.
        """
        return {
            "model": self.model,
            "temperatures": [one.record() for one in self.temperatures],
            "rows": self.rows,
            "sessions": self.sessions,
            **{
                f"{name}_{when}{end}": value
                for name, pair in (("log_loss", self.log_loss), ("brier_score", self.brier_score))
                for when, one in zip(("before", "after"), pair, strict=True)
                for end, value in (("", one.value), ("_low", one.low), ("_high", one.high))
            },
            "calibration_error_before": self.calibration_error[0],
            "calibration_error_after": self.calibration_error[1],
            "gain": self.gain.value,
            "gain_low": self.gain.low,
            "gain_high": self.gain.high,
            "gain_reason": self.gain.reason,
            "verdict": self.word,
        }

    def words(self) -> str:
        """Say in one sentence what the temperatures change.

        Returns
        -------
        str
            One sentence.
        """
        named = ", ".join(f"{one.temperature:.2f}" for one in self.temperatures)
        effect = {"beats": "lowers", "worse": "raises", "open": "does not clearly change"}[self.word]
        (before, after), error = self.log_loss, self.calibration_error
        remarks = "".join(f" Fold {one.fold}: {one.remark}." for one in self.temperatures if one.remark)
        return (
            f"A temperature of {named}, fitted on validation, {effect} the test log loss of "
            f"{self.model.replace('_', ' ')}: {before.value:.3f} before, {after.value:.3f} after, gain "
            f"{self.gain.words()}; expected calibration error {error[0]:.3f} before, {error[1]:.3f} after.{remarks}"
        )


@dataclass(frozen=True)
class TemperatureCard:
    """What temperatures change for the models of a table.

    Attributes
    ----------
    lines
        The judged models first, then the baselines.
    """

    lines: tuple[TemperatureLine, ...]

    def record(self) -> dict[str, Any]:
        """Return plain values: `models`, a list of the lines' records."""
        return {"models": [one.record() for one in self.lines]}

    def words(self) -> list[str]:
        """Return a sentence a model, and how far they hold.

        Returns
        -------
        list of str
            Sentences.
        """
        return [*(one.words() for one in self.lines), f"Words on temperatures hold together at {LEVEL:.0%}."]


def temperature_card(predictions: pd.DataFrame, *, bins: int = BINS) -> TemperatureCard:
    """Fit a temperature on each fold's validation part, and report each model's test part before and after.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, label, p_sell, p_hold, p_buy, and fold and label_end
        where the table has them.
    bins
        Of the calibration error.

    Returns
    -------
    TemperatureCard
        A line a model.

    Raises
    ------
    TrainingError
        A fold lacks a part, or its validation part reaches into its test part.
    """
    parts: dict[str, tuple[SessionAnswers, SessionAnswers, tuple[Temperature, ...]]] = {}
    gains: dict[str, Estimate] = {}
    for name in models_in(predictions, TEST) or [""]:
        pairs = fitting_parts(predictions, name)
        fitted = tuple(fit_temperature(known) for known, _ in pairs)
        before = together([unseen for _, unseen in pairs])
        after = together(
            [
                unseen.saying(one.apply(unseen.probabilities))
                for one, (_, unseen) in zip(fitted, pairs, strict=True)
            ]
        )  # fmt: skip
        parts[name] = before, after, fitted
        gains[name] = mean_estimate(before.surprise - after.surprise, before.days, before.horizon)
    words = verdicts(gains)
    return TemperatureCard(tuple(_line(*part, gains[name], words[name], bins) for name, part in parts.items()))


def _line(
    before: SessionAnswers,
    after: SessionAnswers,
    fitted: tuple[Temperature, ...],
    gain: Estimate,
    word: Word,
    bins: int,
) -> TemperatureLine:
    days, horizon = before.days, before.horizon

    def scored(values: Floats) -> Interval:
        return mean_estimate(values, days, horizon).interval()

    return TemperatureLine(
        model=before.model,
        temperatures=fitted,
        rows=len(before),
        sessions=before.sessions,
        log_loss=(scored(before.surprise), scored(after.surprise)),
        brier_score=(
            scored(brier_by_row(before.probabilities, before.label)),
            scored(brier_by_row(after.probabilities, after.label)),
        ),
        calibration_error=(
            expected_error(before.confidence, before.right, bins=bins),
            expected_error(after.confidence, after.right, bins=bins),
        ),
        gain=gain.interval(),
        word=word,
    )
