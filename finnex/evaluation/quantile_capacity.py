"""How much capital a portfolio of fifths could trade before it is too large a share of what is traded anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.characteristics import LEAST_KNOWN, NO_VOLUME, SIZE_SESSIONS, check_volume
from finnex.evaluation.portfolio import Floats
from finnex.evaluation.score_panel import before
from finnex.evaluation.session_means import plain

SHARE = 0.01


@dataclass(frozen=True)
class Capacity:
    """The capital at which a portfolio takes no more than a share of each company's usual volume.

    Attributes
    ----------
    share
        Of a company's median dollar volume of the 63 sessions before a trade, in (0, 1].
    tightest, median
        Capital on the session that allows least, and on the median session, in the currency of the volume; NaN where
        there is none.
    tightest_day, tightest_symbol
        ISO date of that session, and the company that binds; empty where there is none.
    sessions, unknown
        Sessions with trades whose volumes are all known, and those that are left out because one is not.
    reason
        Why there is none, in words; empty where there is.
    """

    share: float
    tightest: float
    median: float
    tightest_day: str
    tightest_symbol: str
    sessions: int
    unknown: int
    reason: str = ""

    def record(self) -> dict[str, Any]:
        """Return plain values; None where there is none."""
        return {
            "share": self.share, "tightest": plain(self.tightest), "median": plain(self.median),
            "tightest_day": self.tightest_day, "tightest_symbol": self.tightest_symbol, "sessions": self.sessions,
            "sessions_unknown": self.unknown, "reason": self.reason,
        }  # fmt: skip

    def words(self) -> list[str]:
        """Say how much it is, and what that assumes."""
        if self.reason:
            return [f"No capacity: {self.reason}."]
        left_out = f" {self.unknown} sessions are left out, as a volume is not known." if self.unknown else ""
        return [
            f"Capacity of the long-short portfolio at {self.share:.0%} of each company's median dollar volume of "
            f"{SIZE_SESSIONS} sessions: {self.median:,.0f} on the median of {self.sessions} sessions, "
            f"{self.tightest:,.0f} on the tightest ({self.tightest_symbol} on {self.tightest_day}). It assumes that a "
            "bar's volume can be had at its open and close, that orders move no price, and that short sales are "
            f"possible.{left_out}"
        ]


def trades(prices: SessionPrices, positions: Floats, horizon: int) -> Floats:
    """Return what a portfolio trades in each company and session, as a share of its wealth.

    Parameters
    ----------
    prices
        Of the sessions and companies.
    positions
        (sessions, companies) decided on at the close of each session, -1 to 1; NaN where nothing was decided.
    horizon
        Sessions held, 1 or more.

    Returns
    -------
    ndarray
        (sessions, companies) bought plus sold at the session's open and close, 0 or more.

    Notes
    -----
    Sub-portfolios, weights, and what is kept are those of `finnex.evaluation.portfolio.simulate`: where prices do not
    move and nothing is paid, sums over companies are `Course.traded`. Here the sub-portfolios' capitals stay equal and
    prices' drift within a holding is left out; an exit that waits for a bar is counted in the session it was due.

    Examples
    --------
    >>> days, still = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]"), np.ones((3, 2))
    >>> held = np.array([[1.0, -1.0], [1.0, np.nan], [np.nan, np.nan]])
    >>> trades(SessionPrices(days, ("A", "B"), still, still), held, 1).tolist()  # A is kept, and then all of it
    [[0.0, 0.0], [0.5, 1.0], [1.5, 0.0]]
    """
    decided = np.flatnonzero(~np.isnan(positions).all(axis=1))
    if len(decided) == 0:
        return np.zeros(positions.shape)
    count = min(horizon, int(decided[-1] - decided[0]) + 1)
    # Weights of the decision of session t, entered at the open of t + 1 where there is a bar.
    bar = np.vstack([~np.isnan(prices.open[1:]), np.zeros((1, positions.shape[1]), dtype=bool)])
    asked = ~np.isnan(positions) & bar
    weight = np.where(asked, np.nan_to_num(positions), 0.0) / np.maximum(asked.sum(axis=1, keepdims=True), 1) / count
    goal = np.sign(np.nan_to_num(positions))
    old = np.nan_to_num(before(weight, horizon))  # of the same sub-portfolio, which leaves it at this close
    left = np.where(np.sign(old) != goal, np.abs(old), 0.0)
    entered = np.where(bar, np.abs(weight - np.where(left > 0, 0.0, old)), 0.0)
    return np.asarray(np.nan_to_num(before(entered, 1)) + left)


def capacity(
    prices: SessionPrices, positions: Floats, horizon: int, dollar_volume: Floats | None, share: float = SHARE
) -> Capacity:
    """Return the capital that a portfolio could have traded.

    Parameters
    ----------
    prices
        Of the sessions and companies.
    positions
        (sessions, companies) as `trades` takes them.
    horizon
        Sessions held, 1 or more.
    dollar_volume
        (sessions, companies) close times shares traded, in one currency; NaN without a bar. None where not known.
    share
        Of the median dollar volume that may be taken, in (0, 1].

    Returns
    -------
    Capacity
        Of each session the least over companies of share times median volume over the traded share of wealth.

    Raises
    ------
    TrainingError
        A share outside (0, 1], or a volume that is not one of the prices' bars.

    Notes
    -----
    The median is of the 63 sessions that end before the session of the trade; two thirds must be known. A company that
    is hardly ever traded has a median of 0, and so has the capacity.

    Examples
    --------
    >>> days, still = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]"), np.ones((60, 2))
    >>> held = np.where(np.arange(60)[:, None] == 50, [[1.0, -1.0]], np.nan)
    >>> capacity(SessionPrices(days, ("A", "B"), still, still), held, 1, 1000 * still).tightest  # each half, twice
    10.0
    """
    if not 0 < share <= 1:
        raise TrainingError(
            f"capacity: share {share:g} of volume is not above 0 and at most 1. Give one such as {SHARE:g}."
        )
    none = Capacity(share, float("nan"), float("nan"), "", "", 0, 0)
    if dollar_volume is None:
        return Capacity(**{**vars(none), "reason": NO_VOLUME})
    check_volume(dollar_volume, prices)
    traded = trades(prices, positions, horizon)
    window = pd.DataFrame(dollar_volume).rolling(SIZE_SESSIONS, min_periods=int(np.ceil(LEAST_KNOWN * SIZE_SESSIONS)))
    usual = before(window.median().to_numpy(), 1)
    active = traded > 1e-12
    allowed = np.where(active, share * usual / np.where(active, traded, 1.0), np.inf)  # NaN: volume not known
    limit, trading = allowed.min(axis=1), active.any(axis=1)
    known = trading & ~np.isnan(limit)
    unknown = int((trading & ~known).sum())
    if not known.any():
        reason = (
            f"no session with trades has a known median volume of {SIZE_SESSIONS} sessions" if unknown else "no trades"
        )
        return Capacity(**{**vars(none), "unknown": unknown, "reason": reason})
    day = int(np.argmin(np.where(known, limit, np.inf)))
    return Capacity(
        share=share,
        tightest=float(limit[day]),
        median=float(np.median(limit[known])),
        tightest_day=str(prices.days[day]),
        tightest_symbol=prices.symbols[int(np.argmin(allowed[day]))],
        sessions=int(known.sum()),
        unknown=unknown,
    )
