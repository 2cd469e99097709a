from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.audit.declarations import (
    events_announced_too_early,
    fundamentals_dated_by_period_end,
    macro_dated_by_observation,
)
from finnex.audit.exchange_hours import decision_times
from finnex.audit.filled_bars import bars_filled_backwards
from finnex.audit.quote_clocks import quotes_of_other_markets
from finnex.audit.time_of_day import released_at_midnight, sentiment_clocks
from finnex.config import parse_config
from finnex.config.inputs import CLOSE_WITH_NEW_YORK, quotes_of
from finnex.data.calendar import SessionCalendar, session_calendar

NEW_YORK = "America/New_York"
CALENDAR = session_calendar("XNYS", date(2021, 1, 4), date(2022, 12, 30))


def records(hours: np.ndarray, zone: str = NEW_YORK) -> pd.DataFrame:
    """Records of every day of two years at hours of a zone, stamped in UTC."""
    days = pd.date_range("2021-01-01", "2022-12-31").repeat(3)[: len(hours)]
    local = (days + pd.to_timedelta((hours * 3600).astype("int64"), unit="s")).tz_localize(
        zone, ambiguous=np.zeros(len(days), dtype=bool), nonexistent="shift_forward"
    )
    stamps = local.tz_convert("UTC").tz_localize(None)
    return pd.DataFrame({"symbol": "A", "timestamp": stamps, "source": "news", "provider": "wire"})


def hours_of_people(seed: int = 0, centre: float = 13.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, 3.0, 730 * 3) % 24


def kinds(found: pd.DataFrame) -> list[str]:
    return [one.finding.kind for one in sentiment_clocks(found, CALENDAR, "XNYS")]


def test_stamps_of_people_raise_no_alarm() -> None:
    for seed in range(20):
        assert kinds(records(hours_of_people(seed))) == []
        assert kinds(records(np.random.default_rng(seed).uniform(0, 24, 730 * 3))) == []
        assert kinds(records(hours_of_people(seed, 17.5), "UTC")) == []  # a machine's hours, the same all year


def test_wall_time_that_is_labelled_utc_is_found() -> None:
    honest = records(hours_of_people())
    local = honest["timestamp"].dt.tz_localize("UTC").dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    assert kinds(honest.assign(timestamp=local)) == ["sentiment_in_wall_time"]
    machine = records(hours_of_people(0, 19.0), "UTC")  # its hours turn round
    local = machine["timestamp"].dt.tz_localize("UTC").dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    assert kinds(machine.assign(timestamp=local)) == ["sentiment_in_wall_time"]


def test_one_record_a_day_of_a_program_raises_no_alarm() -> None:
    """FinNeX's own synthetic archive and ratings: about 06:00 and 13:00 UTC, all year."""
    for centre in (6.0, 13.0):
        hours = np.random.default_rng(0).normal(centre, 1.0, 730)
        daily = records(hours, "UTC").assign(
            timestamp=pd.date_range("2021-01-01", periods=730) + pd.to_timedelta(hours, "h")
        )
        assert kinds(pd.concat([daily, daily.assign(symbol="B"), daily.assign(symbol="C")], ignore_index=True)) == []


def test_stamps_that_are_hours_too_early_are_found() -> None:
    honest = records(hours_of_people())
    assert kinds(honest.assign(timestamp=honest["timestamp"] - pd.Timedelta(hours=6))) == ["sentiment_at_night"]


def test_a_finding_about_stamps_gives_both_explanations_and_what_to_do_of_each() -> None:
    """Authors of another continent, or a program with an hour of its own, have such stamps and no leak."""
    honest = records(hours_of_people())
    utc = honest["timestamp"].dt.tz_localize("UTC")
    cases = (
        (honest.assign(timestamp=honest["timestamp"] - pd.Timedelta(hours=6)), "the clock of another zone"),
        (honest.assign(timestamp=utc.dt.tz_convert(NEW_YORK).dt.tz_localize(None)), "the clock of another zone"),
        (records(np.full(730, 9.5)), "or they are published at that time"),
        (records(np.concatenate([np.zeros(100), hours_of_people()[:630]])), "or they are published at midnight"),
    )
    for found, other in cases:
        (one,) = sentiment_clocks(found, CALENDAR, "XNYS")
        assert "either" in one.finding.evidence
        assert other in one.finding.evidence
        assert one.finding.remedy.endswith("the stamps are right and stay.")


