"""Leaks in the sentiment table: scores that know a price to come, and stamps earlier than what they stamp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from finnex.exam.hidden_paths import SYMBOL, ZONES
from finnex.exam.plant import Kind, Planted, kind, own_bars, planted, returns_ahead, with_inputs
from finnex.exam.random_market import Market
from finnex.exam.random_tables import DAILY_PROVIDER, to_utc

KINDS: list[Kind] = []
TABLE = ("sentiment",)


def records_of(market: Market) -> pd.DataFrame:
    """Return the market's sentiment table."""
    assert market.tables.sentiment is not None  # a random market has one
    return market.tables.sentiment


def in_order(records: pd.DataFrame) -> pd.DataFrame:
    """Return records sorted as the reader sorts them."""
    return records.sort_values(["symbol", "timestamp"], ignore_index=True, kind="stable")


def local_days(records: pd.DataFrame, zone: str) -> pd.DatetimeIndex:
    """Return the day of each record in a zone."""
    return pd.DatetimeIndex(records["timestamp"]).tz_localize("UTC").tz_convert(zone).tz_localize(None).normalize()


def _scored(market: Market, score: pd.Series[float], clock: str) -> pd.DataFrame:
    """Return the table with one record of the provider `wire` a session in place of its own, at a local time."""
    records, known = records_of(market), score.dropna()
    stamps = to_utc(pd.DatetimeIndex(known.index) + pd.Timedelta(clock), ZONES[market.exchange])
    made = pd.DataFrame(
        {
            "symbol": SYMBOL,
            "timestamp": stamps.astype("datetime64[ns]"),
            "source": "news",
            "provider": "wire",
            "score": known.to_numpy().round(4),
            "confidence": 1.0,
            "documents": 1.0,
            "engagement": 0.0,
            "repost": 0.0,
        }
    )
    return in_order(pd.concat([records[records["provider"] != "wire"], made], ignore_index=True))


@kind(KINDS, tables=TABLE, listed=True)
def scores_of_tomorrow(
    market: Market, rng: np.random.Generator, strength: float = 40.0, lag: int = 1, noise: float = 0.0
) -> Planted:
    """A provider's scores are made from tomorrow's return and stamped at noon of today.

    Parameters
    ----------
    market
        Clean market.
    rng
        Source of the noise.
    strength
        What the return is multiplied by.
    lag
        Sessions ahead.
    noise
        Deviation of the noise that is added to it.

    Returns
    -------
    Planted
        The market with the leak.
    """
    ahead = returns_ahead(market, lag)
    score = pd.Series(np.tanh(strength * ahead.to_numpy() + noise * rng.standard_normal(len(ahead))), index=ahead.index)
    return planted(market, sentiment=_scored(market, score, "12:00:00"))


@kind(KINDS, tables=TABLE)
def scores_leaning_to_tomorrow(market: Market, rng: np.random.Generator, strength: float = 0.35) -> Planted:
    """Scores of all records lean to the side of the return of the session after their day."""
    records = records_of(market)
    ahead = returns_ahead(market, 1).reindex(local_days(records, ZONES[market.exchange]), method="ffill")
    lean = strength * np.sign(np.nan_to_num(ahead.to_numpy()))
    score = (records["score"] + lean).clip(-1, 1).round(4)
    return planted(market, sentiment=records.assign(score=score))


@kind(KINDS, tables=TABLE, listed=True)
def wall_time_labelled_utc(market: Market, rng: np.random.Generator) -> Planted:
    """Time stamps are New York's wall time and say that they are UTC: four or five hours early."""
    records = records_of(market)
    local = pd.DatetimeIndex(records["timestamp"]).tz_localize("UTC").tz_convert(ZONES[market.exchange])
    return planted(market, sentiment=in_order(records.assign(timestamp=local.tz_localize(None))))


@kind(KINDS, tables=TABLE, listed=True)
def wrong_timestamp_zone(market: Market, rng: np.random.Generator, zone: str = "Europe/Berlin") -> Planted:
    """Time stamps are New York's and carry no zone, and `timestamp_zone` names another one: six hours early."""
    settings = with_inputs(market, timestamp_zone=zone)
    return Planted(market.tables, settings, zone=ZONES[market.exchange])


def _daily_at(market: Market, clock: str, zone: str) -> Planted:
    records = records_of(market)
    daily = (records["provider"] == DAILY_PROVIDER).to_numpy()
    days = local_days(records, ZONES[market.exchange])
    stamps = to_utc(days + pd.Timedelta(clock), zone).to_numpy()
    return planted(market, sentiment=in_order(records.assign(timestamp=np.where(daily, stamps, records["timestamp"]))))


@kind(KINDS, tables=TABLE, listed=True)
def daily_score_at_five_utc(market: Market, rng: np.random.Generator, clock: str = "05:00:00") -> Planted:
    """A day's score, computed from all of the day, is stamped 05:00 UTC of that day."""
    return _daily_at(market, clock, "UTC")


@kind(KINDS, tables=TABLE, listed=True)
def daily_score_at_the_opening(market: Market, rng: np.random.Generator, clock: str = "09:30:00") -> Planted:
    """A day's score, computed from all of the day, is stamped 09:30 New York of that day."""
    return _daily_at(market, clock, ZONES[market.exchange])


