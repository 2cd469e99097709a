"""Regions tile every channel, sections tile the rows: what lies over what, and what lies bare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.layout.layout import Section

Span = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """Where a region stands, half-open; None where the file does not say it legibly."""

    name: str
    channel: str | None
    rows: Span | None
    columns: Span | None


def tiling_mistakes(
    places: Sequence[Place], channels: Sequence[str], sections: Sequence[Section], height: int, width: int
) -> list[str]:
    """Return every overlap and gap. A region whose place cannot be read hides no gap but those it may have left."""
    mistakes = _sections(sections, height)
    owner = np.zeros((height, width, len(channels)), dtype=np.int32)
    excused = np.zeros(owner.shape, dtype=np.bool_)
    for number, place in enumerate(places, start=1):
        (top, bottom), (left, right) = place.rows or (0, height), place.columns or (0, width)
        if place.channel is None or place.rows is None or place.columns is None:
            meant = slice(None) if place.channel is None else slice(found := channels.index(place.channel), found + 1)
            excused[top:bottom, left:right, meant] = True
            continue
        if bottom > height or right > width:
            mistakes.append(
                f"region '{place.name}': reaches row {bottom - 1}, column {right - 1}, beyond the canvas. Shrink it."
            )
        under = owner[top:bottom, left:right, channels.index(place.channel)]
        for other in np.unique(under[under > 0]):
            mistakes.append(
                f"region '{place.name}' overlaps region '{places[other - 1].name}' in channel '{place.channel}'. "
                "Move one of them."
            )
        under[under == 0] = number
    for index, channel in enumerate(channels):
        mistakes += [
            f"channel '{channel}' has a gap at row {top}, column {left}, {down} rows by {across} columns. "
            "Regions must tile every channel."
            for top, left, down, across in _gaps((owner[:, :, index] == 0) & ~excused[:, :, index])
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


def _gaps(bare: npt.NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Return bare rectangles, row by row: top, left, rows, columns."""
    bare, found = bare.copy(), []
    while bare.any():
        top, left = (int(position) for position in np.argwhere(bare)[0])
        across = int(np.argmin(np.append(bare[top, left:], False)))
        down = int(np.argmin(np.append(bare[top:, left : left + across].all(axis=1), False)))
        bare[top : top + down, left : left + across] = False
        found.append((top, left, down, across))
    return found
