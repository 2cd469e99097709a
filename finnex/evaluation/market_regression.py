"""A portfolio's daily returns on the market's: slope and intercept with the project's robust interval."""

from __future__ import annotations

import numpy as np

from finnex.evaluation.interval import Estimate, cosine_weights, objection
from finnex.evaluation.portfolio import Floats


def regression(returns: Floats, market: Floats, horizon: int) -> tuple[Estimate, Estimate]:
    """Return intercept and slope of returns on the market's, by least squares.

    Parameters
    ----------
    returns, market
        (sessions,) in order of time; a session counts where both are known.
    horizon
        Sessions that a position is held.

    Returns
    -------
    tuple of Estimate
        Intercept and slope; with a reason where no error can be given, NaN where the market does not vary.

    Notes
    -----
    Influence of session t with residual e and market return m: on the slope e (m - mean) / variance, on the intercept
    e less the mean times that. Their long-run variance is that of `finnex.evaluation.interval`, which is robust to
    heteroskedasticity and autocorrelation (Lazarus, Lewis, Stock and Watson, 2018, on regressions).

    Examples
    --------
    >>> alpha, beta = regression(np.array([0.0, 3.0, 0.0]), np.array([0.0, 1.0, 2.0]), 1)
    >>> alpha.value, beta.value, beta.reason
    (1.0, 0.0, 'no interval: 3 sessions, at least 60 are needed at horizon 1')
    """
    both = ~np.isnan(returns) & ~np.isnan(market)
    y, m = returns[both], market[both]
    centred = m - m.mean() if len(m) else m
    spread = float(np.mean(centred**2)) if len(m) else 0.0
    if spread <= 1e-20:
        none = Estimate(float("nan"), (np.nan, 0.0, 0.0), 0, f"the market does not vary in {len(m)} sessions")
        return none, none
    slope = float(np.mean(centred * y) / spread)
    level = float(y.mean() - slope * m.mean())
    left = y - level - slope * m
    if np.abs(left).max() <= 1e-12 * np.abs(y - y.mean()).max(initial=0.0):
        reason = f"no interval: a line through the market's returns explains all {len(m)} sessions"
        return Estimate(level, (np.nan, 0.0, 0.0), 0, reason), Estimate(slope, (np.nan, 0.0, 0.0), 0, reason)
    on_slope = left * centred / spread
    return _estimate(level, left - m.mean() * on_slope, horizon), _estimate(slope, on_slope, horizon)


def _estimate(value: float, influence: Floats, horizon: int) -> Estimate:
    if reason := objection(value, influence, horizon):
        return Estimate(value, (np.nan, 0.0, 0.0), 0, reason)
    weights = cosine_weights(influence, horizon)
    return Estimate(value, (float(np.mean(weights**2)) / len(influence), 0.0, 0.0), len(weights))
