"""What the generator gives of one session: its window, its image, its labels, and what was said of the company."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from finnex.config import HORIZONS
from finnex.data.features.sentiment import RECORD_COLUMNS, daily
from finnex.errors import ConfigError
from finnex.pipeline.daily_features import DailyFeatures, Image
from finnex.pipeline.one_company import OneCompany
from finnex.pipeline.specification_files import elsewhere, prepare
from finnex.store import LABEL_WORDS


class SessionMethods(OneCompany):
    """The methods of `FinNeXMegaImageGenerator` that are about one session.

    Attributes
    ----------
    sentiment_data
        Its sentiment records, as FinNeX read and checked them; None where there are none.
    """

    sentiment_data: pd.DataFrame | None

    def extract_daily_features(self, trading_date: Any) -> DailyFeatures:
        """Return what the image of a session is drawn from, nothing of it later than that session's close.

        Parameters
        ----------
        trading_date
            A session with a bar: a date, a time stamp, or text such as "2015-03-31".

        Returns
        -------
        DailyFeatures
            The window of every region, oldest session first.

        Raises
        ------
        ConfigError
            It is no such session; the message says why.
        """
        return self._daily(self._prepared, trading_date)

    def create_daily_mega_image(self, daily_features: DailyFeatures) -> Image:
        """Return the image of one session, (512, 512, 3) float32: the bytes that the store would hold.

        Parameters
        ----------
        daily_features
            What `extract_daily_features` returned.

        Returns
        -------
        numpy.ndarray
            (y, x, channel) in [0, 1], 0 where not known.

        Raises
        ------
        BuildError
            It could not be drawn.
        """
        return daily_features.image

    def generate_trading_labels(self, trading_date: Any) -> dict[str, Any]:
        """Return the configured label (kind, horizon, label, class, return, label_end) and, by kind and horizon, all.

        `label` is buy, hold, sell, or unknown where the outcome lies beyond the last bar.

        Parameters
        ----------
        trading_date
            As of `extract_daily_features`.

        Returns
        -------
        dict
            `class` is 0 sell, 1 hold, 2 buy, -1 unknown; `return` a simple return, NaN, and `label_end` a day, NaT,
            while unknown.
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
        """Return what an image is: symbol, session, decision time, layout, and how much of each region is known.

        Parameters
        ----------
        trading_date
            As of `extract_daily_features`.
        daily_features
            What it returned for that session.

        Returns
        -------
        dict
            `decision_time` is in UTC; `coverage` the share of known pixels by region, in [0, 1].
        """
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

        Parameters
        ----------
        sentiment_data
            `self.sentiment_data`, or other records under the same columns.
        trading_date
            As of `extract_daily_features`.

        Returns
        -------
        dict
            Source to its figures, NaN where not known.

        Raises
        ------
        ConfigError
            It is no such session, or the records lack a column.
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
        trading_date
            As of `extract_daily_features`.

        Returns
        -------
        numpy.ndarray
            (row, x) float32 in [0, 1], 0 where not known.

        Raises
        ------
        ConfigError
            It is no such session, the records lack a column, or the layout has no such section.
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
