"""A market whose best attainable accuracy is known: complete tables in which three patterns decide the label.

`finnex.exam.planted_patterns` says what is planted; `planted_detector` what can be read from the pictures. A company is
a member of the universe on the sessions on which it decides, and on no other: sessions outside a membership are not
drawn and have no label, so that a build and a study take the decisions alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config
from finnex.data.calendar import Days
from finnex.data.tables import Tables
from finnex.exam import releases
from finnex.exam.hidden_paths import AMERICAN, FIRST_START, PEERS, SECTORS, Paths, make_bars, make_paths
from finnex.exam.planted_patterns import EVERY, FIRST, TURN, PlantedDecisions, decisions_of
from finnex.exam.planted_tables import THRESHOLD, VOLATILITY_SESSIONS, planted_bars, planted_records
from finnex.exam.random_market import write_market

COMPANIES, SESSIONS = 60, 3_400
LEAST_SESSIONS, MOST_SESSIONS = FIRST + TURN + 2, 3_500
"""A market that begins in January 2012 ends before 2026."""
MOST_COMPANIES = 500
LABELS: Mapping[str, Any] = {
    "kind": "price_movement", "horizon": 1, "threshold_volatility": THRESHOLD,
    "volatility_sessions": VOLATILITY_SESSIONS,
}  # fmt: skip
"""`[labels]` with which FinNeX's own labels are the planted classes."""


@dataclass(frozen=True, eq=False)
class PlantedMarket:
    """A market with known answers.

    Attributes
    ----------
    tables
        Each as the readers of `finnex.data` give it.
    decisions
        By company, what was planted for each decision whose outcome is known.
    settings
        Content of `finnex.toml`, but for the paths of tables and store.
    days
        (sessions,) `datetime64[D]`.
    seed
        What it was made from, with the numbers of companies and sessions.
    """

    tables: Tables
    decisions: Mapping[str, PlantedDecisions]
    settings: Mapping[str, Any]
    days: Days
    seed: int

    @property
    def symbols(self) -> tuple[str, ...]:
        """Companies that decide."""
        return tuple(self.decisions)

    @cached_property
    def answers(self) -> pd.DataFrame:
        """One row a decision: symbol, date, and what was planted; in order of date, then symbol."""
        parts = [
            pd.DataFrame(
                {
                    "symbol": symbol, "date": self.days[one.session].astype("datetime64[ns]"), "session": one.session,
                    "regime": one.regime, "answer": one.answer, "label": one.label, "price_start": one.price_start,
                    "sentiment_start": one.sentiment_start,
                }
            )
            for symbol, one in self.decisions.items()
        ]  # fmt: skip
        return pd.concat(parts).sort_values(["date", "symbol"], ignore_index=True)

    @property
    def config(self) -> Config:
        """The configuration of the tables in memory; its paths name no file."""
        inputs = {"prices": "prices.csv", "companies": "companies.csv"}
        return Config.model_validate({**self.settings, "inputs": inputs, "store": {"path": "images"}})

    def write(self, folder: Path) -> Config:
        """Write `finnex.toml` and every table as CSV into a folder, and return the checked configuration.

        Reading it again gives `tables`, to the last bit.
        """
        return write_market(folder, self.tables, self.settings)


def planted_market(seed: int, companies: int = COMPANIES, sessions: int = SESSIONS) -> PlantedMarket:
    """Return a market of companies whose next session follows, at their decisions, from what was planted before.

    Every tenth session is a decision date, on which a quarter of the companies decides. Three further companies are
    their peers and five funds their sectors: in these, in macro series, filings and events nothing is planted.

    Parameters
    ----------
    seed
        Decides everything. 0 to 9 were used to design the market; a verdict uses others.
    companies
        Companies that decide, 1 to 500. A market with more has the same ones, and further ones.
    sessions
        Sessions of XNYS from January 2012 on, 202 to 3,500. A longer market begins with a shorter one.

    Returns
    -------
    PlantedMarket
        Tables, settings, and what was planted.

    Raises
    ------
    ValueError
        Too few or too many companies or sessions.

    Examples
    --------
    >>> market = planted_market(0, companies=2, sessions=260)
    >>> market.symbols, len(market.answers)
    (('CO000', 'CO001'), 6)
    """
    if not 1 <= companies <= MOST_COMPANIES or not LEAST_SESSIONS <= sessions <= MOST_SESSIONS:
        raise ValueError(
            f"a planted market has 1 to {MOST_COMPANIES} companies and {LEAST_SESSIONS} to {MOST_SESSIONS} sessions; "
            f"not {companies} and {sessions}"
        )
    paths = make_paths(sessions, seed, AMERICAN, FIRST_START)
    symbols = tuple(f"CO{number:03d}" for number in range(companies))
    planned = {name: decisions_of(seed, name, at % (TURN // EVERY), sessions) for at, name in enumerate(symbols)}
    known = {name: one.choose(one.session + 1 < sessions) for name, one in planned.items()}
    tables = Tables(
        prices=_prices(paths, planned),
        companies=_memberships(paths.days, known),
        macro=releases.macro(paths),
        fundamentals=releases.fundamentals(paths, (*symbols, *PEERS))[0],
        sentiment=pd.concat(
            [planted_records(paths, name, planned.get(name)) for name in sorted((*symbols, *PEERS))], ignore_index=True
        ),
        events=releases.events(paths),
    )
    settings = {
        "symbols": list(symbols), "peers": list(PEERS), "sectors": list(SECTORS), "exchange": AMERICAN,
        "labels": dict(LABELS),
    }  # fmt: skip
    return PlantedMarket(tables, known, settings, paths.days, seed)


def _prices(paths: Paths, planned: Mapping[str, PlantedDecisions]) -> pd.DataFrame:
    parts = {name: planted_bars(paths, name, one) for name, one in planned.items()}
    for name, own in (*((name, 0.014) for name in PEERS), *((name, 0.005) for name in SECTORS)):
        bars = make_bars(paths, name, own=own)
        columns: dict[str, npt.NDArray[np.float64]] = {
            column: getattr(bars, column) for column in ("open", "high", "low", "close", "volume")
        }
        parts[name] = pd.DataFrame({"symbol": name, "date": paths.days.astype("datetime64[ns]"), **columns})
    return pd.concat([parts[name] for name in sorted(parts)], ignore_index=True)


def _memberships(days: Days, known: Mapping[str, PlantedDecisions]) -> pd.DataFrame:
    """Return the table of companies: a member on each session of a decision."""
    symbol = np.repeat(np.array(list(known)), [len(one) for one in known.values()])
    at = days[np.concatenate([one.session for one in known.values()])].astype("datetime64[ns]")
    return pd.DataFrame({"symbol": symbol, "sector": "", "industry": "", "from": at, "to": at}).astype(
        {"symbol": "str"}
    )
