"""How many images of a history are drawn again when its prices are downloaded on another day.

    python -m benchmarks.rolling_downloads [--sessions 2500] [--seed 0]

Makes an adjusted history of a symbol, three peers and five sector funds: bars in cents, a dividend a quarter, and
every bar before one multiplied by what is left of the price. It is then "downloaded" again, and the input hashes of
both are compared: a session whose hash differs is one that a build draws again. Nothing is drawn: it takes seconds.

Sessions are counted in two parts. Those of the first `MEMORY` sessions look back on the beginning of the file, and
have less to look back on where it begins later; the others must not know where it begins. Of these it is counted too
how many have values of their own that differ: each is shown by 56 images.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import Config, parse_config
from finnex.data.calendar import session_calendar
from finnex.data.panel import make_panel
from finnex.data.tables import Tables
from finnex.images.blending import region_weights
from finnex.layout import Layout, load_layout
from finnex.pipeline import window_hashes

SYMBOL, PEERS, SECTORS = "ACME", ("BOLT", "CARP", "DUNE"), ("XLB", "XLE", "XLF", "XLK", "XLU")
FIRST = "2012-01-03"
QUARTER, DIVIDEND = 63, 0.005
MEMORY = QUARTER + 504 + 504 + 56
"""Sessions: levels of a quarter know its first bar, a feature forgets, its normaliser does, and a window shows 56."""
PRICES = ["open", "high", "low", "close"]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def history(sessions: int, seed: int) -> pd.DataFrame:
    """Return adjusted bars of all symbols, `sessions` rows each, sorted by symbol and date."""
    days = session_calendar("XNYS", pd.Timestamp(FIRST).date(), pd.Timestamp("2025-12-31").date()).days[:sessions]
    if len(days) < sessions:
        raise ValueError(f"the calendar has {len(days)} sessions, not {sessions}. Ask for fewer.")
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0003, 0.008, sessions)
    tables = []
    for name in sorted((SYMBOL, *PEERS, *SECTORS)):
        own = 0.004 if name in SECTORS else 0.014
        close = rng.uniform(20, 200) * np.exp(np.cumsum(market + rng.normal(0, own, sessions)))
        opened = np.concatenate([close[:1], close[:-1]]) * np.exp(rng.normal(0, own / 2, sessions))
        opened = np.where(rng.random(sessions) < 0.03, np.concatenate([close[:1], close[:-1]]), opened)
        above, below = np.abs(rng.normal(0, own / 2, (2, sessions))) * (rng.random((2, sessions)) > 0.05)
        high, low = np.maximum(opened, close) * np.exp(above), np.minimum(opened, close) * np.exp(-below)
        cents = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close}).round(2)
        left = np.where((np.arange(sessions) + 1) % QUARTER == 0, 1 - DIVIDEND, 1.0)  # of the bars before a dividend
        factor = np.concatenate([np.cumprod(left[::-1])[::-1][1:], [1.0]])
        bars = cents.mul(factor, axis=0)
        volume = np.round(1e6 * np.exp(rng.normal(0, 0.5, sessions)))
        tables.append(bars.assign(symbol=name, date=days.astype("datetime64[ns]"), volume=volume))
    return pd.concat(tables, ignore_index=True)[["symbol", "date", *PRICES, "volume"]]


def filings(prices: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return quarterly figures of the companies, so that market value enters too."""
    days = np.unique(prices["date"])
    ends = pd.date_range(days[0], days[-1], freq="QE")
    rng, tables = np.random.default_rng([seed, 1]), []
    for name in (SYMBOL, *PEERS):
        sales = 1e9 * np.exp(np.cumsum(rng.normal(0.02, 0.05, len(ends))))
        tables.append(
            pd.DataFrame(
                {
                    "symbol": name,
                    "period_end": ends,
                    "available": ends + pd.Timedelta(days=35),
                    "available_is_date": True,
                    "origin": "sec",
                    "revenue": sales,
                    "net_income": sales * rng.normal(0.1, 0.02, len(ends)),
                    "shares_outstanding": np.round(1e8 * np.exp(np.cumsum(rng.normal(0, 0.005, len(ends))))),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def configuration(folder: Path, prices: pd.DataFrame) -> Config:
    """Return a configuration of the symbol, its peers and sectors, with the prices as a file."""
    prices.to_csv(folder / "prices.csv", index=False)
    settings = {
        "inputs": {"prices": "prices.csv"}, "symbols": [SYMBOL], "peers": list(PEERS), "sectors": list(SECTORS),
        "store": {"path": "images.zarr"},
    }  # fmt: skip
    return parse_config(settings, folder / "finnex.toml")


def input_hashes(prices: pd.DataFrame, fundamentals: pd.DataFrame, config: Config, layout: Layout) -> pd.DataFrame:
    """Return by session `window`, the input hash of the symbol's image, and `own`, the digest of its own values."""
    panel = make_panel(Tables(prices=prices, fundamentals=fundamentals), config, SYMBOL, layout.catalogue.entries)
    hashes = window_hashes(panel, layout, region_weights(panel, layout))
    own = [digest.tobytes().hex() for digest in panel.row_digests()]
    return pd.DataFrame({"window": hashes, "own": own}, index=panel.calendar.days)


def _later(prices: pd.DataFrame) -> pd.DataFrame:
    return prices[prices["date"] > prices["date"].min()].reset_index(drop=True)


def _with_prices(prices: pd.DataFrame, values: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Return other prices; high and low still the largest and the smallest of a bar."""
    other = prices.copy()
    other[PRICES] = values
    four = other[PRICES]
    return other.assign(high=four.max(axis=1), low=four.min(axis=1))


def _noise(size: float) -> Change:
    def change(prices: pd.DataFrame) -> pd.DataFrame:
        values = prices[PRICES].to_numpy()
        return _with_prices(prices, values * (1 + size * np.random.default_rng(7).uniform(-1, 1, values.shape)))

    return change


def _single(prices: pd.DataFrame) -> pd.DataFrame:
    return _with_prices(prices, prices[PRICES].to_numpy().astype(np.float32).astype(np.float64))


def _scaled(price: float, volume: float = 1.0, back: int = 1) -> Change:
    """Return a change that multiplies the symbol's bars of all but its last `back` sessions."""

    def change(prices: pd.DataFrame) -> pd.DataFrame:
        days = np.unique(prices["date"])
        rows = ((prices["symbol"] == SYMBOL) & (prices["date"] < days[len(days) - back])).to_numpy()
        other = prices.copy()
        other.loc[rows, PRICES] *= price
        other.loc[rows, "volume"] *= volume
        return other

    return change


DOWNLOADS: dict[str, Change] = {
    "the same rows": lambda prices: prices.copy(),
    "begins a day later": _later,
    "split 4:1 on the last session": _scaled(1 / 4, 4),
    "split 3:1 on the last session": _scaled(1 / 3, 3),
    "dividend of 0.5 % on the last session": _scaled(1 - DIVIDEND),
    "dividend of 0.5 % 250 sessions ago": _scaled(1 - DIVIDEND, back=250),
    "noise of 1e-12": _noise(1e-12),
    "noise of 1e-10": _noise(1e-10),
    "noise of 1e-9": _noise(1e-9),
    "noise of 1e-8": _noise(1e-8),
    "noise of 1e-7": _noise(1e-7),
    "rounded to float32": _single,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    layout = load_layout("mega")
    prices = history(chosen.sessions, chosen.seed)
    fundamentals = filings(prices, chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(Path(folder), prices)
    before = input_hashes(prices, fundamentals, config, layout)
    mature = before.index[MEMORY:]
    print(f"| download | drawn again, of the first {MEMORY} | of the {len(mature)} after them | values of their own |")
    print("|---|---|---|---|")
    for name, change in DOWNLOADS.items():
        after = input_hashes(change(prices), fundamentals, config, layout)
        common = before.index[layout.lookback :].intersection(after.index)
        changed = before.loc[common] != after.loc[common]
        old = changed[common.isin(mature)].sum()
        first = int(changed["window"].sum() - old["window"])
        print(f"| {name} | {first} | {old['window']} | {old['own']} |", flush=True)


if __name__ == "__main__":
    main()
