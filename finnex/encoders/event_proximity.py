"""Event proximity: scheduled events as ramps that rise towards the day and fall behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.data.normalize import FLOOR
from finnex.encoders.origin import Origin, of_rows
from finnex.encoders.tile import Encoder, Tile


@dataclass(frozen=True)
class EventProximity(Encoder):
    """One band an event: above its middle line the next event, below it the last one.

    Features come in pairs: nearness of the next event, nearness of the last one, both bright when near. A bar
    reaches as far from the middle line as the event is near, and is as bright: the upper ramps rise towards the
    day, the lower ones fade behind it.
    """

    def accepts(self, features: int) -> str:
        """Pairs of features."""
        return "" if features and features % 2 == 0 else "event proximity takes pairs of features: to, since"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the bands, first event on top."""
        feature, reach = rows_of(values.shape[1] // 2, height)
        near = values.T[feature]
        bar = np.where(reach[:, None] <= near, near, np.float32(FLOOR))
        return np.repeat(np.where(np.isnan(near), np.float32(np.nan), bar), self.session_px, axis=1)

    def origin(self, sessions: int, features: int, height: int) -> Origin:
        """One feature a half band, one session a column."""
        return of_rows(rows_of(features // 2, height)[0], sessions, self.session_px)


def rows_of(events: int, height: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return for each row which feature it shows, and how near an event must be for its bar to reach the row.

    The reach is in (0, 1]: small next to the middle line of a band, 1 at its edges.
    """
    row = np.arange(height)
    band = row * events // height
    first = np.searchsorted(band, np.arange(events), side="left")
    size = np.bincount(band, minlength=events)
    upper = (size[band] + 1) // 2
    inside = row - first[band]
    above = inside < upper
    reach = np.where(above, (upper - inside) / upper, (inside - upper + 1) / np.maximum(size[band] - upper, 1))
    return 2 * band + np.where(above, 0, 1), reach
