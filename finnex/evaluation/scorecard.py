"""The scorecard: a model and its baselines on exactly the same sessions, derived from the predictions table alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.errors import TrainingError
from finnex.evaluation.interval import Estimate, Interval, mean_estimate
from finnex.evaluation.metrics import ClassificationScores, averaged_classes, classification_scores, listed
from finnex.evaluation.verdict import Word, verdicts

PROBABILITIES = ["p_sell", "p_hold", "p_buy"]
CLASS_NAMES = [name.removeprefix("p_") for name in PROBABILITIES]
ROW = ["symbol", "decision_date"]
MAJORITY = "majority"
SIMPLE_BASELINES = (
    MAJORITY, "persistence", "logistic_regression", "logistic_regression_lags", "boosted_trees", "boosted_trees_lags",
)  # fmt: skip
BASELINE_NAMES = (*SIMPLE_BASELINES, "price_only", "sentiment_only", "candlestick", "chart")
"""Every other model of a predictions table is the one that is judged."""


@dataclass(frozen=True)
class ModelScore:
    """One line of the scorecard: scores, and the intervals of accuracy and log loss."""

    model: str
    accuracy: Interval
    log_loss: Interval
    scores: ClassificationScores


@dataclass(frozen=True)
class Scorecard:
    """Who is right how often, and by how much more than whom.

    Attributes
    ----------
    model
        The model that is judged; the other lines are what it must beat.
    rows, sessions
        Predictions per model, and distinct dates among them. Sessions, not rows, measure how much was seen.
    lines
        The model first, then its baselines.
    gaps
        Accuracy of the model minus that of each baseline, on the same rows, each with an interval of its own.
    words
        What may be said of each gap, by a step-down over all of them; a gap whose own interval excludes 0 may be open.
    split
        The part that is judged on.
    first, last
        First and last decision date.

    Examples
    --------
    >>> days = np.array(["2015-03-02", "2015-03-03"], dtype="datetime64[D]")
    >>> one = {"decision_date": days, "symbol": "NVDA", "split": "test", "horizon": 5, "label": [0, 2]}
    >>> said = {"p_sell": [0.6, 0.1], "p_hold": [0.2, 0.2], "p_buy": [0.2, 0.7]}
    >>> model = pd.DataFrame({**one, **said, "model": "cnn"})
    >>> majority = pd.DataFrame({**one, "p_sell": 0.2, "p_hold": 0.5, "p_buy": 0.3, "model": "majority"})
    >>> card = scorecard(pd.concat([model, majority]))
    >>> [(line["model"], line["accuracy"]) for line in card.records()]
    [('cnn', 1.0), ('majority', 0.0)]
    >>> card.averaged()
    'Balanced accuracy, precision, recall and F1 are means over sell and buy; no session is labelled hold.'
    >>> card.verdict()
    'On 2 unseen sessions nothing can be said of cnn and its baselines (no interval: 2 sessions, at least 60...
    """

    model: str
    split: str
    rows: int
    sessions: int
    first: np.datetime64
    last: np.datetime64
    lines: tuple[ModelScore, ...]
    gaps: Mapping[str, Interval]
    words: Mapping[str, Word]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dict of plain values per line, for JSON, tables and trackers.

        Returns
        -------
        list[dict[str, Any]]
            The scores, the interval of accuracy and log loss (None where there is none), and of a baseline the gap to
            it.
        """
        return [
            {
                "model": line.model,
                "rows": self.rows,
                "sessions": self.sessions,
                **{key: value for key, value in asdict(line.scores).items() if key not in ("n", "classes")},
                "macro_classes": ", ".join(CLASS_NAMES[number] for number in line.scores.classes),
                "accuracy_low": line.accuracy.low,
                "accuracy_high": line.accuracy.high,
                "log_loss_low": line.log_loss.low,
                "log_loss_high": line.log_loss.high,
                **(
                    {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high, "verdict": self.words[line.model]}
                    if (gap := self.gaps.get(line.model)) is not None
                    else {}
                ),
            }
            for line in self.lines
        ]

    def averaged(self) -> str:
        """Say which classes balanced accuracy, precision, recall and F1 of every line average.

        Returns
        -------
        str
            One sentence.
        """
        return averaged_classes(self.lines[0].scores.classes, CLASS_NAMES)

    def verdict(self) -> str:
        """Say in one sentence whether the model beats its baselines.

        Returns
        -------
        str
            One sentence; it says why where nothing can be said.
        """
        reasons = {gap.reason for gap in self.gaps.values()}
        where, model = f"On {self.sessions} unseen sessions", self.model.replace("_", " ")
        if self.gaps and len(reasons) == 1 and "" not in reasons:
            return f"{where} nothing can be said of {model} and its baselines ({reasons.pop()})."
        said = [
            f"{words} {listed([name.replace('_', ' ') for name, found in self.words.items() if found == word])}"
            for word, words in (
                ("beats", "beats"),
                ("worse", "is worse than"),
                ("open", "is not clearly different from"),
            )
            if word in self.words.values()
        ]
        return f"{where} {model} {', '.join(said)} (accuracy, 95 % for all of them together)."


