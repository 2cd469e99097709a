"""Flows are single quarters: derived where durations are given, and doubted where longer periods pass as quarters."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.longer_periods import KINDS, STEADY, limit, shares
from finnex.cli import app
from finnex.data.calendar import session_calendar
from finnex.data.features.fundamental import views
from finnex.data.filings import read_fundamentals
from finnex.data.flow_warnings import derived_quarters, odd_periods
from finnex.data.longer_periods import longer_periods
from finnex.data.quarters import single_quarters
from finnex.data.reading import filed
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings
from finnex.errors import Problem
from finnex.exam.random_market import random_market, write_market

EDGAR = "start,end,val,accn,fy,fp,form,filed,frame\n"
CALENDAR = session_calendar("XNYS", date(2020, 1, 2), date(2024, 3, 8))
REPEATS = 60
Span = tuple[str, str, float, str]
"""First day, last day, value, filing."""


def edgar(years: range = range(2020, 2024)) -> list[Span]:
    """Return what 10-Q and 10-K filings hold: 3, 6, 9 and 12 months with one end and filing, and the year before's."""
    spans, ends = [], ("03-31", "06-30", "09-30", "12-31")
    starts, filing = ("01-01", "04-01", "07-01", "10-01"), ("05-05", "08-04", "11-03", "02-10")
    for year in years:
        for quarter in range(4):
            day = f"{year + (quarter == 3)}-{filing[quarter]}"
            for of in (year - 1, year):
                single = [100e6 + 1e6 * (4 * (of - 2020) + one) for one in range(4)]
                if of >= years[0]:
                    spans.append((f"{of}-01-01", f"{of}-{ends[quarter]}", sum(single[: quarter + 1]), day))
                    if quarter in (1, 2):
                        spans.append((f"{of}-{starts[quarter]}", f"{of}-{ends[quarter]}", single[quarter], day))
    return spans


def facts(spans: list[Span]) -> pd.DataFrame:
    frame = pd.DataFrame(spans, columns=["start", "end", "value", "available"])
    for name in ("start", "end", "available"):
        frame[name] = pd.to_datetime(frame[name])
    return frame.assign(symbol="ACME", origin="", metric="revenue", available_is_date=True)


def derived(spans: list[Span]) -> list[tuple[str, str, float]]:
    """Return last day, filing and value of every derived quarter."""
    found = single_quarters(facts(spans))
    own = found[found["derived"]]
    return [(str(end.date()), str(filed.date()), value) for end, filed, value in
            own[["end", "available", "value"]].itertuples(index=False)]  # fmt: skip


def read(folder: Path, text: str, **columns: str) -> tuple[pd.DataFrame, list[Problem]]:
    path, problems = folder / "filings.csv", list[Problem]()
    path.write_text(text)
    return read_fundamentals(path, problems, filed(columns, "ACME")), problems


def as_rows(spans: list[Span]) -> str:
    return "".join(f"{start},{end},{value:.0f},a,2020,Q1,10-Q,{day},\n" for start, end, value, day in spans)


def test_edgars_rows_give_the_figures_of_a_table_of_single_quarters(tmp_path: Path) -> None:
    found, problems = read(tmp_path, EDGAR + as_rows(edgar()), revenue="val")
    assert problems == []
    assert derived_quarters(found) == {"ACME": 4}
    lines = ["symbol,period_end,available_date,revenue"]
    for number in range(16):
        year, end = divmod(number, 4)
        day = ("03-31", "06-30", "09-30", "12-31")[end], ("05-05", "08-04", "11-03", "02-10")[end]
        lines.append(f"ACME,{2020 + year}-{day[0]},{2020 + year + (end == 3)}-{day[1]},{100e6 + 1e6 * number:.0f}")
    right, problems = read(tmp_path, "\n".join(lines) + "\n")
    assert problems == []
    assert len(right) == 16
    for day in pd.to_datetime(right["available"]):
        growth = []
        for table in (found, right):
            known, figures = views(table[table["available"] <= day], CALENDAR)
            growth.append(figures["revenue_growth_qoq"][-1] if len(known) else np.nan)
        np.testing.assert_allclose(*growth, rtol=0, atol=1e-9)
    assert round(growth[1], 4) == 0.0087


values = st.integers(-(10**9), 10**9)


