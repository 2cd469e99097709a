"""Made-up answers in the documented shapes of Yahoo's charts, FRED's observations and EDGAR's company facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from tests.helpers.public_sites import Asked, Reply, as_json

NEW_YORK = ZoneInfo("America/New_York")
SPLIT, DIVIDEND = dt.date(2024, 2, 1), dt.date(2024, 1, 18)
LISTED = {"ACME": 320193, "BETA": 789019, "^VIX": None, "FUND": 884394}
"""Symbols that Yahoo knows, and the SEC's numbers of those that it lists."""


def moment(day: dt.date) -> int:
    """Return the opening of a session in New York, as Yahoo stamps a daily bar."""
    return int(dt.datetime.combine(day, dt.time(9, 30), NEW_YORK).timestamp())


def chart(asked: Asked, days: Sequence[dt.date], *, splits: bool) -> Reply:
    """Return Yahoo's chart of a symbol: 100, 101, ... a share, the second session without a price."""
    symbol = asked.path.rsplit("/", 1)[1]
    meta = {
        "currency": "USD", "symbol": symbol, "exchangeName": "NMS", "instrumentType": "EQUITY", "gmtoffset": -18000,
        "timezone": "EST", "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d", "range": "",
        "regularMarketTime": moment(days[-1]), "priceHint": 2, "validRanges": ["1d", "1mo", "max"],
        "currentTradingPeriod": {
            name: {"timezone": "EST", "start": moment(days[-1]), "end": moment(days[-1]) + 23400, "gmtoffset": -18000}
            for name in ("pre", "regular", "post")
        },
    }  # fmt: skip
    if "range" in asked.query:
        days = days[-1:]
    else:
        first, last = int(asked.query["period1"]), int(asked.query["period2"])
        # Yahoo often appends the running session, whatever was asked.
        days = [day for day in days if first <= moment(day) < last] + [days[-1] + dt.timedelta(days=3)]
    close: list[float | None] = [100.125 + place for place in range(len(days))]
    if len(close) > 3:
        close[1] = None
    quote = {
        "open": close,
        "high": [None if one is None else one + 1 for one in close],
        "low": [None if one is None else one - 1 for one in close],
        "close": close,
        "volume": [None if one is None else 1000 for one in close],
    }
    stamp = str(moment(SPLIT))
    events = {
        "dividends": {str(moment(DIVIDEND)): {"amount": 0.25, "date": moment(DIVIDEND)}},
        "splits": {
            stamp: {"date": moment(SPLIT), "numerator": 4.0, "denominator": 1.0, "splitRatio": "4:1"},
        },
    }
    if not splits:
        events["splits"] = {}
    indicators = {"quote": [quote], "adjclose": [{"adjclose": [None if one is None else one / 2 for one in close]}]}
    result = {"meta": meta, "timestamp": [moment(day) for day in days], "events": events, "indicators": indicators}
    return as_json({"chart": {"result": [result], "error": None}})


def no_chart() -> Reply:
    """Return Yahoo's answer for a symbol that it does not know."""
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    return as_json({"chart": {"result": None, "error": error}}, 404)


def observations(rows: Sequence[tuple[str, str, str]], total: int | None = None) -> Reply:
    """Return FRED's observations: realtime_start, date, value."""
    lines = "".join(
        f'<observation realtime_start="{start}" realtime_end="9999-12-31" date="{day}" value="{value}"/>'
        for start, day, value in rows
    )
    head = f'<observations count="{len(rows) if total is None else total}" offset="0" limit="100000">'
    return Reply(
        f'<?xml version="1.0" encoding="utf-8" ?>{head}{lines}</observations>'.encode(), content_type="text/xml"
    )


def fred_error(message: str, status: int = 400) -> Reply:
    """Return FRED's refusal."""
    text = f'<?xml version="1.0" encoding="utf-8" ?><error code="{status}" message="{message}"/>'
    return Reply(text.encode(), status, "text/xml")


def companies() -> Reply:
    """Return the SEC's list of companies."""
    return as_json(
        {
            str(place): {"cik_str": number, "ticker": name, "title": name}
            for place, (name, number) in enumerate(LISTED.items())
            if number is not None
        }
    )


def fact(end: str, value: float, filed: str, start: str | None = None, form: str = "10-Q") -> dict[str, object]:
    """Return one row of company facts."""
    row = {
        "end": end,
        "val": value,
        "accn": f"0000-{filed}-{form}",
        "fy": 2023,
        "fp": "Q1",
        "form": form,
        "filed": filed,
    }
    return row if start is None else {"start": start} | row


def company_facts() -> Reply:
    """Return company facts with a restated quarter, two concepts of one metric, a stub period, and two currencies."""

    def concept(**units: list[dict[str, object]]) -> dict[str, object]:
        return {"label": "made up", "description": "made up", "units": units}

    quarter = fact("2023-03-31", 100, "2023-05-01", "2023-01-01")
    document = {
        "cik": 320193,
        "entityName": "ACME",
        "facts": {
            "dei": {"EntityCommonStockSharesOutstanding": concept(shares=[fact("2023-04-20", 5000, "2023-05-01")])},
            "us-gaap": {
                "Revenues": concept(
                    USD=[
                        quarter,
                        fact("2023-06-30", 220, "2023-08-01", "2023-01-01"),
                        fact("2023-01-31", 7, "2023-08-01", "2023-01-01"),
                        fact("2023-03-31", 90, "2023-11-01", "2023-01-01"),
                    ],
                    CNY=[fact("2023-03-31", 700, "2023-05-01", "2023-01-01")],
                ),
                "RevenueFromContractWithCustomerExcludingAssessedTax": concept(
                    USD=[fact("2023-03-31", 99, "2023-05-01", "2023-01-01")]
                ),
                "Assets": concept(USD=[fact("2023-03-31", 900, "2023-05-01"), fact("2099-12-31", 1, "2023-05-01")]),
                "SomethingElse": concept(USD=[fact("2023-03-31", 1, "2023-05-01")]),
            },
        },
    }
    return as_json(document)
