"""`finnex qa`: check what a store holds, and write the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_json


def qa(
    config: ConfigOption,
    sample: Annotated[int, typer.Option(min=2, help="Sessions whose pixels are read.")] = 64,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the report there, as one HTML file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check pixels, cells, variety, continuity, checksums, coverage and labels of a store, and draw some images again.

    Exit code 1 where a check fails.
    """
    from rich.table import Table

    from finnex.cli.plain_console import coloured
    from finnex.config import load_config
    from finnex.errors import ConfigError
    from finnex.files.output import write_output
    from finnex.pipeline import read_run
    from finnex.quality import drawn_again
    from finnex.reporting.report import make_report
    from finnex.store import ImageStore

    settings = load_config(config)
    with err().status("Checking the store"):
        store = ImageStore.open(settings.store.path)
        run = read_run(settings)
        report = make_report(settings, store, sample=sample, redrawn=drawn_again(run, store))
    if output is not None:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_output(output, report.html.encode())
        except OSError as error:
            raise ConfigError(f"--out: {output} cannot be written ({error.strerror}). Choose another path.") from None
    if as_json:
        print_json(
            {
                "passed": not report.failed,
                "report": None if output is None else str(output),
                "warnings": list(run.warnings),
                "checks": [vars(check) for check in report.checks],
            }
        )
    else:
        for warning in run.warnings:
            out().print(f"warning: {warning}")
        table = Table("", "check", "value", "wanted", "what it is")
        for check in report.checks:
            word = coloured("ok", "green") if check.passed else coloured("FAIL", "bold red")
            table.add_row(word, check.name, f"{check.value:.4g}", check.limit, check.meaning)
        out().print(table)
        words = f"{len(report.checks) - len(report.failed)} of {len(report.checks)} checks pass."
        out().print(words if output is None else f"{words} Report: {output}")
    if report.failed:
        raise typer.Exit(1)