@settings(max_examples=60, deadline=None)
@given(
    quarters=st.lists(values, min_size=4, max_size=4),
    first=st.dates(date(2015, 1, 1), date(2022, 1, 1)),
    weeks=st.sampled_from([(13, 13, 13, 13), (13, 13, 13, 14), (12, 12, 12, 16), (12, 12, 12, 17), (16, 12, 12, 12)]),
    given_too=st.sets(st.sampled_from([1, 2])),
    left_out=st.sampled_from([None, 1, 2]),
)
def test_the_four_quarters_of_a_year_add_up_to_it(
    quarters: list[int], first: date, weeks: tuple[int, ...], given_too: set[int], left_out: int | None
) -> None:
    """Calendar years and others, of 52 or 53 weeks; six or nine months may be left out where quarters are given."""
    ends = pd.Timestamp(first) + pd.to_timedelta(np.cumsum(weeks) * 7 - 1, unit="D")
    starts = [pd.Timestamp(first), *(ends[:-1] + pd.Timedelta(days=1))]
    spans = []
    for at, end in enumerate(ends):
        day = str((end + pd.Timedelta(days=30)).date())
        if at == 0 or at != left_out:
            spans.append((str(first), str(end.date()), float(sum(quarters[: at + 1])), day))
        if at and (at in given_too or at == left_out):
            spans.append((str(starts[at].date()), str(end.date()), float(quarters[at]), day))
    found = single_quarters(facts(spans))
    assert found["value"].tolist() == quarters
    assert found["value"].sum() == spans[-1 if 3 not in given_too else -2][2]
    assert (found["available"] - found["end"]).dt.days.tolist() == [30] * 4
    assert found["derived"].tolist() == [False, *(at not in given_too and at != left_out for at in (1, 2)), True]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_filed_later_changes_no_quarter_known_before(data: st.DataObject) -> None:
    spans = edgar(range(2020, 2023))
    late = st.tuples(st.sampled_from(spans), values, st.integers(0, 500))
    for (start, end, _, day), value, days in data.draw(st.lists(late, max_size=12)):
        spans.append((start, end, float(value), str((pd.Timestamp(day) + pd.Timedelta(days=days)).date())))
    kept = data.draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    table = facts([span for span, keep in zip(spans, kept, strict=True) if keep])
    table = table.drop_duplicates(["start", "end", "available"])
    if table.empty:
        return
    cut = data.draw(st.sampled_from(sorted(table["available"])))
    whole, early = single_quarters(table), single_quarters(table[table["available"] <= cut])
    pd.testing.assert_frame_equal(whole[whole["available"] <= cut].reset_index(drop=True), early)


FOUR = [
    ("2021-01-01", "2021-09-30", 315.0, "2021-11-03"), ("2021-01-01", "2021-12-31", 422.0, "2022-02-10"),
]  # fmt: skip


def test_a_difference_is_known_when_the_last_of_its_inputs_is() -> None:
    assert derived(FOUR) == [("2021-12-31", "2022-02-10", 107.0)]
    late = [(*FOUR[0][:3], "2022-03-01"), FOUR[1]]
    assert derived(late) == [("2021-12-31", "2022-03-01", 107.0)]


def test_a_correction_counts_from_its_filing_and_a_comparative_with_the_year_it_belongs_to() -> None:
    corrected = [*FOUR, ("2021-01-01", "2021-09-30", 310.0, "2022-03-01")]
    assert derived(corrected) == [("2021-12-31", "2022-02-10", 107.0), ("2021-12-31", "2022-03-01", 112.0)]
    # A part of the company is sold: nine months are restated in November, the year in February.
    restated = [
        *FOUR,
        ("2021-01-01", "2021-09-30", 215.0, "2022-11-03"), ("2022-01-01", "2022-09-30", 227.0, "2022-11-03"),
        ("2021-01-01", "2021-12-31", 292.0, "2023-02-10"), ("2022-01-01", "2022-12-31", 308.0, "2023-02-10"),
    ]  # fmt: skip
    assert sorted(derived(restated)) == [
        ("2021-12-31", "2022-02-10", 107.0), ("2021-12-31", "2023-02-10", 77.0), ("2022-12-31", "2023-02-10", 81.0),
    ]  # fmt: skip


def test_a_date_is_known_after_every_moment_of_its_day_and_companies_are_not_mixed() -> None:
    table = facts(FOUR).assign(available=pd.to_datetime(["2022-02-10T15:00", "2022-02-10T00:00"]))
    table["available_is_date"] = [False, True]
    found = single_quarters(table)
    assert found[["available_is_date", "available"]].to_numpy().tolist() == [[True, pd.Timestamp("2022-02-10")]]
    assert single_quarters(facts(FOUR).assign(symbol=["A", "B"])).empty
    assert single_quarters(facts(FOUR).assign(origin=["sec", "yahoo"])).empty


