"""Whether a challenger becomes the champion: better than the baselines and than the champion, at its trial's level.

All answer for the same sessions, which come after everything that either was trained or chosen on. The log loss
decides, because it is proper: nobody lowers its expectation by saying something other than what they believe (Gneiting
and Raftery, Strictly Proper Scoring Rules, 2007). Accuracy can only stand in the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.evaluation.interval import LEVEL, Estimate, Interval, mean_estimate
from finnex.evaluation.scorecard import MAJORITY, PROBABILITIES, ROW, SIMPLE_BASELINES
from finnex.evaluation.trials import ordinal, trial_level
from finnex.evaluation.verdict import adjusted
from finnex.training.answers import surprise


@dataclass(frozen=True)
class Decision:
    """What a comparison came to.

    Attributes
    ----------
    promoted
        Whether the challenger becomes the champion.
    reason
        In one sentence or two.
    sessions, rows
        What challenger and champion were both asked about; without a champion, challenger and baselines.
    log_loss, accuracy
        Challenger less champion, with 95 % intervals; None where there was nothing to compare.
    trial, level
        Which trial of its test part it was, and the one-sided level of it; 0 where nothing was compared.
    forced
        Whether it takes the place without having shown that it is better.
    """

    promoted: bool
    reason: str
    sessions: int = 0
    rows: int = 0
    log_loss: Interval | None = None
    accuracy: Interval | None = None
    trial: int = 0
    level: float = 0.0
    forced: bool = False


def decide(
    challenger: pd.DataFrame, champion: pd.DataFrame | None, baselines: Mapping[str, pd.DataFrame], *, horizon: int,
    trial: int,
) -> Decision:  # fmt: skip
    """Compare a challenger with the baselines of its own study, then with the champion.

    Parameters
    ----------
    challenger, champion
        Rows of predictions tables: symbol, decision_date, p_sell, p_hold, p_buy, label; several seeds' rows of one
        session count as one, their probabilities averaged. The champion's are of sessions after its training; None
        where there is none.
    baselines
        The same of the majority class and of one other simple baseline or more, for the challenger's test part.
    horizon
        Of the label, in sessions.
    trial
        Which trial of the test part this is, from 1: it decides the level.
    """
    level = trial_level(trial)
    told = f"{ordinal(trial)} trial of its test part, level {level:.2g}"
    first = _against_baselines(challenger, baselines, horizon, level, told)
    first = replace(first, trial=trial, level=level)
    if champion is None or not first.promoted:
        return first
    second = _against_champion(challenger, champion, horizon, level, told)
    reason = f"{second.reason} {first.reason}" if second.promoted else second.reason
    return replace(second, reason=reason, trial=trial, level=level)


def _against_baselines(
    challenger: pd.DataFrame, baselines: Mapping[str, pd.DataFrame], horizon: int, level: float, told: str
) -> Decision:
    simple = {name: table for name, table in baselines.items() if name in SIMPLE_BASELINES}
    if MAJORITY not in simple or len(simple) < 2:
        return Decision(
            False,
            "A champion must beat the majority class and the best simple baseline; the study has "
            f"{', '.join(simple) or 'none'}. Name '{MAJORITY}' and another one in [training] baselines, "
            "and train again.",
        )
    own = _by_session(challenger)
    gains, losses, sessions, rows = {}, {}, 0, 0
    for name, table in simple.items():
        mine, theirs, dates = _common(own, _by_session(table))
        sessions, rows = len(np.unique(dates)), len(mine)
        if rows == 0:
            return Decision(False, f"'{name}' and the challenger have no session in common. Train again.")
        losses[name] = float(_log_loss(theirs).mean())
        gains[name] = mean_estimate(_log_loss(theirs) - _log_loss(mine), dates, horizon)
    best = min((name for name in simple if name != MAJORITY), key=lambda name: losses[name])
    found = adjusted({name: gain.p_above() for name, gain in gains.items()})
    if open_ := [name for name in (MAJORITY, best) if found[name] > level]:
        return Decision(
            False,
            f"On {sessions} sessions it does not beat {_named(open_[0], best)}, as a champion must: its log loss is "
            f"lower by {gains[open_[0]].interval().words('+.4f')} ({told}, all simple baselines together).",
            sessions, rows,
        )  # fmt: skip
    return Decision(
        True, f"On {sessions} sessions it beats the majority class and {_named(best, best)} ({told}).", sessions, rows
    )


def _named(name: str, best: str) -> str:
    words = name.replace("_", " ")
    return "the majority class" if name == MAJORITY else f"the best simple baseline, {words}" if name == best else words


def _against_champion(
    challenger: pd.DataFrame, champion: pd.DataFrame, horizon: int, level: float, told: str
) -> Decision:
    own, theirs, dates = _common(_by_session(challenger), _by_session(champion))
    sessions = len(np.unique(dates))
    if sessions == 0:
        return Decision(
            False, "Both were asked about 0 common sessions that neither had learned from. Train on data that reaches "
            "further, or wait."
        )  # fmt: skip
    loss = mean_estimate(_log_loss(own) - _log_loss(theirs), dates, horizon)
    right = mean_estimate(_right(own) - _right(theirs), dates, horizon)
    found = loss.interval(), right.interval()
    words = f"On {sessions} sessions its log loss less the champion's is {found[0].words('+.4f')}"
    if loss.p_below() > level:
        return Decision(False, f"{words}: not better ({told}).", sessions, len(own), *found)
    if right.p_below() <= (1 - LEVEL) / 2:
        return Decision(False, f"{words}, but its accuracy is lower: {_points(right)}.", sessions, len(own), *found)
    return Decision(True, f"{words}: better ({told}), and not less accurate.", sessions, len(own), *found)


def _points(right: Estimate) -> str:
    return f"{right.interval().words('+.3f')} less the champion's"


def _common(own: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.datetime64]]:
    both = own.index.intersection(theirs.index)
    return own.loc[both], theirs.loc[both], both.get_level_values("decision_date").to_numpy().astype("datetime64[D]")


def _by_session(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby(ROW, sort=True).agg(dict.fromkeys(PROBABILITIES, "mean") | {"label": "first"})


def _log_loss(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return surprise(table[PROBABILITIES].to_numpy(), table["label"].to_numpy())


def _right(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    right: npt.NDArray[np.bool_] = table[PROBABILITIES].to_numpy().argmax(axis=1) == table["label"].to_numpy()
    return right.astype("float64")
