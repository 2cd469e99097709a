"""A flow over more companies than one process computes: features come from the Dask workers, the store is the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from finnex.config import StoreSettings, load_config
from finnex.pipeline import build
from finnex.pipeline.workers import FEW_COMPANIES
from finnex.store import ImageStore
from flows.prefect_api.requests import BackfillRequest
from flows.prefect_api.runs import FlowRuns
from tests.helpers.flow_runs import BACKFILL, ends, log_of, other_project, says

pytest_plugins = ("tests.helpers.servers",)
SYMBOLS = ("NVDA", "AAPL", "AMZN", "GOOG", "META", "NFLX")
FIRST, LAST = date(2015, 3, 2), date(2015, 3, 3)


@pytest.mark.integration
def test_a_flow_over_many_companies_has_their_features_from_workers_and_the_store_of_one_process(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    assert len(SYMBOLS) > FEW_COMPANIES
    names = ", ".join(f'"{symbol}"' for symbol in SYMBOLS)
    project = other_project(served_project, tmp_path, ('symbols = ["NVDA", "AAPL"]', f"symbols = [{names}]"))
    run = runs.start(BACKFILL, BackfillRequest(config=str(project), start=FIRST, end=LAST))
    assert ends(runs, run).is_completed()
    assert says(runs, run, f"The features of {len(SYMBOLS)} companies are computed on Dask workers")
    assert runs.table(run, "build-result")[0]["built"] == 2 * len(SYMBOLS)
    assert not [line for line in log_of(runs, run) if "is computed in this process" in line]
    config = load_config(project)
    here = config.model_copy(update={"store": StoreSettings(path=tmp_path / "here.zarr")})
    assert build(here, start=FIRST, end=LAST).fingerprint == ImageStore.open(config.store.path).fingerprint()
