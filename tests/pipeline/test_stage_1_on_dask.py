"""Stage 1 on workers: the same store as in one process, at any number of them, whatever becomes of them."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from distributed import Client, LocalCluster

from benchmarks.panel import write_config, write_tables
from finnex.config import Config, load_config
from finnex.errors import FinnexError
from finnex.pipeline import build, compute_on_dask, read_run
from finnex.pipeline.dask_workers import Watch
from finnex.pipeline.stage_1 import stage_1 as compute
from finnex.pipeline.stage_1 import to_send
from finnex.store import ImageStore
from tests.pipeline.test_unchanged_companies import in_table, scaled

COMPANIES, SESSIONS, KEPT = 5, 320, 3


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel whose last session is not drawn yet, and the store that one process made of the others."""
    folder = tmp_path_factory.mktemp("panel")
    write_tables(folder, COMPANIES, SESSIONS)
    prices = pd.read_parquet(folder / "prices.parquet")
    days = prices["date"].unique()
    path = write_config(folder, COMPANIES, days[-KEPT].date())
    prices.to_parquet(folder / "all.parquet", index=False)
    prices[prices["date"] < days[-1]].to_parquet(folder / "prices.parquet", index=False)
    assert build(load_config(path)).built == COMPANIES * (KEPT - 1)
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def copied(nights: Path, folder: Path) -> Path:
    shutil.copytree(nights, folder, copy_function=shutil.copy2)
    return folder


def arrays(config: Config) -> dict[str, bytes]:
    """Return every array of every company, but for times."""
    store, found = ImageStore.open(config.store.path), {}
    for symbol in store.symbols:
        data = store.open_sessions(symbol)
        for name in data.variables:
            if name not in ("image", "rendered_at", "image_tag"):
                found[f"{symbol}/{name}"] = data[name].to_numpy().tobytes()
        found[f"{symbol}/image"] = store.open_images(symbol)["image"].to_numpy().tobytes()
    return found


def next_night(folder: Path) -> Config:
    """Let the last session close, and a filing be corrected."""
    shutil.copy(folder / "all.parquet", folder / "prices.parquet")
    in_table("filings", scaled("revenue", "C0003"))(folder)
    return load_config(folder / "finnex.toml")


def test_a_first_build_and_a_night_on_workers_give_the_store_of_one_process(
    nights: Path, client: Client, tmp_path: Path
) -> None:
    here, there = copied(nights, tmp_path / "here"), copied(nights, tmp_path / "there")
    shutil.rmtree(there / "images.zarr")
    assert build(load_config(there / "finnex.toml"), client=client).built == COMPANIES * (KEPT - 1)
    assert arrays(load_config(here / "finnex.toml")) == arrays(load_config(there / "finnex.toml"))
    found, wanted = build(next_night(there), client=client), build(next_night(here))
    assert (found.built, found.skipped, found.fingerprint) == (wanted.built, wanted.skipped, wanted.fingerprint)
    assert arrays(load_config(here / "finnex.toml")) == arrays(load_config(there / "finnex.toml"))


def completed(dask_scheduler: Any, kind: str) -> list[str]:
    """Return the keys of the tasks of one kind that a scheduler has seen completed."""
    log = dask_scheduler.transition_log
    return sorted({str(key) for key, _, finish, *_ in log if str(key).startswith(kind) and finish == "memory"})


