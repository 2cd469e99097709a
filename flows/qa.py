"""Check the content of the store, and write the report."""

from __future__ import annotations

from prefect import flow, get_run_logger

from finnex.errors import QualityError
from finnex.store import ImageStore
from flows.learning import write_report
from flows.prefect_api.progress import publish_table
from flows.prefect_api.requests import QaRequest
from flows.prefect_api.settling import WHEN_IT_ENDS


@flow(name="finnex-qa", **WHEN_IT_ENDS)
def qa(request: QaRequest) -> None:
    """Check pixels, cells, variety, checksums, coverage and labels, draw images again; fail where a check does.

    The report is written first, next to the store, as `report/quality.html`.
    """
    config = request.load()
    report, path = write_report(config, ImageStore.open(config.store.path), sample=request.sample)
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
    if report.failed:
        failures = "; ".join(
            f"{check.name} is {check.value:.4g}, wanted {check.limit} ({check.meaning})" for check in report.failed
        )
        raise QualityError(f"{len(report.failed)} of {len(rows)} checks failed: {failures}. See {path}.")
