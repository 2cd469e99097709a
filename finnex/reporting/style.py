"""One look for all figures: quiet axes, few colours, readable in print and on screen."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from finnex.files.output import PNG_SOFTWARE, write_output

INK, FAINT, PAPER = "#1c2330", "#8a93a3", "#ffffff"
CHANNEL_COLOURS = {"red": "#c8443c", "green": "#3f8f54", "blue": "#3568b8"}
CLASS_COLOURS = {"sell": "#c8443c", "hold": "#9aa3b2", "buy": "#3f8f54"}
SERIES = ("#3568b8", "#d98a29", "#3f8f54", "#8d5fb0", "#c8443c", "#4aa3a8", "#7a6a53", "#b5577f", "#5c6b7a")
DPI = 110

_RC: dict[str, Any] = {
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER, "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.grid": True, "grid.color": "#e6e9ef", "grid.linewidth": 0.8,
    "axes.axisbelow": True, "legend.frameon": False, "font.family": "sans-serif",
}  # fmt: skip


@contextmanager
def figure(width: float, height: float, dpi: int = DPI) -> Iterator[Figure]:
    """Give an Agg figure in the house style, of a size in inches; no display, no global state left behind."""
    with mpl.rc_context(_RC):  # type: ignore[arg-type]  # mpl types keys as literals
        drawn = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn


def png(drawn: Figure) -> bytes:
    """Return a figure as PNG bytes, the same for the same figure."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", metadata=PNG_SOFTWARE)
    return buffer.getvalue()


def dates_along(axes: Axes, most: int | None = None) -> None:
    """Label the horizontal axis, which counts days, with as few words of a date as are needed; `most` labels about."""
    axes.xaxis_date()
    if most is not None:
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=2, maxticks=most))  # type: ignore[no-untyped-call]
    dates = mdates.ConciseDateFormatter(axes.xaxis.get_major_locator())  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(dates)


def keep(picture: bytes, out: Path | None) -> bytes:
    """Write a picture where a path is given; return it."""
    if out is not None:
        write_output(out, picture)
    return picture
