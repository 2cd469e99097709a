"""What can be read from the pictures of a planted market, without learning: matched filters on drawn brightness.

Four rows of the heat maps are turned back into standard deviations. For everything that can be planted the filters give
its likelihood under Gaussian noise with the memory of the row (Turin, An Introduction to Matched Filters, 1960); Bayes'
rule over places, lags and regimes gives the classes. Sizes of patterns and noise in drawn units are constants, which
were measured on design seed 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from finnex.data.normalize import FLOOR
from finnex.data.panel import make_panel
from finnex.exam.hidden_paths import Floats, wander
from finnex.exam.planted_market import PlantedMarket
from finnex.exam.planted_patterns import (
    BOTH,
    LENGTH,
    MOODS,
    MOVES,
    PRICE,
    SENTIMENT,
    SHARES,
    SLOT,
    STARTS,
    SWAY,
    sequences,
)
from finnex.layout import Layout

VOLUME_MEAN = 20
"""Sessions of the mean that `volume_surprise_20` is relative to: a pattern lies in the mean of what follows it."""


@dataclass(frozen=True)
class Row:
    """A row of a heat map that shows a pattern.

    Attributes
    ----------
    feature
        Name in the catalogue.
    noise, memory
        Standard deviation of what is drawn where nothing is planted, and its correlation with the session before.
    """

    feature: str
    noise: float
    memory: float


ROWS = {
    "return": Row("return_1", 0.96, 0.0),
    "volume": Row("volume_surprise_20", 0.82, 0.50),
    "news": Row("news_tone", 0.82, 0.21),
    "social": Row("social_tone", 0.96, 0.26),
}
MOVE_DRAWN, RALLY_DRAWN, VOLUME_DRAWN, NEWS_DRAWN, SOCIAL_DRAWN = 1.55, 1.10, 2.30, 1.85, 2.33
"""Size of a session of each pattern, as drawn."""


@dataclass(frozen=True, eq=False)
class Windows:
    """What the pictures of the decisions show in the detector's rows.

    Attributes
    ----------
    brightness
        float32 (decisions, lookback, rows) in [0.02, 1], NaN where not known: as drawn, oldest session first.
    label, answer, regime
        (decisions,): see `finnex.exam.planted_patterns.PlantedDecisions`.
    """

    brightness: npt.NDArray[np.float32]
    label: npt.NDArray[np.int64]
    answer: npt.NDArray[np.int64]
    regime: npt.NDArray[np.int64]


def windows(market: PlantedMarket, layout: Layout, symbols: Sequence[str] = ()) -> Windows:
    """Return the rows of Stage 1 that the pictures of all decisions show.

    Parameters
    ----------
    market
        A planted market.
    layout
        Layout of the pictures: its window and catalogue.
    symbols
        Companies; absent, all.

    Returns
    -------
    Windows
        By company, then time.
    """
    specs = [layout.catalogue.find(one.feature) for one in ROWS.values()]
    parts, chosen = [], [market.decisions[name] for name in symbols or market.symbols]
    for name, own in zip(symbols or market.symbols, chosen, strict=True):
        panel = make_panel(market.tables, market.config, name, specs)
        shown = own.session[:, None] - np.arange(layout.lookback - 1, -1, -1)
        parts.append(panel.normalized[shown])
    return Windows(
        np.concatenate(parts),
        np.concatenate([one.label for one in chosen]),
        np.concatenate([one.answer for one in chosen]),
        np.concatenate([one.regime for one in chosen]),
    )


def detect(brightness: npt.NDArray[np.float32], layout: Layout, rows: Sequence[str] = tuple(ROWS)) -> Floats:
    """Return the probabilities of the rule's answers: (decisions, 3).

    Parameters
    ----------
    brightness
        (decisions, lookback, rows) as in `Windows`; what is not known counts as the middle of its row.
    layout
        Layout of the pictures.
    rows
        Rows that may be looked at, of `ROWS`: those of one modality give what it shows alone.

    Returns
    -------
    numpy.ndarray
        Rows sum to 1.
    """
    score = _Scores(_deviations(brightness, layout), rows)
    log_shares = np.log(SHARES)
    found: list[list[Floats]] = [[], [], []]
    for answer in MOVES:
        found[answer] += [
            log_shares[PRICE] - np.log(3 * STARTS)
            + score("return", MOVE_DRAWN * MOVES[answer]) + score("volume", -VOLUME_DRAWN * np.ones(LENGTH)),
            log_shares[SENTIMENT] - np.log(3 * STARTS) + score("social", SOCIAL_DRAWN * MOODS[answer]),
        ]  # fmt: skip
    rally = score("return", RALLY_DRAWN * SWAY) + score("volume", VOLUME_DRAWN * np.ones(LENGTH))
    wave = score("news", NEWS_DRAWN * SWAY)
    places = sequences()
    for answer, parts in enumerate(found):
        own = places[2] == answer
        parts.append(log_shares[BOTH] + np.log(places[3][own]) + rally[:, places[0][own]] + wave[:, places[1][own]])
    logits = np.stack([logsumexp(np.concatenate(parts, axis=1), axis=1) for parts in found], axis=1)
    return np.asarray(np.exp(logits - logsumexp(logits, axis=1, keepdims=True)))


def accuracy(of: Windows, layout: Layout, rows: Sequence[str] = tuple(ROWS)) -> float:
    """Return the share of decisions whose label is the detector's likeliest answer."""
    return float((detect(of.brightness, layout, rows).argmax(axis=1) == of.label).mean())


def _deviations(brightness: npt.NDArray[np.float32], layout: Layout) -> Floats:
    """Return drawn brightness in the unit of its row's bounds, 0 where not known."""
    specs = [layout.catalogue.find(one.feature) for one in ROWS.values()]
    low, high = (np.array([getattr(one, name) for one in specs]) for name in ("low", "high"))
    values: Floats = np.nan_to_num(low + (brightness.astype(np.float64) - FLOOR) / (1 - FLOOR) * (high - low))
    return values


class _Scores:
    """Log likelihood ratios of patterns at every place of the slot, against nothing planted."""

    def __init__(self, deviations: Floats, rows: Sequence[str]) -> None:
        self.deviations, self.rows = deviations, rows

    def __call__(self, name: str, shape: Floats) -> Floats:
        """Return (decisions, `STARTS`) of one row; 0 where it may not be looked at."""
        values = self.deviations[:, :, list(ROWS).index(name)]
        if name not in self.rows:
            return np.zeros((len(values), STARTS))
        templates = np.stack(list(_templates(name, shape, values.shape[1])))
        lags = np.abs(np.subtract.outer(np.arange(values.shape[1]), np.arange(values.shape[1])))
        precision = np.linalg.inv(ROWS[name].noise ** 2 * ROWS[name].memory ** lags.astype(np.float64))
        filters = templates @ precision
        return np.asarray(values @ filters.T - np.einsum("ps,ps->p", filters, templates) / 2)


def _templates(name: str, shape: Floats, lookback: int) -> Iterator[Floats]:
    """Yield how a pattern is drawn, by the place at which it begins."""
    for start in range(STARTS):
        planted = np.zeros(lookback)
        planted[lookback - SLOT + start : lookback - SLOT + start + LENGTH] = shape
        if name == "volume":
            total = wander(planted) - np.concatenate([np.zeros(VOLUME_MEAN), wander(planted)[:-VOLUME_MEAN]])
            planted = planted - total / VOLUME_MEAN
        yield planted
