"""Small arrays are read and written without Zarr: the same values, and the same bytes in every chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from finnex.errors import StoreCorrupt
from finnex.store import ImageStore, StoreWriter, writing
from finnex.store.store_template import FEATURE_ROWS, WORDS
from tests.helpers.stores import sessions, template

ROWS = FEATURE_ROWS + 80


def _values(kind: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    found = np.random.default_rng(1).integers(0, 100, shape).astype(kind)
    if kind.kind == "f":
        found[::3] = np.nan
    return found


def test_every_array_of_numbers_has_the_values_and_the_bytes_that_zarr_gives_it(tmp_path: Path) -> None:
    paths = tmp_path / "zarr.zarr", tmp_path / "own.zarr"
    for path in paths:
        with writing(path):
            StoreWriter.prepare(path, template()).ensure_symbol("A", sessions(ROWS), template())
    plain = zarr.open_group(str(paths[0]), path="A", mode="r+", use_consolidated=False)
    names = sorted(set(plain.array_keys()) - {"image", "date", *WORDS})
    with writing(paths[1]):
        store = StoreWriter.reopen(paths[1])
        for name in names:
            array = plain[name]
            assert isinstance(array, zarr.Array)
            values = _values(array.dtype, array.shape)
            array.with_config({"write_empty_chunks": True})[...] = values
            store.write_rows("A", name, 0, values)
            assert store.values("A", name).tobytes() == values.tobytes() == np.asarray(array[...]).tobytes(), name
    assert {name for name in names if name.startswith("feature_")}
    for file in paths[0].glob("A/*/c.*"):
        assert (paths[1] / file.relative_to(paths[0])).read_bytes() == file.read_bytes(), file


@pytest.mark.parametrize("change", ["gone", "other bytes", "cut short"])
def test_a_chunk_that_is_not_what_was_written_is_damage(tmp_path: Path, change: str) -> None:
    path = tmp_path / "s.zarr"
    with writing(path):
        StoreWriter.prepare(path, template()).ensure_symbol("A", sessions(ROWS), template())
    chunk = path / "A" / "image_crc" / "c.0"
    data = chunk.read_bytes()
    if change == "gone":
        chunk.unlink()
    else:
        chunk.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if change == "other bytes" else data[:-9])
    with pytest.raises(StoreCorrupt, match="A/image_crc"):
        ImageStore.open(path).values("A", "image_crc")


def test_metadata_of_another_type_is_damage_and_no_other_values(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    with writing(path):
        StoreWriter.prepare(path, template()).ensure_symbol("A", sessions(ROWS), template())
    file = path / "A" / "zarr.json"
    file.write_text(file.read_text().replace('"data_type":"uint32"', '"data_type":"int64"'))
    with pytest.raises(StoreCorrupt, match="A/image_crc"):
        ImageStore.open(path).values("A", "image_crc")
