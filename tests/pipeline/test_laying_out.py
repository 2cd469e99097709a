"""Calendars are laid out ahead of the loop over companies: the root changes as often for eight companies as for two."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.panel import symbols_of, write_config, write_tables
from finnex.config import load_config
from finnex.pipeline import build, symbol_loop
from finnex.store import ImageStore
from finnex.store.folder import Folder
from finnex.store.record import RECORD
from finnex.store.zarr_metadata import FILE

SESSIONS = 300
YEAR_END, NEW_YEAR = pd.Timestamp("2023-12-29"), pd.Timestamp("2024-01-02")


def written_by(path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Build, and count the writes of every file."""
    written: Counter[str] = Counter()
    put = Folder.put

    def noting(place: Folder, key: str, data: bytes | memoryview) -> None:
        written[key] += 1
        put(place, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "put", noting)
        assert build(load_config(path)).failed == 0
    return written


def nights(folder: Path, companies: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return how often the two files of the root are written in a first build and in the first night of a year."""
    folder.mkdir()
    write_tables(folder, companies, SESSIONS)
    prices = pd.read_parquet(folder / "prices.parquet")
    path = write_config(folder, companies, YEAR_END.date())
    found = []
    for last in (YEAR_END, NEW_YEAR):
        prices[prices["date"] <= last].to_parquet(folder / "prices.parquet", index=False)
        written = written_by(path, monkeypatch)
        found.append((written[FILE], written[RECORD]))
    store = ImageStore.open(folder / "images.zarr")
    assert store.symbols == symbols_of(companies)
    assert {str(store.state(symbol).days[-1]) for symbol in store.symbols} == {"2025-12-31"}
    return found


def test_the_root_is_written_as_often_for_eight_companies_as_for_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = nights(tmp_path / "two", 2, monkeypatch)
    assert two == nights(tmp_path / "eight", 8, monkeypatch)
    assert two[1] == (1, 2)  # the calendars; the record also says where the inputs end


def test_more_companies_than_one_entry_takes_are_laid_out_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = nights(tmp_path / "at once", 4, monkeypatch)
    monkeypatch.setattr(symbol_loop, "LAID_OUT_TOGETHER", 2)
    found = nights(tmp_path / "by two", 4, monkeypatch)
    assert found == [(root + 1, record + 1) for root, record in at_once]