def _by_session(table: pd.DataFrame) -> pd.DataFrame:
    from finnex.training.answers import surprise  # noqa: PLC0415 - torch, which reading scores needs none of

    said, label = table[PROBABILITIES].to_numpy(), table["label"].to_numpy()
    right = (said.argmax(axis=1) == label).astype(float)
    together = table[[*ROW, "label"]].assign(right=right, surprise=surprise(said, label)).groupby(ROW)
    return together.agg({"right": "mean", "surprise": "mean", "label": "first"})


def gaps_of(
    right: Mapping[str, npt.NDArray[np.float64]], dates: npt.NDArray[np.datetime64], horizon: int
) -> dict[str, Estimate]:
    """Return the accuracy of the first model less that of every other one.

    Parameters
    ----------
    right
        By model, (rows,), the share of its trainings that were right.
    dates
        (rows,) decision dates.
    """
    first, *others = right
    return {name: mean_estimate(right[first] - right[name], dates, horizon) for name in others}


def scorecard(predictions: pd.DataFrame, *, split: str = "test") -> Scorecard:
    """Derive the scorecard from a predictions table.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy, label; one model besides
        the baselines. A model of several seeds has several rows a session, which count as one.
    split
        The part to judge on.

    Returns
    -------
    Scorecard
        A line for the model and for each baseline, and the gaps between them.

    Raises
    ------
    TrainingError
        The part is empty, or the models were not asked about the same sessions.

    Examples
    --------
    >>> days = np.array(["2015-03-02", "2015-03-03"], dtype="datetime64[D]")
    >>> one = {"decision_date": days, "symbol": "NVDA", "split": "test", "horizon": 5, "label": [0, 2]}
    >>> said = {"p_sell": [0.6, 0.1], "p_hold": [0.2, 0.2], "p_buy": [0.2, 0.7]}
    >>> scorecard(pd.DataFrame({**one, **said, "model": "cnn"})).lines[0].accuracy.value
    1.0
    """
    part = predictions[predictions["split"] == split]
    names = list(dict.fromkeys(part["model"]))
    judged = [name for name in names if name not in BASELINE_NAMES]
    if len(judged) != 1:
        raise TrainingError(f"a scorecard judges one model; split '{split}' of the predictions has {judged or 'none'}.")
    order = judged + [name for name in BASELINE_NAMES if name in names]
    tables = {name: part[part["model"] == name].sort_values(ROW, kind="stable") for name in order}
    # By session: the share of a model's trainings that were right. A session seen by five seeds is one session.
    right = {name: _by_session(table) for name, table in tables.items()}
    reference = right[judged[0]]
    for name, answers in right.items():
        if not answers["label"].equals(reference["label"]):
            raise TrainingError(
                f"'{name}' has {len(answers)} predictions for split '{split}', '{judged[0]}' has {len(reference)}, "
                "and they are not of the same sessions. Predict all of them on one split."
            )
    dates = reference.index.get_level_values("decision_date").to_numpy().astype("datetime64[D]")
    horizon = int(part["horizon"].iloc[0])

    def share(answers: pd.DataFrame) -> Interval:
        return mean_estimate(answers["right"].to_numpy(), dates, horizon, share=True).interval()

    gaps = gaps_of({name: answers["right"].to_numpy() for name, answers in right.items()}, dates, horizon)
    return Scorecard(
        model=judged[0],
        split=split,
        rows=len(reference),
        sessions=len(np.unique(dates)),
        first=dates.min(),
        last=dates.max(),
        lines=tuple(
            ModelScore(
                name,
                share(right[name]),
                mean_estimate(right[name]["surprise"].to_numpy(), dates, horizon).interval(),
                classification_scores(table["label"].to_numpy(), table[PROBABILITIES].to_numpy()),
            )
            for name, table in tables.items()
        ),
        gaps={name: gap.interval() for name, gap in gaps.items()},
        words=verdicts(gaps),
    )
