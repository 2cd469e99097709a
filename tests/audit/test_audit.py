from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from finnex.audit import Answer, AuditReport, audit, audit_labels
from finnex.audit.enhanced import Vintage, compare_vintage, fitted_on_everything
from finnex.audit.foreknowledge import Bars, foreknowing
from finnex.audit.time_of_day import sentiment_clocks
from finnex.audit.verdicts import Tested as OneTested
from finnex.audit.verdicts import answer_of_feature, answer_of_table
from finnex.cli import main
from finnex.config import Config, LabelSettings, parse_config
from finnex.data.calendar import session_calendar
from finnex.data.features import FAMILIES, Context, Features, make_context
from finnex.data.labels import BUY, SELL, Labels, make_labels
from finnex.data.normalize import FeatureSpec, normalize
from finnex.data.panel import BAR_COLUMNS, Panel, make_panel
from finnex.data.reading import Reading
from finnex.data.tables import Tables, read_tables
from finnex.errors import ConfigError
from tests.helpers.sample_configs import sampled_config

MakeConfig = Callable[..., Config]
Make = Callable[[Tables, Config, str, Sequence[FeatureSpec]], Panel]
Change = Callable[[Tables], Tables]
Plant = Callable[[Context, Features], None]
YEARS = (pd.Timestamp("2013-06-01"), pd.Timestamp("2015-12-31"))
APRIL = {"start": date(2015, 4, 6), "end": date(2015, 4, 20)}
"""After a quarter's end, before its filing."""


@pytest.fixture(scope="module")
def inputs(sample_inputs: dict[str, Path]) -> Tables:
    """The sample, shortened, so that a rebuild takes a moment."""
    document = {"inputs": {name: str(path) for name, path in sample_inputs.items()}, "symbols": ["NVDA"]}
    tables = read_tables(parse_config(document | {"store": {"path": "unused"}}, Path("finnex.toml")))

    assert tables.sentiment is not None

    def shortened(frame: pd.DataFrame | None, column: str) -> pd.DataFrame:
        assert frame is not None
        return frame[frame[column].between(*YEARS)].reset_index(drop=True)

    return replace(
        tables,
        prices=shortened(tables.prices, "date"),
        macro=shortened(tables.macro, "date"),
        fundamentals=shortened(tables.fundamentals, "period_end"),
        sentiment=shortened(tables.sentiment[tables.sentiment["symbol"] == "NVDA"], "timestamp"),
        events=shortened(tables.events, "date"),
    )


def one_family(name: str, plant: Plant | None = None, change: Change | None = None) -> Make:
    """Return a maker of panels of one family of features, with a leak in it or in the tables it is given."""

    def make(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec]) -> Panel:
        context = make_context(tables if change is None else change(tables), config, symbol)
        found = FAMILIES[name](context)
        if plant is not None:
            plant(context, found)
        nothing = np.full(context.sessions, np.nan)
        original = np.stack([found.get(spec.name, nothing) for spec in specs], axis=1)
        unknown = normalize(nothing, specs[0])
        each = [normalize(found[spec.name], spec) if spec.name in found else unknown for spec in specs]
        bars = np.full((context.sessions, len(BAR_COLUMNS)), np.nan, dtype=np.float32)
        bars[context.bars.index.to_numpy()] = 0.0
        return Panel(
            symbol=symbol, calendar=context.calendar, features=tuple(spec.name for spec in specs), original=original,
            normalized=np.stack([one.brightness for one in each], axis=1),
            location=np.stack([one.location for one in each], axis=1),
            scale=np.stack([one.scale for one in each], axis=1), bars=bars,
        )  # fmt: skip

    return make


@pytest.mark.parametrize("sessions", [1, pytest.param(2, marks=pytest.mark.accept)])
def test_the_shipped_path_has_no_finding_on_the_sample(sessions: int, sample_config: MakeConfig) -> None:
    told: list[tuple[int, int, str]] = []
    report = audit(sample_config(), sessions=sessions, on_progress=lambda *at: told.append(at))
    assert report.findings == ()
    assert report.counts()["causal"] > 250
    assert report.counts()["leak"] == report.counts()["foreknowing"] == report.counts()["implausible"] == 0
    tables = ["prices", "macro", "fundamentals", "sentiment", "events"]
    assert [verdict.name for verdict in report.tables] == [*tables, "calendar"]
    assert {report.table(name).computation.word for name in tables} == {"causal"}
    assert [done for done, _, _ in told] == list(range(len(told)))
    assert all(done <= total for done, total, _ in told)


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_real_tables_have_no_finding(real_data: Path) -> None:
    names = ("prices", "macro", "fundamentals", "sentiment")
    document = {"inputs": {name: str(real_data / f"{name}.csv.gz") for name in names}, "symbols": ["TSLA"]}
    report = audit(parse_config(document | {"store": {"path": "unused"}}, Path("finnex.toml")), sessions=3)
    assert report.findings == ()
    assert report.counts()["causal"] > 250


