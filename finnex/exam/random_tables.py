"""The quick tables of a random market: what is said of the symbol, its options, its competitors, ready-made features.

Sentiment follows prices and never leads them: tone takes a step with the return of the session before, and a record
knows of its own session what the price had done by its time stamp (a Brownian bridge from open to close). After the
close a record knows the news of the evening, which open the next session: stamped too early, it leads the price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.exam.hidden_paths import PEERS, SYMBOL, Bars, Floats, Paths, generator, wander

OPENING_HOUR = 9.5
LAST_SECOND = 23 * 3600 + 59 * 60
"""A daily score is stamped 23:59 in the exchange's zone."""


@dataclass(frozen=True)
class Voice:
    """One provider's style: records a day, where its scores lie, and how many of its records repeat another."""

    source: str
    provider: str
    rate: float
    level: float
    scale: float
    noise: float
    reposts: float
    most: int = 10


VOICES = (
    Voice("news", "wire", 2.5, 0.05, 1.0, 0.45, 0.0),
    Voice("news", "desk", 1.2, 0.20, 0.7, 0.45, 0.0),
    Voice("social", "forum", 5.0, 0.10, 1.0, 0.70, 0.25, 16),
)
DAILY_PROVIDER = "archive"


def sentiment(paths: Paths, bars: Bars) -> pd.DataFrame:
    """Return the sentiment table, as `finnex.data.readers.read_sentiment` gives it."""
    days, random = paths.every_day, generator(paths.seed, "tone")
    session = np.searchsorted(days, paths.days)
    moves = bars.returns / bars.expected
    before = np.zeros(len(days))
    inside = session + 1 < len(days)
    before[session[inside] + 1] = np.clip(moves[inside], -4, 4)
    tone = wander(0.2 * before + 0.15 * random.standard_normal(len(days)), 0.85)
    parts = [_records(paths, bars, tone, voice) for voice in VOICES]
    # A day's score is computed from all of its day, and is stamped at the end of it.
    now = np.zeros(len(days))
    now[session] = np.clip(moves + bars.news, -4, 4)
    level = tone + 0.3 * now + 0.2 * generator(paths.seed, DAILY_PROVIDER).standard_normal(len(days))
    parts.append(_table(paths, "historical", DAILY_PROVIDER, np.arange(len(days)), LAST_SECOND, np.tanh(0.6 * level)))
    table = pd.concat(parts, ignore_index=True)
    table = table.drop_duplicates(["timestamp", "source", "provider"])
    return table.sort_values(["symbol", "timestamp"], ignore_index=True, kind="stable")


def _records(paths: Paths, bars: Bars, tone: Floats, voice: Voice) -> pd.DataFrame:
    """Return the records of one provider: most by day, some at night, fewer at weekends, more after a large move."""
    days = paths.every_day
    session, slots = np.searchsorted(days, paths.days), voice.most
    uniform = generator(paths.seed, f"times of {voice.provider}").random((len(days), 4, slots))
    normal = generator(paths.seed, f"scores of {voice.provider}").standard_normal((len(days), 5, slots))
    busy = np.zeros(len(days))
    following = session + 1 < len(days)
    busy[session[following] + 1] = np.maximum(np.abs(bars.returns / bars.expected) - 1.5, 0)[following]
    rate = voice.rate * np.where(np.is_busday(days), 1.0, 0.35) * (1 + 0.6 * wander(busy, 0.5))
    day, slot = np.nonzero(uniform[:, 0] < np.minimum(rate / slots, 1.0)[:, None])
    hours = np.where(uniform[:, 1] < 0.75, (13.0 + 3.2 * normal[:, 0]) % 24, 24 * uniform[:, 2])
    opinion = tone[:, None] + 0.4 * _so_far(paths, bars, hours, normal[:, 1])
    score = np.tanh(voice.level + voice.scale * opinion + voice.noise * normal[:, 2])[day, slot]
    table = _table(paths, voice.source, voice.provider, day, (hours[day, slot] * 3600).astype("int64"), score)
    table["confidence"] = np.round(0.75 + 0.2 * np.tanh(normal[day, 3, slot]), 3)
    table["engagement"] = np.floor(np.exp(1.5 + 1.3 * normal[day, 4, slot]))
    table["repost"] = (uniform[day, 3, slot] < voice.reposts).astype("float64")
    return table


