"""Whether the best of several trials is worth its choice: the probability of backtest overfitting.

Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu, The Probability of Backtest
Overfitting, 2017): sessions are cut into S blocks, and S/2 of them are chosen in every way that there is. The trial
with the highest Sharpe ratio in the chosen half is looked up in the other half. The probability of overfitting is the
share of the splits in which it ranks below the median there: 0.5 on average where no trial is better than another.

The splits share their sessions, so the share has no interval, and one table may be far from the average: of noise with
five independent trials one table in ten is below 0.15 or above 0.8 (`tests/evaluation/test_overfitting.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.errors import TrainingError, shown
from finnex.evaluation.interval import LEAST_SESSIONS
from finnex.evaluation.sharpe_tests import whole
from finnex.evaluation.symmetric_splits import choices, slope

Floats = npt.NDArray[np.float64]
BLOCKS, MOST_BLOCKS = 16, 20
"""Blocks of the paper's example, 12,870 splits; and the most that are taken, 184,756."""


@dataclass(frozen=True)
class Overfitting:
    """The probability of backtest overfitting of a choice among trials.

    Attributes
    ----------
    value
        Share of the splits in which the trial that is best in one half ranks below the median in the other, in [0, 1];
        a split in which it is the median itself counts half. None where it cannot be said.
    reason
        Why it cannot, in words; empty where it can.
    trials
        Trials that were ranked.
    constant_trials
        Trials that do not vary in any session: they have no ratio, and are left out.
    sessions
        Sessions that the ratios are computed from.
    first_left_out
        Sessions at the beginning that are left out, so that all blocks have one size.
    embargo_sessions
        Sessions that are left out at the beginning of each block.
    blocks, splits
        S, and the ways to choose half of them.
    slope
        Of the ratio in the other half on that in the half of the choice, over the splits, by least squares; below 0
        where a higher ratio comes with a lower one afterwards. None where there is none.
    loss_share
        Share of the splits in which the chosen trial has a ratio below 0 in the other half.
    logits
        (splits,) logarithm of the odds of its rank over trials + 1 in the other half; in the order of
        `itertools.combinations`. Empty where there is no value.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(480, 20))
    >>> found = probability_of_overfitting(noise - noise.mean(axis=0))
    >>> found.value, found.record()["splits"]
    (1.0, 12870)
    >>> found.words()[0]
    'Probability of backtest overfitting 1.00: in 100 % of 12,870 splits the best of 20 trials ...
    """

    value: float | None
    reason: str
    trials: int
    constant_trials: int
    sessions: int
    first_left_out: int
    embargo_sessions: int
    blocks: int
    splits: int
    slope: float | None = None
    loss_share: float | None = None
    logits: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    def record(self) -> dict[str, Any]:
        """Return plain values, without the logits; None where there is no value.

        Returns
        -------
        dict[str, Any]
            By attribute.
        """
        return {name: value for name, value in vars(self).items() if name != "logits"}

    def words(self) -> list[str]:
        """Say what was found, and what was left out.

        Returns
        -------
        list of str
            Sentences.
        """
        if self.value is None:
            return [f"No probability of backtest overfitting: {self.reason}."]
        said = [
            f"Probability of backtest overfitting {self.value:.2f}: in {self.value * 100:.0f} % of {self.splits:,} "
            f"splits the best of {self.trials} trials in one half of the sessions is below their median in the other "
            "half; 50 % is the average where no trial is better than another. It has no interval: the splits share "
            "their sessions."
        ]
        if self.first_left_out:
            said.append(f"Left out so that {self.blocks} blocks are equal: the first {self.first_left_out} sessions.")
        if self.embargo_sessions:
            said.append(f"Left out at the beginning of each block: {self.embargo_sessions} sessions.")
        if self.constant_trials:
            said.append(f"Left out because they never vary: {self.constant_trials} trials.")
        return said


