from __future__ import annotations

import doctest
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.data.features import symbol_bars, symbol_calendar
from finnex.data.label_kinds import all_labels
from finnex.data.tables import Tables, read_tables
from finnex.datasets.samples import labelled_samples
from finnex.exam import planted_market as module
from finnex.exam.hidden_paths import PEERS
from finnex.exam.planted_market import PlantedMarket, planted_market
from finnex.exam.planted_patterns import (
    BOTH,
    EVERY,
    FIRST,
    FLIPPED,
    LENGTH,
    NOTHING,
    PRICE,
    QUIET,
    SENTIMENT,
    SHARES,
    SLOT,
    TURN,
    decisions_of,
    latent_bounds,
    sequences,
)
from finnex.pipeline import build, read_run
from finnex.store import ImageStore

KNOWN = {"prices": "date", "companies": "from", "macro": "available", "fundamentals": "available",
         "sentiment": "timestamp", "events": "announced"}  # fmt: skip
WINDOW = 56


@lru_cache
def market(seed: int = 0, companies: int = 6, sessions: int = 700) -> PlantedMarket:
    return planted_market(seed, companies, sessions)


@lru_cache
def long_market(seed: int) -> PlantedMarket:
    return planted_market(seed, 8, 3_400)


def frames(tables: Tables) -> dict[str, pd.DataFrame]:
    given = {field.name: getattr(tables, field.name) for field in fields(Tables)}
    return {name: frame for name, frame in given.items() if frame is not None}


def test_the_example_runs() -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_seed_decides_everything() -> None:
    again = planted_market(0, 6, 700)
    for name, frame in frames(market().tables).items():
        pd.testing.assert_frame_equal(frame, frames(again.tables)[name], check_exact=True, obj=name)
    pd.testing.assert_frame_equal(market().answers, again.answers)
    assert not market(1).answers["label"].equals(market().answers["label"])
    assert not market(1).tables.prices["close"].equals(market().tables.prices["close"])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("short", [611, 642])  # between decisions; the last outcome is that of the last session
def test_what_comes_later_changes_nothing_before_it(seed: int, short: int) -> None:
    cut, whole = planted_market(seed, 6, short), market(seed)
    last = pd.Timestamp(cut.days[-1])
    assert set(frames(cut.tables)) == set(KNOWN)
    for name, frame in frames(cut.tables).items():
        # Of filings and schedules a market has the days before its last session.
        until = last + pd.Timedelta(hours=0 if name in {"fundamentals", "events"} else 16)
        kept, same = (
            one[one[KNOWN[name]] < until].reset_index(drop=True) for one in (frame, frames(whole.tables)[name])
        )
        if name == "companies":  # the decision of the last session has no outcome yet, and is no membership
            same = same[same["from"] < last].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, same, obj=name, check_exact=True)
        assert len(frames(whole.tables)[name]) > len(frame) or name == "events"
    rows = whole.answers
    pd.testing.assert_frame_equal(cut.answers, rows[rows["session"] + 1 < short].reset_index(drop=True))


def test_a_company_that_is_added_changes_no_other() -> None:
    few, more = market(0, 2), market(0, 6)
    for name in (*few.symbols, *PEERS):
        for table in ("prices", "sentiment", "fundamentals"):
            own, same = (one.tables.of(table, name).reset_index(drop=True) for one in (few, more))
            pd.testing.assert_frame_equal(own, same, check_exact=True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_of_finnex_are_the_planted_classes_at_decisions_and_unknown_elsewhere(seed: int) -> None:
    one = market(seed)
    seen = 0
    for symbol, own in one.decisions.items():
        calendar = symbol_calendar(one.tables, one.config, symbol)
        bars = symbol_bars(one.tables, symbol, calendar)
        labels = all_labels(one.tables, one.config, symbol, bars, calendar.days)["price_movement"]
        planned = np.full(len(calendar), -1)
        planned[own.session] = own.label
        assert one.config.labels.horizon == 1
        assert labels.label[:, 0].tolist() == planned.tolist()
        assert (labels.end[own.session, 0] == calendar.days[own.session + 1]).all()  # one session's return
        seen += len(own)
    assert seen == len(one.answers) > 60


def test_labels_without_memberships_are_the_planted_classes_too() -> None:
    one = market()
    bare = Tables(prices=one.tables.prices)
    for symbol, own in one.decisions.items():
        calendar = symbol_calendar(bare, one.config, symbol)
        bars = symbol_bars(bare, symbol, calendar)
        label = all_labels(bare, one.config, symbol, bars, calendar.days)["price_movement"].label[:, 0]
        assert label[own.session].tolist() == own.label.tolist()
        assert (label[100:-1] >= 0).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_classes_and_regimes_have_their_shares(seed: int) -> None:
    rows = long_market(seed).answers
    n = len(rows)
    assert n > 600
    for column, expected in (("label", (1 / 3, 1 / 3, 1 / 3)), ("regime", SHARES)):
        share = np.bincount(rows[column], minlength=3) / n
        error = np.sqrt(np.array(expected) * (1 - np.array(expected)) / n)
        assert (np.abs(share - expected) < 4 * error).all(), column
    for regime in (PRICE, SENTIMENT, BOTH):
        own = rows[rows["regime"] == regime]
        share = np.bincount(own["label"], minlength=3) / len(own)
        assert (np.abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / len(own))).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_true_rule_is_right_but_for_the_flipped(seed: int) -> None:
    rows = long_market(seed).answers
    right = (rows["answer"] == rows["label"]).mean()
    assert right >= 0.90
    assert abs(right - (1 - FLIPPED)) < 4 * np.sqrt(FLIPPED * (1 - FLIPPED) / len(rows))


