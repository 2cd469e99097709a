"""Which companies a study is of: members of a dated universe, or those that exist today."""

from __future__ import annotations

from collections.abc import Iterable

from finnex.store import ImageStore

SURVIVORSHIP = (
    "survivorship: today's members. No table of companies says from when to when they were members, so companies that "
    "are gone may be missing (docs/universe.md)."
)
DATED = "members by the table of companies, with days from {first} to {last}"


def universe_words(store: ImageStore, symbols: Iterable[str]) -> str:
    """Say whether the companies of a study were members of a universe with dates when their images were drawn.

    Parameters
    ----------
    store
        Store that the study reads; its record keeps whether a build had a table of companies with dates.
    symbols
        Companies of the study.

    Returns
    -------
    str
        `SURVIVORSHIP` where any of them was drawn without a dated membership.
    """
    limits = store.record().limits()
    found = [limits.get(symbol, {}).get("companies") for symbol in symbols]
    days = [one for one in found if one is not None]
    if not days or len(days) < len(found):
        return SURVIVORSHIP
    return DATED.format(first=min(first for first, _ in days), last=max(last for _, last in days))
