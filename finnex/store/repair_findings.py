"""Findings of a repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is damaged.

    Attributes
    ----------
    where
        Key in the store.
    what
        What is done about it.
    lost
        What is lost permanently; '' where nothing is.
    symbol
        The company that it belongs to; '' where it belongs to all.
    instead
        What makes it again without the loss; '' where nothing does.
    """

    where: str
    what: str
    lost: str = ""
    symbol: str = ""
    instead: str = ""


Step = tuple[Finding, Callable[[], object]]
