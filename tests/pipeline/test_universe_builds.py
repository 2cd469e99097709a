"""Builds of a universe that changes: what is no member is neither drawn nor labelled, and nothing published is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex import notebook
from finnex.audit import audit
from finnex.config import Config, load_config
from finnex.errors import MOST_OF_A_KIND, ConfigError, InputError, StoreError, TrainingError
from finnex.evaluation.universe_words import SURVIVORSHIP, universe_words
from finnex.pipeline import build, read_run
from finnex.pipeline.input_keys import InputKeys
from finnex.store import ImageStore, study_companies
from finnex.store.states import NO_BAR, READY
from finnex.training.study_samples import study_samples

COMPANIES, SESSIONS, DRAWN = 5, 320, 12
SYMBOLS = symbols_of(COMPANIES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tables(tmp_path, COMPANIES, SESSIONS)
    return tmp_path


def days_of(folder: Path) -> list[str]:
    days = np.sort(pd.read_parquet(folder / "prices.parquet")["date"].unique())
    return [str(day)[:10] for day in days]


def configured(folder: Path, rows: dict[str, str], *more: str) -> Config:
    """Return the configuration of the last sessions, with a row of from and to for each company."""
    text = Path(write_config(folder, COMPANIES)).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("peers", "start"))]
    lines.insert(0, f"start = {days_of(folder)[-DRAWN]}")
    lines.insert(lines.index("[inputs]") + 1, 'companies = "companies.csv"')
    table = "symbol,industry,from,to\n" + "".join(f"{name},Chips,{rows.get(name, ',')}\n" for name in SYMBOLS)
    (folder / "companies.csv").write_text(table, encoding="utf-8")
    (folder / "finnex.toml").write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return load_config(folder / "finnex.toml")


def test_sessions_outside_a_membership_are_neither_drawn_nor_labelled_nor_learnt_from(folder: Path) -> None:
    days = days_of(folder)
    rows = {"C0001": f",{days[-6]}", "C0002": f"{days[-4]},", "C0003": f",{days[-DRAWN - 5]}"}
    config = configured(folder, rows, '[labels]\nkind = "section_rank"\nhorizon = 1')
    assert build(config).built == 2 * DRAWN + (DRAWN - 5) + 4
    store = ImageStore.open(config.store.path)
    assert "C0003" not in store.symbols  # a company that was a member on no day of the range is not laid out
    for symbol, first, last in (("C0001", 0, DRAWN - 6), ("C0002", DRAWN - 4, DRAWN - 1)):
        data = store.open_sessions(symbol).sel(date=days[-DRAWN:])
        inside = (np.arange(DRAWN) >= first) & (np.arange(DRAWN) <= last)
        np.testing.assert_array_equal(data["status"].to_numpy() == READY, inside)
        np.testing.assert_array_equal(data["status"].to_numpy() == NO_BAR, ~inside)
        for kind in ("price_movement", "triple_barrier", "market_relative", "section_rank"):
            assert (data[f"label_{kind}"].to_numpy()[~inside] == -1).all()
            assert np.isnan(data[f"return_{kind}"].to_numpy()[~inside]).all()
    assert "members by the table of companies" in universe_words(store, ["C0000", "C0001"])


def test_a_study_does_without_a_company_that_was_a_member_on_no_day_that_was_drawn(folder: Path) -> None:
    days = days_of(folder)
    rows = dict.fromkeys(SYMBOLS, f"{days[0]},") | {"C0003": f"{days[0]},{days[-DRAWN - 5]}"}
    short = "[training]\ntrain_fraction = 0.5\nvalidation_fraction = 0.25\nembargo_sessions = 0"
    config = configured(folder, rows, '[labels]\nkind = "section_rank"\nhorizon = 1', short)
    build(config)
    store = ImageStore.open(config.store.path)
    assert "C0003" not in store.symbols
    names = tuple(name for name in SYMBOLS if name != "C0003")
    assert study_companies(config, store) == names
    samples, _ = study_samples(config, store)
    assert samples.symbols == names
    assert len(notebook.dataset(config)) == len(samples)
    assert "members by the table of companies" in universe_words(store, study_companies(config, store))
    bare = config.model_copy(update={"inputs": config.inputs.model_copy(update={"companies": ()})})
    with pytest.raises(StoreError, match="no symbol 'C0003'"):
        study_samples(bare, store)


def test_a_membership_that_ends_later_takes_out_no_image_without_force(folder: Path) -> None:
    days = days_of(folder)
    config = configured(folder, {})
    assert build(config).built == COMPANIES * DRAWN
    assert universe_words(ImageStore.open(config.store.path), SYMBOLS) == SURVIVORSHIP
    before = ImageStore.open(config.store.path).fingerprint()
    config = configured(folder, {"C0004": f",{days[-3]}"})
    with pytest.raises(InputError, match=r"C0004 is no member on 2 sessions that have an image") as refused:
        build(config)
    assert "by force" in str(refused.value)
    assert ImageStore.open(config.store.path).fingerprint() == before
    build(config, force=True)
    status = ImageStore.open(config.store.path).open_sessions("C0004").sel(date=days[-4:])["status"].to_numpy()
    assert status.tolist() == [READY, READY, NO_BAR, NO_BAR]


def test_a_company_that_left_before_the_range_is_no_reason_to_refuse_it(folder: Path) -> None:
    days = days_of(folder)
    prices = pd.read_parquet(folder / "prices.parquet")
    gone = (prices["symbol"] == "C0003") & (prices["date"] > days[-DRAWN - 5])
    prices[~gone].to_parquet(folder / "prices.parquet", index=False)
    with pytest.raises(ConfigError, match="there is no session of C0003"):
        build(configured(folder, {}))
    config = configured(folder, {"C0003": f",{days[-DRAWN - 5]}"})
    assert build(config).built == (COMPANIES - 1) * DRAWN
    again = build(config)
    assert (again.built, again.skipped) == (0, (COMPANIES - 1) * DRAWN)
    with pytest.raises(ConfigError, match="C0003 is no member of the universe"):
        build(config, symbols=["C0003"])


def test_ranks_in_the_universe_are_drawn_where_they_are_asked_for(folder: Path) -> None:
    config = configured(folder, {}, "[image]\ncross_section = true")
    assert build(config).built == COMPANIES * DRAWN
    store = ImageStore.open(config.store.path)
    data = store.open_sessions("C0000").sel(date=days_of(folder)[-DRAWN:])
    ranks = data["feature_original"].sel(feature="section_momentum_60").to_numpy()
    assert ((ranks >= 0) & (ranks <= 1)).all()
    with pytest.raises(StoreError, match="layout"):  # a store has one catalogue
        build(configured(folder, {}))


def test_the_audit_computes_labels_across_the_section_again_and_names_one_that_differs(folder: Path) -> None:
    days = days_of(folder)
    config = configured(folder, {"C0001": f",{days[-6]}"}, "[image]\ncross_section = true")
    build(config)
    store = ImageStore.open(config.store.path)
    clean = audit(config, sessions=2, symbols=["C0000", "C0001"], store=store)
    assert [one for one in clean.findings if one.kind in ("stored_label_differs", "look_ahead")] == []
    label = zarr.open_group(str(config.store.path), mode="r+")["C0000/return_section_rank"]
    values = label[...]
    known = np.argwhere(~np.isnan(values))
    values[tuple(known[-1])] += 0.05
    label[...] = values
    found = audit(config, sessions=2, symbols=["C0000"], store=ImageStore.open(config.store.path))
    (finding,) = (one for one in found.findings if one.kind == "stored_label_differs")
    assert "section_rank" in finding.evidence


def test_a_store_takes_up_labels_across_the_section_and_draws_nothing_again(folder: Path) -> None:
    bare = configured(folder, {})
    text = (folder / "finnex.toml").read_text(encoding="utf-8")
    (folder / "finnex.toml").write_text(text.replace('companies = "companies.csv"\n', ""), encoding="utf-8")
    build(load_config(folder / "finnex.toml"))
    asked = bare.model_copy(update={"labels": bare.labels.model_copy(update={"kind": "section_rank"})})
    with pytest.raises(TrainingError, match=r"has no label 'section_rank'.*Build it again with \[inputs\] companies"):
        study_samples(asked, ImageStore.open(asked.store.path))
    found = build(bare)
    assert (found.built, found.skipped) == (0, COMPANIES * DRAWN)
    store = ImageStore.open(asked.store.path)
    labels = store.open_sessions("C0000").sel(date=days_of(folder)[-DRAWN:-3])["label_section_rank"].to_numpy()
    assert (labels[:, 0] >= 0).all()
    plain = xr.open_zarr(asked.store.path, group="C0000", mask_and_scale=False)
    np.testing.assert_array_equal(plain["label_section_rank"].sel(date=days_of(folder)[-DRAWN:-3]), labels)
    assert build(bare).built == 0


def test_labels_across_a_section_wait_for_a_member_that_is_left_out(folder: Path) -> None:
    days = days_of(folder)
    whole = pd.read_parquet(folder / "prices.parquet")
    before = whole["date"] < days[-1]
    whole[before].to_parquet(folder / "prices.parquet", index=False)
    config = configured(folder, {})
    build(config)
    store = ImageStore.open(config.store.path)
    stored = {name: store.values("C0000", name) for name in ("label_section_rank", "return_market_relative")}
    broken = whole.copy()
    broken.loc[(broken["symbol"] == "C0002") & (broken["date"] == days[-3]), "high"] = -1.0
    broken.to_parquet(folder / "prices.parquet", index=False)
    lines = (folder / "finnex.toml").read_text(encoding="utf-8")
    (folder / "finnex.toml").write_text('on_bad_company = "leave out"\n' + lines, encoding="utf-8")
    found = build(load_config(folder / "finnex.toml"))
    assert found.built == COMPANIES - 1
    assert [one.symbol for one in found.bad] == ["C0002"]
    for name, values in stored.items():
        np.testing.assert_array_equal(ImageStore.open(config.store.path).values("C0000", name), values)
    whole.to_parquet(folder / "prices.parquet", index=False)
    healed = build(load_config(folder / "finnex.toml"))
    label = (
        ImageStore.open(config.store.path).open_sessions("C0000").sel(date=days[-2])["label_section_rank"].to_numpy()
    )
    assert label[0] >= 0
    assert healed.failed == 0


def test_a_company_with_images_outside_its_membership_is_left_out_where_that_is_asked(folder: Path) -> None:
    days = days_of(folder)
    build(configured(folder, {}))
    configured(folder, {"C0004": f",{days[-3]}"})
    text = (folder / "finnex.toml").read_text(encoding="utf-8")
    (folder / "finnex.toml").write_text(f'on_bad_company = "leave out"\n{text}', encoding="utf-8")
    found = build(load_config(folder / "finnex.toml"))
    assert [one.symbol for one in found.bad] == ["C0004"]
    assert "no member on 2 sessions" in str(found.bad[0].problems[0])
    # The others are compared with it no more on the last two sessions, so these are drawn again.
    assert (found.built, found.skipped) == (2 * (COMPANIES - 1), (COMPANIES - 1) * (DRAWN - 2))
    status = ImageStore.open(load_config(folder / "finnex.toml").store.path).open_sessions("C0004")["status"]
    assert (status.to_numpy() == READY).sum() == DRAWN


def kept_of_others(config: Config, bad: str) -> dict[tuple[str, str], bytes]:
    """Return images, and labels across the section, of all companies but one."""
    store = ImageStore.open(config.store.path)
    names = ("image_crc", "input_hash", "label_section_rank", "return_market_relative", "label_market_relative")
    return {
        (symbol, name): store.values(symbol, name).tobytes() for symbol in SYMBOLS if symbol != bad for name in names
    }


@pytest.mark.parametrize(
    "wrong",
    [["C0003,Chips,,soon"], ["C0003,Chips,2024-12-20,2024-12-10"], [], ["C0003,Chips,,", "C0003,Chips,2024-12-10,"]],
    ids=["no day", "ends before it begins", "no row", "overlap"],
)
def test_a_wrong_row_in_the_table_of_companies_changes_nothing_published_of_the_others(
    folder: Path, wrong: list[str]
) -> None:
    days = days_of(folder)
    configured(folder, {"C0003": f"{days[-DRAWN - 30]},{days[-4]}"})
    text = (folder / "finnex.toml").read_text(encoding="utf-8")
    (folder / "finnex.toml").write_text(f'on_bad_company = "leave out"\n{text}', encoding="utf-8")
    config = load_config(folder / "finnex.toml")
    build(config)
    before, good = kept_of_others(config, "C0003"), (folder / "companies.csv").read_text(encoding="utf-8")
    lines = [line for line in good.splitlines() if not line.startswith("C0003")]
    (folder / "companies.csv").write_text("\n".join([*lines, *wrong]) + "\n", encoding="utf-8")
    found = build(config)
    assert ([one.symbol for one in found.bad], found.built) == (["C0003"], 0)
    assert kept_of_others(config, "C0003") == before
    (folder / "companies.csv").write_text(good, encoding="utf-8")
    healed = build(config)
    assert (healed.bad, healed.built) == ((), 0)
    assert kept_of_others(config, "C0003") == before


def test_a_table_of_companies_without_symbols_is_refused_as_such(folder: Path) -> None:
    config = configured(folder, {})
    table = (folder / "companies.csv").read_text(encoding="utf-8")
    (folder / "companies.csv").write_text(table.replace("symbol,", "firm,"), encoding="utf-8")
    with pytest.raises(InputError, match=r"column 'symbol': the column is missing"):
        read_run(config)


def test_every_configured_company_without_a_row_is_left_out_however_many_there_are(tmp_path: Path) -> None:
    companies = MOST_OF_A_KIND + 5
    write_tables(tmp_path, companies, 40)
    text = Path(write_config(tmp_path, companies)).read_text(encoding="utf-8")
    text = text.replace("[inputs]\n", '[inputs]\ncompanies = "companies.csv"\n')
    (tmp_path / "finnex.toml").write_text(f'on_bad_company = "leave out"\n{text}', encoding="utf-8")
    (tmp_path / "companies.csv").write_text("symbol,industry\nC0000,Chips\nC0001,Chips\n", encoding="utf-8")
    run = read_run(load_config(tmp_path / "finnex.toml"))
    assert run.config.symbols == ("C0000", "C0001")
    assert len(run.bad) == companies - 2


def test_the_key_of_a_company_follows_from_the_rows_of_every_member(folder: Path) -> None:
    config = configured(folder, {})
    run = read_run(config)
    before = {symbol: InputKeys(run).of(symbol) for symbol in SYMBOLS}
    prices = run.tables.prices.copy()
    prices.loc[prices.index[prices["symbol"] == "C0003"][5], "volume"] += 1
    after = InputKeys(replace(run, tables=replace(run.tables, prices=prices)))
    assert all(after.of(symbol) != before[symbol] for symbol in SYMBOLS)
