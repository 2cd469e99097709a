"""A random market: every table that FinNeX reads, in memory and as files, in which nothing knows the future."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config import Config, parse_config
from finnex.data.tables import Tables
from finnex.exam import random_tables, releases
from finnex.exam.hidden_paths import AMERICAN, PEERS, SECTORS, SYMBOL, ZONES, Paths, make_bars, make_paths

SETTINGS: Mapping[str, Any] = {"symbols": [SYMBOL], "peers": list(PEERS), "sectors": list(SECTORS)}
LEAST, MOST = 60, 1_000
"""Sessions of a market."""
LATE_QUOTES = {"VIX": 15 * 60 + 15, "SP500": 15 * 60}
"""Minutes after the close in Tokyo at which New York's session of the same date has closed, in winter too."""
FILE_COLUMN = {"available": "available_date"}


@dataclass(frozen=True)
class Market:
    """A random market.

    Attributes
    ----------
    tables
        Each as the readers of `finnex.data` give it.
    settings
        Content of `finnex.toml`, but for the paths of tables and store.
    sessions, seed, exchange
        What it was made from.
    """

    tables: Tables
    sessions: int
    seed: int
    exchange: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Config:
        """Write `finnex.toml` and every table as CSV into a folder, and return the checked configuration.

        Reading it again gives `tables`, to the last bit.
        """
        return write_market(folder, self.tables, self.settings)


def random_market(sessions: int = 420, seed: int = 0, exchange: str = AMERICAN, *, enhanced: bool = False) -> Market:
    """Return a random market of one symbol, three peers and, in New York, five sector funds.

    One factor moves prices, yields, oil and VIX (against it); sentiment and options follow the symbol's price;
    volatility and volume cluster; prices react to filings after them. All noise is drawn forward in time: a shorter
    market of the same seed is the beginning of a longer one.

    Parameters
    ----------
    sessions
        Sessions of the exchange, 60 (a window shows 56) to 1,000 (they end before 2026).
    seed
        Decides everything, the start (2012 to 2021) included.
    exchange
        XNYS, XLON or XTKS; macro series are New York's anyway.
    enhanced
        Whether to add a table of ready-made features, made of past closes.

    Returns
    -------
    Market
        Tables and settings.

    Raises
    ------
    ValueError
        Too few or too many sessions, or an exchange whose zone is not known here.
    """
    if not LEAST <= sessions <= MOST or exchange not in ZONES:
        raise ValueError(
            f"a market has {LEAST} to {MOST} sessions, on {', '.join(ZONES)}; not {sessions} on {exchange!r}"
        )
    paths = make_paths(sessions, seed, exchange)
    filings, jumps = releases.fundamentals(paths)
    bars = {name: make_bars(paths, name, own=0.014, jumps=jumps[name]) for name in (SYMBOL, *PEERS)}
    sectors = SECTORS if exchange == AMERICAN else ()  # funds of New York: their close comes after the others'
    bars |= {name: make_bars(paths, name, own=0.005) for name in sectors}
    prices = pd.concat(
        [
            pd.DataFrame(
                {
                    "symbol": name,
                    "date": paths.days.astype("datetime64[ns]"),
                    **{column: getattr(one, column) for column in ("open", "high", "low", "close", "volume")},
                }
            )
            for name, one in sorted(bars.items())
        ],
        ignore_index=True,
    )
    split = releases.splits(paths)
    tables = Tables(
        prices=prices,
        macro=releases.macro(paths),
        fundamentals=filings,
        sentiment=random_tables.sentiment(paths, bars[SYMBOL]),
        competitive=random_tables.competitive(paths),
        events=releases.events(paths),
        options=random_tables.options(paths, bars[SYMBOL]),
        splits=None if split.empty else split,
        enhanced=random_tables.enhanced(prices) if enhanced else None,
    )
    settings = dict(SETTINGS) | {"exchange": exchange, "sectors": list(sectors), "inputs": _quotes(paths)}
    return Market(tables, sessions, seed, exchange, settings)


def _quotes(paths: Paths) -> dict[str, Any]:
    return {} if paths.exchange == AMERICAN else {"quote_delay_minutes": LATE_QUOTES}


def write_market(folder: Path, tables: Tables, settings: Mapping[str, Any], zone: str | None = None) -> Config:
    """Write tables and configuration into a folder; see `Market.write`.

    Parameters
    ----------
    folder
        Folder to write into; it is made where it is not there.
    tables
        Tables to write, each as TABLE.csv.
    settings
        Tables of the configuration.
    zone
        Write time stamps as local times of this zone; absent, that of the settings, or UTC where they have none.

    Returns
    -------
    Config
        The configuration that was written, read and checked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs: dict[str, Any] = dict(settings.get("inputs", {}))
    for one in fields(Tables):
        frame = getattr(tables, one.name)
        if frame is not None:
            inputs[one.name] = f"{one.name}.csv"
            as_file(frame, zone=zone or inputs.get("timestamp_zone")).to_csv(folder / inputs[one.name], index=False)
    document = {**settings, "inputs": inputs, "store": {"path": "images"}}
    (folder / "finnex.toml").write_text(_toml(document), encoding="utf-8")
    return parse_config(document, folder / "finnex.toml")


def as_file(frame: pd.DataFrame, zone: str | None = None) -> pd.DataFrame:
    """Return a reader's table as its file has it: text for dates and moments.

    Parameters
    ----------
    zone
        Write time stamps as local times of this zone, without saying so; None writes them in UTC.
    """
    written = frame.drop(columns=[name for name in ("available_is_date",) if name in frame.columns])
    for name in ("date", "period_end", "announced", "from", "to"):
        if name in written.columns:
            written[name] = written[name].dt.strftime("%Y-%m-%d")
    if "available" in written.columns:
        day, moment = (written["available"].dt.strftime(form) for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"))
        written["available"] = day.where(frame["available_is_date"], moment)
    if "timestamp" in written.columns:
        utc = written["timestamp"].dt.tz_localize("UTC")
        form = "%Y-%m-%dT%H:%M:%SZ" if zone is None else "%Y-%m-%d %H:%M:%S"
        written["timestamp"] = utc.dt.tz_convert(zone or "UTC").dt.strftime(form)
    return written.rename(columns=FILE_COLUMN)


def _toml(document: Mapping[str, Any]) -> str:
    """Return a configuration as TOML: values first, then its sections."""
    sections = {name: value for name, value in document.items() if isinstance(value, Mapping)}
    lines = [f"{name} = {_value(value)}" for name, value in document.items() if name not in sections]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    return "\n".join([*lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    return json.dumps(value) if isinstance(value, str | int | float | list) else str(value)
