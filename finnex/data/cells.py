"""Cells of a column, text or typed: each distinct text is worked on one time, however many rows it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def is_text(cells: pd.Series[Any]) -> bool:
    """Return whether a column holds texts, as categories or not."""
    kind = cells.dtype.categories.dtype if isinstance(cells.dtype, pd.CategoricalDtype) else cells.dtype
    return not (
        pd.api.types.is_numeric_dtype(kind)
        or pd.api.types.is_bool_dtype(kind)
        or pd.api.types.is_datetime64_any_dtype(kind)
    )


def is_words(cells: pd.Series[Any]) -> bool:
    """Return whether a column is given by its words and their codes."""
    return isinstance(cells.dtype, pd.CategoricalDtype)


def by_word(cells: pd.Series[Any], made: Callable[[pd.Series[str]], pd.Series[Any]]) -> pd.Series[Any]:
    """Return what a function makes of a column of texts; of words and codes, it is called with each word once."""
    if not is_words(cells):
        return made(cells)
    found = made(pd.Series(cells.cat.categories, dtype="str", name=cells.name))
    taken: pd.Series[Any] = found.take(cells.cat.codes.to_numpy()).set_axis(cells.index)
    taken.name = cells.name
    return taken


def distinct(cells: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], pd.Series[str]]:
    """Return, for each row, the position of its text among the distinct ones, and these; no value is ''."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        codes = cells.cat.codes.to_numpy().astype(np.intp)
        each = pd.Series(cells.cat.categories.astype(str), dtype="str")
        codes = np.where(codes < 0, len(each), codes)
    else:
        codes, found = pd.factorize(cells)
        each = pd.Series(found, dtype="str")
        codes = np.where(codes < 0, len(each), codes)
    return codes, pd.concat([each, pd.Series([""], dtype="str")], ignore_index=True)


def mapped(cells: pd.Series[Any], change: Callable[[pd.Series[str]], pd.Series[Any]]) -> pd.Series[Any]:
    """Return a column of texts changed by a function of its distinct texts; texts remain categories."""
    codes, each = distinct(cells)
    found = change(each)
    if is_text(found):
        words = pd.Categorical(found)
        taken = pd.Categorical.from_codes(words.codes[codes], dtype=words.dtype)
        return pd.Series(taken, index=cells.index, name=cells.name)
    return found.take(codes).set_axis(cells.index).rename(str(cells.name))


def empty(cells: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    """Return which cells have no value: '' or blanks, NaN, NaT."""
    if not is_text(cells):
        return cells.isna().to_numpy(dtype=bool)
    if not isinstance(cells.dtype, pd.CategoricalDtype):
        return ((cells.str.strip() == "") | cells.isna()).to_numpy(dtype=bool)
    codes, each = distinct(cells)
    return np.asarray((each.str.strip() == "").to_numpy(dtype=bool)[codes])


def without(cells: pd.Series[Any], words: Sequence[str]) -> pd.Series[Any]:
    """Return a column in which words for "no value" are empty; of numbers, those that the words say."""
    if not words:
        return cells
    if is_text(cells):
        _, each = distinct(cells)
        return mapped(cells, lambda text: text.mask(text.str.strip().isin(words), "")) if _has(each, words) else cells
    numbers = pd.to_numeric(pd.Series(list(words)), errors="coerce").dropna().to_numpy()
    if not pd.api.types.is_numeric_dtype(cells.dtype) or not len(numbers) or not cells.isin(numbers).any():
        return cells
    return cells.astype("float64").where(~cells.isin(numbers))


def _has(each: pd.Series[str], words: Sequence[str]) -> bool:
    return bool(each.str.strip().isin(words).any())


def constant(word: str, index: pd.Index[Any]) -> pd.Series[Any]:
    """Return a column of one word, as a category."""
    codes: Any = np.zeros(len(index), dtype=np.int8)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index([word])), index=index)
