"""What is drawn together: small companies share a unit, large ones are cut, and waiting keeps what images show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from finnex.config import Config
from finnex.pipeline import UNIT_IMAGES, Portion, SymbolBuild, open_for_writing, prepare_symbol, read_run, units
from finnex.store import writing


@pytest.fixture
def work(sample_config: Callable[..., Config]) -> SymbolBuild:
    run = read_run(sample_config(end=date(2015, 3, 13)))
    with writing(run.config.store.path):
        return prepare_symbol(run, open_for_writing(run).store, "NVDA")


def of(work: SymbolBuild, symbol: str, images: int) -> Portion:
    return Portion(replace(work, stage_1=replace(work.stage_1, symbol=symbol)), tuple(range(images)))


def test_a_night_of_five_hundred_companies_is_two_units_and_a_long_company_is_cut(work: SymbolBuild) -> None:
    night = list(units([of(work, f"C{number}", 1) for number in range(500)]))
    assert [len(unit) for unit in night] == [UNIT_IMAGES, UNIT_IMAGES]
    mixed = [of(work, "A", 600), of(work, "B", 7), of(work, "C", 400)]
    found = [[(one.symbol, len(one.positions)) for one in unit] for unit in units(mixed)]
    assert found == [[("A", 250)], [("A", 250)], [("A", 100), ("B", 7), ("C", 143)], [("C", 250)], [("C", 7)]]
    for portion in mixed:
        drawn = [row for unit in units(mixed) for one in unit if one.symbol == portion.symbol for row in one.positions]
        assert tuple(drawn) == portion.positions


def test_what_waits_to_be_drawn_keeps_the_rows_that_its_images_show_and_draws_the_same(work: SymbolBuild) -> None:
    waiting = work.portion()
    assert waiting.positions == tuple(work.positions.tolist())
    lookback = work.run.layout.lookback
    assert len(waiting.work.stage_1.rows) == lookback + len(waiting.positions) - 1 < len(work.stage_1.rows)
    assert waiting.work.stage_1.panel is None
    assert not waiting.work.stage_1.features
    for grouped in (1, 4):
        pairs = zip(
            work.blocks(waiting.positions, grouped), waiting.work.blocks(waiting.positions, grouped), strict=True
        )
        for whole, lean in pairs:
            np.testing.assert_array_equal(whole.rows, lean.rows)
            np.testing.assert_array_equal(whole.weights, lean.weights)
            assert (whole.ends, whole.indexes, whole.hashes, whole.day) == (
                lean.ends, lean.indexes, lean.hashes, lean.day,
            )  # fmt: skip
