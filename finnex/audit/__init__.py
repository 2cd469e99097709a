"""The look-ahead audit: whether anything in an image uses what was not known at its decision time.

`audit` gives three answers per feature and table: whether its computation is causal at sampled sessions, whether the
dates of its rows are plausible, and whether its values are associated with what came after. `audit_labels` looks at
labels.
"""

from __future__ import annotations

from finnex.audit.audit_report import Answer, AuditReport, Finding, LeakedRow, Verdict
from finnex.audit.complete_audit import audit
from finnex.audit.label_audit import audit_labels

__all__ = ["Answer", "AuditReport", "Finding", "LeakedRow", "Verdict", "audit", "audit_labels"]
