"""Planted markets: images of noisy features whose label is a known rule, and the training that has to find it.

Nine cells (three sections, three channels) of twelve features each, 56 sessions. In every cell the features share a
factor and have noise of their own; cells stand at a level of their own in every image, and some features are not
known. Dates do not overlap, and a network is tested on later ones than it was trained on.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from finnex.config.training import TrainingSettings
from finnex.datasets import Batch
from finnex.datasets.samples import Samples
from finnex.encoders.heatmap import feature_of_row
from finnex.models.layers import COLUMN_PX, IMAGE_PX, ROWS

SECTIONS = ("macro", "behavioral", "fundamental")
CHANNELS = ("red", "green", "blue")
CELLS = tuple((section, channel) for section in SECTIONS for channel in CHANNELS)
FEATURES, SESSIONS, SESSION_PX = 12, 56, 3 * COLUMN_PX
RULE_SESSIONS = 10
PULSE = np.array([0.5, 1.0, 1.0, 0.5], dtype=np.float32)
"""How an event rises and falls again, by session."""
MAX_LAG = 12
LEAD_CELLS = (("behavioral", "red"), ("macro", "green"))
"""Sentiment about a company, and prices of the market."""
UNIT = 0.12
"""Standard deviation of a feature's own noise, in pixel values."""
FACTOR, MEMORY = 0.4, 0.6
"""Standard deviation of a cell's factor in units of that noise, and how much of it stays to the next session."""
UNKNOWN = 0.05
"""Share of features that an image does not show."""


@dataclass(frozen=True)
class Market:
    """Images as what they are drawn from, and their labels; one a date, in order.

    Attributes
    ----------
    values
        float16 (date, cell, feature, session) in [0.02, 1], 0 where not known.
    label
        0, 1 or 2 (date,).
    bound
        Accuracy of a reader that knows the rule's form and reads the factors as well as the features show them.
    lag
        Sessions by which one cell leads the other, 0 where none does (date,).
    """

    values: npt.NDArray[np.float16]
    label: npt.NDArray[np.int64]
    bound: float
    lag: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def images(self, rows: npt.NDArray[np.intp]) -> Tensor:
        """Draw some dates the way heat maps across the canvas are drawn: float16 (B, 3, 512, 512)."""
        cells = torch.from_numpy(self.values[rows]).unflatten(1, (3, 3)).transpose(1, 2)  # (B, channel, section, F, T)
        wide = cells.flatten(2, 3).repeat_interleave(SESSION_PX, dim=-1)  # (B, channel, 36, 504)
        image = torch.zeros((len(rows), 3, IMAGE_PX, IMAGE_PX), dtype=torch.float16)
        image[..., : SESSIONS * SESSION_PX] = wide[:, :, torch.from_numpy(rows_shown())]
        return image


def rows_shown() -> npt.NDArray[np.int64]:
    """Return which of the 36 features of a channel each row of the image shows, (512,)."""
    heights = [min(ROWS, IMAGE_PX - ROWS * number) for number in range(len(SECTIONS))]
    return np.concatenate([FEATURES * number + feature_of_row(FEATURES, px) for number, px in enumerate(heights)])


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> npt.NDArray[np.float32]:
    """Return series of unit variance along the last axis, whose value is `memory` times the last and something new."""
    shocks = rng.standard_normal(shape, dtype=np.float32)
    series = np.empty_like(shocks)
    series[..., 0] = shocks[..., 0]
    for t in range(1, shape[-1]):
        series[..., t] = memory * series[..., t - 1] + np.sqrt(1 - memory**2) * shocks[..., t]
    return series


