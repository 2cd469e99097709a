"""`finnex compact`: the images of each closed year of a company in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, check_symbols, err, out, print_json

if TYPE_CHECKING:
    from finnex.store import CompactedYear


def compact(
    config: ConfigOption,
    before: Annotated[int, typer.Option("--before", metavar="YEAR", help="Years before this one; they must be over.")],
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="Companies; all of the store where none is given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Move the published images of closed years into one file a company and year.

    For stores in S3 or on a file system short of inodes. Images, their checksums and the fingerprint stay what they
    are; a session that is drawn again takes its year out. Exit code 1 where something was left because of damage.
    Example: finnex compact --before 2024 --config finnex.toml
    """
    from finnex.config import load_config
    from finnex.store import ImageStore, StoreWriter, compaction_plan, writing
    from finnex.store import compact as compact_years

    path = load_config(config).store.path
    store = ImageStore.open(path)
    chosen = list(dict.fromkeys(symbols or store.symbols))
    check_symbols(chosen, tuple(store.symbols), f"the store {path}")
    done = planned = compaction_plan(store, before, chosen)
    if planned and not dry_run:
        with writing(path), err().status("Compacting") as status:
            done = compact_years(
                StoreWriter.reopen(path), before, chosen, lambda one: status.update(f"{one.symbol} {one.year}")
            )
    if as_json:
        print_json({"years": [vars(one) for one in done], "changed": bool(planned) and not dry_run})
    else:
        _print(done, before, dry_run=dry_run)
    if any(one.left for one in done):
        raise typer.Exit(1)


def _print(done: list[CompactedYear], before: int, *, dry_run: bool) -> None:
    screen = out()
    for one in done:
        screen.print(one.left or f"{one.symbol} {one.year}: {one.images} images in one file", soft_wrap=True)
    moved = [one for one in done if not one.left]
    if not done:
        screen.print(f"Nothing to compact: no year before {before} has an image in a file of its own.")
        return
    files = f"{len(moved)} file{'' if len(moved) == 1 else 's'}"
    lie = "Nothing was changed. Without --dry-run they lie" if dry_run else "They lie"
    screen.print(f"{sum(one.images for one in moved)} images. {lie} in {files}.")
