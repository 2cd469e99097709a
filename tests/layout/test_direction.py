"""A feature's direction is a column of the catalogue; it draws nothing, and catalogues without it go on."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnex.config import Config, source_at
from finnex.data.enhanced_file import generated_entries
from finnex.errors import LayoutError, StoreCorrupt
from finnex.layout import drawn_text, load_catalogue, load_layout, parse_catalogue, parse_layout, stored_layout
from finnex.patches.patch_panel import PatchPanel
from finnex.patches.patch_signals import KINDS, directions, mask
from finnex.pipeline import build, read_run
from finnex.store import ImageStore, StoreWriter, restore, writing
from finnex.store.attributes import attributes_of, write_copy
from finnex.store.place import place_of
from tests.helpers.format_3 import ARCHIVE, FINGERPRINT, TEMPLATE

Maker = Callable[..., Config]
BUNDLED = load_catalogue()
MEGA = load_layout("mega")
NOTES = {"scrub.json", "verified.json"}
"""What a build need not read again."""
OLDER = drawn_text(BUNDLED.text)
"""The bundled catalogue of the version before the column."""
OF_FEATURES = "92cdfef07a3bcba9a39ce3970ff565664fd13c706fa42a3fe9262ef51f60d2c6"
"""Of the lines `name direction` of the bundled features, sorted: another direction changes descriptions of patches, and
this line with it."""
DRAWN = "365eccc59c3247c823a6e0d2190d6150"
"""Hash of the layout `mega` in stores that were made before the column. A feature more changes it: those stores then
refuse the new catalogue."""


def with_column(text: str, words: dict[str, str], at: int) -> str:
    """Return a catalogue with the column `direction` at a place of its own; features that are not named have none."""
    rows = list(csv.reader(io.StringIO(text)))
    for number, row in enumerate(rows):
        row.insert(at, words.get(row[0], "none") if number else "direction")  # the name comes first
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def own(words: str = "") -> str:
    """Return the bundled catalogue with a feature of the user's; without the column where no direction is given."""
    header = (BUNDLED.text if words else OLDER).splitlines()[0].split(",")
    row = dict.fromkeys(header, "") | {
        "name": "my_score", "table": "enhanced", "unit": "points", "normalizer": "bounded", "low": "0", "high": "1",
        "max_age_sessions": "0", "orientation": "1", "region": "social", "source": "own", "meaning": "mine",
    }  # fmt: skip
    row |= {"direction": words} if words else {}
    return (BUNDLED.text if words else OLDER) + ",".join(row[name] for name in header) + "\n"


# ---- the column ---------------------------------------------------------------------------------------------


def test_the_bundled_features_have_the_directions_that_they_had_before_the_column() -> None:
    lines = "\n".join(sorted(f"{entry.name} {entry.direction}" for entry in BUNDLED.entries))
    assert Counter(entry.direction for entry in BUNDLED.entries) == {"bullish": 266, "none": 73, "stress": 36}
    assert sha256(lines.encode()).hexdigest() == OF_FEATURES


@pytest.mark.parametrize("word", ["", "Bullish", "bearish", "1"])
def test_a_row_without_a_valid_direction_is_refused_with_its_line_and_the_remedy(word: str) -> None:
    lines = BUNDLED.text.splitlines()
    assert ",1,bullish,fear_greed," in lines[2]
    lines[2] = lines[2].replace(",bullish,", f",{word},")
    with pytest.raises(LayoutError, match=rf"row 3: direction '{word}' is unknown\. Write bullish .*stress .*none"):
        parse_catalogue("\n".join(lines))


def test_the_column_decides_what_a_description_counts_and_which_way() -> None:
    values = np.linspace(0.02, 1, len(BUNDLED.names), dtype=np.float32)[None]
    panel = PatchPanel(np.array(["2015-01-02"], dtype="datetime64[D]"), values)
    found = {}
    for word in ("bullish", "stress", "none"):
        catalogue = parse_catalogue(with_column(OLDER, dict.fromkeys(BUNDLED.names, word), 3))
        layout = parse_layout(MEGA.text, catalogue)
        found[word] = directions(panel, layout)
        assert mask(layout, *KINDS).all() == (word != "none")
        assert mask(layout, *KINDS).any() == (word != "none")
    np.testing.assert_allclose(found["bullish"][0, [0, -1]], [-1, 1], atol=1e-6)
    np.testing.assert_array_equal(found["stress"], -found["bullish"])
    assert np.isnan(found["none"]).all()


