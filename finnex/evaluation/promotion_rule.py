"""Whether a challenger becomes the champion: better than the baselines and than the champion, at its trial's level.

All answer for the same sessions, which come after everything that either was trained or chosen on. The log loss
decides, because it is proper: its expectation is least for the forecaster's true belief (Gneiting
and Raftery, Strictly Proper Scoring Rules, 2007). Accuracy can only prevent a promotion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.evaluation.interval import LEVEL, Interval, mean_estimate
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


@dataclass(frozen=True)
class Against:
    """A challenger and another model on the sessions of both.

    Attributes
    ----------
    dates
        Decision date of each row.
    log_loss, right
        Challenger less the other, by row: of the log loss, and of 1 where an answer was right.
    other_log_loss
        The other's, by row.
    """

    dates: npt.NDArray[np.datetime64]
    log_loss: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    other_log_loss: npt.NDArray[np.float64]

    @property
    def sessions(self) -> int:
        """Distinct dates."""
        return len(np.unique(self.dates))


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

    Returns
    -------
    Decision
        Whether the challenger is promoted, and the reason in words.
    """
    own = _by_session(challenger)
    simple = {name: _against(own, table) for name, table in baselines.items() if name in SIMPLE_BASELINES}
    held = None if champion is None else _against(own, champion)
    return judge(simple, held, horizon=horizon, trial=trial)


def judge(baselines: Mapping[str, Against], champion: Against | None, *, horizon: int, trial: int) -> Decision:
    """Decide from a challenger's differences to the simple baselines and to the champion; arguments as of `decide`.

    Parameters
    ----------
    baselines
        Name to the differences to it.
    champion
        Differences to the champion; None where there is none.
    horizon
        Of the label, in sessions.
    trial
        Which trial of the test part this is, from 1.

    Returns
    -------
    Decision
        Whether the challenger is promoted, and the reason in words.
    """
    level = trial_level(trial)
    trial_words = f"{ordinal(trial)} trial of its test part, level {level:.2g}"
    first = replace(_against_baselines(baselines, horizon, level, trial_words), trial=trial, level=level)
    if champion is None or not first.promoted:
        return first
    second = _against_champion(champion, horizon, level, trial_words)
    reason = f"{second.reason} {first.reason}" if second.promoted else second.reason
    return replace(second, reason=reason, trial=trial, level=level)


def _against_baselines(baselines: Mapping[str, Against], horizon: int, level: float, trial_words: str) -> Decision:
    if MAJORITY not in baselines or len(baselines) < 2:
        return Decision(
            False,
            f"A champion must beat the majority class and the best simple baseline; the study has "
            f"{', '.join(baselines) or 'none'}. Name '{MAJORITY}' and another one in [training] baselines, and train "
            "again.",
        )
    if empty := [name for name, one in baselines.items() if len(one.dates) == 0]:
        return Decision(False, f"'{empty[0]}' and the challenger have no session in common. Train again.")
    gains = {name: mean_estimate(-one.log_loss, one.dates, horizon) for name, one in baselines.items()}
    others = [name for name in baselines if name != MAJORITY]
    best = min(others, key=lambda name: float(baselines[name].other_log_loss.mean()))
    found = adjusted({name: gain.p_above() for name, gain in gains.items()})
    sessions, rows = baselines[MAJORITY].sessions, len(baselines[MAJORITY].dates)
    simple = f"the best simple baseline, {best.replace('_', ' ')}"
    if behind := [name for name in (MAJORITY, best) if found[name] > level]:
        named = "the majority class" if behind[0] == MAJORITY else simple
        return Decision(
            False,
            f"On {sessions} sessions it does not beat {named}, as a champion must: its log loss is "
            f"{_compared(gains[behind[0]].interval())} ({trial_words}, all simple baselines together).",
            sessions, rows,
        )  # fmt: skip
    return Decision(
        True, f"On {sessions} sessions it beats the majority class and {simple} ({trial_words}).", sessions, rows
    )


def _compared(gain: Interval) -> str:
    """Return how a log loss compares with another, in words; `gain` is the other less it."""
    if gain.value > 0:
        more, word = gain, "lower"
    else:
        low, high = gain.low, gain.high
        more = Interval(0 - gain.value, None if high is None else -high, None if low is None else -low, gain.reason)
        word = "higher"
    if round(more.value, 4) == 0:  # as printed: neither lower nor higher
        return f"the same to four decimals, a difference of {more.words('.4f')}"
    return f"{word} by {more.words('.4f')}"


def _against_champion(champion: Against, horizon: int, level: float, trial_words: str) -> Decision:
    sessions, rows = champion.sessions, len(champion.dates)
    if rows == 0:
        return Decision(
            False,
            "Both were asked about 0 common sessions that neither had learned from. Train on data that reaches "
            "further, or wait.",
        )
    loss = mean_estimate(champion.log_loss, champion.dates, horizon)
    right = mean_estimate(champion.right, champion.dates, horizon)
    found = loss.interval(), right.interval()
    words = f"On {sessions} sessions its log loss less the champion's is {found[0].words('+.4f')}"
    if loss.p_below() > level:
        return Decision(False, f"{words}: not better ({trial_words}).", sessions, rows, *found)
    if right.p_below() <= (1 - LEVEL) / 2:
        less = f"{found[1].words('+.3f')} less the champion's"
        return Decision(False, f"{words}, but its accuracy is lower: {less}.", sessions, rows, *found)
    return Decision(True, f"{words}: better ({trial_words}), and not less accurate.", sessions, rows, *found)


def _against(own: pd.DataFrame, table: pd.DataFrame) -> Against:
    theirs = _by_session(table)
    both = own.index.intersection(theirs.index)
    own, theirs = own.loc[both], theirs.loc[both]
    dates = both.get_level_values("decision_date").to_numpy().astype("datetime64[D]")
    return Against(dates, _log_loss(own) - _log_loss(theirs), _right(own) - _right(theirs), _log_loss(theirs))


def _by_session(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby(ROW, sort=True).agg(dict.fromkeys(PROBABILITIES, "mean") | {"label": "first"})


def _log_loss(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return surprise(table[PROBABILITIES].to_numpy(), table["label"].to_numpy())


def _right(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    right: npt.NDArray[np.bool_] = table[PROBABILITIES].to_numpy().argmax(axis=1) == table["label"].to_numpy()
    return right.astype("float64")
