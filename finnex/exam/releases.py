"""The slow tables of a random market: macro series with their release dates, filings, scheduled events, splits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days
from finnex.exam.hidden_paths import AMERICAN, PEERS, SYMBOL, ZONES, Floats, Paths, generator, wander

MONTHS_BEFORE, QUARTERS_BEFORE = 27, 14
"""How far the slow tables reach back before the first session, so that changes over a year are known on it."""
MONTHS_AHEAD = 24
MONTHLY = {
    "CPILFESL": ("cpi", 235.0, 0.0018, 0.0008),
    "UNRATE": ("jobs", 6.0, -0.003, 0.02), "PAYEMS": ("jobs", 140_000.0, 0.0014, 0.0006),
    "FEDFUNDS": ("first", 1.0, 0.0, 0.06), "AAA": ("first", 4.2, 0.0, 0.02), "BAA": ("first", 5.1, 0.0, 0.02),
}  # fmt: skip
"""Series to: how it is released, its level, and the mean and deviation of its log change in a month."""
DAILY = {"DGS3MO": (0.9, 0.010), "DGS2": (1.4, 0.035), "DGS10": (2.6, 0.050)}
"""Yields: level, and the deviation of a day's change in percentage points."""
FASTEST, SLOWEST = 25, 60
"""Days from the end of a period to its filing."""
SHORT_NOTICE = 0.6
"""Share of the months without a scheduled meeting in which one is called at short notice."""
SPLIT_SESSIONS = ((60, 130), (300, 380))
"""Where a market has its splits."""


def _moments(days: Days, clock: str) -> pd.DatetimeIndex:
    """Return a New York time of day on each day, in UTC."""
    local = pd.DatetimeIndex(days.astype("datetime64[ns]")) + pd.Timedelta(clock)
    return local.tz_localize(ZONES[AMERICAN]).tz_convert("UTC").tz_localize(None)


def _months(paths: Paths) -> npt.NDArray[np.datetime64]:
    # Past the last session too, as releases are scheduled ahead; what is not known yet is left out of the tables.
    first, last = paths.days[[0, -1]].astype("datetime64[M]")
    return np.arange(first - MONTHS_BEFORE, last + MONTHS_AHEAD)


def cpi_days(paths: Paths) -> Days:
    """Return the release day of each month's consumer prices: 10 to 15 days into the next month."""
    months = _months(paths)
    day = (months + 1).astype("datetime64[D]") + generator(paths.seed, "cpi").integers(9, 14, len(months))
    return np.busday_offset(day, 0, roll="forward")


def macro(paths: Paths) -> pd.DataFrame:
    """Return the macro table, as `finnex.data.market_readers.read_macro` gives it; rows up to the last close."""
    months, seed = _months(paths), paths.seed
    ended = (months + 1).astype("datetime64[D]")
    fridays = np.busday_offset(ended, 0, roll="forward", weekmask="Fri")
    released = {
        "cpi": (_moments(cpi_days(paths), "08:30:00"), False),
        "jobs": (_moments(fridays, "08:30:00"), False),
        "first": (pd.DatetimeIndex(np.busday_offset(ended, 1, roll="forward").astype("datetime64[ns]")), True),
    }
    parts = []
    for name, (how, level, drift, spread) in MONTHLY.items():
        value = level * np.exp(np.cumsum(drift + spread * generator(seed, name).standard_normal(len(months))))
        parts.append(_series(name, months.astype("datetime64[D]"), *released[how], value, 4))
    days, returns, expected = paths.american
    published = pd.DatetimeIndex(np.busday_offset(days, 1, roll="forward").astype("datetime64[ns]"))
    for name, (level, spread) in DAILY.items():
        steps = spread * generator(seed, name).standard_normal(len(days)) + 0.25 * spread / 0.01 * returns
        parts.append(_series(name, days, published, True, np.maximum(level + wander(steps, 0.999), 0.02), 2))
    oil = 70 * np.exp(np.cumsum(0.018 * generator(seed, "WTI").standard_normal(len(days)) + 0.5 * returns))
    parts.append(_series("WTI", days, published, True, oil, 2))
    # The market quotes: known at their own close, VIX a quarter of an hour later.
    fear = wander(0.04 * generator(seed, "VIX").standard_normal(len(days)) - 3.0 * returns, 0.9)
    quoted = pd.DatetimeIndex(days.astype("datetime64[ns]"))
    parts.append(_series("VIX", days, quoted, True, 100 * np.sqrt(252) * 1.15 * expected * np.exp(fear), 2))
    parts.append(_series("SP500", days, quoted, True, 2000 * np.exp(np.cumsum(returns)), 2))
    saturdays = np.arange(
        np.busday_offset(days[0] - 400, 0, roll="forward", weekmask="Sat"), days[-1] + 1, np.timedelta64(7, "D")
    )
    claims = 300_000 * np.exp(wander(0.03 * generator(seed, "ICSA").standard_normal(len(saturdays)), 0.95))
    parts.append(_series("ICSA", saturdays, _moments(saturdays + 5, "08:30:00"), False, claims, -3))
    table = pd.concat(parts, ignore_index=True)
    known = table["available"] <= pd.Timestamp(paths.closes[-1])
    return table[known].sort_values(["series", "available", "date"], ignore_index=True)