def test_what_no_comparison_could_have_refuted_is_not_called_causal(sample_config: MakeConfig, inputs: Tables) -> None:
    report = audit(sample_config(), sessions=1, make=one_family("fundamental"), tables=replace(inputs, events=None))
    assert report.feature("gross_margin").computation.word == "causal"
    assert report.feature("gross_margin").computation.evidence.startswith("at ")
    assert report.feature("rsi_14").computation.word == "not shown"
    assert "never known" in report.feature("rsi_14").computation.evidence
    assert report.table("macro").computation.word == "not shown"
    assert "could have failed" in report.table("macro").computation.evidence


@pytest.fixture(scope="module")
def of_the_spread(
    inputs: Tables, sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> AuditReport:
    """The audit of one feature, which one series of a table of many feeds."""

    def the_spread_alone(_: Context, found: Features) -> None:
        for name in set(found) - {"credit_spread"}:
            del found[name]

    config = sampled_config(sample_inputs, tmp_path_factory.mktemp("spread"), **APRIL)
    return audit(config, sessions=1, make=one_family("macro", the_spread_alone), tables=inputs)


def test_an_answer_carries_what_is_not_shown(of_the_spread: AuditReport) -> None:
    report = of_the_spread
    assert report.feature("credit_spread").computation.word == "causal"
    assert report.feature("credit_spread").availability.word == "as claimed"
    assert "not provable from one file" in report.feature("credit_spread").availability.evidence
    assert report.feature("credit_spread").notes == ("revised_macro",)
    assert set(report.table("prices").notes) == {"adjusted_prices", "chosen_symbols"}
    assert {"revised_macro", "calendar_closures", "chosen_symbols", "adjusted_prices"} <= set(report.caveats)


def test_the_answer_of_a_table_counts_the_series_that_were_tested_and_names_the_others(
    of_the_spread: AuditReport, inputs: Tables
) -> None:
    assert inputs.macro is not None
    report = of_the_spread
    answer = report.table("macro").foreknowledge
    told = re.match(r"in (\d+) of (\d+) series, over at most (\d+) sessions; not tested: macro", answer.evidence)
    assert answer.word == "none found"
    assert told is not None
    tested, series, most = map(int, told.groups())
    assert series == inputs.macro["series"].nunique()
    assert 0 < tested < series
    assert f"and {series - tested - 3} more" in answer.evidence or series - tested <= 3
    assert 500 < most < inputs.prices["date"].nunique()  # fewer than there are: a comparison needs sessions around it
    assert report.table("events").foreknowledge == Answer("not tested", "no series of numbers")
    assert report.table("macro").computation.evidence.endswith("changed nothing before, and 1 feature after")
    assert report.feature("credit_spread").computation.evidence.startswith("at ")


def test_a_table_of_which_nothing_was_tested_is_not_called_free_of_foreknowledge() -> None:
    few, enough = OneTested(0, "known in 40 sessions, 100 are needed"), OneTested(380)
    reason = "(known in 40 sessions, 100 are needed)"
    assert answer_of_table({"a": few}) == Answer("not tested", f"none of 1 series: a {reason}")
    assert answer_of_table({"a": few, "b": enough, "c": OneTested(1200)}) == Answer(
        "none found", f"in 2 of 3 series, over at most 1,200 sessions; not tested: a {reason}"
    )
    many = answer_of_table(dict.fromkeys("abcde", few) | {"f": enough}).evidence
    assert many.endswith(f"not tested: a {reason}, b {reason}, c {reason} and 2 more")
    assert answer_of_feature([few, enough]) == Answer("none found", "in 380 sessions of 1 of 2 symbols")
    assert answer_of_feature([few, few]) == Answer("not tested", few.untested)


# Planted leaks. Each says the feature, the table, and something of the row that must be named.


def centred_mean(context: Context, found: Features) -> None:
    close = context.close
    found["close_to_sma_20"] = np.log(close / close.rolling(21, center=True).mean()).to_numpy()


def tomorrow(context: Context, found: Features) -> None:
    found["return_1"] = pd.Series(found["return_1"]).shift(-1).to_numpy()


def carried_backwards(context: Context, found: Features) -> None:
    margin = pd.Series(found["gross_margin"])
    found["gross_margin"] = margin.where(margin != margin.shift(1)).bfill().to_numpy()


def peers_ahead(context: Context, found: Features) -> None:
    found["peer_momentum_20"] = pd.Series(found["peer_momentum_20"]).shift(-1).to_numpy()


def fundamentals_as_of_period_end(tables: Tables) -> Tables:
    assert tables.fundamentals is not None
    return replace(tables, fundamentals=tables.fundamentals.assign(available=tables.fundamentals["period_end"]))


def macro_as_of_observation(tables: Tables) -> Tables:
    assert tables.macro is not None
    return replace(tables, macro=tables.macro.assign(available=tables.macro["date"]))


def sentiment_by_date(tables: Tables) -> Tables:
    assert tables.sentiment is not None
    return replace(tables, sentiment=tables.sentiment.assign(timestamp=tables.sentiment["timestamp"].dt.normalize()))


def events_known_for_ever(tables: Tables) -> Tables:
    assert tables.events is not None
    return replace(tables, events=tables.events.assign(announced=pd.Timestamp("2000-01-03")))


PLANTED = {
    "a centred mean": ("technical", centred_mean, None, "close_to_sma_20", "prices", "NVDA"),
    "a return shifted by one": ("technical", tomorrow, None, "return_1", "prices", "NVDA"),
    "a figure carried backwards": ("fundamental", carried_backwards, None, "gross_margin", "fundamentals", "NVDA"),
    "peers one day ahead": ("competitive", peers_ahead, None, "peer_momentum_20", "prices", ""),
    "fundamentals as of period end": (
        "fundamental", None, fundamentals_as_of_period_end, "gross_margin", "fundamentals", "period_end 2015-03-31",
    ),
    "macro as of its observation": ("macro", None, macro_as_of_observation, "credit_spread", "macro", "A"),
    "sentiment by date": ("sentiment", None, sentiment_by_date, "news_level", "sentiment", "NVDA, news"),
    "an event before its announcement": ("calendar_events", None, events_known_for_ever, "sessions_to_fomc", "events",
                                         "FOMC"),
}  # fmt: skip


SHORTER = ("fundamentals as of period end",)


@pytest.mark.parametrize(
    "what", [pytest.param(one, marks=() if one in SHORTER else pytest.mark.accept) for one in PLANTED]
)
def test_a_planted_leak_is_named_with_its_feature_its_table_and_its_row(
    what: str, sample_config: MakeConfig, inputs: Tables
) -> None:
    family, plant, change, feature, table, key = PLANTED[what]
    report = audit(sample_config(**APRIL), sessions=1, make=one_family(family, plant, change), tables=inputs)
    found = [one for one in report.findings if feature in one.features]
    assert table in {one.table for one in found}
    assert report.feature(feature).leaks
    assert report.table(table).leaks
    rows = [row for one in found if one.table == table for row in one.rows]
    assert any(key in row.key and (row.added or row.file_row is not None) for row in rows)
    computed = [one for one in report.findings if one.kind in ("look_ahead", "normalizer_looks_ahead")]
    others = {name for one in computed for name in one.features} - {feature}
    assert plant is None or others == set(), "the leak is one feature's only"


@pytest.mark.accept
def test_the_row_that_leaked_is_the_row_of_the_file(
    sample_config: MakeConfig, sample_inputs: dict[str, Path], inputs: Tables
) -> None:
    report = audit(sample_config(), sessions=1, make=one_family("technical", tomorrow), tables=inputs)
    finding = report.findings[0]
    row = finding.rows[0]
    line = pd.read_csv(sample_inputs["prices"], dtype=str).iloc[row.file_row - 2]  # type: ignore[operator]
    assert line["symbol"] == "NVDA"
    assert line["date"] == row.day
    days = session_calendar("XNYS", *(day.date() for day in YEARS)).days
    assert np.datetime64(row.day) == days[np.searchsorted(days, np.datetime64(finding.session)) + 1]


def whole_sample_scale(make: Make) -> Make:
    def leaking(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec]) -> Panel:
        panel = make(tables, config, symbol, specs)
        column = panel.features.index("rsi_14")
        values = panel.original[:, column]
        normalized = panel.normalized.copy()
        normalized[:, column] = 0.5 + 0.1 * (values - np.nanmean(values)) / np.nanstd(values)
        return replace(panel, normalized=normalized)

    return leaking


