"""From pixels back to values: which feature and session a pixel shows, and the panel that a whole image holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.normalize import denormalize
from finnex.encoders.heatmap import feature_of_row
from finnex.images.blending import undo
from finnex.layout import Layout

MARGIN = -1


@dataclass(frozen=True)
class FeatureMap:
    """What every pixel of a layout shows; each array is (height, width, channel), int32.

    Attributes
    ----------
    region
        Position in `layout.regions`.
    feature
        Position in the catalogue; -1 where the pixel shows price bars or the margin.
    lag
        Sessions before the newest one (0 is the session of the image); -1 in margins.
    lag_other
        The second session of a pixel that relates two; -1 elsewhere.
    """

    region: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    lag: npt.NDArray[np.int32]
    lag_other: npt.NDArray[np.int32]


def feature_map(layout: Layout) -> FeatureMap:
    """Return for every pixel its region, feature and session."""
    shape = (layout.height, layout.width, len(layout.channels))
    region, feature, lag, other = (np.full(shape, MARGIN, dtype=np.int32) for _ in range(4))
    position = layout.catalogue.position
    for number, one in enumerate(layout.regions):
        channel = layout.channels.index(one.channel)
        rows, columns = (
            slice(*one.rows),
            slice(one.columns[0], one.columns[0] + layout.lookback * one.encoder.session_px),
        )
        region[rows, slice(*one.columns), channel] = number
        origin = one.encoder.origin(layout.lookback, len(one.features), one.height)
        catalogued = np.array([*(position[name] for name in one.features), MARGIN], dtype=np.int32)
        feature[rows, columns, channel] = catalogued[origin.feature]
        lag[rows, columns, channel] = origin.lag
        other[rows, columns, channel] = origin.lag_other
    return FeatureMap(region, feature, lag, other)


@dataclass(frozen=True)
class Cells:
    """One pixel of every value that the heat maps of a layout hold; arrays are (lookback, features), oldest first.

    Attributes
    ----------
    features
        Names of the columns, in the catalogue's order.
    row, column, channel
        Where the pixel lies.
    region
        Position in `layout.regions`, (features,).
    """

    features: tuple[str, ...]
    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    channel: npt.NDArray[np.intp]
    region: npt.NDArray[np.intp]


def heat_map_cells(layout: Layout) -> Cells:
    """Return where the values of the heat maps lie."""
    place: dict[str, tuple[int, int, int, int, int]] = {}  # row, first column, columns a session, channel, region
    for number, region in enumerate(layout.regions):
        if region.encoder_name != "heatmap":
            continue
        shown = feature_of_row(len(region.features), region.height)
        first_row = region.rows[0] + np.searchsorted(shown, np.arange(len(region.features)))
        channel = layout.channels.index(region.channel)
        for name, row in zip(region.features, first_row.tolist(), strict=True):
            place[name] = (row, region.columns[0], region.encoder.session_px, channel, number)
    names = tuple(name for name in layout.catalogue.names if name in place)
    row, left, px, channel_of, region_of = np.array([place[name] for name in names], dtype=np.intp).reshape(-1, 5).T
    session = np.arange(layout.lookback)[:, None]
    shape = (layout.lookback, len(names))
    return Cells(
        names, np.broadcast_to(row, shape), left + session * px, np.broadcast_to(channel_of, shape), region_of
    )  # fmt: skip


def decode(
    image: npt.NDArray[np.float32], layout: Layout, weights: npt.NDArray[np.float32] | None = None
) -> pd.DataFrame:
    """Return the normalised panel that the heat maps of an image hold.

    Parameters
    ----------
    image
        (height, width, channel), of this layout.
    weights
        The image's region weights; absent, 1 (blending off).

    Returns
    -------
    pandas.DataFrame
        Rows: lag in sessions, oldest first, 0 last. Columns: features in the catalogue's order, those that a heat
        map shows. Values in [0.02, 1], NaN where not known: what was drawn, to 1e-6.
    """
    cells = heat_map_cells(layout)
    drawn = image[cells.row, cells.column, cells.channel]
    value = undo(drawn, np.ones(1) if weights is None else np.asarray(weights, dtype=np.float64)[cells.region])
    lags = pd.Index(np.arange(layout.lookback - 1, -1, -1), name="lag")
    return pd.DataFrame(np.where(drawn > 0, value, np.nan), index=lags, columns=list(cells.features))


def to_original(normalized: pd.DataFrame, layout: Layout, location: pd.DataFrame, scale: pd.DataFrame) -> pd.DataFrame:
    """Return original values of a decoded panel; NaN where not known or possibly clipped.

    Parameters
    ----------
    normalized
        Decoded panel: sessions (rows) by feature, in [0.02, 1], NaN where not known.
    layout
        Layout of the image: its catalogue has each feature's bounds and orientation.
    location, scale
        Each session's normaliser (`feature_location`, `feature_scale` of the store), like `normalized`.

    Returns
    -------
    pandas.DataFrame
        Like `normalized`, float64 in the units of the catalogue.
    """
    return pd.DataFrame(
        {
            name: denormalize(
                normalized[name].to_numpy(),
                layout.catalogue.find(str(name)),
                location[name].to_numpy(),
                scale[name].to_numpy(),
            )
            for name in normalized.columns
        },
        index=normalized.index,
    )
