"""What a symbol may be: it names a folder of the store, and is part of messages and addresses."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

MARKS = ".-_^=&+!@:"
"""Allowed in addition to letters and digits: BRK.B, BRK-B, ^GSPC, EURUSD=X, ES=F, ES1!, BTC:USD."""
LONGEST = 40
RESERVED = {"zarr.json"}
"""A file of the store. Names that Windows keeps for devices are tickers (CON, PRN), and FinNeX runs on Linux."""


def checked_symbol(text: str) -> str:
    """Return a symbol as it is.

    Raises
    ------
    ValueError
        It is no name of a folder; the sentence says why and what to do.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if why := _fault(text):
        raise ValueError(
            f"{shown!r} is not a symbol: {why}. Use letters, digits and {' '.join(MARKS)}, {LONGEST} at most, such as "
            "BRK.B, and rename it in the tables too"
        )
    return text


def _fault(text: str) -> str:
    """Return why a text is no symbol, '' where it is one."""
    strange = [character for character in text if not (character.isalnum() or character in MARKS)]
    faults = (
        (not text, "it is empty"),
        (len(text) > LONGEST, f"it has {len(text)} characters"),
        (bool(strange), f"it holds {strange[:1]}"),
        (unicodedata.normalize("NFKC", text) != text, "it holds characters that look like others"),
        (text[:1] in (".", "-", "="), "it begins with a mark"),
        (text.lower() in RESERVED, "the name is reserved"),
    )
    return next((why for wrong, why in faults if wrong), "")


def distinct(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return symbols as they are.

    Raises
    ------
    ValueError
        Two differ in case only: one folder on some file systems.
    """
    seen: dict[str, str] = {}
    for symbol in symbols:
        other = seen.setdefault(symbol.casefold(), symbol)
        if other != symbol:
            raise ValueError(f"{other!r} and {symbol!r} differ in case only. Give each company a name of its own")
    return tuple(symbols)


Symbol = Annotated[str, AfterValidator(checked_symbol)]
