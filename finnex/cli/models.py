"""`finnex models`, `promote` and `predict`: which model is the champion, why, and its newest predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnex.cli.tables import ForceOption, write_signals
from finnex.cli.terminal import ConfigOption, JsonOption, err, out, print_json


def promote(
    config: ConfigOption,
    version: Annotated[
        int | None, typer.Option(min=1, help="Which version; absent, the newest that was trained.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Without a comparison, as where the champion is refused; recorded for ever."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the newest model the champion if it beats the majority class, the best simple baseline and the champion.

    Better is a lower log loss on sessions that neither has learned from, and no lower accuracy. Every model that was
    trained and judged on the same sessions is a trial; the more there were, the clearer it must be, so that noise
    becomes champion at most 5 times in 100. Exit code 1 where it is not better.
    """
    from finnex.config import load_config
    from finnex.store import ImageStore
    from finnex.tracking import promote as decide
    from flows.recording import recording_server

    settings = load_config(config)
    with recording_server(settings) as uri, err().status("Comparing challenger and champion"):
        store = ImageStore.open(settings.store.path)
        decision, champion = decide(settings, store, uri, version=version, force=force)
    if as_json:
        print_json(
            {
                "promoted": decision.promoted,
                "reason": decision.reason,
                "champion": None if champion is None else champion.version,
                "forced": decision.forced,
                "trial": decision.trial,
                "level": decision.level,
                "sessions": decision.sessions,
                "log_loss": None if decision.log_loss is None else vars(decision.log_loss),
                "accuracy": None if decision.accuracy is None else vars(decision.accuracy),
            }
        )
    else:
        word = "Promoted" if decision.promoted else "Not promoted"
        now = "There is no champion."
        if champion is not None:
            now = f"The champion is version {champion.version} of '{champion.name}'."
        out().print(f"{word}. {decision.reason}\n{now}")
    if not decision.promoted:
        raise typer.Exit(1)


def models(config: ConfigOption, as_json: JsonOption = False) -> None:
    """List every model that was trained: which one is the champion, and whether it was promoted by force.

    The trial says how many models had been judged on a part of the same sessions, this one included.
    """
    from rich.table import Table

    from finnex.config import load_config
    from finnex.tracking import models as listed
    from flows.recording import recording_server

    settings = load_config(config)
    with recording_server(settings) as uri, err().status("Reading the registry"):
        rows = [one.row() for one in listed(settings, uri)]
    if as_json:
        print_json({"models": rows})
        return
    if not rows:
        out().print(f"No model '{settings.mlflow.model}' is registered. Train one: finnex train --config {config}")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out().print(table)


def predict(
    config: ConfigOption,
    sessions: Annotated[int, typer.Option(min=1, help="Newest sessions of each symbol.")] = 1,
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write all predictions of the store as a table too: .parquet, .csv or .csv.gz.",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the newest sessions that have no prediction yet with the champion, and store the predictions.

    With --out, every prediction that the store keeps is written as a table of signals: docs/signals.md.
    """
    from rich.table import Table

    from finnex.config import load_config
    from finnex.errors import ConfigError
    from finnex.files.table_output import check_table_path
    from finnex.tracking.nightly_predictions import predict_newest
    from finnex.tracking.signal_table import SIGNALS
    from flows.recording import recording_server

    settings = load_config(config)
    if path is not None:  # before anything is predicted and kept
        check_table_path(path, SIGNALS, force=force)
    elif force:
        raise ConfigError("--force has no effect without --out. Name the file to replace, or leave --force out.")
    with recording_server(settings) as uri, err().status("Asking the champion"):
        said = predict_newest(settings, uri, sessions)
        signals = None if path is None else write_signals(settings, uri, path, force=force)
    rows = [one.row() for one in said]
    for reason in signals["without_set"] if signals else ():
        err().print(f"warning: {reason}")
    if as_json:
        print_json({"predictions": rows, "about": said[0].about if said else None, "signals": signals})
        return
    if signals:
        out().print(f"{signals['rows']} signals: {signals['path']}")
    if said and path is not None:  # the rows are in the file
        days = sorted(one.session for one in said)
        out().print(f"{len(said)} new predictions, {days[0]} to {days[-1]}. About the champion: {said[0].about}")
        return
    if not said:
        out().print("Every session asked for was predicted before; a prediction is made once and kept.")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    out().print(table)
    out().print(f"About the champion: {said[0].about}")
