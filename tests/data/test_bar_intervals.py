"""Bars of a week, a month or an hour are refused with the remedy; daily bars with holes never are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config import parse_config
from finnex.data.bar_intervals import LEAST_STEPS, longer_than_a_day
from finnex.data.calendar import session_calendar
from finnex.data.readers import read_bars_of_enhanced, read_prices
from finnex.data.tables import read_tables
from finnex.errors import InputError, Problem

REMEDY = 'download daily bars, one for each session (yfinance: interval = "1d").'
HOURS = [f"{day:%Y-%m-%d} {hour:02d}:30:00" for day in pd.bdate_range("2024-01-02", periods=5) for hour in range(9, 16)]


def bars(days: Sequence[str], symbol: str = "ACME") -> pd.DataFrame:
    close = 100 + np.arange(len(days)) / 100
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return pd.DataFrame({"symbol": symbol, "date": list(days), **prices, "volume": 1000.0})


def said_of(frame: pd.DataFrame, path: Path, *, parquet: bool = False) -> list[str]:
    """Return what is refused of bars, by the prices table."""
    if parquet:
        frame.to_parquet(path, engine="pyarrow")
    else:
        frame.to_csv(path, index=False)
    problems: list[Problem] = []
    try:
        read_prices(path, problems)
    except InputError as error:
        problems += error.problems
    return [str(one) for one in problems]


@pytest.mark.parametrize(
    ("rule", "length"),
    [("W-MON", "week"), ("W-FRI", "week"), ("7D", "week"), ("MS", "month"), ("BME", "month"), ("BMS", "month"),
     ("QE", "quarter"), ("YE", "year")],
)  # fmt: skip
def test_bars_of_a_longer_period_are_refused_with_the_remedy(rule: str, length: str, tmp_path: Path) -> None:
    days = pd.date_range("2010-01-01", periods=12, freq=rule).strftime("%Y-%m-%d").tolist()
    daily = pd.bdate_range("2010-01-04", periods=12).strftime("%Y-%m-%d").tolist()
    said = said_of(pd.concat([bars(daily, "DAY"), bars(days), bars(days, "BETA")]), tmp_path / "p.csv")
    assert len(said) == 1
    assert f"the bars of ACME, BETA are a {length} apart" in said[0]
    assert ", ".join(days[:3]) in said[0]
    assert said[0].endswith(REMEDY)


def test_weekly_bars_by_the_last_session_of_a_week_with_holidays_and_holes_are_refused(tmp_path: Path) -> None:
    sessions = pd.Series(session_calendar("XNYS", date(2019, 1, 1), date(2020, 12, 31)).days.astype("datetime64[ns]"))
    days = sessions.groupby(sessions.dt.to_period("W")).max().dt.strftime("%Y-%m-%d").tolist()
    kept = [day for number, day in enumerate(days) if number % 10 != 5]
    assert "a week apart" in said_of(bars(kept), tmp_path / "p.csv")[0]


@pytest.mark.parametrize("calendar", ["XNYS", "XSAU", "XSHG", "24/7"])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_daily_bars_of_which_up_to_three_in_five_are_missing_are_never_refused(
    calendar: str, data: st.DataObject
) -> None:
    days = session_calendar(calendar, date(2021, 1, 1), date(2023, 12, 31)).days
    begin = data.draw(st.integers(0, len(days) - 700))
    own = days[begin : begin + data.draw(st.integers(2, 600))]
    most = int(0.6 * len(own))
    regular = np.arange(len(own)) % data.draw(st.integers(2, 7)) != 0  # every week's same days, as far as there is room
    gone = data.draw(st.sets(st.integers(0, len(own) - 1), max_size=most))
    gone |= set(np.flatnonzero(regular).tolist()[: most - len(gone)]) if data.draw(st.booleans()) else set()
    kept = np.delete(own, sorted(gone))
    frame = bars([str(day) for day in kept]).assign(date=kept.astype("datetime64[ns]"))
    assert len(gone) <= most
    assert longer_than_a_day(frame, frame, Path("p.csv")) == []


def test_few_bars_are_not_judged(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=LEAST_STEPS, freq="7D").strftime("%Y-%m-%d").tolist()
    assert said_of(bars(days), tmp_path / "p.csv") == []
    assert said_of(bars([*days, "2024-02-12"]), tmp_path / "p.csv") != []


@pytest.mark.parametrize(
    "days",
    [
        HOURS,
        [f"{one}-05:00" for one in HOURS],
        [pd.Timestamp(one).strftime("%m/%d/%Y %I:%M %p") for one in HOURS],
        [str(pd.Timestamp(one).value // 10**6) for one in HOURS],
        [pd.Timestamp(one) for one in HOURS],
        [pd.Timestamp(one, tz="America/New_York") for one in HOURS],
    ],
    ids=["naive", "zone", "american", "epoch", "typed", "typed zone"],
)
def test_bars_with_times_are_refused_in_one_line_with_the_remedy(days: list[str], tmp_path: Path) -> None:
    said = said_of(bars(days), tmp_path / "p.parquet", parquet=True)
    assert len(said) == 1
    assert "has several bars of one day" in said[0]
    assert said[0].endswith(REMEDY)


def test_several_bars_a_day_without_times_are_refused_in_one_line(tmp_path: Path) -> None:
    frame = bars([one[:10] for one in HOURS]).assign(time=[one[11:] for one in HOURS])
    said = said_of(pd.concat([frame, bars(["2024-01-02"], "BETA")]), tmp_path / "p.csv")
    assert said == [f"{tmp_path}/p.csv, column 'date': has 7 bars a day of ACME, as of hours or minutes. "
                    f"An image is of a session: {REMEDY}"]  # fmt: skip


def test_a_file_that_holds_its_rows_twice_is_told_so(tmp_path: Path) -> None:
    days = pd.bdate_range("2024-01-02", periods=10).strftime("%Y-%m-%d").tolist()
    said = said_of(pd.concat([bars(days), bars(days)]), tmp_path / "p.csv")
    assert all("appears in an earlier row" in one for one in said)
    assert said


def test_a_close_at_its_time_of_day_is_no_bar_of_an_hour(tmp_path: Path) -> None:
    closes = [f"{day:%Y-%m-%d} 16:00" for day in pd.bdate_range("2024-01-02", periods=10)]
    assert "a format may hold the time" in said_of(bars(closes), tmp_path / "p.csv")[0]


def test_under_a_preset_the_column_has_the_files_own_name(tmp_path: Path) -> None:
    names = {one: one.title() for one in ("open", "high", "low", "close", "volume")} | {"date": "Datetime"}
    bars([f"{one}-05:00" for one in HOURS]).drop(columns="symbol").rename(columns=names).to_csv(
        tmp_path / "ACME.csv", index=False
    )
    inputs = {"prices": {"path": "ACME.csv", "preset": "yfinance"}}
    document: dict[str, object] = {"inputs": inputs, "symbols": ["ACME"], "store": {"path": "i.zarr"}}
    with pytest.raises(InputError, match="column 'Datetime': has several bars of one day"):
        read_tables(parse_config(document, tmp_path / "finnex.toml"))


def test_bars_of_an_enhanced_file_are_judged_too(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=12, freq="7D").strftime("%Y-%m-%d").tolist()
    bars(days).to_csv(tmp_path / "e.csv", index=False)
    problems: list[Problem] = []
    read_bars_of_enhanced(tmp_path / "e.csv", problems)
    assert [one.what for one in problems] == ["the bars of ACME are a week apart, so they are not of a session each"]
