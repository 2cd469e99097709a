"""The scorecard: a model and its baselines on exactly the same sessions, derived from the predictions table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.errors import TrainingError
from finnex.evaluation.bootstrap import Interval, block_bootstrap, block_length
from finnex.evaluation.metrics import ClassificationScores, classification_scores

PROBABILITIES = ["p_sell", "p_hold", "p_buy"]
ROW = ["symbol", "decision_date"]
BASELINE_NAMES = (
    "majority", "persistence", "logistic_regression", "logistic_regression_lags", "boosted_trees",
    "boosted_trees_lags", "price_only", "sentiment_only", "candlestick", "chart",
)  # fmt: skip
"""Every other model of a predictions table is the one that is judged."""


@dataclass(frozen=True)
class ModelScore:
    """One line of the scorecard: scores, and the interval of the accuracy."""

    model: str
    accuracy: Interval
    scores: ClassificationScores


@dataclass(frozen=True)
class Scorecard:
    """Who is right how often, and by how much more than whom.

    Attributes
    ----------
    model
        The model that is judged; the other lines are what it must beat.
    rows, sessions
        Predictions per model, and distinct dates among them. Sessions, not rows, are what tells how much was seen.
    lines
        The model first, then its baselines.
    gaps
        Accuracy of the model minus that of each baseline, on the same rows.
    block_sessions
        Length of the bootstrap's blocks.
    """

    model: str
    split: str
    rows: int
    sessions: int
    first: np.datetime64
    last: np.datetime64
    lines: tuple[ModelScore, ...]
    gaps: Mapping[str, Interval]
    block_sessions: int

    def records(self) -> list[dict[str, Any]]:
        """Return one flat dict of plain values per line, for JSON, tables and trackers."""
        return [
            {
                "model": line.model,
                "rows": self.rows,
                "sessions": self.sessions,
                **{key: value for key, value in asdict(line.scores).items() if key != "n"},
                "accuracy_low": line.accuracy.low,
                "accuracy_high": line.accuracy.high,
                **(
                    {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
                    if (gap := self.gaps.get(line.model)) is not None
                    else {}
                ),
            }
            for line in self.lines
        ]

    def verdict(self) -> str:
        """Say in one sentence whether the model beats its baselines."""
        beaten = [name for name, gap in self.gaps.items() if gap.low > 0]
        behind = [name for name, gap in self.gaps.items() if gap.high < 0]
        open_ = [name for name in self.gaps if name not in beaten and name not in behind]
        said = [
            f"{words} {_listed([name.replace('_', ' ') for name in names])}"
            for words, names in (("beats", beaten), ("is behind", behind), ("cannot be told from", open_))
            if names
        ]
        return f"On {self.sessions} unseen sessions {self.model.replace('_', ' ')} {', '.join(said)} (95 % intervals)."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _by_session(table: pd.DataFrame) -> pd.DataFrame:
    right = table[PROBABILITIES].to_numpy().argmax(axis=1) == table["label"].to_numpy()
    together = table[[*ROW, "label"]].assign(right=right.astype(float)).groupby(ROW)
    return together.agg({"right": "mean", "label": "first"})


def scorecard(predictions: pd.DataFrame, *, split: str = "test", draws: int = 2000, seed: int = 0) -> Scorecard:
    """Derive the scorecard from a predictions table.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy, label; one model besides
        the baselines. A model of several seeds has several rows a session, which count as one.
    split
        The part to judge on.

    Raises
    ------
    TrainingError
        The part is empty, or the models were not asked about the same sessions.
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
    block = block_length(int(part["horizon"].iloc[0]))

    def interval(values: Any) -> Interval:
        return block_bootstrap(values, dates, block_sessions=block, draws=draws, seed=seed)

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
                interval(right[name]["right"].to_numpy()),
                classification_scores(table["label"].to_numpy(), table[PROBABILITIES].to_numpy()),
            )
            for name, table in tables.items()
        ),
        gaps={name: interval((reference["right"] - right[name]["right"]).to_numpy()) for name in order[1:]},
        block_sessions=block,
    )
