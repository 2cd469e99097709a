"""Amounts as vendors write them to numbers: a currency's sign, groups of thousands, a decimal comma, K, M and B."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

SIGNS = {"\u2212": "-", "\u2013": "-"}
"""Minus signs that Python's numbers do not have."""
SPACES = str.maketrans("", "", " \u00a0\u202f\u2009")
NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)*|[.,]\d+)(?:[eE][-+]?\d+)?"
"""What is left when signs of currencies and letters of units are taken off; groups are checked later."""
NUMBER_ALONE = re.compile(NUMBER)
PLAIN = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
"""A number as Python writes it; infinities and NaN are none."""


def floats(texts: pd.Series[str]) -> pd.Series[float]:
    """Return texts as float64, each the nearest to what is written; NaN where a text is no plain number.

    Examples
    --------
    >>> floats(pd.Series(["1.5", "+2e3", "", "1,5", "inf"], dtype="str")).tolist()
    [1.5, 2000.0, nan, nan, nan]
    """
    stripped = texts.str.strip()
    known = stripped.str.fullmatch(PLAIN)
    digits = pa.array(stripped.where(known, "nan").str.removeprefix("+"), pa.large_string())
    return pd.Series(digits.cast(pa.float64()).to_numpy(zero_copy_only=False), index=texts.index, name=texts.name)


def amounts(
    cells: Sequence[str],
    *,
    currency: Sequence[str] = (),
    units: Mapping[str, float] | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
) -> npt.NDArray[np.float64]:
    """Return the numbers that texts are; NaN where one is empty or no number.

    Parameters
    ----------
    cells
        Texts of one column, which are written alike.
    currency
        Signs that may precede or follow an amount, or its minus: `$`.
    units
        Letters that may follow, with their factor: {"K": 1e3}. Capitals do not count.
    decimal, thousands
        Sign before fractions, and between groups of three digits; where absent, as the cells show: `decimal_of`.

    Returns
    -------
    numpy.ndarray
        (cells,) float64.

    Examples
    --------
    >>> amounts(["$1,234.50", "(2.5)", "12.3M"], currency=["$"], units={"M": 1e6}).tolist()
    [1234.5, -2.5, 12300000.0]
    """
    text = pd.Series(list(cells), dtype="str").str.translate(SPACES | {ord(k): v for k, v in SIGNS.items()})
    for sign in currency:
        text = text.str.replace(sign, "", regex=False)
    negative = text.str.fullmatch(r"\(.*\)")  # accountants' minus
    text = text.where(~negative, text.str.slice(1, -1))
    factor = np.ones(len(text))
    for letter, times in (units or {}).items():
        has = text.str.casefold().str.endswith(letter.casefold())
        text = text.where(~has, text.str.slice(0, -len(letter)))
        factor = np.where(has, factor * times, factor)
    other = re.escape(thousands) if thousands not in (None, "", ".", ",") else ""  # a Swiss apostrophe
    number = text.str.fullmatch(NUMBER.replace("[.,]", f"[.,{other}]", 1))
    sound = text[number]
    if decimal is None:
        decimal = decimal_of(sound.tolist())
    group = thousands if thousands is not None else ("," if decimal == "." else ".")
    fits = sound.str.fullmatch(_pattern(decimal, group))
    plain = sound[fits].str.replace(group, "", regex=False) if group else sound[fits]
    value = np.full(len(text), np.nan)
    digits = plain.str.replace(decimal, ".", regex=False)
    value[plain.index] = floats(digits).to_numpy()
    return _times(value, factor, digits) * np.where(negative, -1.0, 1.0)


def decimal_of(numbers: Sequence[str]) -> str:
    """Return the decimal sign of texts that are written alike: '.' where they do not show it, or both.

    Examples
    --------
    >>> decimal_of(["1.234,5"]), decimal_of(["12,50"]), decimal_of(["1,234"])
    (',', ',', '.')
    """
    return shows(numbers) or "."


def shows(numbers: Sequence[str]) -> str:
    """Return the decimal sign that texts show, '.' or ','; '' where they show none, or contradict each other.

    A sign that comes once, and before other than three digits, is no sign of thousands; nor is one after a zero. Of two
    signs the last one precedes the fraction. 1,234 alone shows nothing.
    """
    found = set()
    for text in numbers:
        last = max(text.rfind("."), text.rfind(","))
        if last < 0 or NUMBER_ALONE.fullmatch(text) is None:
            continue
        sign, other = text[last], "," if text[last] == "." else "."
        fraction = re.match(r"\d*", text[last + 1 :])
        digits = len(fraction[0]) if fraction else 0
        if other in text[:last] or (text.count(sign) == 1 and (digits != 3 or _is_no_group(text[:last]))):
            found.add(sign)
    return found.pop() if len(found) == 1 else ""


def _is_no_group(whole: str) -> bool:
    """Return whether what precedes a sign is no first group of thousands: 0, nothing, or more than three digits."""
    digits = whole.lstrip("+-")
    return not 0 < len(digits) < 4 or digits.startswith("0")


def _pattern(decimal: str, group: str) -> str:
    sign, fraction = re.escape(group), rf"(?:{re.escape(decimal)}\d*)?"
    whole = rf"(?:\d{{1,3}}(?:{sign}\d{{3}})+|\d*)" if group else r"\d*"
    return rf"[-+]?{whole}{fraction}(?:[eE][-+]?\d+)?"


def _times(
    value: npt.NDArray[np.float64], factor: npt.NDArray[np.float64], digits: pd.Series[str]
) -> npt.NDArray[np.float64]:
    """Return value times factor as the decimal digits say: 2.51M is 2510000, which floats alone give as 2509999.99."""
    product = value * factor
    scaled = digits[factor[digits.index] != 1.0]
    places = np.zeros(len(value))
    places[scaled.index] = [len(one.partition(".")[2]) for one in scaled]
    whole = (factor != 1.0) & (10.0**places <= factor) & (np.abs(product) < 2.0**52)
    return np.where(whole, np.rint(product), product)
