"""`finnex promote` and `finnex predict`: which model speaks, and what it says of the newest sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_json


def promote(
    config: ConfigOption,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version; absent, the newest that was trained.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Without comparing the two, as where the champion is refused."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the newest model the champion if it is better on sessions that neither has learned from.

    Better is a lower log loss, with 95 % confidence, and no lower accuracy. Exit code 1 where it is not.
    """
    from finnex.config import load_config
    from finnex.reporting.tracking import promote as decide
    from finnex.store import ImageStore
    from flows.recording import recording_server

    settings = load_config(config)
    with recording_server(settings) as uri, err().status("Comparing challenger and champion"):
        store = ImageStore.open(settings.store.path)
        decision, champion = decide(settings, store, uri, version=version, replace=replace)
    if as_json:
        print_json(
            {
                "promoted": decision.promoted,
                "reason": decision.reason,
                "champion": champion.version,
                "sessions": decision.sessions,
                "log_loss": None if decision.log_loss is None else vars(decision.log_loss),
                "accuracy": None if decision.accuracy is None else vars(decision.accuracy),
            }
        )
    else:
        word = "Promoted" if decision.promoted else "Not promoted"
        out().print(f"{word}. {decision.reason}\nThe champion is version {champion.version} of '{champion.name}'.")
    if not decision.promoted:
        raise typer.Exit(1)


def predict(
    config: ConfigOption,
    sessions: Annotated[int, typer.Option(min=1, help="Newest sessions of each symbol.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Ask the champion about the newest sessions that nobody has predicted, and keep its answers in the store."""
    from rich.table import Table

    from finnex.config import load_config
    from finnex.reporting.predictions import predict_newest
    from flows.recording import recording_server

    settings = load_config(config)
    with recording_server(settings) as uri, err().status("Asking the champion"):
        said = predict_newest(settings, uri, sessions)
    rows = [one.row() for one in said]
    if as_json:
        print_json({"predictions": rows, "about": said[0].about if said else None})
        return
    if not said:
        out().print("Every session asked for was predicted before; a prediction is made once and kept.")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    out().print(table)
    out().print(f"About the champion: {said[0].about}")
