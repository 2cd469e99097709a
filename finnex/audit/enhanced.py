"""An enhanced file is used as it is; what can be asked is how its columns were scaled and whether they stay.

Whether they know the future is asked of them as of all series: `finnex.audit.foreknowledge`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finnex.audit.audit_report import Finding
from finnex.audit.clock import Files, describe
from finnex.audit.whole_file import fit_signature

KEYS = ("symbol", "date")


def columns_of(table: pd.DataFrame) -> list[str]:
    """Return the feature columns of an enhanced table."""
    return [str(name) for name in table.columns if name not in KEYS]


def fitted_on_everything(table: pd.DataFrame) -> list[Finding]:
    """Find columns whose scaling was fitted on the whole file: see `finnex.audit.whole_file`."""
    found = []
    for name in columns_of(table):
        groups = [("the whole file", table), *((f"all rows of {key}", rows) for key, rows in table.groupby("symbol"))]
        for where, rows in groups:
            ordered = rows.sort_values("date", kind="stable")[name].dropna().to_numpy(dtype="float64")
            if evidence := fit_signature(ordered):
                remedy = "Fit the normaliser on rows up to each session, or give the column as it was before scaling."
                text = f"column '{name}' has {evidence} over {where} ({len(ordered)} rows), not over the first half."
                found.append(Finding("normalizer_fitted_on_everything", "enhanced", (name,), text, remedy))
                break
    return found


@dataclass(frozen=True)
class Vintage:
    """Comparison with a later vintage of the enhanced file.

    Attributes
    ----------
    stayed
        Columns whose published values are all the same in it, with the number of values compared.
    """

    findings: list[Finding]
    stayed: dict[str, int]


def compare_vintage(current: pd.DataFrame, later: pd.DataFrame, files: Files, vintage: Path) -> Vintage:
    """Compare the published values with those of the same rows in a later vintage of the file.

    Parameters
    ----------
    current, later
        The enhanced table, and that of its later vintage.
    files
        Files that the table was read from, with how each is read; to name the place of a row.
    vintage
        File of the later vintage.

    Returns
    -------
    Vintage
        Findings, and the columns that stayed.
    """
    before, after = current.set_index(list(KEYS)), later.set_index(list(KEYS))
    findings: list[Finding] = []
    remedy = "Compute the column from rows up to its own session; a value that was published must stay."
    gone = before.index.difference(after.index)
    rows = before.index.intersection(after.index)
    if len(gone):
        text = f"{len(gone)} of {len(before)} published rows are not in {vintage.name}, such as {_named(gone[0])}."
        kept = "Keep published rows in every vintage."
        findings.append(Finding("enhanced_vintage_lost_rows", "enhanced", (), text, kept))
    longer = len(rows) > 0 and later["date"].max() > current["date"].max()
    if lost := [name for name in columns_of(current) if name not in after.columns]:
        text = f"{vintage.name} lacks {len(lost)} published columns: {', '.join(lost[:5])}."
        kept = "Keep published columns in every vintage."
        findings.append(Finding("enhanced_vintage_lost_columns", "enhanced", tuple(lost), text, kept))
    stayed = {}
    for name in columns_of(current):
        if name in lost or not len(rows):
            continue
        ours, theirs = (frame.loc[rows, name].to_numpy(dtype="float64") for frame in (before, after))
        moved = ~np.isclose(ours, theirs, rtol=1e-12, atol=0.0, equal_nan=True)
        if not moved.any():
            if longer:  # the same file again shows nothing
                stayed[name] = len(rows)
            continue
        shown = "; ".join(f"{_named(rows[i])}: {ours[i]:.6g}, later {theirs[i]:.6g}" for i in np.flatnonzero(moved)[:3])
        text = (
            f"column '{name}': {int(moved.sum())} of {len(rows)} published values ({moved.mean():.1%}) moved: {shown}."
        )
        whole = before.loc[rows].reset_index()
        leaked = tuple(describe("enhanced", whole.iloc[i], files) for i in np.flatnonzero(moved)[:3])
        findings.append(Finding("enhanced_vintage_differs", "enhanced", (name,), text, remedy, rows=leaked))
    return Vintage(findings, stayed)


def _named(key: tuple[str, pd.Timestamp]) -> str:
    return f"{key[0]} {key[1].date()}"
