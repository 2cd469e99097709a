"""Compare two panels of one symbol exactly, up to a session, and the images of that session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from finnex.data.panel import BAR_COLUMNS, Panel
from finnex.images.blending import region_weights
from finnex.images.render import Image, Renderer
from finnex.layout import Layout

Differences = dict[str, tuple[str, ...]]
"""What differs (a feature, `bars.close`, `weight.news`, `image`, `sessions`) to where: original, normalized, ..."""


def differences(full: Panel, seen: Panel, position: int) -> Differences:
    """Return what differs in the sessions up to and including `position`; NaN equals NaN, nothing is rounded."""
    sessions = position + 1
    if not np.array_equal(full.calendar.days[:sessions], seen.calendar.days[:sessions]):
        return {"sessions": ("calendar",)}
    found: dict[str, list[str]] = {}
    for what, names, ours, theirs in _arrays(full, seen):
        moved = _differ(ours[:sessions], theirs[:sessions]).any(axis=0)
        for column in np.flatnonzero(moved):
            found.setdefault(names[column], []).append(what)
    return {name: tuple(where) for name, where in found.items()}


def weights_that_differ(layout: Layout, full: Panel, seen: Panel, position: int) -> Differences:
    """Return the regions whose blend differs in the sessions up to and including `position`.

    Parameters
    ----------
    layout
        Layout whose regions are blended.
    full
        Panel of all tables.
    seen
        Panel of the tables as known at the decision of `position`.
    position
        Last session that is compared.

    Returns
    -------
    Differences
        `weight.REGION` to ("weight",); empty where all weights agree to the last bit.
    """
    ours, theirs = (region_weights(panel, layout)[: position + 1] for panel in (full, seen))
    moved = np.flatnonzero((ours != theirs).any(axis=0))
    return {f"weight.{layout.regions[number].name}": ("weight",) for number in moved}


def moved_after(full: Panel, seen: Panel, position: int) -> set[str]:
    """Return the features whose original value differs at some session after `position`."""
    end = min(len(full.calendar), len(seen.calendar))
    moved = _differ(full.original[position + 1 : end], seen.original[position + 1 : end]).any(axis=0)
    return {full.features[column] for column in np.flatnonzero(moved)}


def _arrays(
    full: Panel, seen: Panel
) -> Iterable[tuple[str, tuple[str, ...], npt.NDArray[np.floating], npt.NDArray[np.floating]]]:
    for field in fields(Panel):
        ours, theirs = getattr(full, field.name), getattr(seen, field.name)
        if isinstance(ours, np.ndarray):
            ours, theirs = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
            if ours.shape[1] == len(full.features):
                names = full.features
            elif field.name == "bars":
                names = tuple(f"bars.{name}" for name in BAR_COLUMNS)
            else:
                names = tuple(f"{field.name}.{column}" for column in range(ours.shape[1]))
            yield field.name, names, ours, theirs


def _differ(ours: npt.NDArray[np.floating], theirs: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    moved: npt.NDArray[np.bool_] = (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
    return moved


def image_of(renderer: Renderer, panel: Panel, position: int) -> Image:
    """Draw a session from its window of the panel, as a build does; sessions before the first row are not known."""
    first = position - renderer.layout.lookback + 1
    rows, pad = slice(max(0, first), position + 1), ((max(0, -first), 0), (0, 0))
    values = np.pad(panel.normalized[rows], pad, constant_values=np.nan)
    bars = np.pad(panel.bars[rows], pad, constant_values=np.nan)
    return renderer.draw(values, bars, region_weights(panel, renderer.layout)[position])[0]
