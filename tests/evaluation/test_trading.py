"""Trading figures: each by its formula, from prices that are those of the labels, and no more than chance on noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices, session_prices
from finnex.datasets.stored_prices import stored_prices
from finnex.errors import InputError, PricesUnknown
from finnex.evaluation import trading_card
from finnex.evaluation.interval import Interval
from finnex.evaluation.trading import BUY_AND_HOLD, Decisions, describe_trading, trade, trade_without_a_model
from finnex.store import ImageStore, StoreWriter
from tests.helpers.stores import blank, make_store, sessions
from tests.helpers.trades import FREE, Floats, decisions, market, performance, prices_of, until

# ---- the figures -------------------------------------------------------------------------------------------


def test_every_figure_follows_its_formula() -> None:
    opens = np.array([[10.0], [10.0], [12.0], [9.0], [9.0]])
    closes = np.array([[10.0], [11.0], [9.0], [9.9], [9.0]])
    positions = np.array([[1.0], [-1.0], [0.0], [1.0], [np.nan]])
    found = performance(prices_of(opens, closes), positions, 1)
    returns = np.array([0.1, 0.25, 0.0, 0.0])
    assert (found.trading_sessions, found.decisions, found.trades) == (4, 4, 3)
    assert found.total_return == pytest.approx(1.1 * 1.25 - 1)
    assert found.sharpe_ratio.value == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert found.volatility == pytest.approx(returns.std(ddof=1) * np.sqrt(252))
    assert found.win_rate == pytest.approx(2 / 3)
    # In and out of each: 1 + 1.1 of 1; 1 + 0.75 of 1 (what is sold short is bought back cheaper); 0; 1 + 1.
    assert found.turnover == pytest.approx((2.1 + 1.75 + 0 + 2) / 4 * 252)
    assert found.max_drawdown == 0


def test_costs_and_borrow_fees_lower_what_is_earned() -> None:
    prices = market(3, 60, 3, 0.01)
    positions = until(np.random.default_rng(3).integers(-1, 2, (60, 3)).astype(float), 50)
    free = performance(prices, positions, 5)
    dear = performance(prices, positions, 5, TradingSettings(cost_bps=20, borrow_fee_per_year=0))
    short = performance(prices, positions, 5, TradingSettings(cost_bps=0, borrow_fee_per_year=0.5))
    assert dear.total_return < free.total_return
    assert short.total_return < free.total_return
    assert dear.win_rate < free.win_rate


def test_a_drawdown_between_entry_and_exit_is_seen() -> None:
    closes = np.array([[10.0], [10.0], [4.0], [10.0], [10.0]])
    found = performance(prices_of(closes, closes), until(np.ones((5, 1)), 0), 4)
    assert found.total_return == pytest.approx(0)
    assert found.max_drawdown == pytest.approx(0.6)


def test_a_first_loss_is_a_drawdown_from_the_capital() -> None:
    closes = np.array([[10.0], [10.0], [8.0]])
    assert performance(prices_of(closes, closes), until(np.ones((3, 1)), 0), 2).max_drawdown == pytest.approx(0.2)


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_the_volatility_is_that_of_the_portfolio(horizon: int) -> None:
    """Held throughout, it is the companies'; sub-portfolios that disagree cancel, and it is far less."""
    prices = market(5, 1500, 1, 0.01)
    whole = performance(prices, until(np.ones((1500, 1)), 1499 - horizon), horizon)
    change = np.diff(np.log(prices.close[:, 0])).std() * np.sqrt(prices.sessions_per_year)
    assert whole.volatility == pytest.approx(change, rel=0.05)
    coins = np.random.default_rng(6).choice([-1.0, 1.0], (1500, 1))
    mixed = performance(prices, until(coins, 1499 - horizon), horizon)
    # Of h positions of either sign the net is the root of 1/h; what changes sign is not held over the night between.
    low, high = (0.6, 1.0) if horizon == 1 else (0.8 / np.sqrt(horizon), 1.2 / np.sqrt(horizon))
    assert low < mixed.volatility / change < high


