"""Series that hold figures of the next filing exactly, or in another unit and offset, closer than any estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from finnex.audit.filed_figures import Figures, Integers, forms
from finnex.audit.innovations import Floats

HONEST_ERROR = 0.1
"""Error of the best estimates when a quarter ends, a share of what is new in a figure: a correlation of 0.995."""
LARGEST_CHANCE = 1e-4
"""Chance that estimates of this error agree as well with any target of any series, at which agreement counts."""
LEAST_CHECKED = 3
LEAST_EQUAL = LEAST_CHECKED + 2
"""Quarters for equality: two may give unit and offset, three are checked."""
MISSES = 10
"""Of so many checked filings one may disagree: a restated figure, another rounding."""
MAPS = 6
FORMS_OF_AN_ESTIMATE = 10
"""Targets of which one honest series can be an estimate: of the others its errors are ten times as large and more."""
DENSITY = 0.4
"""The highest density of a normal error of deviation 1."""
REGULAR = 1e-6
"""Share of a figure's size below which nothing is new in it."""


@dataclass(frozen=True)
class KnownFiling:
    """A series that knows the next filing.

    Attributes
    ----------
    evidence
        What it knows and how well, in words that follow its name.
    """

    name: str
    evidence: str


@dataclass(frozen=True)
class Targets:
    """What may be held of a filing, for the quarters that are asked.

    Attributes
    ----------
    what
        Words of each target.
    amounts
        (quarters, targets), NaN where not known, or where the last known filing has the same value.
    new
        Deviation of what is new in each, (quarters, targets).
    grain
        Half a unit of the last digit of the metric, over the deviation of what is new in it (quarters, targets).
    past
        The amounts of one and of four quarters before, each (quarters, targets).
    """

    what: list[str]
    amounts: Floats
    new: Floats
    grain: Floats
    past: tuple[Floats, Floats]

    def only(self, column: int) -> Targets:
        """Return one of the targets."""
        one = [column]
        return Targets(
            [self.what[column]], self.amounts[:, one], self.new[:, one], self.grain[:, one],
            (self.past[0][:, one], self.past[1][:, one]),
        )  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """How well a series agrees with the targets, each (targets,).

    Attributes
    ----------
    chance
        Chance that any honest series agrees as well with any target.
    within
        Largest difference of those that agree, over the deviation of what is new; the last digit is the least.
    agreed, checked
        Quarters that agree, and all that were compared.
    same
        Whether it is the same number, without another unit and offset.
    """

    chance: Floats
    within: Floats
    agreed: Integers
    checked: Integers
    same: npt.NDArray[np.bool_]


def equal_figures(series: Mapping[str, Floats], origins: Sequence[Figures]) -> list[KnownFiling]:
    """Return the series that hold a figure of the next filing when its quarter ends.

    Parameters
    ----------
    series
        Name to (sessions,) float64, carried over gaps, NaN before the first value.
    origins
        Figures of each origin; those with fewer than `LEAST_EQUAL` quarters on the calendar are left out.
    """
    asked = [(figures, np.flatnonzero(figures.asked >= 0)) for figures in origins]
    targets = [(figures, rows, _targets(figures, rows)) for figures, rows in asked if len(rows) >= LEAST_EQUAL]
    comparisons = (1 + MAPS) * len(series) * FORMS_OF_AN_ESTIMATE * len(targets)
    found: dict[str, tuple[float, str]] = {}
    for figures, rows, ours in targets:
        # What earlier filings say by the same test is not new, and no knowledge of the next one.
        ahead = [
            all(_agreement(past[:, 0], one, comparisons).chance[0] > LARGEST_CHANCE for past in one.past)
            for one in map(ours.only, range(len(ours.what)))
        ]
        for name, own in series.items():
            held = own[figures.asked[rows]]
            agreement = _agreement(held, ours, comparisons)
            chance = np.where(ahead, agreement.chance, 1.0)
            if not chance.min(initial=1.0) <= min(LARGEST_CHANCE, found.get(name, (1.0, ""))[0]):
                continue
            best = int(chance.argmin())
            lead = int(np.median((figures.filed[rows] - figures.asked[rows])[~np.isnan(held)]))
            mapped = "" if agreement.same[best] else " (after a unit and an offset that two more quarters give)"
            text = (
                f"knows at the end of a quarter the {ours.what[best]} of the next filing, {lead} sessions before it is "
                f"available, to {agreement.within[best]:.2g} of the deviation of what is new in it{mapped}, in "
                f"{agreement.agreed[best]} of {agreement.checked[best]} quarters"
            )
            found[name] = float(chance[best]), text
    return [KnownFiling(name, text) for name, (_, text) in found.items()]


