"""What the build of a run makes again of a company, and so what a repair may empty without a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.store.image_store import ImageStore
from finnex.store.repair_findings import Finding
from finnex.store.states import QUARANTINED, READY
from finnex.store.store_template import FEATURE_TABLES

FEATURES = tuple(name for name, _, _ in FEATURE_TABLES)
OUTCOMES = ("label_", "return_")
"""How the names of the arrays begin that hold labels, returns and the ends of labels."""


def no_days() -> Days:
    """Return an empty axis."""
    return np.array([], dtype="datetime64[D]")


@dataclass(frozen=True)
class Reach:
    """Sessions of one company that the build of a run makes again.

    Attributes
    ----------
    images
        Whose image it draws, or takes out by force.
    features
        Whose features it computes.
    outcomes
        Whose labels and returns it computes.
    """

    images: Days = field(default_factory=no_days)
    features: Days = field(default_factory=no_days)
    outcomes: Days = field(default_factory=no_days)


Reaches = Callable[[str], Reach]
"""By company; it is asked for companies that are damaged only."""


def losing_images(store: ImageStore, finding: Finding, reaches: Reaches | None) -> Finding:
    """Return a finding about images, with what is lost where the run does not draw all of them.

    Parameters
    ----------
    reaches
        None where the run makes everything again.
    """
    if reaches is None:
        return finding
    made = reaches(finding.symbol).images
    return _losing(finding, "images", _days(store, finding.symbol)[_with_image(store, finding.symbol)], made)


def losing_rows(store: ImageStore, finding: Finding, name: str, reaches: Reaches | None) -> Finding:
    """Return a finding about a table of features or outcomes, with what is lost where the run computes less of it.

    Which sessions the table held is taken from the tables that are written with it, and from the images.

    Parameters
    ----------
    store
        Store that is damaged.
    finding
        What is damaged.
    name
        Name of the table's array.
    reaches
        What the next build makes again, by company; None where it makes everything.

    Returns
    -------
    Finding
        The finding, with the number of sessions that are lost, if any are.
    """
    if reaches is None:
        return finding
    symbol, broken, reach = finding.symbol, store.broken(finding.symbol), reaches(finding.symbol)
    of_features = name in FEATURES
    held = _with_image(store, symbol)
    for other in store.array_names(symbol):
        if other not in broken and (other in FEATURES if of_features else other.startswith(OUTCOMES)):
            held = held | store.is_written(symbol, other)
    days = _days(store, symbol)[held]
    if of_features:
        return _losing(finding, "features", days, reach.features)
    return _losing(finding, "labels and returns", days, reach.outcomes)


def _losing(finding: Finding, of: str, held: Days, made: Days) -> Finding:
    beyond = held[~np.isin(held, made)]
    if not len(beyond):
        return finding
    where = str(beyond[0]) if len(beyond) == 1 else f"{len(beyond)} sessions from {beyond[0]} to {beyond[-1]}"
    return replace(
        finding,
        lost=f"{of} of {finding.symbol} of {where}, which this run does not make again",
        instead=f"a build with {finding.symbol} among its symbols, whose range covers {held[0]} to {held[-1]} and "
        "whose prices have a bar on each of these sessions",
    )


def _days(store: ImageStore, symbol: str) -> Days:
    found: Days = store.values(symbol, "date").astype("datetime64[D]")
    return found


def _with_image(store: ImageStore, symbol: str) -> npt.NDArray[np.bool_]:
    """Return for every session whether it has an image: by its status, else by whether a chunk is there."""
    if "status" in store.broken(symbol):
        return store.has_chunk(symbol)
    found: npt.NDArray[np.bool_] = np.isin(store.values(symbol, "status"), (READY, QUARANTINED))
    return found