# ---- catalogues without it ----------------------------------------------------------------------------------


def test_a_catalogue_without_the_column_has_the_bundled_directions_and_its_own_features_have_none() -> None:
    assert parse_catalogue(OLDER).entries == BUNDLED.entries
    assert parse_catalogue(OLDER).unstated == ()
    found = parse_catalogue(own())
    assert found.find("my_score").direction == "none"
    assert found.unstated == ("my_score",)
    stated = parse_catalogue(own("stress"))
    assert stated.find("my_score").direction == "stress"
    assert stated.unstated == ()


def test_a_run_warns_of_own_features_without_a_direction_and_of_no_others(sample_config: Maker, tmp_path: Path) -> None:
    (tmp_path / "enhanced.csv").write_text("symbol,date,my_score\nNVDA,2015-03-06,0.5\n")
    inputs = sample_config().inputs.model_copy(update={"enhanced": source_at(tmp_path / "enhanced.csv")})

    def said(text: str) -> list[str]:
        (tmp_path / "own.csv").write_text(text)
        config = sample_config(image={"catalogue": str(tmp_path / "own.csv")})
        run = read_run(config.model_copy(update={"inputs": inputs} if "my_score" in text else {}))
        return [warning for warning in run.warnings if "direction" in warning]

    [warning] = said(own())
    assert "no column direction: my_score, not among" in warning
    assert "Add the column" in warning
    assert said(own("bullish")) == said(OLDER) == said(BUNDLED.text) == []


def test_columns_that_no_catalogue_describes_have_no_direction() -> None:
    for text in (OLDER, BUNDLED.text):
        rows = generated_entries(["my_score"], {"volatility": 1}, text.splitlines()[0].split(","))
        assert parse_catalogue(text + rows).find("my_score").direction == "none"
        assert drawn_text(text + rows) == OLDER + generated_entries(
            ["my_score"], {"volatility": 1}, OLDER.splitlines()[0].split(",")
        )


# ---- what is drawn ------------------------------------------------------------------------------------------


def test_the_text_without_the_column_is_the_text_of_before_wherever_the_column_is() -> None:
    for at in range(len(OLDER.splitlines()[0].split(",")) + 1):
        assert drawn_text(with_column(OLDER, {}, at)) == OLDER
    assert drawn_text(OLDER) == OLDER


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('direction,a\r\nx,"1,2"\r\n\r\ny,3', 'a\r\n"1,2"\r\n\r\n3'),
        ('a,direction\n"say ""x"",\n or",x\nb,y\n', 'a\n"say ""x"",\n or"\nb\n'),
        ('a,"direction",b\n1,2,3\n1\n', "a,b\n1,3\n1\n"),
        ("a,b\n direction,direction\n", "a,b\n direction,direction\n"),
        ("", ""),
    ],
)
def test_quoted_cells_and_line_ends_stay_as_they_are_written(text: str, wanted: str) -> None:
    assert drawn_text(text) == wanted


def test_no_direction_changes_the_hash_of_a_layout_and_every_other_cell_does() -> None:
    assert MEGA.hash == DRAWN
    for text in (OLDER, with_column(OLDER, {}, 0), with_column(OLDER, dict.fromkeys(BUNDLED.names, "stress"), 12)):
        assert parse_layout(MEGA.text, parse_catalogue(text)).hash == DRAWN
    header, row = BUNDLED.text.splitlines()[:2]
    for column, name in enumerate(header.split(",")[:-1]):  # the last is quoted
        cells = row.split(",")
        cells[column] += "0"
        text = BUNDLED.text.replace(row, ",".join(cells))
        assert (drawn_text(text) == OLDER) == (name == "direction"), name


# ---- stores -------------------------------------------------------------------------------------------------


