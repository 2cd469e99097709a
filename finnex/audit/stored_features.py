"""Stored features against the panel: what models without images learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from finnex.audit.audit_report import Finding
from finnex.data.normalize import FLOOR, STEP
from finnex.data.panel import Panel
from finnex.store import ImageStore

ARRAYS: Final = ("normalized", "original", "location", "scale")
"""Attributes of a panel; in the store their names begin with `feature_`."""
NEIGHBORS: Final = (1, 2, 3, 5, 20, -1, -2)
"""Sessions from the own one whose image or values are looked for where the stored ones are others."""
RELATIVE, ABSOLUTE = 1e-5, 1e-9
"""Of original values and normalisers: rounding of another machine, or of prices in another unit, is no difference."""
NAMED = 3


def compare_features(
    store: ImageStore,
    full: Panel,
    rebuilt: Mapping[int, Panel],
    rows: npt.NDArray[np.intp],
    position: npt.NDArray[np.intp],
    remedy: str,
) -> tuple[int, list[Finding]]:
    """Compare the stored features of published sessions with the panel's, and return of how many sessions.

    Brightness must agree exactly. Original values and normalisers are compared where the brightness lies within its
    scale: at its ends, tables that were corrected since the build may differ without a difference in any image.

    Parameters
    ----------
    store
        Store to look at.
    full
        The panel of all tables.
    rebuilt
        Position to the panel of tables cut at its decision: of these sessions it is compared with in place of `full`.
    rows, position
        (sessions,) rows on the store's axis, and positions in the panel.
    remedy
        What the finding asks for.

    Returns
    -------
    tuple
        Number of sessions compared, 0 where the store keeps no features; and the findings.
    """
    names = store.array_names(full.symbol)
    if "feature_normalized" not in names:
        return 0, []
    bright = store.values(full.symbol, "feature_normalized")[rows]
    inside = (bright > FLOOR + STEP / 2) & (bright < 1 - STEP / 2)
    wrong, shown = np.zeros((len(rows), len(full.features)), dtype=bool), {}
    for array in ARRAYS:
        if f"feature_{array}" not in names:
            continue
        own, right = store.values(full.symbol, f"feature_{array}")[rows], _expected(array, full, rebuilt, position)
        differs = (own != right) & ~(np.isnan(own) & np.isnan(right))
        if array != "normalized":
            differs &= inside & ~np.isclose(own, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        if differs.any():
            at, column = (int(number[0]) for number in np.nonzero(differs))
            shown[array] = (
                f"{array}, such as {full.features[column]} on {full.calendar.days[position[at]]}: "
                f"{own[at, column]:.6g}, the tables give {right[at, column]:.6g}"
            )
        wrong |= differs
    if not shown:
        return len(rows), []
    features = tuple(full.features[column] for column in np.flatnonzero(wrong.any(axis=0)))
    sessions = np.flatnonzero(wrong.any(axis=1))
    text = (
        f"{full.symbol}: in {len(sessions)} of {len(rows)} published sessions the stored values of "
        f"{', '.join(features[:NAMED])}{f' and {len(features) - NAMED} more' if len(features) > NAMED else ''} are not "
        f"those that the tables give ({'; '.join(shown.values())}){_session_shown(bright, full, position, sessions)}."
    )
    return len(rows), [Finding("stored_feature_differs", "store", features, text, remedy, full.symbol)]


def _expected(
    array: str, full: Panel, rebuilt: Mapping[int, Panel], position: npt.NDArray[np.intp]
) -> npt.NDArray[Any]:
    right: npt.NDArray[Any] = getattr(full, array)[position]
    for number, here in enumerate(position.tolist()):
        if here in rebuilt:
            right[number] = getattr(rebuilt[here], array)[here]
    return right


def _session_shown(
    bright: npt.NDArray[Any], full: Panel, position: npt.NDArray[np.intp], wrong: npt.NDArray[np.intp]
) -> str:
    """Return of which other session the values are, where that is so of more than half of the wrong ones."""
    for shift in NEIGHBORS:
        there = position[wrong] + shift
        inside = (there >= 0) & (there < len(full.calendar))
        same = [
            np.array_equal(bright[number], full.normalized[k], equal_nan=True)
            for number, k in zip(wrong[inside], there[inside], strict=True)
        ]
        if sum(same) > len(wrong) / 2:
            many = f"{abs(shift)} session{'s' * (abs(shift) > 1)} {'after' if shift > 0 else 'before'}"
            return f"; in {sum(same)} they are those of {many}"
    return ""
