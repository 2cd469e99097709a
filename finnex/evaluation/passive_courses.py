"""What the same companies would have earned without a model: bought and held, or held in equal parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.evaluation.passive_positions import buy_and_hold_positions, equal_weight_positions
from finnex.evaluation.portfolio import Course, simulate
from finnex.evaluation.trading import BUY_AND_HOLD

Floats = npt.NDArray[np.float64]
EQUAL_WEIGHT = "equal_weight"


def passive_courses(
    prices: SessionPrices, positions: Floats, *, horizon: int, settings: TradingSettings | None = None
) -> dict[str, Course]:
    """Return the courses of both benchmarks of a strategy, on its sessions and at its costs.

    Parameters
    ----------
    prices
        That the strategy was simulated on.
    positions
        (sessions, companies) of the strategy: which companies, and from when to when.
    horizon
        Sessions that the strategy holds a position.
    settings
        Costs and borrow fee.

    Returns
    -------
    dict of str to Course
        `buy_and_hold`: bought equally at the first entry, sold at the last exit. `equal_weight`: equal parts again at
        each entry, in sub-portfolios that take turns as the strategy's do.

    Raises
    ------
    ValueError
        As `finnex.evaluation.portfolio.simulate`.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    >>> close = np.array([[10.0, 10.0], [10.0, 10.0], [20.0, 10.0], [10.0, 10.0]])
    >>> prices = SessionPrices(days, ("A", "B"), close, close)
    >>> positions = np.array([[1.0, -1.0], [1.0, -1.0], [np.nan, np.nan], [np.nan, np.nan]])
    >>> free = TradingSettings(cost_bps=0, borrow_fee_per_year=0)
    >>> found = passive_courses(prices, positions, horizon=2, settings=free)
    >>> {name: course.wealth.tolist() for name, course in found.items()}
    {'buy_and_hold': [1.0, 1.5, 1.0], 'equal_weight': [1.0, 1.25, 1.125]}
    """
    settings = settings or TradingSettings()
    held, sessions = buy_and_hold_positions(positions, horizon)
    found = {BUY_AND_HOLD: (held, sessions), EQUAL_WEIGHT: (equal_weight_positions(positions), horizon)}
    return {
        name: simulate(
            prices, own, horizon=length, cost_bps=settings.cost_bps,
            borrow_fee_per_year=settings.borrow_fee_per_year, sessions_per_year=prices.sessions_per_year,
        )
        for name, (own, length) in found.items()
    }  # fmt: skip