@pytest.mark.accept
def test_a_normaliser_fitted_on_the_whole_sample_is_told_from_a_feature_that_leaks(
    sample_config: MakeConfig, inputs: Tables
) -> None:
    report = audit(sample_config(), sessions=1, make=whole_sample_scale(one_family("technical")), tables=inputs)
    assert {one.kind for one in report.findings} == {"normalizer_looks_ahead"}
    assert {name for one in report.findings for name in one.features} == {"rsi_14"}
    assert report.findings[0].rows[0].key == "NVDA"
    assert "the image differs too" in report.findings[0].evidence


@pytest.mark.accept
def test_a_build_that_fails_without_the_future_is_a_finding(sample_config: MakeConfig, inputs: Tables) -> None:
    honest = one_family("technical")

    def brittle(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec]) -> Panel:
        if tables.prices["date"].max() < pd.Timestamp("2015-09-01"):
            raise ValueError("no bar of autumn")
        return honest(tables, config, symbol, specs)

    report = audit(sample_config(), sessions=1, make=brittle, tables=inputs)
    assert report.findings[0].table == "prices"
    assert "no bar of autumn" in report.findings[0].evidence


@pytest.mark.accept
def test_a_feature_that_holds_the_next_filing_is_foreknowing_and_the_report_says_what_was_asked(
    sample_config: MakeConfig, inputs: Tables
) -> None:
    assert inputs.fundamentals is not None
    own = inputs.fundamentals[inputs.fundamentals["symbol"] == "NVDA"].sort_values("available")

    def next_margin(context: Context, found: Features) -> None:
        margin = (own["net_income"] / own["revenue"]).to_numpy()
        ahead = np.searchsorted(own["available"].to_numpy().astype("datetime64[D]"), context.calendar.days)
        found["net_margin"] = np.append(margin, np.nan)[ahead]

    def asked(plant: Plant | None) -> AuditReport:
        return audit(sample_config(**APRIL), sessions=1, make=one_family("fundamental", plant), tables=inputs)

    report = asked(next_margin)
    (finding,) = (one for one in report.findings if "of the next filing" in one.evidence)
    assert (finding.kind, finding.table, finding.features) == ("foreknowing", "fundamentals", ("net_margin",))
    assert "net_margin knows at the end of a quarter the net_income to revenue of the next filing" in finding.evidence
    assert report.feature("net_margin").foreknowledge.word == "foreknowing"
    assert "quarters for equality (5 are needed)" in report.next_filing["NVDA"]
    assert report.as_dict()["next_filing"] == report.next_filing
    assert asked(None).passed
    alone = audit(sample_config(), sessions=1, make=one_family("technical"), tables=replace(inputs, fundamentals=None))
    assert alone.next_filing == {"NVDA": "not tested: there is no fundamentals table"}


