"""Small stores, ways to damage a file of one, and what is in one by value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from finnex.store import ImageStore, Receipt, StoreWriter, writing
from tests.helpers.format_3 import DAYS, TEMPLATE, image_of
from tests.helpers.stores import publish


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


def make_whole(path: Path) -> Path:
    """Make a store with two companies, features, labels, a prediction and a quarantined session."""
    with writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        for symbol in "AB":
            store.ensure_symbol(symbol, DAYS, TEMPLATE)
        fill(store)
        store.record_predictions("A", [1], np.array([[0.2, 0.3, 0.5]]), 1)
        store.quarantine("A", np.array([2]), "odd")
    return path


def fill(store: StoreWriter) -> None:
    """Do what a build does: features, labels, and the images that are due."""
    for symbol in "AB":
        store.write_rows(symbol, "feature_original", 0, np.arange(8.0).reshape(4, 2))
        store.write_rows(symbol, "label_price_movement", 0, np.ones((4, 2), dtype=np.int8))
        state = store.state(symbol)
        damaged = set(store.damaged(symbol, range(4)).tolist())
        receipts = []
        for index in range(4):
            if state.status[index] not in (1, 4) or state.input_hash[index] != index + 1 or index in damaged:
                draft, crc = store.target(symbol, "run").write(index, image_of(index))
                receipts.append(Receipt(index, index + 1, draft, crc, (1.0, 0.5), (1.0, 1.0), 0.1))
        if receipts:
            assert publish(store, symbol, receipts) == []


def contents(path: Path) -> dict[str, object]:
    """Return all arrays of a store by value, but for the times."""
    store = ImageStore.open(path)
    found: dict[str, object] = {}
    for symbol in store.symbols:
        for name in store.array_names(symbol):
            if name not in {"image", "image_tag", "rendered_at", "predicted_at"}:
                found[f"{symbol}/{name}"] = store.values(symbol, name).tolist()
        for index in np.flatnonzero(store.state(symbol).status == 1):
            found[f"{symbol} {index}"] = store.image(symbol, DAYS[index]).tobytes()
    return found


def same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # NaN equals itself here


OTHERS = {name: DAMAGES[name] for name in ("gone", "empty", "truncated", "random")}


def damage(path: Path, file: str, kind: str) -> None:
    (path / file).parent.mkdir(parents=True, exist_ok=True)
    before = (path / file).read_bytes() if (path / file).exists() else b'{"crc32":1,"content":{}}'
    changed = OTHERS[kind](before)
    if changed is None:
        (path / file).unlink(missing_ok=True)
    else:
        (path / file).write_bytes(changed)