def test_buy_and_hold_buys_once_sells_once_and_gains_what_the_price_gains() -> None:
    prices = market(7, 300, 1, 0.01)
    settings = TradingSettings(cost_bps=5)
    made = decisions(prices, until(np.random.default_rng(0).integers(-1, 2, (300, 1)).astype(float), 294), 5)
    found = trade_without_a_model(made, prices, settings)[BUY_AND_HOLD].performance
    assert found.total_return + 1 == pytest.approx(prices.close[299, 0] / prices.open[1, 0] * 0.9995 / 1.0005)
    assert found.turnover == pytest.approx(2 * 252 / 299, rel=0.02)
    assert (found.trades, found.trading_sessions) == (1, 299)
    every = trade(decisions(prices, until(np.ones((300, 1)), 294), 5), prices, settings).performance
    assert every.turnover == pytest.approx(found.turnover, rel=0.05)
    assert every.volatility == pytest.approx(found.volatility, rel=0.01)


def test_buy_and_hold_of_several_companies_drifts_with_their_prices() -> None:
    closes = np.array([[10.0, 10.0], [10.0, 10.0], [20.0, 10.0], [40.0, 10.0]])
    prices = prices_of(closes, closes)
    found = trade_without_a_model(decisions(prices, until(np.zeros((4, 2)), 2), 1), prices, FREE)[
        BUY_AND_HOLD
    ].performance
    assert found.total_return == pytest.approx((4 + 1) / 2 - 1)


def test_a_bankrupt_account_is_told_and_its_return_is_minus_one() -> None:
    closes = np.array([[10.0], [10.0], [30.0], [1.0], [1.0]])
    found = performance(prices_of(closes, closes), until(-np.ones((5, 1)), 3), 1)
    assert (found.total_return, found.max_drawdown, found.bankrupt) == (-1, 1, "2020-01-03")
    assert found.trading_sessions == 2


def test_without_trades_nothing_is_made_up() -> None:
    prices = market(8, 100, 2, 0.01)
    idle = performance(prices, until(np.zeros((100, 2)), 94), 5)
    assert np.isnan(idle.sharpe_ratio.value)
    assert idle.sharpe_ratio.reason.startswith("no interval: the same in all")
    assert np.isnan(idle.win_rate)
    assert (idle.trades, idle.max_drawdown, idle.total_return, idle.turnover, idle.volatility) == (0, 0, 0, 0, 0)


def test_what_is_held_when_prices_end_is_valued_and_not_sold_and_that_is_told() -> None:
    closes = np.array([[10.0], [10.0], [12.0], [13.0]])
    prices, settings = prices_of(closes, closes), TradingSettings(cost_bps=100)
    found = performance(prices, until(np.ones((4, 1)), 0), 5, settings)
    assert found.total_return == pytest.approx(1.3 / 1.01 - 1)
    assert found.unfinished == "2020-01-04"
    assert found.turnover == pytest.approx(1 / 1.01 / 3 * 252)
    held = trade_without_a_model(decisions(prices, until(np.ones((4, 1)), 2), 1), prices, settings)[
        BUY_AND_HOLD
    ].performance
    assert held.unfinished == ""
    (words,) = describe_trading({"vit": found, "buy_and_hold": held})
    assert words == "Prices end on 2020-01-04: what was held then is valued at that close, and not sold."


def test_prices_that_do_not_cover_the_decisions_are_refused() -> None:
    prices = market(9, 20, 1, 0.01)
    late = np.where(np.arange(20)[:, None] == 19, 1.0, np.nan)
    with pytest.raises(PricesUnknown, match="end on 2020-01-20, and nothing that was decided could be entered before"):
        performance(prices, late, 5)
    strange = Decisions(prices.days[:1], np.array(["X"]), np.ones(1), 5)
    with pytest.raises(PricesUnknown, match="prices have no X on 2020-01-01"):
        trade(strange, prices, FREE)


# ---- the interval of the Sharpe ratio ----------------------------------------------------------------------


