"""`finnex repair`: what is damaged in store, state and studies, and what can be made again."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, ask, err, out, print_json

if TYPE_CHECKING:
    from finnex.config import Config
    from finnex.store import Finding

DATABASES = ("prefect/prefect.db", "mlflow/mlflow.db")


def repair(
    config: ConfigOption,
    yes: Annotated[bool, typer.Option("--yes", help="Give up what cannot be made again without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is damaged and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find damage in the store, the state folder and the studies, and mend what can be mended.

    Asks before anything is lost for good. Exit code 1 where something stays damaged.
    Example: finnex repair --config finnex.toml --dry-run
    """
    from finnex.config import load_config
    from finnex.pipeline import reach_of, read_run
    from finnex.store import restore, writing

    settings = load_config(config)
    kept: list[Finding] = []

    def agree(finding: Finding) -> bool:
        agreed = yes or (_can_be_asked() and not as_json and ask(_sentence(finding) + " Go ahead?"))
        if not agreed:
            kept.append(finding)
        return agreed

    with err().status("Reading inputs"):
        run = read_run(settings)
    with writing(settings.store.path):
        found = restore(settings.store.path, run.template, agree, reaches=partial(reach_of, run), dry=dry_run)
    others = list(_outside_the_store(settings))
    if as_json:
        print_json(
            {
                "store": [vars(one) for one in found],
                "kept": [vars(one) for one in kept],
                "beside": others,
                "changed": not dry_run and len(found) > len(kept),
            }
        )
    else:
        screen = out()
        for one in found:
            screen.print(("Left as it is. " if one in kept else "") + _sentence(one))
        for line in others:
            screen.print(line)
        screen.print(_ending(found, kept, others, dry_run=dry_run))
    if kept or others or (dry_run and found):
        raise typer.Exit(1)


def _can_be_asked() -> bool:
    return sys.stdin.isatty()


def _sentence(finding: Finding) -> str:
    lost = f" Lost for good: {finding.lost}." if finding.lost else ""
    if finding.instead:
        lost = f" To be lost: {finding.lost}. Without a loss: {finding.instead}."
    return f"{finding.where} is damaged: {finding.what}.{lost}"


def _ending(found: list[Finding], kept: list[Finding], others: list[str], *, dry_run: bool) -> str:
    if not found and not others:
        return "No damage was found. `finnex qa` reads every image."
    if dry_run and found:
        return "Nothing was changed. Without --dry-run this is mended; what is lost for good is asked for."
    if kept:
        return "To give up what cannot be made again: finnex repair --yes."
    return "Now run: finnex build." if found else "The store is whole."


def _outside_the_store(config: Config) -> Iterator[str]:
    """Yield a message for each damaged database of the state folder and each damaged study, with its remedy."""
    state = config.state.path or Path()
    for name in DATABASES:
        file = state / name
        if not file.is_file():
            continue
        try:
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
                said = str(database.execute("PRAGMA quick_check").fetchone()[0])
            database.close()
        except sqlite3.Error as error:
            said = str(error)
        if said != "ok":
            yield f"{file} is damaged ({said}). Stop `finnex up`, put a copy back, or move the file away to begin anew."
    from finnex.errors import TrainingError
    from finnex.training.study_folder import check_study, studies_root

    root = studies_root(config)
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.is_dir():
            try:
                check_study(folder)
            except TrainingError as error:
                yield str(error)
