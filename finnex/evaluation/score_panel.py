"""Scores of companies by session, and what the companies earned afterwards: what a cross-section is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.scorecard import BASELINE_NAMES, PROBABILITIES, ROW
from finnex.evaluation.trading import Decisions

LEAST_COMPANIES = 10
"""Companies of a session below which nothing is said of their order. With ten a fifth has two companies, so that no
single one is a portfolio; and a rank correlation of ten has a standard deviation of 1 / sqrt(9) by chance alone."""
TOLERANCE = 1e-5
"""Of a return of the predictions table, which is kept as float32, as `finnex.datasets.stored_prices` has it."""
SAME = 1e-12
"""Values of a session that differ by less, relative to the largest, are equal."""


@dataclass(frozen=True)
class ScorePanel:
    """Scores on the grid of the prices.

    Attributes
    ----------
    model, split
        Whose scores, and of which part of the table.
    horizon
        Sessions that the model's label looks ahead.
    prices
        Bars of all sessions and companies.
    scores
        (sessions, companies) p_buy - p_sell in [-1, 1], known at the session's close; NaN where nothing was predicted.
    """

    model: str
    split: str
    horizon: int
    prices: SessionPrices
    scores: Floats

    def judged(self) -> Floats:
        """Return the scores of sessions with ten companies or more, NaN elsewhere: (sessions, companies)."""
        enough = (~np.isnan(self.scores)).sum(axis=1) >= LEAST_COMPANIES
        return np.where(enough[:, None], self.scores, np.nan)


def score_panel(
    predictions: pd.DataFrame, prices: SessionPrices, *, split: str = "test", model: str | None = None
) -> ScorePanel:
    """Return the scores of a model of a predictions table.

    The probabilities of several seeds (or folds) for one company and session are averaged first.

    Parameters
    ----------
    predictions
        Columns decision_date, symbol, split, model, horizon, p_sell, p_hold, p_buy; where it has return and label_kind
        too, returns of `price_movement` are held against the prices.
    prices
        Bars of every session and company of the part, and of the sessions that its labels look ahead.
    split
        The part to judge on.
    model
        Whose scores; by default the one model that is no baseline.

    Returns
    -------
    ScorePanel
        Scores by session and company.

    Raises
    ------
    TrainingError
        The part has no row of the model, several models or horizons, a probability that is not known, or returns that
        the prices do not give.
    PricesUnknown
        Prices lack a session or company of the part, or end before the first entry.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
    >>> bars = SessionPrices(days, ("A",), np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]))
    >>> row = {"decision_date": days[:1], "symbol": "A", "split": "test", "model": "cnn", "horizon": 1}
    >>> table = pd.DataFrame({**row, "p_sell": 0.25, "p_hold": 0.25, "p_buy": 0.5})
    >>> score_panel(table, bars).scores.tolist()
    [[0.25], [nan]]
    """
    part = predictions[predictions["split"] == split]
    names = [model] if model is not None else [name for name in part["model"].unique() if name not in BASELINE_NAMES]
    if len(names) != 1:
        raise TrainingError(
            f"a cross-section judges one model; split '{split}' of the predictions has {names or 'none'}. Name one."
        )
    rows = part[part["model"] == names[0]]
    if len(rows) == 0:
        has = ", ".join(sorted(part["model"].unique())) or "no rows"
        raise TrainingError(f"split '{split}' of the predictions has no row of '{names[0]}'; it has {has}. Name those.")
    horizons = sorted(set(rows["horizon"].astype(int)))
    if len(horizons) != 1 or horizons[0] < 1:
        raise TrainingError(
            f"predictions of '{names[0]}' are of horizons {horizons}; one of 1 session or more is judged. Select one."
        )
    if (unknown := ~np.isfinite(rows[PROBABILITIES].to_numpy(dtype=np.float64)).all(axis=1)).any():
        first = rows.iloc[int(np.argmax(unknown))]
        raise TrainingError(
            f"'{names[0]}' has no probability for {first['symbol']} on {str(first['decision_date'])[:10]}: "
            f"{[float(first[name]) for name in PROBABILITIES]}. Leave the row out, or predict it again."
        )
    means = rows.groupby(ROW, sort=True)[PROBABILITIES].mean()
    scores = Decisions(
        days=means.index.get_level_values("decision_date").to_numpy().astype("datetime64[D]"),
        symbols=means.index.get_level_values("symbol").to_numpy().astype(np.str_),
        positions=(means["p_buy"] - means["p_sell"]).to_numpy(dtype=np.float64),
        horizon=horizons[0],
    ).on(prices)
    panel = ScorePanel(names[0], split, horizons[0], prices, scores)
    _check_returns(rows, panel)
    return panel


def _check_returns(rows: pd.DataFrame, panel: ScorePanel) -> None:
    """Refuse prices that do not give the returns of the table: they are of another store, or of other sessions."""
    if not {"return", "label_kind"} <= set(rows.columns):
        return
    fixed = rows[rows["label_kind"] == "price_movement"]
    dates, symbols = fixed["decision_date"].to_numpy().astype("datetime64[D]"), fixed["symbol"].to_numpy()
    session, company = panel.prices.place(dates, symbols.astype(np.str_))
    kept = fixed["return"].to_numpy(dtype=np.float64)
    ours = forward_returns(panel.prices, panel.horizon)[session, company]
    wrong = np.abs(ours - kept) > TOLERANCE * (1 + np.abs(kept))  # NaN where either is not known
    if wrong.any():
        first = int(np.argmax(wrong))
        raise TrainingError(
            f"the {panel.horizon}-session return of {symbols[first]} after {dates[first]} is {kept[first]:.6f} in the "
            f"predictions and {ours[first]:.6f} by the prices. Give the prices of the store that was predicted."
        )


def forward_returns(prices: SessionPrices, horizon: int) -> Floats:
    """Return what companies earned after each session: entry at the next open, exit at the close of session t + h.

    It is the outcome of the label `price_movement` (`finnex.data.labels`), in float64 and for any horizon. The return
    that a predictions table keeps is that of its label: it has one horizon, of a triple barrier it ends at the barrier.

    Parameters
    ----------
    prices
        Bars.
    horizon
        Sessions, 1 or more.

    Returns
    -------
    ndarray
        (sessions, companies) float64 simple returns; NaN where the exit is not known yet or a bar between is missing.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> bars = SessionPrices(days, ("A",), np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [5.0]]))
    >>> forward_returns(bars, 2).ravel().tolist()
    [1.5, nan, nan]
    """
    n = len(prices.days)
    found = np.full(prices.close.shape, np.nan)
    if horizon < n:
        gaps = np.cumsum(np.isnan(prices.close), axis=0)
        whole = gaps[horizon:] == gaps[: n - horizon]
        found[: n - horizon] = np.where(whole, prices.close[horizon:] / prices.open[1 : n - horizon + 1] - 1, np.nan)
    return found


def before(values: Floats, lag: int) -> Floats:
    """Return the values of `lag` sessions before, NaN in the first ones: (sessions, companies)."""
    moved = np.full(values.shape, np.nan)
    if lag < len(values):
        moved[lag:] = values[: len(values) - lag]
    return moved


def correlations(first: Floats, second: Floats, *, ranks: bool, least: int = LEAST_COMPANIES) -> Floats:
    """Return the correlation over companies in each session.

    Parameters
    ----------
    first, second
        (sessions, companies), NaN where not known; a company counts where both are.
    ranks
        Spearman's rank correlation, equal values sharing the mean of their ranks; else Pearson's.
    least
        Companies below which a session has none.

    Returns
    -------
    ndarray
        (sessions,) in [-1, 1]; NaN where there are too few companies, or all values of one side are equal.

    Examples
    --------
    >>> correlations(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0, 9.0]]), ranks=True, least=3).tolist()
    [1.0]
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    count = both.sum(axis=1)
    sides = []
    for side in (first, second):
        values = np.where(both, side, np.nan)
        high, low = (np.where(both, side, empty) for empty in (-np.inf, np.inf))
        high, low = high.max(axis=1, initial=-np.inf), low.min(axis=1, initial=np.inf)
        varies = (count >= max(2, least)) & (high - low > SAME * np.maximum(np.abs(high), np.abs(low)))
        if ranks:
            values = pd.DataFrame(values).rank(axis=1).to_numpy()
        mean = np.where(both, values, 0.0).sum(axis=1) / np.maximum(count, 1)
        centred = np.where(both, values - mean[:, None], 0.0)
        sides.append((centred, np.where(varies, (centred**2).sum(axis=1), np.nan)))
    (x, xx), (y, yy) = sides
    found: Floats = (x * y).sum(axis=1) / np.sqrt(xx * yy)
    return np.clip(found, -1.0, 1.0)