@pytest.mark.parametrize(
    ("clock", "zone"), [("05:00", "UTC"), ("09:30", NEW_YORK), ("12:00", "UTC"), ("00:00", NEW_YORK)]
)
def test_a_score_of_the_day_at_one_hour_before_the_close_is_found(clock: str, zone: str) -> None:
    hour = int(clock[:2]) + int(clock[3:]) / 60
    assert kinds(records(np.full(730, hour), zone)) == ["sentiment_stamped_at_one_hour"]
    late = records(np.full(730, 23 + 59 / 60), NEW_YORK)
    assert kinds(late) == []


def test_a_part_of_the_records_at_local_midnight_is_found() -> None:
    honest = records(hours_of_people())
    local = honest["timestamp"].dt.tz_localize("UTC").dt.tz_convert(NEW_YORK)
    dated = local.dt.normalize().dt.tz_convert("UTC").dt.tz_localize(None)
    half = np.random.default_rng(1).random(len(honest)) < 0.5
    assert kinds(honest.assign(timestamp=honest["timestamp"].where(~half, dated))) == ["sentiment_stamped_at_one_hour"]
    filings = pd.DataFrame({"available": dated[:40].to_numpy(), "available_is_date": False})
    assert [one.finding.kind for one in released_at_midnight("fundamentals", filings, "XNYS")] == [
        "released_at_midnight"
    ]
    assert released_at_midnight("fundamentals", filings.assign(available_is_date=True), "XNYS") == []


def filings(lags: list[int]) -> pd.DataFrame:
    ends = pd.date_range("2019-03-31", periods=len(lags), freq="QE")
    frame = pd.DataFrame({"symbol": "A", "period_end": ends, "origin": "sec"})
    return frame.assign(available=ends + pd.to_timedelta(lags, unit="D"))


@pytest.mark.parametrize(
    ("lags", "found"),
    [
        ([45] * 10, False),
        ([24, 31, 40, 28, 90, 33, 25, 41], False),
        ([9] * 10, True),
        ([39] * 10, True),
        ([30, 0, 31], True),
        ([45, 60, 38] * 9 + [1], True),
    ],
)
def test_filings_sooner_than_companies_file_are_found(lags: list[int], found: bool) -> None:
    assert bool(fundamentals_dated_by_period_end(filings(lags))) is found


def monthly(series: str, days_after: int, *, dated_at_end: bool = False) -> pd.DataFrame:
    starts = pd.date_range("2019-01-01", periods=30, freq="MS")
    ended = starts + pd.DateOffset(months=1)
    observed = ended - pd.Timedelta(days=1) if dated_at_end else starts
    return pd.DataFrame({"series": series, "date": observed, "available": ended + pd.Timedelta(days=days_after)})


@pytest.mark.parametrize(
    ("series", "days_after", "found"),
    [("X", 5, False), ("X", -3, True), ("CPIAUCSL", 11, False), ("CPIAUCSL", 3, True), ("UNRATE", 6, False),
     ("PCEPILFE", 28, False), ("PCEPILFE", 9, True), ("UMCSENT", -4, False)],
)  # fmt: skip
def test_a_series_sooner_than_its_month_or_its_source_is_found(series: str, days_after: int, found: bool) -> None:
    assert bool(macro_dated_by_observation(monthly(series, days_after), {})) is found


def test_the_close_of_the_calendar_is_held_against_the_exchange() -> None:
    assert decision_times(CALENDAR) == []
    winter = CALENDAR.days.astype("datetime64[ns]") + np.timedelta64(21, "h")
    for wrong in (
        winter,
        CALENDAR.decision_time + np.timedelta64(30, "m"),
        CALENDAR.decision_time - np.timedelta64(1, "h"),
    ):
        (found,) = decision_times(SessionCalendar("XNYS", CALENDAR.days, wrong))
        assert found.kind == "decision_time_is_not_the_close"


@pytest.mark.parametrize(
    "exchange", ["XNYS", "XLON", "XTKS", "XETR", "XHKG", "XASX", "XTSE", "XPAR", "XSHG", "XBOM", "XKRX"]
)
@pytest.mark.filterwarnings("ignore:DatetimeIndex.weekday is deprecated")  # the library's, of Hong Kong
def test_the_calendars_of_the_library_close_as_their_exchanges_do(exchange: str) -> None:
    assert decision_times(session_calendar(exchange, date(2014, 1, 2), date(2023, 12, 28))) == []


