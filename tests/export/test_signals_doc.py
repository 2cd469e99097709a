"""The examples of `docs/signals.md` run as they are printed, with the real programs where they are installed."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finnex.data.calendar import session_calendar
from finnex.files.table_output import table_output
from finnex.store import ImageStore, StoreWriter
from finnex.tracking.signal_table import SCHEMA, SIGNALS, signal_tables
from finnex.tracking.version_parts import VersionParts
from tests.helpers.stores import blank, make_store

PAGE = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
BEGIN, *EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BY_NAME = {text.partition("\n")[0].removeprefix("# "): text for text in EXAMPLES}
SYMBOLS = ("AAA", "BBB", "CCC")
DAYS = session_calendar("XNYS", date(2015, 1, 2), date(2015, 3, 31)).days
PREDICTED = 40
TEST = slice(10, 35)
"""Sessions of the test part; those before were learned from, those after predicted years later."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with signals of three companies, written by FinNeX, and their prices."""
    made, random = tmp_path_factory.mktemp("signals"), np.random.default_rng(5)
    labels = {symbol: np.ones(PREDICTED, dtype=int) for symbol in SYMBOLS}
    path = make_store(made / "images.zarr", DAYS[:PREDICTED], lambda *_: blank(), labels).path
    writer = StoreWriter.reopen(path)
    for symbol in SYMBOLS:
        writer.record_predictions(symbol, range(PREDICTED), random.dirichlet((1, 1, 1), PREDICTED), 1)
    parts = VersionParts(DAYS[5], DAYS[TEST.start], DAYS[TEST.stop - 1])
    with table_output(made / "signals.parquet", SIGNALS, SCHEMA, {}) as write:
        for table in signal_tables(ImageStore.open(path), SYMBOLS, {1: parts}):
            write(table)
    rows = [
        {"symbol": symbol, "date": day, "open": 100 + step, "high": 102 + step, "low": 99 + step, "close": 101 + step,
         "volume": 1000.0}
        for symbol in SYMBOLS for day, step in zip(DAYS, random.normal(0, 1, len(DAYS)).cumsum(), strict=True)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(made / "prices.csv", index=False)
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the beginning and an example; return its names."""
    monkeypatch.chdir(folder)

    def example(name: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(compile(BEGIN + BY_NAME[name], f"docs/signals.md, {name}", "exec"), names)
        return names

    return example


def real(name: str) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed, or does not run here", exc_type=ImportError)


def after(day: pd.Timestamp, sessions: int) -> np.datetime64:
    return DAYS[np.searchsorted(DAYS, np.datetime64(str(day)[:10])) + sessions]


def test_every_program_of_the_page_has_an_example() -> None:
    assert list(BY_NAME) == ["alphalens", "vectorbt", "qlib", "zipline"]


def test_no_example_uses_what_the_network_learned_from_or_what_was_predicted_too_late(run: Any) -> None:
    unseen = run("zipline")["unseen"]
    assert unseen["date"].nunique() == TEST.stop - TEST.start
    assert unseen["date"].min() == pd.Timestamp(DAYS[TEST.start])
    assert unseen["date"].max() == pd.Timestamp(DAYS[TEST.stop - 1])


@pytest.mark.filterwarnings("ignore")
def test_alphalens_pairs_a_score_with_the_return_from_the_next_open(run: Any) -> None:
    real("alphalens")
    names = run("alphalens")
    found, opens = names["factor_data"], names["opens"]
    assert found.index.names == ["date", "asset"]
    assert len(found) == 3 * (TEST.stop - TEST.start)
    for (day, symbol), row in found.iloc[::11].iterrows():
        entry, leave = opens.loc[after(day, 1), symbol], opens.loc[after(day, 2), symbol]
        assert row["1D"] == pytest.approx(leave / entry - 1)
        assert row["factor"] == names["factor"].loc[(day, symbol)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_vectorbt_fills_an_order_at_the_open_after_the_score(run: Any) -> None:
    real("vectorbt")
    names = run("vectorbt")
    orders, score = names["portfolio"].orders.records_readable, names["unseen"].set_index(["symbol", "date"])["score"]
    assert len(orders) > 20
    assert set(orders["Side"]) == {"Buy", "Sell"}
    for order in orders.itertuples():
        assert order.Price == pytest.approx(names["opens"].loc[order.Timestamp, order.Column])
        before = score.loc[(order.Column, pd.Timestamp(after(order.Timestamp, -1)))]
        assert before > 0 if order.Side == "Buy" else before <= 0


@pytest.mark.filterwarnings("ignore")
def test_qlib_reads_the_scores_of_a_day(run: Any) -> None:
    real("qlib")
    names = run("qlib")
    found, unseen = names["scores_of_a_day"]["score"], names["unseen"]
    wanted = unseen[unseen["date"] == names["day"]].set_index("symbol")["score"]
    assert found.to_dict() == wanted.to_dict()
    assert len(found) == 3


def test_zipline_is_given_scores_by_the_day_on_which_they_are_available(run: Any, folder: Path) -> None:
    """The shape that zipline-reloaded 3.2.1 documents: it does not run with this project's pandas."""
    names = run("zipline")
    baseline, unseen = names["baseline"], names["unseen"]
    assert isinstance(baseline.index, pd.DatetimeIndex)
    assert baseline.index.tz is None
    assert baseline.index.is_monotonic_increasing
    assert baseline.index.is_unique
    assert baseline.columns.dtype == np.int64
    assert set(baseline.dtypes) == {np.dtype("float64")}
    for number, symbol in enumerate(sorted(SYMBOLS)):
        own = unseen[unseen["symbol"] == symbol]
        for day, score in zip(own["date"], own["score"], strict=True):
            assert baseline.loc[after(day, 1), number] == score
        bars = pd.read_csv(folder / "csvdir" / "daily" / f"{symbol}.csv", parse_dates=[0], index_col=0)
        assert list(bars) == ["open", "high", "low", "close", "volume", "dividend", "split"]
        np.testing.assert_array_equal(bars["open"].to_numpy(), names["opens"][symbol].to_numpy())


@pytest.mark.filterwarnings("ignore")
def test_zipline_loads_the_scores_where_it_runs(run: Any) -> None:
    real("zipline")
    from zipline.pipeline.data import Column, DataSet
    from zipline.pipeline.loaders.frame import DataFrameLoader

    class Signal(DataSet):  # type: ignore[misc]
        score = Column(float)

    baseline = run("zipline")["baseline"]
    mask = np.ones(baseline.shape, dtype=bool)
    loaded = DataFrameLoader(Signal.score, baseline).load_adjusted_array(
        None, [Signal.score], baseline.index, baseline.columns, mask
    )
    np.testing.assert_array_equal(loaded[Signal.score].data, baseline.to_numpy())
