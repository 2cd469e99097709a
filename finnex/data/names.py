"""Every name that a feature reads from a table, and the names that sources give the same series.

What matches none of them is read by no feature: `finnex.data.warnings` says so. `docs/inputs.md` lists them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from finnex.config.inputs import REFERENCE_FUNDS
from finnex.errors import near_name

SERIES: Final = (
    *("AAA", "BAA", "CPILFESL", "DEXUSEU", "DGORDER", "DGS10", "DGS2", "DGS30", "DGS3MO", "DGS5", "FEDFUNDS", "ICSA"),
    *("MORTGAGE30US", "NASDAQ", "PAYEMS", "PERMIT", "SP500", "STLFSI", "TB3MS", "UMCSENT", "UNRATE", "VIX", "WALCL"),
    *("WTI", *REFERENCE_FUNDS),
)
"""Macro series; symbols of sector funds are read too, where the prices table lacks them."""
SERIES_ALIASES: Final = {
    "VIXCLS": "VIX",
    "NASDAQCOM": "NASDAQ",
    "DCOILWTICO": "WTI",
    "STLFSI2": "STLFSI",
    "STLFSI3": "STLFSI",
    "STLFSI4": "STLFSI",
}
"""FRED's name of a series to the one used here."""
EVENTS: Final = ("FOMC", "CPI")
FLOWS: Final = (
    "revenue", "gross_profit", "operating_income", "net_income", "operating_cf", "capex", "free_cash_flow",
)  # fmt: skip
"""Columns of the fundamentals table that are sums over a period: the period is a single quarter."""
STOCKS: Final = ("total_assets", "equity", "shares_outstanding", "total_debt")
"""Columns of the fundamentals table that hold at the end of a period."""
METRICS: Final = (*FLOWS, *STOCKS)
"""Columns of the fundamentals table."""
OPTION_COLUMNS: Final = (
    "implied_volatility", "implied_volatility_90", "skew", "put_call", "put_call_open_interest", "net_flow",
)  # fmt: skip
"""Of the options table, all optional: implied volatility of 30 and 90 days (a year, 0.4 is 40 %), the implied
volatility of puts less calls of equal delta, put over call volume and open interest, net call less put premium over
its total in [-1, 1]."""
TAXONOMIES: Final = ("us-gaap", "ifrs-full", "dei")
"""Of XBRL, whose concepts companies file."""
TAXONOMY: Final = rf"(?i)^(?:{'|'.join(TAXONOMIES).replace('-', '[-_]')})[:_]"
"""Prefix of a concept: its taxonomy."""
CONCEPTS: Final = {
    "Revenues": "revenue",
    "RevenueFromContractWithCustomerExcludingAssessedTax": "revenue",
    "SalesRevenueNet": "revenue",
    "GrossProfit": "gross_profit",
    "OperatingIncomeLoss": "operating_income",
    "NetIncomeLoss": "net_income",
    "Assets": "total_assets",
    "StockholdersEquity": "equity",
    "NetCashProvidedByUsedInOperatingActivities": "operating_cf",
    "PaymentsToAcquirePropertyPlantAndEquipment": "capex",
    "CommonStockSharesOutstanding": "shares_outstanding",
    "EntityCommonStockSharesOutstanding": "shares_outstanding",
}
"""XBRL's name of a metric, as EDGAR has it, to the one used here."""


def unread(given: Iterable[str], read: Iterable[str]) -> list[str]:
    """Return the names that no feature reads, in the order given, each with a near one that is read."""
    known = list(read)
    found = []
    for name in dict.fromkeys(given):
        if name not in known:
            near = near_name(str(name), known)
            found.append(f"'{name}'" + (f" (did you mean '{near}'?)" if near else ""))
    return found