def test_the_first_quarter_follows_from_the_half_year_and_the_second() -> None:
    spans = [("2021-04-01", "2021-06-30", 105.0, "2021-08-04"), ("2021-01-01", "2021-06-30", 209.0, "2021-08-04")]
    assert derived(spans) == [("2021-03-31", "2021-08-04", 104.0)]


def test_growth_over_the_quarter_is_known_after_a_quarter_of_seventeen_weeks(tmp_path: Path) -> None:
    text = "symbol,period_end,available_date,revenue\nACME,2020-06-01,2020-07-01,100\nACME,2020-09-28,2020-10-28,110\n"
    known, figures = views(read(tmp_path, text)[0], CALENDAR)
    assert len(known) == 2
    assert figures["revenue_growth_qoq"][1] == pytest.approx(10 / 105)


def test_balances_hold_at_the_periods_end_and_ratios_of_longer_periods_are_left_out(tmp_path: Path) -> None:
    text = (
        "symbol,period_start,period_end,available_date,revenue,total_assets,eps\n"
        "ACME,2021-01-01,2021-09-30,2021-11-03,315,900,3\nACME,2021-01-01,2021-12-31,2022-02-10,422,,4\n"
        "ACME,,2021-12-31,2022-02-10,,950,\n"
    )
    found, problems = read(tmp_path, text)
    assert problems == []
    assert found["total_assets"].tolist() == [900, 950]
    assert found["revenue"].tolist()[1] == 107
    assert found["eps"].isna().all()


def test_metrics_may_stand_in_rows_under_edgars_names(tmp_path: Path) -> None:
    text = (
        "ticker,concept,unit,start,end,filed,val\n"
        "ACME,Revenues,USD,2021-01-01,2021-03-31,2021-05-05,104\nACME,Assets,USD,,2021-03-31,2021-05-05,900\n"
        "ACME,CommonStockSharesOutstanding,shares,,2021-03-31,2021-05-05,50\n"
    )
    found, problems = read(tmp_path, text)
    assert problems == []
    assert found[["revenue", "total_assets", "shares_outstanding"]].to_numpy().tolist() == [[104, 900, 50]]
    told = str(read(tmp_path, text.replace("Assets,USD", "Assets,EUR"))[1][0])
    assert "row 3, column 'unit'" in told
    assert "a company's figures are in two currencies (value: EUR)" in told
    assert "of which metric" in str(read(tmp_path, text.replace("concept", "kind"))[1][0])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("ACME,2021-01-01,2021-05-15,2021-06-05,104", "(value: 2021-01-01 (135 days)). Correct its first or last day"),
        ("ACME,2021-04-01,2021-03-31,2021-06-05,104", "a period is no quarter, half year, nine months or year"),
        ("ACME,,2021-03-31,2021-06-05,104", "a figure over a period has no first day"),
        ("ACME,2020-10-01,2020-12-31,2021-02-05,99", "has another figure for the same period and filing"),
    ],
)
def test_a_duration_that_fits_nothing_is_refused_with_its_line(row: str, words: str, tmp_path: Path) -> None:
    text = "symbol,period_start,period_end,available_date,revenue\nACME,2020-10-01,2020-12-31,2021-02-05,100\n"
    problems = read(tmp_path, text + row + "\n")[1]
    assert [problem.row for problem in problems] == [3]
    assert words in str(problems[0])


def test_two_figures_of_one_end_and_filing_ask_for_their_durations(tmp_path: Path) -> None:
    text = "symbol,period_end,available_date,revenue\nACME,2020-06-30,2020-08-04,101\nACME,2020-06-30,2020-08-04,201\n"
    problems = read(tmp_path, text)[1]
    assert len(problems) == 1
    assert "row 3" in str(problems[0])
    assert "give the first day of each period as period_start" in str(problems[0])
    assert "Keep one of the rows" in str(read(tmp_path, text.replace("201", "101"))[1][0])


