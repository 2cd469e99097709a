"""Files of other formats: column names and words to ours, by configuration or by a named preset.

Names alone: `finnex.data.arrange` applies them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finnex.data import parse
from finnex.data.names import METRICS, OPTION_COLUMNS
from finnex.data.preset import plain
from finnex.errors import ConfigError, nearest

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
SOURCES = ("news", "social", "historical", "analyst", "management")


@dataclass(frozen=True)
class Preset:
    """How one table is read: for each of our columns the names it may have, the first found wins.

    Names are compared without regard to case, with spaces and hyphens as underscores.
    """

    names: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    """Columns that describe and do not measure: not read."""


SPECIFICATION: Mapping[str, Preset] = {
    "enhanced": Preset(
        {
            "symbol": ("symbol", "ticker"),
            "date": ("date", "datetime", "timestamp", "trading_date"),
            **{name: (name,) for name in PRICE_COLUMNS},
        },
        left_out=("company", "company_name", "name", "currency", "exchange", "source"),
    ),
    "sentiment": Preset(
        {
            "symbol": ("symbol", "ticker"),
            "timestamp": ("timestamp", "datetime", "created_at", "published_at"),
            # `platform` is one word of a short list: both where it was said, and whose scale the score is on.
            # The author's own `source` column (a forum, a site, an author) is too fine to learn a scale from.
            "source": ("platform", "source"),
            "provider": ("provider", "platform", "source"),
            "score": ("sentiment_score", "score"),
            "confidence": ("confidence",),
            "engagement": ("engagement_score", "engagement"),
            "text": ("text",),
        }
    ),
    "competitive": Preset(
        {
            # The company of a row is our `peer`; whose competitors they are, the configuration says.
            "peer": ("peer", "competitor", "ticker", "symbol", "company"),
            "symbol": ("subject",),
            "date": ("date", "as_of", "collected"),
        },
        left_out=("company", "company_name", "name", "sector", "industry", "country", "currency", "exchange", "source"),
    ),
}
"""The specification's author's files: an enhanced file, a sentiment file of records, a competitive file."""

FILED = Preset(
    {
        "symbol": ("symbol", "ticker"),
        "period_start": ("period_start", "start"),
        "period_end": ("period_end", "end"),
        "available_date": ("available_date", "filed"),
        "metric": ("metric", "concept", "tag"),
        "value": ("value", "val"),
        "currency": ("currency", "unit", "uom"),
    },
    left_out=("accn", "cik", "ddate", "entityname", "form", "fp", "frame", "fy", "label"),
)
"""Fundamentals, with any preset: EDGAR's names of columns are aliases, as FRED's names of series are."""

PLATFORMS: Mapping[str, str] = {
    **{source: source for source in SOURCES},
    **dict.fromkeys(
        ("reddit", "twitter", "x", "stocktwits", "facebook", "instagram", "threads", "mastodon", "bluesky", "tiktok",
         "youtube", "telegram", "discord", "hackernews", "hacker_news", "linkedin", "social_media", "forum"), "social",
    ),
    **dict.fromkeys(
        ("reuters", "bloomberg", "cnbc", "wsj", "wall_street_journal", "financial_times", "ft", "marketwatch",
         "seeking_alpha", "seekingalpha", "yahoo", "yahoo_finance", "google_news", "benzinga", "barrons", "forbes",
         "business_insider", "the_motley_fool", "motley_fool", "investing", "investing.com", "newsapi", "finnhub",
         "alpha_vantage", "gdelt", "cnn", "bbc", "nytimes", "guardian", "associated_press", "zacks", "tipranks"),
        "news",
    ),
}  # fmt: skip
"""Word of a `platform` column to our source."""

COLLECTED = re.compile(r"_(\d{4})(\d{2})(\d{2})_\d{6}(?=\.)")
"""The collection stamp that the specification's file names carry."""


OWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "prices": ("symbol", "date", *PRICE_COLUMNS),
    "macro": ("series", "date", "available_date", "value"),
    "fundamentals": ("symbol", "period_start", "period_end", "available_date", "origin", *METRICS),
    "sentiment": (
        *("symbol", "timestamp", "source", "provider", "score", "text"),
        *("confidence", "documents", "engagement", "repost"),
    ),
    "competitive": ("symbol", "date", "peer"),
    "events": ("name", "date", "announced"),
    "options": ("symbol", "date", *OPTION_COLUMNS),
    "splits": ("symbol", "date", "ratio"),
    "enhanced": ("symbol", "date", *PRICE_COLUMNS),
}
"""Columns that a reader asks for by table: found whatever their case, with spaces and hyphens as underscores."""


def nearest_platform(word: str) -> str:
    """Return a remedy for a word that is no platform."""
    return f"{nearest(word, PLATFORMS)} Or write one of {', '.join(SOURCES)}."


def generated_entries(columns: Sequence[str], rooms: Mapping[str, int], header: Sequence[str]) -> str:
    """Return catalogue rows, as CSV text, for columns of an enhanced file that no catalogue describes.

    Parameters
    ----------
    columns
        Names, in the file's order.
    rooms
        Heat map to the rows it has left; filled in this order.
    header
        The catalogue's columns, in its order.

    Raises
    ------
    ConfigError
        The heat maps have fewer rows than there are columns.

    Notes
    -----
    Each column is drawn by its own past: standard deviations from the mean of its trailing year, -3 dark to 3
    bright, more is brighter. It has no direction: nothing says whether more is bullish. A catalogue of one's own can.
    """
    places = [heatmap for heatmap, rows in rooms.items() for _ in range(rows)]
    if len(places) < len(columns):
        raise ConfigError(
            f"[inputs] enhanced_heatmaps: {', '.join(rooms)} have {len(places)} rows left for {len(columns)} columns "
            "of the enhanced file. Name further heat maps, or draw fewer columns."
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="ignore")
    for name, heatmap in zip(columns, places, strict=False):
        writer.writerow(
            dict.fromkeys(header, "")
            | {"name": name, "table": "enhanced", "unit": "as given", "normalizer": "zscore", "low": -3, "high": 3,
               "window_sessions": 252, "max_age_sessions": 0, "orientation": 1, "direction": "none", "region": heatmap,
               "source": "the enhanced file", "meaning": f"column {name} of the enhanced file, as it is"}
        )  # fmt: skip
    return text.getvalue()


def symbol_of_file(path: Path) -> str:
    """Return whose enhanced file it is: its symbol column, else the first word of its name, in capitals.

    Raises
    ------
    ConfigError
        It is of several companies, or its name has no word.
    """
    text = parse.read_text(path)
    options = SPECIFICATION["enhanced"].names["symbol"]
    column = next((name for name in text.columns if plain(name) in options), None)
    found = sorted(set(text[column].str.strip()) - {""}) if column is not None else []
    word = re.match("[A-Za-z]+", path.name)
    if len(found) > 1 or (not found and word is None):
        words = f"is of several companies ({', '.join(found[:5])})" if found else "does not say whose it is"
        raise ConfigError(f"{path} {words}. Name one with symbol=.")
    return found[0] if found else str(word and word.group()).upper()
