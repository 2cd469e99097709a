"""A company of a run: its calendar, bars and labels, the windows of its sessions, and their images in its store."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from finnex.data.days import read_days
from finnex.data.features import Context, make_context, symbol_bars
from finnex.data.label_kinds import all_labels
from finnex.data.labels import Labels
from finnex.data.own_columns import PRICE_COLUMNS
from finnex.errors import BuildError, ConfigError
from finnex.layout import Layout
from finnex.pipeline.daily_features import DailyFeatures
from finnex.pipeline.drawing import draw_here
from finnex.pipeline.due_sessions import SymbolBuild
from finnex.pipeline.portions import Portion, draw_units
from finnex.pipeline.run_inputs import Run
from finnex.pipeline.specification_files import prepare
from finnex.store import ImageStore, writing


class OneCompany:
    """What the methods of the specification's generator share.

    Attributes
    ----------
    symbol
        The company.
    """

    symbol: str
    _run: Run

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
        days = self._context.calendar.days
        return all_labels(self._run.tables, self._run.config, self.symbol, self._bars, days)

    @property
    def _layout(self) -> Layout:
        return self._run.layout

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

    def _publish(self, days: pd.DatetimeIndex) -> xr.Dataset:
        """Have those days drawn that the store does not hold yet; return the store's rows of all."""
        prepared, path = self._prepared, self._prepared.store.path
        wanted = prepared.panel.calendar.index_of(days.to_numpy().astype("datetime64[D]"))
        held = ImageStore.open(path).open_images(self.symbol)["date"].to_numpy().astype("datetime64[D]")
        stale = set(prepared.positions.tolist()) - self._done
        batch = [row for row in wanted.tolist() if row in stale or prepared.panel.calendar.days[row] not in held]
        with writing(path):
            for _, outcome in draw_units([Portion(prepared, tuple(batch))], draw_here):
                if outcome.corrupt is not None:
                    raise outcome.corrupt
                if outcome.failed:
                    day, error = outcome.failed[0]
                    raise BuildError(f"{len(outcome.failed)} images could not be drawn; {self.symbol} {day}: {error}.")
        self._done.update(batch)
        return ImageStore.open(path).open_images(self.symbol).sel(date=days.to_numpy())

    @cached_property
    def _done(self) -> set[int]:
        return set()
