"""What rules of abstention that were chosen on validation do on the test part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.evaluation.abstention import (
    COVERAGE,
    WISHED,
    ConfidenceThreshold,
    ConformalSets,
    fit_confidence_threshold,
    fit_conformal_sets,
)
from finnex.evaluation.interval import LEVEL, Estimate, Interval, mean_estimate
from finnex.evaluation.session_answers import TEST, SessionAnswers, fitting_parts, models_in, together
from finnex.evaluation.verdict import Word, verdicts

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AbstentionLine:
    """What a model's rules do on its test parts, each at the rule of its fold.

    Attributes
    ----------
    model
        Whose; its seeds are averaged.
    sets, thresholds
        The rule of each fold, in order of time.
    rows, sessions
        Test rows, and distinct decision dates among them.
    covered
        Share of rows whose set holds what happened.
    mean_size
        Classes in a set, on average.
    empty, single, full
        Shares of rows with no class, one class, all classes in the set.
    coverage_word
        Of `covered` less the stated coverage, over all models: `worse` where it is below.
    answered
        Share of rows that the threshold answers.
    right_answered
        Share of these answers that happened; None where none is answered.
    right
        Share of right answers in all rows.
    gain
        `right_answered` less the same of the rows that are not answered; None where all or none are.
    gain_word
        Of `gain`, over all models: `beats` where the answers that are given are the better ones.
    """

    model: str
    sets: tuple[ConformalSets, ...]
    thresholds: tuple[ConfidenceThreshold, ...]
    rows: int
    sessions: int
    covered: Interval
    mean_size: float
    empty: float
    single: float
    full: float
    coverage_word: Word
    answered: Interval
    right_answered: Interval | None
    right: Interval
    gain: Interval | None
    gain_word: Word

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is no value or bound.

        Returns
        -------
        dict
            The rules as lists of their records, and each figure with its bounds and reason.
        """
        figures = {
            "covered": self.covered,
            "answered": self.answered,
            "right_answered": self.right_answered,
            "right": self.right,
            "gain": self.gain,
        }
        return {
            "model": self.model,
            "sets": [one.record() for one in self.sets],
            "thresholds": [one.record() for one in self.thresholds],
            "rows": self.rows,
            "sessions": self.sessions,
            "mean_size": self.mean_size,
            "empty": self.empty,
            "single": self.single,
            "full": self.full,
            "coverage_verdict": self.coverage_word,
            "gain_verdict": self.gain_word,
            **{
                f"{name}{end}": value
                for name, one in figures.items()
                for end, value in (
                    ("", None if one is None else one.value),
                    ("_low", None if one is None else one.low),
                    ("_high", None if one is None else one.high),
                    ("_reason", "there is no such row" if one is None else one.reason),
                )
            },
        }

    def words(self) -> list[str]:
        """Say what the sets hold, and how the answers that are given compare.

        Returns
        -------
        list of str
            Two sentences.
        """
        name, stated = self.model.replace("_", " "), self.sets[0].coverage
        judged = {"worse": "less than stated", "beats": "more than stated", "open": "not clearly another share"}
        held = self.covered.words(".1%") + ("" if self.covered.reason else f", {judged[self.coverage_word]}")
        remarks = "".join(f" Fold {one.fold}: {one.remark}." for one in self.sets if one.remark)
        sets = (
            f"Sets of {name}, stated to hold the outcome in {stated:.1%}, held it in {held}; "
            f"{self.mean_size:.2f} classes on average, {self.empty:.1%} empty, "
            f"{self.single:.1%} single, {self.full:.1%} full.{remarks}"
        )
        wished = f"To answer {self.thresholds[0].wished:.1%} was wished; {name} answered {self.answered.words('.1%')}"
        if self.right_answered is None:
            return [sets, f"{wished}: it was never as sure as on validation."]
        if self.gain is None:
            return [sets, f"{wished}: it was right in {self.right_answered.words('.1%')}, and nothing is left out."]
        better = {"beats": "better", "worse": "worse", "open": "not clearly better"}[self.gain_word]
        return [
            sets,
            f"{wished}, right in {self.right_answered.words('.1%')}, {better} than where it was not (difference "
            f"{self.gain.words()}); in all rows {self.right.words('.1%')}.",
        ]


@dataclass(frozen=True)
class AbstentionCard:
    """What rules of abstention do for the models of a table.

    Attributes
    ----------
    lines
        The judged models first, then the baselines.
    """

    lines: tuple[AbstentionLine, ...]

    def record(self) -> dict[str, Any]:
        """Return plain values: `models`, a list of the lines' records."""
        return {"models": [one.record() for one in self.lines]}

    def words(self) -> list[str]:
        """Return the sentences of every model, and how far they hold.

        Returns
        -------
        list of str
            Sentences.
        """
        return [
            *(sentence for one in self.lines for sentence in one.words()),
            "The stated coverage holds for exchangeable rows. Those of a market are not: the measured one counts. "
            f"Words on coverage hold together at {LEVEL:.0%}, and so do those on answers.",
        ]


