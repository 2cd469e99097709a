"""A world of public sources for tests of `finnex fetch`: what its sites answer, and a command to fetch from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.cli import main
from finnex.data.calendar import last_close, session_calendar
from tests.helpers import public_answers as made
from tests.helpers.public_sites import Asked, Reply

START, END = "2023-06-01", "2024-03-08"
KEY = "0123456789abcdef0123456789abcdef"
COOKIE, CRUMB = "d=AQABBCookieOfTests", "crumbOfTests"
WORDS = {"FRED_API_KEY": KEY, "EDGAR_IDENTITY": "Jane Doe jane.doe@example.org"}
COMMAND = ("fetch", "ACME", "--start", START, "--end", END, "--series", "DGS10", "--series", "VIXCLS", "--no-funds")


class World:
    """What the sites answer; a test changes `broken`."""

    def __init__(self) -> None:
        today = last_close("XNYS", np.datetime64("now"))
        self.days = [day.item() for day in session_calendar("XNYS", dt.date(2023, 1, 3), today).days]
        self.broken: dict[str, list[Reply]] = {}
        """Host to replies that come before the right ones."""
        self.watch: Callable[[Asked], None] = lambda _: None
        """Called with each request before it is answered."""
        self.splits = True
        self.first: dict[str, dt.date] = {}
        """First session of symbols that were listed later."""

    def __call__(self, asked: Asked) -> Reply:
        self.watch(asked)
        if queue := self.broken.get(asked.host):
            return queue.pop(0)
        sites = {
            "api.stlouisfed.org": self.observations,
            "www.sec.gov": lambda _: made.companies(),
            "data.sec.gov": lambda _: made.company_facts(),
        }
        return sites.get(asked.host, self.yahoo)(asked)

    def yahoo(self, asked: Asked) -> Reply:
        if asked.path.startswith("/v8/finance/chart/"):
            symbol = asked.path.rsplit("/", 1)[1]
            days = [day for day in self.days if day >= self.first.get(symbol, day)]
            return made.chart(asked, days, splits=self.splits) if symbol in made.LISTED else made.no_chart()
        if asked.host == "fc.yahoo.com":  # it answers 'not found', with a cookie
            return Reply(b"", 404, headers={"Set-Cookie": f"A3={COOKIE}; Domain=.yahoo.com; Path=/; Secure"})
        return Reply(CRUMB.encode(), content_type="text/plain")

    @staticmethod
    def observations(asked: Asked) -> Reply:
        if asked.query["series_id"] not in {"DGS10", "VIXCLS"}:
            return made.fred_error("Bad Request.  The series does not exist.")
        if asked.query["series_id"] == "VIXCLS":
            return made.observations([("2024-03-11", "2023-06-01", "15.5"), ("2024-03-11", "2023-06-02", ".")])
        first = asked.query["realtime_start"]
        if asked.query["realtime_end"] < "2020":
            return made.fred_error("Bad Request.  The series does not exist in ALFRED but may exist in FRED.")
        known = [("2023-05-30", "2023-05-26", "3.80"), ("2023-06-05", "2023-06-02", "3.69"),
                 ("2023-07-01", "2023-06-02", "3.70"), ("2024-01-03", "2024-01-02", "3.95")]  # fmt: skip
        rows = [(max(start, first), day, value) for start, day, value in known]
        page = rows[int(asked.query.get("offset", 0)) :][:2]  # FRED gives so many rows a page
        return made.observations(page, total=len(rows))


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out + said.err


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(Path("inputs") / f"{name}.csv", dtype=str, keep_default_na=False)
