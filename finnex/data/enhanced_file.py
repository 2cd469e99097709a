"""Enhanced files of other programs: whose they are, and catalogue rows for columns that no catalogue describes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from finnex.data import parse
from finnex.data.preset import bundled, plain
from finnex.errors import ConfigError


def generated_entries(columns: Sequence[str], rooms: Mapping[str, int], header: Sequence[str]) -> str:
    """Return catalogue rows, as CSV text, for columns of an enhanced file that no catalogue describes.

    Parameters
    ----------
    columns
        Names, in the file's order.
    rooms
        Heat map to the rows it has left; filled in this order.
    header
        The catalogue's columns, in its order.

    Raises
    ------
    ConfigError
        The heat maps have fewer rows than there are columns.

    Notes
    -----
    Each column is drawn by its own past: standard deviations from the mean of its trailing year, -3 dark to 3
    bright, more is brighter. It has no direction: nothing says whether more is bullish. A catalogue of one's own can.
    """
    places = [heatmap for heatmap, rows in rooms.items() for _ in range(rows)]
    if len(places) < len(columns):
        raise ConfigError(
            f"[inputs] enhanced_heatmaps: {', '.join(rooms)} have {len(places)} rows left for {len(columns)} columns "
            "of the enhanced file. Name further heat maps, or draw fewer columns."
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="ignore")
    for name, heatmap in zip(columns, places, strict=False):
        writer.writerow(
            dict.fromkeys(header, "")
            | {"name": name, "table": "enhanced", "unit": "as given", "normalizer": "zscore", "low": -3, "high": 3,
               "window_sessions": 252, "max_age_sessions": 0, "orientation": 1, "direction": "none", "region": heatmap,
               "source": "the enhanced file", "meaning": f"column {name} of the enhanced file, as it is"}
        )  # fmt: skip
    return text.getvalue()


def symbol_of_file(path: Path) -> str:
    """Return whose enhanced file it is: its symbol column, else the first word of its name, in capitals.

    Raises
    ------
    ConfigError
        It is of several companies, or its name has no word.
    """
    text = parse.read_text(path)
    enhanced = bundled()["specification"].enhanced
    assert enhanced is not None
    options = enhanced.names["symbol"]
    column = next((name for name in text.columns if plain(name) in options), None)
    found = sorted(set(text[column].str.strip()) - {""}) if column is not None else []
    word = re.match("[A-Za-z]+", path.name)
    if len(found) > 1 or (not found and word is None):
        words = f"is of several companies ({', '.join(found[:5])})" if found else "does not say whose it is"
        raise ConfigError(f"{path} {words}. Name one with symbol=.")
    return found[0] if found else str(word and word.group()).upper()
