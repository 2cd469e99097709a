"""Innovations of a series: the residual of each session given its own past and the bars, and its correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Floats = npt.NDArray[np.floating[Any]]
LEAST_SESSIONS = 100
LEAST_SHARE_CHANGED = 0.5
LEAST_CHANGES_OF_TWO = 50
SPANNED = 1e-10
"""Share of a regressor's size below which what others leave of it is rounding."""


@dataclass(frozen=True)
class Statistic:
    """Associations of one series.

    Attributes
    ----------
    rows
        Sessions compared.
    innovation
        Normal scores of what its past leaves of it, (rows,).
    z, correlation
        Robust statistic and partial rank correlation with each of `targets_of`, (targets,).
    now
        Partial correlation with the return of its own session.
    """

    rows: npt.NDArray[np.intp]
    innovation: Floats
    z: Floats
    correlation: Floats
    now: float


class Innovations:
    """Residuals of series and targets on the same past.

    Parameters
    ----------
    past
        (sessions, regressors), a constant first, then the session's own return.
    scores
        Normal scores of the targets (sessions, targets).
    complete
        Sessions (sessions,) of which all of both are known.
    lags
        Of each target, over how many sessions its products with a series may depend on each other (targets,).
    """

    def __init__(
        self, past: Floats, scores: Floats, complete: npt.NDArray[np.bool_], lags: npt.NDArray[np.intp]
    ) -> None:
        self._past, self._scores, self._complete, self._lags = past, scores, complete, lags
        self._return = past[:, 1]
        self._bases: dict[bytes, tuple[Floats, Floats]] = {}

    def statistic(self, values: Floats) -> Statistic | str:
        """Return the associations of a series (sessions,), NaN where not known; or why it cannot be tested."""
        carried = pd.Series(values).ffill().to_numpy()
        one, two = before(carried, 1), before(carried, 2)
        known = self._complete & ~np.isnan(values) & ~np.isnan(two)
        if known.sum() < LEAST_SESSIONS:
            return f"known in {int(known.sum())} sessions, {LEAST_SESSIONS} are needed"
        changed = known & (values != one)
        if changed.sum() < LEAST_SHARE_CHANGED * known.sum():
            binary = len(np.unique(values[known])) <= 2  # a change says which: all sessions are compared
            least_changed = LEAST_CHANGES_OF_TWO if binary else LEAST_SESSIONS
            if changed.sum() < least_changed:
                return f"changes in {int(changed.sum())} sessions, {least_changed} are needed"
            known = known if binary else changed
        rows = np.flatnonzero(known)
        everything, without_return = (_with(basis, one[rows], two[rows]) for basis in self._of_rows(known))
        rest = residual(values[rows], everything)
        if not rest.std() > 1e-9 * values[rows].std():
            return "follows exactly from its past and the bars up to the session"
        innovation = normal_scores(rest[:, None])[:, 0]
        outcome = residual(self._scores[rows], everything)
        z, correlation = _association(innovation, outcome, self._lags)
        # The session's own return is part of the past: for it the innovation is taken without it.
        _, now = _association(
            normal_scores(residual(values[rows], without_return)[:, None])[:, 0],
            residual(normal_scores(self._return[rows][:, None]), without_return),
            np.zeros(1, dtype=np.intp),
        )
        return Statistic(rows, innovation, z, correlation, float(now[0]))

    def _of_rows(self, known: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the basis of the past in some sessions, and that without the session's own return.

        Series that are known in the same sessions, as most are, share both.
        """
        key = known.tobytes()
        if key not in self._bases:
            without_return = orthonormal_basis(np.delete(self._past[known], 1, axis=1))
            self._bases[key] = _with(without_return, self._return[known]), without_return
        return self._bases[key]


def _with(basis: Floats, *columns: Floats) -> Floats:
    """Return an orthonormal basis that spans some columns too; one that is spanned already is left out."""
    for column in columns:
        centred = column - column.mean()
        rest = residual(residual(centred, basis), basis)  # twice: once leaves what rounding brought back
        size = float(np.linalg.norm(rest))
        if size > SPANNED * float(np.linalg.norm(centred)):
            basis = np.column_stack([basis, rest / size])
    return basis


def standard_errors(innovation: Floats, outcome: Floats, lags: npt.NDArray[np.intp]) -> Floats:
    """Return the standard errors of the sums of products of series and targets, under no association.

    They are consistent where the variance changes (White 1980). Of targets that overlap, the products of neighbouring
    sessions depend on each other as soon as the series does, too: of these the errors of Newey and West (1987) are
    taken, with the weights of Bartlett and of products about their mean, where they are larger.

    Parameters
    ----------
    innovation
        (sessions, series).
    outcome
        (sessions, targets).
    lags
        Sessions over which products may depend on each other (targets,); 0 where they do not.

    Returns
    -------
    numpy.ndarray
        (series, targets).
    """
    squares = (innovation**2).T @ (outcome**2)
    for target in np.flatnonzero(lags):
        products = innovation * outcome[:, target, None]
        products -= products.mean(axis=0)
        reach = int(lags[target])
        long_run = (products**2).sum(axis=0)
        for lag in range(1, min(reach, len(products) - 1) + 1):
            together = np.einsum("ts,ts->s", products[lag:], products[:-lag])
            long_run += 2 * (1 - lag / (reach + 1)) * together
        squares[:, target] = np.maximum(squares[:, target], long_run)
    return np.asarray(np.sqrt(squares))


def _association(innovation: Floats, outcome: Floats, lags: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    product = innovation @ outcome
    spread = standard_errors(innovation[:, None], outcome, lags)[0]
    size = np.sqrt((innovation @ innovation) * (outcome**2).sum(axis=0))
    z = np.divide(product, spread, out=np.zeros_like(product), where=spread > 0)
    return z, np.divide(product, size, out=np.zeros_like(product), where=size > 0)


def before(values: Floats, sessions: int) -> Floats:
    """Return the values `sessions` earlier, NaN before the start."""
    moved = np.full(len(values), np.nan)
    if sessions < len(values):
        moved[sessions:] = values[: len(values) - sessions]
    return moved


def orthonormal_basis(regressors: Floats) -> Floats:
    """Return an orthonormal basis (rows, rank) that spans a constant and the regressors (rows, regressors)."""
    spread = regressors.std(axis=0)
    scaled = np.column_stack(
        [
            np.ones(len(regressors)),
            (regressors[:, spread > 0] - regressors[:, spread > 0].mean(axis=0)) / spread[spread > 0],
        ]
    )
    left, size, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(left[:, size > SPANNED * size[0]])


def residual(values: Floats, basis: Floats) -> Floats:
    """Return what a regression on an orthonormal basis leaves of values, (rows,) or (rows, columns)."""
    return np.asarray(values - basis @ (basis.T @ values))


def normal_scores(values: Floats) -> Floats:
    """Return the normal scores of each column, (sessions, columns); ties share a rank, NaN stays NaN."""
    known = (~np.isnan(values)).sum(axis=0)
    ranks = stats.rankdata(values, axis=0, nan_policy="omit")
    with np.errstate(all="ignore"):
        return np.asarray(stats.norm.ppf((ranks - 0.5) / known))
