"""Where a model is good: its scores by year, company and regime of the market, and which groups differ from the rest.

A group of companies is compared with the other companies on the same sessions, so that a day which was easy for all
does not count. A year or a regime has sessions of its own: its mean and that of the others have an interval each,
and their difference has Welch's degrees of freedom (1947; Satterthwaite 1946). With many groups one always looks best,
so that a word is said by Holm's step-down over all groups of all kinds. A difference of accuracy may be one of how
often the commonest class occurs: therefore the gap to the majority class, on the same rows, has words of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.interval import LEVEL, Estimate, Interval, mean_estimate
from finnex.evaluation.metrics import listed
from finnex.evaluation.regimes import UNKNOWN, regimes_of
from finnex.evaluation.scorecard import BASELINE_NAMES, MAJORITY, PROBABILITIES, ROW
from finnex.evaluation.session_answers import TEST, SessionAnswers, models_in, session_answers
from finnex.evaluation.verdict import Word, verdicts

Kind = Literal["year", "company", "regime"]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NO_REST = "no interval: there is no other group to compare it with"
PLURAL: Mapping[Kind, str] = {"year": "years", "company": "companies", "regime": "regimes"}


@dataclass(frozen=True)
class Group:
    """Scores of a group of rows.

    Attributes
    ----------
    kind, name
        What it is a group by, and which: a year of decision dates, a symbol, a regime of `finnex.evaluation.regimes`.
    rows, sessions
        Companies and sessions, and distinct decision dates.
    accuracy
        As the scorecard has it: the mean over rows of the share of the model's trainings that were right.
    gap
        Accuracy less the majority class', on the same rows; None without that baseline.
    difference
        Accuracy less that of the rest: of a company, of the other companies on its sessions; of a year or a regime, of
        the other years or known regimes.
    word
        Of `difference`, over all groups: `beats`, `worse` or `open`.
    gap_word
        Of `gap`, over all groups; `open` where there is none.
    """

    kind: Kind
    name: str
    rows: int
    sessions: int
    accuracy: Interval
    gap: Interval | None
    difference: Interval
    word: Word
    gap_word: Word

    def record(self) -> dict[str, Any]:
        """Return one flat dict of plain values; None where there is no value or bound.

        Returns
        -------
        dict
            Sizes, the three figures with bounds and reasons, the words.
        """
        figures = {"accuracy": self.accuracy, "gap": self.gap, "difference": self.difference}
        return {
            "kind": self.kind,
            "group": self.name,
            "rows": self.rows,
            "sessions": self.sessions,
            **{
                f"{name}{end}": value
                for name, one in figures.items()
                for end, value in (
                    ("", None if one is None or np.isnan(one.value) else one.value),
                    ("_low", None if one is None else one.low),
                    ("_high", None if one is None else one.high),
                    ("_reason", "there is no majority baseline" if one is None else one.reason),
                )
            },
            "verdict": self.word,
            "gap_verdict": self.gap_word,
        }


@dataclass(frozen=True)
class Breakdown:
    """A model's scores by groups.

    Attributes
    ----------
    model, split
        Which is judged, and on which part.
    groups
        By kind, then by name.
    """

    model: str
    split: str
    groups: tuple[Group, ...]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dict of plain values a group, for JSON and tables."""
        return [one.record() for one in self.groups]

    def record(self) -> dict[str, Any]:
        """Return plain values: `model`, `split` and `groups`, a list of the groups' records."""
        return {"model": self.model, "split": self.split, "groups": self.records()}

    def words(self) -> list[str]:
        """Say which groups differ from the rest, and in which the model beats the majority class.

        Returns
        -------
        list of str
            Sentences.
        """
        compared = [one for one in self.groups if not one.difference.reason]
        if not compared:
            return [f"No group of {self.model.replace('_', ' ')} can be compared with the rest: too few sessions."]
        kinds = listed([PLURAL[kind] for kind in PLURAL if any(one.kind == kind for one in compared)])
        said = [
            f"{self.model.replace('_', ' ')} is {word} than on the rest in {listed(found)}"
            for word, which in (("better", "beats"), ("worse", "worse"))
            if (found := [f"{one.kind} {one.name}" for one in compared if one.word == which])
        ]
        first = (
            "; ".join(said) or f"In no group is {self.model.replace('_', ' ')} clearly better or worse than on the rest"
        )
        sentences = [f"{first} (accuracy, {LEVEL:.0%} for {len(compared)} {kinds} together)."]
        if gaps := [one for one in self.groups if one.gap is not None and not one.gap.reason]:
            for words, which in (("beats", "beats"), ("is worse than", "worse")):
                found = [f"{one.kind} {one.name}" for one in gaps if one.gap_word == which]
                if found or which == "beats":
                    sentences.append(
                        f"It {words} the majority class in {listed(found) if found else 'no group'} "
                        f"({LEVEL:.0%} for {len(gaps)} groups together)."
                    )
        return [*sentences, "The interval of a group is its own: of twenty, one misses its truth by chance."]


