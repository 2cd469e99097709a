"""Many companies are laid out and extended by one change: the root is written once, and a crash leaves two states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.calendar import session_calendar
from finnex.data.labels import KINDS
from finnex.errors import StoreCorrupt, StoreMismatch
from finnex.store import ImageStore, StoreWriter, journal, writing
from finnex.store.folder import Folder
from finnex.store.journal import Intent
from finnex.store.record import RECORD
from finnex.store.restore_company import removal
from finnex.store.zarr_metadata import FILE
from tests.helpers.stores import template

SHORT = session_calendar("XNYS", date(2015, 11, 2), date(2015, 12, 31)).days
LONG = session_calendar("XNYS", date(2015, 11, 2), date(2016, 12, 30)).days
PLAIN = template()
WIDER = replace(PLAIN, label_kinds=(*KINDS, *ACROSS_THE_SECTION))
OLD = ("A", "B")
MIXED = {"A": LONG, "B": SHORT, "C": LONG, "D": LONG}
"""A is extended and gets labels, B gets labels, C and D are new."""


class Killed(BaseException):
    """The process ends."""


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    found = tmp_path / "images.zarr"
    with writing(found):
        yield found


def laid_out(path: Path, symbols: tuple[str, ...] = OLD) -> StoreWriter:
    store = StoreWriter.prepare(path, PLAIN)
    store.ensure_symbols(dict.fromkeys(symbols, SHORT), PLAIN)
    return store


@contextmanager
def killed_at(number: int | None) -> Iterator[list[str]]:
    """Let the process end before its n-th write of a file; yields what was written."""
    written: list[str] = []
    put, put_all = Folder.put, Folder.put_all

    def noting(place: Folder, key: str, data: bytes | memoryview) -> None:
        if len(written) + 1 == number:
            raise Killed
        written.append(key)
        put(place, key, data)

    def one_by_one(place: Folder, items: list[tuple[str, bytes]]) -> None:
        for key, data in items:
            noting(place, key, data)

    Folder.put, Folder.put_all = noting, one_by_one  # type: ignore[method-assign, assignment]
    try:
        yield written
    finally:
        Folder.put, Folder.put_all = put, put_all  # type: ignore[method-assign]


def shown(path: Path) -> dict[str, tuple[int, bool]]:
    """Return by company the length of its axis and whether it has further labels, the same for every reader."""
    store, found = ImageStore.open(path), {}
    for symbol in store.symbols:
        with store.open_sessions(symbol) as data:
            sizes = {len(data[name]) for name in data.variables if "date" in data[name].dims}
        assert sizes == {len(store.state(symbol).days)}
        found[symbol] = sizes.pop(), any(name.endswith(ACROSS_THE_SECTION[0]) for name in store.array_names(symbol))
    return found


def plainly(path: Path, symbol: str) -> int:
    """Return the length that plain xarray sees by the root's metadata, where every array must have it."""
    with xr.open_zarr(str(path), group=symbol, chunks=None) as data:
        assert np.isfinite(data["date"].to_numpy().astype("int64")).all()
        return int(data.sizes["date"])


def files(path: Path) -> dict[str, bytes]:
    """Return what every file holds, but for the number of the change."""
    found = {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}
    record = ImageStore.open(path).record()
    found[RECORD] = repr({name: replace(one, generation=0) for name, one in sorted(record.companies.items())}).encode()
    return found


@pytest.mark.parametrize("companies", [2, 8])
def test_the_root_is_written_once_for_any_number_of_companies(path: Path, companies: int) -> None:
    symbols = tuple("ABCDEFGH"[:companies])
    store = StoreWriter.prepare(path, PLAIN)
    for days, made, expected in ((SHORT, PLAIN, 1), (LONG, PLAIN, 1), (LONG, WIDER, 0)):
        with killed_at(None) as written:
            store.ensure_symbols(dict.fromkeys(symbols, days), made)
        counts = Counter(written)
        assert (counts[FILE], counts[RECORD]) == (1, expected)
        assert all(counts[f"{symbol}/{FILE}"] for symbol in symbols)
    with killed_at(None) as written:
        store.ensure_symbols(dict.fromkeys(symbols, LONG), WIDER)
    assert written == []
    assert shown(path) == dict.fromkeys(symbols, (len(LONG), True))


def test_together_gives_the_bytes_of_one_after_the_other(tmp_path: Path) -> None:
    found = []
    for name in ("together", "alone"):
        path = tmp_path / name
        with writing(path):
            store = laid_out(path)
            if name == "together":
                store.ensure_symbols(MIXED, WIDER)
            else:
                for symbol, days in MIXED.items():
                    store.ensure_symbol(symbol, days, WIDER)
        found.append(files(path))
    assert found[0] == found[1]


