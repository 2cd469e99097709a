"""`finnex features` and `finnex dataset`: tables for other programs; `predict --out` writes the third."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    SymbolOption,
    check_symbols,
    err,
    out,
    parse_date,
    print_bad,
    print_json,
    print_warnings,
    progress_bar,
)

if TYPE_CHECKING:
    from finnex.config import Config
    from finnex.store import ImageStore

OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="Its name ends in .parquet, .csv or .csv.gz.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace a file that is no such table of FinNeX; a link or a folder never.")
]


def features(
    config: ConfigOption,
    path: OutOption,
    symbol: SymbolOption = None,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="First session; default: the first.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="Last session; default: the last.")] = None,
    normalized: Annotated[
        bool, typer.Option("--normalized", help="Brightness in [0.02, 1] in place of original values.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the features of every session as a table: date, symbol, and one column a feature; null is not known.

    They are computed from the inputs, as for a build; no store is needed. docs/signals.md describes the columns.
    """
    from finnex.config import load_config
    from finnex.data.bad_companies import rows_of
    from finnex.errors import InputError
    from finnex.files.table_output import check_table_path, table_output
    from finnex.pipeline import read_run
    from finnex.pipeline.feature_table import FEATURES, feature_schema, feature_tables

    settings = load_config(config)
    first, last = parse_date(start, "--start"), parse_date(end, "--end")
    chosen = check_symbols(symbol or [], settings.symbols, f"the symbols of {config}") or settings.symbols
    check_table_path(path, FEATURES, force=force)
    run, rows = read_run(settings), 0
    if not (sound := tuple(one for one in chosen if one in run.config.symbols)):
        raise InputError([problem for one in run.bad if one.symbol in chosen for problem in one.problems])
    chosen, absent = sound, list(sound)
    about = {
        "symbols": list(chosen), "normalized": normalized, "layout_hash": run.layout.hash,
        "synthetic_tables": sorted(settings.inputs.synthetic),
    }  # fmt: skip
    schema = feature_schema(run, normalized=normalized)
    with progress_bar("Computing") as show, table_output(path, FEATURES, schema, about, force=force) as write:
        show(0, len(chosen), "")
        tables = feature_tables(run, chosen, start=first, end=last, normalized=normalized)
        for table in tables:
            write(table)
            rows += table.num_rows
            absent.remove(str(table["symbol"][0]))
            show(len(chosen) - len(absent), len(chosen), str(table["symbol"][0]))
    said = [f"{name} has no session in the range, and no row." for name in absent]
    print_warnings([*run.warnings, *said], run.notes, config)
    print_bad(run.bad)
    count = len(schema) - len(FEATURES.first_columns)
    if as_json:
        units = {field.name: field.metadata[b"unit"].decode() for field in schema if field.metadata}
        about["left_out"] = rows_of(run.bad)
        print_json({"path": path, "rows": rows, "features": count, "units": units, **about})
        return
    written = len(chosen) - len(absent)
    out().print(f"{rows:,} rows of {written} {'company' if written == 1 else 'companies'}, {count} features: {path}")


def dataset(config: ConfigOption, path: OutOption, force: ForceOption = False, as_json: JsonOption = False) -> None:
    """Write the samples that `finnex train` would use as a table: date, symbol, label, set, and where the image lies.

    One row a sample and fold. docs/signals.md describes the columns.
    """
    from finnex.config import load_config
    from finnex.files.table_output import check_table_path, table_output
    from finnex.store import ImageStore
    from finnex.training.sample_table import SAMPLES, SCHEMA, sample_tables

    settings = load_config(config)
    check_table_path(path, SAMPLES, force=force)
    store = ImageStore.open(settings.store.path)
    about = {**_about_store(store), "label_kind": settings.labels.kind, "horizon": settings.labels.horizon}
    counts: dict[str, int] = {}
    with (
        err().status("Reading samples"),
        table_output(path, SAMPLES, SCHEMA, about, force=force) as write,
    ):
        for table in sample_tables(settings, store):
            write(table)
            for one in table["set"].value_counts().to_pylist():
                counts[one["values"]] = counts.get(one["values"], 0) + one["counts"]
    if as_json:
        print_json({"path": path, "rows": sum(counts.values()), "sets": counts, **about})
        return
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    out().print(f"{sum(counts.values())} samples ({said}): {path}")


def write_signals(settings: Config, uri: str, path: Path, *, force: bool) -> dict[str, Any]:
    """Write every prediction that the store keeps of the configured symbols; return what was written.

    Parameters
    ----------
    settings
        Store, symbols and the name of the registered model.
    uri
        Address of the MLflow server.
    path
        The file.
    force
        As in `finnex.files.table_output.check_table_path`.

    Returns
    -------
    dict
        `path`; `rows`, their number; `without_set`, why the sets of some versions are not known.

    Raises
    ------
    ExportError
        The path cannot be written to.
    ServiceError
        No MLflow server answers.
    """
    from finnex.files.table_output import table_output
    from finnex.store import ImageStore, study_companies
    from finnex.tracking.signal_table import SCHEMA, SIGNALS, predicted_by, signal_tables
    from finnex.tracking.version_parts import version_parts

    store = ImageStore.open(settings.store.path)
    symbols = study_companies(settings, store)
    parts, unknown = version_parts(settings, store, uri, predicted_by(store, symbols))
    about = {
        **_about_store(store), "model": settings.mlflow.model, "label_kind": settings.labels.kind,
        "horizon": settings.labels.horizon, "score": "p_buy - p_sell",
    }  # fmt: skip
    rows = 0
    with table_output(path, SIGNALS, SCHEMA, about, force=force) as write:
        for table in signal_tables(store, symbols, parts):
            write(table)
            rows += table.num_rows
    return {"path": path, "rows": rows, "without_set": list(unknown.values())}


def _about_store(store: ImageStore) -> dict[str, object]:
    names = ("layout_hash", "exchange", "synthetic_tables")
    return {"fingerprint": store.fingerprint(), **{name: store.attrs[name] for name in names}}
