"""The generator of the specification's six-step script."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from finnex.data.days import read_days
from finnex.errors import ConfigError, nearest
from finnex.mega_image_generation.channels import (
    construct_macro_fundamental_channel,
    construct_sentiment_channel,
    construct_technical_channel,
)
from finnex.mega_image_generation.session_methods import SessionMethods
from finnex.pipeline import read_run
from finnex.pipeline.specification_files import configuration


class FinNeXMegaImageGenerator(SessionMethods):
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

    Examples
    --------
    >>> generator = FinNeXMegaImageGenerator("enhanced.csv", "sentiment.csv", None, symbol="NVDA")
    >>> mega_images, metadata = generator.create_mega_image_batch(["2015-03-31", "2015-04-04"])
    >>> mega_images.shape, mega_images.attrs["skipped"]
    ((1, 512, 512, 3), {'2015-04-04': 'no session of XNYS'})
    >>> generator.normalization_params["rsi_14"]["normalizer"], list(generator.channel_assignments)
    ('bounded', ['red', 'green', 'blue'])
    >>> features = generator.extract_daily_features("2015-03-31")
    >>> generator.create_daily_mega_image(features).shape
    (512, 512, 3)
    >>> generator.generate_trading_labels("2015-03-31")["label"]
    'buy'
    >>> generator.create_metadata("2015-03-31", features)["coverage"]["price_chart"]
    1.0
    >>> generator.integrate_sentiment_patterns(generator.sentiment_data, "2015-03-31").shape
    (171, 512)
    >>> sorted(generator.aggregate_daily_sentiment(generator.sentiment_data, "2015-03-31"))
    ['analyst', 'historical', 'management', 'news', 'social']
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
            None of the days can be drawn, or one is not a date.
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