def test_a_kill_before_any_write_leaves_each_company_in_one_of_two_states(tmp_path: Path) -> None:
    calm = tmp_path / "calm"
    with writing(calm):
        store = laid_out(calm)
        with killed_at(None) as written:
            store.ensure_symbols(MIXED, WIDER)
    before, after, wanted = dict.fromkeys(OLD, (len(SHORT), False)), shown(calm), files(calm)
    number_of_record = written.index(RECORD) + 1
    assert written[number_of_record] == FILE
    assert len(written) == number_of_record + 1
    spread = np.linspace(1, len(written), 9).astype(int).tolist()
    for number in sorted({*spread, number_of_record, number_of_record + 1}):
        path = tmp_path / str(number)
        with writing(path):
            store = laid_out(path)
            with killed_at(number), suppress(Killed):
                store.ensure_symbols(MIXED, WIDER)
            seen = shown(path)
            assert {symbol: size for symbol, (size, _) in seen.items()} == {
                symbol: size for symbol, (size, _) in (after if number > number_of_record else before).items()
            }
            assert [plainly(path, symbol) for symbol in OLD] == [len(SHORT)] * 2
            again = StoreWriter.prepare(path, WIDER)
            assert not (path / ".finnex/journal.json").exists()
            if number > 1:  # what was begun of companies that are there is finished, what is half laid out is gone
                assert {symbol: shown(path)[symbol] for symbol in OLD} == {symbol: after[symbol] for symbol in OLD}
            assert ("C" in again.symbols) == (path / "C").exists() == (number > number_of_record)
            again.ensure_symbols(MIXED, WIDER)
        assert files(path) == wanted, number


def test_a_company_that_cannot_be_extended_is_left_to_its_own_turn(path: Path) -> None:
    store = laid_out(path)
    earlier = session_calendar("XNYS", date(2014, 1, 2), date(2016, 12, 30)).days
    store.ensure_symbols({"A": earlier, "B": LONG, "C": LONG}, PLAIN)
    assert {symbol: size for symbol, (size, _) in shown(path).items()} == {
        "A": len(SHORT), "B": len(LONG), "C": len(LONG),
    }  # fmt: skip
    with pytest.raises(StoreMismatch, match="A begins at"):
        store.ensure_symbol("A", earlier, PLAIN)


@pytest.mark.parametrize("action", ["lay_out", "extend", "labels"])
def test_an_entry_of_an_earlier_version_is_finished_or_undone(path: Path, action: str) -> None:
    store = laid_out(path)
    details = {"extend": {"days": LONG.astype("int64").tolist(), "generation": store.record().generation + 1},
               "labels": {"kinds": list(ACROSS_THE_SECTION)}}  # fmt: skip
    if action == "lay_out":
        (path / "C").mkdir()
    journal.write_intent(store._place, Intent(action, "C" if action == "lay_out" else "A", details.get(action, {})))
    StoreWriter.reopen(path)
    assert not (path / "C").exists()
    assert shown(path) == {
        "A": (len(LONG) if action == "extend" else len(SHORT), action == "labels"),
        "B": (len(SHORT), False),
    }


def test_a_company_that_a_repair_removes_takes_no_other_out_of_the_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = laid_out(path)
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "_show_laid_out", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            store.ensure_symbols({"A": LONG, "B": LONG}, PLAIN)
    (path / "A" / FILE).unlink()
    removal(StoreWriter.unrecovered(path), "A", "A")[1]()
    assert shown(path) == {"B": (len(LONG), False)}


def test_a_store_whose_making_was_killed_before_any_write_is_made_by_the_next_writer(tmp_path: Path) -> None:
    with writing(tmp_path / "calm"), killed_at(None) as written:
        StoreWriter.prepare(tmp_path / "calm", PLAIN)
    assert written[-1] == FILE
    for number in range(1, len(written) + 1):
        path = tmp_path / str(number)
        with writing(path):
            with killed_at(number), pytest.raises(Killed):
                StoreWriter.prepare(path, PLAIN)
            laid_out(path)
        assert shown(path) == dict.fromkeys(OLD, (len(SHORT), False))
    (path / FILE).unlink()
    with writing(path), pytest.raises(StoreCorrupt, match="is gone"):  # it has companies
        StoreWriter.prepare(path, PLAIN)
