"""A portfolio that acts on decisions, valued at every close: cash, shares, costs and borrow fees.

A decision at the close of session t is entered at the open of t+1 and left at the close of t+h (`finnex.data.labels`).
Decisions of successive sessions overlap, so the capital is split into h sub-portfolios which take turns, each with a
decision in every h-th session (Jegadeesh and Titman, Returns to Buying Winners and Selling Losers, 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices

BASIS_POINT = 1e-4
MOST_COST_BPS = 1000.0
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Course:
    """What a portfolio was worth, from the session after the first decision to the last exit.

    Attributes
    ----------
    days
        (sessions,) `datetime64[D]`.
    wealth
        (sessions,) at each close, after all that was paid, in multiples of the capital before the first trade; 0 or
        more. Once it is 0 it stays 0.
    returns
        (sessions,) change of the wealth since the close before, as a share of that; 0 after a bankruptcy.
    traded
        (sessions,) value bought plus value sold, as a share of the wealth at the close before.
    bankrupt
        Session at whose open or close nothing was left; None where something always was.
    """

    days: Days
    wealth: Floats
    returns: Floats
    traded: Floats
    bankrupt: np.datetime64 | None

    @property
    def active_sessions(self) -> int:
        """Sessions up to and including the bankruptcy; all where there was none."""
        return len(self.days) if self.bankrupt is None else int(np.searchsorted(self.days, self.bankrupt)) + 1


def simulate(
    prices: SessionPrices,
    positions: Floats,
    *,
    horizon: int,
    cost_bps: float,
    borrow_fee_per_year: float,
    sessions_per_year: float,
) -> Course:
    """Return the course of a portfolio.

    Parameters
    ----------
    prices
        Of every session that decisions reach to; a shorter table ends the simulation at its last close.
    positions
        (sessions, companies) decided on at the close of each session: -1 sold short to 1 bought, NaN where nothing was
        decided.
    horizon
        Sessions held, 1 or more.
    cost_bps
        Paid on each amount that is bought or sold, in hundredths of a percent, 0 to 1000.
    borrow_fee_per_year
        Paid on what is short at a close, as a share of its value, 0 or more.
    sessions_per_year
        By which the fee is divided for one session.

    Returns
    -------
    Course
        Wealth, returns and trades at every close, from the session after the first decision to the last exit.

    Raises
    ------
    ValueError
        Shapes that disagree, no decision, no session after the first decision, a value outside its range.

    Notes
    -----
    There are h sub-portfolios of equal capital, or as many as there are sessions with decisions where those are fewer.
    When its turn comes a sub-portfolio spreads its own wealth equally over the companies that were decided on and have
    a bar, times their positions; costs come out of that wealth. A position that the next decision of its sub-portfolio
    continues with the same sign is not left at the close: only the difference is traded at the open. All amounts that
    sub-portfolios trade in a company at one moment are netted, as is what they are short of it. A company without a bar
    is neither bought nor sold and is valued at its last price: an entry lapses, an exit waits for the next open or
    close that there is. Wealth at or below zero, at an open or a close, is a bankruptcy.
    """
    _check(prices, positions, horizon, cost_bps, borrow_fee_per_year, sessions_per_year)
    decided = np.flatnonzero(~np.isnan(positions).all(axis=1))
    first, last = int(decided[0]), int(decided[-1])
    end = min(last + horizon, len(prices.days) - 1)
    count = min(horizon, last - first + 1)
    book = _Book(count, positions.shape[1], cost_bps * BASIS_POINT, borrow_fee_per_year / sessions_per_year)
    wealth, traded = np.zeros(end - first), np.zeros(end - first)
    before, bankrupt = 1.0, None
    book.decide(0, positions[first])
    for session in range(first + 1, end + 1):
        bar = ~np.isnan(prices.close[session])
        entering = positions[session - 1] if session - 1 <= last else None
        book.open(prices.open[session], bar, (session - 1 - first) % count, entering)
        if not book.broke:
            book.close(prices.close[session], bar)
            if (leaving := session - horizon - first) >= 0:
                book.decide(leaving % count, np.full(positions.shape[1], np.nan))
            if session <= last:
                book.decide((session - first) % count, positions[session])
            book.leave(bar)
        traded[session - first - 1] = book.traded / before
        if book.broke or book.wealth() <= 0:
            bankrupt = prices.days[session]
            break
        wealth[session - first - 1] = before = book.wealth()
    days = prices.days[first + 1 : end + 1]
    previous = np.concatenate([[1.0], wealth[:-1]])
    returns = np.where(previous > 0, wealth / np.where(previous > 0, previous, 1.0) - 1, 0.0)
    return Course(days, wealth, returns, traded, bankrupt)


def _check(
    prices: SessionPrices, positions: Floats, horizon: int, cost_bps: float, borrow: float, sessions_per_year: float
) -> None:
    if positions.shape != prices.close.shape:
        raise ValueError(f"positions {positions.shape} are not of the prices' shape {prices.close.shape}")
    known = positions[~np.isnan(positions)]
    if len(known) == 0:
        raise ValueError("nothing was decided")
    if np.abs(known).max() > 1:
        raise ValueError("a position is outside [-1, 1]")
    if np.isnan(positions[:-1]).all():
        raise ValueError("no session follows the first decision")
    if horizon < 1 or not 0 <= cost_bps <= MOST_COST_BPS or not borrow >= 0 or not sessions_per_year > 0:
        raise ValueError(
            f"horizon {horizon} is 1 or more, cost_bps {cost_bps} is 0 to {MOST_COST_BPS:g}, borrow_fee_per_year "
            f"{borrow} is 0 or more, sessions_per_year {sessions_per_year} is above 0"
        )


class _Book:
    """Cash and shares of the sub-portfolios, at the prices of the moment.

    Attributes
    ----------
    cash
        (sub-portfolios,) float64.
    shares
        (sub-portfolios, companies) float64, below zero where short.
    goal
        (sub-portfolios, companies) the sign of what is to be held.
    waiting
        (sub-portfolios, companies) what is held against the goal, because there was no bar.
    price
        (companies,) at which shares are valued; 0 before the first bar.
    traded
        Value bought and sold in the session.
    """

    def __init__(self, count: int, companies: int, cost: float, fee: float) -> None:
        self.cash = np.full(count, 1.0 / count)
        self.shares = np.zeros((count, companies))
        self.goal = np.zeros((count, companies))
        self.waiting = np.zeros((count, companies), dtype=bool)
        self.price = np.zeros(companies)
        self.held = np.zeros(companies)  # net shares of all sub-portfolios
        self.cost, self.fee = cost, fee
        self.traded, self.broke = 0.0, False

    def wealth(self) -> float:
        """Return the value of everything."""
        return float(self.cash.sum() + self.held @ self.price)

    def decide(self, number: int, positions: Floats) -> None:
        """Take note of what a sub-portfolio is to hold from now on."""
        self.goal[number] = np.sign(np.nan_to_num(positions))
        self.waiting[number] = (self.shares[number] != 0) & (np.sign(self.shares[number]) != self.goal[number])

    def open(self, opens: Floats, bar: Flags, number: int, positions: Floats | None) -> None:
        """Value at the open, leave what waited for a bar, and enter a sub-portfolio's decision."""
        self.traded = 0.0
        self.price = np.where(bar, opens, self.price)
        if self.wealth() <= 0:
            self.broke = True
            return
        rows, wanted = self._exits(bar)
        if positions is not None:
            if number not in rows:
                rows, wanted = np.append(rows, number), np.vstack([wanted, self.shares[number]])
            wanted[np.flatnonzero(rows == number)[0]] = self._entry(number, positions, bar)
        self._trade(rows, wanted)

    def close(self, closes: Floats, bar: Flags) -> None:
        """Value at the close, and pay for what is short."""
        self.price = np.where(bar, closes, self.price)
        if self.fee > 0 and (self.held < 0).any():
            short = np.maximum(-self.shares, 0.0)
            total = short.sum(axis=0)
            owed = self.fee * np.maximum(-self.held, 0.0) * self.price
            self.cash -= short @ np.divide(owed, total, out=np.zeros_like(owed), where=total > 0)

    def leave(self, bar: Flags) -> None:
        """Leave what is not to be held, at the price of the moment."""
        self._trade(*self._exits(bar))

    def _exits(self, bar: Flags) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return the sub-portfolios that leave something, and their shares afterwards."""
        rows = np.flatnonzero(self.waiting.any(axis=1))
        leaving = self.waiting[rows] & bar
        self.waiting[rows] &= ~bar
        return rows, np.where(leaving, 0.0, self.shares[rows])

    def _entry(self, number: int, positions: Floats, bar: Flags) -> Floats:
        """Return the shares that a sub-portfolio is to hold after its decision."""
        asked = bar & ~np.isnan(positions)
        value = self.shares[number] * self.price
        weight = np.where(asked, np.nan_to_num(positions), 0.0) / max(1, int(asked.sum()))
        # What cannot be traded is invested already.
        capital = max(0.0, float(self.cash[number] + value.sum() - np.abs(value[~bar]).sum()))
        left = after_costs(capital, weight[bar], value[bar], self.cost)
        wanted = self.shares[number].copy()
        wanted[bar] = weight[bar] * left / self.price[bar]
        return np.asarray(wanted)

    def _trade(self, rows: npt.NDArray[np.intp], wanted: Floats) -> None:
        """Bring sub-portfolios to their shares: costs are paid on the net amount of each company, shared by gross."""
        if len(rows) == 0:
            return
        change = wanted - self.shares[rows]
        size = np.abs(change)
        gross = size.sum(axis=0)
        net = change.sum(axis=0)
        amount = np.abs(net) * self.price
        rate = np.divide(self.cost * amount, gross, out=np.zeros_like(amount), where=gross > 0)
        self.cash[rows] -= change @ self.price + size @ rate
        self.shares[rows] = wanted
        self.held = self.shares.sum(axis=0)
        self.traded += float(amount.sum())


def after_costs(capital: float, weight: Floats, value: Floats, cost: float) -> float:
    """Return the wealth W at which positions of weight * W are reached from values, costs paid.

    It is the fixed point of W = capital - cost * sum |weight * W - value|, or 0 where costs take everything. Weights'
    magnitudes sum to 1 at most, so each step comes closer by a factor of `cost`.

    Parameters
    ----------
    capital
        Wealth before costs, 0 or more.
    weight
        (companies,) signed weights; their magnitudes sum to 1 at most.
    value
        (companies,) signed value of what is held, in the unit of `capital`.
    cost
        Paid on each amount traded, as a share of it.

    Returns
    -------
    float
        W, in the unit of `capital`.
    """
    left = capital
    for _ in range(60):
        found = max(0.0, capital - cost * float(np.abs(weight * left - value).sum()))
        if abs(found - left) <= 4e-16 * capital:
            return found
        left = found
    return left
