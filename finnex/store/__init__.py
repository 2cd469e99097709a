"""The image store: plain Zarr v3 with one interface, also readable with `xarray.open_zarr`.

One group per symbol, one layout per store. The exchange calendar is laid out ahead; an image is one chunk with
one writer. A worker writes a *draft* next to the chunks and returns a receipt; the coordinator checks the bytes
on disk against the receipt, moves the draft into place and only then sets `status`. A reader that checks
`status == ready` never sees an incomplete or unchecked image.
"""

from __future__ import annotations

from finnex.store.array_writer import differing_rows
from finnex.store.compaction import CompactedYear, compact, compaction_plan
from finnex.store.drafts import DraftTarget, Receipt
from finnex.store.image_store import CompanySurvey, Fingerprint, ImageStore, SymbolState
from finnex.store.lock import writing
from finnex.store.presence import holds_a_store
from finnex.store.publication import Publication
from finnex.store.rebuildable import Reach, Reaches
from finnex.store.record import InputLimits
from finnex.store.repair_findings import Finding
from finnex.store.restore import restore
from finnex.store.scrub import scrub
from finnex.store.states import DRAFTED, EMPTY, FAILED, NO_BAR, QUARANTINED, READY, STATUS_WORDS
from finnex.store.store_template import CLASS_WORDS, LABEL_WORDS, NOT_A_DAY, StoreTemplate
from finnex.store.study_companies import study_companies
from finnex.store.verified import (
    Verified,
    read_verified,
    signatures,
    still_verified,
    whole_companies,
    write_verified,
)
from finnex.store.writer import StoreWriter

__all__ = [
    "CLASS_WORDS",
    "DRAFTED",
    "EMPTY",
    "FAILED",
    "LABEL_WORDS",
    "NOT_A_DAY",
    "NO_BAR",
    "QUARANTINED",
    "READY",
    "STATUS_WORDS",
    "CompactedYear",
    "CompanySurvey",
    "DraftTarget",
    "Finding",
    "Fingerprint",
    "ImageStore",
    "InputLimits",
    "Publication",
    "Reach",
    "Reaches",
    "Receipt",
    "StoreTemplate",
    "StoreWriter",
    "SymbolState",
    "Verified",
    "compact",
    "compaction_plan",
    "differing_rows",
    "holds_a_store",
    "read_verified",
    "restore",
    "scrub",
    "signatures",
    "still_verified",
    "study_companies",
    "whole_companies",
    "write_verified",
    "writing",
]
