"""Sentiment features: what was said of a company up to a session's close, by source.

A record belongs to the first session whose close is not before its time stamp. Providers score on scales of
their own, so a day's tone is first standardised within its provider's own trailing past, then averaged over
providers. Reposts count as attention, not as opinion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from finnex.data.calendar import SessionCalendar
from finnex.data.features.arithmetic import over, row_mean, trailing_rank, trailing_z
from finnex.data.features.context import NO_MASKS, Context, Features
from finnex.data.features.section import Section
from finnex.data.point_in_time import Floats
from finnex.data.universe import Mask

STREAMS = ("news", "social")
VOICES = ("analyst", "management")
PROVIDER_WINDOW = 126  # sessions over which a provider's own scale is learned
PROVIDER_LEAST = 20
SHARP_TURN = 2.0  # standard deviations
OPINION = 0.05  # a score nearer to zero takes no side
RECORD_COLUMNS = (
    "symbol", "timestamp", "source", "provider", "score", "confidence", "documents", "engagement", "repost",
)  # fmt: skip
"""What is made use of in a record."""


def daily(records: pd.DataFrame, calendar: SessionCalendar) -> dict[str, pd.DataFrame]:
    """Return per source a frame of daily aggregates on all sessions.

    Parameters
    ----------
    records
        Rows of the sentiment table, of one symbol or of many.

    Returns
    -------
    dict
        Source to a frame with tone (standardised within its provider), level (raw mean in [-1, 1]), intensity,
        dispersion, positive, negative (shares), documents, engagement, repost_share; NaN without a record,
        documents 0.
    """
    session = calendar.first_session_knowing(records["timestamp"].to_numpy())
    records = records.assign(session=session)[session < len(calendar)]
    return {str(source): _of_source(rows, len(calendar)) for source, rows in records.groupby("source", sort=True)}


def _of_source(rows: pd.DataFrame, sessions: int) -> pd.DataFrame:
    def daily_sum(of: pd.DataFrame, values: Floats) -> Floats:
        # Added one after another in the order of the records: a later record then changes no earlier bit.
        return np.bincount(of["session"].to_numpy(), weights=values, minlength=sessions).astype("float64")

    own = rows[rows["repost"] == 0]
    score = own["score"].to_numpy()
    weight = (own["confidence"] * own["documents"]).to_numpy()
    total = daily_sum(own, weight)
    mean = over(daily_sum(own, weight * score), total)
    tones = {}
    for provider in sorted(own["provider"].unique()):
        one = own[own["provider"] == provider]
        heard = (one["confidence"] * one["documents"]).to_numpy()
        level = over(daily_sum(one, heard * one["score"].to_numpy()), daily_sum(one, heard))
        tones[provider] = trailing_z(pd.Series(level), PROVIDER_WINDOW, PROVIDER_LEAST)
    records = daily_sum(rows, np.ones(len(rows)))
    engagement = daily_sum(rows, np.log1p(rows["engagement"].to_numpy()))
    return pd.DataFrame(
        {
            "tone": row_mean(pd.DataFrame(tones, index=range(sessions))),
            "level": mean,
            "intensity": over(daily_sum(own, weight * np.abs(score)), total),
            "dispersion": np.sqrt(np.maximum(over(daily_sum(own, weight * score**2), total) - mean**2, 0.0)),
            "positive": over(daily_sum(own, weight * (score > OPINION)), total),
            "negative": over(daily_sum(own, weight * (score < -OPINION)), total),
            # Before its first record it was unknown that the source would ever speak: not known, rather than silent.
            "documents": np.where(np.cumsum(records) > 0, daily_sum(rows, rows["documents"].to_numpy()), np.nan),
            "engagement": np.where(records > 0, engagement, np.nan),
            "repost_share": over(daily_sum(rows, (rows["repost"] > 0).to_numpy().astype("float64")), records),
        }
    )


def sentiment(context: Context) -> Features:
    """Return sentiment features of the symbol on all sessions; NaN where a source says nothing."""
    records = context.tables.of("sentiment", context.symbol)
    nothing = pd.DataFrame(
        np.nan,
        index=range(context.sessions),
        columns=[
            "tone",
            "level",
            "intensity",
            "dispersion",
            "positive",
            "negative",
            "documents",
            "engagement",
            "repost_share",
        ],
    )
    found_daily = {} if records.empty else daily(records, context.calendar)
    by_source = {name: found_daily.get(name, nothing) for name in (*STREAMS, *VOICES, "historical")}
    found: dict[str, pd.Series[float]] = {}
    for name in STREAMS:
        found |= _stream(name, by_source[name])
    for name in VOICES:
        found |= _voice(name, by_source[name])
    found |= _history(context, by_source)
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _stream(name: str, day: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Features of a source that speaks nearly every day: its tone, its waves of attention and their decay."""
    tone, documents = day["tone"], np.log1p(day["documents"])
    week, month = tone.rolling(5, min_periods=1).mean(), tone.rolling(20, min_periods=5).mean()
    surprise = trailing_z(documents, 60, 20)
    wave = surprise.ewm(halflife=3, min_periods=5, ignore_na=True).mean()
    surges = np.flatnonzero(surprise.to_numpy() > SHARP_TURN)
    here = np.arange(len(day))
    behind = np.searchsorted(surges, here, side="right") - 1
    since = (
        np.where(behind >= 0, here - surges[np.maximum(behind, 0)], np.nan)
        if len(surges)
        else np.full(len(day), np.nan)
    )
    quiet = documents.isna() | surprise.isna()
    return {
        f"{name}_tone": tone,
        f"{name}_tone_5": week,
        f"{name}_tone_20": month,
        f"{name}_tone_momentum": week - month,
        f"{name}_tone_shock": trailing_z(tone, 60, 20),
        f"{name}_level": day["level"],
        f"{name}_intensity": day["intensity"],
        f"{name}_dispersion": day["dispersion"],
        f"{name}_positive_share": day["positive"],
        f"{name}_negative_share": day["negative"],
        f"{name}_volume": documents.where(~day["documents"].isna()),
        f"{name}_volume_surprise": surprise,
        f"{name}_wave": wave,
        f"{name}_wave_momentum": wave - wave.shift(3),
        f"{name}_attention_decay": pd.Series(np.where(quiet, np.nan, np.exp(-np.nan_to_num(since, nan=60.0) / 5))),
        f"{name}_engagement": trailing_z(day["engagement"], 60, 20),
        f"{name}_repost_share": day["repost_share"],
        f"{name}_intensity_momentum": day["intensity"].rolling(5, min_periods=1).mean()
        - day["intensity"].rolling(20, min_periods=5).mean(),
    }


