"""The one splitter: by time, over dates across symbols, purged by `label_end`, with an embargo.

A split is two dates. All symbols are cut at the same ones, because companies of one day share that day's news.
A label whose outcome overlaps the next part is purged: a training label must have ended an embargo before the first
decision it could inform. A walk-forward study is several such splits, made by the same `cut`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.datasets.epoch_order import Rows
from finnex.errors import TrainingError


@dataclass(frozen=True)
class TimeSplit:
    """Row numbers of the samples in each part, and the sessions at which the parts begin.

    Attributes
    ----------
    fold
        Number of the fold; one cut is fold 0.
    train, validation, test
        Positions in the arrays that were split, ascending.
    validation_start, test_start
        First decision date of the part.
    purged
        Samples left out because their outcome reaches into the next part or its embargo.
    thinned
        Training samples that were left out again by `thin`.
    """

    fold: int
    train: Rows
    validation: Rows
    test: Rows
    validation_start: np.datetime64
    test_start: np.datetime64
    purged: int
    thinned: Rows = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    def parts(self) -> dict[str, Rows]:
        """Return the parts by name, in order of time."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def cut(
    decision: Days, label_end: Days, sessions: Days, validation_at: int, test_at: int, embargo_sessions: int,
    *, test_until: int | None = None, train_from: int = 0, fold: int = 0,
) -> TimeSplit:  # fmt: skip
    """Cut samples at two positions of the session axis; every scheme of splitting is made of such cuts.

    Parameters
    ----------
    decision, label_end
        Per sample: when it was decided and when its outcome was known. Any order, symbols mixed.
    sessions
        All sessions, ascending, unique.
    validation_at, test_at
        Positions in `sessions` where validation and test begin.
    embargo_sessions
        Sessions between the end of a part's last label and the next part.
    test_until, train_from
        Position after the last test session, and of the first training session.
    fold
        Number of the fold, from 0.

    Returns
    -------
    TimeSplit
        Positions of the samples of each part, and how many were purged.
    """

    def known_before(position: int) -> npt.NDArray[np.bool_]:
        if position - embargo_sessions < 0:
            return np.zeros(len(decision), dtype=bool)
        return np.asarray(label_end <= sessions[position - embargo_sessions])

    validation_start, test_start = sessions[validation_at], sessions[test_at]
    end = len(sessions) if test_until is None else test_until
    in_train = (decision < validation_start) & (decision >= sessions[train_from])
    in_validation = (decision >= validation_start) & (decision < test_start)
    train = in_train & known_before(validation_at)
    validation = in_validation & known_before(test_at)
    test = (decision >= test_start) & (decision <= sessions[end - 1])
    return TimeSplit(
        fold,
        np.flatnonzero(train),
        np.flatnonzero(validation),
        np.flatnonzero(test),
        validation_start,
        test_start,
        int(np.count_nonzero(in_train & ~train) + np.count_nonzero(in_validation & ~validation)),
    )


def thin(split: TimeSplit, decision: Days, sessions: Days, every: int) -> TimeSplit:
    """Train on every so-many-th session only: the same ones for all symbols. Validation and test keep all.

    Sessions are counted on the calendar, from its first, and not among those that happen to have a sample: where
    `every` is the horizon of the labels or more, no two outcomes of a symbol overlap.

    Parameters
    ----------
    split
        Parts of a fold.
    decision
        Per sample: when it was decided.
    sessions
        The calendar: all sessions, ascending, with every decision among them.
    every
        Sessions from one that is trained on to the next.

    Returns
    -------
    TimeSplit
        The same parts with fewer training samples.

    Raises
    ------
    TrainingError
        The training part has fewer sessions than that, or none is left.
    """
    if every == 1:
        return split
    days = np.unique(decision[split.train])
    if every > len(days):
        raise TrainingError(
            f"every_sessions is {every}, and the training part of fold {split.fold} has {len(days)} sessions. Lower it."
        )
    kept = np.searchsorted(sessions, decision[split.train]) % every == 0
    if not kept.any():
        raise TrainingError(
            f"every_sessions = {every} leaves no training sample of fold {split.fold}: its {len(days)} sessions from "
            f"{days[0]} to {days[-1]} have gaps. Lower it, or build more sessions."
        )
    return replace(split, train=split.train[kept], thinned=split.train[~kept])


def walk_forward(
    decision: Days,
    label_end: Days,
    *,
    train_fraction: float,
    validation_fraction: float,
    embargo_sessions: int,
    folds: int = 1,
    window: Literal["expanding", "rolling"] = "expanding",
) -> tuple[TimeSplit, ...]:
    """Split samples by time, as if the network were retrained at regular intervals.

    The first fold is cut at the two fractions. The sessions after them are tested in `folds` steps of equal length:
    at each step the three parts move on together, so that successive test parts neither overlap nor leave a gap.
    One fold is the single cut into train, validation and test.

    A sample that was purged from one part of a fold is in none of its parts. What is assumed of the execution: a
    model is trained and chosen after the close of the last session that is an embargo before its first test
    decision, and is used unchanged until the fold's last.

    Parameters
    ----------
    decision, label_end
        Per sample, `datetime64[D]`: decision date and the date on which the outcome was known. Any order, symbols
        mixed: all are cut at the same dates.
    train_fraction, validation_fraction
        Shares of the distinct decision dates; the rest is tested on.
    embargo_sessions
        No training label ends later than this many sessions before the first validation decision, and no
        validation label later than as many before the first test decision.
    folds
        Steps in which the rest is tested.
    window
        Whether a later fold trains on all that was before, or on as many sessions as the first fold.

    Returns
    -------
    tuple of TimeSplit
        One split for each fold, in order of time.

    Raises
    ------
    TrainingError
        A part would be empty.
    """
    sessions = np.unique(decision)
    n = len(sessions)
    validation_at = round(n * train_fraction)
    test_at = round(n * (train_fraction + validation_fraction))
    bounds = [test_at + round((n - test_at) * step / folds) for step in range(folds + 1)]
    if not 0 < validation_at < test_at < n or n - test_at < folds:
        raise TrainingError(
            f"{n} labelled sessions are too few to split at {train_fraction:.0%} and "
            f"{train_fraction + validation_fraction:.0%} and to test in {folds} "
            f"{'part' if folds == 1 else 'parts'}. Build more sessions, or change the fractions or folds."
        )
    found = []
    for fold, (begin, end) in enumerate(pairwise(bounds)):
        moved = begin - test_at
        split = cut(
            decision, label_end, sessions, validation_at + moved, begin, embargo_sessions,
            test_until=end, train_from=moved if window == "rolling" else 0, fold=fold,
        )  # fmt: skip
        for name, rows in split.parts().items():
            if len(rows) == 0:
                raise TrainingError(
                    f"no sample is left for {name} of fold {fold}: {n} labelled sessions from {sessions[0]} to "
                    f"{sessions[-1]}, {split.purged} samples purged, embargo {embargo_sessions} sessions. "
                    "Build more sessions, shorten the label horizon, or lower embargo_sessions or folds."
                )
        found.append(split)
    return tuple(found)