def breakdown(
    predictions: pd.DataFrame, prices: SessionPrices | None = None, *, split: str = TEST, model: str | None = None
) -> Breakdown:
    """Score a model by year, company and, where bars are given, regime of the market.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, label, p_sell, p_hold, p_buy, and fold where there are
        several.
    prices
        Bars of the companies that make the market; without them there are no regimes.
    split
        The part to judge on.
    model
        Which model; by default the one that is no baseline.

    Returns
    -------
    Breakdown
        A row a group.

    Raises
    ------
    TrainingError
        The part is empty, its rows cannot be used, there are several models to judge and none is named, the majority
        baseline is not of the same sessions, or the prices have none of the decision dates.

    Examples
    --------
    >>> days = np.array(["2015-03-02", "2016-03-02"], dtype="datetime64[D]")
    >>> one = {"decision_date": days, "symbol": "NVDA", "split": "test", "horizon": 5, "label": [0, 2]}
    >>> said = {"p_sell": [0.6, 0.5], "p_hold": [0.2, 0.2], "p_buy": [0.2, 0.3], "model": "cnn"}
    >>> found = breakdown(pd.DataFrame({**one, **said}))
    >>> [(group.kind, group.name, group.accuracy.value) for group in found.groups]
    [('year', '2015', 1.0), ('year', '2016', 0.0), ('company', 'NVDA', 0.5)]
    >>> found.words()
    ['No group of cnn can be compared with the rest: too few sessions.']
    """
    name = _judged(predictions, split) if model is None else model
    answers = session_answers(predictions, model=name, split=split)
    right = _shares(predictions, name, split)
    gain = None
    if name != MAJORITY and MAJORITY in models_in(predictions, split):
        common = session_answers(predictions, model=MAJORITY, split=split)
        if not _same_rows(answers, common):
            raise TrainingError(
                f"'{MAJORITY}' has {len(common)} rows of split '{split}' and '{name}' has {len(answers)}, and they are "
                "not of the same sessions and labels. Predict both on one split."
            )
        gain = right - _shares(predictions, MAJORITY, split)
    found, differences, gaps = [], {}, {}
    for kind, labels in _kinds(answers, prices):
        for group in np.unique(labels).tolist():
            mine, key = labels == group, f"{kind} {group}"
            differences[key] = _difference(answers, right, mine, kind, labels)
            days = answers.days[mine]
            if gain is not None:
                gaps[key] = mean_estimate(gain[mine], days, answers.horizon)
            found.append(
                Group(
                    kind, group, int(mine.sum()), len(np.unique(days)),
                    mean_estimate(right[mine], days, answers.horizon, share=True).interval(),
                    gaps[key].interval() if key in gaps else None, differences[key].interval(), "open", "open",
                )
            )  # fmt: skip
    words, gap_words = verdicts(differences), verdicts(gaps)
    keys = list(differences)
    return Breakdown(
        name,
        split,
        tuple(
            replace(one, word=words[key], gap_word=gap_words.get(key, "open"))
            for key, one in zip(keys, found, strict=True)
        ),
    )