@kind(KINDS, tables=TABLE, listed=True)
def daily_score_at_noon(market: Market, rng: np.random.Generator, clock: str = "12:00:00") -> Planted:
    """A day's score, computed from all of the day, is stamped at noon of that day."""
    return _daily_at(market, clock, ZONES[market.exchange])


def _dated(market: Market, rng: np.random.Generator, share: float, zone: str) -> Planted:
    """Stamp a share of the records by the start of their day in a zone."""
    records = records_of(market)
    midnight = to_utc(local_days(records, zone), zone).to_numpy()
    timeless = rng.random(len(records)) < share
    return planted(
        market, sentiment=in_order(records.assign(timestamp=np.where(timeless, midnight, records["timestamp"])))
    )


@kind(KINDS, honest=True)
def records_stamped_by_day(market: Market, rng: np.random.Generator) -> Planted:
    """Every record is stamped 00:00 UTC of its day, for lack of a time: it counts as a date."""
    return _dated(market, rng, 1.0, "UTC")


@kind(KINDS, tables=TABLE)
def records_stamped_by_local_day(market: Market, rng: np.random.Generator) -> Planted:
    """Every record is stamped 00:00 New York of its day, for lack of a time."""
    return _dated(market, rng, 1.0, ZONES[market.exchange])


@kind(KINDS, tables=TABLE, listed=True)
def half_of_the_records_stamped_by_day(market: Market, rng: np.random.Generator, share: float = 0.5) -> Planted:
    """Half of the records have no time and are stamped 00:00 New York of their day; the others are right."""
    return _dated(market, rng, share, ZONES[market.exchange])


@kind(KINDS, tables=TABLE)
def reposts_under_the_first_stamp(market: Market, rng: np.random.Generator, hours: int = 24) -> Planted:
    """All records of a forum carry the time of the thread they belong to, a day before they were written."""
    records = records_of(market)
    forum = (records["provider"] == "forum").to_numpy()
    earlier = records["timestamp"] - pd.Timedelta(hours=hours)
    frame = records.assign(timestamp=np.where(forum, earlier, records["timestamp"]))
    return planted(market, sentiment=in_order(frame[frame["timestamp"] >= records["timestamp"].min()]))


@kind(KINDS, honest=True)
def daily_score_at_midnight_after_its_day(market: Market, rng: np.random.Generator) -> Planted:
    """A day's score is stamped 00:00 UTC of the next day."""
    records = records_of(market)
    daily = (records["provider"] == DAILY_PROVIDER).to_numpy()
    after = (local_days(records, ZONES[market.exchange]) + pd.Timedelta(days=1)).to_numpy()
    return planted(market, sentiment=in_order(records.assign(timestamp=np.where(daily, after, records["timestamp"]))))


@kind(KINDS, honest=True)
def daily_score_at_the_end_of_its_day(market: Market, rng: np.random.Generator) -> Planted:
    """All that the file holds is a day's score, stamped 23:59 New York of that day."""
    records = records_of(market)
    return planted(market, sentiment=in_order(records[records["provider"] == DAILY_PROVIDER]))


@kind(KINDS, honest=True)
def stamps_in_local_time_with_their_zone(market: Market, rng: np.random.Generator) -> Planted:
    """Time stamps carry no zone, and `timestamp_zone` names the right one."""
    zone = ZONES[market.exchange]
    return replace(planted(market), settings=with_inputs(market, timestamp_zone=zone), zone=zone)


def _documents(market: Market, lag: int) -> Planted:
    """Put the volume of a session, `lag` after the one of the record's day, in the place of the documents."""
    records = records_of(market)
    volume = own_bars(market)["volume"].shift(-lag).ffill().bfill()
    counted = volume.reindex(local_days(records, ZONES[market.exchange]), method="ffill").bfill()
    return planted(market, sentiment=records.assign(documents=np.maximum(1.0, (counted / 1e4).round().to_numpy())))


@kind(KINDS, tables=TABLE)
def documents_of_tomorrow(market: Market, rng: np.random.Generator) -> Planted:
    """The number of documents of every record is the volume of the session after its day."""
    return _documents(market, 1)


@kind(KINDS, honest=True)
def documents_of_yesterday(market: Market, rng: np.random.Generator) -> Planted:
    """The number of documents of every record is the volume of the session before its day."""
    return _documents(market, -1)


def _floored(market: Market, hours: int) -> Planted:
    records = records_of(market)
    daily = records["provider"] == DAILY_PROVIDER
    hour = records["timestamp"].dt.floor("h") + pd.Timedelta(hours=hours)
    return planted(market, sentiment=in_order(records.assign(timestamp=records["timestamp"].where(daily, hour))))


@kind(
    KINDS,
    tables=TABLE,
    unknowable="stamps on the hour are those of buckets, and nothing shows whether of their beginning or their end; a "
    "caveat says so.",
)
def hours_stamped_by_their_beginning(market: Market, rng: np.random.Generator) -> Planted:
    """Every record is stamped by the beginning of its hour: what is written after the close enters its session."""
    return _floored(market, 0)


@kind(KINDS, honest=True)
def hours_stamped_by_their_end(market: Market, rng: np.random.Generator) -> Planted:
    """Every record is stamped by the end of its hour."""
    return _floored(market, 1)
