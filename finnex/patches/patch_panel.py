"""The features behind a run of images: from the store's tables, or decoded from the images themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days, planned_sessions
from finnex.errors import LayoutError
from finnex.images.decode import heat_map_cells
from finnex.layout import Layout

AGREE = 2e-6
"""Two images that show one session differ by rounding only."""


@dataclass(frozen=True, eq=False)
class PatchPanel:
    """Features of consecutive sessions, as the images draw them.

    Attributes
    ----------
    days
        Sessions without a gap, (sessions,).
    brightness
        (sessions, features) float32 in [0.02, 1], NaN where not known; columns as in the catalogue. A row holds
        nothing that was not known at its session's close.
    """

    days: Days
    brightness: npt.NDArray[np.float32]

    def rows(self, days: Days) -> npt.NDArray[np.intp]:
        """Return each day's row.

        Raises
        ------
        LayoutError
            A day is none of the sessions.
        """
        found = np.searchsorted(self.days, days)
        inside = np.minimum(found, len(self.days) - 1)
        if len(strange := days[self.days[inside] != days]):
            raise LayoutError(f"the panel has no session {strange[0]}; it runs from {self.days[0]} to {self.days[-1]}.")
        return inside


def decoded_panel(
    images: Iterable[npt.NDArray[np.float32]], days: Days, layout: Layout, exchange: str = "XNYS"
) -> PatchPanel:
    """Return the panel that images hold in their heat maps: the sessions of the first one's window up to the last.

    Parameters
    ----------
    images
        (height, width, channel) each, in the order of `days`, drawn without blending.
    days
        Their sessions, ascending.
    layout
        Layout of the images.
    exchange
        Exchange whose sessions the images are of.

    Returns
    -------
    PatchPanel
        Days and brightness (sessions, features) float32 in [0.02, 1], NaN where not known or not in a heat map.

    Raises
    ------
    LayoutError
        Two images do not show one session's features alike, because they are blended or damaged. Whether the layout
        is theirs cannot be seen.
    """
    calendar = planned_sessions(exchange, days[0].item() - timedelta(days=2 * layout.lookback + 20), days[-1].item())
    at = calendar.index_of(days)
    if len(strange := days[at < 0]):
        raise LayoutError(f"{strange[0]} is no session of {exchange}. Name the exchange whose sessions these are.")
    cells = heat_map_cells(layout)
    columns = np.array([layout.catalogue.position[name] for name in cells.features], dtype=np.intp)
    brightness = np.full((len(calendar), len(layout.catalogue.names)), np.nan, dtype=np.float32)
    seen = np.zeros(len(calendar), dtype=bool)
    for image, row, day in zip(images, at.tolist(), days, strict=True):
        drawn = image[cells.row, cells.column, cells.channel]
        found = np.where(drawn > 0, drawn, np.float32(np.nan))
        rows = np.arange(row - layout.lookback + 1, row + 1)
        before = brightness[np.ix_(rows, columns)]
        differs = ~np.isclose(found, before, rtol=0, atol=AGREE, equal_nan=True) & seen[rows, None]
        if differs.any():
            session, feature = np.argwhere(differs)[0]
            raise LayoutError(
                f"the image of {day} shows {cells.features[feature]} of {calendar.days[rows[session]]} as "
                f"{found[session, feature]:.4f}, an earlier image as {before[session, feature]:.4f}. "
                "Images without blending agree; for blended ones, read the features from the store."
            )
        brightness[np.ix_(rows, columns)] = found
        seen[rows] = True
    first = int(at[0]) - layout.lookback + 1
    return PatchPanel(calendar.days[first:], brightness[first:])
