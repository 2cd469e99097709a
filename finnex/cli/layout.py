"""`finnex layout`: check a layout file, and draw it as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnex.cli.terminal import JsonOption, err, out, print_json

if TYPE_CHECKING:
    from finnex.layout import Layout

layout = typer.Typer(
    help="Check and draw layouts: the place, encoder and features of each region.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

LayoutArgument = Annotated[
    str,
    typer.Argument(
        metavar="LAYOUT",
        help="mega, price_only, sentiment_only, candlestick, chart, or a layout file that ends in .toml.",
    ),
]
CatalogueOption = Annotated[
    Path | None,
    typer.Option("--catalogue", metavar="FILE", help="A catalogue of your own.  [default: the bundled one]"),
]
LookbackOption = Annotated[
    int | None,
    typer.Option("--lookback", min=1, metavar="SESSIONS", help="Sessions shown.  [default: the layout's own]"),
]


@layout.command()
def check(
    name: LayoutArgument,
    catalogue: CatalogueOption = None,
    lookback: LookbackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the regions of a layout, or every mistake in it."""
    from finnex.layout import load_layout

    answer = describe(load_layout(name, lookback, catalogue))
    if as_json:
        print_json(answer)
        return
    for line in _lines(answer):
        out().print(line)


def describe(found: Layout) -> dict[str, Any]:
    """Return what `check` prints; spans have both ends included, as in the file."""
    return {
        "layout": found.name,
        "hash": found.hash,
        "pixels": [found.height, found.width],
        "channels": list(found.channels),
        "lookback_sessions": found.lookback,
        "features_of_the_catalogue": len(found.catalogue.names),
        "features_with_a_row": len(found.rows),
        "features_without_a_row": [name for name in found.catalogue.names if name not in found.rows],
        "regions": [
            {
                "region": region.name,
                "section": region.section,
                "channel": region.channel,
                "encoder": region.encoder_name,
                "rows": [region.rows[0], region.rows[1] - 1],
                "columns": [region.columns[0], region.columns[1] - 1],
                "features": list(region.features),
                "pixels_a_value": _pixels(region.rows_per_value(found.lookback), region.encoder.session_px),
                "margin_columns": region.margin(found.lookback),
            }
            for region in found.regions
        ],
    }


def _lines(answer: dict[str, Any]) -> list[str]:
    """Return the table by sections, in lines that no terminal's width cuts into columns."""
    (height, width), channels = answer["pixels"], ", ".join(answer["channels"])
    sessions, rows = answer["lookback_sessions"], answer["features_with_a_row"]
    lines = [
        f"{answer['layout']}: {height} x {width} pixels, channels {channels}, {sessions} sessions.",
        f"{rows} of the catalogue's {answer['features_of_the_catalogue']} features have a row. No gap, no overlap.",
    ]
    table = [("region", "channel", "encoder", "features", "pixels a value", "rows", "columns", "margin")]
    for region in answer["regions"]:
        (top, bottom), (left, right) = region["rows"], region["columns"]
        table.append((
            region["region"], region["channel"], region["encoder"], str(len(region["features"]) or "bars"),
            region["pixels_a_value"], f"{top}-{bottom}", f"{left}-{right}", str(region["margin_columns"]),
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    sections = ["", *(region["section"] for region in answer["regions"])]
    for before, section, row in zip(["", *sections], sections, table, strict=False):
        if section != before or not section:
            lines += ["", *([section] if section else [])]
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return lines


def _pixels(rows: tuple[int, int], columns: int) -> str:
    least, most = rows
    return f"{least} x {columns}" if least == most else f"{least}-{most} x {columns}"


@layout.command()
def draw(
    name: LayoutArgument,
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The PNG to write.")],
    catalogue: CatalogueOption = None,
    lookback: LookbackOption = None,
) -> None:
    """Draw a map of a layout into a PNG: every region with its name, over what its encoder makes of a toy window."""
    from finnex.errors import ConfigError
    from finnex.layout import load_layout
    from finnex.reporting.layout_map import draw_layout

    found = load_layout(name, lookback, catalogue)
    with err().status(f"Drawing {found.name}"):
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            draw_layout(found, output)
        except OSError as error:
            raise ConfigError(f"--out: {output} cannot be written ({error.strerror}). Choose another path.") from None
    out().print(f"Wrote {output}")
