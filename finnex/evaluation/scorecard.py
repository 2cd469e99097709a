"""The scorecard: a model and its baselines on exactly the same sessions, derived from the predictions table alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.errors import TrainingError
from finnex.evaluation.bootstrap import Interval, block_bootstrap
from finnex.evaluation.metrics import ClassificationScores, classification_scores

PROBABILITIES = ["p_sell", "p_hold", "p_buy"]
ROW = ["symbol", "decision_date"]
BASELINE_NAMES = ("majority", "logistic_regression")


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
            f"{words} {' and '.join(name.replace('_', ' ') for name in names)}"
            for words, names in (("beats", beaten), ("is behind", behind), ("cannot be told from", open_))
            if names
        ]
        return f"On {self.sessions} unseen sessions {self.model.replace('_', ' ')} {', '.join(said)} (95 % intervals)."


def scorecard(predictions: pd.DataFrame, *, split: str = "test", draws: int = 2000, seed: int = 0) -> Scorecard:
    """Derive the scorecard from a predictions table.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy, label; one model besides
        the baselines.
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
    tables = {name: part[part["model"] == name].sort_values(ROW).reset_index(drop=True) for name in order}
    reference = tables[judged[0]]
    for name, table in tables.items():
        if not table[[*ROW, "label"]].equals(reference[[*ROW, "label"]]):
            raise TrainingError(
                f"'{name}' has {len(table)} predictions for split '{split}', '{judged[0]}' has {len(reference)}, "
                "and they are not of the same sessions. Predict all of them on one split."
            )
    dates = reference["decision_date"].to_numpy().astype("datetime64[D]")
    labels = reference["label"].to_numpy()
    block = max(5, 2 * int(reference["horizon"].iloc[0]))
    right = {
        name: (table[PROBABILITIES].to_numpy().argmax(axis=1) == labels).astype(float) for name, table in tables.items()
    }

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
            ModelScore(name, interval(right[name]), classification_scores(labels, table[PROBABILITIES].to_numpy()))
            for name, table in tables.items()
        ),
        gaps={name: interval(right[judged[0]] - right[name]) for name in order[1:]},
        block_sessions=block,
    )
