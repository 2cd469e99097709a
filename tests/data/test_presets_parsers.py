"""Amounts, dates, lags and names, as vendors write them: for any value, what was written is read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnex.config.table_source import TableSource
from finnex.data.arrange import arranged
from finnex.data.arranged_words import spelt, word_in_name
from finnex.data.matched_columns import fitting
from finnex.data.preset import PLAIN, bundled, preset_file, preset_of
from finnex.data.publication import available_dates
from finnex.data.release_lags import RELEASE_LAGS
from finnex.data.vendor_splits import factors_of
from finnex.data.written_dates import days_of, epochs, formatted
from finnex.data.written_numbers import amounts, decimal_of
from finnex.errors import ConfigError, Problem
from tests.helpers.vendor_files import parts_of, rows_of

SOME = settings(max_examples=60, deadline=None)
CENTS = st.integers(-(10**13), 10**13)
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}
DAYS = st.dates(date(1980, 1, 1), date(2029, 12, 31))


def grouped(cents: int, group: str, decimal: str) -> str:
    """Return hundredths with signs of thousands and decimals."""
    whole, part = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole:,}".replace(",", group) + f"{decimal}{part:02d}"


@SOME
@given(st.lists(CENTS, min_size=1), st.sampled_from([(",", "."), (".", ","), ("", "."), ("", ","), (" ", ",")]))
def test_hundredths_are_read_whatever_their_signs(cents: list[int], signs: tuple[str, str]) -> None:
    texts = [grouped(one, *signs) for one in cents]
    assert amounts(texts).tolist() == [one / 100 for one in cents]


@SOME
@given(CENTS, st.sampled_from(["${}", "{} $", "-${}", "(${})", "${} "]))
def test_currencies_and_minus_signs_are_taken_off(cents: int, form: str) -> None:
    negative = "-" in form or "(" in form
    (found,) = amounts([form.format(grouped(abs(cents), ",", "."))], currency=["$"])
    assert found == (-1 if negative else 1) * abs(cents) / 100


@SOME
@given(st.integers(0, 99_999), st.sampled_from(list(UNITS)), st.booleans(), st.booleans())
def test_letters_of_units_multiply_exactly(hundredths: int, letter: str, small: bool, comma: bool) -> None:
    text = grouped(hundredths, "", "," if comma else ".") + (letter.lower() if small else letter)
    (found,) = amounts([text], units=UNITS)
    assert found == hundredths * (int(UNITS[letter]) // 100)


@SOME
@given(st.text(max_size=12))
def test_any_text_is_a_number_or_nan(text: str) -> None:
    (found,) = amounts([text], currency=["$"], units=UNITS)
    assert isinstance(float(found), float)
    if not any(one.isdigit() for one in text):
        assert np.isnan(found)


@pytest.mark.parametrize("text", ["1,23,4.5", "1.2.3", "12,34,567", "1e", "--1", "M", "1K2", "", "-"])
def test_what_is_no_amount_is_nan(text: str) -> None:
    assert np.isnan(amounts([text], units=UNITS, decimal=".", thousands=",")).all()


@pytest.mark.parametrize(
    ("texts", "sign"),
    [
        (["1.234"], "."),
        (["1,234", "0,5"], ","),
        (["0,125"], ","),
        (["1234,567"], ","),
        (["1,5", "1.5"], "."),
        ([], "."),
    ],
)
def test_the_decimal_sign_is_the_one_that_is_shown(texts: list[str], sign: str) -> None:
    assert decimal_of(texts) == sign


@SOME
@given(st.lists(DAYS, min_size=1), st.sampled_from(["%m/%d/%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%m-%Y", "%B %d, %Y"]))
def test_days_are_read_by_their_format(days: list[date], form: str) -> None:
    read = formatted(pd.Series([one.strftime(form) for one in days], dtype="str"), [form])
    assert read is not None
    assert [one.date() for one in read.value] == days
    assert not read.bad.any()


@SOME
@given(st.lists(DAYS.filter(lambda day: day.weekday() < 5), min_size=12, unique=True))
def test_a_month_of_days_in_order_shows_whether_the_day_or_the_month_comes_first(days: list[date]) -> None:
    texts = pd.Series([one.strftime("%d/%m/%Y") for one in sorted(days)], dtype="str")
    read = formatted(texts, ["%m/%d/%Y", "%d/%m/%Y"])
    assert read is not None
    # Either what was written, or a refusal: never silently another day.
    assert read.formats or [one.date() for one in read.value] == sorted(days)


@SOME
@given(st.lists(st.integers(10**9, 1_890_000_000), min_size=1), st.sampled_from([1, 1000, 10**6, 10**9]))
def test_epochs_are_read_by_their_size(seconds: list[int], times: int) -> None:
    found = epochs(pd.Series(seconds, dtype="int64") * times)
    assert found is not None
    assert [one.to_pydatetime() for one in found[0]] == [datetime.fromtimestamp(one, UTC) for one in seconds]


def test_epochs_of_prices_since_the_nineties_are_of_one_unit() -> None:
    days = [pd.Timestamp("1995-01-03"), pd.Timestamp("2024-03-08")]
    found = epochs(pd.Series([int(one.timestamp()) * 1000 for one in days]))
    assert found is not None
    assert days_of(found[0], None)[0].tolist() == days


@pytest.mark.parametrize("numbers", [[20240308], [2024030815], [202403081530], [5], [1.5, 1e9 * 5]])
def test_other_numbers_are_no_epochs(numbers: list[float]) -> None:
    assert epochs(pd.Series(numbers)) is None


def test_midnights_of_new_york_are_days() -> None:
    moments = pd.Series(pd.to_datetime(["2024-03-08T05:00Z", "2024-03-11T04:00Z"]))
    days, zone = days_of(moments, None)
    assert [str(one.date()) for one in days] == ["2024-03-08", "2024-03-11"]
    assert zone == "America/New_York"


@SOME
@given(st.permutations(range(6)), st.lists(st.sampled_from([1.0, 2.0, 3.0, 0.1, 1.5]), min_size=6, max_size=6))
def test_adjusted_prices_are_those_of_the_last_days_shares_in_any_order(order: list[int], ratios: list[float]) -> None:
    value = 600.0  # of one share of the first day; each split divides it
    traded = value / np.cumprod(ratios)
    dates = pd.Series(pd.date_range("2024-03-01", periods=6)[order])
    factors = factors_of(dates, np.array(ratios)[order], None)
    np.testing.assert_allclose(traded[order] / factors, traded[-1], rtol=1e-12)


def test_no_lag_of_fred_is_shorter_than_its_source_allows() -> None:
    fred = bundled()["fred"].macro
    assert fred is not None
    for series, (earliest, _) in RELEASE_LAGS.items():
        assert series in fred.lags, series
        assert fred.lags[series].days >= earliest, series


@SOME
@given(st.sampled_from(["UNRATE", "DGS10", "GDP", "UNKNOWN"]), st.integers(1, 120), st.integers(2, 30))
def test_a_value_is_never_known_before_the_period_that_it_observes_is_over(name: str, step: int, count: int) -> None:
    fred = bundled()["fred"].macro
    assert fred is not None
    dates = pd.Series(pd.date_range("2001-01-01", periods=count, freq=f"{step}D"))
    known, _, without = available_dates(pd.Series([name] * count), dates, fred, None)
    assert not without
    assert (known > dates).all()
    if step > 25:
        assert (known > dates + pd.offsets.MonthEnd(0)).all()


HEADERS = {
    "nasdaq": ("prices", ["Date", "Close/Last", "Volume", "Open", "High", "Low"]),
    "alpha_vantage": ("prices", ["timestamp", "open", "high", "low", "close", "volume"]),
    "investing": ("prices", ["Date", "Price", "Open", "High", "Low", "Vol.", "Change %"]),
    "stooq": ("prices", ["<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"]),
    "yfinance": ("prices", ["Date", "Open", "High", "Low", "Close", "Volume", "Dividends", "Stock Splits"]),
    "fred": ("macro", ["observation_date", "DGS10", "UNRATE"]),
    "cboe": ("macro", ["DATE", "OPEN", "HIGH", "LOW", "CLOSE"]),
    "edgar": ("fundamentals", ["start", "end", "val", "accn", "fy", "fp", "form", "filed", "frame"]),
    "kaggle_news": ("sentiment", ["", "headline", "url", "publisher", "date", "stock"]),
    "kaggle_tweets": ("sentiment", ["Date", "Tweet", "Stock Name", "Company Name"]),
    "kaggle_reddit": ("sentiment", ["title", "score", "id", "url", "comms_num", "created", "body", "timestamp"]),
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_preset_that_fits_a_header_comes_first(name: str) -> None:
    table, header = HEADERS[name]
    assert fitting(header, table)[0] == name


def test_no_preset_fits_any_columns() -> None:
    assert fitting(["a", "b"], "prices") == []
    assert fitting(["date", "a", "b"], "macro") == []


@pytest.mark.parametrize("name", bundled())
def test_every_preset_reads_a_table_and_says_where_its_shape_is_published(name: str) -> None:
    whole = bundled()[name]
    assert whole.tables()
    assert whole.source.startswith(("https://", "docs/"))
    assert whole.title


OWN = """
title = "My broker"
source = "https://broker.example"

