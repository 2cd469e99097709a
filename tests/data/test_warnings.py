"""What meets nothing, and what seems to be in another unit, is said once; honest tables raise no word."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from finnex.cli import app
from finnex.config import Config, parse_config
from finnex.data.tables import Tables, read_tables
from finnex.data.unmatched import matches_no_symbol
from finnex.data.warnings import input_warnings

DAYS = pd.bdate_range("2023-01-03", "2023-12-29").strftime("%Y-%m-%d")
HOLIDAYS = ("2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04", "2023-09-04",
            "2023-11-23", "2023-12-25")  # fmt: skip
DAYS = [day for day in DAYS if day not in HOLIDAYS]
Warned = Callable[..., list[str]]


def bars(symbol: str = "ACME") -> pd.DataFrame:
    close = 100 * np.exp(np.random.default_rng(0).normal(0, 0.015, len(DAYS)).cumsum())
    return pd.DataFrame(
        {"symbol": symbol, "date": DAYS, "open": close, "high": close * 1.01, "low": close * 0.99, "close": close,
         "volume": 1000}
    )  # fmt: skip


def records(**changed: object) -> pd.DataFrame:
    score = np.random.default_rng(1).uniform(-0.8, 0.9, len(DAYS)).round(3)
    frame = pd.DataFrame(
        {"symbol": "ACME", "timestamp": [f"{day}T15:00:00Z" for day in DAYS], "source": "news", "score": score}
    )
    return frame.assign(**changed)


def quotes(first: str = "2023-01-03", **changed: object) -> pd.DataFrame:
    days = pd.bdate_range(first, periods=200).strftime("%Y-%m-%d")
    return pd.DataFrame({"series": "VIX", "date": days, "available_date": days, "value": "15"}).assign(**changed)


def filings(revenue: list[float], **changed: object) -> pd.DataFrame:
    ends = pd.date_range("2021-03-31", periods=len(revenue), freq="QE")
    filed = (ends + pd.Timedelta(days=40)).strftime("%Y-%m-%d")
    frame = {"symbol": "ACME", "period_end": ends.strftime("%Y-%m-%d"), "available_date": filed, "revenue": revenue}
    return pd.DataFrame(frame).assign(**changed)


def figures(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"symbol": "ACME", "date": DAYS}).assign(**columns)


def configured(folder: Path, tables: dict[str, pd.DataFrame], **inputs: object) -> Config:
    for name, frame in ({"prices": bars()} | tables).items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    paths = {name: f"{name}.csv" for name in {"prices", *tables}}
    document = {"symbols": ["ACME"], "inputs": paths | inputs, "store": {"path": "images.zarr"}}
    return parse_config(document, folder / "finnex.toml")


@pytest.fixture
def warned(tmp_path: Path) -> Warned:
    """Return a reader of tables that gives what is said of them."""

    def read(**tables: pd.DataFrame) -> list[str]:
        config = configured(tmp_path, tables)
        return input_warnings(read_tables(config), config)

    return read


SCORES = np.random.default_rng(2)
LATER = [str(int(day[:4]) + 2) + day[4:] for day in DAYS]
MEETS_NOTHING: dict[str, tuple[dict[str, pd.DataFrame], str]] = {
    "splits under another spelling": (
        {"splits": pd.DataFrame({"symbol": ["ACME.US"], "date": ["2023-06-01"], "ratio": [2]})},
        "splits of ACME: 1 of 1 rows (100%) are under ACME.US, which nothing reads. If it is the same share, write",
    ),
    "splits of a company without prices": (
        {"splits": pd.DataFrame({"symbol": ["OTHER"], "date": ["2023-06-01"], "ratio": [2]})},
        "splits: OTHER has no prices, so no split is made use of. Valid names: ACME.",
    ),
    "competitive rows of a peer alone": (
        {"competitive": pd.DataFrame({"symbol": "ACME", "date": DAYS[::20], "peer": "BOLT", "share": 0.2})},
        "competitive of ACME: the rows are of BOLT and none is the company's own (peer = ACME)",
    ),
    "a series whose values are all empty": (
        {"macro": quotes(value="")}, "macro: the series VIX: every value is empty.",
    ),
    "quotes after the last bar": (
        {"macro": quotes("2025-01-02")}, "macro: the series VIX: the rows became known from 2025-01-02 to 2025-10-08",
    ),
    "releases of 1999": (
        {"macro": quotes("1999-01-04", series="DGS10")}, "macro: the series DGS10: the rows became known from 1999-01",
    ),
    "records after the last bar": (
        {"sentiment": records(timestamp=[f"{day}T15:00:00Z" for day in LATER])},
        "sentiment of ACME: the rows became known from 2025-01-03 to 2025-12-29, and the bars are of 2023-01-03",
    ),
    "filings after the last bar": (
        {"fundamentals": filings([1, 2], available_date=["2025-02-01", "2025-05-01"])},
        "fundamentals of ACME: the rows became known from 2025-02-01 to 2025-05-01",
    ),
    "options of another time": (
        {"options": figures(skew=0.1, date=LATER)}, "options of ACME: the rows became known from 2025",
    ),
    "events of the past alone": (
        {"events": pd.DataFrame({"name": ["FOMC"], "date": ["2019-06-14"], "announced": ["2018-12-01"]})},
        "events: FOMC: the rows became known from 2018-12-01 to 2019-06-14",
    ),
    "most records under another spelling": (
        {"sentiment": records(symbol=["ACME" if i % 20 == 0 else "ACME.US" for i in range(len(DAYS))])},
        "rows (95%) are under ACME.US, which nothing reads",
    ),
    "records in small letters": (
        {"sentiment": records(symbol="acme")}, "the table has no record of it; its regions are not known. Did you mean "
    ),
    "misspelt weights": (
        {"sentiment": records(confidance=0.1, docs=20, engagment=5)},
        "sentiment: the columns 'confidance' (did you mean 'confidence'?), 'docs', "
        "'engagment' (did you mean 'engagement'?) are not read",
    ),
    "further columns of prices": (
        {"prices": bars().assign(adj_close=1, dividends=0)},
        "prices: the columns 'adj_close', 'dividends' are not read",
    ),
}  # fmt: skip
UNITS: dict[str, tuple[dict[str, pd.DataFrame], str]] = {
    "implied volatility in percent": (
        {"options": figures(implied_volatility=32, implied_volatility_90=0.3)},
        "options of ACME: the median of implied_volatility is 32, 3200 % a year; the closes moved by 2",
    ),
    "probabilities as scores": (
        {"sentiment": records(score=np.random.default_rng(3).uniform(0.1, 0.9, len(DAYS)).round(3))},
        "sentiment of news: no score is below 0 and their mean is 0.5",
    ),
    "thousands, then units": (
        {"fundamentals": filings([100, 101, 102, 103, 104_000, 105_000, 106_000, 107_000])},
        "fundamentals of ACME: revenue of the period to 2022-03-31 is 1010 times that of the period before (103, then "
        "1.04e+05)",
    ),
    "a last quarter in millions": (
        {"fundamentals": filings([100e6, 102e6, 104e6, 106e6, 108])},
        "revenue of the period to 2022-03-31 is 1.019e-06",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*MEETS_NOTHING, *UNITS])
def test_it_is_said_once_and_in_bounded_text(name: str, warned: Warned) -> None:
    tables, words = (MEETS_NOTHING | UNITS)[name]
    said = warned(**tables)
    assert len(said) == 1, said
    assert words in said[0]
    assert len(said[0]) < 500


HONEST: dict[str, dict[str, pd.DataFrame]] = {
    "every table as it should be": {
        "sentiment": records(confidence=1.0), "macro": quotes(), "options": figures(implied_volatility=0.32, skew=0.05),
        "splits": pd.DataFrame({"symbol": ["ACME", "OTHER"], "date": ["2023-06-01"] * 2, "ratio": [2, 3]}),
        "events": pd.DataFrame({"name": ["FOMC"], "date": ["2024-06-14"], "announced": ["2023-12-01"]}),
        "competitive": pd.DataFrame(
            {"symbol": "ACME", "date": [DAYS[0]] * 2, "peer": ["ACME", "BOLT"], "share": [0.2, 0.3]}
        ),
    },
    "a month and a quarter from before the first bar": {
        "macro": pd.DataFrame(
            {"series": ["CPILFESL"], "date": ["2022-11-01"], "available_date": ["2022-12-13"], "value": ["300"]}
        ),
        "fundamentals": filings([1.0, 1.1, 1.2, 1.3, 1.4]),
    },
    "another class of the shares": {
        "sentiment": records(symbol=["ACME" if i % 2 else ("ACME.B", "ACMEX")[i % 4 // 2] for i in range(len(DAYS))])
    },
    "one stray record of another market": {
        "sentiment": records(symbol=["ACME.US" if i == 7 else "ACME" for i in range(len(DAYS))])
    },
    "an index without a name": {"prices": bars().reset_index(names="")},
    "a volatile share": {"options": figures(implied_volatility=np.linspace(0.5, 1.9, len(DAYS)))},
    "analysts who speak well": {
        "sentiment": records(source="analyst", score=np.linspace(0.2, 0.8, len(DAYS)).round(3))
    },
    "grades that are never bad": {
        "sentiment": records(score=np.random.default_rng(4).choice([0, 0.25, 0.5, 0.75, 1], len(DAYS)))
    },
    "good news with neutral ones": {"sentiment": records(score=np.linspace(0.0, 0.4, len(DAYS)).round(3))},
    "a few records": {"sentiment": records(score=np.linspace(0.2, 0.8, len(DAYS)).round(3)).iloc[:60]},
    "a licence paid once": {"fundamentals": filings([10e3, 11e3, 12e6, 11e3, 10e3, 12e3])},
    "sales that begin": {"fundamentals": filings([1e4, 8e4, 9e5, 2e7, 3e7, 5e7])},
    "growth by ten": {"fundamentals": filings([1e6, 1e7, 9e7, 1e8, 2e8, 3e8])},
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_tables_raise_no_word(name: str, warned: Warned) -> None:
    assert warned(**HONEST[name]) == []


def test_random_honest_scores_and_sales_raise_no_word(warned: Warned) -> None:
    """Sales that grow by a fifth a quarter at random, and scores of any mean whose spread reaches below 0."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        sales = (1e8 * np.exp(rng.normal(0, 0.2, 16).cumsum())).round().tolist()
        score = np.clip(rng.normal(rng.uniform(-0.5, 0.5), 0.3, len(DAYS)), -1, 1).round(3)
        said = warned(sentiment=records(score=score), fundamentals=filings(sales[:11]))
        assert [one for one in said if "probabilities" in one or "times that of" in one] == []


