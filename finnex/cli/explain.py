"""`finnex explain`: the meaning of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finnex.cli.terminal import ConfigOption, JsonOption, out, parse_date, print_json

if TYPE_CHECKING:
    from finnex.explain import PixelAnswer


def explain(
    config: ConfigOption,
    symbol: Annotated[str, typer.Argument(help="Symbol, as in finnex.toml.")],
    day: Annotated[str, typer.Argument(metavar="DATE", help="Session, YYYY-MM-DD.")],
    row: Annotated[int, typer.Option(help="Pixel row, 0 is the top.")],
    col: Annotated[int, typer.Option(help="Pixel column, 0 is the left.")],
    channel: Annotated[str | None, typer.Option(help="red, green or blue; absent, all three.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a pixel: feature, session, value, unit, source and weight."""
    from finnex.config import load_config
    from finnex.explain import explain as ask
    from finnex.explain import of_channel
    from finnex.store import ImageStore

    session = parse_date(day, "DATE")
    assert session is not None, "an argument is never absent"
    settings = load_config(config)
    answers = ask(ImageStore.open(settings.store.path), symbol, session, row, col)
    if channel is not None:
        answers = [of_channel(answers, channel)]
    if as_json:
        # The first channel's answer is at the top level, so that one channel reads without a list.
        more = {} if channel is not None else {"channels": [answer.as_dict() for answer in answers]}
        print_json(answers[0].as_dict() | more)
    else:
        _print(answers)


def _print(answers: list[PixelAnswer]) -> None:
    from rich.table import Table

    for answer in answers:
        table = Table(title=f"{answer.channel}: {answer.region}", show_header=False, title_justify="left")
        shown = answer.as_dict()
        unit = shown.pop("unit")
        has_unit = unit not in (None, "", "1")  # '1' is a ratio's unit in the catalogue and in JSON
        for name, value in shown.items():
            if name in ("channel", "region") or value is None:
                continue
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            table.add_row(name.replace("_", " "), f"{text} {unit}" if name == "original_value" and has_unit else text)
        out().print(table)