[prices]
names.date = ["Tag"]
names.open = ["Eröffnung"]
names.high = ["Hoch"]
names.low = ["Tief"]
names.close = ["Schluss"]
names.volume = ["Stück"]
date_formats = ["%d.%m.%y"]
decimal = ","
thousands = "."
currency = ["€"]
ignore = ["WKN"]
"""


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "broker.toml").write_text(OWN, encoding="utf-8")
    preset = preset_of("broker.toml", "prices", tmp_path)
    frame = pd.DataFrame(
        {"Tag": ["08.03.24"], "Eröffnung": ["1.200,5 €"], "Hoch": ["1.300 €"], "Tief": ["1.100 €"],
         "Schluss": ["1.250,25 €"], "Stück": ["1.000"], "WKN": ["716460"]}, dtype="str",
    )  # fmt: skip
    problems: list[Problem] = []
    source = TableSource(path="x.csv", preset="broker.toml", symbol="ACME")
    (part,) = arranged(frame, (), "prices", preset, source, Path("x.csv"), problems)
    assert not problems
    assert rows_of(part) == [
        {"date": "2024-03-08", "open": 1200.5, "high": 1300.0, "low": 1100.0, "close": 1250.25, "volume": 1000.0,
         "symbol": "ACME"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN.replace("ignore", "ignored"), "Did you mean 'ignore'"),
        (OWN.replace("[prices]", "[price]"), "Did you mean 'prices'"),
        (OWN + 'file_names = ["daily"]\n', "one column in braces"),
        (OWN + 'timezone = "Europe/Berlim"\n', "Did you mean 'Europe/Berlin'"),
        ("title = 3", "title"),
        ("title = ", "is not valid TOML"),
    ],
)
def test_a_preset_with_a_mistake_is_refused_with_the_remedy(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "broker.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        preset_file("broker.toml", tmp_path)


def test_an_unknown_preset_and_a_table_that_one_lacks() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'yfinance'"):
        preset_of("yfinanc", "prices", Path())
    with pytest.raises(ConfigError, match="Presets for it: cboe, fred, investing"):
        preset_of("yfinance", "macro", Path())
    assert preset_of(None, "macro", Path()) is PLAIN


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("daily_ACME.csv", "ACME"), ("daily_adjusted_BRK.B.csv", "BRK.B"), ("Daily_acme (3).csv", "ACME"),
        ("daily_.csv", None), ("weekly_ACME.csv", None),
    ],
)  # fmt: skip
def test_a_word_in_a_files_name(name: str, word: str | None) -> None:
    assert word_in_name(Path(name), ("daily_adjusted_{symbol}", "daily_{symbol}"), "symbol") == word


def test_symbols_are_spelt_as_configured() -> None:
    assert spelt("FB", (), {"FB": "META"}) == "META"
    assert spelt("FB.US", (".US",), {"FB": "META"}) == "META"
    assert spelt(".US", (".US",), {}) == ".US"


CELL = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "1.5", "$2", "1,5", "2024-03-08", "03/08/2024", "1e400", "nan"])
)
KEYS = [(name, table) for name, whole in bundled().items() for table in whole.tables()]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KEYS), st.data())
def test_any_cells_under_a_vendors_names_end_in_parts_or_problems(key: tuple[str, str], data: st.DataObject) -> None:
    name, table = key
    preset = preset_of(name, table, Path())
    columns = [options[0] for options in preset.names.values()] + list(preset.marks) + ["Unknown", "GDP_20240125"]
    chosen = list(dict.fromkeys(data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=9))))
    chosen += [one for one in dict.fromkeys(columns) if one not in chosen and data.draw(st.booleans())]
    rows = data.draw(st.integers(0, 4))
    cells = {one: data.draw(st.lists(CELL, min_size=rows, max_size=rows)) for one in chosen}
    frame = pd.DataFrame(cells, dtype="str")
    if data.draw(st.booleans()):
        frame = frame.astype("category")
    problems: list[Problem] = []
    source = TableSource(path="x.csv", preset=name, symbol="ACME")
    tickers = data.draw(
        st.lists(st.sampled_from(["ACME", "LOW", "Open", ""]), min_size=len(chosen), max_size=len(chosen))
    )
    levels = (tuple(tickers),) if data.draw(st.booleans()) else ()
    parts = arranged(frame, levels, table, preset, source, Path("x.csv"), problems)
    # A vintage that is empty in every row gives no part: the reader of the table refuses a file without any.
    empty = "GDP_20240125" in frame and not frame["GDP_20240125"].astype("str").str.strip().any()
    assert parts or problems or levels or not rows or empty
    for part in parts:
        assert part.index.is_unique
        assert part.index.isin(frame.index).all()
        assert part.columns.is_unique


def test_a_table_under_our_own_names_comes_out_as_it_is() -> None:
    text = "Symbol,DATE,Open,High,Low,Close,Volume,note\nACME,2024-03-06,10,11,9,10.5,1000,x\n"
    (part,) = parts_of(text, "prices", None)
    assert rows_of(part) == [
        {"symbol": "ACME", "date": "2024-03-06", "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5,
         "volume": 1000.0, "note": "x"}
    ]  # fmt: skip