def test_the_commands_say_what_is_not_read(tmp_path: Path) -> None:
    config = configured(tmp_path, {"prices": bars().assign(adj_close=1)})
    text = '[inputs]\nprices = "prices.csv"\n[store]\npath = "images.zarr"\n'
    (tmp_path / "finnex.toml").write_text(f'symbols = ["ACME"]\n{text}')
    assert config.symbols == ("ACME",)
    result = CliRunner().invoke(app, ["info", "--config", str(tmp_path / "finnex.toml"), "--json"])
    assert result.exit_code == 0, result.output
    assert any("'adj_close' is not read" in one for one in json.loads(result.stdout)["warnings"])


def test_a_table_without_any_value_has_no_limits(tmp_path: Path) -> None:
    assert set(read_tables(configured(tmp_path, {"macro": quotes(value="")})).limits()) == {"prices"}


def test_three_thousand_symbols_are_compared_with_three_thousand_spellings_in_seconds() -> None:
    """All with all would be nine million comparisons a table."""
    symbols = [f"S{number}" for number in range(3000)]
    strange = pd.DataFrame({"symbol": [*symbols, *(f"{name}.US" for name in symbols)]})
    tables = Tables(pd.DataFrame({"symbol": symbols}), sentiment=strange, options=strange)
    began = time.perf_counter()
    said = matches_no_symbol(tables, SimpleNamespace(symbols=symbols, sectors=(), peers=("S0",)))  # type: ignore[arg-type]
    assert time.perf_counter() - began < 3
    assert len(said) == 2 * 3000
    assert said[7].startswith("sentiment of S7: 1 of 2 rows (50%) are under S7.US, which nothing reads.")
