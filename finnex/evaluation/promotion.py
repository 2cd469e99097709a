"""Whether a challenger takes the champion's place: a judgement with its interval, never a higher accuracy alone.

Both answer for the same sessions, all of them after everything that either was trained or chosen on. The log loss
decides, because it is proper: nobody lowers its expectation by saying something other than what they believe (Gneiting
and Raftery, Strictly Proper Scoring Rules, 2007). Accuracy can only stand in the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.evaluation.bootstrap import Interval, block_bootstrap, block_length
from finnex.evaluation.scorecard import PROBABILITIES, ROW
from finnex.training.answers import surprise

LEAST_SESSIONS = 40


@dataclass(frozen=True)
class Decision:
    """What a comparison came to.

    Attributes
    ----------
    promoted
        Whether the challenger becomes the champion.
    reason
        In one sentence.
    sessions, rows
        What both were asked about.
    log_loss, accuracy
        Challenger less champion, with 95 % intervals; None where there was nothing to compare.
    """

    promoted: bool
    reason: str
    sessions: int = 0
    rows: int = 0
    log_loss: Interval | None = None
    accuracy: Interval | None = None


def decide(challenger: pd.DataFrame, champion: pd.DataFrame, *, horizon: int, draws: int = 4000) -> Decision:
    """Compare two models' answers.

    Parameters
    ----------
    challenger, champion
        Rows of predictions tables: symbol, decision_date, p_sell, p_hold, p_buy, label; several seeds' rows of one
        session count as one, their probabilities averaged.
    horizon
        Of the label, in sessions.
    """
    own, theirs = _by_session(challenger), _by_session(champion)
    both = own.index.intersection(theirs.index)
    own, theirs = own.loc[both], theirs.loc[both]
    dates = both.get_level_values("decision_date").to_numpy().astype("datetime64[D]")
    sessions = len(np.unique(dates))
    if sessions < LEAST_SESSIONS:
        return Decision(
            False,
            f"Both were asked about {sessions} common sessions that neither had learned from; "
            f"{LEAST_SESSIONS} are needed. Train on data that reaches further, or wait.",
            sessions,
            len(both),
        )
    block = block_length(horizon)
    loss = block_bootstrap(_log_loss(own) - _log_loss(theirs), dates, block_sessions=block, draws=draws)
    right = block_bootstrap(_right(own) - _right(theirs), dates, block_sessions=block, draws=draws)
    interval = f"{loss.value:+.4f} ({loss.low:+.4f} to {loss.high:+.4f})"
    told = f"On {sessions} sessions its log loss less the champion's is {interval}"
    if loss.high >= 0:
        return Decision(False, f"{told}: not better with 95 % confidence.", sessions, len(both), loss, right)
    if right.high < 0:
        words = f"{told}, but its accuracy is lower by {-right.value:.3f} ({-right.high:.3f} to {-right.low:.3f})."
        return Decision(False, words, sessions, len(both), loss, right)
    return Decision(True, f"{told}: better, and not less accurate.", sessions, len(both), loss, right)


def _by_session(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby(ROW, sort=True).agg(dict.fromkeys(PROBABILITIES, "mean") | {"label": "first"})


def _log_loss(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return surprise(table[PROBABILITIES].to_numpy(), table["label"].to_numpy())


def _right(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    right: npt.NDArray[np.bool_] = table[PROBABILITIES].to_numpy().argmax(axis=1) == table["label"].to_numpy()
    return right.astype("float64")