@pytest.mark.parametrize("dates_per_task", [1, 2])
def test_a_panel_has_one_task_a_date_and_company_unless_dates_are_grouped(
    nights: Path, client: Client, tmp_path: Path, dates_per_task: int
) -> None:
    config = load_config(copied(nights, tmp_path / "panel") / "finnex.toml")
    shutil.rmtree(config.store.path)
    config = config.model_copy(update={"dask": config.dask.model_copy(update={"dates_per_task": dates_per_task})})
    before = {kind: client.run_on_scheduler(completed, kind=kind) for kind in ("image-", "stage_1-")}
    built = build(config, client=client).built
    found = {
        kind: len(set(client.run_on_scheduler(completed, kind=kind)) - set(known)) for kind, known in before.items()
    }
    assert built == COMPANIES * (KEPT - 1)
    assert found == {"image-": built // dates_per_task, "stage_1-": COMPANIES}
    # One batch mixes companies; each task is visible as a company and its first date.
    new = set(client.run_on_scheduler(completed, kind="image-")) - set(before["image-"])
    days = pd.read_parquet(tmp_path / "panel" / "prices.parquet")["date"].unique()[1 - KEPT :][::dates_per_task]
    assert {tuple(key.split("-", 3)[2:]) for key in new} == {
        (f"C{number:04d}", str(day.date())) for number in range(COMPANIES) for day in days
    }


def test_of_an_ordinary_night_only_new_rows_are_sent(nights: Path, tmp_path: Path) -> None:
    config = load_config(copied(nights, tmp_path / "panel") / "finnex.toml")
    shutil.copy(tmp_path / "panel" / "all.parquet", tmp_path / "panel" / "prices.parquet")
    run = read_run(config)
    found = to_send(compute(run, "C0002"), ImageStore.open(config.store.path))
    assert found.panel is None
    assert {name: len(one.values) for name, one in found.features.items()} == dict.fromkeys(found.features, 1)
    strange = ImageStore.open(config.store.path)
    new = compute(run, "C0002")
    whole = to_send(type(new)(**{**vars(new), "symbol": "NEW"}), strange)
    assert {len(one.values) for one in whole.features.values()} == {len(new.calendar)}


def test_no_feature_comes_through_the_scheduler(nights: Path, client: Client, tmp_path: Path) -> None:
    folder = copied(nights, tmp_path / "panel")
    run = read_run(next_night(folder))
    with compute_on_dask(client)(run, run.config.symbols) as stage_1_of:
        moved = [stage_1_of(symbol).rows.nbytes for symbol in run.config.symbols]

    def transferred(dask_scheduler: Any) -> int:
        return int(sum(state.nbytes or 0 for state in dask_scheduler.tasks.values() if state.run_spec is None))

    assert min(moved) > 100_000
    assert client.run_on_scheduler(transferred) < min(moved)


def test_a_worker_that_is_killed_costs_nothing(nights: Path, tmp_path: Path) -> None:
    here, there = copied(nights, tmp_path / "here"), copied(nights, tmp_path / "there")
    said: list[str] = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as own,
    ):
        run = read_run(next_night(there))
        pids = list(own.run(os.getpid).values())
        with compute_on_dask(own, said.append)(run, run.config.symbols) as stage_1_of:
            first = stage_1_of("C0000")
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            others = [stage_1_of(symbol) for symbol in run.config.symbols[1:]]
    wanted = [compute(run, symbol) for symbol in run.config.symbols]
    for found, expected in zip((first, *others), wanted, strict=True):
        assert found.hashes.tobytes() == expected.hashes.tobytes()
        assert found.rows.tobytes() == expected.rows.tobytes()
    assert build(next_night(here)).failed == 0


def test_a_result_that_is_lost_is_computed_here_and_the_run_says_so(
    nights: Path, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_run(next_night(copied(nights, tmp_path / "panel")))
    said: list[str] = []
    monkeypatch.setattr(Watch, "gather", lambda *_, **__: {})
    with compute_on_dask(client, said.append)(run, ["C0002"]) as stage_1_of:
        found = stage_1_of("C0002")
    assert found.hashes.tobytes() == compute(run, "C0002").hashes.tobytes()
    assert said == ["C0002 is computed in this process: no worker could (its result was lost)."]


def test_what_a_worker_refuses_is_refused_in_its_own_words(nights: Path, client: Client, tmp_path: Path) -> None:
    run = read_run(next_night(copied(nights, tmp_path / "panel")))
    odd = pd.DataFrame({"symbol": "C0001", "date": run.tables.prices["date"].unique(), "no such feature": 1.0})
    wrong = type(run)(**{**vars(run), "tables": type(run.tables)(**{**fields_of(run.tables), "enhanced": odd})})
    said: list[str] = []
    with (
        compute_on_dask(client, said.append)(wrong, ["C0001", "C0002"]) as stage_1_of,
        pytest.raises(FinnexError, match="no such feature"),
    ):
        stage_1_of("C0001")
    assert said == []


def fields_of(tables: Any) -> dict[str, Any]:
    return {field: getattr(tables, field) for field in tables.__dataclass_fields__}
