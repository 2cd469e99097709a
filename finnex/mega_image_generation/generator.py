"""The generator of the specification's six-step script."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from finnex.config import HORIZONS
from finnex.data.days import read_days
from finnex.data.features import Context, make_context, symbol_bars
from finnex.data.features.sentiment import RECORD_COLUMNS, daily
from finnex.data.labels import Labels, make_labels
from finnex.data.mapping import PRICE_COLUMNS
from finnex.errors import BuildError, ConfigError, nearest
from finnex.layout import Layout
from finnex.mega_image_generation.day import (
    DailyFeatures,
    Image,
    construct_macro_fundamental_channel,
    construct_sentiment_channel,
    construct_technical_channel,
)
from finnex.mega_image_generation.files import configuration, elsewhere, prepare
from finnex.pipeline import BATCH_SESSIONS, SymbolBuild, draw_here, read_run
from finnex.store import LABEL_WORDS, ImageStore, writing


class FinNeXMegaImageGenerator:
    """Mega-images of one company from the specification's three files.

    Parameters
    ----------
    enhanced_dataset
        Date, open, high, low, close, volume and any further numeric columns. Columns that the catalogue does not
        know are drawn as they are, in the heat maps of `enhanced_heatmaps`.
    sentiment_dataset, competitive_dataset
        Records (timestamp, platform, source, sentiment_score, confidence, engagement_score, text) and metrics per
        company; None where there is none.
    **options
        `symbol` (absent: the enhanced file's column, else the first word of its name) and `store` (absent: images
        last as long as the process); any key of `[inputs]` (`macro`, `fundamentals`, `events`, `prices`, `lexicon`,
        `timestamp_zone`, `columns`, `enhanced_heatmaps`, ...); any other table of the configuration, such as
        `labels={"horizon": 5}` or `image={"layout": "my_layout.toml"}`.

    Attributes
    ----------
    market_data, sentiment_data, competitive_data
        The files as FinNeX read and checked them, under FinNeX's names; None where there is none.

    Raises
    ------
    InputError, ConfigError, LayoutError
        With everything that is wrong.
    """

    construct_sentiment_channel = staticmethod(construct_sentiment_channel)
    construct_technical_channel = staticmethod(construct_technical_channel)
    construct_macro_fundamental_channel = staticmethod(construct_macro_fundamental_channel)

    def __init__(
        self,
        enhanced_dataset: str | Path,
        sentiment_dataset: str | Path | None,
        competitive_dataset: str | Path | None,
        **options: Any,
    ) -> None:
        files = {"enhanced": enhanced_dataset, "sentiment": sentiment_dataset, "competitive": competitive_dataset}
        config = configuration({name: path for name, path in files.items() if path is not None}, options)
        self.symbol = config.symbols[0]
        self._run = read_run(config)
        tables = self._run.tables
        self.market_data, self.sentiment_data, self.competitive_data = (
            tables.enhanced, tables.sentiment, tables.competitive,
        )  # fmt: skip
        if tables.competitive is not None and self.symbol not in (companies := set(tables.competitive["peer"])):
            raise ConfigError(
                f"{competitive_dataset}: no row is of '{self.symbol}' itself, so nothing can be compared. "
                f"{nearest(self.symbol, companies)} Name the company with symbol=."
            )

    @cached_property
    def _prepared(self) -> SymbolBuild:
        return prepare(self._run)

    @cached_property
    def _context(self) -> Context:
        return make_context(self._run.tables, self._run.config, self.symbol)

    @cached_property
    def _bars(self) -> pd.DataFrame:
        return symbol_bars(self._run.tables, self.symbol, self._context.calendar)

    @cached_property
    def _labels(self) -> dict[str, Labels]:
        return make_labels(self._bars, self._context.calendar.days, self._run.config.labels)

    @property
    def normalization_params(self) -> dict[str, dict[str, Any]]:
        """How each feature becomes brightness. A z-score's mean and spread are each session's own trailing ones."""
        names = ("normalizer", "low", "high", "window_sessions", "max_age_sessions", "orientation")
        return {entry.name: {name: getattr(entry, name) for name in names} for entry in self._layout.catalogue.entries}

    @property
    def channel_assignments(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Channel to region to the features drawn there."""
        return {
            channel: {region.name: region.features for region in self._layout.regions if region.channel == channel}
            for channel in self._layout.channels
        }

    @property
    def _layout(self) -> Layout:
        return self._run.layout

    def create_mega_image_batch(self, date_range: Iterable[Any] | str) -> tuple[xr.DataArray, list[dict[str, Any]]]:
        """Draw the sessions among the days asked for.

        Parameters
        ----------
        date_range
            Days, such as `pandas.date_range` gives; one alone is one day.

        Returns
        -------
        mega_images
            (date, y, x, channel) float32 in [0, 1], read from the image store when used; `np.asarray` reads all.
            Coordinates of `date`: label (0 sell, 1 hold, 2 buy, -1 not known yet), label_end, forward_return, of the
            configured kind and horizon. `attrs["skipped"]` says of each day not drawn why; `attrs["store"]` names
            the store that the images are read from.
        metadata
            One dictionary per image, in its order: date, labels, meta.

        Raises
        ------
        ConfigError
            None of the days can be drawn, or one is no date.
        BuildError
            An image could not be drawn.
        """
        days = read_days(date_range, "date_range")
        reasons = [self._why_not(day) for day in days]
        skipped = {str(day.date()): reason for day, reason in zip(days, reasons, strict=True) if reason}
        drawn = days[[not reason for reason in reasons]]
        if len(drawn) == 0:
            words = "; ".join(f"{day}: {reason}" for day, reason in list(skipped.items())[:3]) or "the range is empty"
            raise ConfigError(f"date_range: none of {len(days)} days can be drawn ({words}). Ask for other days.")
        data = self._publish(drawn)
        settings = self._run.config.labels
        known = data.sel(horizon=settings.horizon)
        coordinates = {"label": "label", "label_end": "label_end", "forward_return": "return"}
        images = data["image"].drop_vars([name for name in data["image"].coords if name not in {"date", "channel"}])
        images = images.assign_coords(
            {ours: ("date", known[f"{stored}_{settings.kind}"].to_numpy()) for ours, stored in coordinates.items()}
        ).rename("mega_images")
        images.attrs |= {
            "symbol": self.symbol, "label_kind": settings.kind, "label_horizon_sessions": settings.horizon,
            "layout_hash": self._layout.hash, "skipped": skipped, "store": str(self._prepared.store.path),
        }  # fmt: skip
        metadata = [
            {
                "date": day,
                "labels": self.generate_trading_labels(day),
                "meta": self.create_metadata(day, self.extract_daily_features(day)),
            }
            for day in drawn
        ]
        return images, metadata

    def _publish(self, days: pd.DatetimeIndex) -> xr.Dataset:
        """Have those days drawn that the store does not hold yet; return the store's rows of all."""
        prepared, path = self._prepared, self._prepared.store.path
        wanted = prepared.panel.calendar.index_of(days.to_numpy().astype("datetime64[D]"))
        held = ImageStore.open(path).open_images(self.symbol)["date"].to_numpy().astype("datetime64[D]")
        stale = set(prepared.positions.tolist()) - self._done
        batch = [row for row in wanted.tolist() if row in stale or prepared.panel.calendar.days[row] not in held]
        with writing(path):
            for first in range(0, len(batch), BATCH_SESSIONS):
                outcome = prepared.run_batch(batch[first : first + BATCH_SESSIONS], draw_here)
                if outcome.failed:
                    day, error = outcome.failed[0]
                    raise BuildError(f"{len(outcome.failed)} images could not be drawn; {self.symbol} {day}: {error}.")
        self._done.update(batch)
        return ImageStore.open(path).open_images(self.symbol).sel(date=days.to_numpy())

    @cached_property
    def _done(self) -> set[int]:
        return set()

    def _why_not(self, day: pd.Timestamp) -> str:
        calendar = self._context.calendar
        first, last = calendar.days[0], calendar.days[-1]
        if not first <= np.datetime64(day, "D") <= last:
            return f"outside the prices, which run from {first} to {last}"
        position = int(calendar.index_of(np.array([day], dtype="datetime64[D]"))[0])
        if position < 0:
            return f"no session of {calendar.exchange}"
        return "" if position in self._bars.index else f"{self.symbol} has no bar"

    def _position(self, trading_date: Any) -> int:
        days = read_days(trading_date, "trading_date")
        if len(days) != 1:
            raise ConfigError(f"trading_date: {len(days)} days were given. Give one.")
        day = days[0]
        if reason := self._why_not(day):
            raise ConfigError(f"trading_date {day.date()} cannot be drawn: {reason}. Ask for another day.")
        return int(self._context.calendar.index_of(np.array([day], dtype="datetime64[D]"))[0])

    def extract_daily_features(self, trading_date: Any) -> DailyFeatures:
        """Return what the image of a session is drawn from, nothing of it later than that session's close."""
        return self._daily(self._prepared, trading_date)

    def _daily(self, prepared: SymbolBuild, trading_date: Any) -> DailyFeatures:
        position, panel = self._position(trading_date), prepared.panel
        rows = range(max(0, position - self._layout.lookback + 1), position + 1)
        sessions = pd.DatetimeIndex(panel.calendar.days[rows], name="date")
        return DailyFeatures(
            symbol=self.symbol,
            date=sessions[-1],
            layout=self._layout,
            block=prepared.blocks([position], 1)[0],
            original=pd.DataFrame(panel.original[rows], index=sessions, columns=list(panel.features)),
            bars=self._bars[list(PRICE_COLUMNS)].reindex(rows).set_axis(sessions),
        )

    def create_daily_mega_image(self, daily_features: DailyFeatures) -> Image:
        """Return the image of one session, (512, 512, 3) float32: the bytes that the store would hold."""
        return daily_features.image

    def generate_trading_labels(self, trading_date: Any) -> dict[str, Any]:
        """Return the configured label (kind, horizon, label, class, return, label_end) and, by kind and horizon, all.

        `label` is buy, hold, sell, or unknown where the outcome lies beyond the last bar.
        """
        row, settings = self._position(trading_date), self._run.config.labels
        every = {
            kind: {
                horizon: {
                    "label": LABEL_WORDS[int(labels.label[row, column])],
                    "class": int(labels.label[row, column]),
                    "return": float(labels.outcome[row, column]),
                    "label_end": pd.Timestamp(labels.end[row, column]),
                }
                for column, horizon in enumerate(HORIZONS)
            }
            for kind, labels in self._labels.items()
        }
        chosen = every[settings.kind][settings.horizon]
        return {"kind": settings.kind, "horizon": settings.horizon, **chosen, "all": every}

    def create_metadata(self, trading_date: Any, daily_features: DailyFeatures) -> dict[str, Any]:
        """Return what an image is: symbol, session, decision time, layout, and how much of each region is known."""
        position = self._position(trading_date)
        return {
            "symbol": self.symbol,
            "date": daily_features.date,
            "decision_time": pd.Timestamp(self._context.calendar.decision_time[position], tz="UTC"),
            "layout": self._layout.name,
            "layout_hash": self._layout.hash,
            "lookback_sessions": self._layout.lookback,
            "features": len(self._layout.catalogue.entries),
            "synthetic_tables": self._run.template.synthetic_tables,
            "coverage": daily_features.coverage,
        }

    def aggregate_daily_sentiment(self, sentiment_data: pd.DataFrame, trading_date: Any) -> dict[str, pd.Series[float]]:
        """Return per source what was said up to a session's close and after the close before it.

        Tone (standardised within its provider), level, intensity, dispersion, positive, negative, documents,
        engagement, repost_share; a source that never spoke is absent.
        """
        position = self._position(trading_date)
        self._check_records(sentiment_data)
        records = sentiment_data[sentiment_data["symbol"] == self.symbol]
        return {source: frame.iloc[position] for source, frame in daily(records, self._context.calendar).items()}

    def _check_records(self, records: Any) -> None:
        if not isinstance(records, pd.DataFrame):
            raise ConfigError(f"sentiment_data is a {type(records).__name__}. Give records, as in self.sentiment_data.")
        if missing := [name for name in RECORD_COLUMNS if name not in records.columns]:
            raise ConfigError(
                f"sentiment_data lacks {', '.join(missing)}. Give records under the columns of self.sentiment_data: "
                "what reads the file names and checks them."
            )

    def integrate_sentiment_patterns(self, sentiment_data: pd.DataFrame, trading_date: Any) -> Image:
        """Return the middle red cell of a session, (171, 512): news, social and historical side by side.

        The specification's yellow, red and gray of news are the colours in which `finnex show` paints this cell; the
        stored channel is one number a pixel.

        Parameters
        ----------
        sentiment_data
            `self.sentiment_data`, or other records under the same columns: the image is then drawn from those.
        """
        prepared = self._prepared
        if sentiment_data is not self.sentiment_data:
            self._check_records(sentiment_data)
            tables = replace(self._run.tables, sentiment=sentiment_data)
            prepared = prepare(replace(self._run, tables=tables, config=elsewhere(self._run.config)))
        section = next((item for item in self._layout.sections if item.name == "behavioral_technical"), None)
        if section is None:
            raise ConfigError(f"layout '{self._layout.name}' has no section 'behavioral_technical'. Use layout 'mega'.")
        return self._daily(prepared, trading_date).channel("red")[slice(*section.rows)]
