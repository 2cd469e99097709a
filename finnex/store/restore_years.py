"""How the metadata and the dates of compacted years are made again; damaged images are a matter of QA and build."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from finnex.store.place import place_of
from finnex.store.record import Year
from finnex.store.repair_findings import Finding, Step
from finnex.store.upgrade import UNREADABLE, company_values
from finnex.store.writer import StoreWriter
from finnex.store.year_shard import folder_of


def year_steps(store: StoreWriter, symbol: str) -> Iterator[Step]:
    """Yield how the files of each compacted year, but for its shard, are made again. FinNeX reads none of them.

    Parameters
    ----------
    store
        Store that is mended; the metadata of the company and its axis are whole.
    symbol
        Symbol of the company.

    Yields
    ------
    Step
        What is damaged, and the function that mends it.
    """
    for number, year in store.record().companies[symbol].years.items():
        if damaged := _damaged(store, symbol, number, year):
            finding = Finding(", ".join(damaged), "made again from what the company has", symbol=symbol)
            yield finding, partial(store.write_year, symbol, number, year)


def _damaged(store: StoreWriter, symbol: str, number: str, year: Year) -> list[str]:
    place = place_of(str(store.path))
    found = [key for key, data in store.wanted_of_year(symbol, number, year).items() if place.get(key) != data]
    folder = folder_of(symbol, number)
    try:
        stored = company_values(place, folder, "date")
    except UNREADABLE:
        return [*found, f"{folder}/date"]
    wanted = store.values(symbol, "date")[year.first : year.first + year.sessions]
    return found if np.array_equal(stored, wanted) else [*found, f"{folder}/date"]