def test_decision_dates_are_ten_sessions_apart_and_a_window_shows_one_decision() -> None:
    one = market()
    dates = np.unique(one.answers["session"])
    assert (np.diff(dates) == EVERY).all()
    assert dates[0] == FIRST
    for own in one.decisions.values():
        assert (np.diff(own.session) == TURN).all()
        for start in (own.price_start, own.sentiment_start):
            begin = own.first_session(start)[start != NOTHING]
            at = own.session[start != NOTHING]
            assert (begin > at - SLOT).all()
            assert (begin + LENGTH <= at - QUIET + 1).all()
            newest_of_the_one_before = begin[:-1] + LENGTH - 1
            assert (newest_of_the_one_before <= at[1:] - WINDOW).all()
    companies = one.tables.companies
    assert len(companies) == len(one.answers)
    assert (companies["from"] == companies["to"]).all()


def test_the_order_decides_and_each_place_alone_tells_little() -> None:
    """What is exact by counting agrees with what is drawn."""
    rally, wave, answer, chance = sequences()
    assert chance.sum() == pytest.approx(1, abs=1e-12)
    assert [chance[answer == one].sum() for one in range(3)] == pytest.approx([1 / 3] * 3)
    assert np.sign(rally - wave).tolist() == (answer - 1).tolist()
    bounds = latent_bounds()
    assert bounds.everything == pytest.approx(1 - FLIPPED)
    assert max(bounds.price_only, bounds.sentiment_only) < 0.55
    assert bounds.one_modality_each < 0.65
    drawn = [decisions_of(0, f"D{number}", number % 4, 40_000) for number in range(20)]
    answers, regimes, labels = (
        np.concatenate([getattr(one, name) for one in drawn]) for name in ("answer", "regime", "label")
    )
    for place, regime, bound in (
        ("price_start", PRICE, bounds.price_only), ("sentiment_start", SENTIMENT, bounds.sentiment_only),
    ):  # fmt: skip
        start = np.concatenate([getattr(one, place) for one in drawn])
        table = np.zeros((start.max() + 2, 3))
        both = regimes == BOTH
        half = np.arange(len(start)) % 2 == 0  # learned from one half, asked of the other
        np.add.at(table, (start[both & half], answers[both & half]), 1)
        said = np.where(regimes == regime, answers, np.where(both, table.argmax(axis=1)[start], 1))
        right = (said == labels)[~half].mean()
        assert right == pytest.approx(bound, abs=4 * np.sqrt(0.25 / (~half).sum()))


def test_prices_stay_plausible() -> None:
    prices = long_market(0).tables.prices
    own = prices[prices["symbol"].str.startswith("CO")]
    assert (own[["open", "high", "low", "close"]] > 0.5).all(axis=None)
    assert (own["high"] >= own[["open", "close"]].max(axis=1)).all()
    assert (own["low"] <= own[["open", "close"]].min(axis=1)).all()
    daily = np.log(own["close"]).groupby(own["symbol"]).diff()
    assert daily.abs().max() < 0.25
    years = 3_400 / 252
    growth = own.groupby("symbol")["close"].agg(lambda one: (one.iloc[-1] / one.iloc[0]) ** (1 / years) - 1)
    assert growth.between(-0.2, 0.45).all()
    rows = long_market(0).answers
    days = pd.Series(own["date"].unique())
    keys = pd.MultiIndex.from_arrays([rows["symbol"], days[rows["session"] + 1]])
    bars = own.set_index(["symbol", "date"])
    decided = np.log(bars["close"] / bars["open"]).loc[keys]
    others = np.log(bars["close"] / bars["open"]).drop(keys)
    # What a decision is about is an ordinary session, in size.
    assert 0.8 < decided.std() / others.std() < 1.25


@pytest.mark.parametrize("seed", [0, 1])
def test_files_say_what_the_tables_say(seed: int, tmp_path: Path) -> None:
    one = planted_market(seed, 3, 260)
    config = one.write(tmp_path)
    read = frames(read_tables(config))
    for name, frame in frames(one.tables).items():
        assert set(read[name].columns) == set(frame.columns)
        pd.testing.assert_frame_equal(read[name][list(frame.columns)], frame, obj=name, check_exact=True)
    assert config.labels == one.config.labels
    assert read_run(config).warnings == ()


def test_a_build_draws_the_decisions_alone_and_a_study_finds_them(tmp_path: Path) -> None:
    one = planted_market(0, 4, 260)
    config = one.write(tmp_path)
    result = build(config)
    rows = one.answers
    assert result.built == len(rows) > 8
    samples = labelled_samples(ImageStore.open(config.store.path), config.labels, config.symbols)
    assert [samples.symbols[at] for at in samples.symbol] == rows["symbol"].tolist()
    assert samples.decision.tolist() == rows["date"].dt.date.tolist()
    assert samples.label.tolist() == rows["label"].tolist()
    assert (samples.label_end == samples.entry).all()


@pytest.mark.parametrize(("companies", "sessions"), [(0, 700), (501, 700), (6, 201), (6, 3_501)])
def test_a_market_that_cannot_be_is_refused(companies: int, sessions: int) -> None:
    with pytest.raises(ValueError, match="1 to 500 companies and 202 to 3500 sessions"):
        planted_market(0, companies, sessions)
