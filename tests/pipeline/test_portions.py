"""What is drawn together: small companies share a unit, large ones are cut, and waiting keeps what images show."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import date
from typing import cast

import numpy as np
import pytest

from finnex.config import Config
from finnex.errors import ServiceError, StoreCorrupt
from finnex.pipeline import (
    UNIT_IMAGES,
    Block,
    Drawn,
    Portion,
    Run,
    SymbolBuild,
    draw_here,
    draw_units,
    open_for_writing,
    portions,
    prepare_symbol,
    read_run,
    units,
)
from finnex.store import ImageStore, Publication, Receipt, StoreWriter, writing


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


class Notes:
    """A `Draw` that notes when a unit is begun, drawn and closed; the beginning of one of them can fail."""

    def __init__(self, failing: int | None = None) -> None:
        self.notes: list[str] = []
        self.failing = failing
        self.count = 0

    def __call__(self, blocks: Sequence[Block]) -> Generator[Drawn, None, None]:
        number, self.count = self.count, self.count + 1
        if number == self.failing:
            raise ServiceError("no worker is left. Start some.")
        self.notes.append(f"begun {number}")
        running = self._drawing(number, blocks)
        next(running)
        return cast("Generator[Drawn, None, None]", running)

    def _drawing(self, number: int, blocks: Sequence[Block]) -> Generator[Drawn | None, None, None]:
        try:
            yield None
            yield from draw_here(blocks)
            self.notes.append(f"drawn {number}")
        finally:
            self.notes.append(f"closed {number}")


@pytest.fixture
def in_units_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "units", lambda all_of_them: units(all_of_them, 2))
    monkeypatch.setattr(portions, "LAST_IMAGES", 1)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Notes:
    draw, finish = Notes(), Publication.finish

    def published(publication: Publication) -> list[Receipt]:
        draw.notes.append("published")
        return finish(publication)

    monkeypatch.setattr(Publication, "finish", published)
    return draw


def first_sessions(run: Run, store: StoreWriter, images: int) -> Portion:
    whole = prepare_symbol(run, store, "NVDA").portion()
    return replace(whole, positions=whole.positions[:images])


def ready(run: Run) -> int:
    return ImageStore.open(run.config.store.path).open_images("NVDA").sizes["date"]


@pytest.fixture
def run(sample_config: Callable[..., Config]) -> Run:
    return read_run(sample_config(end=date(2015, 3, 13)))


@pytest.mark.usefixtures("in_units_of_two")
def test_the_next_unit_is_begun_when_few_images_are_left_and_before_they_are_published(run: Run, noted: Notes) -> None:
    with writing(run.config.store.path):
        store = open_for_writing(run).store
        outcomes = list(draw_units([first_sessions(run, store, 6)], noted))
        assert [outcome.built for _, outcome in outcomes] == [2, 2, 2]
        assert ready(run) == 6
    assert noted.notes == [
        "begun 0", "begun 1", "drawn 0", "closed 0", "published",
        "begun 2", "drawn 1", "closed 1", "published",
        "drawn 2", "closed 2", "published",
    ]  # fmt: skip


@pytest.mark.usefixtures("in_units_of_two")
def test_what_is_drawn_is_published_where_the_next_unit_cannot_begin(run: Run, noted: Notes) -> None:
    noted.failing = 1
    published = []
    with writing(run.config.store.path):
        store = open_for_writing(run).store
        with pytest.raises(ServiceError, match="no worker is left"):
            published.extend(draw_units([first_sessions(run, store, 6)], noted))
        assert ready(run) == 2
    assert [outcome.built for _, outcome in published] == [2]


@pytest.mark.usefixtures("in_units_of_two")
@pytest.mark.parametrize("where", ["by the caller", "while drawing"])
def test_a_stop_ends_all_that_runs(run: Run, noted: Notes, where: str) -> None:
    def stopped(_: str, __: int) -> None:
        if where == "while drawing" and "published" in noted.notes:
            raise KeyboardInterrupt

    with writing(run.config.store.path):
        store = open_for_writing(run).store
        drawing = draw_units([first_sessions(run, store, 6)], noted, stopped)
        assert next(drawing)[1].built == 2
        if where == "by the caller":
            cast("Generator[object, None, None]", drawing).close()
        else:
            with pytest.raises(KeyboardInterrupt):
                next(drawing)
        assert ready(run) == 2
    begun = [note.removeprefix("begun ") for note in noted.notes if note.startswith("begun")]
    assert begun == ["0", "1"]
    assert [note for note in noted.notes if note.startswith("closed")] == ["closed 0", "closed 1"]


@pytest.mark.usefixtures("in_units_of_two")
def test_nothing_more_is_drawn_of_a_company_that_is_damaged(
    run: Run, noted: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(publication: Publication) -> list[Receipt]:
        raise StoreCorrupt("NVDA/status is damaged")

    monkeypatch.setattr(Publication, "finish", damaged)
    with writing(run.config.store.path):
        outcomes = list(draw_units([first_sessions(run, open_for_writing(run).store, 6)], noted))
    assert [(outcome.built, outcome.corrupt is None) for _, outcome in outcomes] == [(0, False), (0, False)]
    assert "begun 2" not in noted.notes  # the second was begun before the first was published
