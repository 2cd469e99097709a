"""Event proximity: scheduled events as ramps that rise towards the day and fall behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.encoders.tile import FLOOR, Encoder, Tile


@dataclass(frozen=True)
class EventProximity(Encoder):
    """One band an event; in a session's columns the left part looks back to the last event, the right ahead.

    Features come in pairs: nearness of the next event, nearness of the last one, both bright when near. A bar
    stands as high in its band as the event is near, and as bright.
    """

    def accepts(self, features: int) -> str:
        """Pairs of features."""
        return "" if features and features % 2 == 0 else "event proximity takes pairs of features: to, since"

    def draw(self, values: npt.NDArray[np.float32], bars: npt.NDArray[np.float32], height: int) -> Tile:
        """Return the bands, first event on top."""
        sessions, events, px = len(values), values.shape[1] // 2, self.session_px
        band = np.arange(height) * events // height
        first = np.searchsorted(band, np.arange(events), side="left")
        size = np.bincount(band, minlength=events)
        # Distance of each row from the foot of its band, in (0, 1].
        from_foot = (first[band] + size[band] - np.arange(height)) / size[band]
        tile = np.empty((height, sessions, px), dtype=np.float32)
        back = px - px // 2
        for columns, near in ((slice(0, back), values[:, 1::2]), (slice(back, px), values[:, 0::2])):
            value = near.T[band]  # (height, sessions)
            bar = np.where(from_foot[:, None] <= value, value, np.float32(FLOOR))
            tile[:, :, columns] = np.where(np.isnan(value), np.float32(np.nan), bar)[:, :, None]
        return tile.reshape(height, sessions * px)