# What tables say of themselves.


@pytest.mark.accept
def test_fundamentals_dated_by_their_period_end_are_found(sample_config: MakeConfig, inputs: Tables) -> None:
    told = fundamentals_as_of_period_end(inputs)
    report = audit(sample_config(), sessions=1, make=one_family("fundamental"), tables=told)
    (finding,) = report.findings
    assert finding.kind == "fundamentals_dated_by_period_end"
    assert "all 66 rows are available 0 days after their period ended" in finding.evidence
    assert "gross_margin" in finding.features
    assert len(finding.rows) == 3
    assert report.feature("gross_margin").availability.word == "implausible"
    assert report.table("fundamentals").availability.word == "implausible"


@pytest.mark.accept
def test_a_monthly_series_dated_by_its_observation_is_found_and_a_daily_quote_is_not(
    sample_config: MakeConfig, inputs: Tables
) -> None:
    told = macro_as_of_observation(inputs)
    report = audit(sample_config(), sessions=1, make=one_family("macro"), tables=told)
    assert {one.kind for one in report.findings} == {"macro_dated_by_observation"}
    assert [one.evidence.split("'")[1] for one in report.findings] == ["AAA", "BAA", "CPILFESL"]
    assert "credit_spread" in report.findings[0].features
    assert "core_cpi_change_12m" not in report.findings[0].features


def at_midnight_of(zone: str, inputs: Tables) -> Tables:
    assert inputs.sentiment is not None
    stamps = inputs.sentiment["timestamp"].dt.tz_localize("UTC").dt.tz_convert(zone).dt.normalize()
    records = inputs.sentiment.assign(timestamp=stamps.dt.tz_convert("UTC").dt.tz_localize(None))
    return replace(inputs, sentiment=records.sort_values(["symbol", "timestamp"], ignore_index=True, kind="stable"))


@pytest.mark.accept
def test_records_that_all_have_one_hour_before_the_close_are_found(sample_config: MakeConfig, inputs: Tables) -> None:
    stamped = at_midnight_of("America/New_York", inputs)
    report = audit(sample_config(), sessions=1, make=one_family("sentiment"), tables=stamped)
    assert {one.kind for one in report.findings} == {"sentiment_stamped_at_one_hour"}
    news = next(one for one in report.findings if "synthetic_desk" in one.evidence)
    assert "news_level" in news.features
    assert "social_level" not in news.features


@pytest.mark.accept
def test_records_at_one_hour_after_the_close_are_no_finding(sample_config: MakeConfig, inputs: Tables) -> None:
    stamped = at_midnight_of("UTC", inputs)  # the evening before in New York
    report = audit(sample_config(), sessions=1, make=one_family("sentiment"), tables=stamped)
    assert report.findings == ()


