"""`finnex evaluate`: what a recorded training is worth, after all trials of its test sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import (
    ConfigOption,
    JsonOption,
    err,
    out,
    print_json,
    print_scores,
    print_trading,
    print_wrapped,
)

if TYPE_CHECKING:
    import pandas as pd

    from finnex.config import Config


def evaluate(
    config: ConfigOption,
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="Its run in MLflow; absent, that of the newest training.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the tear sheet of the model there, as one HTML file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a recorded training by its predictions: scores, money, and how much the Sharpe ratio can be believed.

    Every training that was judged on the same sessions is a trial, and the best of many is lucky: the deflated Sharpe
    ratio and the probability of backtest overfitting count them. The result is kept with the run in MLflow.
    """
    from finnex.config import load_config
    from finnex.evaluation.study_evaluation import evaluate_study
    from finnex.evaluation.universe_words import universe_words
    from finnex.reporting.tear_sheet import render_tear_sheet
    from finnex.reporting.tear_sheet_of_study import sheet_of
    from finnex.store import ImageStore
    from finnex.tracking import keep_evaluation, recorded_study
    from flows.learning import score_rows, trading_rows, write_page
    from flows.recording import recording_server

    settings = load_config(config)
    store = ImageStore.open(settings.store.path)
    universe = universe_words(store, settings.symbols)
    with recording_server(settings) as uri, err().status("Judging the predictions"):
        study = recorded_study(settings, uri, run)
        bars, unread = _bars(settings)
        found = evaluate_study(
            study.predictions, store, settings.trading, trials=study.trials, others=study.others, bars=bars
        )
        sheet = sheet_of(found, settings.trading, universe, store.attrs["synthetic_tables"])
        page = None if sheet is None else render_tear_sheet(sheet)
        record = found.record() | {"universe": universe, "trials_unread": dict(study.unread)}
        keep_evaluation(uri, study.version.said.run_id, record, page)
        path = None if page is None else write_page(settings, page, "tear_sheet.html", output)
    if unread:
        err().print(f"warning: the value that is traded is not known, because the inputs cannot be read: {unread}")
    about = {"version": study.version.version, "run": study.version.said.run_id}
    if as_json:
        print_json({**about, **record, "tear_sheet": None if path is None else str(path)})
        return
    screen = out()
    screen.print(f"Version {about['version']} of '{study.version.name}', run {about['run']}")
    print_scores(screen, score_rows(found.card))
    print_trading(screen, trading_rows(found.trading))
    lines = [(0, line) for line in (found.card.verdict(), *found.trading.words())]
    for heading, sentences in found.sections().items():
        lines += [(0, ""), (0, heading), *((2, sentence) for sentence in sentences)]
    if study.unread:
        lines.append((2, f"{len(study.unread)} other versions cannot be read, and count as trials: --json says why."))
    print_wrapped([*lines, (0, ""), (0, f"Universe: {universe}")])
    if path is not None:
        screen.print(f"Tear sheet  {path}")


def _bars(config: Config) -> tuple[pd.DataFrame | None, str]:
    """Return the bars of the inputs; None, and the reason, where they cannot be read."""
    from finnex.data.tables import read_sound_tables, read_tables
    from finnex.errors import InputError, first_line

    try:
        leave_out = config.on_bad_company == "leave out"
        return (read_sound_tables(config)[0] if leave_out else read_tables(config)).prices, ""
    except InputError as error:
        return None, first_line(error)
