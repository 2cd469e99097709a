"""The sample: its real tables are sound, its synthetic tables know no future and say what they are."""

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex import sample
from finnex.sample import extract, synthetic

HERE = Path(sample.__file__).parent
UNIVERSE = list(sample.SAMPLE_SYMBOLS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sample") / "inputs"
    return directory, sample.sample_tables(directory)


@pytest.fixture(scope="module")
def prices():
    return pd.read_csv(HERE / "prices.csv.gz", parse_dates=["date"])


@pytest.fixture(scope="module")
def macro():
    return pd.read_csv(HERE / "macro.csv.gz", parse_dates=["date", "available_date"])


@pytest.fixture(scope="module")
def sentiment(prices):
    return synthetic.synthetic_sentiment(prices)


@pytest.fixture(scope="module")
def fundamentals(prices):
    return synthetic.synthetic_fundamentals(prices)


def test_the_bundle_is_smaller_than_two_megabytes():
    names = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(names) > 8
    assert sum(path.stat().st_size for path in names) < 2_000_000


def test_every_bar_is_ordered_and_positive(prices):
    assert set(prices["symbol"]) == set(UNIVERSE)
    assert len(prices) == 6 * 2699
    assert not prices.duplicated(["symbol", "date"]).any()
    body = prices[["open", "close"]]
    assert (prices["low"] > 0).all()
    assert (prices["low"] <= body.min(axis=1)).all()
    assert (body.max(axis=1) <= prices["high"]).all()
    assert (prices["volume"] > 0).all()


def test_prices_carry_no_split_jump(prices):
    moves = prices.sort_values(["symbol", "date"]).groupby("symbol")["close"].pct_change(fill_method=None)
    assert moves.abs().max() < 0.45  # the smallest split ratio would halve the close


def test_no_macro_value_is_available_before_its_date(macro):
    assert (macro["available_date"] >= macro["date"]).all()
    assert macro["value"].notna().all()
    assert not macro.duplicated(["series", "date"]).any()


def test_a_monthly_series_waits_for_its_release(macro):
    monthly = macro[macro["series"].isin(["AAA", "BAA", "CPILFESL"])]
    month_end = monthly["date"] + pd.offsets.MonthEnd(0)
    assert len(monthly) > 250
    assert (monthly["available_date"] > month_end).all()
    core = macro[macro["series"] == "CPILFESL"].set_index("date")["available_date"]
    assert core["2013-09-01"] == pd.Timestamp("2013-10-30")  # the release that the shutdown delayed
    assert core["2015-01-01"] >= pd.Timestamp("2015-02-26")  # the latest usual release of the drawn range


def test_yields_are_in_percent(macro):
    ten = macro[macro["series"] == "DGS10"]["value"]
    assert ten.between(1.0, 4.0).all()


def test_every_drawn_month_has_every_series(macro):
    needed = {"VIX", "SP500", "NASDAQ", "WTI", "AAA", "BAA", "CPILFESL"}
    needed |= set(extract.TREASURY.values()) | set(extract.ETFS)
    drawn = macro[macro["date"].between(str(sample.SAMPLE_START), str(sample.SAMPLE_END))]
    months = drawn.groupby("series")["date"].agg(lambda dates: dates.dt.to_period("M").nunique())
    assert set(macro["series"]) == needed
    assert set(months.index) == needed
    assert (months == 24).all()


def test_events_are_announced_before_they_happen():
    events = pd.read_csv(HERE / "events.csv", parse_dates=["date", "announced"])
    assert (events["announced"] < events["date"]).all()
    assert (events["date"].dt.year.value_counts() == 8).all()
    assert (events["date"].dt.day_of_week < 5).all()


def test_the_notice_names_every_source_file_and_its_checksum():
    notice = (HERE / "NOTICE.md").read_text(encoding="utf-8")
    for member, digest in extract.SHA256.items():
        assert f"`{member}`, `{digest}`" in notice
    for _, _, licence in extract.WHEELS.values():
        assert f"`{licence}`" in notice
        assert (HERE / "licenses" / licence).stat().st_size > 1000


def test_synthetic_tables_are_the_same_in_another_process(sentiment, fundamentals):
    program = (
        "import hashlib, pathlib, pandas as pd\n"
        "from finnex import sample\n"
        "from finnex.sample.synthetic import synthetic_sentiment, synthetic_fundamentals\n"
        "at = pathlib.Path(sample.__file__).parent / 'prices.csv.gz'\n"
        "prices = pd.read_csv(at, parse_dates=['date'])\n"
        "for make in (synthetic_sentiment, synthetic_fundamentals):\n"
        "    print(hashlib.sha256(make(prices).to_csv().encode()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    here = [hashlib.sha256(table.to_csv().encode()).hexdigest() for table in (sentiment, fundamentals)]
    assert done.stdout.split() == here


def test_another_seed_gives_other_records(prices, sentiment):
    one = prices[prices["symbol"] == "META"]
    other = synthetic.synthetic_sentiment(one, seed=1)
    assert len(other) > 5000
    assert not other["score"].head(1000).equals(sentiment.query("symbol == 'META'")["score"].head(1000))


def test_a_symbol_has_the_same_records_whoever_else_is_in_the_table(prices, sentiment):
    alone = synthetic.synthetic_sentiment(prices[prices["symbol"] == "NVDA"])
    among = sentiment[sentiment["symbol"] == "NVDA"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


@pytest.mark.parametrize("last", ["2013-01-02", "2013-01-31", "2014-10-15", "2016-06-30", "2016-12-30"])
@pytest.mark.parametrize("change", ["cut", "scrambled"])
def test_sentiment_up_to_a_day_does_not_know_later_prices(prices, sentiment, last, change):
    later = prices["date"] > last
    if change == "cut":
        changed = prices[~later]
    else:
        noise = np.random.default_rng(3).uniform(0.2, 5.0, len(prices))
        changed = prices.assign(close=prices["close"].where(~later, prices["close"] * noise))
    end = pd.Timestamp(last, tz="UTC") + pd.Timedelta(days=1)
    again = synthetic.synthetic_sentiment(changed)
    expected = sentiment[sentiment["timestamp"] < end].reset_index(drop=True)
    assert len(expected) > 0
    found = again if change == "cut" else again[again["timestamp"] < end].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_record_before_or_after_the_close_does_not_know_the_close_of_its_own_day(prices, sentiment):
    day = pd.Timestamp("2015-08-24")
    changed = prices.assign(close=prices["close"].where(prices["date"] < day, prices["close"] * 3.0))
    again = synthetic.synthetic_sentiment(changed)
    end = day.tz_localize("UTC") + pd.Timedelta(days=1)
    expected = sentiment[sentiment["timestamp"] < end].reset_index(drop=True)
    found = again[again["timestamp"] < end].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert not again.equals(sentiment)  # the change does reach the days after


def test_fundamentals_use_the_first_close_only(prices, fundamentals):
    first = prices["date"] == prices["date"].min()
    changed = prices.assign(close=prices["close"].where(first, prices["close"] * 7.0))
    again = synthetic.synthetic_fundamentals(changed)
    pd.testing.assert_frame_equal(again, fundamentals, check_exact=True)
    cut = synthetic.synthetic_fundamentals(prices[prices["date"] <= "2014-12-31"])
    known = fundamentals[fundamentals["available_date"] <= "2014-12-31"].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut, known, check_exact=True)


def test_sentiment_stays_in_its_ranges_and_calls_itself_synthetic(sentiment):
    assert not sentiment.isna().any(axis=None)
    assert sentiment["score"].between(-1, 1).all()
    assert sentiment["score"].std() > 0.2
    assert sentiment["confidence"].between(0.5, 1).all()
    assert (sentiment["documents"] >= 1).all()
    assert (sentiment["engagement"] >= 0).all()
    assert set(sentiment["repost"]) == {0, 1}
    assert sentiment["provider"].str.startswith("synthetic_").all()
    assert not sentiment.duplicated(["symbol", "timestamp", "source"]).any()
    assert sentiment["timestamp"].min() >= pd.Timestamp("2013-01-02", tz="UTC")
    assert sentiment["timestamp"].max() < pd.Timestamp("2017-01-01", tz="UTC")


def test_every_symbol_hears_from_every_source_at_a_plausible_rate(sentiment):
    days = len(synthetic.DAYS)
    rate = sentiment.pivot_table(index="symbol", columns="source", values="score", aggfunc="count") / days
    assert list(rate.index) == sorted(UNIVERSE)
    assert rate["historical"].eq(1.0).all()
    assert rate["news"].between(1.5, 4.0).all()
    assert rate["social"].between(3.5, 7.0).all()
    assert (rate["analyst"] * 30).between(1.0, 3.0).all()
    assert (rate["management"] * days).between(16, 60).all()
    news = sentiment[sentiment["source"] == "news"]
    assert (news["timestamp"].dt.hour >= 21).mean() > 0.1  # after the close too
    assert (news["timestamp"].dt.day_of_week >= 5).any()
    assert news["provider"].nunique() == 2


def test_sentiment_does_not_foretell_the_next_session(prices, sentiment):
    score = sentiment.assign(date=sentiment["timestamp"].dt.tz_localize(None).dt.normalize())
    tone = score.groupby(["symbol", "date"])["score"].mean().rename("tone").reset_index()
    moves = prices.sort_values(["symbol", "date"]).copy()
    moves["past"] = moves.groupby("symbol")["close"].pct_change(fill_method=None)
    moves["next"] = moves.groupby("symbol")["past"].shift(-1)
    moves["before"] = moves.groupby("symbol")["past"].shift(1)
    both = moves.merge(tone, on=["symbol", "date"]).dropna()
    assert len(both) > 5000
    assert abs(both["tone"].corr(both["next"])) < 3 / np.sqrt(len(both))
    assert both["tone"].corr(both["before"]) > 0.05  # it does react to what has happened


def test_fundamentals_are_filed_after_the_period_has_ended(fundamentals):
    lag = (fundamentals["available_date"] - fundamentals["period_end"]).dt.days
    assert lag.between(25, 44).all()
    assert (fundamentals["available_date"].dt.day_of_week < 5).all()
    assert (fundamentals.groupby("symbol").size() == 20).all()
    assert set(fundamentals["origin"]) == {"synthetic"}


def test_fundamentals_add_up_and_fit_the_prices(prices, fundamentals):
    table = fundamentals
    np.testing.assert_allclose(table["eps"], table["net_income"] / table["shares_outstanding"], atol=1e-6)
    assert (table["revenue"] > table["gross_profit"]).all()
    assert (table["gross_profit"] > table["operating_income"]).all()
    assert (table["total_assets"] > table["equity"] + table["total_debt"]).all()
    assert (table["capex"] > 0).all()
    close = prices[prices["date"] == "2016-06-30"].set_index("symbol")["close"]
    year = table[table["period_end"].dt.year == 2015].groupby("symbol")
    sales_multiple = close * year["shares_outstanding"].last() / year["revenue"].sum()
    assert sales_multiple.between(0.5, 40).all()


def test_prices_without_a_row_are_refused(prices):
    with pytest.raises(ValueError, match="no rows"):
        synthetic.synthetic_sentiment(prices.head(0))
    with pytest.raises(ValueError, match="no rows"):
        synthetic.synthetic_fundamentals(prices.head(0))


def test_prices_outside_the_generated_years_give_no_sentiment(prices):
    late = synthetic.synthetic_sentiment(prices[prices["date"] > "2020-01-01"])
    assert len(late) == 0
    assert "score" in late


def test_the_folder_is_self_contained_and_marks_synthetic_tables(folder):
    directory, paths = folder
    assert set(paths) == {"prices", "macro", "fundamentals", "sentiment", "events"}
    for name, path in paths.items():
        assert path.is_file()
        assert path.parent == directory
        assert ("synthetic" in path.name) == (name in sample.SYNTHETIC_TABLES)
    assert (directory / "NOTICE.md").is_file()
    assert len(list((directory / "licenses").iterdir())) == 4


def test_writing_the_folder_twice_gives_identical_bytes(folder, tmp_path):
    directory, _ = folder
    sample.sample_tables(tmp_path)
    sample.sample_tables(tmp_path)
    names = sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for name in names:
        assert (directory / name).read_bytes() == (tmp_path / name).read_bytes()


def test_written_timestamps_are_utc_text_and_read_back_equal(folder, sentiment):
    _, paths = folder
    with gzip.open(paths["sentiment"], "rt") as lines:
        next(lines)
        assert next(lines).split(",")[1].endswith("Z")
    back = pd.read_csv(paths["sentiment"], parse_dates=["timestamp"])
    assert len(back) == len(sentiment)
    assert (back["timestamp"] == sentiment["timestamp"]).all()
    assert (back["score"] == sentiment["score"]).all()


def test_importing_the_sample_does_not_import_pandas():
    program = "import sys, finnex.sample; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
