"""What the audit says of series that know the next filing, and how often it says so of series that do not.

    python -m benchmarks.next_filing [--markets 100] [--seed 0]  # false alarms: 1 above one market in 100
    python -m benchmarks.next_filing --power [--markets 20]      # shares found, of 420, 1,000 and 2,500 sessions
    python -m benchmarks.next_filing --config finnex.toml [--symbol A]  # tables that are believed honest

False alarms: clean random markets of 260 to 2,000 sessions, every feature and every series of their tables, and further
honest series: trends, seasons, walks, functions of the last filings, tones that guess what is new with a correlation
of 0.4, and estimates of the next filing whose errors are 0.1, 0.2 and 0.4 of what is new (correlations of 0.995, 0.98
and 0.93). Power: one planted series each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.audit.clock import CLOCKS, known_session
from finnex.audit.filed_figures import Figures, Integers, filed_figures
from finnex.audit.filing_news import HONEST_OPINION, news_of_metric
from finnex.audit.foreknown_series import filing_series, others_of
from finnex.audit.innovations import Floats
from finnex.audit.next_filing import FilingSearch, knowing_the_next_filing
from finnex.audit.series import table_series
from finnex.audit.shifted_dates import MOST_COMPARED
from finnex.config import Config, load_config
from finnex.data.calendar import session_calendar
from finnex.data.features import symbol_bars
from finnex.data.panel import make_panel
from finnex.data.tables import Tables
from finnex.exam import random_market as exam_market
from finnex.exam.hidden_paths import AMERICAN, SYMBOL, Paths
from finnex.exam.plant import patched
from finnex.exam.random_market import random_market
from finnex.pipeline import read_run

ALLOWED = 0.01
"""Markets with a finding."""
SIZES = 260, 2000
POWER = 420, 1000, 2500
FIRST_DAYS = 1_000
"""A long market starts on one of so many days from 2012 on."""


def long_market(sessions: int, seed: int) -> exam_market.Market:
    """Return a random market of any number of sessions up to 2,500."""

    def paths(sessions: int, seed: int, exchange: str) -> Paths:
        whole = session_calendar(exchange, pd.Timestamp("2012-01-03").date(), pd.Timestamp("2025-12-31").date())
        first = int(np.random.default_rng([seed, 5]).integers(0, FIRST_DAYS))
        part = slice(first, first + sessions)
        return Paths(exchange, seed, whole.days[part], whole.decision_time[part])

    with patched(exam_market, "make_paths", paths), patched(exam_market, "MOST", 2_500):
        return random_market(sessions, seed, AMERICAN)


@dataclass(frozen=True)
class Asked:
    """A symbol's panel, the series of its tables, its figures, and the opinions among the series."""

    series: dict[str, Floats]
    opinions: frozenset[str]
    figures: list[Figures]
    close: Floats

    def search(
        self, seed: int, further: Mapping[str, Floats] | None = None, opinions: Sequence[str] = ()
    ) -> FilingSearch:
        """Ask the series, and further ones."""
        every = self.series | dict(further or {})
        return knowing_the_next_filing(every, {*self.opinions, *opinions}, self.figures, self.close, seed)


def asked_of(config: Config, symbol: str) -> Asked:
    """Return what an audit asks of a symbol."""
    run = read_run(config)
    with np.errstate(all="ignore"):
        panel = make_panel(run.tables, config, symbol, run.layout.catalogue.entries)
    frames = {one.name: getattr(run.tables, one.name) for one in fields(Tables)}
    raw = table_series(
        {name: frame for name, frame in frames.items() if frame is not None and name in CLOCKS and name != "enhanced"},
        panel.calendar, symbol, others_of(run, symbol)[:MOST_COMPARED], config.inputs.quote_delay_minutes,
    )  # fmt: skip
    own = symbol_bars(run.tables, symbol, panel.calendar).reindex(range(len(panel.calendar)))
    series, opinions = filing_series(run, panel, raw)
    assert run.tables.fundamentals is not None
    filings = run.tables.fundamentals[run.tables.fundamentals["symbol"] == symbol]
    known = known_session("fundamentals", filings, panel.calendar, config.inputs.quote_delay_minutes)
    figures = filed_figures(filings, known, panel.calendar)
    return Asked(series, frozenset(opinions), figures, own["close"].to_numpy(dtype=np.float64))


