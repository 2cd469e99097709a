"""A night costs what is new: a company whose inputs and files are as they were is neither computed nor read."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from benchmarks.panel import write_config, write_tables
from finnex.config import Config, load_config
from finnex.data.panel import make_panel
from finnex.errors import BuildError, StoreCorrupt
from finnex.layout import load_layout
from finnex.pipeline import build, input_keys, read_run, stage_1, symbol_loop
from finnex.pipeline.input_keys import InputKeys
from finnex.store import ImageStore, StoreWriter, still_verified, writing
from finnex.store.folder import Folder
from finnex.store.scrub import SCRUB
from finnex.store.verified import VERIFIED
from tests.pipeline.test_damaged_builds import flip_a_byte

SESSIONS, KEPT, COMPANIES = 320, 4, 4
PEER, OWN, OTHER = "C0000", "C0002", "C0003"
Edit = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel of four companies, of which the first is the peer of all, and its store."""
    folder = tmp_path_factory.mktemp("panel")
    write_tables(folder, COMPANIES, SESSIONS)
    days = pd.read_parquet(folder / "prices.parquet")["date"].unique()
    path = write_config(folder, COMPANIES, days[-KEPT].date())
    text = path.read_text()
    path.write_text(
        text.replace(text.splitlines()[1], f'peers = ["{PEER}"]').replace("sectors = []", 'sectors = ["XLK"]')
    )
    assert build(load_config(path)).built == COMPANIES * KEPT
    return folder


