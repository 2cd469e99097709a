"""One company that is wrong stops nobody else where the configuration says so, and loses nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import finnex.pipeline.workers
from benchmarks.panel import symbols_of, write_tables
from finnex.config import Config, load_config
from finnex.data.bad_companies import rows_of, sentences, title
from finnex.errors import ConfigError, FinnexError, InputError
from finnex.pipeline import Block, BuildResult, Drawn, Run, build, draw_here, read_run, stage_1, unexcused
from finnex.quality import drawn_again
from finnex.store import READY, ImageStore
from tests.helpers.csv_panel import csv_config

COMPANIES, SESSIONS, KEPT = 12, 90, 2
BAD = "C0003"
OTHERS = COMPANIES - 1
TABLES = ("prices", "filings", "sentiment", "macro")
LEAVE_OUT = 'on_bad_company = "leave out"'


def write_config(folder: Path, line: str, symbols: Sequence[str] = symbols_of(COMPANIES)) -> Path:
    start = sorted(table(folder, "all_prices")["date"].unique())[-KEPT - 1]
    path = folder / "finnex.toml"
    path.write_text(csv_config(symbols, f"start = {start}", line))
    return path


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)


def write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    frame.to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel of twelve companies, all peers of each other, with a store that lacks the newest session."""
    folder = tmp_path_factory.mktemp("panel")
    write_tables(folder, COMPANIES, SESSIONS)
    for name in TABLES:
        frame = pd.read_parquet(folder / f"{name}.parquet")
        write(folder, name, frame.rename(columns={"filed": "available_date"}))
    prices = table(folder, "prices")
    write(folder, "all_prices", prices)
    write(folder, "prices", prices[prices["date"] < prices["date"].max()])
    assert build(load_config(write_config(folder, LEAVE_OUT))).built == COMPANIES * KEPT
    return folder


@pytest.fixture
def night(yesterday: Path, tmp_path: Path) -> Path:
    """The next night: the newest session is in the tables."""
    folder = tmp_path / "night"
    shutil.copytree(yesterday, folder, copy_function=shutil.copy2)
    shutil.copy(folder / "all_prices.csv", folder / "prices.csv")
    return folder