@pytest.mark.parametrize(("horizon", "least"), [(1, 60), (5, 60), (20, 240)])
def test_too_few_sessions_have_no_interval_and_say_why(horizon: int, least: int) -> None:
    few, enough = (
        performance(market(0, n + 1, 1, 0.01), until(np.ones((n + 1, 1)), n - horizon), horizon).sharpe_ratio
        for n in (least - 1, least)
    )
    assert (few.low, few.high) == (None, None)
    assert few.reason == f"no interval: {least - 1} sessions, at least {least} are needed at horizon {horizon}"
    assert enough.low is not None
    assert enough.high is not None
    assert enough.low < enough.value < enough.high


@pytest.mark.parametrize(("horizon", "count"), [(1, 65), (5, 70), (20, 260)])
def test_noise_earns_nothing_and_its_interval_holds_0_about_as_often_as_it_says(horizon: int, count: int) -> None:
    """40 studies of a company whose price is a fair game (a martingale), decided on by coin; free of costs."""
    printed, covered, sharpes, growth, studies = 0, 0, [], [], 40
    for seed in range(studies):
        rng = np.random.default_rng([seed, horizon])
        steps = rng.normal(0, 0.01, 2 * count)
        path = np.cumprod(1 + steps)[:, None]
        prices = prices_of(path[::2].copy(), path[1::2].copy())
        positions = until(rng.integers(-1, 2, (count, 1)).astype(float), count - horizon - 1)
        found = performance(prices, positions, horizon)
        sharpe = found.sharpe_ratio
        if sharpe.low is not None and sharpe.high is not None:
            printed += 1
            covered += sharpe.low <= 0 <= sharpe.high
        sharpes.append(sharpe.value)
        growth.append(found.total_return)
    assert printed >= 30
    assert printed - covered <= 6  # of 40 at 95 %: 2 are expected, more than 6 in one of 70 runs
    for figures in (sharpes, growth):
        assert abs(np.mean(figures)) < 3 * np.std(figures) / np.sqrt(studies)


# ---- prices ------------------------------------------------------------------------------------------------


