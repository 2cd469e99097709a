"""What a store was made with: JSON of the wrong shape is damage, and a repair takes no other run's settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finnex.errors import StoreCorrupt, StoreError, StoreMismatch
from finnex.layout import load_layout, stored_layout
from finnex.store import ImageStore, StoreTemplate, StoreWriter, restore, writing
from finnex.store.attributes import attributes_of
from finnex.store.sealed import unseal
from tests.helpers.damaged_stores import contents, damage, same
from tests.helpers.format_3 import TEMPLATE

COPY = ".finnex/attributes.json"
Change = Callable[[dict[str, Any]], object]
SHAPES: dict[str, tuple[str, Change]] = {
    "root without layout_hash": ("zarr.json", lambda root: root["attributes"].pop("layout_hash")),
    "root without its format": ("zarr.json", lambda root: root["attributes"].pop("finnex_format")),
    "root of a format that is a list": ("zarr.json", lambda root: root["attributes"].update(finnex_format=[4])),
    "root with a number as catalogue": ("zarr.json", lambda root: root["attributes"].update(catalogue_csv=1)),
    "root without attributes": ("zarr.json", lambda root: root.update(attributes=None)),
    "root that holds a list": ("zarr.json", lambda root: root.update(consolidated_metadata=[1])),
    "root that holds null": ("zarr.json", lambda root: root["consolidated_metadata"].update(metadata=None)),
    "root that is an array": ("zarr.json", lambda root: root.update(node_type="array")),
    "company that holds a list": ("A/zarr.json", lambda group: group.update(consolidated_metadata=[1])),
    "company without attributes": ("A/zarr.json", lambda group: group.update(attributes=None)),
    "company that is an array": ("A/zarr.json", lambda group: group.update(node_type="array")),
    "array without a shape": (
        "A/zarr.json", lambda group: group["consolidated_metadata"]["metadata"]["status"].update(shape=None),
    ),
    "array that is a group": ("A/status/zarr.json", lambda array: array.update(node_type="group")),
    "array without dimensions": ("A/status/zarr.json", lambda array: array.update(dimension_names=None)),
}  # fmt: skip


def change(path: Path, file: str, by: Change) -> None:
    document = json.loads((path / file).read_bytes())
    by(document)
    (path / file).write_text(json.dumps(document))


def files(path: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "images.zarr"))


@pytest.mark.parametrize("shape", SHAPES)
def test_metadata_of_the_wrong_shape_is_refused_in_words_and_a_repair_mends_it(
    whole: Path, path: Path, shape: str
) -> None:  # fmt: skip
    file, by = SHAPES[shape]
    before = json.loads((path / file).read_bytes())
    change(path, file, by)
    try:
        assert same(contents(path), contents(whole))  # an array's own metadata is no reader's
    except StoreError as error:
        assert "finnex repair" in str(error)  # noqa: PT017
    else:
        assert file.startswith("A/status")
    with writing(path):
        assert [one.where for one in restore(path, TEMPLATE) if not one.lost] == [file]
        assert restore(path, TEMPLATE) == []
        StoreWriter.prepare(path, TEMPLATE)
    assert json.loads((path / file).read_bytes()) == before


# ---- the copy of the attributes -------------------------------------------------------------------------------------


def other_labels() -> StoreTemplate:
    return replace(TEMPLATE, label_settings={"threshold": 1.5})


def test_a_store_keeps_a_checksummed_copy_and_its_first_writer_adds_it_where_an_earlier_version_wrote_none(
    path: Path,
) -> None:
    assert unseal((path / COPY).read_bytes()) == attributes_of(TEMPLATE)
    (path / COPY).unlink()
    assert ImageStore.open(path).symbols == ["A", "B"]
    with writing(path):
        with pytest.raises(StoreMismatch):
            StoreWriter.prepare(path, other_labels())
        assert not (path / COPY).exists()
        StoreWriter.prepare(path, TEMPLATE)
    assert unseal((path / COPY).read_bytes()) == attributes_of(TEMPLATE)


def test_a_damaged_copy_is_written_again(path: Path) -> None:
    before = (path / COPY).read_bytes()
    damage(path, COPY, "truncated")
    with writing(path):
        assert [one.where for one in restore(path, TEMPLATE)] == [COPY]
    assert (path / COPY).read_bytes() == before


@pytest.mark.parametrize(
    "other",
    [other_labels(), replace(TEMPLATE, layout_hash="def", regions=("a", "b", "c")), replace(TEMPLATE, exchange="XLON")],
)
@pytest.mark.parametrize("kind", ["gone", "random"])
def test_a_run_with_other_settings_repairs_nothing(path: Path, other: StoreTemplate, kind: str) -> None:
    damage(path, "zarr.json", kind)
    before = files(path)
    with writing(path):
        for consent in (False, True):
            with pytest.raises(StoreMismatch):
                restore(path, other, lambda _, consent=consent: consent)  # type: ignore[misc]
        assert files(path) == before
        [finding] = restore(path, TEMPLATE)
    assert (finding.where, finding.lost) == ("zarr.json", "")


@pytest.mark.parametrize(
    "other",
    [
        replace(TEMPLATE, regions=("a", "c")), replace(TEMPLATE, features=("x", "z")),
        replace(TEMPLATE, horizons=(1, 10)), replace(TEMPLATE, shape=(16, 32, 3)),
        replace(TEMPLATE, synthetic_tables=()), replace(TEMPLATE, label_kinds=("triple_barrier",)),
        replace(TEMPLATE, exchange="XTKS"),
    ],
    ids=["regions", "features", "horizons", "shape", "synthetic tables", "kinds of labels", "exchange"],
)  # fmt: skip
def test_without_a_copy_a_run_that_differs_from_the_companies_is_refused(path: Path, other: StoreTemplate) -> None:
    (path / COPY).unlink()
    (path / "zarr.json").unlink()
    before = files(path)
    with writing(path), pytest.raises(StoreMismatch, match="Nothing was written"):
        restore(path, other, lambda _: True)
    assert files(path) == before


def test_without_a_copy_settings_that_no_company_shows_need_consent(path: Path) -> None:
    wanted = contents(path)
    (path / COPY).unlink()
    (path / "zarr.json").unlink()
    before = files(path)
    with writing(path):
        [finding] = restore(path, TEMPLATE)
        assert "layout_hash and label_settings" in finding.lost
        assert files(path) == before
        assert restore(path, TEMPLATE, lambda _: True) == [finding]
        assert restore(path, TEMPLATE) == []
    assert same(contents(path), wanted)


def test_without_a_copy_the_attributes_that_are_left_count(path: Path) -> None:
    (path / COPY).unlink()
    change(path, "zarr.json", lambda root: root["attributes"].pop("layout_hash"))
    with writing(path):
        with pytest.raises(StoreMismatch, match="label_settings"):
            restore(path, other_labels(), lambda _: True)
        with pytest.raises(StoreMismatch, match="catalogue_csv"):
            restore(path, replace(TEMPLATE, catalogue_csv="other"), lambda _: True)
        [finding] = restore(path, TEMPLATE)
        assert finding.lost == ""
        assert restore(path, TEMPLATE) == []


def test_a_zarr_group_of_another_program_is_not_repaired(tmp_path: Path) -> None:
    text = '{"attributes":{"mine":1},"zarr_format":3,"node_type":"group"}'
    for content in (text, "no JSON"):
        (tmp_path / "zarr.json").write_text(content)
        with writing(tmp_path), pytest.raises(StoreError):
            restore(tmp_path, TEMPLATE, lambda _: True)
        assert (tmp_path / "zarr.json").read_text() == content


# ---- the texts of layout and catalogue ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layout_toml", "catalogue_csv", "lookback_sessions", "blending", "label_settings"])
@pytest.mark.parametrize("copied", [True, False])
def test_an_altered_attribute_is_refused_and_written_again(path: Path, name: str, copied: bool) -> None:
    before = json.loads((path / "zarr.json").read_bytes())
    altered = {"layout_toml": "[canvaz]", "catalogue_csv": "mame", "lookback_sessions": 55, "blending": True,
               "label_settings": {"threshold": 0.6}}  # fmt: skip
    if not copied:
        (path / COPY).unlink()
    change(path, "zarr.json", lambda root: root["attributes"].update({name: altered[name]}))
    with writing(path):
        if copied:
            with pytest.raises(StoreCorrupt, match=rf"{name} is not what was written.*finnex repair"):
                ImageStore.open(path)
        if not copied and name == "label_settings":  # nothing else in the store says what it was
            with pytest.raises(StoreMismatch):
                restore(path, TEMPLATE)
            return
        with pytest.raises(StoreCorrupt, match=f"{name}.*finnex repair"):
            StoreWriter.prepare(path, TEMPLATE)
        [finding] = restore(path, TEMPLATE)
        assert (finding.where, finding.lost) == ("zarr.json", "")
        StoreWriter.prepare(path, TEMPLATE)
    assert json.loads((path / "zarr.json").read_bytes()) == before


def test_a_layout_whose_hash_is_not_the_stores_is_not_read() -> None:
    layout = load_layout("chart")
    attributes = {
        "layout_toml": layout.text, "catalogue_csv": layout.catalogue.text, "lookback_sessions": layout.lookback,
        "blending": False, "layout_hash": layout.hash,
    }  # fmt: skip
    assert stored_layout(attributes) == layout
    other = layout.catalogue.text.replace("return_", "retusn_", 1)
    for name, value in (("catalogue_csv", other), ("lookback_sessions", layout.lookback - 1), ("blending", True)):
        with pytest.raises(StoreCorrupt, match="finnex repair"):
            stored_layout({**attributes, name: value})
