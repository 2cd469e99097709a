"""Workers die, disks fill up, stores are locked or damaged under a flow: what its run says, and what the next does."""

from __future__ import annotations

import signal
import subprocess
from datetime import date
from pathlib import Path

import numpy as np
import psutil
import pytest
from prefect.client.schemas.objects import StateType

from finnex.config import load_config
from finnex.store import READY, ImageStore
from flows.prefect_api.requests import BackfillRequest, NightlyRequest, QaRequest
from flows.prefect_api.runs import FlowRuns
from flows.servers.stack import Stack
from tests.helpers.flow_runs import (
    BACKFILL,
    calm_fingerprint,
    completes,
    ends,
    other_project,
    process_of,
    published,
    says,
    until,
)
from tests.helpers.mounts import mounted

pytest_plugins = ("tests.helpers.servers",)
pytestmark = pytest.mark.integration
A_FORTNIGHT = ("end = 2015-09-30", "end = 2015-03-13")
SESSIONS = 10


def workers_of(flow: psutil.Process) -> list[psutil.Process]:
    """Return the Dask worker processes of a flow that is drawing."""
    return [child for child in flow.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("how_many", [pytest.param(1, marks=pytest.mark.accept), 2])
def test_workers_that_are_killed_in_mid_batch_cost_no_image_and_are_told(
    how_many: int, runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    project = other_project(served_project, tmp_path, ("end = 2015-09-30", "end = 2015-12-15"))
    store = load_config(project).store.path
    run = runs.start(BACKFILL, BackfillRequest(config=str(project)))
    until(lambda: len(list(store.glob(".finnex/drafts/*/*"))) > 5)
    flow = process_of(run)
    assert flow is not None
    killed = workers_of(flow)[:how_many]
    assert len(killed) == how_many
    for worker in killed:
        worker.kill()
    assert not published(project), "the batch is under way"
    assert ends(runs, run).is_completed()
    assert "what they held is drawn again" in says(runs, run, "Dask lost ")
    told = runs.table(run, "build-result")[0]
    assert (told["failed"], told["fingerprint"]) == (0, calm_fingerprint(project, tmp_path))


@pytest.mark.accept
@pytest.mark.parametrize(("size", "some_fit"), [("8m", False), ("14m", True)])
def test_a_full_disk_fails_the_run_with_its_reason_and_the_next_one_completes(
    size: str, some_fit: bool, runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as disk:
        project = other_project(served_project, disk, ("end = 2015-09-30", "end = 2015-05-29"))
        request = BackfillRequest(config=str(project), symbols=["NVDA"])
        some = request.model_copy(update={"end": date(2015, 3, 10)})
        assert ends(runs, runs.start(BACKFILL, some)).is_completed()
        before = published(project)
        run = runs.start(BACKFILL, request)
        state = ends(runs, run)
        assert state.type == StateType.FAILED
        now = published(project)
        assert all(np.array_equal(before[key], now[key]) for key in before)
        assert (len(now) > len(before)) == some_fit
        failed = runs.table(run, "failed-sessions")
        assert len(failed) == 63 - len(now)
        first = min(row["session"] for row in failed)
        said = f"{len(failed)} of 56 sessions could not be drawn, the first is NVDA {first}"
        assert said in str(state.message)
        assert "No space left on device" in str(state.message)
        assert all("No space left on device" in row["reason"] for row in failed)
        subprocess.run(["mount", "-o", "remount,size=600m", str(disk)], check=True)
        completes(runs, project, tmp_path, now)


@pytest.mark.accept
def test_a_store_on_a_read_only_mount_fails_the_run_with_its_reason(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    (data := tmp_path / "data").mkdir()
    project = other_project(served_project, data, A_FORTNIGHT)
    assert ends(runs, runs.start(BACKFILL, BackfillRequest(config=str(project), symbols=["NVDA"]))).is_completed()
    with mounted(tmp_path / "mounted", "--bind", "-o", "ro", str(data)) as place:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        text = project.read_text().replace(str(data), str(place))
        (locked := tmp_path / "finnex.toml").write_text(text)
        state = ends(runs, runs.start("finnex-nightly/nightly", NightlyRequest(config=str(locked), wait_minutes=0)))
        assert state.type == StateType.FAILED
        assert "cannot be written (Read-only file system)" in str(state.message)
        before = published(locked)
        assert len(before) == SESSIONS
    completes(runs, project, tmp_path, before)


@pytest.mark.accept
def test_a_damaged_chunk_is_found_by_its_checksum_and_drawn_again(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    project = other_project(served_project, tmp_path, A_FORTNIGHT)
    assert ends(runs, runs.start(BACKFILL, BackfillRequest(config=str(project)))).is_completed()
    before, path = published(project), load_config(project).store.path
    state = ImageStore.open(path).state("NVDA")
    index = int(np.flatnonzero(state.status == READY)[3])
    chunk = path / "NVDA" / "image" / f"c.{index}.0.0.0"
    spoilt = bytearray(chunk.read_bytes())
    spoilt[len(spoilt) // 2] ^= 0xFF
    chunk.write_bytes(spoilt)
    looked = ends(runs, runs.start("finnex-qa/qa", QaRequest(config=str(project), sample=2)))
    assert looked.type == StateType.FAILED
    assert str(state.days[index]) in str(looked.message)
    again = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(project)))
    assert ends(runs, again).is_completed()
    says(runs, again, "NVDA: 1 images are damaged in the store; they are drawn again.")
    assert runs.table(again, "build-result")[0]["built"] == 1
    completes(runs, project, tmp_path, before)


DIES_BETWEEN_IMAGE_AND_STATUS = """
import os, pathlib, signal
if "PREFECT__FLOW_RUN_ID" in os.environ and not (died := pathlib.Path({marker!r})).exists():
    from finnex.store.writer import StoreWriter

    def die(self, symbol, receipts, *rest):
        if receipts:
            died.write_text(str(len(receipts)))
            os.kill(os.getpid(), signal.SIGKILL)

    StoreWriter._record = die
"""


@pytest.mark.accept
def test_a_flow_that_is_killed_between_image_and_status_shows_neither_and_the_next_run_shows_both(
    served_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, marker = other_project(served_project, tmp_path, A_FORTNIGHT), tmp_path / "died"
    (hooks := tmp_path / "hooks").mkdir()
    (hooks / "sitecustomize.py").write_text(DIES_BETWEEN_IMAGE_AND_STATUS.format(marker=str(marker)))
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    with Stack(tmp_path / "state", prefect_port=0, mlflow_port=0) as stack:
        runs = FlowRuns(stack.prefect_address)
        state = ends(runs, runs.start(BACKFILL, BackfillRequest(config=str(project))))
        assert state.type == StateType.CRASHED
        assert str(-signal.SIGKILL) in str(state.message)
        assert marker.read_text() == str(SESSIONS)
        images = load_config(project).store.path / "NVDA" / "image"
        assert len(list(images.glob("c.*"))) == SESSIONS
        assert published(project) == {}
        again = completes(runs, project, tmp_path, {})
        says(runs, again, f"NVDA: 0 sessions to draw, {SESSIONS} up to date")
