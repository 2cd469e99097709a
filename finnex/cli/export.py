"""`finnex export`: a symbol's images as plain files, for tools that read no Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, check_symbols, err, out, parse_date, print_json, progress_bar


def export(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="One of the store's symbols.")],
    config: ConfigOption,
    folder: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="A new folder.")],
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Of metadata, visualizations, trainer, mega_images_full, batch_tensors, patch_datasets, cnn_ready.  "
            "[default: all, which take 4.8 GB a year]",
            show_default=False,
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="First session; default: the first.")] = None,
    end: Annotated[str | None, typer.Option(metavar="DATE", help="Last session; default: the last.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a symbol's images, patches, pictures and metadata as NumPy, JSON and PNG files.

    Nothing is overwritten; an export that is broken off leaves nothing behind. docs/export.md shows the tree.
    """
    from rich.table import Table

    from finnex.config import load_config
    from finnex.export import needed_bytes, plan_export, write_export
    from finnex.reporting.file_names import PART_NAMES
    from finnex.store import ImageStore

    settings = load_config(config)
    first, last = parse_date(start, "--start"), parse_date(end, "--end")
    store = ImageStore.open(settings.store.path)
    check_symbols([symbol], tuple(store.symbols), f"the store {store.path}")
    chosen = PART_NAMES if parts is None else tuple(name.strip() for name in parts.split(","))
    plan = plan_export(settings, store, symbol, folder, parts=chosen, start=first, end=last)
    err().print(f"Writing about {needed_bytes(plan) / 1e9:.2f} GB: {len(plan.images)} sessions of {symbol}.")
    with progress_bar("Exporting", counted=False) as show:
        written = write_export(plan, show)
    if as_json:
        print_json(written.as_dict())
        return
    table = Table("part", "files", "MB", "what it is")
    for part in written.parts:
        table.add_row(part.part, str(part.files), f"{part.bytes / 1e6:,.1f}", part.meaning)
    out().print(table)
    if written.failed_checks:
        listed = ", ".join(written.failed_checks)
        out().print(f"{len(written.failed_checks)} quality checks of the store failed: {listed}; see the report.")
    out().print(written.sentence())