NEW_YORK_DAYS = pd.to_datetime(CALENDAR.days.astype("datetime64[ns]"))
TOKYO = session_calendar("XTKS", date(2021, 1, 4), date(2022, 12, 30))


def quotes(series: str, available: pd.DatetimeIndex = NEW_YORK_DAYS, *, timed: bool = False) -> pd.DataFrame:
    """Quotes of a series at New York's sessions."""
    return pd.DataFrame(
        {"series": series, "date": NEW_YORK_DAYS, "value": 20.0, "available": available, "available_is_date": not timed}
    )


def bars_on(symbol: str, days: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"symbol": symbol, "date": days})


def test_new_york_quotes_of_the_same_date_are_early_in_tokyo_and_not_in_new_york() -> None:
    vix, prices = quotes("VIX"), bars_on("XLK", NEW_YORK_DAYS)
    found = quotes_of_other_markets(vix, prices, TOKYO, {"VIX": 0}, ["XLK"])
    assert [one.finding.table for one in found] == ["macro", "prices"]
    assert "Set quote_delay_minutes of 'VIX'" in found[0].finding.remedy
    assert quotes_of_other_markets(vix, prices.iloc[:0], TOKYO, {"VIX": 15}, ["XLK"]) == []  # the next session
    assert quotes_of_other_markets(vix, prices, CALENDAR, {"VIX": 15}, ["XLK"]) == []


@pytest.mark.parametrize("series", sorted(quotes_of("XTKS")))
def test_every_quote_that_is_declared_by_default_is_asked_and_waits_for_new_york(series: str) -> None:
    nothing = bars_on("A", NEW_YORK_DAYS[:0])
    (found,) = quotes_of_other_markets(quotes(series), nothing, TOKYO, {series: 0}, [])
    assert found.finding.kind == "quotes_from_the_future"
    minutes = int(found.finding.remedy.split(" to ")[1].split()[0])
    assert quotes_of_other_markets(quotes(series), nothing, TOKYO, {series: minutes}, []) == []
    for exchange in ("XTKS", "XLON", "XASX", "XNZE", "XBDA", "XNYS", "XTSE", "BVMF"):
        calendar = session_calendar(exchange, date(2021, 1, 4), date(2022, 12, 30))
        assert quotes_of_other_markets(quotes(series), nothing, calendar, quotes_of(exchange), []) == [], exchange


@pytest.mark.parametrize("exchange", sorted(CLOSE_WITH_NEW_YORK))
def test_an_exchange_that_is_said_to_close_with_new_york_never_closes_before(exchange: str) -> None:
    calendar = session_calendar(exchange, date(2018, 1, 2), date(2023, 12, 29))
    home = session_calendar("XNYS", date(2018, 1, 2), date(2023, 12, 29))
    both = np.intersect1d(calendar.days, home.days)
    assert len(both) > 1400
    closes, at_home = (one.decision_time[one.index_of(both)] for one in (calendar, home))
    assert (closes >= at_home).all()


def test_a_configuration_of_another_exchange_waits_for_new_york_unless_it_says_otherwise(tmp_path: Path) -> None:
    (prices := tmp_path / "p.csv").write_text("symbol\n")
    document = {"inputs": {"prices": str(prices)}, "symbols": ["A"], "store": {"path": "s"}, "exchange": "XTKS"}
    assert parse_config(document, Path("f.toml")).inputs.quote_delay_minutes == quotes_of("XTKS")
    own = document | {"inputs": {"prices": str(prices), "quote_delay_minutes": {"VIX": 7}}}
    assert parse_config(own, Path("f.toml")).inputs.quote_delay_minutes == {"VIX": 7}
    home = parse_config(document | {"exchange": "XNYS"}, Path("f.toml"))
    assert home.inputs.quote_delay_minutes == quotes_of("XNYS")


def test_a_stock_that_trades_on_new_yorks_days_is_early_in_tokyo_and_one_of_tokyo_is_not() -> None:
    tokyo_days = pd.to_datetime(TOKYO.days.astype("datetime64[ns]"))
    prices = pd.concat([bars_on("US", NEW_YORK_DAYS), bars_on("JP", tokyo_days)], ignore_index=True)
    (found,) = quotes_of_other_markets(None, prices, TOKYO, {}, ["US", "JP"])
    assert found.finding.evidence.startswith("US trade in New York")
    assert "take these symbols out of the prices table" in found.finding.remedy
    without = prices[prices["symbol"] != "US"].reset_index(drop=True)
    assert quotes_of_other_markets(None, without, TOKYO, {}, ["JP"]) == []
    assert quotes_of_other_markets(None, prices, TOKYO, {}, ["JP"]) == []
    assert quotes_of_other_markets(None, prices, CALENDAR, {}, ["US", "JP"]) == []


