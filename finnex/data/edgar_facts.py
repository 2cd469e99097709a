"""EDGAR's companyfacts and companyconcept: the JSON document to rows, and rows to those that features read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from finnex.data.cells import mapped
from finnex.data.names import CONCEPTS, FLOWS, TAXONOMY
from finnex.data.quarters import quarters_in
from finnex.data.remarks import Caution
from finnex.data.written_times import read_times

COLUMNS = ("taxonomy", "tag", "unit", "start", "end", "val", "accn", "fy", "fp", "form", "filed", "frame")
"""Of a row: those of the document, with where it lies in it."""
DAYS_BEFORE = ["period_start", "period_end", "available_date"]


def flattened(document: Mapping[str, Any]) -> pd.DataFrame:
    """Return the facts of a companyfacts or companyconcept document as rows of text, '' where a fact has no such key.

    Parameters
    ----------
    document
        Of companyfacts: facts[taxonomy][tag].units[unit] is a list of facts. Of companyconcept: units at the top, with
        taxonomy and tag next to them.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS` and cik; only tags that a feature reads.

    Raises
    ------
    ValueError
        It is neither document.

    Examples
    --------
    >>> fact = {"end": "2023-12-31", "val": 5, "filed": "2024-02-01"}
    >>> rows = flattened({"taxonomy": "us-gaap", "tag": "Assets", "units": {"USD": [fact]}})
    >>> rows[["tag", "end", "val"]].to_numpy().tolist()
    [['Assets', '2023-12-31', '5']]
    """
    rows = list(_facts(document))
    return pd.DataFrame(rows, columns=[*COLUMNS, "cik"], dtype="str")


def _facts(document: Mapping[str, Any]) -> Iterator[list[str]]:
    cik = str(document.get("cik", ""))
    for taxonomy, tag, units in _concepts(document):
        if tag not in CONCEPTS:
            continue
        for unit, facts in units.items():
            for fact in facts:
                if not isinstance(fact, dict):
                    raise ValueError(f"a fact of {tag} is no object")
                yield [taxonomy, tag, unit, *(_text(fact.get(name)) for name in COLUMNS[3:]), cik]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _concepts(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, list[Any]]]]:
    facts, units = document.get("facts"), document.get("units")
    if isinstance(facts, dict):
        for taxonomy, tags in facts.items():
            for tag, concept in tags.items() if isinstance(tags, dict) else ():
                if isinstance(concept, dict) and isinstance(concept.get("units"), dict):
                    yield taxonomy, tag, concept["units"]
    elif isinstance(units, dict):
        yield str(document.get("taxonomy", "")), str(document.get("tag", "")), units
    else:
        raise ValueError("it is no document of companyfacts or companyconcept: it has neither facts nor units")


def tidied(frame: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Return the rows of EDGAR that features can read.

    Parameters
    ----------
    frame
        metric, value, period_start, period_end, available_date under our names; others are kept.
    said
        List that sentences about rows left out are added to.

    Returns
    -------
    pandas.DataFrame
        Without tags that no feature reads, without flows of another duration than one to four quarters, without rows
        that repeat a fact, and of two tags that mean one metric in one filing, the first in `CONCEPTS`.
    """
    if not {"metric", "value", "period_end", "available_date"} <= set(frame.columns):
        return frame
    known = {*CONCEPTS, *CONCEPTS.values(), *FLOWS}
    tags = mapped(frame["metric"], lambda text: text.str.strip().str.replace(TAXONOMY, "", regex=True))
    metric = mapped(tags, lambda text: text.replace(CONCEPTS))
    read = tags.isin(known).to_numpy(dtype=bool)
    if not read.any():
        return frame  # the reader's warning names them
    frame, tags, metric = frame.assign(metric=tags)[read], tags[read], metric[read]
    _count(said, int((~read).sum()), "of tags that no feature reads")
    if "period_start" in frame.columns:
        start, end = read_times(frame["period_start"]).clock, read_times(frame["period_end"]).clock
        days = (end - start).dt.days + 1
        odd = (quarters_in(np.asarray(days.fillna(0), dtype=np.int64)) == 0) & days.notna().to_numpy()
        odd &= metric.isin(FLOWS).to_numpy(dtype=bool)
        frame, tags, metric = frame[~odd], tags[~odd], metric[~odd]
        _count(said, int(odd.sum()), Caution("over periods that are no quarter, half year, nine months or year"))
    key = frame[[name for name in ("symbol", *DAYS_BEFORE) if name in frame.columns]].astype(str).assign(metric=metric)
    repeated = key.assign(tag=tags, value=frame["value"].astype(str)).duplicated().to_numpy()
    rank = tags.astype(str).map({name: number for number, name in enumerate(CONCEPTS)}).fillna(-1)
    first = rank.groupby([key[name] for name in key.columns], dropna=False).transform("min")  # balances have no start
    second = (rank > first).to_numpy() & ~repeated
    _count(said, int(repeated.sum()), "that repeat a fact of the same filing day")
    _count(said, int(second.sum()), "of a second tag for a metric that the same filing gives by another")
    kept: pd.DataFrame = frame[~(repeated | second)]
    return kept


def _count(said: list[str], rows: int, what: str) -> None:
    if rows:
        said.append(type(what)(f"{rows} row{'' if rows == 1 else 's'} {what} {'is' if rows == 1 else 'are'} left out"))
