"""Regions tile every channel, sections tile the rows: what lies over what, and what lies bare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from finnex.errors import MOST_OF_A_KIND
from finnex.layout.layout import Section

Span = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """Place of a region, half-open; None where the file does not give it legibly."""

    name: str
    channel: str | None
    rows: Span | None
    columns: Span | None


def tiling_mistakes(
    places: Sequence[Place], channels: Sequence[str], sections: Sequence[Section], height: int, width: int
) -> list[str]:
    """Return every overlap and gap. A region whose place cannot be read hides no gap but those it may have left.

    Parameters
    ----------
    places
        Place of each region.
    channels
        Names of the channels; each must be tiled.
    sections
        Thirds of the rows, in order.
    height, width
        Canvas, in pixels.

    Returns
    -------
    list of str
        A sentence for each mistake; empty where regions tile every channel.
    """
    mistakes = _sections(sections, height)
    bare = np.ones((len(channels), height, width), dtype=np.bool_)
    placed: list[tuple[Place, Span, Span]] = []
    for place in places:
        (top, bottom), (left, right) = place.rows or (0, height), place.columns or (0, width)
        if place.channel is None or place.rows is None or place.columns is None:
            bare[slice(None) if place.channel is None else channels.index(place.channel), top:bottom, left:right] = (
                False
            )
            continue
        if bottom > height or right > width:
            mistakes.append(
                f"region '{place.name}': reaches row {bottom - 1}, column {right - 1}, beyond the canvas. Shrink it."
            )
        mistakes += [
            f"region '{place.name}' overlaps region '{other.name}' in channel '{place.channel}'. Move one of them."
            for other, rows, columns in placed
            if other.channel == place.channel
            and max(rows[0], top) < min(rows[1], bottom)
            and max(columns[0], left) < min(columns[1], right)
        ]
        placed.append((place, (top, bottom), (left, right)))
        bare[channels.index(place.channel), top:bottom, left:right] = False
    for channel, left_bare in zip(channels, bare, strict=True):
        mistakes += [
            f"channel '{channel}' has a gap at row {top}, column {left}, {down} rows by {across} columns. "
            "Regions must tile every channel."
            for top, left, down, across in islice(_gaps(left_bare), MOST_OF_A_KIND)
        ]
    return mistakes


def _sections(sections: Sequence[Section], height: int) -> list[str]:
    mistakes, end = [], 0
    for section in sorted(sections, key=lambda section: section.rows):
        if section.rows[0] > end:
            mistakes.append(f"rows {end} to {section.rows[0] - 1} lie in no section. Sections must tile the rows.")
        if section.rows[0] < end:
            mistakes.append(
                f"section '{section.name}' begins at row {section.rows[0]}, inside another. Move one of them."
            )
        end = max(end, section.rows[1])
    if sections and end < height:
        mistakes.append(f"rows {end} to {height - 1} lie in no section. Sections must tile the rows.")
    if end > height:
        mistakes.append(f"sections reach row {end - 1}, beyond the canvas. Shrink them.")
    return mistakes


def _gaps(bare: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int, int]]:
    """Yield bare rectangles, row by row: top, left, rows, columns. Changes `bare`."""
    while bare.any():
        top, left = divmod(int(np.argmax(bare)), bare.shape[1])
        across = int(np.argmin(np.append(bare[top, left:], False)))
        down = int(np.argmin(np.append(bare[top:, left : left + across].all(axis=1), False)))
        bare[top : top + down, left : left + across] = False
        yield top, left, down, across