def _series(
    name: str, days: Days, available: pd.DatetimeIndex, only_date: bool, value: Floats, digits: int
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": name,
            "date": days.astype("datetime64[ns]"),
            "available": available.astype("datetime64[ns]"),
            "available_is_date": only_date,
            "value": np.round(value, digits),
        }
    )


def splits(paths: Paths) -> pd.DataFrame:
    """Return the splits of the symbol: within the first sessions, so that a longer market has the same."""
    random = generator(paths.seed, "splits")
    at = np.array([random.integers(*where) for where in SPLIT_SESSIONS])
    ratio = random.choice([2.0, 3.0, 4.0], len(at))
    here = at < len(paths.days)
    return pd.DataFrame(
        {"symbol": SYMBOL, "date": paths.days[at[here]].astype("datetime64[ns]"), "ratio": ratio[here]}
    ).astype({"symbol": "str"})


def fundamentals(paths: Paths, symbols: tuple[str, ...] = (SYMBOL, *PEERS)) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """Return the filings of companies, and what each adds to the return of the next session.

    Parameters
    ----------
    paths
        Sessions and seed of the market.
    symbols
        Companies that file; absent, those of a random market.

    Returns
    -------
    filings
        As `finnex.data.readers.read_fundamentals` gives them; those of days before the last session.
    jumps
        Symbol to (sessions,) log returns: markets react to a filing on the session after its date.
    """
    first = paths.days[0].astype("datetime64[M]").astype("int64") // 3
    last = paths.days[-1].astype("datetime64[M]").astype("int64") // 3
    quarters = np.arange(first - QUARTERS_BEFORE, last + 1)
    ends = ((quarters + 1) * 3).astype("datetime64[M]").astype("datetime64[D]") - 1
    parts: list[pd.DataFrame] = []
    jumps: dict[str, Floats] = {}
    for symbol in symbols:
        random = generator(paths.seed, f"filings of {symbol}")
        usual, scale, margin = random.integers(27, 41), random.uniform(1e9, 2e10), random.uniform(0.35, 0.6)
        noise = random.standard_normal((len(quarters), 10))
        lag = usual + np.where(quarters % 4 == 3, 14, 0) + np.rint(2 * noise[:, 0]).astype("int64")
        filed = np.busday_offset(ends + np.clip(lag, FASTEST, SLOWEST - 2), 0, roll="forward")
        season = np.asarray([-0.04, -0.02, 0.0, 0.06])[quarters % 4]
        revenue = scale * np.exp(np.cumsum(0.015 + 0.03 * noise[:, 1]) + season)
        gross = revenue * np.clip(margin + np.cumsum(0.006 * noise[:, 2]), 0.2, 0.8)
        operating = gross * np.clip(0.4 + np.cumsum(0.02 * noise[:, 3]), 0.1, 0.7)
        income = operating * 0.78 + revenue * 0.004 * noise[:, 4]
        assets = 5 * revenue * np.exp(0.02 * noise[:, 5])
        shares = np.round(5e8 * np.exp(np.cumsum(0.002 * noise[:, 6])))
        table = pd.DataFrame(
            {
                "symbol": symbol,
                "period_end": ends.astype("datetime64[ns]"),
                "available": filed.astype("datetime64[ns]"),
                "available_is_date": True,
                "origin": "sec",
                "revenue": np.round(revenue, -5),
                "gross_profit": np.round(gross, -5),
                "operating_income": np.round(operating, -5),
                "net_income": np.round(income, -5),
                "total_assets": np.round(assets, -5),
                "equity": np.round(assets * np.clip(0.5 + np.cumsum(0.01 * noise[:, 7]), 0.2, 0.8), -5),
                "operating_cf": np.round(income + revenue * (0.06 + 0.01 * noise[:, 8]), -5),
                "capex": np.round(revenue * 0.05 * np.exp(0.1 * noise[:, 9]), -5),
                "shares_outstanding": shares,
            }
        )
        here = np.searchsorted(paths.days, filed, side="right")
        within = (here < len(paths.days)) & (filed >= paths.days[0])
        added = np.zeros(len(paths.days))
        added[here[within]] = 0.015 * noise[within, 1]
        jumps[symbol] = added
        parts.append(table[filed < paths.days[-1]])
    filings = pd.concat(parts, ignore_index=True)
    for day, ratio in splits(paths)[["date", "ratio"]].itertuples(index=False):
        # A filing counts shares as they were then; prices are adjusted for every split.
        before = (filings["symbol"] == SYMBOL) & (filings["available"] < day)
        filings.loc[before, "shares_outstanding"] = np.round(filings.loc[before, "shares_outstanding"] / ratio)
    return filings.sort_values(["symbol", "available", "period_end"], ignore_index=True, kind="stable"), jumps


