"""The specification's tree of plain files, written from an image store for tools that read no Zarr.

`docs/export.md` shows the tree. Everything is read from the store, image by image with its checksum, written under a
temporary name, and renamed when it is whole.
"""

from __future__ import annotations

from finnex.export.contents import PARTS, needed_bytes
from finnex.export.selection import ExportPlan, plan_export
from finnex.export.write import Exported, Written, export, write_export

__all__ = [
    "PARTS",
    "ExportPlan",
    "Exported",
    "Written",
    "export",
    "needed_bytes",
    "plan_export",
    "write_export",
]
