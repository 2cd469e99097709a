"""Check the content of the store, and write the report."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from finnex.errors import QualityError
from finnex.pipeline import read_run
from finnex.store import ImageStore
from flows.learning import write_report
from flows.prefect_api.progress import publish_table
from flows.prefect_api.requests import QaRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.warned import ending, tell_bad


@flow(name="finnex-qa", **WHEN_IT_ENDS)
def qa(request: QaRequest) -> State[Any]:
    """Check pixels, cells, variety, checksums, coverage and labels, draw images again; fail where a check does.

    The report is written first, next to the store, as `report/quality.html`. Companies that are left out are listed.
    """
    config = request.load()
    store, run = ImageStore.open(config.store.path), read_run(config)
    report, path = write_report(config, store, sample=request.sample, run=run)
    rows = [
        {
            "check": check.name, "passed": "yes" if check.passed else "NO", "value": f"{check.value:.4g}",
            "limit": check.limit, "meaning": check.meaning,
        }
        for check in report.checks
    ]  # fmt: skip
    publish_table("quality-checks", rows, f"{len(rows) - len(report.failed)} of {len(rows)} checks pass")
    publish_table("quality-report", [{"report": path}], "Where to look")
    get_run_logger().info("%d of %d checks pass. Report: %s", len(rows) - len(report.failed), len(rows), path)
    tell_bad(run.bad)
    if report.failed:
        failures = "; ".join(
            f"{check.name} is {check.value:.4g}, wanted {check.limit} ({check.meaning})" for check in report.failed
        )
        raise QualityError(f"{len(report.failed)} of {len(rows)} checks failed: {failures}. See {path}.")
    return ending(run.bad)
