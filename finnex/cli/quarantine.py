"""`finnex quarantine` and `finnex release`: withhold published images from readers, and show them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import ConfigOption, check_symbols, err, out, parse_date

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from finnex.store import StoreWriter

    Change = Callable[[StoreWriter, npt.NDArray[np.intp]], int]

SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="One of the store's symbols.")]
DaysArgument = Annotated[list[str], typer.Argument(metavar="DATE...", help="Sessions, YYYY-MM-DD.")]


def quarantine(
    symbol: SymbolArgument,
    days: DaysArgument,
    config: ConfigOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; `finnex info` shows it.")],
) -> None:
    """Withhold published images from every reader until they are released or their inputs change.

    Example: finnex quarantine NVDA 2016-06-30 --reason "frozen feed" --config finnex.toml
    """
    changed = _change(config, symbol, days, lambda store, rows: store.quarantine(symbol, rows, reason))
    out().print(f"Quarantined {changed} of {len(set(days))} sessions of {symbol}.")


def release(symbol: SymbolArgument, days: DaysArgument, config: ConfigOption) -> None:
    """Show quarantined images to readers again.

    Example: finnex release NVDA 2016-06-30 --config finnex.toml
    """
    changed = _change(config, symbol, days, lambda store, rows: store.release(symbol, rows))
    out().print(f"Released {changed} of {len(set(days))} sessions of {symbol}.")


def _change(config: Path, symbol: str, days: list[str], change: Change) -> int:
    """Change the states of sessions under the writer's lock; return how many changed."""
    from finnex.config import load_config
    from finnex.store import ImageStore, StoreWriter, writing

    wanted = [parse_date(day, "DATE") for day in days]
    path = load_config(config).store.path
    check_symbols([symbol], tuple(ImageStore.open(path).symbols), f"the store {path}")
    with writing(path), err().status("Writing to the store"):
        store = StoreWriter.reopen(path)
        return change(store, store.rows_of(symbol, [day for day in wanted if day is not None]))
