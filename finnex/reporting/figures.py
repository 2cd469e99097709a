"""Pictures of a store: one session with its legend, many sessions side by side."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.image import imsave
from matplotlib.patches import Rectangle

from finnex.files.output import PNG_SOFTWARE, write_output
from finnex.reporting.style import CHANNEL_COLOURS, FAINT, INK, figure, keep, png

CHANNELS = ("red", "green", "blue")
NOT_KNOWN = "#d9dde5"
REGION_COLOURS = {"news": ("#a3201c", "#7d828c", "#f5d327")}
"""Regions with colours of their own, dark to bright: the specification paints news red, grey and yellow for negative,
neutral and positive. The stored channel is one number a pixel; colours are the reader's."""


class RegionLike(Protocol):
    """What the legend needs of a layout's region; bounds are half-open."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def section(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def rows(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def columns(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def encoder_name(self) -> str: ...  # noqa: D102


def _words(name: str) -> str:
    return name.replace("_", " ")


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _channel_map(channel: str) -> Colormap:
    """Dark to bright through the channel's colour; grey where not known."""
    colours = LinearSegmentedColormap.from_list(channel, ["#0b0d12", CHANNEL_COLOURS[channel], "#fdfdfd"])
    return colours.with_extremes(bad=NOT_KNOWN)


def _paint(axes: Axes, shown: np.ma.MaskedArray, region: RegionLike) -> None:
    """Paint a region over its channel in colours of its own."""
    colours = LinearSegmentedColormap.from_list(region.name, REGION_COLOURS[region.name])
    (top, bottom), (left, right) = region.rows, region.columns
    axes.imshow(
        shown[top:bottom, left:right], cmap=colours.with_extremes(bad=NOT_KNOWN), vmin=0, vmax=1,
        interpolation="nearest", extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
    )  # fmt: skip


def _section_lines(axes: Axes, regions: Sequence[RegionLike]) -> dict[str, float]:
    """Draw the borders of the sections; return the middle row of each."""
    spans: dict[str, list[int]] = {}
    for region in regions:
        spans.setdefault(region.section, []).extend(region.rows)
    for rows in spans.values():
        if min(rows) > 0:
            axes.axhline(min(rows) - 0.5, color="white", linewidth=1.1, alpha=0.75)
    return {name: (min(rows) + max(rows)) / 2 for name, rows in spans.items()}