def abstention_card(predictions: pd.DataFrame, *, coverage: float = COVERAGE, wished: float = WISHED) -> AbstentionCard:
    """Choose sets and thresholds on each fold's validation part, and report what they do on its test part.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, label, p_sell, p_hold, p_buy, and fold and label_end
        where the table has them.
    coverage
        Stated share of sets that hold the outcome.
    wished
        Share of rows to answer.

    Returns
    -------
    AbstentionCard
        A line a model.

    Raises
    ------
    TrainingError
        A fold lacks a part, its validation part reaches into its test part, or a share is out of range.
    """
    covers: dict[str, Estimate] = {}
    gains: dict[str, Estimate] = {}
    makers: dict[str, Callable[[Word, Word], AbstentionLine]] = {}
    for name in models_in(predictions, TEST) or [""]:
        pairs = fitting_parts(predictions, name)
        sets = tuple(fit_conformal_sets(known, coverage) for known, _ in pairs)
        thresholds = tuple(fit_confidence_threshold(known, wished) for known, _ in pairs)
        unseen = together([part for _, part in pairs])
        inside = np.concatenate(
            [one.sets(part.probabilities) for one, (_, part) in zip(sets, pairs, strict=True)]
        )  # fmt: skip
        given = np.concatenate(
            [one.answered(part.probabilities) for one, (_, part) in zip(thresholds, pairs, strict=True)]
        )
        held = inside[np.arange(len(unseen)), unseen.label].astype(np.float64)
        covers[name] = mean_estimate(held - coverage, unseen.days, unseen.horizon)
        if given.any() and not given.all():
            gains[name] = answered_less_withheld(unseen, given)
        makers[name] = _maker(unseen, sets, thresholds, inside, held, given, gains.get(name))
    words, gain_words = verdicts(covers), verdicts(gains)
    return AbstentionCard(tuple(make(words[name], gain_words.get(name, "open")) for name, make in makers.items()))


def answered_less_withheld(answers: SessionAnswers, given: Flags) -> Estimate:
    """Return the accuracy of answers that are given less that of those that are withheld.

    Both may be of one session, and of neighbours. So the difference is that of two ratios of sums over sessions, whose
    linear part (the delta method) is a mean over all rows.

    Parameters
    ----------
    answers
        What was said and what happened.
    given
        (rows,) which of them are given; some are and some are not.

    Returns
    -------
    Estimate
        With a reason where there are too few sessions of the one or the other.
    """
    right, n = answers.right, len(answers)
    means = {which: float(right[given == which].mean()) for which in (True, False)}
    difference = means[True] - means[False]
    parts = [mean_estimate(right[one], answers.days[one], answers.horizon) for one in (given, ~given)]
    if reason := parts[0].reason or parts[1].reason:
        return Estimate(difference, (np.nan, 0.0, 0.0), 0, reason)
    weights = np.where(given, n / given.sum(), -n / (~given).sum())
    centre = np.where(given, means[True], means[False])
    found = mean_estimate(weights * (right - centre) + difference, answers.days, answers.horizon)
    # Where the one are of few sessions in a row, no more is known of the variance than they show.
    return replace(found, freedom=min(found.freedom, *(one.freedom for one in parts)))


def _maker(
    answers: SessionAnswers, sets: tuple[ConformalSets, ...], thresholds: tuple[ConfidenceThreshold, ...],
    inside: Flags, held: npt.NDArray[np.float64], given: Flags, gain: Estimate | None,
) -> Callable[[Word, Word], AbstentionLine]:  # fmt: skip
    def share(values: npt.NDArray[np.float64], days: npt.NDArray[np.datetime64]) -> Interval:
        return mean_estimate(values, days, answers.horizon, share=True).interval()

    size, days, right = inside.sum(axis=1), answers.days, answers.right

    def line(coverage_word: Word, gain_word: Word) -> AbstentionLine:
        return AbstentionLine(
            model=answers.model,
            sets=sets,
            thresholds=thresholds,
            rows=len(answers),
            sessions=answers.sessions,
            covered=share(held, days),
            mean_size=float(size.mean()),
            empty=float((size == 0).mean()),
            single=float((size == 1).mean()),
            full=float((size == inside.shape[1]).mean()),
            coverage_word=coverage_word,
            answered=share(given.astype(np.float64), days),
            right_answered=share(right[given], days[given]) if given.any() else None,
            right=share(right, days),
            gain=None if gain is None else gain.interval(),
            gain_word=gain_word,
        )

    return line
