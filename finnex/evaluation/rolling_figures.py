"""Volatility and Sharpe ratio over a window that moves along."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.evaluation.portfolio import Course

WINDOW_SESSIONS = 126
"""Half a year."""
NO_SPREAD = 1e-12
"""Standard deviation of daily returns up to which they count as all the same, as `ratio_estimate` counts them."""
Floats = npt.NDArray[np.float64]


def rolling_figures(course: Course, sessions_per_year: float, window: int = WINDOW_SESSIONS) -> tuple[Floats, Floats]:
    """Return the Sharpe ratio and the volatility a year of the window that ends at each session.

    Parameters
    ----------
    course
        Of a portfolio.
    sessions_per_year
        Above 0.
    window
        Sessions, 2 or more.

    Returns
    -------
    tuple of ndarray
        (sessions,) each. NaN in the sessions before the first whole window and after a bankruptcy; of the Sharpe ratio
        also where the returns of the window are all the same.
    """
    count, active = len(course.days), course.active_sessions
    sharpe, volatility = np.full(count, np.nan), np.full(count, np.nan)
    if active >= window:
        windows = np.lib.stride_tricks.sliding_window_view(course.returns[:active], window)
        mean, spread = windows.mean(axis=1), windows.std(axis=1, ddof=1)
        ratio = np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > NO_SPREAD)
        sharpe[window - 1 : active] = ratio * np.sqrt(sessions_per_year)
        volatility[window - 1 : active] = spread * np.sqrt(sessions_per_year)
    return sharpe, volatility
