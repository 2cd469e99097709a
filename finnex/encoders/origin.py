"""Where a pixel comes from: which feature, how many sessions ago, compared with which other session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NONE = -1
"""No feature (a pixel of the price bars), or no second session."""

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Origin:
    """Origin of every pixel of a tile; arrays are (height, sessions * session_px).

    Attributes
    ----------
    feature
        Position among the region's features; -1 where the pixel shows the price bars.
    lag
        Sessions before the newest, 0 the newest. It follows the pixel's column.
    lag_other
        The second session of a pair: in square plots the one of the pixel's row, in a delta the older one, which
        may lie before the window (the pixel is not known then). -1 where there is no second session.
    whole_window
        Whether the value also follows from the other sessions of the window: the scale of a chart, the counts of a
        Markov field. Whether a pixel is known follows from the named sessions alone in either case.
    """

    feature: Positions
    lag: Positions
    lag_other: Positions
    whole_window: bool = False


def of_rows(feature: Positions, sessions: int, px: int, apart: int | None = None, whole_window: bool = False) -> Origin:
    """Return the origin of a tile whose rows show features and whose columns show sessions, oldest left.

    Parameters
    ----------
    feature
        (height,) feature of each row.
    sessions
        Number of sessions shown.
    px
        Width of a session in pixels.
    apart
        Sessions between the two sessions of a pair; None where a pixel shows one session.
    whole_window
        Whether each pixel depends on all sessions of the window.

    Returns
    -------
    Origin
        Feature and lags of every pixel, (height, sessions * px).
    """
    lag = np.repeat(np.arange(sessions)[::-1], px)
    shape = (len(feature), sessions * px)
    lags = np.broadcast_to(lag, shape).copy()
    other = np.full(shape, NONE, dtype=np.intp) if apart is None else lags + apart
    return Origin(np.broadcast_to(feature[:, None], shape).copy(), lags, other, whole_window)


def of_pairs(sessions: int, px: int, height: int, whole_window: bool = False) -> Origin:
    """Return the origin of a square plot of one feature, as `square` enlarges it.

    Parameters
    ----------
    sessions
        Number of sessions on either axis.
    px
        Width of a session in pixels.
    height
        Rows of the tile.
    whole_window
        Whether each pixel depends on all sessions of the window.

    Returns
    -------
    Origin
        Lags of every pixel, (height, sessions * px); the feature is 0.
    """
    shape = (height, sessions * px)
    newest_last = np.arange(sessions)[::-1]
    column = np.broadcast_to(np.repeat(newest_last, px), shape).copy()
    row = np.broadcast_to(newest_last[np.arange(height) * sessions // height][:, None], shape).copy()
    return Origin(np.zeros(shape, dtype=np.intp), column, row, whole_window)
