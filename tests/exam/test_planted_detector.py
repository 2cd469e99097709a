from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from finnex.data.normalize import NEUTRAL
from finnex.data.panel import make_panel
from finnex.exam.planted_detector import ROWS, Windows, accuracy, detect, windows
from finnex.exam.planted_market import PlantedMarket, planted_market
from finnex.exam.planted_patterns import BOTH, latent_bounds
from finnex.images.decode import decode
from finnex.images.render import Renderer
from finnex.layout import load_layout

LAYOUT = load_layout("mega")
PRICE_ROWS, SENTIMENT_ROWS = ("return", "volume"), ("news", "social")


@lru_cache
def market(seed: int) -> PlantedMarket:
    return planted_market(seed, 8, 3_400)


@lru_cache
def seen(seed: int) -> Windows:
    return windows(market(seed), LAYOUT)


def error(count: int) -> float:
    """Four standard errors of a share at most."""
    return float(4 * np.sqrt(0.25 / count))


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_planted_can_be_read_from_the_pictures(seed: int) -> None:
    one = seen(seed)
    assert len(one.label) == len(market(seed).answers) > 600
    assert accuracy(one, LAYOUT) >= 0.90
    both = one.regime == BOTH
    said = detect(one.brightness, LAYOUT).argmax(axis=1)
    assert (said == one.answer)[both].mean() >= 0.95


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("rows", [PRICE_ROWS, SENTIMENT_ROWS])
def test_one_modality_alone_tells_what_bayes_says_it_can(seed: int, rows: tuple[str, ...]) -> None:
    bounds = latent_bounds()
    bound = bounds.price_only if rows == PRICE_ROWS else bounds.sentiment_only
    one = seen(seed)
    assert accuracy(one, LAYOUT, rows) <= bound + error(len(one.label))
    assert accuracy(one, LAYOUT, rows) < accuracy(one, LAYOUT) - 0.35


def test_shuffled_labels_are_answered_by_chance() -> None:
    one = seen(0)
    dealt = np.random.default_rng(0).permutation(one.label)
    assert accuracy(replace(one, label=dealt), LAYOUT) == pytest.approx(1 / 3, abs=error(len(dealt)))


def test_probabilities_are_calibrated_to_the_rule() -> None:
    one = seen(1)
    chance = detect(one.brightness, LAYOUT)
    assert chance.sum(axis=1) == pytest.approx(1)
    right = (chance.argmax(axis=1) == one.answer).mean()
    assert chance.max(axis=1).mean() == pytest.approx(right, abs=0.03)


def test_what_is_not_known_counts_as_a_value_like_any_other() -> None:
    shown = seen(0).brightness[:50].copy()
    middle = np.float32(NEUTRAL)
    hidden, neutral = shown.copy(), shown.copy()
    hidden[:, :10], neutral[:, :10] = np.nan, middle
    assert detect(hidden, LAYOUT) == pytest.approx(detect(neutral, LAYOUT), abs=1e-6)


def test_the_detector_sees_what_is_drawn() -> None:
    one = planted_market(0, 1, 420)
    panel = make_panel(one.tables, one.config, one.symbols[0], LAYOUT.catalogue.entries)
    found = windows(one, LAYOUT)
    names = [row.feature for row in ROWS.values()]
    for at, session in enumerate(one.decisions[one.symbols[0]].session.tolist()):
        shown = slice(session + 1 - LAYOUT.lookback, session + 1)
        image, _ = Renderer(LAYOUT).draw(panel.normalized[shown], panel.bars[shown])
        assert decode(image, LAYOUT)[names].to_numpy() == pytest.approx(found.brightness[at], abs=1e-6)