def show(rng: np.random.Generator, factors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the features of factors (date, 9, session) in units of noise: (date, 9, feature, session)."""
    n = len(factors)
    loading = rng.uniform(0.7, 1.3, (1, len(CELLS), FEATURES, 1)).astype(np.float32)  # the same on all dates
    level = 0.2 * rng.standard_normal((n, len(CELLS), 1, 1), dtype=np.float32)
    found = np.empty((n, len(CELLS), FEATURES, SESSIONS), dtype=np.float16)
    for date in range(n):
        own = autoregressive(rng, (len(CELLS), FEATURES, SESSIONS), 0.7)
        drawn = 0.51 + UNIT * (loading[0] * factors[date, :, None] + level[date] + own)
        known = rng.random((len(CELLS), FEATURES, 1)) >= UNKNOWN
        found[date] = np.where(known, np.clip(drawn, 0.02, 1), 0)
    return found


def one_cell_market(cell: tuple[str, str], n: int, seed: int) -> Market:
    """Over its last ten sessions every cell stands low, level or high; one cell's state is the label.

    The other eight have states of their own, which mean nothing.
    """
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 3, (n, len(CELLS)))
    factors = FACTOR * autoregressive(rng, (n, len(CELLS), SESSIONS), MEMORY)
    factors[..., -RULE_SESSIONS:] += 2.0 * (state[..., None] - 1)
    place = CELLS.index(cell)
    values = show(rng, factors)
    recent = values[:, place, :, -RULE_SESSIONS:].astype(np.float32)
    seen = (recent.sum((1, 2)) / np.maximum((recent > 0).sum((1, 2)), 1) - 0.51) / UNIT
    label = state[:, place]
    said = np.clip(np.round(seen / 2.0), -1, 1) + 1
    return Market(values, label, float((said == label).mean()), np.zeros(n, dtype=np.int64))


def lead_market(n: int, seed: int, *, both_signs: bool = False) -> Market:
    """Two cells have an event at a random place of the window: the second first, both at once, or the first first.

    The lag is 1 to 12 sessions; all nine factors move by themselves, too. The event is a rise, or with `both_signs` as
    often a fall: much harder, because the mean image of every class is then the same.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    lag = np.where(label == 1, 0, rng.integers(1, MAX_LAG + 1, n))
    place = rng.integers(0, SESSIONS - len(PULSE) - lag + 1)
    sign = rng.choice([-1, 1], n) if both_signs else np.ones(n)
    factors = FACTOR * autoregressive(rng, (n, len(CELLS), SESSIONS), MEMORY)
    one, other = (CELLS.index(cell) for cell in LEAD_CELLS)
    for date in range(n):
        leads, follows = (other, one) if label[date] == 0 else (one, other)
        for cell, start in ((leads, place[date]), (follows, place[date] + lag[date])):
            factors[date, cell, start : start + len(PULSE)] += 3 * sign[date] * PULSE
    said = _most_likely_lead(factors[:, one], factors[:, other], (1, -1) if both_signs else (1,))
    return Market(show(rng, factors), label, float((said == label).mean()), lag)


def _most_likely_lead(
    one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], signs: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Return the likeliest label given both factors themselves: Bayes' rule over all places, lags and signs."""
    apart = np.abs(np.subtract.outer(np.arange(SESSIONS), np.arange(SESSIONS)))
    precision = np.linalg.inv(FACTOR**2 * MEMORY**apart)
    starts = SESSIONS - len(PULSE) + 1
    events = np.zeros((starts, SESSIONS))
    for start in range(starts):
        events[start, start : start + len(PULSE)] = 3 * PULSE
    energy = np.einsum("ps,st,pt->p", events, precision, events) / 2
    likelihood = np.full((len(one), 3), -np.inf)
    for sign in signs:
        first, second = (sign * series @ precision @ events.T - energy for series in (one, other))  # (date, start)
        both = first + second
        likelihood[:, 1] = np.logaddexp(likelihood[:, 1], np.logaddexp.reduce(both, axis=1) - np.log(both.shape[1]))
        for lag in range(1, MAX_LAG + 1):
            for label, leads, follows in ((0, second, first), (2, first, second)):
                both = leads[:, :-lag] + follows[:, lag:]
                chance = np.logaddexp.reduce(both, axis=1) - np.log(both.shape[1] * MAX_LAG)
                likelihood[:, label] = np.logaddexp(likelihood[:, label], chance)
    return likelihood.argmax(axis=1)


class DrawnBatches:
    """Batches as a training takes them, of images that a function of row numbers draws when they are asked for."""

    def __init__(
        self, draw: Callable[[npt.NDArray[np.intp]], Tensor], labels: npt.NDArray[np.int64],
        rows: npt.NDArray[np.intp], batch_size: int, *, seed: int | None = None,
    ) -> None:  # fmt: skip
        self.draw, self.labels, self.rows, self.batch_size, self.seed = draw, labels, rows, batch_size, seed
        self.epoch = self.first = 0

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the order of the next pass; without a seed it is that of the rows."""
        self.epoch, self.first = epoch, first_batch

    def __iter__(self) -> Iterator[Batch]:
        rows = self.rows
        if self.seed is not None:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        for begin in range(self.first * self.batch_size, len(rows), self.batch_size):
            own = rows[begin : begin + self.batch_size]
            yield Batch(self.draw(own), torch.from_numpy(self.labels[own]), own)


@dataclass(frozen=True)
class Verdict:
    """What a network says of the dates it was not trained on, and how its training went.

    Attributes
    ----------
    right
        Whether each test date was answered correctly (date,).
    """

    right: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.intp]
    history: tuple[Any, ...]


def learn(
    network: nn.Module, market: Market, *, train: int, validation: int, epochs: int, seed: int = 0, **settings: Any
) -> Verdict:
    """Train on a market's first dates in FinNeX's own loop, choose the epoch on the next ones, test on the rest."""
    from finnex.training.answers import predict
    from finnex.training.devices import make_accelerator, repeatable
    from finnex.training.epoch_loop import fit
    from finnex.training.objective import Objective

    given = TrainingSettings(epochs=epochs, patience_epochs=epochs, seed=seed, **settings)
    rows = np.arange(len(market))
    parts = np.split(rows, [train, train + validation])
    accelerator = make_accelerator(given)
    batches = [
        DrawnBatches(market.images, market.label, part, given.batch_size, seed=own)
        for part, own in zip(parts, (seed, None, None), strict=True)
    ]
    objective = Objective(given, as_samples(market), parts[0])
    with repeatable(accelerator, given.threads or 1), tempfile.TemporaryDirectory(prefix="finnex-") as folder:
        torch.manual_seed(seed)
        history = fit(
            accelerator, network, batches[0], batches[1], objective, given, Path(folder), about={"market": "planted"}
        )
        answers = predict(network, batches[2], accelerator)
    right = answers.probabilities.argmax(axis=1) == market.label[answers.rows]
    return Verdict(right, answers.rows, tuple(history))


def as_samples(market: Market) -> Samples:
    """Return a market's dates as one symbol's samples."""
    n = len(market)
    days = np.busday_offset(np.datetime64("2000-01-03"), np.arange(n + 1), roll="forward")
    return Samples(
        symbols=("PLANTED",), symbol=np.zeros(n, dtype=np.intp), index=np.arange(n), decision=days[:n],
        entry=days[1:], label_end=days[1:], label=market.label,
        outcome=((market.label - 1) * 0.01).astype(np.float32), panels=(np.zeros((n, 1), dtype=np.float32),),
    )  # fmt: skip
