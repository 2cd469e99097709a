"""Columns of a file as its parser gives them: which are words, and what makes a file be read again as text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import types

from finnex.data.preset import plain

WORD_NAME = re.compile(
    "<?(symbols?|tickers?|codes?|stocks?|series|source|provider|platform|publisher|author|peer|competitor|company|name"
    "|sector|industry|from|to|origin|metric|concept|tag|unit|units|uom|currency|text|title|headline|cusip|isin|cik"
    "|start|end|filed|announced"
    "|published|created|day|period|quarter|as_of|known|collected|accn|form|fp|fy|frame"
    "|(.*_)?(date|time|datetime|timestamp|stamp|utc|at|start|end|symbol|ticker))>?"
)
"""Names of columns that hold words or times, in digits or not: 0700 is a symbol, 20240307 a day."""


class NeedsText(Exception):
    """Something is at fault, or may be, that only the text of the cells shows."""


class Strict(list[Any]):
    """A list of problems whose first one ends the reading: the file is read again as text, to name its place."""

    def __iadd__(self, found: Any) -> Strict:  # type: ignore[misc]
        self.extend(found)
        return self

    def extend(self, found: Any) -> None:
        """Raise `NeedsText` where there is a problem."""
        if list(found):
            raise NeedsText

    def append(self, _: Any) -> None:
        """Raise `NeedsText`."""
        raise NeedsText


def is_word_name(name: str) -> bool:
    """Return whether a column of this name holds words or times, whatever its cells look like.

    Examples
    --------
    >>> is_word_name("Ticker"), is_word_name("created_utc"), is_word_name("close")
    (True, True, False)
    """
    return WORD_NAME.fullmatch(plain(name)) is not None


def to_pandas(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return a column of pyarrow: numbers as float64 with NaN, words as categorical with '', text as `str` with ''."""
    if types.is_dictionary(column.type):
        column = column.unify_dictionaries()
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        each = pd.Index(whole.dictionary.to_pandas(), dtype="str")
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        if each.hasnans or len(each) > each.nunique():  # a file may hold a dictionary with a value twice, or with none
            to, each = pd.factorize(each)
            codes = np.where(codes < 0, -1, to[codes])
        if (codes < 0).any():
            at = each.get_indexer([""])[0]
            each, at = (each, at) if at >= 0 else (each.append(pd.Index([""], dtype="str")), len(each))
            codes = np.where(codes < 0, at, codes)
        return pd.Series(pd.Categorical.from_codes(codes, each, validate=False))
    if types.is_floating(column.type):
        return pd.Series(column.to_numpy())
    words: pd.Series[str] = column.to_pandas().astype("str").fillna("")
    return words