def test_a_daily_score_stamped_at_the_end_of_its_day_is_no_finding() -> None:
    days = pd.date_range("2015-01-05", periods=40).tz_localize("America/New_York") + pd.Timedelta("23:59:00")
    records = pd.DataFrame(
        {"symbol": "A", "timestamp": days.tz_convert("UTC").tz_localize(None), "source": "news", "provider": "daily"}
    )
    calendar = session_calendar("XNYS", *(pd.Timestamp(day).date() for day in ("2015-01-02", "2015-12-31")))
    assert sentiment_clocks(records, calendar, "XNYS") == []
    noon = records.assign(timestamp=records["timestamp"].dt.normalize() + pd.Timedelta("12:00:00"))
    assert len(sentiment_clocks(noon, calendar, "XNYS")) == 1


# Enhanced files.


@dataclass(frozen=True)
class Market:
    symbol: str
    days: np.ndarray
    bars: dict[str, np.ndarray]
    computed: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def market() -> Market:
    rng = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, 1500)))
    bars = {"open": close * np.exp(rng.normal(0, 0.003, 1500)), "close": close}
    bars |= {
        "high": close * np.exp(rng.uniform(0.01, 0.03, 1500)),
        "low": close * np.exp(-rng.uniform(0.01, 0.03, 1500)),
    }
    bars |= {"volume": np.exp(rng.normal(13, 0.3, 1500))}
    rsi = pd.Series(np.log(close)).diff().rolling(14).mean().to_numpy()
    return Market("A", np.arange("2015-01-01", 1500, dtype="datetime64[D]"), bars, {"rsi_14": rsi})


def column(market: Market, **values: np.ndarray) -> pd.DataFrame:
    days = pd.to_datetime(market.days.astype("datetime64[ns]"))
    return pd.DataFrame({"symbol": market.symbol, "date": days, **values})


def bars_of(market: Market) -> Bars:
    return Bars(**market.bars, market=np.zeros(len(market.days)))


LEAKING = (
    "the return to come", "a centred return", "the next close", "a noisy return to come", "a label",
    "a rank of the return to come", "a centred mean", "a feature one session early", "the sign, right in 70 %",
    "the volume of tomorrow", "the range of tomorrow",
)  # fmt: skip


def leaking_columns(market: Market) -> dict[str, np.ndarray]:
    close, rng = pd.Series(market.bars["close"]), np.random.default_rng(8)
    noise, logarithm = rng.normal(size=1500), np.log(close)
    five, one = (logarithm.shift(-5) - logarithm).to_numpy(), (logarithm.shift(-1) - logarithm).to_numpy()
    return {
        "the return to come": np.expm1(five),
        "a centred return": (logarithm.shift(-3) - logarithm.shift(3)).to_numpy(),
        "the next close": close.shift(-1).to_numpy(),
        "a noisy return to come": five + 0.05 * noise,
        "a label": np.where(np.isnan(five), np.nan, five > 0),
        "a rank of the return to come": pd.Series(five).rank(pct=True).to_numpy() ** 9,
        "a centred mean": close.rolling(21, center=True).mean().to_numpy(),
        "a feature one session early": pd.Series(market.computed["rsi_14"]).shift(-1).to_numpy(),
        "the sign, right in 70 %": np.where(rng.uniform(size=1500) < 0.7, np.sign(one), -np.sign(one)),
        "the volume of tomorrow": pd.Series(market.bars["volume"]).shift(-1).to_numpy(),
        "the range of tomorrow": pd.Series(np.log(market.bars["high"] / market.bars["low"])).shift(-1).to_numpy(),
    }


@pytest.mark.parametrize("what", LEAKING)
def test_a_series_that_knows_the_future_is_found(what: str, market: Market) -> None:
    (found,) = foreknowing([{"x": leaking_columns(market)[what]}], bars_of(market)).found
    assert found.name == "x"
    assert abs(found.correlation) > 0.2
    assert abs(found.z) > found.threshold


def test_an_honest_series_is_no_finding(market: Market) -> None:
    close = pd.Series(market.bars["close"])
    honest = {
        "rsi_14": market.computed["rsi_14"],
        "return_20": np.log(close / close.shift(20)).to_numpy(),
        "close_to_sma_50": np.log(close / close.rolling(50).mean()).to_numpy(),
        "price": close.to_numpy(),
        "inside_the_window": (close > close.shift(55)).astype("float64").to_numpy(),
        "quarterly": np.repeat(np.arange(25.0), 60),
        "rank": close.rolling(252, min_periods=20).rank(pct=True).to_numpy(),
    }
    search = foreknowing([honest], bars_of(market))
    assert search.found == []
    assert "changes in 24 sessions" in search.untested["quarterly"]
    assert fitted_on_everything(column(market, **honest)) == []


