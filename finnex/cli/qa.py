"""`finnex qa`: check what a store holds, and write the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_bad, print_json, print_warnings, print_wrapped

if TYPE_CHECKING:
    from finnex.quality import Check


def qa(
    config: ConfigOption,
    sample: Annotated[int, typer.Option(min=2, help="Sessions whose pixels are read.")] = 64,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the report there, as one HTML file.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every check with its value.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check pixels, cells, variety, continuity, checksums, coverage and labels of a store, and draw some images again.

    What no table feeds is not judged. Exit code 1 where a check fails: docs/operations.md says what each one means.
    """
    from finnex.config import load_config
    from finnex.data.bad_companies import rows_of
    from finnex.errors import ConfigError
    from finnex.files.output import write_output
    from finnex.pipeline import read_run
    from finnex.pipeline.lacking import lacking
    from finnex.quality import NO_INPUT, drawn_again
    from finnex.reporting.report import make_report
    from finnex.store import ImageStore

    settings = load_config(config)
    with err().status("Checking the store"):
        store = ImageStore.open(settings.store.path)
        run = read_run(settings)
        redrawn, lacks = drawn_again(run, store), lacking(run, run.config.symbols)
        report = make_report(settings, store, sample=sample, redrawn=redrawn, lacks=lacks)
    if output is not None:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_output(output, report.html.encode())
        except OSError as error:
            raise ConfigError(f"--out: {output} cannot be written ({error.strerror}). Choose another path.") from None
    print_warnings(run.warnings, run.notes, config)
    if as_json:
        print_json(
            {
                "passed": not report.failed,
                "left_out": rows_of(run.bad),
                "report": None if output is None else str(output),
                "warnings": list(run.warnings),
                "checks": [vars(check) for check in report.checks],
            }
        )
    else:
        print_wrapped(_lines(report.checks, every=every))
        for check in report.failed:  # again, where the eye ends
            print_wrapped([(0, _in_full(check))])
        without = sum(check.limit == NO_INPUT for check in report.checks)
        judged = len(report.checks) - without
        words = f"{judged - len(report.failed)} of {judged} checks pass{f', {without} have no input' * bool(without)}."
        out().print(words if output is None else f"{words} Report: {output}")
    print_bad(run.bad)
    if report.failed:
        raise typer.Exit(1)


def _lines(checks: Sequence[Check], *, every: bool) -> Iterator[tuple[int, str]]:
    """Yield a line for each group of checks, and why some are not judged; with `every`, a line for each check."""
    from finnex.quality import NO_INPUT

    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.name.partition(": ")[0], []).append(check)
    for group, own in groups.items():
        if every:
            yield from ((0, _in_full(check)) for check in own)
            continue
        failed = [check for check in own if not check.passed]
        judged = [check for check in own if check.limit != NO_INPUT]
        word = "FAIL" if failed else "ok"
        if len(own) == 1:
            yield 0, f"{word:4}  {group}: {own[0].value:.4g}, wanted {own[0].limit}"
        else:
            apart = f"; {len(own) - len(judged)} without input" if len(judged) < len(own) else ""
            yield 0, f"{word:4}  {group}: {len(judged) - len(failed)} of {len(judged)} pass{apart}"
    if not every and (causes := _causes(checks)):
        yield 0, "Without input, so not judged:"
        for meaning, names in causes.items():
            yield 2, f"{', '.join(names)}: {meaning}"
    yield 0, ""


def _causes(checks: Sequence[Check]) -> dict[str, list[str]]:
    """Return why regions are not judged, with those regions: a cell is not judged where none of its regions is."""
    from finnex.quality import NO_INPUT

    found: dict[str, list[str]] = {}
    for check in checks:
        if check.limit == NO_INPUT and check.name.startswith("coverage: "):
            found.setdefault(check.meaning, []).append(check.name.partition(": ")[2])
    return found


def _in_full(check: Check) -> str:
    return (
        f"{'ok' if check.passed else 'FAIL':4}  {check.name}: {check.value:.4g}, wanted {check.limit}: {check.meaning}"
    )