@pytest.fixture
def panel(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "panel", copy_function=shutil.copy2)
    return tmp_path / "panel"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The companies of which a build computed Stage 1."""
    found: list[str] = []

    def noting(tables: Any, config: Any, symbol: str, *rest: Any) -> Any:
        found.append(symbol)
        return make_panel(tables, config, symbol, *rest)

    monkeypatch.setattr(stage_1, "make_panel", noting)
    return found


def of(panel: Path, **changes: Any) -> Config:
    return load_config(panel / "finnex.toml").model_copy(update=changes)


def in_table(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    def edit(panel: Path) -> None:
        change(pd.read_parquet(panel / f"{name}.parquet")).to_parquet(panel / f"{name}.parquet", index=False)

    return edit


def scaled(column: str, symbol: str | None = None) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what changes one row of a symbol, the last but five."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        rows = np.flatnonzero(frame["symbol"] == symbol) if symbol else np.arange(len(frame))
        frame.loc[rows[-5], column] *= 1.5
        return frame

    return change


def test_the_same_again_computes_nothing_and_reads_no_array(
    panel: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = of(panel, store=of(panel).store.model_copy(update={"scrub_share": 0})), []
    known = build(config)  # a copy: its files are those of the build, and so is what was recorded
    read = Folder.get

    def noting(place: Folder, key: str, *rest: Any) -> bytes | None:
        asked.append(key)
        return read(place, key, *rest)

    read_by_zarr = LocalStore.get

    async def noting_zarr(store: LocalStore, key: str, *rest: Any, **named: Any) -> Any:
        asked.append(f"{store.root}/{key}")
        return await read_by_zarr(store, key, *rest, **named)

    monkeypatch.setattr(Folder, "get", noting)
    monkeypatch.setattr(LocalStore, "get", noting_zarr)
    assert ImageStore.open(config.store.path).values(OWN, "status").any()
    assert any("/c." in key for key in asked)  # reads are seen
    asked.clear()
    again = build(config)
    assert (again.built, again.skipped, again.fingerprint) == (0, COMPANIES * KEPT, known.fingerprint)
    assert computed == []
    assert [key for key in asked if "/image/" in key or "/c." in key] == []


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (in_table("filings", scaled("revenue", OWN)), {OWN}),
        (in_table("sentiment", scaled("score", OWN)), {OWN}),
        (in_table("filings", scaled("revenue", PEER)), {f"C000{i}" for i in range(COMPANIES)}),
        (in_table("macro", scaled("value")), {f"C000{i}" for i in range(COMPANIES)}),
        (in_table("prices", lambda frame: frame[::-1]), set()),
        (in_table("prices", lambda frame: frame.assign(volume=frame["volume"].astype("float64"))), set()),
    ],
    ids=["a filing", "a score", "a filing of the peer", "a macro value", "another order", "another dtype"],
)  # fmt: skip
def test_only_companies_whose_inputs_changed_are_computed(
    panel: Path, computed: list[str], edit: Edit, expected: set[str]
) -> None:
    edit(panel)
    build(of(panel))
    assert set(computed) == expected


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("enhanced", {"symbol": [OTHER], "date": ["2024-12-30"], "news_tone": [0.1]}),
        ("splits", {"symbol": [OTHER], "date": ["2024-03-01"], "ratio": [2.0]}),
    ],
)
def test_a_table_without_rows_of_a_company_changes_it_where_features_follow_from_the_table_being_there(
    panel: Path, name: str, table: dict[str, list[Any]]
) -> None:
    pd.DataFrame(table).to_csv(panel / f"{name}.csv", index=False)
    path = panel / "finnex.toml"
    path.write_text(path.read_text().replace("[inputs]", f'[inputs]\n{name} = "{name}.csv"'))
    shutil.copytree(panel, other := panel.with_name("other"), copy_function=shutil.copy2)
    (other / "images.zarr" / VERIFIED).unlink()
    assert build(of(panel)).fingerprint == build(of(other)).fingerprint
    for symbol in (OWN, OTHER):
        one, two = (ImageStore.open(of(each).store.path).values(symbol, "feature_original") for each in (panel, other))
        assert one.tobytes() == two.tobytes()


def test_sessions_that_are_announced_change_every_key(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_run(of(made))
    before, planned = InputKeys(run).of(OWN), input_keys.planned_sessions
    monkeypatch.setattr(input_keys, "planned_sessions", lambda name, first, _: planned(name, first, date(2025, 6, 1)))
    assert InputKeys(run).of(OWN) != before


def test_another_range_label_code_or_release_computes_all(
    panel: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ImageStore.open(of(panel).store.path).open_images(OWN)["date"].to_numpy()
    build(of(panel), start=pd.Timestamp(days[1]).date())
    assert len(computed) == COMPANIES
    build(of(panel))
    assert len(computed) == 2 * COMPANIES
    monkeypatch.setattr(input_keys, "code_digest", lambda: "another release")
    build(of(panel))
    assert len(computed) == 3 * COMPANIES
    build(of(panel))
    assert len(computed) == 3 * COMPANIES
    build(of(panel), force=True)
    assert len(computed) == 4 * COMPANIES


def test_a_company_that_is_added_costs_no_other(panel: Path, computed: list[str]) -> None:
    path = panel / "finnex.toml"
    path.write_text(path.read_text().replace(f", '{OTHER}']", "]", 1))
    shutil.rmtree(panel / "images.zarr")
    build(load_config(path))
    computed.clear()
    path.write_text(path.read_text().replace("symbols = [", f"symbols = ['{OTHER}', ", 1))
    assert build(load_config(path)).built == KEPT
    assert computed == [OTHER]


def test_inputs_that_are_taken_back_after_a_crash_are_computed_again(
    panel: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, wanted = panel / "filings.parquet", ImageStore.open(of(panel).store.path).open_images(OWN).load()
    kept = before.read_bytes()
    in_table("filings", scaled("revenue", OWN))(panel)

    def crash(*_: Any, **__: Any) -> None:
        raise BuildError("killed after the features were written")

    with monkeypatch.context() as killed:
        killed.setattr(symbol_loop._Drawing, "_draw_waiting", crash)
        with pytest.raises(BuildError):
            build(of(panel))
    before.write_bytes(kept)
    computed.clear()
    build(of(panel))
    assert computed == [OWN]
    found = ImageStore.open(of(panel).store.path).open_images(OWN).load()
    assert found.drop_vars(["rendered_at", "image_tag"]).equals(wanted.drop_vars(["rendered_at", "image_tag"]))


@pytest.mark.parametrize("where", ["feature_normalized/c.0.0", "status/c.0", "image", "zarr.json"])
def test_damage_of_one_company_is_found_at_once_and_costs_no_other(
    panel: Path, computed: list[str], where: str
) -> None:
    wanted = ImageStore.open(of(panel).store.path).open_images(OWN).load()
    path = panel / "images.zarr" / OWN / where
    if where == "feature_normalized/c.0.0":
        path = next((panel / "images.zarr" / OWN / "feature_normalized").glob("c*"))
    flip_a_byte(path if path.is_file() else next(one for one in sorted(path.iterdir()) if one.name != "zarr.json"))
    build(of(panel))
    assert computed == [OWN]
    found = ImageStore.open(of(panel).store.path).open_images(OWN).load()
    assert found.drop_vars(["rendered_at", "image_tag"]).equals(wanted.drop_vars(["rendered_at", "image_tag"]))


def test_what_was_recorded_is_not_needed(panel: Path, computed: list[str]) -> None:
    for content in (None, b"", b'{"crc32":1,"content":{}}'):
        for name in (VERIFIED, SCRUB):
            path = panel / "images.zarr" / name
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        computed.clear()
        assert build(of(panel)).built == 0
        assert len(computed) == COMPANIES


def test_a_store_that_was_copied_without_its_times_is_read_once(panel: Path, computed: list[str]) -> None:
    for path in (panel / "images.zarr").rglob("*"):
        os.utime(path, ns=(1, 1))
    assert build(of(panel)).built == 0
    assert len(computed) == COMPANIES
    assert build(of(panel)).built == 0
    assert len(computed) == COMPANIES


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_where_the_key_stays_so_does_every_bit_of_stage_1(made: Path, data: st.DataObject) -> None:
    run = read_run(of(made))
    specs = load_layout("mega").catalogue.entries
    name = data.draw(st.sampled_from(["prices", "fundamentals", "sentiment", "macro"]))
    frame = getattr(run.tables, name).copy()
    numbers = [column for column in frame.columns if frame[column].dtype.kind == "f"]
    row, column = data.draw(st.integers(0, len(frame) - 1)), data.draw(st.sampled_from(numbers))
    frame.loc[frame.index[row], column] = data.draw(st.sampled_from([0.5, 1.0, 7.0, np.nan]))
    other = type(run)(**{**vars(run), "tables": type(run.tables)(**{**vars_of(run.tables), name: frame})})
    symbol = data.draw(st.sampled_from([OWN, OTHER]))
    if InputKeys(run).of(symbol) == InputKeys(other).of(symbol):
        one, two = (make_panel(each.tables, each.config, symbol, specs) for each in (run, other))
        for array in ("original", "normalized", "location", "scale", "bars"):
            assert getattr(one, array).tobytes() == getattr(two, array).tobytes(), (name, column, row)


def vars_of(tables: Any) -> dict[str, Any]:
    return {field: getattr(tables, field) for field in tables.__dataclass_fields__}


def test_predictions_make_no_company_due(panel: Path, computed: list[str]) -> None:
    config = of(panel)
    with writing(config.store.path):
        store = StoreWriter.reopen(config.store.path)
        rows = store.unpredicted(OWN, 2)
        with still_verified(store, [OWN, PEER]):
            assert store.record_predictions(OWN, rows.tolist(), np.full((2, 3), 1 / 3), 1) == 2
    assert build(config).skipped == COMPANIES * KEPT
    assert computed == []
    flip_a_byte(next((panel / "images.zarr" / OTHER / "status").glob("c*")))
    with writing(config.store.path):  # what is damaged is not verified by a prediction
        store = StoreWriter.reopen(config.store.path)
        with contextlib.suppress(StoreCorrupt), still_verified(store, [OTHER]):
            store.record_predictions(OTHER, [int(rows[0])], np.full((1, 3), 1 / 3), 1)
    build(config)
    assert computed == [OTHER]


def test_a_company_whose_turn_is_over_is_read_by_the_next_build(panel: Path, computed: list[str]) -> None:
    config = of(panel)
    assert build(of(panel, store=config.store.model_copy(update={"scrub_share": 0.5}))).built == 0  # half of them
    assert computed == []
    status = next((panel / "images.zarr" / PEER / "status").glob("c*"))
    known = status.stat()
    flip_a_byte(status)
    os.utime(status, ns=(known.st_atime_ns, known.st_mtime_ns))
    build(config)
    assert computed == [PEER, "C0001"]
    assert ImageStore.open(config.store.path).broken(PEER) == {}
