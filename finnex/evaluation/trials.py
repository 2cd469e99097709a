"""How often a test part has been asked, and what each asking may still claim.

Of many models that are no better, the best looks better on the sessions that all of them were judged on. So the chance
of one false promotion on a test part is spent over its trials: the k-th gets 6 / (pi^2 k^2) of it, and all of them
together never more than the whole (Bonferroni's inequality over a convergent series, as Foster and Stine, Alpha
Investing, 2008, and Javanmard and Montanari, Online Rules for Control of False Discovery Rate, 2018, have it).
`benchmarks/verdicts.py` simulates ladders of 50 challengers. Sessions that were never asked before start anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

SPENT = 0.04
"""On all trials of a test part, one-sided. 5 % are promised; the rest is for the error of an interval's own level."""


@dataclass(frozen=True)
class TestPart:
    """The sessions that a model was judged on.

    Attributes
    ----------
    first
        Its first decision.
    last
        The last date on which an outcome of it was known.
    """

    __test__ = False  # no test of pytest's

    first: date
    last: date

    def shares(self, other: TestPart) -> bool:
        """Return whether a date lies in both: then results on one part inform about the other."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.first} to {self.last}"


def trial_level(trial: int) -> float:
    """Return the one-sided level of the k-th trial of a test part, counted from 1."""
    return SPENT * 6 / (math.pi * trial) ** 2


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th."""
    last = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"
