from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numcodecs import Blosc

from finnex.config import Config, StoreSettings, source_at
from finnex.data.calendar import _reach, session_calendar
from finnex.data.features.calendar_events import _wide
from finnex.errors import ConfigError, InputError, LayoutError
from finnex.layout import load_layout
from finnex.pipeline import Drawn, build, draw_here, draw_units, open_for_writing, prepare_symbol, read_run
from finnex.pipeline.dask_workers import _send
from finnex.store import NO_BAR, READY, ImageStore, writing
from finnex.store.folder import Folder

pytest_plugins = ["tests.helpers.buckets"]
Maker = Callable[..., Config]


def bytes_of(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def images_of(config: Config, symbol: str = "NVDA") -> xr.Dataset:
    return ImageStore.open(config.store.path).open_images(symbol)


def edited(config: Config, folder: Path, table: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Config:
    """The same configuration with one table read, edited and written elsewhere."""
    source = config.inputs.files_of(table)[0]
    frame = edit(pd.read_csv(source, dtype=str))
    target = folder / f"{table}_edited.csv"
    frame.to_csv(target, index=False)
    return config.model_copy(update={"inputs": config.inputs.model_copy(update={table: source_at(target)})})


def test_a_build_publishes_every_session_of_the_range(sample_config: Maker) -> None:
    config = sample_config()
    result = build(config)
    data = images_of(config)
    assert (result.built, result.skipped, result.failed) == (22, 0, 0)
    assert data.sizes["date"] == 22
    assert data["date"].to_numpy()[[0, -1]].astype("datetime64[D]").astype(str).tolist() == [
        "2015-03-02",
        "2015-03-31",
    ]
    images = data["image"].to_numpy()
    assert ((images >= 0) & (images <= 1)).all()
    assert result.fingerprint == ImageStore.open(config.store.path).fingerprint()
    assert data.attrs["synthetic_tables"] == ["fundamentals", "sentiment"]


def test_all_nine_cells_are_alive_and_change_from_session_to_session(sample_config: Maker) -> None:
    config = sample_config()
    build(config)
    images = images_of(config)["image"].to_numpy()
    for rows in (slice(0, 171), slice(171, 342), slice(342, 512)):
        for channel in range(3):
            cell = images[:, rows, :, channel]
            assert (cell > 0).mean() > 0.5
            assert cell[cell > 0].std() > 0.05
            assert np.abs(cell[0] - cell[-1]).mean() > 0.01


def test_a_second_build_builds_nothing_and_changes_no_byte(sample_config: Maker) -> None:
    config = sample_config()
    first = build(config)
    before = bytes_of(config.store.path)
    second = build(config)
    assert (second.built, second.skipped, second.fingerprint) == (0, 22, first.fingerprint)
    after = bytes_of(config.store.path)
    assert after.pop(".finnex/scrub.json")  # which images were read and compared
    assert after == before


def test_a_forced_build_draws_the_same_pictures_again(sample_config: Maker) -> None:
    config = sample_config()
    first = build(config)
    again = build(config, force=True)
    assert again.built == first.built
    assert again.fingerprint == first.fingerprint


def test_after_one_changed_row_exactly_the_sessions_whose_picture_changes_are_drawn(
    sample_config: Maker, tmp_path: Path
) -> None:
    config = sample_config()
    build(config)
    before = images_of(config)["image"].to_numpy()

    def more_volume(frame: pd.DataFrame) -> pd.DataFrame:
        row = (frame["symbol"] == "NVDA") & (frame["date"] == "2015-03-17")
        frame.loc[row, "volume"] = str(float(frame.loc[row, "volume"].iloc[0]) * 3)
        return frame

    result = build(edited(config, tmp_path, "prices", more_volume))
    after = images_of(config)["image"].to_numpy()
    different = [index for index in range(len(before)) if not np.array_equal(before[index], after[index])]
    days = images_of(config)["date"].to_numpy().astype("datetime64[D]")
    assert result.built == len(different)
    assert days[different[0]] == np.datetime64("2015-03-17")
    assert different == list(range(different[0], len(before)))


def test_a_changed_row_that_no_image_of_the_range_shows_draws_nothing(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config()
    build(config)
    other = edited(config, tmp_path, "prices", lambda frame: frame[frame["date"] <= "2015-04-15"])
    assert build(other).built == 0


LONGER = pytest.mark.accept


@pytest.mark.parametrize(
    "day", [pytest.param("2015-03-06", marks=LONGER), "2015-03-20", pytest.param("2015-03-30", marks=LONGER)]
)
def test_images_know_nothing_after_their_session(day: str, sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config()
    build(config)
    blind = config.model_copy(
        update={"store": config.store.model_copy(update={"path": tmp_path / "blind.zarr"}), "end": None}
    )
    for table, column in (
        ("prices", "date"),
        ("macro", "available_date"),
        ("sentiment", "timestamp"),
        ("fundamentals", "available_date"),
    ):
        blind = edited(blind, tmp_path, table, lambda frame, column=column: frame[frame[column] <= f"{day}~"])
    build(blind)
    full, seen = images_of(config), images_of(blind)
    days = seen["date"].to_numpy()
    assert days[-1].astype("datetime64[D]") == np.datetime64(day)
    np.testing.assert_array_equal(full["image"].sel(date=days).to_numpy(), seen["image"].to_numpy())


def test_start_selects_what_is_drawn_and_never_what_is_read(sample_config: Maker, tmp_path: Path) -> None:
    wide = sample_config()
    build(wide)
    late = sample_config(start=wide.start.replace(day=16), store={"path": str(tmp_path / "late.zarr")})  # type: ignore[union-attr]
    build(late)
    a, b = images_of(wide), images_of(late)
    np.testing.assert_array_equal(a["image"].sel(date=b["date"]).to_numpy(), b["image"].to_numpy())


@pytest.mark.parametrize("ratio", [4, pytest.param(3, marks=LONGER), pytest.param(0.1, marks=LONGER)])
def test_images_do_not_depend_on_a_later_split(ratio: float, sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config()
    build(config)

    def rescaled(frame: pd.DataFrame) -> pd.DataFrame:
        own = frame["symbol"] == "NVDA"
        for name in ("open", "high", "low", "close"):
            frame.loc[own, name] = [repr(float(price) / ratio) for price in frame.loc[own, name]]
        frame.loc[own, "volume"] = [repr(float(shares) * ratio) for shares in frame.loc[own, "volume"]]
        return frame

    split = edited(config, tmp_path, "prices", rescaled)
    other = split.model_copy(update={"store": config.store.model_copy(update={"path": tmp_path / "split.zarr"})})
    build(other)
    before, after = images_of(config)["image"].to_numpy(), images_of(other)["image"].to_numpy()
    assert len(before) == 22
    np.testing.assert_array_equal(before, after)


def test_a_session_without_a_bar_is_recorded_and_not_drawn(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config()
    hole = edited(
        config,
        tmp_path,
        "prices",
        lambda frame: frame[~((frame["symbol"] == "NVDA") & (frame["date"] == "2015-03-17"))],
    )
    assert build(hole).built == 21
    assert np.datetime64("2015-03-17") not in images_of(config)["date"].to_numpy()


def test_bars_that_are_gone_take_no_image_away_unless_by_force(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config(symbols=["NVDA", "AAPL"])
    first = build(config)

    def shorten(bars: pd.DataFrame) -> pd.DataFrame:
        gone = (bars["symbol"] == "AAPL") & bars["date"].isin(["2015-03-05", "2015-03-10"])
        return bars[~gone & ~((bars["symbol"] == "NVDA") & (bars["date"] > "2015-03-25"))]

    cut = edited(config, tmp_path, "prices", shorten)
    store = ImageStore.open(config.store.path)
    with pytest.raises(InputError) as refused:
        build(cut, symbols=["NVDA"])
    assert "no bar of NVDA on 4 sessions" in str(refused.value)
    assert "no bar of AAPL on 2 sessions" in str(refused.value)
    assert "from 2015-03-05 to 2015-03-10. Give the rows back" in str(refused.value)
    assert store.fingerprint() == first.fingerprint
    build(cut, symbols=["AAPL"], start=date(2015, 3, 6), end=date(2015, 3, 31), force=True)
    state = store.state("AAPL")
    assert state.status[np.isin(state.days, np.array(["2015-03-05", "2015-03-10"], dtype="M8[D]"))].tolist() == [
        READY,
        NO_BAR,
    ]
    build(cut, force=True)
    assert (store.state("AAPL").status == READY).sum() == 20
    assert build(cut).built == 0


@pytest.mark.accept
def test_a_closure_that_the_calendar_learns_of_later_keeps_the_store(
    sample_config: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an exchange stays shut for a day of mourning, and the next release of the calendar knows it."""
    shut = pd.Timestamp("2015-03-11")
    config = edited(sample_config(), tmp_path, "prices", lambda bars: bars[bars["date"] != str(shut.date())])
    assert build(config).built == 21

    class Newer:
        def __init__(self, calendar: Any) -> None:
            self.sessions = calendar.sessions.drop(shut, errors="ignore")
            self.closes = calendar.closes.drop(shut, errors="ignore")
            self.bound_min, self.bound_max = calendar.bound_min, calendar.bound_max

    older = exchange_calendars.get_calendar
    monkeypatch.setattr(exchange_calendars, "get_calendar", lambda *given, **named: Newer(older(*given, **named)))
    for cache in (session_calendar, _wide, _reach):
        cache.cache_clear()
    try:
        build(config)
        fresh = config.model_copy(update={"store": StoreSettings(path=tmp_path / "fresh.zarr")})
        build(fresh)
        found, wanted = (ImageStore.open(one.store.path).open_images("NVDA") for one in (config, fresh))
        found, wanted = (one.drop_vars(["rendered_at", "image_tag"]).load() for one in (found, wanted))
        xr.testing.assert_equal(found, wanted)
        state = ImageStore.open(config.store.path).state("NVDA")
        assert state.status[state.days == shut.to_datetime64().astype("M8[D]")].tolist() == [NO_BAR]
        assert build(config).built == 0
    finally:
        for cache in (session_calendar, _wide, _reach):
            cache.cache_clear()


def test_an_exchange_that_plans_a_year_at_a_time_is_built(sample_config: Maker, tmp_path: Path) -> None:
    days = session_calendar("XSHG", date(2025, 1, 2), date(2026, 11, 20)).days.astype(str)

    def move(bars: pd.DataFrame) -> pd.DataFrame:
        own = bars[bars["symbol"] == "NVDA"].tail(len(days))
        return own.assign(date=days)

    config = edited(
        sample_config(exchange="XSHG", start=date(2026, 11, 2), end=None, sectors=[]), tmp_path, "prices", move
    )
    alone = config.inputs.model_copy(update={name: () for name, _ in config.inputs.tables() if name != "prices"})
    config = config.model_copy(update={"inputs": alone.model_copy(update={"synthetic": ()})})
    assert build(config).built == 15
    assert ImageStore.open(config.store.path).state("NVDA").days[-1] == np.datetime64("2026-12-31")


def test_labels_mature_when_more_days_become_known(
    sample_config: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sample_config()
    early = edited(config, tmp_path, "prices", lambda frame: frame[frame["date"] <= "2015-03-31"])
    first = build(early)
    assert images_of(config)["label_price_movement"].sel(horizon=5).to_numpy()[-1] == -1
    order: list[str] = []
    move = Folder.move

    def noting(place: Folder, source: str, target: str) -> None:
        order.extend([Path(target).parent.name] * Path(target).name.startswith("c."))
        move(place, source, target)

    monkeypatch.setattr(Folder, "move", noting)
    second = build(config)
    assert second.built == 0
    assert images_of(config)["label_price_movement"].sel(horizon=5).to_numpy()[-1] != -1
    assert second.fingerprint != first.fingerprint
    for kind in ("price_movement", "triple_barrier"):  # a reader that sees a label finds its return and its end
        written = [order.index(f"{name}_{kind}") for name in ("return", "label_end", "label")]
        assert max(written) == written[-1], kind


def test_one_session_that_fails_costs_no_other(sample_config: Maker) -> None:
    config = sample_config()
    run = read_run(config)
    with writing(config.store.path):
        store = open_for_writing(run).store
        one = prepare_symbol(run, store, "NVDA")
        batch = one.positions.tolist()

        def with_a_broken_bar(blocks: object) -> Iterator[Drawn]:
            for block in one.blocks(batch, dates_per_task=1):
                broken = block.indexes[0] == one.on_axis[batch[4]]
                yield from draw_here(
                    [replace(block, rows=np.empty((len(block.rows), 3), dtype=np.float32)) if broken else block]
                )

        [(_, outcome)] = draw_units([one.portion()], with_a_broken_bar)
    assert outcome.built == len(batch) - 1
    assert [day.isoformat() for day, _ in outcome.failed] == ["2015-03-06"]
    assert "IndexError" in outcome.failed[0][1]
    again = build(config)
    assert (again.built, again.skipped) == (1, 21)


def test_a_damaged_image_is_found_by_its_checksum_and_drawn_again(sample_config: Maker) -> None:
    config = sample_config()
    first = build(config)
    before = bytes_of(config.store.path)
    chunks = sorted((config.store.path / "NVDA" / "image").glob("c.*"))
    flipped = bytearray(chunks[5].read_bytes())
    flipped[1000] ^= 1
    chunks[5].write_bytes(bytes(flipped))
    chunks[9].unlink()
    again = build(config)
    assert (again.built, again.skipped, again.fingerprint) == (2, 20, first.fingerprint)
    after = bytes_of(config.store.path)
    clocks = {"NVDA/rendered_at/c.0", "NVDA/image_tag/c.0", ".finnex/verified.json", ".finnex/scrub.json"}
    assert {name for name in before if before[name] != after[name]} <= clocks


def test_channels_one_after_the_other_take_half_the_space(sample_config: Maker) -> None:
    config = sample_config(end=date(2015, 3, 4))
    build(config)
    chunks = sorted((config.store.path / "NVDA" / "image").glob("c.*"))
    images = images_of(config)["image"].to_numpy()
    channels_last = [len(Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE).encode(image)) for image in images]
    assert sum(chunk.stat().st_size for chunk in chunks) < 0.5 * sum(channels_last)


def test_a_task_reads_the_rows_its_images_look_back_on_and_no_other(sample_config: Maker) -> None:
    config = sample_config()
    run = read_run(config)
    with writing(config.store.path):
        store = open_for_writing(run).store
        one = prepare_symbol(run, store, "NVDA")
        blocks = one.blocks(one.positions.tolist(), dates_per_task=5)
        sent = _send(blocks, "test")
        kept = store.path / ".finnex" / "drafts" / "NVDA" / "rows-test"
        rows = np.frombuffer(kept.read_bytes(), dtype="<f4")
        for block, task in zip(blocks, sent, strict=True):
            first, size = task.first_byte // 4, task.shape[0] * task.shape[1]
            np.testing.assert_array_equal(rows[first : first + size].reshape(task.shape), block.rows)
            assert len(task.block.rows) == 0
            last = one.stage_1.rows[np.searchsorted(one.on_axis, block.indexes[-1])]
            np.testing.assert_array_equal(block.rows[-1], last)  # nothing after the newest image's own session
        drawn_there = [receipt.crc for task in sent for receipt in task.draw()]
        drawn_here = [receipt.crc for _, receipts in draw_here(blocks) for receipt in receipts]
        assert drawn_there == drawn_here


def test_a_task_that_was_made_for_another_layout_draws_nothing(sample_config: Maker) -> None:
    run = read_run(sample_config(end=date(2015, 3, 4)))
    with writing(run.config.store.path):
        one = prepare_symbol(run, open_for_writing(run).store, "NVDA")
        [block] = one.blocks(one.positions.tolist(), dates_per_task=3)
        [(_, receipts)] = draw_here([replace(block, layout_hash="ffffffff")])
    assert {(receipt.draft, receipt.error.partition(":")[0]) for receipt in receipts} == {("", "StoreMismatch")}


def test_tasks_shrink_towards_the_end_of_a_batch(sample_config: Maker) -> None:
    run = read_run(sample_config(start=None))
    with writing(run.config.store.path):
        one = prepare_symbol(run, open_for_writing(run).store, "NVDA")
        sizes = [len(block.ends) for block in one.blocks(one.positions[:250].tolist(), dates_per_task=50)]
        assert sizes[0] == 50
        assert sizes == sorted(sizes, reverse=True)
        assert sum(sizes) == 250
        alone = [len(block.ends) for block in one.blocks(one.positions[:20].tolist(), dates_per_task=1)]
        assert alone == [1] * 20


def test_grouped_dates_draw_the_same_pictures(sample_config: Maker, tmp_path: Path) -> None:
    alone = sample_config()
    grouped = sample_config(dask={"dates_per_task": 7}, store={"path": str(tmp_path / "grouped.zarr")})
    assert build(alone).fingerprint == build(grouped).fingerprint


@pytest.mark.slow
def test_two_worker_processes_draw_the_same_pictures(sample_config: Maker, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    here = sample_config()
    there = sample_config(store={"path": str(tmp_path / "dask.zarr")})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        result = build(there, client=client)
    assert result.fingerprint == build(here).fingerprint
    assert (ImageStore.open(there.store.path).state("NVDA").status == READY).sum() == 22


@pytest.mark.accept
@pytest.mark.integration
def test_a_build_into_a_bucket_on_two_workers_equals_one_in_a_folder(sample_config: Maker, s3: str) -> None:
    from flows.clusters.cluster import cluster_client

    here = sample_config(end=date(2015, 3, 9))
    there = sample_config(end=date(2015, 3, 9), store={"path": f"s3://{s3}/study/images.zarr"}, dask={"workers": 2})
    with cluster_client(there) as client:
        first = build(there, client=client)
        assert first.fingerprint == build(here).fingerprint
        chunk = there.store.path / "NVDA" / "image" / f"c.{_position(there)}.0.0.0"
        chunk.unlink()
        again = build(there, client=client)
    assert (first.built, again.built, again.fingerprint) == (6, 1, first.fingerprint)
    assert len(ImageStore.open(there.store.path).damaged("NVDA")) == 0


def _position(config: Config) -> int:
    return int(np.flatnonzero(ImageStore.open(config.store.path).state("NVDA").status == READY)[0])


def test_an_empty_range_names_the_range_and_makes_no_store(sample_config: Maker, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2013-01-02 to 2023-09-21"):
        build(sample_config(end=None), start=pd.Timestamp("2030-01-01").date())
    assert list(tmp_path.iterdir()) == []


def test_a_feature_that_nobody_computes_and_a_blend_without_its_input_make_no_store(
    sample_config: Maker, tmp_path: Path
) -> None:
    text = load_layout("mega").catalogue.text
    line = next(line for line in text.splitlines() if line.startswith("rsi_14,"))
    (tmp_path / "mine.csv").write_text(text + line.replace("rsi_14", "rsi_41", 1) + "\n")
    config = sample_config(image={"catalogue": str(tmp_path / "mine.csv")})
    with pytest.raises(LayoutError, match=r"'rsi_41' is computed nowhere .*Did you mean 'rsi_14'"):
        build(config)
    less = "".join(row for row in text.splitlines(keepends=True) if not row.startswith("regime_stressed,"))
    (tmp_path / "mine.csv").write_text(less)
    config = sample_config(image={"catalogue": str(tmp_path / "mine.csv"), "blending": True})
    with pytest.raises(LayoutError, match=r"blend 'technical_regime' needs the feature 'regime_stressed'"):
        build(config)
    assert not config.store.path.exists()


@pytest.mark.parametrize("symbol", ["BRK/B", "..", "A B", ""])
def test_a_symbol_that_can_name_no_folder_is_refused(symbol: str, sample_config: Maker) -> None:
    with pytest.raises(ConfigError, match="symbols"):
        sample_config(symbols=["NVDA", symbol])


def test_rows_that_are_left_out_are_said(sample_config: Maker, tmp_path: Path) -> None:
    days = pd.to_datetime(["2015-03-06", "2015-03-07", "2015-03-09"])
    pd.DataFrame({"symbol": "NVDA", "date": days, "rsi_14": 50.0}).to_csv(tmp_path / "enhanced.csv", index=False)
    config = sample_config(end=date(2015, 3, 3), symbols=["NVDA", "META"])
    rows = pd.read_csv(config.inputs.files_of("sentiment")[0])
    rows[rows["symbol"] != "META"].to_csv(tmp_path / "sentiment.csv", index=False)
    inputs = config.inputs.model_copy(
        update={"enhanced": source_at(tmp_path / "enhanced.csv"), "sentiment": source_at(tmp_path / "sentiment.csv")}
    )
    said = " ".join(read_run(config.model_copy(update={"inputs": inputs})).warnings)
    assert "enhanced of NVDA: 2015-03-07 is no session of XNYS" in said
    assert "sentiment of META: the table has no record of it" in said
    assert "sentiment of NVDA: the table" not in said


def test_the_layout_and_the_catalogue_travel_inside_the_store(sample_config: Maker) -> None:
    config = sample_config()
    build(config)
    attrs = ImageStore.open(config.store.path).attrs
    run = read_run(config)
    assert (attrs["layout_toml"], attrs["catalogue_csv"]) == (run.layout.text, run.layout.catalogue.text)


def test_a_year_of_real_tables_builds_with_every_session(real_data: Path, tmp_path: Path) -> None:
    from finnex.config import parse_config

    inputs = {name: str(real_data / f"{name}.csv.gz") for name in ("prices", "macro", "fundamentals", "sentiment")}
    document = {
        "inputs": inputs,
        "symbols": ["TSLA"],
        "start": pd.Timestamp("2021-01-04").date(),
        "end": pd.Timestamp("2021-03-31").date(),
        "store": {"path": str(tmp_path / "tsla.zarr")},
    }
    config = parse_config(document, tmp_path / "finnex.toml")
    result = build(config)
    assert (result.built, result.failed) == (61, 0)
    coverage = images_of(config, "TSLA")["coverage"].mean("date").to_series()
    assert coverage[["news", "social", "technical", "volatility", "price_chart"]].min() > 0.5
