"""The universe: which companies are members at a session, and which of them are of one industry.

The optional table `companies` says it: symbol, sector, industry, and from when to when a row holds. A row decides
nothing outside its own dates, so that a row of the future changes no earlier session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.calendar import Days

DATED: Final = ("from", "to")
"""Columns of the first and the last day of a membership, both included; empty is open."""
Mask = npt.NDArray[np.bool_]
NO_INDUSTRY: Final = -1


class Universe:
    """The rows of a table of companies, by symbol.

    Parameters
    ----------
    companies
        symbol, industry ('' where it is not known), from and to (NaT is open), in the order of symbol and from.
    dated
        Whether the table says from when to when; without it every company is a member at all times.

    Examples
    --------
    >>> rows = {"symbol": ["A"], "industry": ["Software"], "from": [pd.NaT], "to": [pd.Timestamp("2020-06-30")]}
    >>> universe = Universe(pd.DataFrame(rows), dated=True)
    >>> universe.members("A", np.array(["2020-06-30", "2020-07-01"], dtype="datetime64[D]")).tolist()
    [True, False]
    """

    def __init__(self, companies: pd.DataFrame, *, dated: bool) -> None:
        self.dated = dated
        words = sorted(set(companies["industry"]) - {""})
        codes = {word: number for number, word in enumerate(words)}
        first, last = (companies[name].to_numpy().astype("datetime64[D]") for name in DATED)
        self._periods: dict[str, list[tuple[np.datetime64, np.datetime64, int]]] = {}
        for symbol, start, end, industry in zip(companies["symbol"], first, last, companies["industry"], strict=True):
            self._periods.setdefault(str(symbol), []).append((start, end, codes.get(industry, NO_INDUSTRY)))
        self.symbols: tuple[str, ...] = tuple(sorted(self._periods))
        """All companies of the table, whether they are members today or not."""
        self.has_industries = bool(words)
        self._peers: dict[str, frozenset[str]] = {}

    def industries(self, symbol: str, days: Days) -> tuple[Mask, npt.NDArray[np.int64]]:
        """Return at which days a company is a member, and the number of its industry, -1 where it has none.

        Outside its periods it has the industry of the one before, before the first that of the first: an image of a
        company that has just joined looks back on sessions at which it was no member, and compares it there too.

        Parameters
        ----------
        symbol
            A company, in the table or not.
        days
            (days,) ascending.

        Returns
        -------
        tuple of numpy.ndarray
            (days,) bool and (days,) int64.
        """
        member, industry = np.zeros(len(days), dtype=bool), np.full(len(days), NO_INDUSTRY)
        for start, end, code in self._periods.get(symbol, ()):
            inside = np.ones(len(days), dtype=bool)
            if not np.isnat(start):
                inside &= days >= start
            if not np.isnat(end):
                inside &= days <= end
            member |= inside
            industry[inside] = code
        if member.any():
            before = np.maximum.accumulate(np.where(member, np.arange(len(days)), -1))
            industry = industry[np.where(before < 0, np.flatnonzero(member)[0], before)]
        return member, industry

    def members(self, symbol: str, days: Days) -> Mask:
        """Return at which days a company is a member; at none where the table does not have it."""
        return self.industries(symbol, days)[0]

    def is_member_within(self, symbol: str, start: date | None, end: date | None) -> bool:
        """Return whether a company is a member on any day of a range, whose limits are included; None is open."""
        return any(
            bool(end is None or np.isnat(first) or first <= np.datetime64(end, "D"))
            and bool(start is None or np.isnat(last) or last >= np.datetime64(start, "D"))
            for first, last, _ in self._periods.get(symbol, ())
        )

    def has_ended(self, symbol: str, day: np.datetime64) -> bool:
        """Return whether a company's last membership ended by a day."""
        ends = [end for _, end, _ in self._periods.get(symbol, ())]
        return bool(ends) and not np.isnat(ends).any() and bool(max(ends) <= day)

    def __contains__(self, symbol: str) -> bool:
        """Return whether the table has a company."""
        return symbol in self._periods

    def peers(self, symbol: str) -> frozenset[str]:
        """Return the companies that are of an industry of a company at any time, without itself."""
        if symbol not in self._peers:  # asked for by each of them
            codes = {code for _, _, code in self._periods.get(symbol, ())}
            found = {other for code in codes for other in self._of_industry.get(code, ())}
            self._peers[symbol] = frozenset(found - {symbol})
        return self._peers[symbol]

    @cached_property
    def _of_industry(self) -> Mapping[int, set[str]]:
        found: dict[int, set[str]] = {}
        for symbol, periods in self._periods.items():
            for _, _, code in periods:
                if code != NO_INDUSTRY:
                    found.setdefault(code, set()).add(symbol)
        return found


def universe_of(companies: pd.DataFrame | None) -> Universe | None:
    """Return the universe of a table of companies as it was read; None where there is no table, or no row of it."""
    if companies is None or companies.empty:
        return None
    return Universe(companies, dated=bool(companies[list(DATED)].notna().any(axis=None)))


def first_overlap(start: Days, end: Days) -> int | None:
    """Return the number of the first period that begins before an earlier one ended; None where none does.

    Parameters
    ----------
    start, end
        First and last days of the periods of one company, ascending by first day; NaT is open.
    """
    for number in range(1, len(start)):
        if np.isnat(start[number]) or np.isnat(end[number - 1]) or start[number] <= end[number - 1]:
            return number
    return None
