"""Bars written as vendors and people write them, at random, with the configuration that names the file."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finnex.data.calendar import session_calendar

FIELDS = ("open", "high", "low", "close", "volume")
SYMBOLS = ("ACME", "BRK.B", "XYZ")


@dataclass
class Written:
    """One file, or a folder of them.

    Attributes
    ----------
    shape
        Who writes such files.
    files
        Name, relative to the configuration, to bytes.
    source
        What `[inputs] prices` says.
    bars
        What must be read: symbol, date, open, high, low, close, volume.
    volume_error
        Relative rounding of volumes in the file.
    price_error
        Relative rounding of prices.
    """

    shape: str
    files: dict[str, bytes]
    source: dict[str, Any]
    bars: pd.DataFrame
    volume_error: float = 1e-9
    price_error: float = 1e-9


def random_bars(rng: random.Random, symbols: tuple[str, ...]) -> pd.DataFrame:
    """Return bars of some symbols on successive sessions, rounded as they are traded; prices from 2 to 2,000."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    first = pd.Timestamp("2019-01-01") + pd.Timedelta(days=rng.randint(0, 900))
    days = session_calendar("XNYS", first.date(), (first + pd.Timedelta(days=rng.randint(60, 240))).date()).days
    frames = []
    for symbol in symbols:
        close = np.exp(numbers.normal(0, 0.02, len(days)).cumsum()) * numbers.uniform(5, 1000)
        opened = close * np.exp(numbers.normal(0, 0.01, len(days)))
        bars = pd.DataFrame({"symbol": symbol, "date": days.astype("datetime64[ns]"), "open": opened})
        bars["high"] = np.maximum(opened, close) * 1.01 + 0.01
        bars["low"] = np.minimum(opened, close) * 0.99
        bars["close"], bars["volume"] = close, numbers.integers(1_000, 30_000_000, len(days)).astype(float)
        bars[list(FIELDS[:4])] = bars[list(FIELDS[:4])].round(rng.choice((2, 2, 4)))
        frames.append(bars)
    return pd.concat(frames, ignore_index=True)


def _some(rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.sample(SYMBOLS, rng.randint(1, len(SYMBOLS))))


