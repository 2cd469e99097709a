"""Write a symbol's images as plain files, for tools that read no Zarr."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, get_run_logger

from finnex.errors import ExportError
from finnex.export import needed_bytes, plan_export, write_export
from finnex.store import ImageStore
from flows.prefect_api.progress import ProgressArtifact, publish_table
from flows.prefect_api.requests import ExportRequest
from flows.prefect_api.settling import WHEN_IT_ENDS


@flow(name="finnex-export", **WHEN_IT_ENDS)
def export_files(request: ExportRequest) -> None:
    """Export one symbol to a new folder; a run that ends early leaves nothing there."""
    config = request.load()
    store = ImageStore.open(config.store.path)
    symbol = request.symbol or (store.symbols[0] if len(store.symbols) == 1 else "")
    if not symbol:
        raise ExportError(f"{store.path} holds {', '.join(store.symbols) or 'no symbol'}. Say which one is exported.")
    plan = plan_export(
        config, store, symbol, Path(request.folder), parts=request.parts, start=request.start, end=request.end
    )
    words = f"Writing about {needed_bytes(plan) / 1e9:.2f} GB: {len(plan.images)} sessions of {symbol}"
    get_run_logger().info(words)
    progress = ProgressArtifact("export", words)
    written = write_export(plan, progress.show)
    rows = [
        {"part": part.part, "files": part.files, "megabytes": round(part.bytes / 1e6, 1), "what": part.meaning}
        for part in written.parts
    ]
    publish_table("export-parts", rows, written.sentence())
    if written.failed_checks:
        get_run_logger().warning("Quality checks of the store that failed: %s", ", ".join(written.failed_checks))
    get_run_logger().info(written.sentence())
    progress.finish(written.sentence())
