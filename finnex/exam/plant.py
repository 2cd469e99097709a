"""What a planted leak is: tables, settings, code or a store that look ahead, and what a finding must name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
import pandas as pd

from finnex.audit.label_inputs import MakeLabels
from finnex.audit.timing import Make
from finnex.config import Config
from finnex.data.labels import make_labels
from finnex.data.panel import make_panel
from finnex.data.tables import Tables
from finnex.exam.hidden_paths import AMERICAN, SYMBOL
from finnex.exam.random_market import Market

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True)
class Planted:
    """What is audited.

    Attributes
    ----------
    settings
        Of the configuration, as in `finnex.exam.random_market.Market`.
    zone
        Zone of the local times that the sentiment file has, where the configuration reads it in another one.
    make, labels
        What computes panels and labels. Functions of a module, so that other processes can have them.
    vintage
        A later vintage of the enhanced table.
    store
        Builds a store from the configuration, and returns where; absent, no store is audited.
    """

    tables: Tables
    settings: Mapping[str, Any]
    zone: str | None = None
    make: Make = make_panel
    labels: MakeLabels = make_labels
    vintage: pd.DataFrame | None = None
    store: Callable[[Config], Path] | None = None


Plant = Callable[[Market, np.random.Generator], Planted]


@dataclass(frozen=True)
class Kind:
    """A kind of leak, or of honest data that looks like one.

    Attributes
    ----------
    about
        One sentence on what is wrong, or looks wrong.
    tables, features
        What a finding must name to be right: one of these tables, and one of these features (each the beginning of a
        name). Empty, any will do; of honest data both are empty.
    listed
        Whether it was missed once by an audit that said 'proved': the reason for this exam.
    unknowable
        Why no audit of these files can know it; '' where one can.
    """

    name: str
    about: str
    plant: Plant
    tables: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    listed: bool = False
    honest: bool = False
    unknowable: str = ""
    exchange: str = AMERICAN
    enhanced: bool = False


def kind(
    kinds: list[Kind],
    *,
    tables: tuple[str, ...] = (),
    features: tuple[str, ...] = (),
    **more: Any,
) -> Callable[
    [Callable[Concatenate[Market, np.random.Generator, Parameters], Planted]],
    Callable[Concatenate[Market, np.random.Generator, Parameters], Planted],
]:
    """Enter a function into a list of kinds: its name is the kind's, the first line of its docstring what is wrong.

    Parameters
    ----------
    kinds
        List that the kind is added to.
    tables, features
        What a finding must name to be right, as of `Kind`.
    **more
        The other fields of `Kind`.

    Returns
    -------
    Callable
        A decorator, which returns the function unchanged.
    """

    def enter(
        plant: Callable[Concatenate[Market, np.random.Generator, Parameters], Planted],
    ) -> Callable[Concatenate[Market, np.random.Generator, Parameters], Planted]:
        about = (plant.__doc__ or "").strip().splitlines()[0]
        kinds.append(Kind(plant.__name__, about, plant, tables, features, **more))
        return plant

    return enter


def planted(market: Market, **frames: pd.DataFrame | None) -> Planted:
    """Return a market with some of its tables in another form."""
    return Planted(replace(market.tables, **frames), market.settings)  # type: ignore[arg-type]


def with_inputs(market: Market, **inputs: Any) -> dict[str, Any]:
    """Return a market's settings with more of them below [inputs]."""
    return {**market.settings, "inputs": {**market.settings.get("inputs", {}), **inputs}}


def own_bars(market: Market) -> pd.DataFrame:
    """Return the bars of the market's symbol, by date."""
    prices = market.tables.prices
    return prices[prices["symbol"] == SYMBOL].drop(columns="symbol").set_index("date")


def returns_ahead(market: Market, lag: int) -> pd.Series[float]:
    """Return the symbol's log return from the close of session t + lag - 1 to that of t + lag, by the date of t."""
    return log_closes(market).diff().shift(-lag)


def log_closes(market: Market) -> pd.Series[float]:
    """Return the logarithm of the symbol's closes, by date."""
    close = own_bars(market)["close"]
    return pd.Series(np.log(close.to_numpy()), index=close.index)


@contextmanager
def patched(owner: object, name: str, value: object) -> Iterator[None]:
    """Put another value in a name's place for as long as the block lasts."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
