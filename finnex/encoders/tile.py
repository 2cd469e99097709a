"""The interface of every encoder: parameters, `draw` and `origin`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import FLOOR
from finnex.encoders.origin import Origin
from finnex.errors import LayoutError, shown

Tile = Annotated[npt.NDArray[np.float32], "(height, width) in [0.02, 1], NaN where not known"]
KINDS = {int: "whole number", float: "number", str: "word"}


@dataclass(frozen=True)
class Encoder(ABC):
    """Common to all encoders.

    Attributes
    ----------
    session_px
        Columns that one session takes.
    """

    session_px: int = 3

    def __post_init__(self) -> None:
        """Refuse parameters that cannot be drawn, in one error; layouts come from files, so types are checked too."""
        mistakes = []
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                mistakes.append(
                    f"{field.name} {shown(value)} is no {KINDS[kind]}. Write one, such as {field.default!r}."
                )
        if mistakes := mistakes or self.mistakes():
            raise LayoutError(" ".join(mistakes))

    def mistakes(self) -> list[str]:
        """Return what is wrong with the parameters, each with its remedy."""
        if self.session_px < 1:
            return [f"session_px {self.session_px} is below 1. Give the columns that one session takes."]
        return []

    @abstractmethod
    def accepts(self, features: int) -> str:
        """Return why the encoder cannot draw this many features, or '' where it can."""

    @abstractmethod
    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Draw one tile of `height` rows and `sessions * session_px` columns.

        Parameters
        ----------
        values
            (sessions, features) in [0.02, 1], NaN where not known; the region's features in its order.
        bars
            (sessions, 6): see `finnex.data.panel.Panel`.
        """

    @abstractmethod
    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """Return the origin of each pixel of such a tile: the map that `explain` and `decode` use."""


def to_unit(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return brightness [0.02, 1] as [0, 1]."""
    return (np.asarray(values, dtype=np.float64) - FLOOR) / (1 - FLOOR)


def to_brightness(unit: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return [0, 1] as brightness [0.02, 1]."""
    return (FLOOR + (1 - FLOOR) * np.clip(unit, 0.0, 1.0)).astype(np.float32)


def square(matrix: npt.NDArray[np.float32], px: int, height: int) -> Tile:
    """Enlarge a (sessions, sessions) matrix to `height` rows and `sessions * px` columns.

    Rows are stretched to the nearest session, so that the matrix fills its region from top to bottom.
    """
    rows = np.arange(height) * len(matrix) // height
    return np.repeat(matrix[rows], px, axis=1)
