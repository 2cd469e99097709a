"""Files of other formats: column names and words to ours, by configuration or by a named preset.

A mapping renames, and fills in values that are the same for a whole file; it checks nothing. The readers of
`finnex.data.tables` check the result as they check every file, and their messages name the file's own columns.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from finnex.config import Config, MappedTable
from finnex.data import parse
from finnex.data.csv_file import line_of
from finnex.data.lexicon import LexiconName
from finnex.data.names import METRICS, OPTION_COLUMNS
from finnex.data.written_times import read_times
from finnex.errors import ConfigError, InputError, Problem, first_of, nearest, shown

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


SPECIFICATION: Mapping[MappedTable, Preset] = {
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


@dataclass
class Reading:
    """How one file is read. `file_names` fills while it is: our column to the file's name of it."""

    preset: Preset | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    symbol: str | None = None
    """The only configured symbol: whose file it is when it has no column that says so."""
    zone: str | None = None
    """Zone of time stamps that carry none, and in which midnight counts as a date."""
    lexicon: LexiconName | None = None
    own: tuple[str, ...] = ()
    """Names that the table's reader asks for."""
    file_names: dict[str, str] = field(default_factory=dict)

    def read(self, path: Path, problems: list[Problem]) -> pd.DataFrame:
        """Return the file's text under our names of its columns."""
        text = parse.read_text(path)
        self.file_names = self._names(text, path)
        if self.file_names:
            used = set(self.file_names) | set(self.file_names.values())
            left_out = self.preset.left_out if self.preset else ()
            rest = [name for name in text.columns if name not in used and _plain(name) not in left_out]
            text = pd.concat(
                [*(text[theirs].rename(ours) for ours, theirs in self.file_names.items()), text[rest]], axis="columns"
            )
        if self.preset is not None:
            self._fill(text, path, problems)
        if self.zone is not None and "timestamp" in text.columns:
            text["timestamp"] = in_zone(text["timestamp"], self.zone)
        return text

    def _names(self, text: pd.DataFrame, path: Path) -> dict[str, str]:
        absent = [
            Problem(str(path), f"[inputs.columns] reads '{ours}' from it, and it is not there",
                    nearest(theirs, text.columns), column=theirs)
            for ours, theirs in self.columns.items()
            if theirs not in text.columns
        ]  # fmt: skip
        if absent:
            raise InputError(absent)
        plain = {_plain(name): name for name in reversed(text.columns)}
        found = dict(self.columns)
        for ours, options in (self.preset.names if self.preset else {}).items():
            names = [plain[option] for option in options if option in plain]
            if names:
                found.setdefault(ours, names[0])
        taken = {*found, *found.values()}
        for ours in self.own:
            theirs = plain.get(ours, ours)
            if ours not in text.columns and theirs != ours and not taken & {ours, theirs}:
                found[ours] = theirs
        return found

    def _fill(self, text: pd.DataFrame, path: Path, problems: list[Problem]) -> None:
        """Bring words and dates to our form, and fill in what is the same for the whole file; in place."""
        assert self.preset is not None
        if "symbol" not in text.columns and self.symbol is not None:
            text.insert(0, "symbol", self.symbol)
        if "date" not in text.columns and "peer" in text.columns and (stamp := COLLECTED.search(path.name)):
            text["date"] = "-".join(stamp.groups())
        if self.file_names.get("provider") == self.file_names.get("source", ""):
            text["provider"] = text["provider"].map(_plain)
        if "source" in self.preset.names and "source" in text.columns:
            words = text["source"].map(_plain)
            strange = (words != "") & ~words.isin(PLATFORMS)
            problems += [
                Problem(
                    str(path), "is no platform that the preset knows", _nearest_platform(words[row]),
                    row=line_of(path, int(row)), column="source", value=shown(text.at[row, "source"]),
                    further=further,
                )
                for row, further in first_of(words.index[strange].tolist())
            ]  # fmt: skip
            # A word that was refused must not be refused a second time by the reader's own list.
            text["source"] = words.map(PLATFORMS).where(~strange, SOURCES[0]).fillna("")

    def in_the_files_words(self, problem: Problem) -> Problem:
        """Return a problem under the file's own name of its column."""
        return replace(problem, column=self.file_names.get(problem.column or "", problem.column))


def reading_of(config: Config, table: str) -> Reading:
    """Return how the configuration wants a table to be read."""
    inputs, symbol = config.inputs, config.symbols[0] if len(config.symbols) == 1 else None
    if table == "fundamentals":
        reading = filed(inputs.columns.get("fundamentals", {}), symbol)
        return replace(reading, zone=inputs.timestamp_zone, own=OWN_NAMES[table])
    for name, preset in SPECIFICATION.items():
        if name == table:
            return Reading(
                preset=preset if inputs.preset == "specification" else None,
                columns=inputs.columns.get(name, {}),
                symbol=symbol,
                zone=inputs.timestamp_zone,
                lexicon=inputs.lexicon,
                own=OWN_NAMES[table],
            )
    return Reading(zone=inputs.timestamp_zone, own=OWN_NAMES.get(table, ()))


def filed(columns: Mapping[str, str] = MappingProxyType({}), symbol: str | None = None) -> Reading:
    """Return how a table of fundamentals is read; a column that is named as a metric is not a `value` too."""
    named = {_plain(theirs) for theirs in columns.values()}
    names = {ours: tuple(option for option in options if option not in named) for ours, options in FILED.names.items()}
    return Reading(preset=replace(FILED, names=names), columns=columns, symbol=symbol)


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _nearest_platform(word: str) -> str:
    return f"{nearest(word, PLATFORMS)} Or write one of {', '.join(SOURCES)}."


def in_zone(stamps: pd.Series[str], zone: str) -> pd.Series[str]:
    """Return time stamps with a zone: those that carry none are read as local times of `zone`, written with its offset.

    A local time that occurs twice in autumn counts as the later one, one that spring skips as the first after it:
    a record is never dated earlier than it can have been. Dates without a time stay as they are. Written in UTC, an
    evening of New York would be midnight and so be taken for a date.
    """
    times = read_times(stamps)
    naive = times.clock.notna() & ~times.zoned & ~times.midnight  # midnight is a date, by the day that is written
    if not naive.any():
        return stamps
    local = times.clock[naive]
    # Standard time is the later of the two: False says that a doubtful time is not in daylight saving.
    doubtful = np.zeros(len(local), dtype=bool)
    placed = local.dt.tz_localize(zone, ambiguous=doubtful, nonexistent="shift_forward")
    result = stamps.copy()
    result[naive] = placed.dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z")
    return result


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
    column = next((name for name in text.columns if _plain(name) in options), None)
    found = sorted(set(text[column].str.strip()) - {""}) if column is not None else []
    word = re.match("[A-Za-z]+", path.name)
    if len(found) > 1 or (not found and word is None):
        words = f"is of several companies ({', '.join(found[:5])})" if found else "does not say whose it is"
        raise ConfigError(f"{path} {words}. Name one with symbol=.")
    return found[0] if found else str(word and word.group()).upper()
