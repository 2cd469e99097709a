"""Courses of portfolios from returns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.evaluation.portfolio import Course

Floats = npt.NDArray[np.float64]


def course_of(
    returns: Floats | list[float], traded: Floats | list[float] | None = None, begin: str = "2020-01-01"
) -> Course:
    """Return the course of returns on successive days; -1 is a bankruptcy, after which only zeros may follow."""
    moves = np.asarray(returns, dtype=float)
    days = np.datetime64(begin) + np.arange(len(moves))
    broke = np.flatnonzero(moves == -1)
    value = np.zeros(len(moves)) if traded is None else np.asarray(traded, dtype=float)
    return Course(days, np.cumprod(1 + moves), moves, value, days[broke[0]] if len(broke) else None)


def noise(seed: int, sessions: int, mean: float = 0.0, spread: float = 0.01) -> Floats:
    return np.random.default_rng(seed).normal(mean, spread, sessions)