def probability_of_overfitting(returns: Floats, *, blocks: int = BLOCKS, embargo_sessions: int = 0) -> Overfitting:
    """Return how often the best of several trials in one half of the sessions is below the median in the other.

    Parameters
    ----------
    returns
        (sessions, trials) in order of time, per session, all trials on the same sessions; finite.
    blocks
        S, even, 2 to 20. Blocks are of equal size: sessions at the beginning that do not fill one are left out.
    embargo_sessions
        Sessions to leave out at the beginning of each block: h - 1 where a row is the return of h sessions, and so
        shares sessions with the rows before. Daily marks of a portfolio share none.

    Returns
    -------
    Overfitting
        Without a value, and with the reason, where less than two trials vary, or a half has less than 60 sessions.

    Raises
    ------
    TrainingError
        A table of another shape, a return that is not finite, an argument outside its range.

    Notes
    -----
    A ratio is the mean over the standard deviation (n - 1) of a half, without a rate that is free of risk. A trial that
    does not vary in a half has the ratio 0 there if it earned nothing, else plus or minus infinity. Equal ratios share
    the mean of their ranks; of several that are best in a half the first is chosen.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(480, 20))
    >>> probability_of_overfitting(noise + 0.5 * (np.arange(20) == 7)).value
    0.0
    """
    returns = _checked(returns, blocks, embargo_sessions)
    blocks, embargo_sessions = int(blocks), int(embargo_sessions)  # numpy's have no place in a record
    sessions, trials = returns.shape
    size = sessions // blocks
    used = blocks // 2 * max(0, size - embargo_sessions)
    spread = returns.std(axis=0)
    varies = spread > 1e-12 * np.abs(returns).max(axis=0, initial=0.0)
    reason = ""
    if varies.sum() < 2:
        reason = f"{int(varies.sum())} of {trials} trials vary, at least two are needed"
    elif used < LEAST_SESSIONS:
        reason = f"a half of the {sessions} sessions has {used} of use, at least {LEAST_SESSIONS} are needed"
    about = {
        "trials": int(varies.sum()), "constant_trials": int((~varies).sum()), "sessions": 2 * used,
        "first_left_out": sessions - blocks * size, "embargo_sessions": embargo_sessions, "blocks": blocks,
        "splits": comb(blocks, blocks // 2),
    }  # fmt: skip
    if reason:
        return Overfitting(None, reason, **about)
    cut = returns[-blocks * size :, varies].reshape(blocks, size, -1)[:, embargo_sessions:]
    chosen, after, rank = choices(cut / spread[varies])
    logits = np.log(rank / (about["trials"] + 1 - rank))
    below, median = np.mean(2 * rank < about["trials"] + 1), np.mean(2 * rank == about["trials"] + 1)
    return Overfitting(
        float(below + median / 2), "", **about, slope=slope(chosen, after), loss_share=float(np.mean(after < 0)),
        logits=logits,
    )  # fmt: skip


def _checked(returns: Floats, blocks: int, embargo_sessions: int) -> Floats:
    returns = np.asarray(returns, dtype=np.float64)
    if returns.ndim != 2 or 0 in returns.shape:
        raise TrainingError(
            f"returns: {returns.shape} is not (sessions, trials). Give a row a session, a column a trial."
        )
    if not (finite := np.isfinite(returns)).all():
        row, column = np.argwhere(~finite)[0]
        raise TrainingError(
            f"returns: {shown(float(returns[row, column]))} in session {row}, trial {column}, counted from 0. Give all "
            "trials on the sessions that all of them have."
        )
    if not whole(blocks) or not 2 <= blocks <= MOST_BLOCKS or blocks % 2:
        raise TrainingError(f"blocks: {shown(blocks)} cannot be halved here. Give an even number, 2 to {MOST_BLOCKS}.")
    if not whole(embargo_sessions) or embargo_sessions < 0:
        raise TrainingError(f"embargo_sessions: {shown(embargo_sessions)} is no number of sessions. Give 0 or more.")
    return returns