def test_noise_is_called_foreknowing_in_less_than_one_market_of_a_hundred() -> None:
    """60 markets with clustered volatility, 40 series each, some persistent, some moved by past returns."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(260, 500))
        spread = 0.01 * np.exp(0.5 * pd.Series(rng.normal(size=n)).ewm(span=30).mean().to_numpy() * 4)
        step = rng.normal(size=n) * spread
        close = 50 * np.exp(np.cumsum(step))
        opened = close * np.exp(rng.normal(0, 0.003, n))
        high, low = np.maximum(opened, close) * np.exp(spread), np.minimum(opened, close) * np.exp(-spread)
        volume = np.exp(13 + np.log(spread) + rng.normal(0, 0.3, n))
        past = pd.Series(step)
        series = {f"walk {i}": np.cumsum(rng.normal(size=n)) for i in range(10)}
        series |= {f"noise {i}": rng.normal(size=n) for i in range(10)}
        series |= {f"mean {i}": past.rolling(i + 2).mean().to_numpy() for i in range(10)}
        series |= {f"reacts {i}": (past.rolling(i + 1).sum() + 0.02 * rng.normal(size=n)).to_numpy() for i in range(10)}
        alarms += len(foreknowing([series], Bars(opened, high, low, close, volume, np.zeros(n)), seed).found)
    assert alarms == 0


def test_a_column_normalised_over_the_whole_file_is_found_and_one_over_its_past_is_not(market: Market) -> None:
    close = pd.Series(market.bars["close"])
    table = column(
        market,
        standard=((close - close.mean()) / close.std()).to_numpy(),
        rounded=((close - close.mean()) / close.std(ddof=0)).round(6).to_numpy(),
        ranged=((close - close.min()) / (close.max() - close.min())).to_numpy(),
        ranks=close.rank(pct=True).round(4).to_numpy(),
        scores=stats.norm.ppf((close.rank() - 0.5) / 1500),
        transformed=np.clip(stats.norm.ppf((close.rank() - 1) / 1499), stats.norm.ppf(1e-7), -stats.norm.ppf(1e-7)),
        robust=((close - close.median()) / (close.quantile(0.75) - close.quantile(0.25))).to_numpy(),
        largest=(close / close.max()).to_numpy(),
        causal=((close - close.rolling(252).mean()) / close.rolling(252).std()).to_numpy(),
        flag=(np.arange(1500) > 1000).astype("float64"),
        **honest_scales(close),
    )
    leaking = ["standard", "rounded", "ranged", "ranks", "scores", "transformed", "robust", "largest"]
    assert [one.features[0] for one in fitted_on_everything(table)] == leaking


def honest_scales(close: pd.Series) -> dict[str, np.ndarray]:
    daily = close.diff()
    past, half = close.expanding(20), close.iloc[:750]
    honest = {
        "oscillator": daily.clip(lower=0).rolling(10).sum() / daily.abs().rolling(10).sum(),
        "rank_yet": past.rank(pct=True),
        "share_of_the_highest_yet": close / close.cummax(),
        "robust_yet": (close - past.median()) / (past.quantile(0.75) - past.quantile(0.25)),
        "session": pd.Series(np.arange(1500.0)),
        "share_of_the_year": pd.Series(np.arange(1500) % 250 / 249),
        "streak": daily.gt(0).groupby(daily.gt(0).diff().fillna(1).cumsum()).cumcount().astype("float64"),
        "robust_of_the_first_half": (close - half.median()) / (half.quantile(0.75) - half.quantile(0.25)),
        "rank_that_holds_of_the_half_too": pd.Series(np.arange(1500.0)[::-1]),
    }
    return {name: values.to_numpy() for name, values in honest.items()}


def test_a_later_vintage_that_changes_published_values_is_found_with_its_rows(market: Market, tmp_path: Path) -> None:
    close = pd.Series(market.bars["close"])
    centred = close.rolling(21, center=True, min_periods=1).mean
    now = column(market, causal=close.to_numpy(), leaking=centred().to_numpy()).iloc[:1400]
    now["leaking"] = close[:1400].rolling(21, center=True, min_periods=1).mean()
    path = tmp_path / "enhanced.csv"
    now.to_csv(path, index=False)
    later = column(market, causal=close.to_numpy(), leaking=centred().to_numpy())
    seen = compare_vintage(now, later, [(path, Reading("enhanced"))], path)
    (finding,) = seen.findings
    assert finding.kind == "enhanced_vintage_differs"
    assert finding.features == ("leaking",)
    assert "10 of 1400" in finding.evidence
    assert [row.file_row for row in finding.rows] == [1392, 1393, 1394]
    assert seen.stayed == {"causal": 1400}


def test_a_vintage_that_reaches_no_further_shows_nothing(market: Market, tmp_path: Path) -> None:
    table = column(market, causal=market.bars["close"])
    assert compare_vintage(table, table, [], tmp_path / "same.csv") == Vintage([], {})


def test_a_vintage_that_says_something_else_is_found_however_far_it_reaches(market: Market, tmp_path: Path) -> None:
    table = column(market, causal=market.bars["close"], other=market.bars["open"])
    later = table.assign(causal=table["causal"] * 1.1).drop(columns="other")
    seen = compare_vintage(table, later, [], tmp_path / "later.csv")
    assert {finding.kind: finding.features for finding in seen.findings} == {
        "enhanced_vintage_differs": ("causal",), "enhanced_vintage_lost_columns": ("other",),
    }  # fmt: skip
    assert seen.stayed == {}


# Labels.


def kusuma(close: np.ndarray, lookback: int, ahead: int) -> Labels:
    n = len(close)
    later, first = np.full(n, np.nan), np.full(n, np.nan)
    later[: n - ahead] = close[ahead:]
    first[lookback - 1 :] = close[: n - lookback + 1]
    known = ~np.isnan(later) & ~np.isnan(first)
    label = np.where(known, np.where(later > first, BUY, SELL), -1).astype(np.int8)[:, None]
    end = np.where(known, np.arange(n) + ahead, 0).astype("datetime64[D]")[:, None]
    return Labels(label, (later / first - 1).astype(np.float32)[:, None], end)


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_kusuma_label_is_decided_inside_the_window(ahead: int, market: Market) -> None:
    bars = pd.DataFrame(market.bars)
    found = audit_labels(kusuma(market.bars["close"], 20, ahead), bars, 20)
    assert {one.kind for one in found} == {"label_inside_the_window"}
    assert any("the close of the session itself is above the close 19 sessions before" in one.evidence for one in found)
    assert any("return starts at the close 19 sessions before" in one.evidence for one in found)


def test_shipped_labels_begin_after_the_window(market: Market) -> None:
    bars = pd.DataFrame(market.bars)
    labels = make_labels(bars, market.days, LabelSettings())
    assert audit_labels(labels, bars, 56, market.days) == []


def test_a_return_that_starts_at_the_last_shown_close_is_found(market: Market) -> None:
    close = pd.Series(market.bars["close"])
    days = market.days
    labels = make_labels(pd.DataFrame(market.bars), days, LabelSettings())["price_movement"]
    outcome = np.stack([(close.shift(-h) / close - 1).to_numpy() for h in (1, 3, 5, 10, 20)], axis=1)
    found = audit_labels(replace(labels, outcome=outcome.astype(np.float32)), pd.DataFrame(market.bars), 56, days)
    assert len(found) == 5
    assert "starts at the close of the session itself" in found[0].evidence


@pytest.mark.accept
def test_a_label_that_claims_to_be_known_by_its_decision_is_found(sample_config: MakeConfig, inputs: Tables) -> None:
    def early(bars: pd.DataFrame, days: np.ndarray, settings: LabelSettings) -> dict[str, Labels]:
        return {
            kind: replace(one, end=np.where(np.isnat(one.end), one.end, days[:, None]))
            for kind, one in make_labels(bars, days, settings).items()
        }

    report = audit(sample_config(), sessions=1, make=one_family("technical"), labels=early, tables=inputs)
    assert {one.kind for one in report.findings} == {"label_inside_the_window", "label_end_too_early"}
    assert any("label_price_movement[5]" in one.features for one in report.findings)


# The command.


def prices_only(folder: Path, tables: Tables, **enhanced: np.ndarray) -> Path:
    prices = tables.prices[tables.prices["symbol"].isin(["NVDA", "AAPL"])]
    prices.to_csv(folder / "prices.csv", index=False)
    lines = ['symbols = ["NVDA"]', "start = 2015-03-02", "end = 2015-06-30", "[store]", 'path = "images"', "[inputs]",
             'prices = "prices.csv"']  # fmt: skip
    if enhanced:
        own = prices[prices["symbol"] == "NVDA"]
        own[["symbol", "date"]].assign(**enhanced).to_csv(folder / "enhanced.csv", index=False)
        lines.append('enhanced = "enhanced.csv"')
    (folder / "finnex.toml").write_text("\n".join(lines))
    return folder / "finnex.toml"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["audit", *(str(argument) for argument in arguments)])
    screen = capsys.readouterr()
    return int(stopped.value.code or 0), screen.out, screen.err


def test_the_command_answers_one_json_object_and_exits_with_0_where_nothing_is_found(
    inputs: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of prices and of a table of one column whose few values no comparison tests: it is not called causal."""
    close = inputs.prices.loc[inputs.prices["symbol"] == "NVDA", "close"].reset_index(drop=True)
    config = prices_only(tmp_path, inputs, rsi_14=close.where(close.index % 40 == 0).to_numpy())
    code, printed, _ = run(capsys, "--config", config, "--sessions", 1, "--seed", 3, "--json")
    answer = json.loads(printed)
    assert code == 0
    assert answer["passed"] is True
    assert answer["next_filing"] == {"NVDA": "not tested: there is no fundamentals table"}
    assert answer["counts"]["causal"] > 100
    verdicts = {table["name"]: table for table in answer["tables"]}
    assert list(verdicts) == ["prices", "enhanced", "calendar"]
    assert verdicts["enhanced"]["computation"]["word"] == "not shown"
    assert verdicts["enhanced"]["foreknowledge"]["word"] == "not tested"
    assert verdicts["enhanced"]["foreknowledge"]["evidence"].startswith("none of 1 series: rsi_14 (known in ")
    assert len(answer["sessions"]["NVDA"]) >= 1
    assert "chosen_symbols" in answer["not_shown"]


