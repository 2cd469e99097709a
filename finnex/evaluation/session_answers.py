"""What a model says of a session, once: the probabilities of its seeds averaged, with what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days
from finnex.errors import TrainingError
from finnex.evaluation.interval import least_sessions
from finnex.evaluation.scorecard import BASELINE_NAMES, CLASS_NAMES, PROBABILITIES, ROW

VALIDATION, TEST = "validation", "test"
SUM_TOLERANCE = 1e-5
"""Probabilities of a row add up to 1 within this; float32 keeps about 1e-7."""
SMALLEST_PROBABILITY = 1e-12
"""A probability of 0 counts as this in a logarithm, as in the log loss of training."""
COLUMNS = ("decision_date", "symbol", "split", "model", "horizon", "label", *PROBABILITIES)
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SessionAnswers:
    """Answers of one model in one part, a row a fold, company and session, in order of these.

    Attributes
    ----------
    model, split
        Whose answers, and of which part of the folds; a rule is fitted on 'validation' only.
    horizon
        Sessions that a label looks ahead.
    fold
        (rows,) int64.
    days
        (rows,) `datetime64[D]`, decision dates.
    symbols
        (rows,) str.
    probabilities
        (rows, classes) float64 in [0, 1], rows summing to 1, means over the seeds; no NaN.
    label
        (rows,) int64 in [0, classes), what happened.
    """

    model: str
    split: str
    horizon: int
    fold: npt.NDArray[np.int64]
    days: Days
    symbols: npt.NDArray[np.str_]
    probabilities: Floats
    label: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.label)

    @property
    def sessions(self) -> int:
        """Distinct decision dates."""
        return len(np.unique(self.days))

    @property
    def answer(self) -> npt.NDArray[np.int64]:
        """(rows,) most probable class; of equal ones the first."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """(rows,) probability of the answer."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> Floats:
        """(rows,) 1 where the answer happened, else 0."""
        return np.asarray(self.answer == self.label, dtype=np.float64)

    @property
    def given(self) -> Floats:
        """(rows,) probability that was given to what happened."""
        return np.asarray(self.probabilities[np.arange(len(self)), self.label])

    @property
    def surprise(self) -> Floats:
        """(rows,) negative natural logarithm of `given`; its mean is the log loss."""
        return np.asarray(-np.log(np.clip(self.given, SMALLEST_PROBABILITY, None)))

    @property
    def few(self) -> str:
        """Why a rule fitted on these is not to be relied on, in words; empty where sessions are enough."""
        if (count := self.sessions) < (least := least_sessions(self.horizon)):
            return f"fitted on {count} sessions, where figures at horizon {self.horizon} need {least}"
        return ""

    def rows(self, which: Flags) -> SessionAnswers:
        """Return some of the rows."""
        return replace(
            self, fold=self.fold[which], days=self.days[which], symbols=self.symbols[which],
            probabilities=self.probabilities[which], label=self.label[which],
        )  # fmt: skip

    def saying(self, probabilities: Floats) -> SessionAnswers:
        """Return the same rows with other probabilities."""
        return replace(self, probabilities=probabilities)


def models_in(predictions: pd.DataFrame, split: str) -> list[str]:
    """Return the models of a part, the judged ones first, then the baselines in the scorecard's order.

    Parameters
    ----------
    predictions
        Columns split, model.
    split
        A part of the folds.
    """
    names = predictions.loc[predictions["split"] == split, "model"].unique().tolist()
    return [one for one in names if one not in BASELINE_NAMES] + [one for one in BASELINE_NAMES if one in names]