@pytest.mark.parametrize(("keep", "words"), [("first", "that of the whole year"), ("last", "sums from the year's")])
def test_keeping_one_of_edgars_rows_is_warned_of(keep: Literal["first", "last"], words: str, tmp_path: Path) -> None:
    rows = pd.DataFrame(edgar(), columns=["start", "period_end", "revenue", "available_date"]).assign(symbol="ACME")
    rows = rows.sort_values("revenue").drop(columns="start")
    one = rows.drop_duplicates(["period_end", "available_date"], keep=keep)
    found, problems = read(tmp_path, one.to_csv(index=False))
    assert problems == []
    assert words in "".join(odd_periods(found[found["symbol"] == "ACME"], "ACME"))


def test_a_table_of_durations_without_a_metric_or_a_quarter_is_read(tmp_path: Path) -> None:
    head = "symbol,period_start,period_end,available_date"
    assert len(read(tmp_path, f"{head}\nACME,2021-01-01,2021-03-31,2021-05-05\n")[0]) == 1
    found, problems = read(tmp_path, f"{head},revenue\nACME,2021-01-01,2021-03-31,2021-05-05,\n")
    assert problems == []
    assert found["revenue"].isna().tolist() == [True]


@pytest.mark.parametrize(("months", "durations"), [(6, False), (6, True), (12, False), (12, True)])
def test_half_years_and_years_alone_are_said(months: int, durations: bool, tmp_path: Path) -> None:
    ends = pd.date_range("2018-06-30", "2023-06-30", freq=f"{months}ME")
    starts = (ends + pd.Timedelta(days=1)) - pd.DateOffset(months=months)
    table = pd.DataFrame({"symbol": "ACME", "period_end": ends, "available_date": ends + pd.Timedelta(days=50)})
    table["revenue"] = np.arange(len(ends)) + 100
    found, problems = read(tmp_path, (table.assign(period_start=starts) if durations else table).to_csv(index=False))
    assert problems == []
    words = "no single quarter follows" if durations else f"periods end {months} months apart"
    assert [words in said for said in odd_periods(found[found["symbol"] == "ACME"], "ACME")] == [True]


def test_trailing_twelve_months_with_durations_are_no_quarters(tmp_path: Path) -> None:
    ends = pd.date_range("2020-03-31", "2022-12-31", freq="QE")
    starts = (ends + pd.Timedelta(days=1)) - pd.DateOffset(months=12)
    table = pd.DataFrame({"symbol": "ACME", "period_start": starts, "period_end": ends, "revenue": 400})
    found, problems = read(tmp_path, table.assign(available_date=ends + pd.Timedelta(days=40)).to_csv(index=False))
    assert problems == []
    assert "no single quarter follows" in odd_periods(found[found["symbol"] == "ACME"], "ACME")[0]


def test_at_most_1_in_1000_honest_series_is_flagged_and_nearly_all_planted_ones_are_found() -> None:
    """The long simulation is `python -m benchmarks.longer_periods`."""
    flagged = []
    for kind in KINDS:
        honest, annual, summed = shares(kind, 24, REPEATS, seed=7)
        flagged.append(honest)
        if kind in STEADY:
            assert min(annual, summed) >= 0.9, kind
    assert float(np.mean(flagged)) <= limit(REPEATS * len(KINDS))


def test_a_season_that_earns_in_one_quarter_alone_is_not_flagged() -> None:
    for quarter in (0.0, 1.0, -1.0):
        assert longer_periods(np.tile([quarter, 0.0, 0.0, 8.0], 5)) is None
    assert longer_periods(np.full(20, np.nan)) is None
    assert longer_periods(np.zeros(20)) is None


def test_info_counts_derived_quarters_and_warns_of_longer_periods(tmp_path: Path) -> None:
    market = random_market(300, 3)
    config = write_market(tmp_path, market.tables, market.settings)
    path = config.inputs.files_of("fundamentals")[0]
    symbol = config.symbols[0]
    rows = pd.DataFrame(edgar(), columns=["start", "end", "revenue", "filed"]).assign(symbol=symbol)
    rows.to_csv(path, index=False)
    answer = CliRunner().invoke(app, ["info", "--config", str(tmp_path / "finnex.toml"), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["derived_quarters"] == {symbol: 4}
    shown = CliRunner().invoke(app, ["info", "--config", str(tmp_path / "finnex.toml")])
    assert f"Quarters derived from longer periods of the fundamentals table: {symbol} 4." in " ".join(
        shown.stdout.split()
    )
    one = rows.sort_values("revenue").drop_duplicates(["end", "filed"], keep="last").drop(columns="start")
    one.to_csv(path, index=False)
    said = [
        warning for warning in input_warnings(read_tables(config), config) if "sums from the year's start" in warning
    ]
    assert len(said) == 1