def _targets(figures: Figures, rows: Integers) -> Targets:
    what, columns = [], []
    deviations = [
        _new_in(figures, figures.amounts[:, number], figures.size(number)) for number in range(len(figures.metrics))
    ]
    for form in forms(figures):
        amounts, before = form.amounts, figures.before(form.amounts, 1)
        new, own = _new_in(figures, amounts, form.size), deviations[form.metric]
        known = np.isfinite(amounts) & (form.size > 0)
        relative = np.abs(amounts[known] / form.size[known])
        if not len(relative) or not own > 0 or not new > REGULAR * float(np.median(relative)):
            continue
        stayed = np.abs(amounts - before) <= 1e-9 * np.abs(amounts)
        size = figures.size(form.metric)
        grain = 0.5 * figures.unit(form.metric) / (own * np.where(size > 0, size, np.nan))
        what.append(form.what)
        moved = np.where(stayed | ~np.isfinite(amounts), np.nan, amounts)
        columns.append([moved, new * form.size, grain, before, figures.before(amounts, 4)])
    stacked = np.array(columns).reshape(len(what), 5, len(figures.asked))[:, :, rows].transpose(1, 2, 0)
    return Targets(what, stacked[0], stacked[1], stacked[2], (stacked[3], stacked[4]))


def _new_in(figures: Figures, amounts: Floats, size: Floats) -> float:
    """Return the deviation of what is new in amounts over their size: of the change that varies least; 0 for none."""
    quarter = amounts - figures.before(amounts, 1)
    year = amounts - figures.before(amounts, 4)
    both = (year - figures.before(year, 1)) / 2  # of white noise it is the sum of four
    found = []
    for change in (quarter, year, both):
        compared = np.isfinite(change) & (size > 0)
        known = change[compared] / size[compared]
        if len(known) >= LEAST_EQUAL:
            found.append(1.48 * float(np.median(np.abs(known - np.median(known)))))
    return min(found, default=0.0)


def _agreement(held: Floats, targets: Targets, comparisons: int) -> Agreement:
    """Return how well a series (quarters,) agrees with the targets: as it is, and through maps of unit and offset.

    A map goes through the two quarters of the lowest and highest value of the series, another through the next ones,
    and so on. Wherever a map puts it, the error of an honest estimate has a density of at most `DENSITY`.
    """
    count = len(targets.what)
    best = Agreement(
        np.ones(count), np.ones(count), np.zeros(count, np.intp), np.zeros(count, np.intp), np.zeros(count, np.bool_)
    )
    known = np.flatnonzero(~np.isnan(held))
    if count == 0 or len(known) < LEAST_EQUAL:
        return best
    _keep_better(best, held[:, None] - targets.amounts, targets, comparisons, LEAST_EQUAL)
    best.same[:] = best.chance < 1
    order = known[np.argsort(held[known], kind="stable")]
    for low, high in zip(order[:MAPS], order[: -MAPS - 1 : -1], strict=True):
        if held[high] - held[low] > 1e-12 * abs(held[high]):
            slope = (targets.amounts[high] - targets.amounts[low]) / (held[high] - held[low])
            off = targets.amounts[low] + slope * (held - held[low])[:, None] - targets.amounts
            off[[low, high]] = np.nan
            _keep_better(best, off, targets, comparisons, LEAST_CHECKED)
    return best


def _keep_better(best: Agreement, off: Floats, targets: Targets, comparisons: int, least: int) -> None:
    """Enter the chance of differences (quarters, targets) where it is smaller than the best so far."""
    off = np.maximum(np.abs(off) / np.where(targets.new > 0, targets.new, np.nan), targets.grain)
    compared = (~np.isnan(off)).sum(axis=0)
    ranked = np.sort(off, axis=0)
    for each in np.unique(compared[compared >= least]):
        missed = int(each) // MISSES
        columns = np.flatnonzero(compared == each)
        within = ranked[each - missed - 1, columns]
        one = np.minimum(2 * DENSITY / HONEST_ERROR * within, 1.0)
        chance = np.minimum(comb(int(each), missed) * one ** (each - missed) * comparisons, 1.0)
        better = chance < best.chance[columns]
        columns, within = columns[better], within[better]
        best.chance[columns] = chance[better]
        best.within[columns] = within
        best.agreed[columns] = (off[:, columns] <= np.maximum(within, targets.grain[:, columns])).sum(axis=0)
        best.checked[columns] = each
        best.same[columns] = False
