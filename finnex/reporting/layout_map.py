"""A layout as a map: its regions by name, over what their encoders make of a toy window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from finnex.images.render import Renderer
from finnex.layout import Layout, Region
from finnex.reporting.style import CHANNEL_COLOURS, FAINT, INK, figure, keep, png

ENCODER_WORDS = {
    "heatmap": "heat map", "candlestick": "open, high, low, close", "gramian": "Gramian field",
    "markov": "Markov field", "recurrence": "recurrence plot", "event_proximity": "event ramps", "delta": "change",
}  # fmt: skip
ROOMY = 48
"""Rows from which a region has room for two lines of text."""


def draw_layout(layout: Layout, out: Path | None = None) -> bytes:
    """Draw one panel a channel.

    Parameters
    ----------
    out
        PNG to write.

    Returns
    -------
    bytes
        The PNG.
    """
    toy, _ = Renderer(layout).draw(*toy_window(layout))
    channels = len(layout.channels)
    with figure(6.2 * channels + 0.6, 7.4) as drawn:
        grid = drawn.add_gridspec(1, channels)
        panels = [drawn.add_subplot(grid[0, number]) for number in range(channels)]
        for number, (axes, channel) in enumerate(zip(panels, layout.channels, strict=True)):
            _panel(axes, layout, channel, toy[:, :, number])
        for section in layout.sections:
            middle = sum(section.rows) / 2 - 0.5
            panels[0].text(
                -12, middle, section.name.replace("_", " "), rotation=90, ha="right", va="center", fontsize=8,
                fontweight="bold", color=INK,
            )  # fmt: skip
        _caption(drawn, layout)
        return keep(png(drawn), out)


def _panel(axes: Axes, layout: Layout, channel: str, toy: npt.NDArray[np.float32]) -> None:
    colour = CHANNEL_COLOURS.get(channel, FAINT)
    shades = LinearSegmentedColormap.from_list(channel, ["#ffffff", colour])
    axes.imshow(np.where(toy > 0, 0.12 + 0.5 * toy, 0.0), cmap=shades, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(f"{channel} channel", color=colour, fontsize=11)
    axes.set_yticks([section.rows[0] for section in layout.sections] + [layout.height - 1])
    axes.set_xticks([0, layout.width - 1])
    axes.tick_params(length=0, labelsize=7, labelcolor=FAINT, pad=2)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("oldest session  →  newest session", fontsize=8, color=FAINT, labelpad=1)
    for region in layout.regions:
        if region.channel == channel:
            _region(axes, region, layout)


def _region(axes: Axes, region: Region, layout: Layout) -> None:
    (top, bottom), (left, right) = region.rows, region.columns
    axes.add_patch(
        Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=INK, linewidth=1.0)
    )
    words, name = _words(region, layout.lookback), region.name.replace("_", " ")
    box = {"facecolor": "#ffffff", "alpha": 0.88, "edgecolor": "none", "pad": 1.8}
    roomy = region.height >= ROOMY
    lines = ["\n".join(words) if region.height >= 2 * ROOMY else ", ".join(words)] if roomy else []
    title = name if roomy else f"{name}:  {words[0]}"
    longest = max(len(line) for line in [title, *"\n".join(lines).splitlines()])
    size = min(8.5, 8.5 * (region.width - 12) / (6.2 * longest))  # long names in narrow regions are set smaller
    corner = (left + 5, top + 5)
    for line, text in enumerate([title, *lines]):
        axes.annotate(
            text, corner, xytext=(0, -1.75 * size * line), textcoords="offset points", ha="left", va="top",
            fontsize=size, fontweight="bold" if line == 0 else "normal", color=INK, linespacing=1.3, bbox=box,
        )  # fmt: skip


def _words(region: Region, lookback: int) -> list[str]:
    """Return what draws the region and how large a value is."""
    what = ENCODER_WORDS.get(region.encoder_name, region.encoder_name)
    least, most = region.rows_per_value(lookback)
    rows = str(least) if least == most else f"{least}-{most}"
    px = region.encoder.session_px
    if not region.features:
        return ["candles" if getattr(region.encoder, "style", "") == "candle" else what, f"{px} px a session"]
    if len(region.features) == 1:
        return [what, region.features[0]]
    return [f"{what}, {len(region.features)} features", f"{rows} x {px} px a value"]


def _caption(drawn: Figure, layout: Layout) -> None:
    unused = len(layout.catalogue.names) - len(layout.rows)
    rest = f", {unused} without" if unused else ""
    drawn.suptitle(
        f"{layout.name}   {layout.height} x {layout.width} pixels, {layout.lookback} sessions, "
        f"{len(layout.regions)} regions, {len(layout.rows)} features with a row{rest}",
        x=0.01, ha="left", fontsize=13, fontweight="bold",
    )  # fmt: skip


def toy_window(layout: Layout) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a window of slow random walks, the same each time: (lookback, features) and (lookback, 6)."""
    rng = np.random.default_rng(7)
    shape = (layout.lookback, len(layout.catalogue.names))
    walk = np.empty(shape)
    walk[0] = rng.normal(size=shape[1])
    for t in range(1, shape[0]):
        walk[t] = 0.9 * walk[t - 1] + 0.44 * rng.normal(size=shape[1])
    values = np.clip(0.51 + 0.2 * walk, 0.02, 1).astype(np.float32)
    opened, closed = rng.normal(0, 0.006, layout.lookback), rng.normal(0.001, 0.02, layout.lookback)
    high = np.maximum(opened, closed) + np.abs(rng.normal(0, 0.006, layout.lookback))
    low = np.minimum(opened, closed) - np.abs(rng.normal(0, 0.006, layout.lookback))
    before = np.concatenate([[0.0], np.cumsum(closed)[:-1]])
    average = np.convolve(np.pad(np.cumsum(closed), (19, 0), mode="edge"), np.full(20, 0.05), "valid") - before
    volume = rng.uniform(0.1, 0.6, layout.lookback)
    return values, np.column_stack([opened, high, low, closed, volume, average]).astype(np.float32)
