"""Charts of a training and a store: learning curve, confusion, scores, coverage, classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from finnex.data.calendar import Days
from finnex.evaluation import Scorecard
from finnex.evaluation.interval import Interval
from finnex.reporting.style import CLASS_COLOURS, FAINT, INK, SERIES, dates_along, figure, keep, png


class Epoch(Protocol):
    """What the learning curve needs of an epoch's report."""

    @property
    def epoch(self) -> int: ...  # noqa: D102
    @property
    def loss(self) -> float: ...  # noqa: D102
    @property
    def validation_loss(self) -> float: ...  # noqa: D102
    @property
    def validation_accuracy(self) -> float: ...  # noqa: D102
    @property
    def best(self) -> bool: ...  # noqa: D102


def learning_curve(history: Sequence[Epoch], out: Path | None = None) -> bytes:
    """Draw training and validation loss, and validation accuracy, by epoch; mark the epoch that was kept."""
    epochs = [report.epoch for report in history]
    kept = max(report.epoch for report in history if report.best)
    with figure(7.4, 3.0) as drawn:
        left, right = drawn.subplots(1, 2)
        for values, label, colour in (
            ([report.loss for report in history], "training", SERIES[0]),
            ([report.validation_loss for report in history], "validation", SERIES[1]),
        ):
            left.plot(epochs, values, marker="o", markersize=3.5, linewidth=1.6, label=label, color=colour)
        left.set_title("loss")
        left.legend()
        accuracy = [100 * report.validation_accuracy for report in history]
        right.plot(epochs, accuracy, marker="o", markersize=3.5, linewidth=1.6, color=SERIES[1])
        right.set_title("validation accuracy, %")
        for axes in (left, right):
            axes.axvline(kept, color=FAINT, linewidth=1, linestyle="--")
            axes.set_xlabel("epoch (dashed: the one that was kept)")
            axes.xaxis.get_major_locator().set_params(integer=True)
        return keep(png(drawn), out)


def confusion_matrix(
    counts: npt.NDArray[np.int64], classes: Sequence[str], title: str, out: Path | None = None
) -> bytes:
    """Draw counts (truth, answer) with the share of each truth's row.

    Parameters
    ----------
    counts
        (classes, classes) int64: row is the truth, column the answer.
    classes
        Names of the classes.
    title
        Title of the picture.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with figure(3.7, 3.3) as drawn:
        axes = drawn.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for truth in range(len(classes)):
            for answer in range(len(classes)):
                colour = "white" if shares[truth, answer] > 0.55 else INK
                text = f"{counts[truth, answer]}\n{shares[truth, answer]:.0%}"
                axes.text(answer, truth, text, ha="center", va="center", color=colour)
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("predicted")
        axes.set_ylabel("happened")
        axes.set_title(title)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        return keep(png(drawn), out)


def score_chart(card: Scorecard, out: Path | None = None) -> bytes:
    """Draw each model's accuracy with its interval, and the model's lead over each baseline with its own."""
    with figure(7.4, 0.9 + 0.42 * len(card.lines)) as drawn:
        left, right = drawn.subplots(1, 2)
        for line, colour in zip(reversed(card.lines), [FAINT] * (len(card.lines) - 1) + [SERIES[0]], strict=True):
            _bar(left, line.model.replace("_", " "), line.accuracy, colour)
        left.set_title(f"accuracy, % ({card.sessions} sessions)")
        for name, gap in reversed(list(card.gaps.items())):
            colour = {"beats": SERIES[2], "worse": SERIES[4], "open": FAINT}[card.words[name]]
            _bar(right, f"over {name.replace('_', ' ')}", gap, colour)
        right.axvline(0, color=INK, linewidth=1)
        right.set_title("lead, percentage points")
        for axes, rows in ((left, len(card.lines)), (right, len(card.gaps))):
            axes.set_ylim(-0.7, rows - 0.3)
        return keep(png(drawn), out)


def _bar(axes: Axes, name: str, interval: Interval, colour: str) -> None:
    """Draw a figure as a dot, in percent, and its interval, where there is one, as a bar."""
    if interval.low is not None and interval.high is not None:
        ends = [100 * interval.low, 100 * interval.high]
        axes.plot(ends, [name, name], color=colour, linewidth=3, solid_capstyle="round")
    axes.plot([100 * interval.value], [name], "o", color=colour, markersize=7, markeredgecolor="white")


def coverage_over_time(
    days: Days,
    coverage: npt.NDArray[np.floating],
    regions: Sequence[str],
    title: str,
    out: Path | None = None,
) -> bytes:
    """Draw the share of each region's pixels that is known, by session: a table of colours, regions downwards.

    Parameters
    ----------
    days
        (sessions,) `datetime64[D]`, ascending.
    coverage
        (sessions, regions) in [0, 1].
    regions
        Names of the regions.
    title
        Title of the picture.
    out
        PNG to write; None writes none.

    Returns
    -------
    bytes
        The PNG.
    """
    with figure(7.4, 1.0 + 0.22 * len(regions)) as drawn:
        axes = drawn.subplots()
        left, right = (float(day) for day in days[[0, -1]].astype("int64"))  # matplotlib counts days from 1970 too
        shown = axes.imshow(
            coverage.T, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest",
            extent=(left, max(right, left + 1), len(regions) - 0.5, -0.5),
        )  # fmt: skip
        dates_along(axes)
        axes.set_yticks(range(len(regions)), [region.replace("_", " ") for region in regions], fontsize=8)
        axes.grid(False)
        axes.set_title(title)
        drawn.colorbar(shown, ax=axes, label="share known", pad=0.01)
        return keep(png(drawn), out)


def class_distribution(counts: Mapping[str, Mapping[str, int]], out: Path | None = None) -> bytes:
    """Draw the shares of the classes in each part, with their counts."""
    with figure(7.4, 0.7 + 0.42 * len(counts)) as drawn:
        axes = drawn.subplots()
        names = list(counts)
        begin = np.zeros(len(names))
        totals = np.array([max(1, sum(part.values())) for part in counts.values()])
        for word, colour in CLASS_COLOURS.items():
            number = np.array([part.get(word, 0) for part in counts.values()])
            share = 100 * number / totals
            axes.barh(names, share, left=begin, color=colour, edgecolor="white", height=0.66, label=word)
            for place, (start, width, count) in enumerate(zip(begin, share, number, strict=True)):
                if width > 6:
                    text = f"{width:.0f} % ({count})"
                    axes.text(start + width / 2, place, text, ha="center", va="center", color="white", fontsize=8)
            begin += share
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_title("classes by part, %")
        axes.grid(False)
        axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
        return keep(png(drawn), out)
