"""What a training holds on to of each company: checksums and outcomes of its samples, read once, compared later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.datasets.epoch_order import Rows
from finnex.store import NOT_A_DAY, READY, CompanySurvey


@dataclass(frozen=True)
class Pin:
    """The store's data on some sessions of one company; arrays in the order of `index`.

    Attributes
    ----------
    index
        Positions on the company's date axis, ascending.
    outcomes
        Labels, returns and label ends by name, (index, horizon).
    version
        Changes when the store's arrays of the company do; '' where it is not known.
    """

    symbol: str
    index: Rows
    days: Days
    status: npt.NDArray[np.int8]
    crc: npt.NDArray[np.uint32]
    outcomes: Mapping[str, npt.NDArray[Any]]
    version: str

    @classmethod
    def of(cls, company: CompanySurvey, index: Rows) -> Pin:
        """Return some sessions of a company."""
        return cls(
            company.symbol, index, company.days[index], company.status[index], company.image_crc[index],
            {name: values[index] for name, values in company.outcomes.items()}, company.version,
        )  # fmt: skip

    def at(self, index: Rows) -> Pin:
        """Return some of the sessions; a copy only where they are fewer."""
        if np.array_equal(index, self.index):
            return self
        place = np.searchsorted(self.index, index)
        outcomes = {name: values[place] for name, values in self.outcomes.items()}
        return replace(
            self, index=index, days=self.days[place], status=self.status[place], crc=self.crc[place], outcomes=outcomes
        )

    def named(self, chosen: npt.NDArray[np.bool_]) -> list[str]:
        """Name sessions for a message."""
        return [f"{self.symbol} {day}" for day in self.days[chosen]]

    def moved(self, now: Pin) -> list[str]:
        """Say what is no longer as it was."""
        found = self.named(self.days != now.days) + self.named((self.crc != now.crc) | (now.status != READY))
        moved = [f"the image of {day}" for day in found]
        for name, then in self.outcomes.items():
            values = now.outcomes.get(name, np.zeros(0))
            if values.shape != then.shape:
                moved.append(f"{name} of {self.symbol}")
            else:
                other = _known(name, then) & (values != then)
                moved += [f"{name} of {day}" for day in self.named(other.any(axis=1))]
        return moved


def _known(name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which cells held an outcome; one that was not known yet may become known."""
    if name.startswith("return_"):
        return np.asarray(~np.isnan(values))
    return np.asarray(values != (NOT_A_DAY if name.startswith("label_end_") else -1))


@dataclass(frozen=True)
class StoreReading:
    """What one reading of a store found, so that nothing is read a second time.

    Attributes
    ----------
    address
        Of the store.
    fingerprint
        Of the store's data.
    versions
        Of all companies of the store, by symbol.
    pins
        Samples of the companies that were asked for, by symbol.
    sessions
        (sessions,) days of all companies' axes, ascending: the exchange's calendar as far as the store goes.
    """

    address: str
    fingerprint: str
    versions: Mapping[str, str]
    pins: Mapping[str, Pin]
    sessions: Days
