"""Damaged metadata of a company is found and written again from its copies by the next writer."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from finnex.data.calendar import session_calendar
from finnex.errors import StoreError
from finnex.store import ImageStore, Receipt, StoreWriter, restore, writing
from finnex.store.sealed import seal, unseal
from tests.helpers.damaged_stores import DAMAGES, OTHERS, contents, damage, fill, make, same
from tests.helpers.format_3 import DAYS, TEMPLATE, image_of
from tests.helpers.sampled_cases import sampled
from tests.helpers.stores import publish

FILES = ("zarr.json", *(f"{name}/zarr.json" for name in ("image", "status", "image_crc", "coverage", "date", "region",
         "feature_original", "prediction", "label_price_movement")))  # fmt: skip
OF_METADATA = sampled(itertools.product(FILES, DAMAGES))
LONGER = session_calendar("XNYS", date(2015, 12, 1), date(2016, 12, 30)).days


@pytest.mark.parametrize(("file", "damage"), OF_METADATA)
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


# ---- finnex repair: what a build cannot heal ----------------------------------------------------------------------


OF_STORE = ("zarr.json", ".finnex/root.json", ".finnex/journal.json")
CHUNKS = tuple(
    f"A/{name}/c.0" if one else f"A/{name}/c.0.0"
    for name, one in (("status", 1), ("input_hash", 1), ("image_crc", 1), ("image_tag", 1), ("rendered_at", 1),
                      ("coverage", 0), ("region_weight", 0), ("date", 1), ("feature_original", 0),
                      ("label_price_movement", 0), ("horizon", 1))
)  # fmt: skip
WORDS = ("A/region/c/0", "A/feature/c/0", "A/channel/c/0", "A/class/c/0")


CASES = sampled(itertools.product([*OF_STORE, *CHUNKS, *WORDS], OTHERS))
ONLY_WITH_CONSENT = ("prediction/c.0.0", "prediction_version/c.0", "predicted_at/c.0")


@pytest.mark.parametrize(("file", "kind"), CASES)
def test_after_a_repair_and_a_build_the_store_is_as_it_was(whole: Path, tmp_path: Path, file: str, kind: str) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    damage(path, file, kind)
    wanted = contents(whole)
    with contextlib.suppress(StoreError):  # a reader is refused in words, or reads right values
        for key, value in contents(path).items():
            assert kind == "gone" or same(value, wanted[key]), key
    with writing(path):
        found = restore(path, TEMPLATE)
        assert [finding.lost for finding in found if finding.lost] == []
        store = StoreWriter.prepare(path, TEMPLATE)
        fill(store)
        if store.state("A").status[2] == 1:  # what was withheld had to be drawn again: its reason went with its state
            store.quarantine("A", np.array([2]), "odd")
        assert restore(path, TEMPLATE) == []
    assert same(contents(path), wanted)


@pytest.mark.parametrize("kind", ["empty", "truncated", "random"])
@pytest.mark.parametrize("file", ONLY_WITH_CONSENT)
def test_what_cannot_be_made_again_is_given_up_only_with_consent(
    whole: Path, tmp_path: Path, file: str, kind: str
) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    damage(path, f"A/{file}", kind)
    before = (path / "A" / file).read_bytes()
    with writing(path):
        [finding] = restore(path, TEMPLATE)
        assert "predictions of A" in finding.lost
        assert (path / "A" / file).read_bytes() == before
        assert restore(path, TEMPLATE, lambda _: True) == [finding]
        assert restore(path, TEMPLATE) == []
    assert ImageStore.open(path).values("A", "prediction_version").max() == 0


def test_a_dry_run_lists_all_layers_and_changes_nothing_and_the_repair_mends_them(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    for file in ("zarr.json", ".finnex/root.json", "A/zarr.json", "A/status/c.0", "B/feature_original/c.0.0"):
        damage(path, file, "random")
    before = {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}
    with writing(path):
        found = restore(path, TEMPLATE, dry=True)
    wanted = ["zarr.json", ".finnex/root.json", "A/zarr.json", "A/status", "B/feature_original"]
    assert sorted({finding.where.split(",")[0] for finding in found}) == sorted(wanted)
    assert {one: one.read_bytes() for one in path.rglob("*") if one.is_file()} == before
    with writing(path):
        assert restore(path, TEMPLATE, lambda _: True) == found
        assert restore(path, TEMPLATE, dry=True) == []


def test_an_axis_that_the_calendar_does_not_prove_is_given_up_only_with_consent(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    record = path / ".finnex" / "root.json"
    found = unseal(record.read_bytes())
    found["companies"]["A"]["axis_crc"] += 1
    record.write_bytes(seal(found))
    with writing(path):
        [finding] = restore(path, TEMPLATE)
        assert finding.where == "A/date"
        assert ImageStore.open(path).symbols == ["A", "B"]
        restore(path, TEMPLATE, lambda _: True)
    assert ImageStore.open(path).symbols == ["B"]
    assert not (path / "A").exists()


CHANGES: dict[str, Callable[[StoreWriter], object]] = {
    "lay_out": lambda store: store.ensure_symbol("C", DAYS, TEMPLATE),
    "extend": lambda store: store.ensure_symbol("A", LONGER, TEMPLATE),
    "publish": lambda store: publish(
        store, "A", [Receipt(5, 6, *store.target("A", "run").write(5, image_of(5)), (1.0, 0.5), (1.0, 1.0), 0.1)]
    ),
    "set_status": lambda store: store.mark_no_bar("A", np.array([6])),
    "predict": lambda store: store.record_predictions("A", [3], np.array([[0.1, 0.1, 0.8]]), 2),
    "remove": lambda store: store.remove("A"),
}


class Killed(Exception):
    """The process ends with the entry in the journal, before the first step."""


def kill_at_the_steps(path: Path, action: str) -> None:
    def die(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, writing(path):
        store = StoreWriter.prepare(path, TEMPLATE)
        patch.setattr(StoreWriter, "_take_steps", die)
        patch.setattr(StoreWriter, "_lay_out_arrays", die)
        with pytest.raises(Killed):
            CHANGES[action](store)
    assert (path / ".finnex/journal.json").exists()


@pytest.mark.parametrize(
    ("action", "record", "of_company"),
    sampled(itertools.product(CHANGES, ("whole", "gone"), ("whole", "A/date/c.0", "A"))),
)
def test_no_entry_of_the_journal_keeps_a_repaired_store_from_being_built(
    whole: Path, tmp_path: Path, action: str, record: str, of_company: str
) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    kill_at_the_steps(path, action)
    if record == "gone":
        (path / ".finnex/root.json").unlink()
    if of_company == "A":
        shutil.rmtree(path / "A")
    elif of_company != "whole":
        damage(path, of_company, "random")
    with writing(path):
        restore(path, TEMPLATE, lambda _: True)
        store = StoreWriter.prepare(path, TEMPLATE)
        assert not (path / ".finnex/journal.json").exists()
        for symbol in "AB":
            days = LONGER if symbol in store.symbols and len(store.state(symbol).days) > len(DAYS) else DAYS
            store.ensure_symbol(symbol, days, TEMPLATE)
        fill(store)
        assert restore(path, TEMPLATE) == []
    reader = ImageStore.open(path)
    assert reader.symbols == ["A", "B"]
    for symbol, index in [("A", 0), ("A", 1), ("A", 3), *(("B", index) for index in range(4))]:
        np.testing.assert_array_equal(reader.image(symbol, DAYS[index]), image_of(index))


def test_an_older_copy_of_a_company_that_is_put_back_is_extended_and_drawn(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE).ensure_symbol("A", LONGER, TEMPLATE)
    wanted = contents(path)
    shutil.rmtree(path / "A")
    shutil.copytree(whole / "A", path / "A")
    with writing(path):
        assert [finding.lost for finding in restore(path, TEMPLATE)] in ([""], ["", ""])
        assert restore(path, TEMPLATE) == []
        StoreWriter.prepare(path, TEMPLATE).ensure_symbol("A", LONGER, TEMPLATE)
    assert same(contents(path), wanted)


def test_what_is_damaged_after_its_repair_is_not_called_mended(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    damage(path, "A/feature_original/c.0.0", "random")
    monkeypatch.setattr("finnex.store.restore_company.fill", lambda *_: None)
    with writing(path):
        [finding] = restore(path, TEMPLATE)
        assert (finding.symbol, finding.where) == ("A", "A/feature_original")
        assert "removed" in finding.what
        assert "predictions of A" in finding.lost
        assert ImageStore.open(path).symbols == ["A", "B"]
        restore(path, TEMPLATE, lambda _: True)
    assert ImageStore.open(path).symbols == ["B"]


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("metadata", ["whole", "damaged"])
def test_what_another_program_keeps_in_the_store_is_left_alone(whole: Path, tmp_path: Path, metadata: str) -> None:
    path = tmp_path / "images.zarr"
    shutil.copytree(whole, path)
    xr.Dataset({"status": ("date", np.arange(5.0)), "date": ("date", np.arange(5))}).to_zarr(path / "analysis")
    (path / "analysis" / "notes.txt").write_text("mine")
    if metadata == "damaged":
        damage(path, "analysis/zarr.json", "random")
    before = {file: file.read_bytes() for file in (path / "analysis").rglob("*") if file.is_file()}
    (path / ".finnex/root.json").unlink()
    with writing(path):
        found = restore(path, TEMPLATE, lambda _: True)
        assert found[0].where == ".finnex/root.json"
        assert "analysis" not in "".join(str(finding) for finding in found)
        StoreWriter.prepare(path, TEMPLATE)
        assert restore(path, TEMPLATE) == []
    assert ImageStore.open(path).symbols == ["A", "B"]
    assert {file: file.read_bytes() for file in (path / "analysis").rglob("*") if file.is_file()} == before


def test_what_is_no_store_is_not_repaired(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="holds no image store"):
        restore(tmp_path, TEMPLATE)
    assert (tmp_path / "letter.txt").read_text() == "dear"