def files(path: Path) -> dict[str, tuple[bytes, int]]:
    return {str(one.relative_to(path)): (one.read_bytes(), one.stat().st_mtime_ns)
            for one in path.rglob("*") if one.is_file() and one.name not in NOTES}  # fmt: skip


def test_a_store_of_the_version_before_is_built_on_without_drawing_and_takes_the_directions_over(
    sample_config: Maker, tmp_path: Path
) -> None:
    (tmp_path / "older.csv").write_text(OLDER)
    days: dict[str, Any] = {"start": date(2015, 3, 2), "end": date(2015, 3, 4)}
    earlier = sample_config(**days, image={"catalogue": str(tmp_path / "older.csv")})
    assert build(earlier).built == 3
    path = Path(str(earlier.store.path))
    store, before = ImageStore.open(path), files(path)
    assert (store.attrs["catalogue_csv"], store.attrs["layout_hash"]) == (OLDER, DRAWN)
    assert stored_layout(store.attrs).catalogue.entries == BUNDLED.entries
    fingerprint = store.fingerprint()
    assert build(sample_config(**days)).built == 0
    after = files(path)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name][0] != after[name][0]} == {"zarr.json", ".finnex/attributes.json"}
    drawn = [name for name in before if "/image/c." in name]
    assert len(drawn) == 3
    assert [after[name] for name in drawn] == [before[name] for name in drawn]
    store = ImageStore.open(path)
    assert store.fingerprint() == fingerprint
    assert store.attrs["catalogue_csv"] == BUNDLED.text
    assert stored_layout(store.attrs) == MEGA


NEWER = replace(TEMPLATE, catalogue_csv="name,direction")
"""As `TEMPLATE` draws, with directions."""


def images(path: Path) -> dict[str, tuple[bytes, int]]:
    return {name: content for name, content in files(path).items() if "/image/c." in name}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of format 3: no copy of the attributes, no directions."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "images.zarr", filter="data")
    return tmp_path / "images.zarr"


def test_a_store_of_format_3_takes_the_directions_over_and_keeps_its_images(path: Path) -> None:
    before = images(path)
    assert len(before) == 8
    with writing(path):
        assert StoreWriter.prepare(path, NEWER).attrs["catalogue_csv"] == "name,direction"
    assert images(path) == before
    assert ImageStore.open(path).fingerprint() == FINGERPRINT
    assert ImageStore.open(path).attrs["catalogue_csv"] == "name,direction"
    with writing(path), pytest.raises(StoreCorrupt, match="catalogue_csv"):
        StoreWriter.prepare(path, replace(TEMPLATE, catalogue_csv="mame,direction"))


def test_a_crash_between_the_copy_and_the_root_is_no_damage(path: Path, tmp_path: Path) -> None:
    with writing(path):
        StoreWriter.prepare(path, TEMPLATE)
        write_copy(place_of(str(path)), attributes_of(NEWER))
    shutil.copytree(path, tmp_path / "second.zarr")
    assert json.loads((path / "zarr.json").read_bytes())["attributes"]["catalogue_csv"] == "name"
    assert ImageStore.open(path).attrs["catalogue_csv"] == "name,direction"
    with writing(path):
        StoreWriter.prepare(path, NEWER)
    with writing(tmp_path / "second.zarr"):
        assert restore(tmp_path / "second.zarr", TEMPLATE) == []
        StoreWriter.prepare(tmp_path / "second.zarr", NEWER)
    for one in (path, tmp_path / "second.zarr"):
        assert json.loads((one / "zarr.json").read_bytes())["attributes"]["catalogue_csv"] == "name,direction"
        assert ImageStore.open(one).fingerprint() == FINGERPRINT


def test_a_run_without_directions_takes_none_away(path: Path) -> None:
    for template in (NEWER, TEMPLATE):
        with writing(path):
            StoreWriter.prepare(path, template)
        assert ImageStore.open(path).attrs["catalogue_csv"] == "name,direction"


def test_a_column_whose_name_has_capitals_is_named_with_the_right_one() -> None:
    with pytest.raises(
        LayoutError, match=r"columns missing: \['direction'\], unknown or twice: \['Direction'\]. Use exactly direction"
    ):
        parse_catalogue(BUNDLED.text.replace("direction", "Direction", 1))
