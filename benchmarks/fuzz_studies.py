"""Two small whole studies whose files `benchmarks.mutations` alters: our tables, and other people's files by preset."""

from __future__ import annotations

import io
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.sample.synthetic import synthetic_fundamentals, synthetic_sentiment, with_text_timestamps

FIRST, LAST = "2014-06-02", "2015-04-10"
SYMBOLS = ("NVDA", "AAPL")
SESSIONS = ("2015-03-10", "2015-03-12")
"""Drawn by a build: few, since each case pays for them."""

OURS = """\
symbols = ["NVDA"]
start = {start}
end = {end}
exchange = "XNYS"
peers = ["AAPL"]

[inputs]
{inputs}
synthetic = ["sentiment", "fundamentals"]
lexicon = "vader"

[inputs.quote_delay_minutes]
VIX = 15
SPY = 0

[store]
path = "images.zarr"

[image]
layout = "layout.toml"
catalogue = "catalogue.csv"
blending = true

[labels]
kind = "price_movement"
horizon = 5

[training]
learning_rate = 1e-3
preset = "specification"

[augmentation]
color_jitter = [0.1, 0.1, 0.1, 0.05]

[dask]
workers = 0
"""
SPECIFICATION = """\
symbols = ["NVDA"]
start = {start}
end = {end}

[inputs]
{inputs}
preset = "specification"
timestamp_zone = "America/New_York"
lexicon = "vader"
enhanced_heatmaps = ["technical"]
columns = {{ sentiment = {{ score = "Polarity" }} }}

[store]
path = "images.zarr"

[image]
layout = "layout.toml"
"""


def _cut(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    days = frame[column].astype(str).str[:10]
    return frame[(days >= FIRST) & (days <= LAST)].reset_index(drop=True)


def _ours() -> dict[str, pd.DataFrame]:
    """Return every table of the format in `ARCHITECTURE.md`, cut to ten months and two companies."""
    rng = np.random.default_rng(0)
    bundled = resources.files("finnex.sample")
    real = {name: bundled.joinpath(f"{name}.csv.gz").read_bytes() for name in ("prices", "macro")}
    prices, macro = (_cut(pd.read_csv(io.BytesIO(data), compression="gzip"), "date") for data in real.values())
    prices = prices[prices["symbol"].isin(SYMBOLS)].reset_index(drop=True)
    own = prices[prices["symbol"] == "NVDA"].reset_index(drop=True)
    macro = macro[macro["series"].isin(["VIX", "SPY", "XLK", "DGS10", "CPILFESL", "WTI"])].reset_index(drop=True)
    dated = own.assign(date=pd.to_datetime(own["date"]))
    fundamentals = synthetic_fundamentals(dated)
    sentiment = with_text_timestamps(synthetic_sentiment(dated)).iloc[::9].reset_index(drop=True)
    sentiment["score"] = sentiment["score"].astype(str)
    sentiment["text"] = "a record good news"
    sentiment.loc[::5, "score"] = ""
    return {
        "prices": prices,
        "macro": macro,
        "fundamentals": fundamentals,
        "sentiment": sentiment,
        "competitive": pd.DataFrame(
            {"symbol": "NVDA", "date": own["date"][::20], "peer": "AAPL", "pe_ratio": 14.5, "revenue_growth": 0.1}
        ),
        "events": _cut(pd.read_csv(io.StringIO(bundled.joinpath("events.csv").read_text())), "date"),
        "options": pd.DataFrame(
            {
                "symbol": "NVDA",
                "date": own["date"],
                "implied_volatility": rng.uniform(0.2, 0.5, len(own)),
                "put_call": rng.uniform(0.5, 1.5, len(own)),
            }
        ),
        "splits": pd.DataFrame({"symbol": ["AAPL"], "date": ["2014-06-09"], "ratio": [7.0]}),
        "enhanced": pd.DataFrame({"symbol": "NVDA", "date": own["date"], "rsi_14": rng.uniform(20, 80, len(own))}),
    }


def _specification(ours: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return an enhanced, a sentiment and a competitive file as the specification's author has them."""
    own = ours["prices"][ours["prices"]["symbol"] == "NVDA"].reset_index(drop=True)
    bars = own.drop(columns="symbol").rename(columns=str.title)
    n = 120
    stamps = pd.date_range("2014-12-01 09:00", periods=n, freq="17h").strftime("%Y-%m-%d %H:%M:%S")
    return {
        "enhanced": bars.assign(Company="NVIDIA", rsi_14=55.25, **{"My Factor": np.linspace(0, 1, len(own))}),
        "sentiment": pd.DataFrame(
            {
                "timestamp": stamps,
                "platform": np.where(np.arange(n) % 2, "Reddit", "Seeking Alpha"),
                "source": "r/stocks",
                "Polarity": np.where(np.arange(n) % 3, "0.25", ""),
                "confidence": 0.9,
                "text": "great chips, awful price",
            }
        ),
        "competitive": pd.DataFrame(
            {"Symbol": ["TSLA", "F"], "Company Name": ["Tesla", "Ford"], "market_cap": [8e11, 4e10], "pe": [70.1, 9.0]}
        ),
    }


def write_studies(folder: Path) -> dict[str, Path]:
    """Write both studies, one folder each; `tables` below it holds every table as CSV, to be altered and packed.

    Returns
    -------
    dict of str to Path
        Name of the study to its folder.
    """
    ours = _ours()
    bundled = resources.files("finnex.layout")
    studies = {"ours": (ours, OURS), "specification": (_specification(ours), SPECIFICATION)}
    found = {}
    for name, (tables, text) in studies.items():
        place = folder / name
        place.mkdir(parents=True)
        lines = []
        for table, frame in tables.items():
            file = (
                f"{table}_20150410_093000.csv" if (name, table) == ("specification", "competitive") else f"{table}.csv"
            )
            frame.to_csv(place / file, index=False, lineterminator="\n", date_format="%Y-%m-%d")
            lines.append(f'{table} = "{file}"')
        config = text.format(start=SESSIONS[0], end=SESSIONS[1], inputs="\n".join(lines))
        (place / "finnex.toml").write_text(config, encoding="utf-8")
        for file in ("mega.toml", "catalogue.csv"):
            target = place / ("layout.toml" if file == "mega.toml" else file)
            target.write_text((bundled / file).read_text(encoding="utf-8"), encoding="utf-8")
        found[name] = place
    return found
