"""A table that is read typed is, to the last bit and type, the table that is read as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnex.data import table_reader
from finnex.data.columns import NeedsText, Strict
from finnex.data.readers import READERS
from finnex.errors import Problem

CELLS = st.one_of(
    st.floats(-1e20, 1e20).map(repr),
    st.integers(-(2**60), 2**60).map(str),
    st.sampled_from(["", "nan", "inf", "-0.0", "1e400", "+1.5", ".5", "5.", "1_000", " 2 ", "0x10", "1e5", "x", "007"]),
)
DATES = st.sampled_from(
    ["2024-03-04", "20240305", "2024/03/06", "2024-03-07T00:00:00Z", "2024-03-08 00:00:00-05:00", "1709856000", "2024",
     "1709942400000", "1709856000.0", "2024-03-04 10:00", "", "x"]
)  # fmt: skip


def both(table: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    """Return what reading a file typed first gives, and as text alone: the frame, or the problems."""
    found = []
    for typed in (True, False):
        with monkeypatch.context() as patch:
            if not typed:
                patch.setattr(Strict, "__init__", refuse)
            problems: list[Problem] = []
            frame = READERS[table](path, problems)
            found.append([str(problem) for problem in problems] if problems else frame)
    return found[0], found[1]


def refuse(self: object) -> None:
    raise NeedsText


def assert_same(found: tuple[object, object]) -> None:
    first, second = found
    if isinstance(first, pd.DataFrame) and isinstance(second, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
        assert first.dtypes.tolist() == second.dtypes.tolist()
    else:
        assert first == second


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_samples_tables_are_the_same_typed_and_as_text(
    kind: str, sample_inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table, path in sample_inputs.items():
        given_path = path
        if kind == "parquet":
            given_path = tmp_path / f"{table}.parquet"
            pd.read_csv(path).head(20_000).to_parquet(given_path)
        found = both(table, given_path, monkeypatch)
        assert isinstance(found[0], pd.DataFrame)
        assert_same(found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(DATES, CELLS, CELLS), min_size=1, max_size=6))
def test_random_cells_are_the_same_typed_and_as_text(
    rows: list[tuple[str, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "enhanced.csv"
    path.write_text("symbol,date,a,b\n" + "".join(f"00{n},{day},{a},{b}\n" for n, (day, a, b) in enumerate(rows)))
    assert_same(both("enhanced", path, monkeypatch))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_random_parquet_is_the_same_typed_and_as_text(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    rows = 5
    days = pd.date_range("2024-03-04", periods=rows)
    kinds: list[Any] = [
        days, days.tz_localize("America/New_York"), days.strftime("%Y%m%d"), days.strftime("%Y%m%d").astype(int),
        pd.Series(days.date), days.as_unit("ms"), days.astype("int64") // 10**6 // (10**3 if days.unit == "us" else 1),
    ]  # fmt: skip
    numbers: list[Any] = [
        rng.normal(0, 10.0 ** rng.integers(-9, 9), rows), rng.normal(0, 1, rows).astype("float32"),
        rng.integers(0, 2**62, rows), pd.array([1, None, 3, 4, 5], dtype="Int64"), np.array(["1.5", "", "2", "3", "4"]),
        np.array([1.0, np.nan, np.inf, 2.0, 3.0]),
    ]  # fmt: skip
    frame = pd.DataFrame({"symbol": ["A"] * rows, "date": kinds[rng.integers(len(kinds))]})
    frame["a"], frame["b"] = (numbers[rng.integers(len(numbers))] for _ in range(2))
    frame.to_parquet(tmp_path / "enhanced.parquet")
    assert_same(both("enhanced", tmp_path / "enhanced.parquet", monkeypatch))


def test_a_sound_table_is_not_read_as_text(sample_inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise about speed: only a file with a fault is read a second time."""
    modes: list[bool] = []
    whole = table_reader.TableReader._attempt

    def attempt(*args: object, typed: bool, **rest: object) -> object:
        modes.append(typed)
        return whole(*args, typed=typed, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(table_reader.TableReader, "_attempt", attempt)
    for table, path in sample_inputs.items():
        READERS[table](path, [])
    assert modes == [True] * len(sample_inputs)
    assert re.search("prices", " ".join(sample_inputs))
