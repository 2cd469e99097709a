"""A build is killed, its disk fills up, its store is damaged or read-only: no image is torn, lost or changed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest

from finnex.config import Config
from finnex.data.normalize import FeatureSpec
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables
from finnex.errors import FinnexError, StoreError
from finnex.pipeline import Run, build, draw_here, draw_units, open_for_writing, prepare_symbol, read_run, units
from finnex.pipeline.dask_workers import KILLED
from finnex.store import READY, ImageStore, writing
from flows.clusters.cluster import cluster_client
from tests.helpers.mounts import mounted

pytestmark = pytest.mark.integration
Maker = Callable[..., Config]
KILLS = 100


def draw_all(run: Run, force: bool = False) -> tuple[int, int]:
    """Build in this process, in small batches, with the inputs as they were read; return built and failed."""
    built = failed = 0
    with writing(run.config.store.path, 5):
        store = open_for_writing(run).store
        for symbol in run.config.symbols:
            one = prepare_symbol(run, store, symbol, force=force)
            for unit in units([one.portion()], 4):
                [(_, outcome)] = draw_units(unit, draw_here, dates_per_task=2)
                built, failed = built + outcome.built, failed + len(outcome.failed)
    return built, failed


def killed_after(seconds: float, work: Callable[[], object]) -> int:
    """Run something in a child process and kill it after a while; return 0 where it had ended by itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def published(config: Config) -> dict[tuple[str, int], np.ndarray]:
    """Read every published image, each whole and with the bytes that were published, as any reader would."""
    found = {}
    store = ImageStore.open(config.store.path)
    for symbol in store.symbols:
        state = store.state(symbol)
        for index in np.flatnonzero(state.status == READY):
            found[symbol, int(index)] = store.image(symbol, state.days[index])
    return found


@pytest.fixture
def panels_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute each symbol's panel once: what is killed is the drawing and the publishing."""
    made: dict[str, Panel] = {}

    def once(tables: Tables, config: Config, symbol: str, specs: Sequence[FeatureSpec]) -> Panel:
        if symbol not in made:
            made[symbol] = make_panel(tables, config, symbol, specs)
        return made[symbol]

    monkeypatch.setattr("finnex.pipeline.stage_1.make_panel", once)


def elsewhere(config: Config, path: Path) -> Config:
    """Return the configuration with another store."""
    return config.model_copy(update={"store": config.store.model_copy(update={"path": path})})


@pytest.mark.accept
@pytest.mark.usefixtures("panels_once")
def test_a_hundred_kills_at_random_moments_tear_lose_and_change_no_image(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config(end=date(2015, 3, 13))
    run = read_run(config)
    calm = elsewhere(config, tmp_path / "calm.zarr")
    draw_all(replace(run, config=calm))
    wanted = published(calm)
    began = time.monotonic()
    draw_all(replace(run, config=elsewhere(config, tmp_path / "timed.zarr")))
    whole = time.monotonic() - began
    rng, seen, killed = random.Random(7), set[tuple[str, int]](), 0
    while killed < KILLS:
        again = seen == set(wanted)  # kills fall into first drawings and into redraws
        killed += killed_after(rng.uniform(0, whole), partial(draw_all, run, force=again)) == signal.SIGKILL
        if not (config.store.path / "zarr.json").exists():
            continue
        now = published(config)
        assert seen <= set(now), "a published image was lost"
        for key, image in now.items():
            np.testing.assert_array_equal(image, wanted[key])
        seen = set(now)
    draw_all(run)
    store = ImageStore.open(config.store.path)
    assert set(published(config)) == set(wanted)
    assert store.fingerprint() == ImageStore.open(calm.store.path).fingerprint()
    assert not list(config.store.path.glob(".finnex/drafts/*/*"))
    assert not list(config.store.path.rglob("*.partial"))


def worker_processes(client: distributed.Client) -> list[int]:
    return list(client.run(os.getpid).values())


def killing(client: distributed.Client, how_many: int) -> Callable[[int], None]:
    """Return a progress callback that kills workers, once, when the first images are drawn."""
    left = [how_many]

    def kill(_: int) -> None:
        if left[0]:
            for process in worker_processes(client)[: left[0]]:
                os.kill(process, signal.SIGKILL)
            left[0] = 0

    return kill


@pytest.mark.accept
@pytest.mark.parametrize("killed", [1, 2])
def test_workers_that_are_killed_in_mid_batch_cost_no_session(
    killed: int, sample_config: Maker, tmp_path: Path
) -> None:
    config = sample_config(end=date(2015, 5, 29), dask={"workers": 2})
    with cluster_client(config) as client:
        result = build(config, client=client, on_progress=killing(client, killed))
        assert result.built + result.failed == 63
        if result.failed:  # more often than Dask allows: told, and left to the next run
            assert {reason for _, _, reason in result.failures} == {KILLED}
        again = build(config, client=client)
    assert (again.built, again.failed) == (result.failed, 0)
    assert again.fingerprint == build(elsewhere(config, tmp_path / "calm.zarr")).fingerprint


def test_a_killed_worker_is_replaced_however_slowly_the_machine_starts_it(sample_config: Maker) -> None:
    # Dask gives up a worker that is not back after 15 s. Here every start is slower than the limit that is set outside.
    slow = dask.config.set({"distributed.deploy.lost-worker-timeout": "1 ms"})
    with slow, cluster_client(sample_config(dask={"workers": 2})) as client:
        before = set(client.nthreads())
        os.kill(worker_processes(client)[0], signal.SIGKILL)
        deadline = time.monotonic() + 120
        while len(set(client.nthreads()) - before) != 1:
            assert time.monotonic() < deadline, "the worker was not replaced"
            time.sleep(0.1)
        client.wait_for_workers(2, timeout=60)


def test_a_full_disk_loses_nothing_and_the_next_run_completes(sample_config: Maker, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=8m", "tmpfs") as disk:
        config = sample_config(end=date(2015, 5, 29), store={"path": str(disk / "images.zarr")})
        first = build(config, end=date(2015, 3, 10))
        assert (first.built, first.failed) == (7, 0)
        before = published(config)
        try:
            result = build(config)
            told = "; ".join(reason for _, _, reason in result.failures)
        except (FinnexError, OSError) as error:
            told = str(error)
        assert "No space left on device" in told
        now = published(config)
        assert set(before) <= set(now)
        assert all(np.array_equal(before[key], now[key]) for key in before)
        assert len(now) < 63
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        again = build(config)
        assert again.failed == 0
        assert len(published(config)) == 63
        assert again.fingerprint == build(elsewhere(config, tmp_path / "calm.zarr")).fingerprint


def test_a_store_on_a_read_only_mount_is_refused_and_read(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config(end=date(2015, 3, 10), store={"path": str(tmp_path / "data" / "images.zarr")})
    build(config)
    before = published(config)
    with mounted(tmp_path / "mounted", "--bind", "-o", "ro", str(tmp_path / "data")) as place:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        locked = elsewhere(config, place / "images.zarr")
        with pytest.raises(StoreError, match=r"cannot be written \(Read-only file system\)"):
            build(locked, force=True)
        assert set(published(locked)) == set(before)