def show_session(
    image: npt.NDArray[np.float32],
    regions: Sequence[RegionLike],
    known: Mapping[str, float],
    title: str,
    out: Path | None = None,
) -> bytes:
    """Draw one session: the image, its three channels alone, and a map that names every region.

    Parameters
    ----------
    image
        (y, x, 3) float32 in [0, 1], 0 where not known.
    regions
        Rectangles with name, section, channel and encoder, such as `Layout.regions`.
    known
        By region, the share of its values that are known, as the store keeps it.
    title
        Title of the picture.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.
    """
    height, width = image.shape[:2]
    with figure(15.2, 10.6) as drawn:
        drawn.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
        grid = drawn.add_gridspec(2, 3, height_ratios=[1, 1])
        whole = drawn.add_subplot(grid[0, 0])
        whole.imshow(image, interpolation="nearest")
        whole.set_title("mega-image: red, green and blue together")
        _bare(whole)
        for name, middle in _section_lines(whole, regions).items():
            whole.text(-8, middle, _words(name), rotation=90, ha="right", va="center", fontsize=8, color=FAINT)
        whole.text(0, height + 8, "oldest session", ha="left", va="top", fontsize=7.5, color=FAINT)
        whole.text(width, height + 8, "newest session", ha="right", va="top", fontsize=7.5, color=FAINT)
        for number in range(len(CHANNELS)):
            _channel(drawn.add_subplot(grid[(number + 1) // 3, (number + 1) % 3]), image, number, regions)
        _legend(drawn.add_subplot(grid[1, 1:]), regions, known)
        return keep(png(drawn), out)


def show_channel(
    image: npt.NDArray[np.float32], channel: str, regions: Sequence[RegionLike], title: str, out: Path | None = None
) -> bytes:
    """Draw one channel of a session alone, with its regions by name; grey is not known.

    Parameters
    ----------
    image
        (y, x, 3) float32 in [0, 1], 0 where not known.
    channel
        `red`, `green` or `blue`.
    regions
        Rectangles with name, section, channel and encoder, such as `Layout.regions`.
    title
        Title of the picture.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.
    """
    with figure(7.2, 7.6) as drawn:
        drawn.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        _channel(drawn.subplots(), image, CHANNELS.index(channel), regions)
        return keep(png(drawn), out)


def _channel(axes: Axes, image: npt.NDArray[np.float32], number: int, regions: Sequence[RegionLike]) -> None:
    height, width = image.shape[:2]
    channel = CHANNELS[number]
    shown = np.ma.masked_equal(image[:, :, number], 0)
    axes.imshow(shown, cmap=_channel_map(channel), vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(f"{channel} channel", color=CHANNEL_COLOURS[channel])
    _bare(axes)
    for region in regions:
        if region.channel == channel:
            if region.name in REGION_COLOURS:
                _paint(axes, shown, region)
                says = f"{_words(region.name)}: red negative, grey neutral, yellow positive"
                axes.text(0, height + 8, says, ha="left", va="top", fontsize=7.5, color=FAINT)
            _frame(axes, region)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def plain_picture(image: npt.NDArray[np.float32], out: Path) -> None:
    """Write an image as it is, one pixel a pixel, in 8 bits; black is not known."""
    buffer = io.BytesIO()
    imsave(buffer, np.round(255 * image).astype(np.uint8), format="png", metadata=PNG_SOFTWARE)
    write_output(out, buffer.getvalue())


def _frame(axes: Axes, region: RegionLike) -> None:
    (top, bottom), (left, right) = region.rows, region.columns
    axes.add_patch(
        Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="white", linewidth=1.1)
    )
    axes.text(
        left + 6, top + 6, _words(region.name), ha="left", va="top", fontsize=7.5, color="white",
        bbox={"facecolor": "#0b0d12", "alpha": 0.62, "edgecolor": "none", "pad": 1.6},
    )  # fmt: skip


def _legend(axes: Axes, regions: Sequence[RegionLike], known: Mapping[str, float]) -> None:
    """List every region in reading order: section, channel, name, encoder, place, share known."""
    axes.set_title("regions")
    _bare(axes)
    axes.set_xlim(0, 1)
    ordered = sorted(regions, key=lambda region: (region.rows[0], CHANNELS.index(region.channel), region.columns[0]))
    lines = len(ordered) + len({region.section for region in ordered}) + 1
    axes.set_ylim(lines + 0.2, -0.6)
    size = min(9.5, 190 / lines)
    columns = (0.035, 0.33, 0.56, 0.735, 0.995)
    for x, word in zip(columns, ("region", "encoder", "rows", "columns", "known"), strict=True):
        axes.text(x, 0, word, fontsize=size, color=FAINT, va="center", ha="right" if word == "known" else "left")
    line, section = 1, ""
    for region in ordered:
        if region.section != section:
            section = region.section
            axes.text(0, line + 0.1, _words(section), fontsize=size + 0.5, fontweight="bold", va="center")
            line += 1
        (top, bottom), (left, right) = region.rows, region.columns
        axes.add_patch(Rectangle((0.006, line - 0.3), 0.016, 0.6, color=CHANNEL_COLOURS[region.channel]))
        texts = (
            _words(region.name), _words(region.encoder_name), f"{top} - {bottom - 1}", f"{left} - {right - 1}",
            f"{known[region.name]:.0%}",
        )  # fmt: skip
        for x, text in zip(columns, texts, strict=True):
            axes.text(x, line, text, fontsize=size, color=INK, va="center", ha="right" if x > 0.9 else "left")
        line += 1


def contact_sheet(
    images: Sequence[npt.NDArray[np.float32]],
    titles: Sequence[str],
    columns: int = 4,
    out: Path | None = None,
) -> bytes:
    """Draw sessions side by side, each at a third of its size, for a comparison of many.

    Parameters
    ----------
    images
        (y, x, 3) float32 in [0, 1] each.
    titles
        One for each image.
    columns
        Images in a row of the sheet.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.
    """
    rows = -(-len(images) // columns)
    with figure(2.45 * columns, 2.6 * rows, dpi=90) as drawn:
        for number, (image, title) in enumerate(zip(images, titles, strict=True)):
            axes = drawn.add_subplot(rows, columns, number + 1)
            axes.imshow(image[::2, ::2], interpolation="nearest")
            axes.set_title(title, fontsize=8, fontweight="normal")
            _bare(axes)
        return keep(png(drawn), out)