def events(paths: Paths) -> pd.DataFrame:
    """Return scheduled events: meetings and releases of prices, most announced in the year before.

    Between the eight scheduled meetings of a year some are called at a notice of 3 to 8 days.
    """
    years = np.arange(paths.days[0].astype("datetime64[Y]"), paths.days[-1].astype("datetime64[Y]") + 2)
    meetings = np.concatenate([year.astype("datetime64[M]") + np.asarray([0, 2, 3, 5, 6, 8, 9, 11]) for year in years])
    scheduled = np.busday_offset(meetings.astype("datetime64[D]"), 3, roll="forward", weekmask="Wed")
    between = np.concatenate([year.astype("datetime64[M]") + np.asarray([1, 4, 7, 10]) for year in years])
    random = generator(paths.seed, "meetings").random((len(between), 2))
    called = np.busday_offset(between.astype("datetime64[D]"), 2, roll="forward", weekmask="Wed")
    notice = 3 + (6 * random[:, 1]).astype("int64")
    rare = random[:, 0] < SHORT_NOTICE
    released = cpi_days(paths)
    parts = [
        pd.DataFrame(
            {
                "name": name,
                "date": days.astype("datetime64[ns]"),
                "announced": np.asarray(announced).astype("datetime64[ns]"),
            }
        )
        for name, days, announced in (
            ("FOMC", scheduled, _in_the_year_before(scheduled, "06-15")),
            ("FOMC", called[rare], (called - notice)[rare]),
            ("CPI", released, _in_the_year_before(released, "09-30")),
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    known = table["announced"].to_numpy() < paths.days[-1]
    announced: pd.DataFrame = table[known].sort_values(["name", "date"], ignore_index=True)
    return announced


def _in_the_year_before(days: Days, announced: str) -> list[np.datetime64]:
    return [np.datetime64(f"{year}-{announced}") for year in days.astype("datetime64[Y]").astype(int) + 1969]
