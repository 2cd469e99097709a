"""What is the same for all symbols of a run: checked inputs, what an image is, which sessions are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from finnex.config import HORIZONS, Config
from finnex.data.features import symbol_calendar
from finnex.data.labels import KINDS
from finnex.data.tables import Tables, read_tables
from finnex.errors import ConfigError, nearest
from finnex.layout import Layout, load_layout
from finnex.store import ImageStore, StoreTemplate


@dataclass(frozen=True)
class Run:
    """Everything that is the same for all symbols of a run: checked inputs and what an image is."""

    config: Config
    tables: Tables
    layout: Layout
    template: StoreTemplate


def read_run(config: Config) -> Run:
    """Read and check all inputs and the layout of a run.

    Raises
    ------
    InputError, ConfigError, LayoutError
        With everything that is wrong.
    """
    layout = load_layout(config.image.layout, config.image.lookback, blending=config.image.blending)
    tables = read_tables(config)
    template = StoreTemplate(
        layout_name=layout.name,
        layout_hash=layout.hash,
        layout_toml=layout.text,
        catalogue_csv=layout.catalogue.text,
        lookback_sessions=layout.lookback,
        blending=layout.blending,
        shape=(layout.height, layout.width, len(layout.channels)),
        channels=layout.channels,
        regions=tuple(region.name for region in layout.regions),
        features=layout.catalogue.names,
        horizons=HORIZONS,
        label_kinds=KINDS,
        label_settings=config.labels.model_dump(exclude={"kind", "horizon"}),
        exchange=config.exchange,
        synthetic_tables=tuple(sorted(config.inputs.synthetic)),
    )
    return Run(config, tables, layout, template)


def open_for_writing(run: Run) -> ImageStore:
    """Open the run's store for writing, making it where there is none. Call under `finnex.store.writing`."""
    store = ImageStore.prepare(run.config.store.path, run.template)
    store.sweep_drafts()
    return store


def sessions_wanted(run: Run, symbol: str, start: date | None = None, end: date | None = None) -> npt.NDArray[np.intp]:
    """Return the sessions of a symbol that a run asks for, as positions from its first bar on.

    Absent, `start` is the first session whose window is full, and `end` the last bar.

    Raises
    ------
    ConfigError
        The symbol is not configured, or the range holds no session of it.
    """
    config = run.config
    if symbol not in config.symbols:
        raise ConfigError(f"symbol '{symbol}' is not among the configured symbols. {nearest(symbol, config.symbols)}")
    calendar = symbol_calendar(run.tables, config, symbol)
    first_full = calendar.days[min(run.layout.lookback, len(calendar)) - 1].item()
    start, end = start or config.start or first_full, end or config.end
    wanted = calendar.between(start, end)
    if len(wanted) == 0:
        raise ConfigError(
            f"there is no session of {symbol} from {start} to {end or 'the last bar'}: its prices run from "
            f"{calendar.days[0]} to {calendar.days[-1]}. Change start or end."
        )
    return wanted
