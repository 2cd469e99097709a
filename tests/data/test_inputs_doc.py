"""docs/inputs.md promises what happens to each kind of wrong or missing input; every row of its table is made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import parse_config
from finnex.errors import FinnexError
from finnex.layout import load_layout
from finnex.pipeline import BuildResult, build
from finnex.store import NO_BAR, ImageStore

DOC = Path(__file__).parents[2] / "docs" / "inputs.md"
Frames = dict[str, pd.DataFrame]


def promised() -> dict[str, tuple[str, str]]:
    """Case to (answer, words of the message), from the table of the page."""
    rows = [
        line.strip("| \n").split("|") for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 3 or len(row) == 2]
    return {row[0]: (row[1], row[2] if len(row) == 3 else "") for row in cells if row[0] != "case"}


@pytest.fixture(scope="module")
def base(sample_inputs: dict[str, Path]) -> Frames:
    """Small tables, every cell as text."""
    frames = {name: pd.read_csv(path, dtype=str, keep_default_na=False) for name, path in sample_inputs.items()}
    prices = frames["prices"]
    frames["prices"] = prices[
        prices["symbol"].isin(["NVDA", "META"]) & (prices["date"] >= "2014-01-01") & (prices["date"] <= "2015-04-30")
    ]
    macro = frames["macro"]
    frames["macro"] = macro[
        macro["series"].isin(["VIX", "DGS10", "CPILFESL", "XLK", "XLF"])
        & (macro["date"] >= "2014-01-01")
        & (macro["date"] <= "2015-04-30")
    ]
    sentiment = frames["sentiment"]
    frames["sentiment"] = sentiment[
        (sentiment["symbol"] == "NVDA") & (sentiment["timestamp"] < "2015-05-01") & (sentiment["timestamp"] > "2014-06")
    ]
    fundamentals = frames["fundamentals"]
    frames["fundamentals"] = fundamentals[fundamentals["symbol"] == "NVDA"]
    return {name: frame.reset_index(drop=True) for name, frame in frames.items()}


@dataclass
class Case:
    """Tables to be spoilt, and configuration keys to be changed."""

    frames: Frames
    folder: Path
    changes: dict[str, object] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    written: dict[str, Callable[[pd.DataFrame, Path], object]] = field(default_factory=dict)
    """Table to what writes it in a form of its own, and returns the value of its key."""

    def cell(self, table: str, row: int, column: str, value: str) -> None:
        self.frames[table].loc[row, column] = value

    def bar(self, day: str) -> int:
        prices = self.frames["prices"]
        return int(prices.index[(prices["symbol"] == "NVDA") & (prices["date"] == day)][0])

    def build(self) -> BuildResult:
        paths: dict[str, object] = {}
        for name, frame in self.frames.items():
            path = self.folder / f"{name}.csv"
            if name in self.written:
                paths[name] = self.written[name](frame, path)
                continue
            if name not in self.absent:
                frame.to_csv(path, index=False)
            paths[name] = str(path)
        document: dict[str, object] = {
            "inputs": paths, "symbols": ["NVDA"], "start": date(2015, 3, 2), "end": date(2015, 3, 4),
            "store": {"path": str(self.folder / "images.zarr")},
        }  # fmt: skip
        return build(parse_config(document | self.changes, self.folder / "finnex.toml"))

    def store(self) -> ImageStore:
        return ImageStore.open(self.folder / "images.zarr")


def drop_column(case: Case) -> None:
    case.frames["prices"] = case.frames["prices"].drop(columns="close")


def no_rows(case: Case) -> None:
    case.frames["macro"] = case.frames["macro"].iloc[:0]


def text_column(case: Case) -> None:
    case.frames["fundamentals"]["revenue"] = "good"


def twice(table: str) -> Callable[[Case], None]:
    def spoil(case: Case) -> None:
        frame = case.frames[table]
        case.frames[table] = pd.concat([frame, frame.iloc[[5]]], ignore_index=True)

    return spoil


def cell(table: str, row: int, column: str, value: str) -> Callable[[Case], None]:
    return lambda case: case.cell(table, row, column, value)


def unsplit(case: Case) -> None:
    prices = case.frames["prices"]
    early = (prices["symbol"] == "NVDA") & (prices["date"] < "2014-09-02")
    for column in ("open", "high", "low", "close"):
        prices.loc[early, column] = (prices.loc[early, column].astype(float) * 2).astype(str)


def hole(case: Case) -> None:
    case.frames["prices"] = case.frames["prices"].drop(index=case.bar("2015-03-03")).reset_index(drop=True)


def sunday(case: Case) -> None:
    row = case.frames["prices"].loc[[case.bar("2015-02-27")]].assign(date="2015-03-01")
    case.frames["prices"] = pd.concat([case.frames["prices"], row], ignore_index=True)


def without_sentiment(case: Case) -> None:
    del case.frames["sentiment"]


def without_vix(case: Case) -> None:
    macro = case.frames["macro"]
    case.frames["macro"] = macro[macro["series"] != "VIX"]


def after_a_half_day(case: Case) -> None:
    row = case.frames["sentiment"].iloc[[0]].assign(timestamp="2014-11-28T19:00:00Z", score="1.0", source="analyst")
    rest = case.frames["sentiment"]
    case.frames["sentiment"] = pd.concat([rest[rest["source"] != "analyst"], row], ignore_index=True)


def more_filings(**values: list[str]) -> Callable[[Case], None]:
    def spoil(case: Case) -> None:
        frame = case.frames["fundamentals"]
        quarter = frame[frame["period_end"] == frame["period_end"].iloc[11]].iloc[[0] * len(values["available_date"])]
        case.frames["fundamentals"] = pd.concat([frame, quarter.assign(**values)], ignore_index=True)

    return spoil


def in_durations(start: str) -> Callable[[Case], None]:
    def spoil(case: Case) -> None:
        frame = case.frames["fundamentals"]
        end = pd.to_datetime(frame["period_end"])
        frame["period_start"] = (end + pd.Timedelta(days=1) - pd.DateOffset(months=3)).dt.strftime("%Y-%m-%d")
        frame.loc[3, "period_start"] = start

    return spoil


def year_in_the_fourth(case: Case) -> None:
    frame = case.frames["fundamentals"]
    revenue = frame["revenue"].astype(float)
    annual = pd.to_datetime(frame["period_end"]).dt.month >= 12
    frame.loc[annual, "revenue"] = revenue.rolling(4, min_periods=4).sum()[annual].map("{:.0f}".format)


def half_years_alone(case: Case) -> None:
    case.frames["fundamentals"] = case.frames["fundamentals"].iloc[::2].reset_index(drop=True)


def delisted(case: Case) -> None:
    prices = case.frames["prices"]
    case.frames["prices"] = prices[(prices["symbol"] != "NVDA") | (prices["date"] <= "2015-03-10")].reset_index(
        drop=True
    )


def nothing(case: Case) -> None:
    del case


def smaller_split(case: Case) -> None:
    prices = case.frames["prices"]
    early = (prices["symbol"] == "NVDA") & (prices["date"] < "2014-09-02")
    for column in ("open", "high", "low", "close"):
        prices.loc[early, column] = (prices.loc[early, column].astype(float) * 1.5).astype(str)


def other_shares(case: Case) -> None:
    frame = case.frames["fundamentals"]
    filed = frame.index[frame["available_date"] < "2015-03-01"][-1]
    frame.loc[filed, "shares_outstanding"] = str(float(frame.loc[filed, "shares_outstanding"]) * 3.3)
    case.frames["splits"] = pd.DataFrame({"symbol": ["NVDA"], "date": ["2015-04-01"], "ratio": ["2"]})


def zero_split(case: Case) -> None:
    case.frames["splits"] = pd.DataFrame({"symbol": ["NVDA"], "date": ["2015-04-01"], "ratio": ["0"]})


def layout_with(before: str, after: str) -> Callable[[Case], None]:
    def spoil(case: Case) -> None:
        text = load_layout("mega").text
        assert before in text
        (case.folder / "mine.toml").write_text(text.replace(before, after, 1))
        case.changes["image"] = {"layout": str(case.folder / "mine.toml")}

    return spoil


def unplaced_feature(case: Case) -> None:
    text = load_layout("mega").catalogue.text
    line = next(line for line in text.splitlines() if line.startswith("rsi_14,"))
    (case.folder / "mine.csv").write_text(
        text + line.replace("rsi_14", "rsi_new").replace(",technical,", ",nowhere,") + "\n"
    )
    case.changes["image"] = {"catalogue": str(case.folder / "mine.csv")}


def other_spelling(case: Case) -> None:
    case.frames["sentiment"].loc[case.frames["sentiment"].index % 2 == 0, "symbol"] = "NVDA.US"


def probabilities(case: Case) -> None:
    frame = case.frames["sentiment"]
    case.frames["sentiment"] = frame.assign(
        source="news", provider="wire", score=np.linspace(0.1, 0.9, len(frame)).round(3).astype(str)
    )


def empty_vix(case: Case) -> None:
    case.frames["macro"].loc[case.frames["macro"]["series"] == "VIX", "value"] = ""


def in_two_units(case: Case) -> None:
    frame = case.frames["fundamentals"]
    early = frame["period_end"] < "2013-06-30"
    frame.loc[early, "revenue"] = (frame.loc[early, "revenue"].astype(float) / 1e6).astype(str)


def more_table(name: str, **columns: list[str]) -> Callable[[Case], None]:
    return lambda case: case.frames.update({name: pd.DataFrame(columns)})


def four(row: int, *values: str) -> Callable[[Case], None]:
    """Return what sets open, high, low and close of a bar."""

    def spoil(case: Case) -> None:
        for column, value in zip(("open", "high", "low", "close"), values, strict=True):
            case.cell("prices", row, column, value)

    return spoil


def in_pence(case: Case) -> None:
    prices = case.frames["prices"]
    early = (prices["symbol"] == "NVDA") & (prices["date"] < "2014-09-02")
    for column in ("open", "high", "low", "close"):
        prices.loc[early, column] = (prices.loc[early, column].astype(float) * 100).astype(str)


def as_bytes(table: str, data: Callable[[pd.DataFrame], bytes]) -> Callable[[Case], None]:
    """Return what writes a table as other bytes."""

    def write(frame: pd.DataFrame, path: Path) -> str:
        path.write_bytes(data(frame))
        return str(path)

    return lambda case: case.written.update({table: write})


def in_two_files(case: Case) -> None:
    def write(frame: pd.DataFrame, path: Path) -> list[str]:
        other = path.with_name("more.csv")
        frame.to_csv(path, index=False)
        frame.iloc[5:7].to_csv(other, index=False)
        return [str(path), str(other)]

    case.written["prices"] = write


def with_semicolons(frame: pd.DataFrame) -> bytes:
    return frame.map(lambda cell: cell.replace(".", ",")).to_csv(index=False, sep=";").encode()


def in_milliseconds(frame: pd.DataFrame) -> bytes:
    days = (pd.to_datetime(frame["date"]).astype("datetime64[ms]").astype("int64")).astype(str)
    return frame.assign(date=days).to_csv(index=False).encode()


def _is_monday(prices: pd.DataFrame) -> pd.Series[bool]:
    return pd.to_datetime(prices["date"]).dt.day_of_week == 0


def hourly(prices: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([prices.assign(date=prices["date"] + f" {hour}:30:00") for hour in (10, 11)], ignore_index=True)


def without_company(case: Case) -> None:
    rows = case.frames["sentiment"]
    case.frames["sentiment"] = pd.concat([rows, rows.iloc[[3]].assign(symbol="", score="many")], ignore_index=True)


SPOIL: dict[str, Callable[[Case], None]] = {
    "missing file": lambda case: setattr(case, "absent", ("macro",)),
    "missing column": drop_column,
    "no rows": no_rows,
    "a column of text": text_column,
    "infinity": cell("prices", 7, "open", "inf"),
    "empty price cell": cell("prices", 7, "close", ""),
    "negative price": cell("prices", 7, "low", "-3"),
    "high below low": cell("prices", 7, "high", "0.001"),
    "rounding between the four prices": four(7, "10.00", "10.49", "10.01", "10.50"),
    "a bar without prices": four(7, "", "", "", ""),
    "weekly bars": lambda case: case.frames.update(prices=case.frames["prices"][_is_monday(case.frames["prices"])]),
    "bars of hours": lambda case: case.frames.update(prices=hourly(case.frames["prices"])),
    "pence among pounds": in_pence,
    "a bar in two files": in_two_files,
    "a semicolon file with decimal commas": as_bytes("prices", with_semicolons),
    "days as numbers since 1970": as_bytes("prices", in_milliseconds),
    "an Excel workbook": as_bytes("macro", lambda _: b"\xd0\xcf\x11\xe0" + bytes(600)),
    "rows of no company": without_company,
    "close above high": cell("prices", 7, "close", "99999"),
    "a date that does not parse": cell("prices", 7, "date", "7 March"),
    "a date without a day": cell("events", 3, "announced", "2014"),
    "duplicate bar": twice("prices"),
    "time stamp without a zone": cell("sentiment", 7, "timestamp", "2015-03-02T10:00:00"),
    "sentiment outside its range": cell("sentiment", 7, "score", "1.01"),
    "unknown sentiment source": cell("sentiment", 7, "source", "gossip"),
    "macro value before its observation": cell("macro", 7, "available_date", "2013-01-01"),
    "filing before its period ends": cell("fundamentals", 3, "available_date", "2001-01-01"),
    "filing in the future": cell("fundamentals", 3, "available_date", "2150-01-01"),
    "event announced after it happened": cell("events", 3, "announced", "2030-01-01"),
    "duplicate macro row": twice("macro"),
    "unknown symbol": lambda case: case.changes.update(symbols=["NVDIA"]),
    "split with a ratio of zero": zero_split,
    "a feature in two regions": layout_with(
        'name = "technical"', 'name = "technical"\nfeatures = ["rsi_14", "option_skew"]'
    ),
    "a feature in no region": unplaced_feature,
    "overlapping regions": layout_with("rows = [36, 63]", "rows = [30, 63]"),
    "a gap between regions": layout_with("rows = [36, 63]", "rows = [38, 63]"),
    "encoder parameter out of range": layout_with("n_bins = 8", "n_bins = 80"),
    "a share count that fits no split": other_shares,
    "unknown options column": lambda case: case.frames.update(
        options=pd.DataFrame({"symbol": ["NVDA"], "date": ["2015-03-02"], "skw": ["1"]})
    ),
    "a split in raw prices": unsplit,
    "a small split in raw prices": smaller_split,
    "duplicated sentiment record": twice("sentiment"),
    "rows under another spelling of a symbol": other_spelling,
    "splits of a company without prices": more_table("splits", symbol=["IBM"], date=["2015-03-02"], ratio=["2"]),
    "competitive rows of peers alone": more_table(
        "competitive", symbol=["NVDA"], date=["2015-03-02"], peer=["META"], share=["0.2"]
    ),
    "a series whose values are all empty": empty_vix,
    "rows that meet no session": more_table("options", symbol=["NVDA"], date=["1999-03-02"], skew=["0.1"]),
    "a column that is not read": lambda case: case.frames.update(
        prices=case.frames["prices"].assign(adj_close="1", dividends="0")
    ),
    "implied volatility in percent": more_table(
        "options", symbol=["NVDA"] * 2, date=["2015-03-02", "2015-03-03"], implied_volatility=["32", "33"]
    ),
    "scores that look like probabilities": probabilities,
    "revenue in two units": in_two_units,
    "a session missing in prices": hole,
    "a feature that is never known": without_vix,
    "a table that is not given": without_sentiment,
    "a half day": after_a_half_day,
    "a restated quarter": more_filings(available_date=["2015-03-02"], revenue=["1"]),
    "two providers for one quarter": more_filings(available_date=["2015-03-02"], revenue=["1"], origin=["yahoo"]),
    "a bar on a day without a session": sunday,
    "prices that end long before the others": delisted,
    "two figures of one period end and filing": more_filings(revenue=["1", "4"], available_date=["2015-03-02"] * 2),
    "a duration that fits nothing": in_durations("2012-08-01"),
    "a flow without a first day among durations": in_durations(""),
    "annual values as fourth quarters": year_in_the_fourth,
    "half years alone": half_years_alone,
}


def feature(case: Case, name: str, day: str) -> float:
    data = case.store().open_sessions("NVDA")
    return float(data["feature_original"].sel(date=np.datetime64(day), feature=name))


def test_the_page_and_the_cases_name_the_same_inputs() -> None:
    assert set(promised()) == set(SPOIL)


@pytest.mark.parametrize("name", SPOIL)
def test_an_input_is_answered_as_the_page_says(name: str, base: Frames, tmp_path: Path) -> None:
    answer, words = promised()[name]
    case = Case({table: frame.copy() for table, frame in base.items()}, tmp_path)
    SPOIL[name](case)
    if answer == "refused":
        with pytest.raises(FinnexError) as caught:
            case.build()
        assert words in str(caught.value)
        assert words
        assert not (tmp_path / "images.zarr").exists()
        return
    result = case.build()
    if answer == "warned":
        assert [warning for warning in result.warnings if words in warning]
    elif words:
        assert [note for note in result.notes if words in note]
        assert not [warning for warning in result.warnings if words in warning]
    if name == "a session missing in prices":
        state = case.store().state("NVDA")
        assert state.status[state.days == np.datetime64("2015-03-03")].tolist() == [NO_BAR]
    elif name == "a feature that is never known":
        assert np.isnan(feature(case, "vix_level", "2015-03-04"))
    elif name == "a table that is not given":
        coverage = case.store().open_images("NVDA")["coverage"].sel(region="news")
        assert (coverage == 0).all()
    elif name == "a half day":
        assert np.isnan(feature(case, "analyst_last", "2014-11-28"))
        assert feature(case, "analyst_last", "2014-12-01") == 1.0
    elif name == "a restated quarter":
        assert feature(case, "revenue_growth_qoq", "2015-03-02") > -1.9
        assert feature(case, "revenue_growth_qoq", "2015-03-03") < -1.9
    elif name == "two providers for one quarter":
        assert feature(case, "revenue_growth_qoq", "2015-03-02") == feature(case, "revenue_growth_qoq", "2015-03-03")
    assert result.built >= 2


def test_a_bad_table_after_a_good_build_changes_nothing_stored(base: Frames, tmp_path: Path) -> None:
    case = Case({table: frame.copy() for table, frame in base.items()}, tmp_path)
    case.build()
    before = {file: file.read_bytes() for file in (tmp_path / "images.zarr").rglob("*") if file.is_file()}
    case.cell("prices", 7, "open", "x")
    with pytest.raises(FinnexError):
        case.build()
    assert before == {file: file.read_bytes() for file in (tmp_path / "images.zarr").rglob("*") if file.is_file()}


def test_prices_of_one_company_alone_are_enough(base: Frames, tmp_path: Path) -> None:
    prices = base["prices"]
    case = Case({"prices": prices[prices["symbol"] == "NVDA"].reset_index(drop=True)}, tmp_path)
    assert case.build().built == 3
