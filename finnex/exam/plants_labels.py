"""Leaks in labels: outcomes that begin before the decision, or are said to be known by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import HORIZONS, LabelSettings
from finnex.data.labels import BUY, HOLD, SELL, UNKNOWN, Labels, make_labels
from finnex.exam.hidden_paths import Floats
from finnex.exam.plant import Kind, Planted, kind, planted
from finnex.exam.random_market import Market

KINDS: list[Kind] = []
LABEL = ("label_",)
Days = npt.NDArray[np.datetime64]
Outcome = Callable[[pd.DataFrame, int], Floats]
"""Bars of all sessions and a horizon to (sessions,) simple returns."""
SHORTEST_MEAN = 3
"""Sessions of the shortest mean that a label compares."""
SURE = 0.02
"""Return beyond which a made-up label is buy or sell."""


def _on_sessions(bars: pd.DataFrame, days: Days) -> pd.DataFrame:
    return bars.reindex(range(len(days)))


def entered_at_todays_open(bars: pd.DataFrame, days: Days, settings: LabelSettings) -> dict[str, Labels]:
    """Label as if a decision at a session's close entered at that session's open."""
    moved = bars.assign(open=_on_sessions(bars, days)["open"].shift(1).reindex(bars.index))
    early, right = (make_labels(one, days, settings) for one in (moved, bars))
    return right | {"price_movement": early["price_movement"]}


def ended_by_the_decision(bars: pd.DataFrame, days: Days, settings: LabelSettings) -> dict[str, Labels]:
    """Say of every label that it was known on its own session."""
    return {
        name: replace(one, end=np.where(np.isnat(one.end), one.end, days[:, None]))
        for name, one in make_labels(bars, days, settings).items()
    }


def classes_of_the_session_before(bars: pd.DataFrame, days: Days, settings: LabelSettings) -> dict[str, Labels]:
    """Give every session the class of the one before it; outcomes and ends are right."""
    found = {}
    for name, one in make_labels(bars, days, settings).items():
        label = np.vstack([np.full_like(one.label[:1], UNKNOWN), one.label[:-1]])
        found[name] = replace(one, label=np.where(one.label == UNKNOWN, one.label, label))
    return found


def ended_the_next_session(bars: pd.DataFrame, days: Days, settings: LabelSettings) -> dict[str, Labels]:
    """Say of every label that it was known on the session after its own for every horizon."""
    after = np.append(days[1:], np.datetime64("NaT"))[:, None]
    return {
        name: replace(one, end=np.where(np.isnat(one.end), one.end, after))
        for name, one in make_labels(bars, days, settings).items()
    }


def of_another_outcome(
    bars: pd.DataFrame, days: Days, settings: LabelSettings, *, outcome: Outcome, later: int = 0, least: int = 0
) -> dict[str, Labels]:
    """Label the price movement by another outcome, known `horizon + later` sessions on, `least` at least.

    Parameters
    ----------
    bars
        Traded sessions (open, high, low, close, volume), indexed by session position.
    days
        (sessions,) all session dates.
    settings
        Kind, horizon and thresholds of the labels.
    outcome
        Simple return of each session over a horizon, from the bars.
    later
        Sessions after the horizon at which the outcome counts as known.
    least
        Sessions at which it counts as known at the earliest.

    Returns
    -------
    dict
        Kind to labels; only those of `price_movement` differ from the shipped ones.
    """
    whole = _on_sessions(bars, days)
    returns = np.stack([outcome(whole, horizon) for horizon in HORIZONS], axis=1)
    known = ~np.isnan(returns)
    side = np.where(returns > SURE, BUY, np.where(returns < -SURE, SELL, HOLD))
    here = np.arange(len(days))[:, None] + np.maximum(np.asarray(HORIZONS) + later, least)
    end = np.where(known, days[np.minimum(here, len(days) - 1)], np.datetime64("NaT"))
    made = Labels(np.where(known, side, UNKNOWN).astype(np.int8), returns.astype(np.float32), end)
    return make_labels(bars, days, settings) | {"price_movement": made}


def from_the_last_shown_close(bars: pd.DataFrame, horizon: int) -> Floats:
    """Return from the session's own close to the close `horizon` sessions on."""
    close = bars["close"]
    return (close.shift(-horizon) / close - 1).to_numpy()


def means_before_and_after(bars: pd.DataFrame, horizon: int) -> Floats:
    """Return from the mean of the closes up to the session to the mean of those after it."""
    span = max(horizon, SHORTEST_MEAN)
    mean = bars["close"].rolling(span).mean()
    return (mean.shift(-span) / mean - 1).to_numpy()


def centred_mean(bars: pd.DataFrame, horizon: int) -> Floats:
    """Return from the session's close to the mean of the closes around the next session."""
    around = bars["close"].rolling(2 * horizon + 1, center=True).mean().shift(-1)
    return (around / bars["close"] - 1).to_numpy()


def inside_the_window(bars: pd.DataFrame, horizon: int, ahead: int = 0, back: int = 19) -> Floats:
    """Return from the close `back` sessions before to that of the session itself, or `ahead` sessions after it.

    Parameters
    ----------
    bars
        Bars of all sessions, by position.
    horizon
        Not looked at: the window decides.
    ahead
        Sessions from the decision to the last close.
    back
        Sessions from the first close to the decision.

    Returns
    -------
    numpy.ndarray
        (sessions,) simple returns; NaN where one of the closes is not known.
    """
    close = bars["close"]
    return (close.shift(-ahead) / close.shift(back) - 1).to_numpy()


def _labelled(market: Market, outcome: Outcome, later: int = 0, least: int = 0) -> Planted:
    labels = partial(of_another_outcome, outcome=outcome, later=later, least=least)
    return replace(planted(market), labels=labels)


@kind(KINDS, features=LABEL, listed=True)
def label_entered_at_todays_open(market: Market, rng: np.random.Generator) -> Planted:
    """A label enters at the open of the session whose close decides."""
    return replace(planted(market), labels=entered_at_todays_open)


@kind(KINDS, features=LABEL, listed=True)
def label_of_means_around_today(market: Market, rng: np.random.Generator) -> Planted:
    """A label compares the mean of the closes after the session with the mean of those before it."""
    return _labelled(market, means_before_and_after, least=SHORTEST_MEAN)


@kind(KINDS, features=LABEL, listed=True)
def label_of_a_centred_mean(market: Market, rng: np.random.Generator) -> Planted:
    """A label compares a mean of closes around the next session with the session's close."""
    return _labelled(market, centred_mean, later=1)


@kind(KINDS, features=LABEL)
def label_inside_the_window(market: Market, rng: np.random.Generator) -> Planted:
    """A label compares the session's close with the close 19 sessions before."""
    return _labelled(market, inside_the_window)


@kind(KINDS, features=LABEL)
def label_one_session_past_the_window(market: Market, rng: np.random.Generator) -> Planted:
    """A label compares the next close with the close 19 sessions before."""
    return _labelled(market, partial(inside_the_window, ahead=1))


@kind(KINDS, features=LABEL)
def label_from_the_last_shown_close(market: Market, rng: np.random.Generator) -> Planted:
    """A label's return starts at the session's own close, after which no trade is possible."""
    return _labelled(market, from_the_last_shown_close)


@kind(KINDS, features=LABEL)
def label_that_ends_by_its_decision(market: Market, rng: np.random.Generator) -> Planted:
    """A label says that its outcome was known on its own session."""
    return replace(planted(market), labels=ended_by_the_decision)