def test_the_command_exits_with_1_on_a_finding_and_names_it(
    inputs: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    close = inputs.prices.loc[inputs.prices["symbol"] == "NVDA", "close"]
    future = (np.log(close).shift(-5) - np.log(close)).to_numpy()
    config = prices_only(tmp_path, inputs, return_5=future)
    code, printed, _ = run(capsys, "--config", config, "--sessions", 1)
    assert code == 1
    assert "foreknowing in enhanced" in printed
    assert "Figures of the next filing, NVDA: not tested: there is no fundamentals table." in " ".join(printed.split())
    assert "return_5 with the return" in " ".join(printed.split())


@pytest.mark.accept
def test_a_later_vintage_shows_that_an_enhanced_column_is_stable_and_no_more(
    inputs: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    close = inputs.prices.loc[inputs.prices["symbol"] == "NVDA", "close"]
    config = prices_only(tmp_path, inputs, rsi_14=close.diff().rolling(14).mean().to_numpy())
    whole = pd.read_csv(tmp_path / "enhanced.csv")
    whole.iloc[:-40].to_csv(tmp_path / "enhanced.csv", index=False)
    whole.to_csv(tmp_path / "later.csv", index=False)
    answers = [
        json.loads(run(capsys, "--config", config, "--sessions", 1, "--json", *more)[1])
        for more in ((), ("--vintage", tmp_path / "later.csv"))
    ]
    verdicts = [next(one for one in answer["features"] if one["name"] == "rsi_14") for answer in answers]
    assert [verdict["computation"]["word"] for verdict in verdicts] == ["not shown", "not shown"]
    evidence = [verdict["computation"]["evidence"] for verdict in verdicts]
    assert "later vintage" not in evidence[0]
    assert "published values are the same in a later vintage" in evidence[1]
    whole.assign(rsi_14=whole["rsi_14"] + 1).to_csv(tmp_path / "later.csv", index=False)
    code, printed, _ = run(capsys, "--config", config, "--sessions", 1, "--vintage", tmp_path / "later.csv", "--json")
    assert code == 1
    assert [one["kind"] for one in json.loads(printed)["findings"]] == ["enhanced_vintage_differs"]
    mapped = 'columns = { enhanced = { date = "Day" } }\n'
    config.write_text(config.read_text().replace("[inputs]\n", f"[inputs]\n{mapped}"))
    for name in ("enhanced.csv", "later.csv"):
        pd.read_csv(tmp_path / name).rename(columns={"date": "Day"}).to_csv(tmp_path / name, index=False)
    code, printed, _ = run(capsys, "--config", config, "--sessions", 1, "--vintage", tmp_path / "later.csv", "--json")
    assert [one["kind"] for one in json.loads(printed)["findings"]] == ["enhanced_vintage_differs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--vintage", "later.csv"), "has no [inputs] enhanced"),
        (("--symbol", "NVDIA"), "Did you mean 'NVDA'?"),
        (("--sessions", "0"), "--sessions"),
    ],
)
def test_bad_input_exits_with_2_and_one_message(
    arguments: tuple[str, ...], message: str, inputs: Tables, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = run(capsys, "--config", prices_only(tmp_path, inputs), *arguments)
    assert code == 2
    assert message in told
    assert "Traceback" not in told


def test_a_symbol_without_a_later_bar_cannot_be_audited(sample_config: MakeConfig, inputs: Tables) -> None:
    end = inputs.prices["date"].max().date()
    with pytest.raises(ConfigError, match="no session of NVDA to audit"):
        audit(sample_config(start=end, end=end), sessions=1, make=make_panel, tables=inputs)


@pytest.mark.accept
def test_the_same_seed_gives_the_same_answer(sample_config: MakeConfig, inputs: Tables) -> None:
    def once() -> AuditReport:
        return audit(sample_config(), sessions=1, seed=4, make=one_family("technical", tomorrow), tables=inputs)

    first, second = once(), once()
    assert (first.sessions, first.findings, first.features) == (second.sessions, second.findings, second.features)
