"""SYNTHETIC sentiment and fundamentals for the sample and tests: no company ever said or earned any of this.

They fill all nine cells of an image in a first run; they hold no signal. Two guarantees are tested:

- **Nothing from the future.** A record of (UTC) day d uses only closes of sessions dated before d, all of
  which ended before 00:00 UTC of day d. Fundamentals use the first close of the table, for their scale, and
  no other.
- **No edge.** Given past closes everything else is noise that no price has seen, so a model can learn from
  these tables nothing about tomorrow's price that the past prices did not already contain.

Every array of random numbers has one fixed shape (the calendar below), seeded by (seed, symbol, purpose).
So neither the end of the prices, nor another symbol, nor another close changes a number that was drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]  # datetime64[D]

SEED: Final = 20130102
DAYS: Final[Days] = np.arange("2013-01-02", "2017-01-01", dtype="datetime64[D]")
_WEEKDAY: Final = np.is_busday(DAYS)
_QUARTERS: Final = 20  # period ends 2012-03-31 .. 2016-12-31
_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True)
class _Channel:
    """How one source of sentiment behaves; rates are records a day, score figures are before tanh."""

    source: str
    providers: tuple[tuple[str, float, float], ...]  # name, level, scale: each its own yardstick
    weekday_rate: float
    weekend_rate: float
    most: int  # records a day at most
    persistence: float  # AR(1) coefficient of the latent tone, per calendar day
    reaction: float  # step of the latent tone per standard deviation of the last finished session's return
    innovation: float
    noise: float  # of one record around the latent tone
    hour: float  # UTC hour around which records cluster
    spread: float  # hours
    documents: int  # at most
    engagement: float = 0.0  # median of the heavy-tailed count; 0 where the source has no such notion
    repost: float = 0.0  # share of records that repeat another one
    attention: float = 0.0  # how much a wave of attention multiplies the rate


_CHANNELS: Final = (
    _Channel(
        "news", (("synthetic_wire", 0.05, 1.0), ("synthetic_desk", 0.20, 0.7)),
        weekday_rate=2.9, weekend_rate=0.5, most=10, persistence=0.88, reaction=0.10, innovation=0.10,
        noise=0.35, hour=17.5, spread=4.5, documents=6, engagement=3.0, attention=0.5,
    ),
    _Channel(
        "social", (("synthetic_forum", 0.10, 1.0),),
        weekday_rate=4.2, weekend_rate=3.0, most=24, persistence=0.75, reaction=0.16, innovation=0.16,
        noise=0.55, hour=19.0, spread=5.0, documents=1, engagement=6.0, repost=0.28, attention=1.0,
    ),
    # An archive's daily tone: the rate lies so far above one that there is one record on every day.
    _Channel(
        "historical", (("synthetic_archive", 0.0, 1.0),),
        weekday_rate=40.0, weekend_rate=40.0, most=1, persistence=0.985, reaction=0.03, innovation=0.03,
        noise=0.04, hour=6.0, spread=1.0, documents=90,
    ),
    _Channel(
        "analyst", (("synthetic_rating", 0.15, 1.0),),
        weekday_rate=0.09, weekend_rate=0.0, most=2, persistence=0.995, reaction=0.02, innovation=0.03,
        noise=0.12, hour=13.0, spread=2.0, documents=3,
    ),
    _Channel(
        "management", (("synthetic_call", 0.30, 1.0),),
        weekday_rate=0.02, weekend_rate=0.0, most=2, persistence=0.98, reaction=0.02, innovation=0.04,
        noise=0.15, hour=21.5, spread=0.4, documents=2,
    ),
)  # fmt: skip


def _generator(seed: int, symbol: str, purpose: str) -> np.random.Generator:
    # crc32 and not hash(): hash() of a string changes from process to process.
    words = [seed, zlib.crc32(symbol.encode()), zlib.crc32(purpose.encode())]
    return np.random.default_rng(np.random.SeedSequence(words))


def _by_symbol(prices: pd.DataFrame) -> Iterator[tuple[str, Days, Floats]]:
    """Symbol, session dates and closes, sorted."""
    bars = prices[["symbol", "date", "close"]].assign(date=pd.to_datetime(prices["date"]))
    for symbol, own in bars.sort_values(["symbol", "date"]).groupby("symbol", sort=True):
        sessions = own["date"].to_numpy().astype("datetime64[D]")
        yield str(symbol), sessions, own["close"].to_numpy(dtype=np.float64)


def _surprise(sessions: Days, close: Floats) -> Floats:
    """Per calendar day: return of a session the day before, in standard deviations, or 0 without one."""
    returns = pd.Series(close).pct_change(fill_method=None).fillna(0.0)
    deviation = (returns**2).ewm(halflife=20).mean().pow(0.5).shift(1).fillna(0.02).clip(lower=0.005)
    standard = (returns / deviation).clip(-4.0, 4.0).to_numpy()
    surprise = np.zeros(len(DAYS))
    # One day later than the session: only there its close is the past at any hour of the UTC day.
    position = (sessions - DAYS[0]).astype(np.int64) + 1
    inside = (position >= 0) & (position < len(DAYS))
    surprise[position[inside]] = standard[inside]
    return surprise


def _autoregress(persistence: float, drive: Floats) -> Floats:
    """x[d] = persistence * x[d-1] + drive[d], starting from 0."""
    level, path = 0.0, []
    for step in drive.tolist():
        level = persistence * level + step
        path.append(level)
    return np.asarray(path)


def _poisson(rate: Floats, uniform: Floats, most: int) -> Integers:
    """Poisson counts by inversion: one uniform number a day at any rate, so later draws do not shift."""
    term = np.exp(-rate)
    cumulative, count = term.copy(), np.zeros(len(rate), dtype=np.int64)
    for k in range(1, most + 1):
        count += uniform > cumulative
        term = term * rate / k
        cumulative += term
    return count


def _records(channel: _Channel, symbol: str, surprise: Floats, attention: Floats, seed: int) -> pd.DataFrame:
    """All records of one source about one symbol, over the whole calendar."""
    random = _generator(seed, symbol, channel.source)
    shape = (len(DAYS), channel.most)
    drive = channel.reaction * surprise + channel.innovation * random.standard_normal(len(DAYS))
    tone = _autoregress(channel.persistence, drive)

    rate = np.where(_WEEKDAY, channel.weekday_rate, channel.weekend_rate)
    count = _poisson(rate * (1.0 + channel.attention * attention), random.random(len(DAYS)), channel.most)
    if channel.source == "management":
        filed = _quarters(symbol, seed)[1]
        count = np.maximum(count, np.isin(DAYS, filed))  # at least one record when the quarter is filed

    # Half of the records cluster around the source's hour, half come at any time of the day or night.
    clustered = channel.hour + channel.spread * random.standard_normal(shape)
    anywhere = 24.0 * random.random(shape) if channel.spread > 2.0 else clustered
    hours = np.where(random.random(shape) < 0.5, clustered, anywhere)
    second = (hours * 3600.0).astype(np.int64) % _SECONDS_A_DAY
    provider = random.integers(0, len(channel.providers), shape)
    level = np.asarray([entry[1] for entry in channel.providers])[provider]
    scale = np.asarray([entry[2] for entry in channel.providers])[provider]
    score = np.tanh(level + scale * (tone[:, None] + channel.noise * random.standard_normal(shape)))
    confidence = 0.5 + 0.49 * random.random(shape)
    documents = random.integers(1, channel.documents + 1, shape)
    # sigma 1.8: the largest of a year is some hundred times the median, as counts of views and likes are
    engagement = np.floor(channel.engagement * random.lognormal(0.0, 1.8, shape) * (1.0 + attention[:, None]))
    repost = random.random(shape) < channel.repost

    day, slot = np.nonzero(np.arange(channel.most) < count[:, None])
    names = np.asarray([entry[0] for entry in channel.providers], dtype=object)
    return pd.DataFrame({
        "symbol": symbol,
        "timestamp": DAYS[day].astype("datetime64[s]") + second[day, slot].astype("timedelta64[s]"),
        "source": channel.source,
        "provider": names[provider[day, slot]],
        "score": score[day, slot].round(4),
        "confidence": confidence[day, slot].round(3),
        "documents": documents[day, slot],
        "engagement": engagement[day, slot].astype(np.int64),
        "repost": repost[day, slot].astype(np.int64),
    })  # fmt: skip


def synthetic_sentiment(prices: pd.DataFrame, seed: int = SEED) -> pd.DataFrame:
    """Generate SYNTHETIC sentiment records for every symbol of a price table.

    Each source has a latent AR(1) tone that takes a step with the standardised return of the last finished
    session and otherwise wanders on its own; records scatter around it. News and social come in waves of
    attention that follow large moves, or nothing at all, and decay over days. See the module's promises: no
    future, no edge.

    Parameters
    ----------
    prices
        Columns symbol, date (one row a session), close (any positive unit).
    seed
        Non-negative. The same seed and closes give the same records, with any other symbols in the table.

    Returns
    -------
    pandas.DataFrame
        Sorted by symbol, timestamp, source; one row per (symbol, timestamp, source). Columns: symbol;
        timestamp (datetime64[s, UTC]); source (news, social, historical, analyst, management); provider
        (starts with ``synthetic_``); score in [-1, 1]; confidence in [0.5, 1]; documents, >= 1; engagement,
        a count >= 0, always 0 where a source has no such notion; repost, 0 or 1. From the symbol's first to
        its last session date, at most 2013-01-02 to 2016-12-31; empty when the prices lie outside.
    """
    parts: list[pd.DataFrame] = []
    for symbol, sessions, close in _by_symbol(prices):
        random = _generator(seed, symbol, "attention")
        outburst = (random.random(len(DAYS)) < 0.012) * random.exponential(2.5, len(DAYS))
        surprise = _surprise(sessions, close)
        attention = _autoregress(0.7, outburst + 0.5 * np.maximum(np.abs(surprise) - 1.5, 0.0))
        for channel in _CHANNELS:
            records = _records(channel, symbol, surprise, attention, seed)
            day = records["timestamp"].dt.normalize()
            parts.append(records[day.between(sessions[0], sessions[-1])])
    if not parts:
        raise ValueError("prices: no rows; sentiment is generated for the symbols of a price table")
    records = pd.concat(parts, ignore_index=True)
    records["timestamp"] = records["timestamp"].dt.tz_localize("UTC")
    key = ["symbol", "timestamp", "source"]
    # Two records of one source in one second happen once in some thousand days: the first drawn stays.
    return records.drop_duplicates(key).sort_values(key, ignore_index=True)


def with_text_timestamps(records: pd.DataFrame) -> pd.DataFrame:
    """Return `records` with timestamp as text in UTC, ``2014-07-01T13:04:05Z``, the form it has in files."""
    seconds = records["timestamp"].dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    text: pd.DataFrame = records.assign(timestamp=np.char.add(np.datetime_as_string(seconds), "Z"))
    return text


def _quarters(symbol: str, seed: int) -> tuple[Days, Days]:
    """Period ends and filing days (weekdays, 25 to 44 days later)."""
    months = np.datetime64("2012-04", "M") + 3 * np.arange(_QUARTERS)
    period_end = months.astype("datetime64[D]") - 1
    lag = _generator(seed, symbol, "filing").integers(25, 43, _QUARTERS)
    return period_end, np.busday_offset(period_end + lag, 0, roll="forward")


def _wander(random: np.random.Generator, deviation: float) -> Floats:
    """Random walk over the quarters, `deviation` a step."""
    return np.cumsum(random.normal(0.0, deviation, _QUARTERS))


def synthetic_fundamentals(prices: pd.DataFrame, seed: int = SEED) -> pd.DataFrame:
    """Generate SYNTHETIC quarterly fundamentals, 2012 to 2016, for every symbol of a price table.

    The first close of a symbol sets its number of shares (a drawn market value over that close), so that
    per-share figures are on the split basis of the prices and valuation ratios start at plausible levels.
    No later close is read: growth, margins and the balance sheet wander on their own.

    Parameters
    ----------
    prices
        Columns symbol, date (one row a session), close (dollars, split-adjusted).
    seed
        Non-negative; as in `synthetic_sentiment`, whose management records speak on the filing days given
        here.

    Returns
    -------
    pandas.DataFrame
        Sorted by symbol, period_end; only filings up to the symbol's last session date. Columns: symbol;
        period_end and available_date (datetime64, the filing day, 25 to 44 days later); origin
        (``synthetic``); revenue, gross_profit, operating_income, net_income, operating_cf, capex (dollars a
        quarter, capex > 0 is spending); total_assets, equity, total_debt (dollars); shares_outstanding; eps
        (dollars a quarter, net_income / shares_outstanding).
    """
    parts: list[pd.DataFrame] = []
    quarter = np.arange(_QUARTERS)
    for symbol, sessions, close in _by_symbol(prices):
        random = _generator(seed, symbol, "fundamentals")
        market_value = 40e9 * 8.0 ** random.random()
        yearly_growth, price_to_sales = random.uniform(0.06, 0.30), random.uniform(3.0, 7.0)
        growth = yearly_growth / 4.0 * quarter + _wander(random, 0.015)
        trend = market_value / price_to_sales / 4.0 * np.exp(growth)
        season = 1.0 + random.uniform(0.3, 1.0) * np.tile([-0.05, -0.04, -0.02, 0.11], _QUARTERS // 4)
        revenue = trend * season
        gross_margin = np.clip(random.uniform(0.38, 0.62) + _wander(random, 0.006), 0.25, 0.75)
        kept = np.clip(random.uniform(0.30, 0.50) + _wander(random, 0.012), 0.15, 0.65)  # after running costs
        gross_profit = revenue * gross_margin
        operating_income = gross_profit * kept
        tax = random.uniform(0.18, 0.30)
        net_income = operating_income * (1.0 - tax) + revenue * random.normal(0.0, 0.006, _QUARTERS)
        total_assets = 4.0 * trend * random.uniform(1.0, 2.0) * np.exp(_wander(random, 0.01))
        equity = total_assets * np.clip(random.uniform(0.45, 0.65) + _wander(random, 0.008), 0.3, 0.8)
        borrowed = np.clip(random.uniform(0.3, 0.6) + _wander(random, 0.01), 0.1, 0.8)
        total_debt = (total_assets - equity) * borrowed
        depreciation = revenue * random.uniform(0.04, 0.09)
        operating_cf = net_income + depreciation + revenue * random.normal(0.02, 0.015, _QUARTERS)
        capex = depreciation * np.exp(random.normal(0.1, 0.15, _QUARTERS))
        drift = random.uniform(-0.004, 0.004)  # buy-backs or new shares, per quarter
        shares = np.round(market_value / close[0] * np.exp(drift * quarter + _wander(random, 0.001)))
        period_end, available = _quarters(symbol, seed)
        dollars = {
            "revenue": revenue, "gross_profit": gross_profit, "operating_income": operating_income,
            "net_income": net_income, "total_assets": total_assets, "equity": equity,
            "total_debt": total_debt, "operating_cf": operating_cf, "capex": capex,
        }  # fmt: skip
        table = pd.DataFrame({
            "symbol": symbol,
            "period_end": period_end.astype("datetime64[s]"),
            "available_date": available.astype("datetime64[s]"),
            "origin": "synthetic",
            **{name: np.round(values) for name, values in dollars.items()},
            "shares_outstanding": shares,
        })  # fmt: skip
        table["eps"] = (table["net_income"] / table["shares_outstanding"]).round(6)
        parts.append(table.loc[available <= sessions[-1]])
    if not parts:
        raise ValueError("prices: no rows; fundamentals are generated for the symbols of a price table")
    return pd.concat(parts, ignore_index=True)
