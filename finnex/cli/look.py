"""`finnex info` and `finnex show`: what a store holds, and what one of its images looks like."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    check_symbols,
    err,
    out,
    parse_date,
    print_bad,
    print_json,
    print_warnings,
    print_wrapped,
)

if TYPE_CHECKING:
    from finnex.config import Config
    from finnex.store import ImageStore

LATEST = "latest"
DECISION_RULE = (
    "an image of session t is decided at the close of t; a table row enters it only if available_at <= that "
    "close. A date without a time counts from the next session on."
)


def info(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Show what the store holds, where the inputs end, and by which rules the images were made."""
    from finnex.config import load_config
    from finnex.data.bad_companies import rows_of
    from finnex.data.flow_warnings import derived_quarters
    from finnex.pipeline import read_run

    settings = load_config(config)
    with err().status("Reading the inputs"):
        run = read_run(settings)
    layout, limits = run.layout, run.tables.limits()
    store = _open(settings)
    answer: dict[str, Any] = {
        "store": str(settings.store.path),
        "fingerprint": None if store is None else store.fingerprint(),
        "symbols": {} if store is None else {symbol: _describe(store, symbol) for symbol in store.symbols},
        "inputs": {name: {"first": first, "last": last} for name, (first, last) in limits.items()},
        "derived_quarters": derived_quarters(run.tables.fundamentals),
        "warnings": list(run.warnings),
        "left_out": rows_of(run.bad),
        "damaged": {} if store is None else damaged_arrays(store),
        "synthetic_tables": sorted(settings.inputs.synthetic),
        "layout": layout.name,
        "layout_hash": layout.hash,
        "store_layout_hash": None if store is None else store.attrs["layout_hash"],
        "lookback_sessions": layout.lookback,
        "label_settings": settings.labels.model_dump(),
        "exchange": settings.exchange,
        "state": str(settings.state.path),
        "decision_rule": DECISION_RULE,
        "quote_delay_minutes": dict(settings.inputs.quote_delay_minutes),
    }
    print_warnings(run.warnings, run.notes, config)
    print_bad(run.bad)
    if as_json:
        print_json(answer)
    else:
        _print_tables(answer)


def _open(config: Config) -> ImageStore | None:
    from finnex.store import ImageStore, holds_a_store

    return ImageStore.open(config.store.path) if holds_a_store(config.store.path) else None


def damaged_arrays(store: ImageStore) -> dict[str, str]:
    """Return what is wrong with the small arrays of all symbols, by their keys."""
    found = {symbol: store.broken(symbol) for symbol in store.symbols}
    return {f"{symbol}/{name}": why for symbol, broken in found.items() for name, why in broken.items()}


def _describe(store: ImageStore, symbol: str) -> dict[str, Any]:
    from finnex.store import FAILED, NO_BAR, QUARANTINED, READY

    state = store.state(symbol)
    days = state.days[state.status == READY]
    coverage = store.open_images(symbol)["coverage"]
    return {
        "ready": len(days),
        "failed": int((state.status == FAILED).sum()),
        "no_bar": int((state.status == NO_BAR).sum()),
        "quarantined": int((state.status == QUARANTINED).sum()),
        "compacted": sorted(store.record().companies[symbol].years),
        "quarantine_reasons": dict(store.record().companies[symbol].quarantined),
        "first": str(days[0]) if len(days) else None,
        "last": str(days[-1]) if len(days) else None,
        "coverage": {
            str(region): round(float(share), 4)
            for region, share in zip(coverage["region"].to_numpy(), coverage.mean("date").to_numpy(), strict=True)
        }
        if len(days)
        else {},
    }


