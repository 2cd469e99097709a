"""Stage 1 of a panel: what companies share is computed once, and only a company's own peers change its features."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.panel import write_config, write_tables
from finnex.config import Config, load_config
from finnex.data import features
from finnex.data.features import FAMILIES, make_context
from finnex.data.features.section import GROUPS, Section
from finnex.data.normalize import normalize, normalize_columns
from finnex.data.panel import Panel, make_panel
from finnex.data.peers import MOST_PEERS
from finnex.data.tables import Tables, read_tables
from finnex.data.warnings import input_warnings
from finnex.layout import load_layout

SPECS = load_layout("mega").catalogue.entries
SESSIONS = 400
ARRAYS = ("original", "normalized", "location", "scale", "bars")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Tables]:
    folder = tmp_path_factory.mktemp("panel")
    write_tables(folder, MOST_PEERS + 1, SESSIONS)
    config = load_config(write_config(folder, MOST_PEERS + 1))
    return config.model_copy(update={"peers": ()}), read_tables(config)


def of(tables: Tables, symbols: set[str]) -> Tables:
    """Return the rows of some companies."""
    frames = {name: getattr(tables, name) for name in ("prices", "fundamentals", "sentiment")}
    return replace(tables, **{name: frame[frame["symbol"].isin(symbols)] for name, frame in frames.items()})


def equal(one: Panel, other: Panel) -> Iterator[bool]:
    """Yield of each array whether two panels have the same bits."""
    return (getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ARRAYS)


def test_a_company_alone_and_after_others_has_the_same_bits(run: tuple[Config, Tables]) -> None:
    config, tables = run
    config = config.model_copy(update={"peers": ("C0001", "C0002")})
    alone = make_panel(replace(tables), config, "C0000", SPECS)
    kept = replace(tables)
    for symbol in ("C0001", "C0002", "C0003"):
        make_panel(kept, config, symbol, SPECS)
    assert all(equal(alone, make_panel(kept, config, "C0000", SPECS)))


def test_a_company_that_is_added_changes_no_bit_of_another_unless_it_is_its_peer(run: tuple[Config, Tables]) -> None:
    config, tables = run
    few, more = of(tables, {"C0000", "C0001"}), of(tables, {"C0000", "C0001", "C0002"})
    named = config.model_copy(update={"peers": ("C0001",)})
    assert all(equal(make_panel(few, named, "C0000", SPECS), make_panel(more, named, "C0000", SPECS)))
    peer = config.model_copy(update={"peers": ("C0001", "C0002")})
    assert not all(equal(make_panel(few, named, "C0000", SPECS), make_panel(more, peer, "C0000", SPECS)))


def test_companies_of_a_large_panel_are_no_peers_before_some_are_named(run: tuple[Config, Tables]) -> None:
    config, tables = run
    relative = [at for at, spec in enumerate(SPECS) if spec.name.startswith("peer_")]
    found = make_panel(tables, config, "C0000", SPECS).original[:, relative]
    assert np.isnan(found).all()
    (said,) = (one for one in input_warnings(tables, config) if one.startswith("peers: "))
    assert f"{MOST_PEERS + 1} companies" in said
    named = config.model_copy(update={"peers": ("C0001",)})
    assert not np.isnan(make_panel(tables, named, "C0000", SPECS).original[:, relative]).all()
    assert [one for one in input_warnings(tables, named) if one.startswith("peers: ")] == []
    fewer = of(tables, set(config.symbols[:MOST_PEERS]))
    assert len(make_context(fewer, config, "C0000").peers) == MOST_PEERS - 1


def test_what_companies_share_is_computed_once(run: tuple[Config, Tables], monkeypatch: pytest.MonkeyPatch) -> None:
    config, tables = run
    config = config.model_copy(update={"peers": config.symbols[:6]})
    counted = {"views": 0, "calendars": 0}
    names = FAMILIES["fundamental"].__globals__
    views, observations = names["views"], features.__dict__["macro_observations"]

    def count_views(own: pd.DataFrame, *rest: object) -> object:
        counted["views"] += 1
        return views(own, *rest)

    def count_calendars(*given: object) -> object:
        counted["calendars"] += 1
        return observations(*given)

    monkeypatch.setitem(names, "views", count_views)
    monkeypatch.setattr(features, "macro_observations", count_calendars)
    kept = replace(tables)
    for symbol in config.symbols[:6]:
        make_panel(kept, config, symbol, SPECS)
    assert counted == {"views": 6, "calendars": 1}


def test_what_is_shared_cannot_be_changed_by_one_company(run: tuple[Config, Tables]) -> None:
    config, tables = run
    context = make_context(replace(tables), config, "C0000")
    for family in (FAMILIES[name] for name in ("macro", "market", "regime", "calendar_events")):
        name, values = next(iter(family(context).items()))
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0
        assert name in family(context)


def test_threads_that_ask_for_more_groups_than_are_kept_get_what_they_asked_for(run: tuple[Config, Tables]) -> None:
    config, tables = run
    section = make_context(replace(tables), config, "C0000").section

    def name_of(_: Section, symbols: tuple[str, ...]) -> str:
        return symbols[0]

    def asked(first: int) -> bool:
        names = (str((first + 7 * number) % (GROUPS + 40)) for number in range(150_000))
        return all(section.of_some(name_of, (name,)) == name for name in names)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(asked, range(3))) == [True] * 3
    finally:
        sys.setswitchinterval(before)
    assert len(section._groups) <= GROUPS + 3


def test_features_together_have_the_bits_of_each_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (300, len(SPECS))).cumsum(axis=0)
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    values[:, ::7] = 3.0
    together = normalize_columns(values, SPECS)
    for at, spec in enumerate(SPECS):
        alone = normalize(values[:, at], spec)
        for name in ("original", "brightness", "location", "scale"):
            assert getattr(together, name)[:, at].tobytes() == getattr(alone, name).tobytes(), (spec.name, name)


@pytest.mark.parametrize("name", ["prices", "splits"])
def test_rows_of_a_symbol_are_those_of_the_table_in_its_order(run: tuple[Config, Tables], name: str) -> None:
    _, tables = run
    tables = replace(tables, splits=tables.prices[["symbol", "date"]].sample(frac=0.1, random_state=1))
    frame = getattr(tables, name)
    for symbols in (("C0003",), ("C0009", "C0002", "NONE"), ("NONE",)):
        pd.testing.assert_frame_equal(tables.of_some(name, symbols), frame[frame["symbol"].isin(symbols)])
    assert tables.of("options", "C0001").empty


def test_warnings_go_through_a_table_once_and_not_once_a_company(
    run: tuple[Config, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tables = run
    whole = {len(getattr(tables, name)) for name in ("prices", "sentiment", "fundamentals")}
    passes, compare = {3: 0, 30: 0}, pd.Series.__eq__

    for companies in passes:

        def count(series: pd.Series, other: object, companies: int = companies) -> object:
            passes[companies] += len(series) in whole
            return compare(series, other)

        monkeypatch.setattr(pd.Series, "__eq__", count)
        input_warnings(replace(tables), config.model_copy(update={"symbols": config.symbols[:companies]}))
    assert passes[30] == passes[3]


def test_the_same_tables_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_tables(tmp_path / name, 2, 300)
    for table in ("prices", "filings", "sentiment", "macro"):
        one, other = (pd.read_parquet(tmp_path / name / f"{table}.parquet") for name in ("one", "other"))
        pd.testing.assert_frame_equal(one, other)