def _so_far(paths: Paths, bars: Bars, hours: Floats, noise: Floats) -> Floats:
    """Return what the price had done at an hour of a day since the close before, in its expected volatility.

    After the close of a session the news of the evening, in the same unit, are added.
    """
    session = np.searchsorted(paths.every_day, paths.days)
    local = pd.DatetimeIndex(paths.closes).tz_localize("UTC").tz_convert(paths.zone)
    closing = (local.hour + local.minute / 60).to_numpy()[:, None]
    at = hours[session]
    share = np.clip((at - OPENING_HOUR) / (closing - OPENING_HOUR), 0, 1)
    expected = bars.expected[:, None]
    intraday = (bars.returns - bars.overnight)[:, None]
    bridge = np.sqrt(0.75 * share * (1 - share)) * expected * noise[session]
    moved = np.where(at < OPENING_HOUR, 0.0, bars.overnight[:, None] + share * intraday + bridge)
    found = np.zeros(hours.shape)
    evening = np.where(at > closing, bars.news[:, None], 0.0)
    found[session] = np.clip(moved / expected + evening, -4, 4)
    return found


def _table(
    paths: Paths, source: str, provider: str, day: npt.NDArray[np.intp], seconds: object, score: Floats
) -> pd.DataFrame:
    local = pd.DatetimeIndex(paths.every_day[day].astype("datetime64[ns]")) + pd.to_timedelta(
        np.broadcast_to(np.asarray(seconds), len(day)), unit="s"
    )
    return pd.DataFrame(
        {
            "symbol": SYMBOL,
            "timestamp": to_utc(local, paths.zone).astype("datetime64[ns]"),
            "source": source,
            "provider": provider,
            "score": np.round(score, 4),
            "confidence": 1.0,
            "documents": 1.0,
            "engagement": 0.0,
            "repost": 0.0,
        }
    )


def to_utc(local: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Return local times in UTC: of an hour that occurs twice the later, of one that is skipped the first after it."""
    doubtful = np.zeros(len(local), dtype=bool)
    stamped = local.tz_localize(zone, ambiguous=doubtful, nonexistent="shift_forward")
    return stamped.tz_convert("UTC").tz_localize(None)


def options(paths: Paths, bars: Bars) -> pd.DataFrame:
    """Return the options table: what the market expects after each session, with a premium and noise."""
    noise = generator(paths.seed, "options").standard_normal((len(paths.days), 6))
    after = np.sqrt(wander(0.06 * bars.returns**2, 0.94, bars.expected[0] ** 2))
    move = bars.returns / bars.expected
    implied = np.sqrt(252) * after * np.exp(0.1 + wander(0.04 * noise[:, 0], 0.9))
    return pd.DataFrame(
        {
            "symbol": SYMBOL,
            "date": paths.days.astype("datetime64[ns]"),
            "implied_volatility": np.round(implied, 4),
            "implied_volatility_90": np.round(0.3 * implied + 0.7 * 0.3 + 0.01 * noise[:, 1], 4),
            "skew": np.round(0.04 - 0.01 * move + wander(0.01 * noise[:, 2], 0.8), 4),
            "put_call": np.round(np.exp(-0.2 - 0.1 * move + wander(0.15 * noise[:, 3], 0.7)), 4),
            "put_call_open_interest": np.round(np.exp(-0.1 + wander(0.03 * noise[:, 4], 0.97)), 4),
            "net_flow": np.round(np.tanh(0.3 * move + 0.5 * noise[:, 5]), 4),
        }
    )


def competitive(paths: Paths) -> pd.DataFrame:
    """Return the competitive table: once a month what a study measured of the symbol and of its peers."""
    first, last = paths.days[[0, -1]].astype("datetime64[M]")
    months = np.arange(first, last + 1)
    days = np.busday_offset(months.astype("datetime64[D]") + 9, 0, roll="forward")
    parts = []
    for peer in (SYMBOL, *PEERS):
        steps = generator(paths.seed, f"study of {peer}").standard_normal((len(months), 2))
        parts.append(
            pd.DataFrame(
                {
                    "symbol": SYMBOL,
                    "date": days.astype("datetime64[ns]"),
                    "peer": peer,
                    "market_share": np.round(0.2 + wander(0.01 * steps[:, 0], 0.95), 4),
                    "satisfaction": np.round(7 + wander(0.2 * steps[:, 1], 0.9), 3),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    inside = (days >= paths.days[0]) & (days <= paths.days[-1])
    table = table[np.tile(inside, 1 + len(PEERS))]
    return table.sort_values(["symbol", "date", "peer"], ignore_index=True)


def enhanced(prices: pd.DataFrame) -> pd.DataFrame:
    """Return ready-made features of the symbol from its own past closes: four of the catalogue, each honest."""
    own = prices[prices["symbol"] == SYMBOL]
    close = np.log(own["close"])
    daily = close.diff()
    columns = {
        "return_5": close.diff(5),
        "volatility_20": daily.rolling(20).std(),
        "close_to_sma_20": close - np.log(own["close"].rolling(20).mean()),
        "rsi_14": 100 * daily.clip(lower=0).rolling(14).sum() / daily.abs().rolling(14).sum(),
    }
    table = own[["symbol", "date"]].assign(**{name: values.round(8) for name, values in columns.items()})
    return table.dropna(how="all", subset=list(columns)).reset_index(drop=True)
