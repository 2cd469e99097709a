"""Where the inputs begin and end: builds record it in the store, and reports read it there and no table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.config import Config, source_at
from finnex.data.tables import read_tables
from finnex.pipeline import build
from finnex.reporting.report import make_report
from finnex.store import ImageStore, StoreWriter, writing
from finnex.store.folder import Folder
from finnex.store.scrub import SCRUB
from finnex.store.sealed import seal, unseal
from finnex.store.verified import VERIFIED
from tests.helpers.stores import blank, make_config, make_store, paint, sessions, template

Maker = Callable[..., Config]
RECORD = ".finnex/root.json"
FIRST = {"prices": (date(2013, 1, 2), date(2015, 3, 6))}
LATER = {"prices": (date(2013, 1, 2), date(2015, 3, 9)), "macro": (date(2014, 1, 2), date(2015, 3, 6))}


def written(limits: dict[str, tuple[date, date]]) -> dict[str, tuple[str, str]]:
    return {name: (str(first), str(last)) for name, (first, last) in limits.items()}


def recorded(path: Path, symbol: str | None = None) -> dict[str, tuple[str, str]] | None:
    store = ImageStore.open(path)
    tables = store.record().limits().get(symbol or store.symbols[0])
    return None if tables is None else dict(tables)


def bytes_of(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def until_2015(config: Config, folder: Path) -> Config:
    """Return the same configuration over sentiment that ends with 2015, after every session that is drawn."""
    records = pd.read_csv(config.inputs.files_of("sentiment")[0], dtype=str)
    records[records["timestamp"] < "2016"].to_csv(folder / "sentiment.csv", index=False)
    inputs = config.inputs.model_copy(update={"sentiment": source_at(folder / "sentiment.csv")})
    return config.model_copy(update={"inputs": inputs})


def as_earlier_versions_wrote_it(path: Path) -> None:
    content = unseal((path / RECORD).read_bytes())
    del content["inputs"]
    (path / RECORD).write_bytes(seal(content))


def test_a_build_records_where_its_inputs_begin_and_end_and_later_ones_what_has_changed(
    sample_config: Maker, tmp_path: Path
) -> None:
    config = sample_config(end=date(2015, 3, 3))
    path, began = config.store.path, datetime.now(UTC).replace(microsecond=0)
    build(config)
    (inputs,) = ImageStore.open(path).record().inputs
    assert inputs.symbols == ("NVDA",)
    assert dict(inputs.tables) == written(read_tables(config).limits())
    assert began <= datetime.fromisoformat(inputs.recorded_at) <= datetime.now(UTC)

    before, shorter = bytes_of(path), until_2015(config, tmp_path)
    assert build(shorter).built == 0
    after = bytes_of(path)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {RECORD, SCRUB, VERIFIED}
    assert recorded(path) == written(read_tables(shorter).limits()) != inputs.tables

    as_earlier_versions_wrote_it(path)
    assert recorded(path) is None
    assert build(shorter).built == 0
    assert bytes_of(path).keys() == after.keys()
    assert recorded(path) == written(read_tables(shorter).limits())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of six sessions whose inputs no build has recorded."""

    def image(_: str, i: int) -> np.ndarray:
        drawn = blank()
        for channel in range(3):
            paint(drawn, "macro", channel, np.random.default_rng([i, channel]).uniform(0, 1, (10, 56)))
        return drawn

    made = tmp_path / "images.zarr"
    make_store(made, sessions(6), image, {"AAA": np.arange(6) % 3}, synthetic=("macro",))
    return made


def test_a_report_says_where_the_inputs_end_as_the_store_records_it_and_reads_no_table(path: Path) -> None:
    config = make_config(ImageStore.open(path), path.parent)
    assert not [one for name, _ in config.inputs.tables() for one in config.inputs.files_of(name) if one.exists()]

    def said() -> str:
        html = make_report(config, ImageStore.open(path), sample=2).html
        return " ".join(html.split("Where the inputs begin and end")[1].split("<h2>")[0].split())

    assert "Not recorded in this store. <code>finnex build</code> records it." in said()
    with writing(path):
        StoreWriter.prepare(path, template(("macro",))).record_inputs(["AAA"], LATER, "2")
    assert "<td>prices</td><td>2013-01-02</td><td>2015-03-09</td> <td></td>" in said()
    assert '<td>macro</td><td>2014-01-02</td><td>2015-03-06</td> <td><span class="bad">SYNTHETIC' in said()
    assert "Not recorded" not in said()


def test_each_company_has_the_limits_of_its_own_last_build_and_the_same_limits_are_one_entry(tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    make_store(path, sessions(6), lambda *_: blank(), {"AAA": np.arange(6) % 3, "BBB": np.arange(6) % 3})

    def entries() -> list[tuple[tuple[str, ...], dict[str, tuple[str, str]]]]:
        return [(one.symbols, dict(one.tables)) for one in ImageStore.open(path).record().inputs]

    with writing(path):
        store = StoreWriter.reopen(path)
        assert store.record_inputs(["AAA", "BBB"], FIRST, "2")
        assert entries() == [(("AAA", "BBB"), written(FIRST))]
        assert store.record_inputs(["BBB"], LATER, "2")
        assert entries() == [(("AAA",), written(FIRST)), (("BBB",), written(LATER))]
        html = make_report(make_config(ImageStore.open(path), tmp_path), ImageStore.open(path), sample=2).html
        assert "<p>AAA: as the build of" in html
        assert "<p>BBB: as the build of" in html
        assert store.record_inputs(["AAA"], LATER, "2")
        assert entries() == [(("AAA", "BBB"), written(LATER))]
        assert not store.record_inputs(["BBB"], LATER, "2")
        store.remove("AAA")
        assert entries() == [(("BBB",), written(LATER))]


class Killed(BaseException):
    """The process ends here."""


def test_a_kill_before_any_write_of_the_record_leaves_the_earlier_limits_or_the_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(dies_at: int) -> int:
        """Record the later limits; end before the write or removal of this number. Return how many there were."""
        count = 0

        def counted(real: Callable[..., None]) -> Callable[..., None]:
            def change(*arguments: object) -> None:
                nonlocal count
                count += 1
                if count == dies_at:
                    raise Killed
                real(*arguments)

            return change

        with monkeypatch.context() as patched:
            for name in ("put", "delete"):
                patched.setattr(Folder, name, counted(getattr(Folder, name)))
            store.record_inputs(["AAA"], LATER, "2")
        return count

    seen = []
    with writing(path):
        for dies_at in (1, 2, 3):  # the journal, the record, the journal's end
            store = StoreWriter.prepare(path, template(("macro",)))
            store.record_inputs(["AAA"], FIRST, "2")
            with pytest.raises(Killed):
                write(dies_at)
            seen.append(recorded(path))
            healed = StoreWriter.prepare(path, template(("macro",)))
            assert recorded(path) == written(FIRST if dies_at == 1 else LATER)
            assert healed.record_inputs(["AAA"], LATER, "2") == (dies_at == 1)
            before = bytes_of(path)
            assert not healed.record_inputs(["AAA"], LATER, "2")
            assert bytes_of(path) == before
        store.record_inputs(["AAA"], FIRST, "2")
        assert write(0) == 3
    assert seen == [written(FIRST), written(FIRST), written(LATER)]
    assert json.loads((path / RECORD).read_bytes())["content"]["inputs"][0]["tables"].keys() == LATER.keys()
