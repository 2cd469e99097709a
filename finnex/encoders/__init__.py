"""Encoders: one window of values becomes one tile.

An encoder is a frozen set of parameters with two methods. `draw` sees the last `sessions` rows of what its region
shows, oldest first, and returns a tile in [0.02, 1], NaN where nothing is known. It draws what it is given and
nothing else: no clock, no random numbers, no state. `origin` says of each pixel of the tile which feature and which
sessions it shows.
"""

from __future__ import annotations

from finnex.encoders.candlestick import Candlestick
from finnex.encoders.delta import Delta
from finnex.encoders.event_proximity import EventProximity
from finnex.encoders.gramian import Gramian
from finnex.encoders.heatmap import Heatmap
from finnex.encoders.markov import Markov
from finnex.encoders.origin import Origin
from finnex.encoders.recurrence import Recurrence
from finnex.encoders.tile import Encoder, Tile

ENCODERS: dict[str, type[Encoder]] = {
    "heatmap": Heatmap,
    "candlestick": Candlestick,
    "gramian": Gramian,
    "markov": Markov,
    "recurrence": Recurrence,
    "delta": Delta,
    "event_proximity": EventProximity,
}
"""Encoder name, as layouts say it, to its class."""

__all__ = [
    "ENCODERS",
    "Candlestick",
    "Delta",
    "Encoder",
    "EventProximity",
    "Gramian",
    "Heatmap",
    "Markov",
    "Origin",
    "Recurrence",
    "Tile",
]