def _judged(predictions: pd.DataFrame, split: str) -> str:
    judged = [name for name in models_in(predictions, split) if name not in BASELINE_NAMES]
    if len(judged) != 1:
        raise TrainingError(
            f"split '{split}' of the predictions has {listed(judged) if judged else 'no model'} to judge. "
            "Name one with model=."
        )
    return judged[0]


def _shares(predictions: pd.DataFrame, model: str, split: str) -> Floats:
    """Return the share of a model's trainings that were right, (rows,), in the order of its answers."""
    part = predictions[(predictions["model"] == model) & (predictions["split"] == split)]
    part = part if "fold" in part.columns else part.assign(fold=0)
    right = part[PROBABILITIES].to_numpy().argmax(axis=1) == part["label"].to_numpy()
    return part.assign(right=right.astype(float)).groupby(["fold", *ROW], sort=True)["right"].mean().to_numpy()


def _same_rows(one: SessionAnswers, other: SessionAnswers) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("fold", "days", "symbols", "label")
    )


def _kinds(answers: SessionAnswers, prices: SessionPrices | None) -> Iterator[tuple[Kind, npt.NDArray[np.str_]]]:
    yield "year", answers.days.astype("datetime64[Y]").astype(np.str_)
    yield "company", answers.symbols
    if prices is not None:
        yield "regime", regimes_of(answers.days, prices)


def _difference(
    answers: SessionAnswers, right: Floats, mine: Flags, kind: Kind, labels: npt.NDArray[np.str_]
) -> Estimate:
    """Return the accuracy of a group less that of the rest."""
    rest = ~mine & (labels != UNKNOWN) if kind == "regime" else ~mine
    if not rest.any() or (kind == "regime" and (labels[mine] == UNKNOWN).any()):
        return Estimate(float("nan"), (np.nan, 0.0, 0.0), 0, NO_REST)
    if kind == "company":
        return on_the_same_sessions(answers, right, mine, rest)
    return of_other_sessions(answers, right, mine, rest)


def on_the_same_sessions(answers: SessionAnswers, values: Floats, mine: Flags, rest: Flags) -> Estimate:
    """Return the mean over common sessions of the mean of some rows less that of others.

    Parameters
    ----------
    answers
        Whose dates and horizon count.
    values
        (rows,) one number a row.
    mine, rest
        (rows,) which rows are compared.

    Returns
    -------
    Estimate
        With a reason where there are too few common sessions.
    """
    days, session = np.unique(answers.days, return_inverse=True)
    count = [np.bincount(session, weights=which, minlength=len(days)) for which in (mine, rest)]
    total = [np.bincount(session, weights=values * which, minlength=len(days)) for which in (mine, rest)]
    both = (count[0] > 0) & (count[1] > 0)
    if not both.any():
        return Estimate(float("nan"), (np.nan, 0.0, 0.0), 0, "no interval: it has no session in common with the rest")
    first, second = (one[both] / number[both] for one, number in zip(total, count, strict=True))
    return mean_estimate(first - second, days[both], answers.horizon)


def of_other_sessions(answers: SessionAnswers, values: Floats, mine: Flags, rest: Flags) -> Estimate:
    """Return the mean of some rows less that of rows of other sessions, with Welch's degrees of freedom.

    Parameters
    ----------
    answers
        Whose dates and horizon count.
    values
        (rows,) one number a row.
    mine, rest
        (rows,) which rows are compared; no session has rows of both. Where their sessions alternate, labels of
        neighbours overlap: then the difference varies less than is assumed.

    Returns
    -------
    Estimate
        With the reason of the one or the other where it has no interval.
    """
    first, second = (mean_estimate(values[which], answers.days[which], answers.horizon) for which in (mine, rest))
    value = first.value - second.value
    if reason := first.reason or (second.reason and f"{second.reason}, in the rest"):
        return Estimate(value, (np.nan, 0.0, 0.0), 0, reason)
    one, other = first.variance[0], second.variance[0]
    freedom = (one + other) ** 2 / (one**2 / first.freedom + other**2 / second.freedom)
    return Estimate(value, (one + other, 0.0, 0.0), max(1, int(freedom)))