@pytest.fixture(scope="module")
def wanted(yesterday: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the store in which nothing was ever wrong."""
    folder = tmp_path_factory.mktemp("calm") / "night"
    shutil.copytree(yesterday, folder, copy_function=shutil.copy2)
    shutil.copy(folder / "all_prices.csv", folder / "prices.csv")
    return build(load_config(folder / "finnex.toml")).fingerprint


def published(config: Config) -> dict[tuple[str, int], bytes]:
    """Return the bytes of every published image and the features of its session."""
    store, found = ImageStore.open(config.store.path), {}
    for symbol in store.symbols:
        features = store.values(symbol, "feature_normalized")
        for row in np.flatnonzero(store.state(symbol).status == READY):
            chunk = Path(str(store.path)) / symbol / "image" / f"c.{row}.0.0.0"
            found[symbol, int(row)] = chunk.read_bytes() + features[row].tobytes()
    return found


def kept(before: dict[tuple[str, int], bytes], after: dict[tuple[str, int], bytes]) -> bool:
    return all(after[key] == found for key, found in before.items())


def cell(name: str, column: str, value: str) -> Callable[[Path], None]:
    """Return what writes a value into the newest row of the bad company."""

    def change(folder: Path) -> None:
        frame = table(folder, name)
        frame.loc[frame.index[frame["symbol"] == BAD][-1], column] = value
        write(folder, name, frame)

    return change


def twice(folder: Path) -> None:
    prices = table(folder, "prices")
    write(folder, "prices", pd.concat([prices, prices[prices["symbol"] == BAD].tail(1)]))


def weekly(folder: Path) -> None:
    prices = table(folder, "prices")
    own = prices[prices["symbol"] == BAD]
    write(folder, "prices", pd.concat([prices[prices["symbol"] != BAD], own.iloc[::5]]))


def without_rows(folder: Path) -> None:
    prices = table(folder, "prices")
    write(folder, "prices", prices[prices["symbol"] != BAD])


def without_a_bar(folder: Path) -> None:
    """Leave out the bar of a session that has an image."""
    prices = table(folder, "prices")
    lost = (prices["symbol"] == BAD) & (prices["date"] == sorted(prices["date"].unique())[-2])
    write(folder, "prices", prices[~lost])


def in_every_row(folder: Path) -> None:
    prices = table(folder, "prices")
    prices.loc[prices["symbol"] == BAD, "close"] = "n/a"
    write(folder, "prices", prices)


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a price is no number": (cell("prices", "close", "x"), "column 'close'"),
    "every price is no number": (in_every_row, "column 'close'"),
    "a day is none": (cell("prices", "date", "2024-13-45"), "column 'date'"),
    "an impossible bar": (cell("prices", "low", "1e6"), "high is below low"),
    "the same bar twice": (twice, "appears in an earlier row"),
    "weekly bars": (weekly, "a week apart"),
    "no rows": (without_rows, "has no rows"),
    "a bar is gone": (without_a_bar, "sessions that have an image"),
    "a record of sentiment": (cell("sentiment", "score", "7"), "outside [-1, 1]"),
    "a filing": (cell("filings", "revenue", "much"), "column 'revenue'"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_company_that_is_wrong_is_left_out_and_drawn_when_it_is_right_again(
    night: Path, wanted: str, kind: str
) -> None:
    change, words = WRONG[kind]
    sound = {name: (night / f"{name}.csv").read_bytes() for name in TABLES}
    change(night)
    config = load_config(night / "finnex.toml")
    before = published(config)

    result = build(config)
    assert [one.symbol for one in result.bad] == [BAD]
    [row, *_] = rows_of(result.bad)
    assert (row["company"], words in row["problem"]) == (BAD, True), row
    assert row["remedy"]
    assert (result.built, result.failed) == (OTHERS, 0)
    after = published(config)
    assert kept(before, after)
    assert {symbol for symbol, _ in after.keys() - before.keys()} == set(config.symbols) - {BAD}
    assert ImageStore.open(config.store.path).open_images(BAD).sizes["date"] == KEPT
    assert build(config).built == 0

    for name, data in sound.items():
        (night / f"{name}.csv").write_bytes(data)
    healed = build(config)
    assert not healed.bad
    assert healed.built >= 1
    assert healed.fingerprint == wanted
    assert kept(before, published(config))


@pytest.mark.parametrize("kind", ["a price is no number", "a record of sentiment", "no rows", "a bar is gone"])
def test_without_the_setting_the_run_is_refused_and_nothing_is_written(night: Path, kind: str) -> None:
    WRONG[kind][0](night)
    config = load_config(write_config(night, ""))
    before = published(config)
    with pytest.raises(InputError, match=re_escape(WRONG[kind][1])):
        build(config)
    assert published(config) == before


def re_escape(text: str) -> str:
    return text.replace("[", r"\[").replace("(", r"\(")


def test_images_of_its_peers_that_are_published_wait_and_quality_does_not_judge_them(night: Path) -> None:
    WRONG["every price is no number"][0](night)
    config = load_config(night / "finnex.toml")
    build(config)
    run = read_run(config)
    assert run.depending == set(config.symbols) - {BAD}
    check = drawn_again(run, ImageStore.open(config.store.path))
    assert (check.passed, check.limit) == (True, "no input")


def test_a_name_that_was_never_drawn_keeps_nothing_of_the_others_waiting(night: Path, wanted: str) -> None:
    config = load_config(write_config(night, LEAVE_OUT, [*symbols_of(COMPANIES), "C00O3"]))
    result = build(config)
    assert [one.symbol for one in result.bad] == ["C00O3"]
    assert sentences(result.bad)[0].endswith("Did you mean 'C0003'?")
    assert (result.built, result.fingerprint) == (COMPANIES, wanted)
    assert read_run(config).depending == frozenset()


def test_a_company_that_is_asked_for_alone_and_wrong_is_refused(night: Path) -> None:
    WRONG["a price is no number"][0](night)
    config = load_config(night / "finnex.toml")
    with pytest.raises(InputError, match="column 'close'"):
        build(config, symbols=[BAD])
    with pytest.raises(ConfigError, match="not among the configured symbols"):
        build(config, symbols=["C0001", "NONE"])


def all_prices(folder: Path) -> None:
    prices = table(folder, "prices")
    prices.loc[prices["date"] == prices["date"].max(), "close"] = "x"
    write(folder, "prices", prices)


def renamed(name: str, column: str) -> Callable[[Path], None]:
    return lambda folder: write(folder, name, table(folder, name).rename(columns={column: "other"}))


def macro_value(folder: Path) -> None:
    macro = table(folder, "macro")
    macro.loc[0, "value"] = "x"
    write(folder, "macro", macro)


def no_symbol(folder: Path) -> None:
    prices = table(folder, "prices")
    prices.loc[5, "symbol"] = ""
    write(folder, "prices", prices)


def sector(folder: Path) -> None:
    """Make the company that is wrong a reference that all look at."""
    path = folder / "finnex.toml"
    path.write_text(path.read_text().replace("sectors = []", f'sectors = ["{BAD}"]'))
    cell("prices", "close", "x")(folder)


@pytest.mark.parametrize(
    "change",
    [all_prices, renamed("prices", "close"), renamed("sentiment", "score"), macro_value, no_symbol, sector],
    ids=["all companies", "header of prices", "header of sentiment", "macro", "a row of no company", "a reference"],
)
def test_what_is_of_no_company_or_of_all_is_refused(night: Path, change: Callable[[Path], None]) -> None:
    change(night)
    config = load_config(night / "finnex.toml")
    before = published(config)
    with pytest.raises(InputError):
        build(config)
    assert published(config) == before


@pytest.mark.parametrize("harm", ["another header", "ragged", "empty", "no rows"])
def test_of_a_file_for_each_company_one_that_cannot_be_read_is_that_companys(
    night: Path, wanted: str, harm: str
) -> None:
    bars = night / "bars"
    bars.mkdir()
    for symbol, own in table(night, "prices").groupby("symbol"):
        own.drop(columns="symbol").to_csv(bars / f"{symbol}.csv", index=False)
    config = night / "finnex.toml"
    config.write_text(config.read_text().replace('"prices.csv"', '"bars"'))
    sound = (bars / f"{BAD}.csv").read_text()
    header, *lines = sound.splitlines()
    text = {
        "another header": sound.replace("close", "last price of the day"),
        "ragged": f"{header}\n{lines[0]}\n1,2\n",
        "empty": "",
        "no rows": f"{header}\n",
    }[harm]
    (bars / f"{BAD}.csv").write_text(text)
    result = build(load_config(config))
    assert ([one.symbol for one in result.bad], result.built) == ([BAD], OTHERS)
    (bars / f"{BAD}.csv").write_text(sound)
    assert build(load_config(config)).fingerprint == wanted


def failing(symbols: Sequence[str]) -> Callable[[Sequence[Block]], Iterator[Drawn]]:
    def draw(blocks: Sequence[Block]) -> Iterator[Drawn]:
        for symbol, receipts in draw_here(blocks):
            yield symbol, [replace(one, error="no memory") if symbol in symbols else one for one in receipts]

    return draw


def test_a_company_that_cannot_be_drawn_is_listed_and_the_run_excuses_it(
    night: Path, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(night / "finnex.toml")
    with monkeypatch.context() as broken:
        broken.setattr(finnex.pipeline.workers, "draw_here", failing([BAD]))
        result = build(config)
    assert (result.built, result.failed, unexcused(result)) == (OTHERS, 1, ())
    [row] = rows_of(result.bad)
    assert row["company"] == BAD
    assert row["problem"].endswith("could not be drawn: no memory.")
    assert build(config).fingerprint == wanted


def test_where_no_company_can_be_drawn_nothing_is_excused(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(night / "finnex.toml")
    monkeypatch.setattr(finnex.pipeline.workers, "draw_here", failing(config.symbols))
    result = build(config)
    assert len(unexcused(result)) == result.failed == COMPANIES
    assert not result.bad


def test_a_company_whose_features_cannot_be_computed_is_left_out(
    night: Path, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = stage_1.stage_1

    def broken(run: Run, symbol: str) -> stage_1.Stage1:
        if symbol == BAD:
            raise FinnexError("its features are too large")
        return computed(run, symbol)

    with monkeypatch.context() as patched:
        patched.setattr(stage_1, "stage_1", broken)
        result = build(load_config(night / "finnex.toml"))
    assert ([one.symbol for one in result.bad], result.built) == ([BAD], OTHERS)
    assert build(load_config(night / "finnex.toml")).fingerprint == wanted


def test_many_companies_with_one_kind_of_problem_are_one_line(night: Path) -> None:
    prices = table(night, "prices")
    bad = prices["symbol"].isin(symbols_of(COMPANIES)[:8]) & (prices["date"] >= sorted(prices["date"].unique())[-9])
    prices.loc[bad, "close"] = "x"
    write(night, "prices", prices)
    result: BuildResult = build(load_config(night / "finnex.toml"))
    assert [one.symbol for one in result.bad] == symbols_of(COMPANIES)[:8]  # 72 rows, of which 20 are kept one by one
    assert title(result.bad).startswith("8 companies are left out (C0000, C0001, C0002 and 5 more); their")
    [line] = sentences(result.bad)
    assert line.startswith("C0000, C0001, C0002 and 5 more: ")
    assert "more, column 'close'" in line