def _ordered(rng: random.Random, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the rows oldest first, newest first, or shuffled."""
    kind = rng.randint(0, 2)
    if kind == 2:
        return bars.sample(frac=1, random_state=rng.getrandbits(31))
    return bars.iloc[::-1] if kind else bars


def _number(decimal: str, thousands: str) -> Callable[[float], str]:
    def text(value: float) -> str:
        plain = f"{value:,.4f}".rstrip("0").rstrip(".")
        return plain.replace(",", "\0").replace(".", decimal).replace("\0", thousands)

    return text


def plain(rng: random.Random) -> Written:
    """Our own names in any case and order, another delimiter, decimal sign, encoding, rows before the header."""
    bars = random_bars(rng, _some(rng))
    delimiter = rng.choice((",", ";", "\t", "|"))
    decimal, thousands = (",", rng.choice(("", "."))) if delimiter != "," and rng.random() < 0.5 else (".", "")
    columns = ["symbol", "date", *FIELDS]
    rng.shuffle(columns)
    case = rng.choice((str.lower, str.upper, str.title))
    number, day = _number(decimal, thousands), rng.choice(("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%d 00:00:00"))
    text = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=rng.choice(("\n", "\r\n")))
    for _ in range(rng.choice((0, 0, 1, 2))):
        words = rng.choice((["Downloaded on Monday"], ["Currency", "USD"]))
        writer.writerow(words + [""] * (rng.choice((0, len(columns))) - len(words)))
    writer.writerow([case(column) for column in columns])
    for row in _ordered(rng, bars).to_dict("records"):
        cells = {"symbol": row["symbol"], "date": row["date"].strftime(day)} | {f: number(row[f]) for f in FIELDS}
        writer.writerow([cells[column] for column in columns])
    encoding = rng.choice(("utf-8", "utf-8-sig", "utf-16", "cp1252"))
    return _packed(rng, Written("plain", {"bars.csv": text.getvalue().encode(encoding)}, {}, bars))


def parquet(rng: random.Random) -> Written:
    """Parquet from pandas: the date as a column or the index, as a day, a moment or text; numbers of any width."""
    bars = random_bars(rng, _some(rng))
    frame = _ordered(rng, bars).copy()
    kind = rng.choice(("moment", "day", "text", "zoned"))
    if kind == "day":
        frame["date"] = frame["date"].dt.date
    elif kind == "text":
        frame["date"] = frame["date"].dt.strftime("%Y-%m-%d")
    elif kind == "zoned":
        frame["date"] = frame["date"].dt.tz_localize("America/New_York")
    if rng.random() < 0.5:
        frame["volume"] = frame["volume"].astype("int64")
    if rng.random() < 0.3:
        frame["symbol"] = frame["symbol"].astype("category")
    name = f"bars{rng.choice(('.parquet', '.pq', '.PARQUET'))}"
    out = io.BytesIO()
    if rng.random() < 0.5:
        frame = frame.set_index("date")
    frame.to_parquet(out, index=True)
    return Written("parquet", {name: out.getvalue()}, {"path": name}, bars)


def yfinance_history(rng: random.Random) -> Written:
    """`Ticker.history()`: midnights of New York, dividends and splits, no symbol."""
    bars = random_bars(rng, ("ACME",))
    frame = _capitals(bars)
    frame["Date"] = bars["date"].dt.tz_localize("America/New_York").map(str)
    frame["Volume"] = bars["volume"].astype("int64")
    frame["Dividends"], frame["Stock Splits"] = 0.0, 0.0
    return _csv(rng, "yfinance history", frame, {"preset": "yfinance", "symbol": "ACME"}, bars)


def yfinance_download(rng: random.Random) -> Written:
    """`download()` of one or several tickers: a header of three rows, the levels in either order."""
    symbols = _some(rng)
    bars = random_bars(rng, symbols)
    wide = bars.rename(columns={"date": "Date"}).pivot_table(index="Date", columns="symbol", values=list(FIELDS))
    wide.columns = wide.columns.set_levels(wide.columns.levels[0].str.title(), level=0)
    wide.columns.names = ["Price", "Ticker"]
    if rng.random() < 0.5:
        wide = wide.swaplevel(axis="columns").sort_index(axis="columns")
    return _packed(
        rng, Written("yfinance download", {"bars.csv": wide.to_csv().encode()}, {"preset": "yfinance"}, bars)
    )


def yahoo(rng: random.Random) -> Written:
    """Yahoo's download: Adj Close, and `null` on days without a trade."""
    bars = random_bars(rng, ("ACME",))
    frame = _capitals(bars)
    frame.insert(5, "Adj Close", (bars["close"] * 0.9).round(6))
    if rng.random() < 0.5:
        frame = pd.concat([frame, pd.DataFrame([{"Date": "2023-12-29"}])]).astype(object).fillna("null")
    return _csv(rng, "yahoo", frame, {"preset": "yahoo", "symbol": "ACME"}, bars)


def nasdaq(rng: random.Random) -> Written:
    """Dollar signs, American dates, newest first."""
    bars = random_bars(rng, ("ACME",))
    money = {ours: bars[ours].map(lambda value: f"${value:.4f}".rstrip("0").rstrip(".")) for ours in FIELDS[:4]}
    frame = pd.DataFrame({"Date": bars["date"].dt.strftime("%m/%d/%Y"), "Close/Last": money["close"]})
    frame["Volume"] = bars["volume"].map(lambda value: f"{value:,.0f}" if rng.random() < 0.2 else f"{value:.0f}")
    frame = frame.assign(Open=money["open"], High=money["high"], Low=money["low"]).iloc[::-1]
    return _csv(rng, "nasdaq", frame, {"preset": "nasdaq", "symbol": "ACME"}, bars)


def investing(rng: random.Random) -> Written:
    """Volumes in thousands and millions, quoted groups of digits, American dates."""
    bars = random_bars(rng, ("ACME",))
    bars[list(FIELDS[:4])] = bars[list(FIELDS[:4])].round(2)
    money = {ours: bars[ours].map(lambda value: f"{value:,.2f}") for ours in FIELDS[:4]}
    frame = pd.DataFrame({"Date": bars["date"].dt.strftime("%m/%d/%Y"), "Price": money["close"], "Open": money["open"]})
    frame = frame.assign(High=money["high"], Low=money["low"])
    volume = bars["volume"].map(lambda value: f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.2f}K")
    frame = frame.assign(**{"Vol.": volume, "Change %": "0.10%"}).iloc[::-1]
    written = _csv(rng, "investing", frame, {"preset": "investing", "symbol": "ACME"}, bars, quoting=csv.QUOTE_ALL)
    written.volume_error = 0.006
    return written


def stooq(rng: random.Random) -> Written:
    """Bulk files: names in angle brackets, dates without signs, a market's ending."""
    bars = random_bars(rng, _some(rng))
    frame = pd.DataFrame(
        {"<TICKER>": bars["symbol"] + ".US", "<PER>": "D", "<DATE>": bars["date"].dt.strftime("%Y%m%d")}
    )
    frame = frame.assign(**{"<TIME>": "000000", "<OPEN>": bars["open"], "<HIGH>": bars["high"], "<LOW>": bars["low"]})
    frame = frame.assign(**{"<CLOSE>": bars["close"], "<VOL>": bars["volume"], "<OPENINT>": 0})
    return _csv(rng, "stooq", frame, {"preset": "stooq"}, bars)


def alpha_vantage(rng: random.Random) -> Written:
    """Raw bars with a split, newest first."""
    bars = random_bars(rng, ("ACME",))
    ratio, at = rng.choice((2.0, 4.0, 0.5)), rng.randint(5, len(bars) - 5)
    factor = np.where(np.arange(len(bars)) < at, ratio, 1.0)
    raw = bars.copy()
    raw[list(FIELDS[:4])] = raw[list(FIELDS[:4])].mul(factor, axis=0).round(6)
    raw["volume"] = raw["volume"] / factor
    frame = raw.drop(columns="symbol").rename(columns={"date": "timestamp"})
    frame["timestamp"] = frame["timestamp"].dt.strftime("%Y-%m-%d")
    frame.insert(5, "adjusted_close", bars["close"])
    frame["dividend_amount"], frame["split_coefficient"] = 0.0, np.where(np.arange(len(bars)) == at, ratio, 1.0)
    written = _csv(rng, "alpha vantage", frame.iloc[::-1], {"preset": "alpha_vantage", "symbol": "ACME"}, bars)
    written.price_error = 1e-6
    return written


def folder(rng: random.Random) -> Written:
    """Write a folder with a file for each symbol, which the file's name says, or that of the folder above it."""
    bars = random_bars(rng, _some(rng))
    name = rng.choice(("{}", "symbol={}/part-0", "Ticker={}/year=2020/part-0"))
    files = {}
    for symbol, own in bars.groupby("symbol"):
        rows = _ordered(rng, own.drop(columns="symbol"))
        files[f"bars/{name.format(symbol)}.csv"] = rows.to_csv(index=False, date_format="%Y-%m-%d").encode()
    files["bars/README.md"] = b"Not a table."
    return Written("folder", files, {"path": "bars"}, bars)


SHAPES = (
    plain, plain, parquet, yfinance_history, yfinance_download, yahoo, nasdaq, investing, stooq, alpha_vantage, folder,
)  # fmt: skip
"""What a case is drawn from: our own names twice."""


def _capitals(bars: pd.DataFrame) -> pd.DataFrame:
    frame = bars.drop(columns="symbol").rename(columns=str.title)
    frame["Date"] = bars["date"].dt.strftime("%Y-%m-%d")
    return frame


def _csv(
    rng: random.Random, shape: str, frame: pd.DataFrame, source: dict[str, Any], bars: pd.DataFrame, **how: Any
) -> Written:
    text = frame.to_csv(index=False, lineterminator=rng.choice(("\n", "\r\n")), **how)
    return _packed(rng, Written(shape, {"bars.csv": text.encode()}, source, bars))


def _packed(rng: random.Random, written: Written) -> Written:
    """Return the one file plain or compressed, under a name that says so."""
    [(name, content)] = written.files.items()
    kind = rng.choice(("", "", "", ".gz", ".bz2", ".xz", ".zip"))
    if kind == ".zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        packed = out.getvalue()
    else:
        pack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
        packed = pack[kind](content) if kind else content
    name = f"{name}{kind}" if kind != ".zip" else "bars.zip"
    written.files, written.source = {name: packed}, {"path": name, **written.source}
    return written


def place(written: Written, root: Path) -> None:
    """Write the files below a folder."""
    for name, content in written.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
