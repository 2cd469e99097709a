"""Audit the tables, features and labels, and the published images, for look-ahead."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from finnex.audit import audit
from finnex.errors import QualityError
from finnex.store import ImageStore, holds_a_store
from flows.prefect_api.progress import ProgressArtifact, publish_table
from flows.prefect_api.requests import AuditRequest
from flows.prefect_api.settling import WHEN_IT_ENDS
from flows.warned import ending, tell_bad


@flow(name="finnex-audit", **WHEN_IT_ENDS)
def look_ahead_audit(request: AuditRequest) -> State[Any]:
    """Rebuild sampled sessions from tables with an altered future; fail on any finding, each named with its row.

    Companies that are left out are listed.
    """
    progress = ProgressArtifact("audit", "Reading inputs")
    config = request.load()
    store = ImageStore.open(config.store.path) if holds_a_store(config.store.path) else None
    report = audit(config, sessions=request.sessions, seed=request.seed, on_progress=progress.show, store=store)
    counts = report.counts()
    said = (
        f"{counts['causal']} features causal at the sessions compared, {counts['leak']} leak, "
        f"{counts['not shown']} not shown, {counts['implausible']} implausibly dated, "
        f"{counts['foreknowing']} foreknowing; {report.store}"
    )
    publish_table(
        "audit-tables",
        [
            {"table": one.name}
            | {
                column: f"{answer.word}: {answer.evidence}"
                for column, answer in (
                    ("computation", one.computation),
                    ("dates", one.availability),
                    ("foreknowledge", one.foreknowledge),
                )
            }
            for one in report.tables
        ],
        f"{said}; {report.rebuilds} rebuilds",
    )
    publish_table(
        "audit-not-shown", [{"what": name, "why": why} for name, why in report.caveats.items()],
        "What no audit of these tables can show",
    )  # fmt: skip
    publish_table(
        "audit-next-filing", [{"symbol": symbol, "asked": asked} for symbol, asked in report.next_filing.items()],
        "What was asked of the figures of each company's next filing",
    )  # fmt: skip
    get_run_logger().info("%s at %d sessions", said, sum(len(days) for days in report.sessions.values()))
    tell_bad(report.left_out)
    if not report.passed:
        rows = [
            {"kind": one.kind, "table": one.table, "evidence": one.evidence, "remedy": one.remedy,
             "rows": "; ".join(map(str, one.rows))}
            for one in report.findings
        ]  # fmt: skip
        publish_table("audit-findings", rows, "What knows the future")
        first = report.findings[0]
        raise QualityError(
            f"{len(report.findings)} findings, the first is {first.kind}: {first.evidence} {first.remedy}"
        )
    progress.finish(said)
    return ending(report.left_out)
