"""The look-ahead audit: whether anything in an image knows what nobody knew at its decision time.

`audit` rebuilds sampled sessions from tables cut at, scrambled after, and added to after the decision, compares
exactly, and asks the tables whether their dates can be believed. Its answer per feature and table is proved, leak or
unprovable; `audit_labels` asks the same of labels.
"""

from __future__ import annotations

from finnex.audit.labels import audit_labels
from finnex.audit.path import audit
from finnex.audit.report import AuditReport, Finding, LeakedRow, Verdict

__all__ = ["AuditReport", "Finding", "LeakedRow", "Verdict", "audit", "audit_labels"]