def _print_tables(answer: dict[str, Any]) -> None:
    from rich.table import Table

    console = out()
    for key, why in answer["damaged"].items():
        console.print(f"damaged: {key}: {why}. `finnex repair --dry-run` says what can be done.", soft_wrap=True)
    if answer["fingerprint"] is None:
        console.print(f"No store at {answer['store']} yet; `finnex build` makes it.")
    else:
        images = Table(
            "symbol",
            "ready",
            "failed",
            "no bar",
            "quarantined",
            "first",
            "last",
            title=answer["store"],
            title_justify="left",
        )
        for symbol, found in answer["symbols"].items():
            images.add_row(
                symbol,
                *(
                    str(found[key] if found[key] is not None else "-")
                    for key in ("ready", "failed", "no_bar", "quarantined", "first", "last")
                ),
            )
        console.print(images)
        for symbol, found in answer["symbols"].items():
            if found["compacted"]:
                console.print(f"compacted: {symbol}: {', '.join(found['compacted'])}", soft_wrap=True)
            for day, reason in found["quarantine_reasons"].items():
                console.print(f"quarantined: {symbol} {day}: {reason}")
        regions = Table("region", *answer["symbols"], title="known pixels", title_justify="left")
        names = dict.fromkeys(name for found in answer["symbols"].values() for name in found["coverage"])
        for name in names:
            regions.add_row(name, *(f"{found['coverage'].get(name, 0):.0%}" for found in answer["symbols"].values()))
        console.print(regions)
    inputs = Table("input", "first", "last", "origin", title="inputs", title_justify="left")
    for name, limit in answer["inputs"].items():
        inputs.add_row(
            name,
            str(limit["first"]),
            str(limit["last"]),
            "SYNTHETIC" if name in answer["synthetic_tables"] else "given",
        )
    console.print(inputs)
    if answer["derived_quarters"]:
        counts = ", ".join(f"{symbol} {count}" for symbol, count in answer["derived_quarters"].items())
        console.print(f"Quarters derived from longer periods of the fundamentals table: {counts}.")
    labels = ", ".join(f"{key} = {value}" for key, value in answer["label_settings"].items())
    print_wrapped(
        (0, line)
        for line in (
            f"Layout {answer['layout']} ({answer['layout_hash']}), {answer['lookback_sessions']} sessions an image.",
            f"Labels: {labels}.",
            f"Rule: {answer['decision_rule']}",
            f"Fingerprint: {answer['fingerprint'] or '-'}",
            f"State: {answer['state']}",
        )
    )


def _latest(store: ImageStore, symbol: str) -> date:
    """Return a symbol's last published session.

    Raises
    ------
    StoreError
        It has none.
    """
    from finnex.errors import StoreError
    from finnex.store import READY

    state = store.state(symbol)
    days = state.days[state.status == READY]
    if not len(days):
        raise StoreError(f"{store.path} has no published session of {symbol}. Draw some: finnex build")
    return date.fromisoformat(str(days[-1]))


def show(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="One of the store's symbols.")],
    day: Annotated[str, typer.Argument(metavar="DATE", help="A published session, YYYY-MM-DD, or latest.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The PNG to write.")],
) -> None:
    """Draw one session's image, its three channels and a legend of its regions into a PNG.

    DATE is a published session (`finnex info` shows the first and last), or `latest`.
    """
    import numpy as np

    from finnex.config import load_config
    from finnex.errors import ConfigError
    from finnex.files.output import write_output
    from finnex.reporting.session import session_picture
    from finnex.store import ImageStore

    settings = load_config(config)
    asked = None if day.strip().lower() == LATEST else parse_date(day, "DATE")
    store = ImageStore.open(settings.store.path)
    check_symbols([symbol], tuple(store.symbols), f"the store {store.path}")
    session = asked or _latest(store, symbol)
    with err().status(f"Drawing {symbol} {session}"):
        drawn = session_picture(store, symbol, np.datetime64(session, "D"))
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_output(output, drawn)
        except OSError as error:
            raise ConfigError(f"--out: {output} cannot be written ({error.strerror}). Choose another path.") from None
    out().print(f"Wrote {output}")