def held(figures: Figures, values: Floats, first: Integers, sessions: int) -> Floats:
    """Return a series (sessions,) that holds a value of each filing from a session on, until the next."""
    found = np.full(sessions, np.nan)
    for row in np.argsort(first, kind="stable"):
        if first[row] < sessions:
            found[max(first[row], 0) :] = values[row]
    return found


def noisy(values: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Return values with errors of a share of their deviation."""
    return values + share * float(np.nanstd(values)) * rng.standard_normal(len(values))


def honest(asked: Asked, rng: np.random.Generator) -> tuple[dict[str, Floats], list[str]]:
    """Return honest series that look like knowledge of filings, and which of them are opinions."""
    (figures,), n = asked.figures, len(asked.close)
    revenue = figures.amounts[:, figures.metrics.index("revenue")]
    growth = np.log(revenue / figures.before(revenue, 4))
    news = news_of_metric(figures, figures.metrics.index("revenue"))
    day = np.arange(n)
    found = {
        "trend": 1e9 + 1e7 * day,
        "season": np.sin(2 * np.pi * day / 252),
        "revenue as filed": held(figures, revenue, figures.filed, n),
        "growth as filed": held(figures, growth, figures.filed, n),
        "growth as filed, carried on": held(figures, revenue * np.exp(growth), figures.filed, n),
    }
    for number in range(5):
        found[f"walk {number}"] = np.cumsum(rng.standard_normal(n))
        found[f"noise {number}"] = rng.standard_normal(n)
    # An estimate of the next figure misses by a share of what is new in it.
    for share in (0.1, 0.2, 0.4):
        error = share * float(np.nanstd(news)) * rng.standard_normal(len(revenue))
        found[f"estimate, error {share}"] = held(figures, revenue * np.exp(error), figures.since, n)
        found[f"estimated growth, error {share}"] = held(figures, growth + error, figures.since, n)
    opinions = {"tone after filings": held(figures, np.sign(news), figures.filed, n) + rng.standard_normal(n)}
    opinions |= {
        f"tone {number}": pd.Series(rng.standard_normal(n)).ewm(span=60).mean().to_numpy() for number in (1, 2)
    }
    half = np.where(np.isnan(news), 0, news) / np.nanstd(news)
    guess = HONEST_OPINION * half + (1 - HONEST_OPINION**2) ** 0.5 * rng.standard_normal(len(half))
    opinions[f"tone that guesses, correlation {HONEST_OPINION}"] = held(figures, guess, figures.since, n)
    return found | opinions, list(opinions)


def planted(asked: Asked, rng: np.random.Generator) -> Iterator[tuple[str, Floats, bool]]:
    """Yield leaks: a name, the series, and whether it is an opinion."""
    (figures,), n = asked.figures, len(asked.close)
    number = figures.metrics.index("revenue")
    revenue, news = figures.amounts[:, number], news_of_metric(figures, number)
    growth = revenue / figures.before(revenue, 4) - 1
    income = figures.amounts[:, figures.metrics.index("net_income")]
    yield "revenue of the next filing", held(figures, revenue, figures.since, n), False
    yield "the same, in millions, from the end of the quarter on", held(figures, revenue / 1e6, figures.asked, n), False
    yield "net margin of the next filing, 4 digits", held(figures, (income / revenue).round(4), figures.since, n), False
    yield "growth of the next filing, 4 digits", held(figures, growth.round(4), figures.since, n), False
    for correlation in (0.9999, 0.999, 0.99):
        share = (correlation**-2 - 1) ** 0.5
        column = held(figures, noisy(growth, share, rng), figures.since, n)
        yield f"growth of the next filing, correlation {correlation}", column, False
    daily = rng.standard_normal(n)
    size = held(figures, np.tanh(news / np.nanstd(news)), figures.since, n)
    yield "a score that is the size of the next surprise", size, True
    yield "a score that is its size, with as much noise a day", size + np.nanstd(size) * daily, True
    sign = held(figures, np.sign(news), figures.since, n)
    yield "a score that is the sign of the next surprise", sign, True
    change = pd.Series(np.log(revenue)).diff()
    usual = change.groupby(np.arange(len(change)) % 4).transform("mean")
    another = ((change - usual) / change.std()).to_numpy()
    yield "a score that is the surprise against another forecast", held(figures, another, figures.since, n), True
    right = np.where(rng.random(len(news)) < 0.85, 1.0, -1.0)
    yield "a score that is its sign in 85 %", held(figures, right * np.sign(news), figures.since, n), True


def of_market(sessions: int, seed: int) -> Asked:
    """Return what an audit asks of a clean random market, from its files."""
    with tempfile.TemporaryDirectory() as folder:
        return asked_of(long_market(sessions, seed).write(Path(folder)), SYMBOL)


def false_alarms(markets: int, seed: int) -> int:
    """Print every finding in clean markets, and their number; return 1 where there are too many."""
    rng, alarms, series, filings = np.random.default_rng(seed), 0, 0, []
    for number, sessions in enumerate(rng.integers(SIZES[0], SIZES[1] + 1, markets)):
        asked = of_market(int(sessions), 1_000_000 * seed + number)
        further, opinions = honest(asked, rng)
        search = asked.search(seed, further, opinions)
        series += len(asked.series) + len(further)
        filings.append(int((asked.figures[0].asked >= 0).sum()))
        alarms += bool(search.found)
        for one in search.found:
            print(f"market {number}, {sessions} sessions, {filings[-1]} filings: {one.name} {one.evidence}", flush=True)
    print(
        f"{alarms} of {markets} clean markets have a finding, of {series / markets:.0f} series each and "
        f"{min(filings)} to {max(filings)} filings."
    )
    return int(alarms > ALLOWED * markets)


def power(markets: int, seed: int) -> int:
    """Print of each leak the share of markets in which it is found."""
    found: dict[str, dict[int, int]] = {}
    filings = dict[int, int]()
    for sessions in POWER:
        for number in range(markets):
            asked = of_market(sessions, 1_000_000 * seed + 1_000 + number)
            filings[sessions] = int((asked.figures[0].asked >= 0).sum())
            for name, values, opinion in planted(asked, np.random.default_rng([seed, number])):
                search = asked.search(seed, {"planted": values}, ["planted"] if opinion else [])
                of = found.setdefault(name, dict.fromkeys(POWER, 0))
                of[sessions] += any(one.name == "planted" for one in search.found)
    print(", ".join(f"{sessions} sessions ({filings[sessions]} filings)" for sessions in POWER))
    for name, shares in found.items():
        print(f"{name}: " + ", ".join(f"{shares[sessions] / markets:.0%}" for sessions in POWER), flush=True)
    return 0


def real(config: Config, symbols: Sequence[str], seed: int) -> int:
    """Print what is found in tables that are believed honest; return 1 where anything is."""
    found = 0
    for symbol in symbols:
        search = asked_of(config, symbol).search(seed)
        found += len(search.found)
        print(f"{symbol}: {search.said}; {len(search.found)} found", flush=True)
        for one in search.found:
            print(f"    {one.name} {one.evidence}", flush=True)
    return int(found > 0)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--symbol", action="append")
    given = parser.parse_args()
    if given.config is not None:
        config = load_config(given.config)
        return real(config, given.symbol or config.symbols, given.seed)
    return power(given.markets or 20, given.seed) if given.power else false_alarms(given.markets or 100, given.seed)


if __name__ == "__main__":
    sys.exit(main())
