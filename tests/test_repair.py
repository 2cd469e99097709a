"""Damaged metadata of a company is found and written again from its copies by the next writer."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from stores import publish
from test_store_upgrade import DAYS, TEMPLATE, image_of

from finnex.data.calendar import session_calendar
from finnex.store import ImageStore, Receipt, StoreWriter, writing

FILES = ("zarr.json", *(f"{name}/zarr.json" for name in ("image", "status", "image_crc", "coverage", "date", "region",
         "feature_original", "prediction", "label_price_movement")))  # fmt: skip
LONGER = session_calendar("XNYS", date(2015, 12, 1), date(2016, 12, 30)).days


def other_shape(data: bytes) -> bytes:
    document = json.loads(data)
    if "shape" in document:
        document["shape"][0] += 7
    else:
        document["consolidated_metadata"]["metadata"]["status"]["shape"][0] += 7
    return json.dumps(document).encode()


DAMAGES = {
    "gone": lambda data: None,
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "random": lambda data: bytes(range(128, 256)),
    "other JSON": lambda data: b"[1]",
    "other shape": other_shape,
}


def make(path: Path) -> None:
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        store.ensure_symbol("A", DAYS, TEMPLATE)
        draft, crc = store.target("A", "run").write(4, image_of(4))
        assert publish(store, "A", [Receipt(4, 5, draft, crc, (1.0, 0.5), (1.0, 1.0), 0.1)]) == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_damaged_metadata_is_written_again_from_its_copies(tmp_path: Path, file: str, damage: str) -> None:
    path = tmp_path / "images.zarr"
    make(path)
    before = {one: json.loads(one.read_bytes()) for one in path.rglob("zarr.json")}
    changed = DAMAGES[damage]((path / "A" / file).read_bytes())
    if changed is None:
        (path / "A" / file).unlink()
    else:
        (path / "A" / file).write_bytes(changed)
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        assert {one: json.loads(one.read_bytes()) for one in path.rglob("zarr.json")} == before
        np.testing.assert_array_equal(store.image("A", DAYS[4]), image_of(4))
        store.ensure_symbol("A", LONGER, TEMPLATE)
    assert xr.open_zarr(str(path), group="A").sizes["date"] == len(LONGER)
    np.testing.assert_array_equal(ImageStore.open(path).image("A", DAYS[4]), image_of(4))


def test_a_company_that_the_roots_metadata_lacks_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    make(path)
    root = json.loads((path / "zarr.json").read_bytes())
    (path / "zarr.json").write_text(json.dumps({**root, "consolidated_metadata": None}))
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE)
    assert xr.open_zarr(str(path), group="A").sizes["date"] == len(DAYS)