def test_prices_of_a_table_stand_on_all_sessions() -> None:
    table = pd.DataFrame(
        {"symbol": ["B", "A", "A"], "date": ["2020-01-02", "2020-01-02", "2020-01-06"], "open": [1.0, 2, 3],
         "close": [1.5, 2.5, 3.5]}
    )  # fmt: skip
    table["date"] = pd.to_datetime(table["date"])
    days = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")
    found = session_prices(table, days)
    assert found.symbols == ("A", "B")
    np.testing.assert_array_equal(found.close, [[2.5, 1.5], [np.nan, np.nan], [3.5, np.nan]])
    assert len(session_prices(table).days) == 2
    for wrong, words in (
        (table.drop(columns="open"), "there is no column 'open'"), (pd.concat([table, table.iloc[:1]]), "two rows"),
        (table.assign(close=[1.5, 0.0, 1]), "A 2020-01-02 has a price that is not above zero"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            session_prices(wrong, days)
    with pytest.raises(InputError, match="A 2020-01-06 is no session"):
        session_prices(table, days[:2])


def test_sessions_a_year_are_counted_where_there_is_a_year_of_them() -> None:
    weekdays = sessions(600)
    one = np.ones((600, 1))
    assert SessionPrices(weekdays, ("A",), one, one).sessions_per_year == 261
    assert SessionPrices(weekdays[:100], ("A",), one[:100], one[:100]).sessions_per_year == 252


LABELS = np.random.default_rng(2).integers(0, 3, 120)


def labelled_store(path: Path, features: dict[str, Floats] | None = None) -> ImageStore:
    """A store of two companies' labels and features, with one image each."""
    labels = {"AAA": LABELS, "BBB": LABELS}
    return make_store(path, sessions(120), lambda *_: blank() + 0.5, labels, features=features, unpublished=119)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    return labelled_store(tmp_path_factory.mktemp("trading") / "s.zarr")


def rewrite(store: ImageStore, name: str, change: npt.NDArray[np.floating]) -> None:
    from tests.helpers.stores import template

    StoreWriter.prepare(store.path, template()).write_rows("AAA", name, 0, change)


def test_a_store_tells_the_prices_that_its_labels_were_made_from(store: ImageStore) -> None:
    prices = stored_prices(store, ["AAA", "BBB"])
    assert prices.close.shape == (120, 2)
    kept = store.open_sessions("AAA")["return_price_movement"].to_numpy()[:115, 2]
    np.testing.assert_allclose(prices.close[5:, 0] / prices.open[1:116, 0] - 1, kept, atol=1e-6)


def test_prices_end_with_the_sessions_that_were_drawn_though_labels_look_further(store: ImageStore) -> None:
    original = store.open_sessions("AAA")["feature_original"].to_numpy().copy()
    drawn = original.copy()
    drawn[100:, -2:] = np.nan
    rewrite(store, "feature_original", drawn)
    prices = stored_prices(ImageStore.open(store.path), ["AAA"])
    assert len(prices.days) == 100
    rewrite(store, "feature_original", original)


def test_prices_that_do_not_give_the_stores_returns_are_refused(store: ImageStore) -> None:
    original = store.open_sessions("AAA")["feature_original"].to_numpy().copy()
    changed = original.copy()
    changed[60, -2] += 0.01
    rewrite(store, "feature_original", changed)
    with pytest.raises(PricesUnknown, match=r"of AAA do not give the 5-session return after 20"):
        stored_prices(ImageStore.open(store.path), ["AAA"])
    rewrite(store, "feature_original", original)
    assert stored_prices(ImageStore.open(store.path), ["AAA"]).symbols == ("AAA",)


def predictions(store: ImageStore, model: str, right: float, seeds: int = 1) -> pd.DataFrame:
    """Sessions 60 to 114 of both companies, answered right at a rate."""
    rng = np.random.default_rng(len(model))
    tables = []
    for seed in range(seeds):
        for symbol in ("AAA", "BBB"):
            answer = np.where(rng.random(55) < right, LABELS[60:115], rng.integers(0, 3, 55))
            p = np.full((55, 3), 0.2)
            p[np.arange(55), answer] = 0.6
            columns = dict(zip(("p_sell", "p_hold", "p_buy"), p.T, strict=True))
            tables.append(
                pd.DataFrame(
                    {"decision_date": sessions(120)[60:115].astype("datetime64[ms]"), "symbol": symbol, "split": "test",
                     "model": model, "seed": seed, "horizon": 5, **columns, "label": LABELS[60:115]}
                )
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def test_a_study_is_traded_beside_its_baselines_and_buy_and_hold(store: ImageStore) -> None:
    table = pd.concat([predictions(store, "majority", 0.0), predictions(store, "multiscale_cnn", 1.0, seeds=2)])
    card = trading_card(table, store, TradingSettings())
    assert list(card.lines) == ["multiscale_cnn", "majority", "buy_and_hold", "equal_weight"]
    assert card.lines["multiscale_cnn"].decisions == 110  # two seeds decide once
    assert card.lines["multiscale_cnn"].win_rate > 0.9
    assert card.lines["multiscale_cnn"].total_return > card.lines["majority"].total_return
    first, *_ = card.records()
    assert {"sharpe_ratio", "volatility", "max_drawdown", "win_rate", "total_return", "turnover"} <= set(first)
    assert card.words()[0].startswith("Buy 1, hold 0, sell -1 at the next open, left at the close of session 5;")
    assert card.words()[1] == "Sharpe ratio: no interval: 59 sessions, at least 60 are needed at horizon 5."
    known = replace(card.lines["buy_and_hold"], sharpe_ratio=Interval(1.0, 0.5, 1.5))
    other = replace(card.lines["majority"], sharpe_ratio=Interval(0.0, None, None, "no interval: the same"))
    mixed = replace(card, lines={**card.lines, "buy_and_hold": known, "majority": other}).words()
    assert mixed[1].startswith("Sharpe ratio of multiscale cnn and equal weight: no interval: 59 sessions")
    assert mixed[2] == "Sharpe ratio of majority: no interval: the same."


def test_a_study_of_a_store_without_prices_says_why_there_are_no_figures(tmp_path: Path) -> None:
    bare = labelled_store(tmp_path / "s.zarr", {name: np.full((120, 2), 0.5) for name in ("AAA", "BBB")})
    card = trading_card(predictions(bare, "multiscale_cnn", 0.5), bare, TradingSettings())
    assert card.records() == []
    (words,) = card.words()
    assert "does not keep the feature 'return_1'" in words