def _voice(name: str, day: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Features of a source that speaks now and then: the last word, its drift, how often and how much it varies."""
    level = day["level"]
    spoken = level.dropna()
    last = level.ffill(limit=126)
    previous = spoken.shift(1).reindex(level.index).ffill(limit=126)
    count = (day["documents"] > 0).astype("float64").where(level.notna().cumsum() > 0)
    return {
        f"{name}_last": last,
        f"{name}_change": last - previous,
        f"{name}_level_60": level.rolling(60, min_periods=1).mean(),
        f"{name}_level_252": level.rolling(252, min_periods=3).mean(),
        f"{name}_dispersion_126": level.rolling(126, min_periods=3).std(),
        f"{name}_activity_60": count.rolling(60, min_periods=1).sum(),
    }


def _history(context: Context, by_source: dict[str, pd.DataFrame]) -> dict[str, pd.Series[float]]:
    """Today's sentiment against its own past and against the price: percentiles, coupling, patterns."""
    news, social, archive = (by_source[name]["tone"] for name in ("news", "social", "historical"))
    tone = pd.Series(row_mean(pd.DataFrame({"news": news, "social": social, "historical": archive})))
    week = tone.rolling(5, min_periods=1).mean()
    returns = context.returns
    change = week - week.shift(5)
    # What followed, within the past year, on days whose tone lay in the same third as today's. An outcome counts
    # from the session on which its five days are over.
    outcome = returns.rolling(5).sum()
    then = tone.shift(5)
    third = trailing_rank(then, 252, 63)
    now = trailing_rank(tone, 252, 63)
    pattern = pd.Series(np.full(len(tone), np.nan))
    for low, high in ((0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.01)):
        inside = (third > low) & (third <= high)
        average = outcome.where(inside).rolling(252, min_periods=10).mean()
        pattern = pattern.where(~((now > low) & (now <= high)), average)
    return {
        "history_tone": archive,
        "history_tone_20": archive.rolling(20, min_periods=5).mean(),
        "history_tone_60": archive.rolling(60, min_periods=20).mean(),
        "history_rank_252": now,
        "history_rank_504": trailing_rank(tone, 504, 126),
        "history_week_rank_252": trailing_rank(week, 252, 63),
        "history_persistence_60": tone.rolling(60, min_periods=30).corr(tone.shift(1)),
        "history_extremes_60": (tone.abs() > SHARP_TURN)
        .astype("float64")
        .where(tone.notna())
        .rolling(60, min_periods=20)
        .mean(),
        "history_pattern_return_5": pattern,
        "coupling_same_day_60": tone.rolling(60, min_periods=30).corr(returns),
        "coupling_tone_leads_60": returns.rolling(60, min_periods=30).corr(tone.shift(1)),
        "coupling_price_leads_60": tone.rolling(60, min_periods=30).corr(returns.shift(1)),
        "coupling_change_20": change.rolling(20, min_periods=10).corr(returns.rolling(5).sum()),
        "divergence_price_20": trailing_rank(week - week.shift(20)) - trailing_rank(returns.rolling(20).sum()),
        "agreement_news_social_60": news.rolling(60, min_periods=30).corr(social),
        "agreement_news_archive_60": news.rolling(60, min_periods=30).corr(archive),
        "agreement_social_archive_60": social.rolling(60, min_periods=30).corr(archive),
        "spread_news_social_5": news.rolling(5, min_periods=1).mean() - social.rolling(5, min_periods=1).mean(),
        "crowd_mood": context.of_group(_crowd),
    }


def _crowd(section: Section, peers: tuple[str, ...], masks: Mapping[str, Mask] = NO_MASKS) -> pd.Series[float]:
    """Mean tone of the peers' news and social records: the mood of the crowd, not of this company."""
    records = section.tables.of_some("sentiment", peers)
    if masks and not records.empty:
        session = section.calendar.first_session_knowing(records["timestamp"].to_numpy())
        session = np.minimum(session, section.sessions - 1)  # a record behind the last session is left out by `daily`
        keep = np.ones(len(records), dtype=bool)
        for name, mask in masks.items():
            own = (records["symbol"] == name).to_numpy()
            keep[own] = mask[session[own]]
        records = records[keep]
    if records.empty:
        return pd.Series(np.full(section.sessions, np.nan))
    others = daily(records[records["source"].isin(STREAMS)], section.calendar)
    tones = {name: others[name]["tone"] for name in STREAMS if name in others}
    return pd.Series(row_mean(pd.DataFrame(tones)) if tones else np.full(section.sessions, np.nan))
