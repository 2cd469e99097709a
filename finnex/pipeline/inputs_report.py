"""What the input tables give a run: each file as it was read, and the features that nothing feeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finnex.data.panel import make_panel
from finnex.data.remarks import FileReport, reports
from finnex.pipeline.lacking import lacking
from finnex.pipeline.run_inputs import Run

MOST_SYMBOLS = 20
"""Panels that a report computes unless more are asked for: a second each."""


@dataclass(frozen=True)
class TableReport:
    """One table of the configuration.

    Attributes
    ----------
    table
        Name of the table.
    files
        What was found in each of its files, in the order given.
    synthetic
        Whether the configuration says that its data is generated.
    unfed
        Its features that have no value on any session of any symbol that was asked.
    partly
        Its features that have no value for some of these symbols, with those symbols.
    lacks
        What is missing in it, as `finnex.pipeline.lacking` says it; '' where nothing is.
    """

    table: str
    files: tuple[FileReport, ...]
    synthetic: bool
    unfed: tuple[str, ...]
    partly: dict[str, tuple[str, ...]]
    lacks: str = ""


def inputs_report(run: Run, symbols: Sequence[str], *, every: bool = False) -> list[TableReport]:
    """Return what each table gives, and which of its features have no value for some symbols.

    Parameters
    ----------
    run
        Inputs that were read and checked.
    symbols
        Symbols whose features are computed, as a build computes them.
    every
        Name all that is missing.

    Returns
    -------
    list of TableReport
        Every table of the catalogue and of the configuration; one without files is not given.

    Raises
    ------
    InputError
        The enhanced table has a column that the catalogue does not know.
    """
    absent, missing = _absent(run, symbols), lacking(run, symbols, every=every)
    given = [name for name, _ in run.config.inputs.tables()]
    table_of = {entry.name: entry.table for entry in run.layout.catalogue.entries}
    found = []
    for table in dict.fromkeys((*given, *table_of.values())):
        own = {name: without for name, without in absent.items() if table_of[name] == table}
        found.append(
            TableReport(
                table,
                reports(getattr(run.tables, table, None)),
                table in run.config.inputs.synthetic,
                tuple(name for name, without in own.items() if len(without) == len(symbols)),
                {name: without for name, without in own.items() if len(without) < len(symbols)},
                missing.get(table, ""),
            )
        )
    return found


def _absent(run: Run, symbols: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the features that have no value, with the symbols that lack them."""
    without: dict[str, list[str]] = {}
    for symbol in symbols:
        panel = make_panel(run.tables, run.config, symbol, run.layout.catalogue.entries)
        known = ~np.isnan(panel.original).all(axis=0)
        for name in np.array(panel.features)[~known].tolist():
            without.setdefault(name, []).append(symbol)
    return {name: tuple(those) for name, those in without.items()}
