"""Figures that companies filed with the SEC: EDGAR's company facts, read by edgartools."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from finnex.data.edgar_facts import DAYS_BEFORE, tidied
from finnex.data.names import CONCEPTS, FLOWS, TAXONOMIES
from finnex.errors import FetchError
from finnex.fetching.archive import Answer
from finnex.fetching.asking import Asker, NoData, Unreachable
from finnex.fetching.sources import IDENTITY

TICKERS = "https://www.sec.gov/files/company_tickers.json"
FACTS = "https://data.sec.gov/api/xbrl/companyfacts/CIK{:010d}.json"
CACHES: Final = ("EDGAR_LOCAL_DATA_DIR", "EDGAR_CACHE_DIR")
"""Variables by which edgartools is kept out of the home."""
COLUMNS: Final = ("symbol", "metric", *DAYS_BEFORE, "value", "currency", "origin")


@contextmanager
def edgartools_apart(folder: Path) -> Iterator[None]:
    """Let edgartools, which makes folders when it is imported, make them below `folder`, for a while."""
    before = {name: os.environ.get(name) for name in CACHES}
    os.environ.update({name: os.fspath(folder / name.lower()) for name in CACHES})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def company_numbers(as_of: date, asker: Asker) -> dict[str, int]:
    """Return the SEC's numbers of companies by symbol, as listed on a day.

    Raises
    ------
    FetchError
        The list cannot be read.
    Unreachable
        The SEC cannot be asked.
    """
    listed = _json(TICKERS, as_of, asker, "its list of companies", FetchError)
    try:
        return {str(row["ticker"]).upper(): int(row["cik_str"]) for row in listed.values()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise FetchError(
            f"The SEC's list of companies ({TICKERS}) has another form than is known. Look for a newer FinNeX."
        ) from None


def fetch_filings(symbol: str, numbers: Mapping[str, int], end: date, as_of: date, asker: Asker) -> pd.DataFrame:
    """Return the figures of a company that features read, a row a metric, period and filing.

    Parameters
    ----------
    symbol
        Of the company, in capitals, as the SEC spells it: BRK-B.
    numbers
        `company_numbers`.
    end
        Last day of filings.
    as_of
        Day until which the SEC is asked.
    asker
        Asks the SEC.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: period_start is NaT for balances, value in `currency` or shares. Periods that are no quarter, half
        year, nine months or year are left out, and of two currencies the rarer.

    Raises
    ------
    NoData
        The SEC has no such figures of the company.
    FetchError
        Its answer cannot be read.
    Unreachable
        The SEC cannot be asked.
    """
    from edgar.entity.parser import EntityFactsParser  # noqa: PLC0415  of the extra

    if symbol not in numbers:
        raise NoData(
            f"The SEC lists no company under {symbol}; indices and many foreign companies are none. Features of "
            "fundamentals are 'not known' of it."
        )
    facts = EntityFactsParser.parse_company_facts(
        _json(FACTS.format(numbers[symbol]), as_of, asker, f"the facts of {symbol}", NoData)
    )
    if facts is None:
        raise NoData(f"The SEC's answer for {symbol} holds no facts that edgartools can read.")
    rows = _one_a_filing(facts.to_dataframe(include_metadata=True, pit_mode=True), end)
    if rows.empty:
        raise NoData(
            f"The SEC has no figures of {symbol} in US-GAAP or IFRS that features read, filed until {end}: funds and "
            "many foreign companies file none. Features of fundamentals are 'not known' of it."
        )
    return rows.assign(symbol=symbol, origin="sec")[list(COLUMNS)]


def _one_a_filing(facts: pd.DataFrame, end: date) -> pd.DataFrame:
    """Return one value for each metric, period and filing day, of sound periods and one currency."""
    taxonomy, concept = facts["concept"].str.split(":", n=1, expand=True).T.to_numpy()
    rows = pd.DataFrame(
        {
            "metric": concept,
            "period_start": pd.to_datetime(facts["period_start"]),
            "period_end": pd.to_datetime(facts["period_end"]),
            "available_date": pd.to_datetime(facts["filing_date"]),
            "value": facts["numeric_value"],
            "unit": facts["unit"],
            "amended": facts["form_type"].str.endswith("/A"),
            "accession": facts["accession"],
        }
    )
    metric = rows["metric"].map(CONCEPTS)
    sound = np.isin(taxonomy, TAXONOMIES) & metric.notna() & rows["value"].notna()
    sound &= (rows["period_end"] <= rows["available_date"]) & (rows["available_date"] <= pd.Timestamp(end))
    sound &= metric.isin(FLOWS) == rows["period_start"].notna()
    currency = rows["unit"].str.fullmatch("[A-Z]{3}").astype(bool)
    rows = rows[sound & (rows["unit"] == "shares").where(metric == "shares_outstanding", currency)]
    money = rows["unit"] != "shares"
    commonest = rows.loc[money, "unit"].mode()
    rows = rows[~money | rows["unit"].isin(commonest.iloc[:1])]
    # Of two filings of one day the amendment, then the later one.
    rows = tidied(rows.sort_values(["amended", "accession"], ascending=False, kind="stable"), [])
    rows = rows.assign(metric=rows["metric"].map(CONCEPTS), currency=rows["unit"].where(rows["unit"] != "shares", ""))
    key = ["metric", *DAYS_BEFORE]
    rows = rows.drop_duplicates(key).sort_values(key, kind="stable")
    return rows.assign(**{name: rows[name].dt.date for name in DAYS_BEFORE})


def _json(url: str, as_of: date, asker: Asker, what: str, absent: type[FetchError]) -> Any:
    """Return a document of the SEC's. Where it has none `absent` is raised; that is kept where it is no failure."""

    def sound(answer: Answer) -> bool:
        return _is_json(answer) or (answer.status == 404 and absent is NoData)

    headers = {"User-Agent": os.environ.get(IDENTITY, "").strip(), "Accept-Encoding": "gzip, deflate"}
    answer = asker.get(url, {}, sound, headers=headers, as_of=as_of.isoformat())
    if answer.status == 404:
        raise absent(f"The SEC does not have {what} ({url}).")
    if answer.status != 200:
        raise Unreachable(
            f"The SEC refuses {what} (HTTP {answer.status}). It refuses programs without a name and an e-mail address "
            f"({IDENTITY}), and addresses that asked more than ten times a second. Wait ten minutes, then run the same "
            "command again."
        )
    try:
        return json.loads(answer.body)
    except ValueError:
        raise FetchError(f"The SEC's answer for {what} is no JSON. Run the same command again later.") from None


def _is_json(answer: Answer) -> bool:
    try:
        return answer.status == 200 and bool(json.loads(answer.body))
    except ValueError:
        return False