def session_answers(predictions: pd.DataFrame, *, model: str, split: str) -> SessionAnswers:
    """Return a model's answers in a part, averaged over its seeds.

    To have those of one seed, as `predict` needs them for one registered training, give its rows only.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, label, p_sell, p_hold, p_buy, and fold where there are
        several.
    model, split
        Which rows of it.

    Returns
    -------
    SessionAnswers
        One row a fold, company and session.

    Raises
    ------
    TrainingError
        A column or every such row is missing, a probability is no number in [0, 1], those of a row do not add up to 1,
        a label is no class, seeds disagree on what happened, or labels have several horizons.

    Examples
    --------
    >>> days = np.array(["2015-03-02", "2015-03-02"], dtype="datetime64[D]")  # of two seeds
    >>> one = {"decision_date": days, "symbol": "NVDA", "split": "test", "horizon": 5, "label": 2, "model": "cnn"}
    >>> table = pd.DataFrame({**one, "p_sell": [0.1, 0.3], "p_hold": 0.2, "p_buy": [0.7, 0.5]})
    >>> session_answers(table, model="cnn", split="test").probabilities.round(3).tolist()
    [[0.2, 0.2, 0.6]]
    """
    if missing := [name for name in COLUMNS if name not in predictions.columns]:
        raise TrainingError(f"the predictions have no column '{missing[0]}'. Give the table of a training.")
    part = predictions[(predictions["model"] == model) & (predictions["split"] == split)]
    if part.empty:
        raise TrainingError(
            f"the predictions of '{model}' have no row of split '{split}'; models there: "
            f"{', '.join(models_in(predictions, split)) or 'none'}. Give the whole table of a training."
        )
    _check(part, model, split)
    part = part if "fold" in part.columns else part.assign(fold=0)
    groups = part.groupby(["fold", *ROW], sort=True)
    means, label = groups[PROBABILITIES].mean(), groups["label"].min().to_numpy()
    if (unequal := label != groups["label"].max().to_numpy()).any():
        fold, symbol, day = means.index[int(unequal.argmax())]
        raise TrainingError(
            f"seeds of '{model}' have different labels for {symbol} on {day:%Y-%m-%d} in fold {fold}. Predict all of "
            "them from one store, with one kind of label."
        )
    return SessionAnswers(
        model=model,
        split=split,
        horizon=int(part["horizon"].iloc[0]),
        fold=means.index.get_level_values("fold").to_numpy().astype(np.int64),
        days=means.index.get_level_values("decision_date").to_numpy().astype("datetime64[D]"),
        symbols=means.index.get_level_values("symbol").to_numpy().astype(np.str_),
        probabilities=means.to_numpy(dtype=np.float64),
        label=label.astype(np.int64),
    )


def fitting_parts(predictions: pd.DataFrame, model: str) -> list[tuple[SessionAnswers, SessionAnswers]]:
    """Return validation and test answers of each fold of a model: rules are fitted on the one and used on the other.

    Parameters
    ----------
    predictions
        As for `session_answers`.
    model
        Whose folds.

    Returns
    -------
    list of tuple of SessionAnswers
        In order of the folds.

    Raises
    ------
    TrainingError
        A fold lacks one of the parts, or decisions or labels of its validation part reach into its test part.
    """
    known, unseen = (session_answers(predictions, model=model, split=one) for one in (VALIDATION, TEST))
    ends = predictions[(predictions["model"] == model) & (predictions["split"] == VALIDATION)]
    found = []
    for fold in np.union1d(known.fold, unseen.fold).tolist():
        pair = known.rows(known.fold == fold), unseen.rows(unseen.fold == fold)
        for part in pair:
            if not len(part):
                raise TrainingError(
                    f"fold {fold} of '{model}' has no row of split '{part.split}'. Give the whole table of a training."
                )
        start, last = pair[1].days.min(), pair[0].days.max()
        if "label_end" in ends.columns:
            mine = ends if "fold" not in ends.columns else ends[ends["fold"] == fold]
            last = max(last, mine["label_end"].to_numpy().astype("datetime64[D]").max() - np.timedelta64(1, "D"))
        if last >= start:
            raise TrainingError(
                f"validation rows of '{model}', fold {fold}, reach to {last} and its test part begins on {start}: what "
                "is fitted on them would have seen the test part. Cut the parts by time."
            )
        found.append(pair)
    return found


def together(parts: Sequence[SessionAnswers]) -> SessionAnswers:
    """Return the answers of several folds of one model and part as one."""
    return replace(
        parts[0],
        fold=np.concatenate([one.fold for one in parts]),
        days=np.concatenate([one.days for one in parts]),
        symbols=np.concatenate([one.symbols for one in parts]),
        probabilities=np.concatenate([one.probabilities for one in parts]),
        label=np.concatenate([one.label for one in parts]),
    )


def _check(part: pd.DataFrame, model: str, split: str) -> None:
    said = part[PROBABILITIES].to_numpy(dtype=np.float64)
    label = part["label"].to_numpy(dtype=np.float64)
    for wrong, what in (
        (~np.isfinite(said).all(axis=1), "a probability that is no number"),
        ((said < 0).any(axis=1) | (said > 1).any(axis=1), "a probability outside of [0, 1]"),
        (abs(said.sum(axis=1) - 1) > SUM_TOLERANCE, "probabilities that do not add up to 1"),
        (~np.isin(label, range(len(CLASS_NAMES))), f"a label outside of 0 to {len(CLASS_NAMES) - 1}"),
    ):
        if wrong.any():
            row = part.iloc[int(wrong.argmax())]
            raise TrainingError(
                f"'{model}', split '{split}', {row['symbol']} on {row['decision_date']:%Y-%m-%d} has {what}: "
                f"{[float(row[name]) for name in PROBABILITIES]}, label {row['label']}. Predict again, or leave the "
                "row out for all models."
            )
    if len(horizons := part["horizon"].unique()) > 1:
        raise TrainingError(
            f"labels of '{model}' look {sorted(horizons.tolist())} sessions ahead. Give rows of one horizon."
        )
