"""The two clocks: when a decision is made, and when a row could be known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnex.data.calendar import SessionCalendar, planned_sessions, session_calendar
from finnex.data.point_in_time import Observations, as_of, known_from, macro_observations
from finnex.errors import ConfigError

CALENDAR = session_calendar("XNYS", date(2015, 1, 1), date(2015, 12, 31))


def session(day: str) -> int:
    return int(CALENDAR.index_of(np.array([day], dtype="datetime64[D]"))[0])


def moments(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[ns]")


def test_a_calendar_of_one_session_is_one_and_one_without_a_session_is_refused() -> None:
    day = date(2016, 6, 24)
    alone = session_calendar("XNYS", day, day)
    assert alone.days.tolist() == [day]
    assert alone.decision_time.tolist() == session_calendar("XNYS", date(2016, 6, 1), day).decision_time[-1:].tolist()
    for last in (date(2016, 6, 25), date(2016, 6, 26)):
        with pytest.raises(ConfigError, match="has no session from 2016-06-25"):
            session_calendar("XNYS", date(2016, 6, 25), last)


def test_a_range_that_a_calendar_does_not_know_is_refused_with_the_exchange() -> None:
    with pytest.raises(ConfigError, match=r"calendar of exchange 'XSHG' does not reach from 2020-01-01 to 2060-01-01"):
        session_calendar("XSHG", date(2020, 1, 1), date(2060, 1, 1))
    assert planned_sessions("XSHG", date(2020, 1, 1), date(2060, 1, 1)).days[-1] < np.datetime64("2060-01-01")
    assert planned_sessions("XNYS", date(2016, 6, 1), date(2016, 6, 24)).days[-1] == np.datetime64("2016-06-24")


def test_an_exchange_that_the_library_cannot_make_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise NotImplementedError("implemented by subclasses")  # as pandas 3 says of some

    monkeypatch.setattr("exchange_calendars.get_calendar", broken)
    with pytest.raises(ConfigError, match=r"cannot make the calendar of exchange 'XBOG': implemented by subclasses\."):
        session_calendar("XBOG", date(2020, 1, 1), date(2020, 6, 1))


def test_a_record_at_the_close_belongs_to_the_session_and_one_after_it_to_the_next() -> None:
    found = CALENDAR.first_session_knowing(moments("2015-03-05T21:00:00", "2015-03-05T21:00:01", "2015-03-07T12:00:00"))
    assert found.tolist() == [session("2015-03-05"), session("2015-03-06"), session("2015-03-09")]


def test_a_half_day_closes_early() -> None:
    # The day after Thanksgiving 2015 ended at 13:00 New York, 18:00 UTC.
    found = CALENDAR.first_session_knowing(moments("2015-11-27T18:00:00", "2015-11-27T18:30:00"))
    assert found.tolist() == [session("2015-11-27"), session("2015-11-30")]


def test_daylight_saving_moves_the_close_in_utc() -> None:
    assert CALENDAR.decision_time[session("2015-03-06")] == np.datetime64("2015-03-06T21:00")
    assert CALENDAR.decision_time[session("2015-03-09")] == np.datetime64("2015-03-09T20:00")


def test_a_date_without_a_time_counts_from_the_next_session() -> None:
    rows = pd.Series(pd.to_datetime(["2015-03-05", "2015-03-06", "2015-03-07"]))
    found = known_from(rows, pd.Series([True, True, True]), CALENDAR)
    assert found.tolist() == [session("2015-03-06"), session("2015-03-09"), session("2015-03-09")]


def macro(**columns: list[object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    frame["date"], frame["available"] = pd.to_datetime(frame["date"]), pd.to_datetime(frame["available"])
    return frame


def test_vix_settles_after_the_stocks_and_enters_the_next_session() -> None:
    table = macro(
        series=["VIX", "SP500"],
        date=["2015-03-05"] * 2,
        available=["2015-03-05"] * 2,
        available_is_date=[True] * 2,
        value=[15.0, 2100.0],
    )
    found = macro_observations(table, CALENDAR, {"VIX": 15, "SP500": 0})
    assert found["VIX"].known.tolist() == [session("2015-03-06")]
    assert found["SP500"].known.tolist() == [session("2015-03-05")]


def test_a_macro_value_is_unknown_until_its_release_and_too_old_after_its_age() -> None:
    table = macro(series=["CPI"], date=["2015-01-01"], available=["2015-02-26"], available_is_date=[True], value=[1.0])
    rows = macro_observations(table, CALENDAR, {})["CPI"]
    values = as_of(rows.known, rows.value, len(CALENDAR), max_age=10)
    first = session("2015-02-27")
    assert np.isnan(values[:first]).all()
    assert (values[first : first + 11] == 1.0).all()
    assert np.isnan(values[first + 11 :]).all()


def test_a_change_compares_with_the_earlier_value_as_it_was_known_then() -> None:
    days = np.array(["2015-01-01", "2015-02-01", "2015-02-01", "2015-03-01"], dtype="datetime64[D]")
    rows = Observations(np.array([10, 30, 40, 50]), days, np.array([1.0, 2.0, 2.5, 4.0]))
    assert rows.lagged(0).tolist() == [1.0, 2.0, 2.5, 4.0]
    assert rows.lagged(1).tolist()[1:] == [1.0, 1.0, 2.5]
    assert np.isnan(rows.lagged(1)[0])


def test_an_unknown_exchange_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="XNYS"):
        session_calendar("XNYSE", date(2015, 1, 1), date(2015, 2, 1))


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(-5, 5)), max_size=20), st.integers(0, 29))
def test_as_of_never_reads_a_row_known_later(rows: list[tuple[int, float]], cut: int) -> None:
    rows.sort(key=lambda row: row[0])
    known, value = np.array([row[0] for row in rows], dtype=np.intp), np.array([row[1] for row in rows])
    full = as_of(known, value, 30)
    past = known <= cut
    assert np.array_equal(as_of(known[past], value[past], 30)[: cut + 1], full[: cut + 1], equal_nan=True)


def test_sessions_between_dates_include_both_ends() -> None:
    small = SessionCalendar("XNYS", CALENDAR.days[:10], CALENDAR.decision_time[:10])
    assert small.between(date(2015, 1, 5), date(2015, 1, 8)).tolist() == [1, 2, 3, 4]
    assert small.between(date(2016, 1, 1), None).tolist() == []
