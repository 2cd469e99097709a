"""Leaks of the build: tables and code are right, and the store that readers see is ahead of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import finnex.data.label_kinds
import finnex.pipeline.stage_1
from finnex.config import Config
from finnex.data.normalize import FeatureSpec
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables
from finnex.errors import BuildError
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.plant import Kind, Planted, kind, patched, planted
from finnex.exam.plants_labels import (
    classes_of_the_session_before,
    ended_the_next_session,
    entered_at_todays_open,
)
from finnex.exam.random_market import Market
from finnex.pipeline import Portion, build, draw_here, draw_units, open_for_writing, prepare_symbol, read_run
from finnex.store import writing

KINDS: list[Kind] = []
STORE = ("store",)
DRAWN = 24
"""Sessions that are drawn: an image takes a tenth of a second."""


def ahead(panel: Panel, lag: int) -> Panel:
    """Return a panel whose every row is that of `lag` sessions on; the last are not known."""

    def moved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        later = np.full_like(values, np.nan)
        later[: len(values) - lag] = values[lag:]
        return later

    return replace(
        panel,
        original=moved(panel.original),
        normalized=moved(panel.normalized),
        location=moved(panel.location),
        scale=moved(panel.scale),
        bars=moved(panel.bars),
    )


def draw_images_ahead(config: Config, *, lag: int, every: int) -> Path:
    """Build a store in which every `every`th image is drawn from rows `lag` sessions on, and all else is right."""
    run = read_run(config)
    with writing(config.store.path):
        one = prepare_symbol(run, open_for_writing(run).store, SYMBOL)
        for of, here in (
            (replace(one, stage_1=replace(one.stage_1, rows=ahead(one.panel, lag).rows)), one.positions[::every]),
            (one, np.delete(one.positions, np.s_[::every])),
        ):
            if len(here):
                for _, outcome in draw_units([Portion(of, tuple(here.tolist()))], draw_here):
                    if failed := outcome.failed:
                        raise BuildError(f"{len(failed)} images of the market could not be drawn: {failed[0][1]}")
    return Path(str(config.store.path))


def write_features_ahead(config: Config, *, lag: int) -> Path:
    """Build a store whose stored features are those of `lag` sessions on; images and labels are right."""
    path = draw_images_ahead(config, lag=0, every=1)
    run = read_run(config)
    with writing(config.store.path):
        one = prepare_symbol(run, open_for_writing(run).store, SYMBOL, force=True)
        rows, later = one.on_axis[one.positions], ahead(one.panel, lag)
        for array in ("normalized", "original", "location", "scale"):
            values = one.store.values(SYMBOL, f"feature_{array}")
            values[rows] = getattr(later, array)[one.positions]
            one.store.write_rows(SYMBOL, f"feature_{array}", 0, values)
    return path


def panel_ahead(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec], *, lag: int) -> Panel:
    """Make a panel whose every row is that of `lag` sessions on.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    lag
        Sessions ahead.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    return ahead(make_panel(tables, config, symbol, specs), lag)


def build_with(config: Config, *, name: str, value: object) -> Path:
    """Build a store with another function in the place of one of the build's."""
    owner = finnex.data.label_kinds if hasattr(finnex.data.label_kinds, name) else finnex.pipeline.stage_1
    with patched(owner, name, value):
        build(config)
    return Path(str(config.store.path))


def _short(market: Market) -> Planted:
    """Ask for few sessions, in the last third of the market."""
    days = market.tables.prices["date"].drop_duplicates().reset_index(drop=True)
    first = len(days) * 3 // 4
    ends = {"start": days[first].date(), "end": days[first + DRAWN - 1].date()}
    return replace(planted(market), settings={**market.settings, **ends})


@kind(KINDS, tables=STORE, listed=True)
def every_image_one_session_ahead(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The build draws every image from the rows of the next session; features and labels are right."""
    return replace(_short(market), store=partial(draw_images_ahead, lag=lag, every=1))


@kind(KINDS, tables=STORE)
def one_image_in_four_ahead(market: Market, rng: np.random.Generator, lag: int = 1, every: int = 4) -> Planted:
    """The build draws one image in four from the rows of the next session.

    Parameters
    ----------
    market
        Clean market.
    rng
        Not used: the leak is without noise.
    lag
        Sessions ahead.
    every
        One image in so many is drawn ahead.

    Returns
    -------
    Planted
        The market with the leak.
    """
    return replace(_short(market), store=partial(draw_images_ahead, lag=lag, every=every))


@kind(KINDS, tables=STORE, listed=True)
def images_and_features_one_session_ahead(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The build draws images and writes features of the next session, so that the two agree."""
    make = partial(panel_ahead, lag=lag)
    return replace(_short(market), store=partial(build_with, name="make_panel", value=make))


@kind(KINDS, tables=STORE)
def stored_labels_entered_at_todays_open(market: Market, rng: np.random.Generator) -> Planted:
    """The build stores labels that enter at the open of the session whose close decides."""
    return replace(_short(market), store=partial(build_with, name="make_labels", value=entered_at_todays_open))


@kind(KINDS, tables=STORE)
def stored_classes_of_the_session_before(market: Market, rng: np.random.Generator) -> Planted:
    """The build stores with every session the class of the session before; outcomes and ends are right."""
    return replace(_short(market), store=partial(build_with, name="make_labels", value=classes_of_the_session_before))


@kind(KINDS, tables=STORE)
def stored_labels_that_end_the_next_session(market: Market, rng: np.random.Generator) -> Planted:
    """The build stores that every label is known on the session after its own; outcomes and classes are right."""
    return replace(_short(market), store=partial(build_with, name="make_labels", value=ended_the_next_session))


@kind(KINDS, tables=STORE)
def stored_features_one_session_ahead(market: Market, rng: np.random.Generator, lag: int = 1) -> Planted:
    """The build stores features of the next session, from which models without images learn; images are right."""
    return replace(_short(market), store=partial(write_features_ahead, lag=lag))


@kind(KINDS, honest=True)
def a_store_as_it_should_be(market: Market, rng: np.random.Generator) -> Planted:
    """A store that the shipped build made of the market."""
    return replace(_short(market), store=partial(draw_images_ahead, lag=0, every=1))
