"""Fundamental features: growth, margins, returns, leverage and valuation, as filed by each session's close."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from finnex.data.calendar import Days, SessionCalendar
from finnex.data.features.context import Context, Features
from finnex.data.features.section import Section
from finnex.data.names import METRICS
from finnex.data.point_in_time import Floats, as_of, known_from
from finnex.data.readers import ORIGIN_PRECEDENCE

MAX_AGE = 130  # sessions: two quarters without a filing, then the figures are not current
SPLIT_JUMP = 1.35
"""A quarter's change of the share count beyond this factor is a split, not an issue. Without a table of splits the
count is carried through it, because prices are split-adjusted; levels of market value are then known up to a constant
factor only."""
AROUND_SPLIT = np.timedelta64(30, "D")
"""How long after a split a filing may still count the shares before it: the count is of some day before the filing."""
Quarters = dict[int, dict[str, tuple[int, float]]]
"""Quarter end in days since 1970 to metric to (rank of its origin, value)."""


Views = tuple[Floats, dict[str, Floats]]
"""Sessions at which something became known, and every derived figure as it then stood: see `views`."""


def views(own: pd.DataFrame, calendar: SessionCalendar) -> Views:
    """Return the sessions at which something became known of a company, and every derived figure as it then stood.

    Rows are taken in the order of their availability. Where two origins report one quarter, the more trusted one
    is believed; a later row of the same origin is a restatement and counts from its own filing on.

    Parameters
    ----------
    own
        The company's rows of the table of fundamentals.
    calendar
        Sessions.

    Returns
    -------
    known
        Session positions, ascending, one a filing.
    figures
        Name to one value per filing.
    """
    if own.empty:
        return np.array([], dtype="float64"), {}
    known = known_from(own["available"], own["available_is_date"], calendar)
    order = np.argsort(known, kind="stable")
    ranks = {name: rank for rank, name in enumerate(ORIGIN_PRECEDENCE)}
    columns = [name for name in METRICS if name in own.columns]
    values = {name: own[name].to_numpy(dtype="float64") for name in columns}
    ends = own["period_end"].to_numpy().astype("datetime64[D]").astype("int64")
    origins = own["origin"].to_numpy()
    quarters: Quarters = {}
    rows = []
    for row in order:
        if known[row] >= len(calendar):
            break
        rank = ranks.get(str(origins[row]), len(ranks))
        quarter = quarters.setdefault(int(ends[row]), {})
        for name in columns:
            value = values[name][row]
            if not np.isnan(value) and rank <= quarter.get(name, (rank, 0.0))[0]:
                quarter[name] = (rank, float(value))
        rows.append((known[row], _latest(quarters)))
    names = rows[0][1].keys() if rows else ()
    figures = {name: np.array([figure[name] for _, figure in rows]) for name in names}
    return np.array([position for position, _ in rows]), figures


def _latest(quarters: Quarters) -> dict[str, float]:
    """Return each figure as of the newest quarter that has it, at most one quarter behind the newest.

    A filing may bring a few figures first and the others later; those are then as of the quarter before.
    """
    newest = max(quarters)
    found = _figures(quarters, newest)
    earlier = [end for end in quarters if 60 <= newest - end <= 120]
    if earlier and any(np.isnan(value) for value in found.values()):
        before = _figures(quarters, max(earlier))
        found = {name: before[name] if np.isnan(value) else value for name, value in found.items()}
    return found


def _figures(quarters: Quarters, newest: int) -> dict[str, float]:
    """Return what follows from the quarters up to `newest`; NaN where a figure or an earlier quarter is missing."""
    # Fiscal quarters end within four weeks of a multiple of 91 days before the newest: years of 52 or 53 weeks may
    # have three quarters of 12 weeks and one of 17.
    near_enough, history = 28, []
    recent = [end for end in quarters if newest - 91 * 7 - near_enough <= end <= newest + near_enough]
    for back in range(8):
        wanted = newest - 91 * back
        near = min(recent, key=lambda end: abs(end - wanted))
        history.append(quarters[near] if abs(near - wanted) <= near_enough else {})

    def at(name: str, back: int) -> float:
        return history[back].get(name, (0, np.nan))[1]

    def year(name: str, back: int = 0) -> float:
        return at(name, back) + at(name, back + 1) + at(name, back + 2) + at(name, back + 3)

    def growth(now: float, before: float) -> float:
        # Symmetric, so that a loss turning into a profit stays finite: in [-2, 2].
        size = (abs(now) + abs(before)) / 2
        return (now - before) / size if size > 0 else np.nan

    def ratio(top: float, bottom: float) -> float:
        return top / bottom if bottom > 0 else np.nan

    def margin(name: str, back: int = 0) -> float:
        return ratio(at(name, back), at("revenue", back))

    free = at("operating_cf", 0) - abs(at("capex", 0))
    if np.isnan(free):
        free = at("free_cash_flow", 0)
    growth_now = growth(at("revenue", 0), at("revenue", 4))
    found = {
        "revenue_growth_yoy": growth_now,
        "revenue_growth_qoq": growth(at("revenue", 0), at("revenue", 1)),
        "revenue_acceleration": growth_now - growth(at("revenue", 1), at("revenue", 5)),
        "gross_profit_growth_yoy": growth(at("gross_profit", 0), at("gross_profit", 4)),
        "operating_income_growth_yoy": growth(at("operating_income", 0), at("operating_income", 4)),
        "net_income_growth_yoy": growth(at("net_income", 0), at("net_income", 4)),
        "operating_cash_growth_yoy": growth(at("operating_cf", 0), at("operating_cf", 4)),
        "asset_growth_yoy": growth(at("total_assets", 0), at("total_assets", 4)),
        "equity_growth_yoy": growth(at("equity", 0), at("equity", 4)),
        "gross_margin": margin("gross_profit"),
        "operating_margin": margin("operating_income"),
        "net_margin": margin("net_income"),
        "gross_margin_change_yoy": margin("gross_profit") - margin("gross_profit", 4),
        "operating_margin_change_yoy": margin("operating_income") - margin("operating_income", 4),
        "net_margin_change_yoy": margin("net_income") - margin("net_income", 4),
        "operating_cash_margin": margin("operating_cf"),
        "free_cash_margin": ratio(free, at("revenue", 0)),
        "return_on_equity": ratio(year("net_income"), at("equity", 0)),
        "return_on_assets": ratio(year("net_income"), at("total_assets", 0)),
        "return_on_assets_change_yoy": ratio(year("net_income"), at("total_assets", 0))
        - ratio(year("net_income", 4), at("total_assets", 4)),
        "asset_turnover": ratio(year("revenue"), at("total_assets", 0)),
        "equity_to_assets": ratio(at("equity", 0), at("total_assets", 0)),
        "debt_to_assets": ratio(at("total_debt", 0), at("total_assets", 0)),
        "accruals": ratio(at("net_income", 0) - at("operating_cf", 0), at("total_assets", 0)),
        "capex_intensity": ratio(abs(at("capex", 0)), at("revenue", 0)),
        "_revenue_year": year("revenue"),
        "_income_year": year("net_income"),
        "_book": at("equity", 0),
        "_cash_year": year("operating_cf"),
        "_shares": at("shares_outstanding", 0),
    }  # fmt: skip
    signs = [
        np.sign(found[name])
        for name in (
            "revenue_growth_yoy",
            "net_income_growth_yoy",
            "operating_margin_change_yoy",
            "operating_cash_growth_yoy",
            "return_on_assets_change_yoy",
        )
    ]
    known = [sign for sign in signs if not np.isnan(sign)]
    found["fundamental_momentum"] = float(sum(known) / len(known)) if known else np.nan
    return found


def split_free(shares: Floats) -> Floats:
    """Return the share count with every jump beyond `SPLIT_JUMP` taken out, relative to its first value."""
    index, last = np.full(len(shares), np.nan), np.nan
    level = 1.0
    for position, count in enumerate(shares):
        if np.isnan(count) or count <= 0:
            index[position] = level if not np.isnan(last) else np.nan
            continue
        if not np.isnan(last):
            step = count / last
            level *= step if 1 / SPLIT_JUMP < step < SPLIT_JUMP else 1.0
        last = count
        index[position] = level
    return index


def on_prices_basis(shares: Floats, filed: Days, splits: pd.DataFrame) -> Floats:
    """Return share counts on the basis of the split-adjusted prices; NaN where a count fits no basis.

    A filing counts shares as they were then, so it is multiplied by every later split; around a split it may count
    those before it, and a provider may have multiplied it already. Of these, the first one counts that continues the
    count before it. Prices carry splits that came after the
    session, and so must the count: their product is the market value of the day, with or without later splits.

    Parameters
    ----------
    shares
        (filings,) as filed, NaN where none.
    filed
        (filings,) when they were filed, ascending.
    splits
        date and ratio of one symbol's splits.
    """
    dates, ratios = splits["date"].to_numpy().astype("datetime64[D]"), splits["ratio"].to_numpy(dtype="float64")
    matched, last = np.full(len(shares), np.nan), np.nan
    for position, (count, day) in enumerate(zip(shares, filed, strict=True)):
        if np.isnan(count) or count <= 0:
            continue
        as_filed = count * float(np.prod(ratios[dates > day]))
        recent = dates[(dates <= day) & (dates > day - AROUND_SPLIT)][::-1]  # the newest first
        before = [count * float(np.prod(ratios[dates >= split])) for split in recent]
        bases = (as_filed, *before, count)
        fitting = [one for one in bases if np.isnan(last) or 1 / SPLIT_JUMP < one / last < SPLIT_JUMP]
        if fitting:
            matched[position] = fitting[0]
        last = fitting[0] if fitting else as_filed  # a count that stays where it jumped to counts from the next filing
    return matched


def fundamental(context: Context) -> Features:
    """Return fundamental and valuation features on all sessions; NaN without a filing of the last half year."""
    known, figures = context.section.of_each(company_views, context.symbol)
    return _spread(context, known, figures, market_value(context.section, context.symbol))


def company_views(section: Section, symbol: str) -> Views:
    """Return the `views` of a company of a section."""
    return views(section.tables.of("fundamentals", symbol), section.calendar)


def market_value(section: Section, symbol: str) -> Floats:
    """Return close times shares on all sessions: in currency with a table of splits, else up to a constant factor.

    Parameters
    ----------
    section
        Tables, calendar and closes.
    symbol
        A symbol of the section.

    Returns
    -------
    numpy.ndarray
        (sessions,) float64; NaN where no number of shares is known, or the last one is older than `MAX_AGE` sessions.
    """
    known, figures = section.of_each(company_views, symbol)
    if "_shares" not in figures:
        return np.full(section.sessions, np.nan)
    positions = known.astype(np.intp)
    if section.tables.splits is None:
        shares, closes = split_free(figures["_shares"]), section.closes(symbol)
    else:
        filed = section.calendar.days[positions]
        shares = on_prices_basis(figures["_shares"], filed, section.tables.of("splits", symbol))
        closes = section.quotes(symbol)
    value: Floats = closes.to_numpy(dtype="float64") * as_of(positions, shares, section.sessions, MAX_AGE)
    return value


def _spread(context: Context, known: Floats, figures: Mapping[str, Floats], value: Floats) -> Features:
    sessions = context.sessions
    nothing = np.full(sessions, np.nan)
    positions = known.astype(np.intp)

    def spread(name: str) -> Floats:
        return as_of(positions, figures[name], sessions, MAX_AGE) if name in figures else nothing

    found = {name: spread(name) for name in FIGURE_NAMES}
    for name, figure in (
        ("sales", "_revenue_year"),
        ("earnings", "_income_year"),
        ("book", "_book"),
        ("cash", "_cash_year"),
    ):
        amount = spread(figure)
        ratio = np.divide(amount, value, out=np.full(sessions, np.nan), where=value > 0)
        # Sales are positive: their logarithm spreads evenly. The others may be losses and stay ratios.
        found[f"{name}_to_price"] = np.log(np.where(ratio > 0, ratio, np.nan)) if name == "sales" else ratio
    price_per_sale = pd.Series(-found["sales_to_price"])
    found["valuation_change_60"] = (price_per_sale - price_per_sale.shift(60)).to_numpy()
    found["valuation_change_20"] = (price_per_sale - price_per_sale.shift(20)).to_numpy()
    return found


FIGURE_NAMES = tuple(name for name in [*_figures({0: {}}, 0)] if not name.startswith("_"))