@pytest.mark.parametrize(("hour", "found"), [(13, True), (19.5, True), (22, False)])
def test_a_quote_that_is_available_before_its_market_closes_is_found(hour: float, found: bool) -> None:
    timed = quotes("DGS10", NEW_YORK_DAYS + pd.Timedelta(hours=hour), timed=True)
    nothing = bars_on("A", NEW_YORK_DAYS[:0])
    assert bool(quotes_of_other_markets(timed, nothing, CALENDAR, {}, [])) is found
    assert quotes_of_other_markets(quotes("DGS10"), nothing, CALENDAR, {}, []) == []  # a date: the next session


@pytest.mark.parametrize(
    ("days_after", "found"), [(-1, True), (0, True), (1, True), (2, True), (6, False), (12, False)]
)
def test_the_jobs_report_before_the_first_friday_is_found(days_after: int, found: bool) -> None:
    for dated_at_end in (False, True):
        assert bool(macro_dated_by_observation(monthly("UNRATE", days_after, dated_at_end=dated_at_end), {})) is found
    assert not macro_dated_by_observation(monthly("FEDFUNDS", max(0, days_after)), {})


def test_the_jobs_report_on_its_fridays_is_no_finding() -> None:
    months = pd.date_range("2019-01-01", periods=30, freq="MS")
    fridays = [day + pd.Timedelta(days=(4 - day.day_of_week) % 7) for day in months + pd.DateOffset(months=1)]
    report = pd.DataFrame({"series": "UNRATE", "date": months, "available": fridays})
    assert macro_dated_by_observation(report, {}) == []
    at_end = report.assign(date=months + pd.offsets.MonthEnd(0))
    assert macro_dated_by_observation(at_end, {}) == []
    assert macro_dated_by_observation(at_end.assign(available=at_end["date"]), {})


def test_a_half_day_that_closes_at_four_in_the_calendar_is_found() -> None:
    wrong = CALENDAR.decision_time.copy()
    (first, *_) = np.flatnonzero(CALENDAR.days == np.datetime64("2021-11-26"))
    wrong[first] += np.timedelta64(3, "h")
    (found,) = decision_times(SessionCalendar("XNYS", CALENDAR.days, wrong))
    assert "1 half days close after 13:00, such as 2021-11-26 at 16:00" in found.evidence


@pytest.mark.parametrize("forwards", [True, False])
def test_bars_filled_from_a_later_close_are_found_and_those_from_the_one_before_are_not(forwards: bool) -> None:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, 200)))
    bars = pd.DataFrame({"symbol": "A", "date": pd.bdate_range("2021-01-04", periods=200), "close": close})
    bars = bars.assign(open=close * 1.001, high=close * 1.01, low=close * 0.99, volume=1e6)
    for first in (20, 60, 100, 150):
        source = bars.loc[first - 1 if forwards else first + 3, "close"]
        bars.loc[first : first + 2, ["open", "high", "low", "close"]] = source
        bars.loc[first : first + 2, "volume"] = 0.0
    found = bars_filled_backwards(bars, "A")
    assert bool(found) is not forwards
    assert all(one.rows.sum() == 12 for one in found)


def test_events_announced_years_before_are_found_and_a_yearly_schedule_is_not() -> None:
    dates = pd.date_range("2012-01-25", "2016-12-31", freq="45D")
    events = pd.DataFrame({"name": "FOMC", "date": dates, "announced": pd.to_datetime("2000-01-03")})
    (one,) = events_announced_too_early(events)
    assert one.finding.kind == "events_announced_too_early"
    assert one.rows.all()
    assert "of meetings with a published schedule (FOMC and the like), 90 days" in one.finding.remedy
    assert "Of other events, which may be called at short notice, it is not" in one.finding.remedy
    assert f"{len(events)} of {len(events)} are announced more than 760 days" in one.finding.evidence
    by_year = events.assign(announced=pd.to_datetime((dates.year - 2).astype(str) + "-12-15"))
    assert events_announced_too_early(by_year) == []
    only_last = by_year.assign(announced=by_year["announced"].where(dates < dates[-1], dates[0]))
    assert events_announced_too_early(only_last)[0].rows.tolist() == [False] * (len(dates) - 1) + [True]
