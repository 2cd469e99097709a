"""The export: the store's pixels under the specification's names, whole or not there at all."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import tomllib
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import matplotlib.image
import numpy as np
import pytest

from finnex.cnn_training import FinNeXCNNTrainer
from finnex.config import Config, LabelSettings, parse_config, source_at
from finnex.data.tables import read_tables
from finnex.datasets.array_file import ArrayFile
from finnex.datasets.patch_data import KEYS
from finnex.encoders import ENCODERS
from finnex.errors import ExportError, StoreCorrupt
from finnex.export import PARTS, Exported, export, needed_bytes, plan_export, selection
from finnex.layout import load_layout
from finnex.patches.describe import ENHANCED_FIELDS
from finnex.patches.grid import extract_patches, join_patches
from finnex.pipeline import build, read_run
from finnex.reporting.file_names import PART_NAMES, file_naming_convention
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import ImageStore, Receipt, StoreWriter
from tests.helpers.stores import publish

MEGA = load_layout("mega")
SYMBOL, LAST = "NVDA", date(2016, 1, 6)
LABELS = LabelSettings(horizon=1)
"""A short horizon, so that a month of sessions has a validation part after the purge."""


@pytest.fixture(scope="module")
def config(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Sixty sessions on both sides of a new year."""
    root = tmp_path_factory.mktemp("built")
    inputs = "\n".join(f'{name} = "{path}"' for name, path in sample_inputs.items())
    text = f"""
symbols = ["{SYMBOL}"]
start = 2015-12-02
end = 2016-02-29
[inputs]
{inputs}
synthetic = {list(SYNTHETIC_TABLES)}
[labels]
horizon = {LABELS.horizon}
[training]
embargo_sessions = 1
[store]
path = "images.zarr"
[dask]
workers = 0
"""
    (root / "finnex.toml").write_text(text)
    found = parse_config(tomllib.loads(text), root / "finnex.toml")
    build(found)
    return found


@pytest.fixture(scope="module")
def store(config: Config) -> ImageStore:
    return ImageStore.open(config.store.path)


@pytest.fixture(scope="module")
def written(config: Config, store: ImageStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """All parts of 24 sessions."""
    folder = tmp_path_factory.mktemp("exported") / "finnex_mega_images"
    yield export(config, store, SYMBOL, folder, end=LAST)
    shutil.rmtree(folder)  # half a gigabyte


@pytest.fixture(scope="module")
def tree(written: Exported) -> Path:
    return written.folder


def array(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def published(store: ImageStore) -> np.ndarray:
    return store.open_images(SYMBOL)["date"].to_numpy().astype("datetime64[D]")


def images_of(store: ImageStore, days: np.ndarray) -> Iterator[np.ndarray]:
    return (store.image(SYMBOL, day) for day in days)


def said(path: Path) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{path}: {word} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


# ---- what is in the files ------------------------------------------------------------------------------------


def test_every_part_is_there_and_its_size_is_told(written: Exported) -> None:
    assert [part.part for part in written.parts] == list(PART_NAMES) == list(PARTS)
    files = [path for path in written.folder.rglob("*") if path.is_file()]
    assert sum(part.files for part in written.parts) == len(files)
    assert written.bytes == sum(path.stat().st_size for path in files)
    assert not [path for path in files if path.name.startswith(".")]
    folders = {path.name for path in written.folder.iterdir() if path.is_dir()}
    assert folders == set(PART_NAMES) - {"trainer"}
    assert (written.sessions, written.first, written.last) == (24, "2015-12-02", "2016-01-06")


def test_the_room_that_is_asked_for_is_enough_and_not_much_more(
    written: Exported, config: Config, store: ImageStore, tmp_path: Path
) -> None:
    def needed(*parts: str) -> int:
        return needed_bytes(plan_export(config, store, SYMBOL, tmp_path / "new", parts=parts, end=LAST))

    for part in written.parts:
        assert part.bytes <= needed(part.part) <= 1.02 * part.bytes + 10_000_000, part.part
    assert written.bytes <= needed(*PART_NAMES) <= 1.05 * written.bytes


def test_every_array_opens_without_pickles_and_lies_beside_its_dates(tree: Path) -> None:
    found = sorted(tree.rglob("*.npy"))
    assert len(found) > 50
    for path in found:
        assert array(path).dtype.kind in "fiM"
        big = re.match(r"(mega_batch|patches|(?:train|val|test)_patches)_(\d.*)", path.name)
        if big:
            dates = path.with_name({"mega_batch": "mega_batch_dates", "patches": "patch_dates"}.get(
                big[1], big[1].replace("patches", "dates")) + f"_{big[2]}")  # fmt: skip
            assert len(array(dates)) == len(array(path))


def test_the_pixels_of_every_file_are_the_stores(tree: Path, store: ImageStore) -> None:
    days = published(store)[:24]
    year = days.astype("datetime64[Y]").astype(int) + 1970
    whole = array(tree / "mega_images_full.npy")
    assert whole.shape == (24, 512, 512, 3)
    batches = {name: array(tree / "batch_tensors" / f"mega_batch_{name}_375f.npy") for name in (
        "20151001_20151231", "20160101_20160331", "20150101_20151231", "20160101_20161231",
    )}  # fmt: skip
    patches = {
        number: array(tree / "patch_datasets" / f"patches_32x32_{number}_price_movement.npy") for number in (2015, 2016)
    }
    for position, (day, image) in enumerate(zip(days, images_of(store, days), strict=True)):
        own = int(np.flatnonzero(days[year == year[position]] == day)[0])
        names = ("20151001_20151231", "20150101_20151231") if year[position] == 2015 else (
            "20160101_20160331", "20160101_20161231",
        )  # fmt: skip
        np.testing.assert_array_equal(whole[position], image)
        for name in names:
            np.testing.assert_array_equal(batches[name][own], image)
        cut = patches[int(year[position])][own * 256 : own * 256 + 256]
        np.testing.assert_array_equal(join_patches(np.asarray(cut)), image)
        daily = tree / "mega_images_full" / f"mega_image_{str(day).replace('-', '')}_enhanced375f.npy"
        np.testing.assert_array_equal(array(daily), image)
    assert sum(map(len, batches.values())) == 48
    assert len(list((tree / "mega_images_full").glob("mega_image_2*.npy"))) == 24


def test_names_follow_the_convention_and_there_are_no_others(tree: Path) -> None:
    convention = {
        "": r"mega_images(_\w+)?\.(npy|json)",
        "mega_images_full": r"mega_image_\d{8}_enhanced375f\.npy|mega_image_(dates|labels)\.npy",
        "batch_tensors": r"mega_batch(_dates|_labels)?_\d{8}_\d{8}_375f\.npy",
        "patch_datasets": r"(patches|patch_(labels|dates|features_enhanced))_32x32_\d{4}_price_movement\.npy"
        r"|patch_metadata_\d{4}\.json",
        "cnn_ready": r"(train|val|test)_(patches|labels|dates)_32_causal_norm\.npy|split_metadata_\d{8}_\d{8}\.json",
        "visualizations": r"(mega_image_\d{8}_enhanced375f(_red|_green|_blue|_regions)?"
        r"|contact_sheet|layout|coverage)\.png",
        "metadata": r"(dataset_statistics|normalization_parameters|channel_encoding_spec)\.json"
        r"|quality_assurance_report\.html|normalization_(dates|location|scale)\.npy",
    }  # fmt: skip
    for path in (path for path in tree.rglob("*") if path.is_file()):
        top = path.relative_to(tree).parts[0] if path.parent != tree else ""
        assert re.fullmatch(convention[top], path.name), path


def test_the_specifications_own_examples_come_out_of_the_convention() -> None:
    day = np.datetime64("2024-08-01")
    assert (
        file_naming_convention("daily_images", date=day, session_id="enhanced270f")
        == "mega_image_20240801_enhanced270f"
    )
    assert file_naming_convention(
        "batch_tensors", what="mega_batch", start_date=date(2024, 1, 1), end_date=date(2024, 12, 31), features_count=270
    ) == "mega_batch_20240101_20241231_270f.npy"  # fmt: skip
    assert file_naming_convention(
        "patch_datasets", what="patches", patch_size=32, date_range=2024, label_type="price_movement"
    ) == "patches_32x32_2024_price_movement.npy"  # fmt: skip
    assert file_naming_convention(
        "cnn_splits", split_type="train", what="patches", patch_size=32, normalization_type="minmax_norm"
    ) == "train_patches_32_minmax_norm.npy"  # fmt: skip
    assert file_naming_convention("metadata", data_type="patch", date_range="2024") == "patch_metadata_2024.json"


def test_the_trainer_finds_in_the_folder_what_it_finds_in_the_store(tree: Path, config: Config) -> None:
    ours, theirs = FinNeXCNNTrainer(tree), FinNeXCNNTrainer(config.store.path, labels=LABELS)
    patches, labels, metadata = ours.create_patch_dataset()
    stored, stored_labels, stored_metadata = theirs.create_patch_dataset()
    assert len(patches) == 24 * 256
    np.testing.assert_array_equal(labels, stored_labels[: len(labels)])
    np.testing.assert_array_equal(patches[:3000:11], stored[:3000:11])
    for name in KEYS:
        np.testing.assert_array_equal(metadata.column(name), stored_metadata[: len(metadata)].column(name))
    assert array(tree / "mega_images_feature_dates.npy")[-1] == np.datetime64(LAST), "the future is no feature"


def test_what_is_said_of_the_patches_is_what_the_trainer_says(tree: Path, config: Config) -> None:
    trainer = FinNeXCNNTrainer(config.store.path, labels=LABELS)
    _, labels, metadata = trainer.create_patch_dataset()
    done = 0
    for year in ("2015", "2016"):
        file = said(tree / "patch_datasets" / f"patch_metadata_{year}.json")
        features = array(tree / "patch_datasets" / f"patch_features_enhanced_32x32_{year}_price_movement.npy")
        rows = slice(done, done + len(file["patches"]))
        part = metadata[rows]
        assert file["enhanced_features"] == list(ENHANCED_FIELDS)
        sections = np.array(file["patch_section_codes"])[features[:, 0].astype(int)]
        np.testing.assert_array_equal(sections, part.column("patch_section"))
        for column, name in enumerate(ENHANCED_FIELDS[1:], start=1):
            np.testing.assert_array_equal(features[:, column], part.column(name))
        told = {name: [record[name] for record in file["patches"]] for name in file["patches"][0]}
        assert told["date"] == [str(day) for day in part.column("date")]
        assert told["regime_context"] == part.column("regime_context").tolist()
        assert told["label"] == labels[rows].tolist()
        np.testing.assert_allclose(
            np.array(told["aggregated_sentiment"], dtype=float), part.column("aggregated_sentiment"), atol=1e-6
        )
        assert None in told["aggregated_sentiment"], "not known is null"
        assert told["patch_row"][:300] == [number % 256 // 16 for number in range(300)]
        done = rows.stop
    assert done == 24 * 256


def test_the_parts_are_the_trainers_cut_in_time_purged_and_of_known_labels(
    tree: Path, store: ImageStore, config: Config
) -> None:
    here = tree / "cnn_ready"
    about = said(here / "split_metadata_20151202_20160106.json")
    trainer = FinNeXCNNTrainer(tree)
    parts = trainer.create_train_val_test_split(
        *trainer.create_patch_dataset(), embargo_sessions=config.training.embargo_sessions
    )
    ends = dict(zip(trainer.images.days, cast(np.ndarray, trainer.images.label_end), strict=True))
    days = {}
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        patches, labels, dates = (
            array(here / f"{name}_{what}_32_causal_norm.npy") for what in ("patches", "labels", "dates")
        )
        np.testing.assert_array_equal(patches[::37], part.patches[::37])
        np.testing.assert_array_equal(labels, part.labels)
        assert set(np.unique(labels)) <= {0, 1, 2}
        days[name] = np.unique(dates)
        np.testing.assert_array_equal(np.repeat(days[name], 256), dates)
        assert about["parts"][name]["sessions"] == len(days[name])
        first = np.flatnonzero(dates == days[name][-1])[0]
        np.testing.assert_array_equal(
            patches[first : first + 256], extract_patches(store.image(SYMBOL, days[name][-1]))
        )
    sessions = published(store)
    for earlier, later in (("train", "val"), ("val", "test")):
        begins = int(np.flatnonzero(sessions == days[later][0])[0])
        assert max(ends[day] for day in days[earlier]) <= sessions[begins - config.training.embargo_sessions]
    assert about["purged_sessions"] == 24 - sum(map(len, days.values())) > 0


def test_sessions_whose_outcome_is_not_known_are_in_no_part(config: Config, store: ImageStore, tmp_path: Path) -> None:
    known = plan_export(config, store, SYMBOL, tmp_path / "new", parts=["metadata"]).images
    label = known.label.copy()
    label[-20:] = -1
    split = selection._split(config, replace(known, label=label))
    assert max(split.test) == len(known) - 21
    assert (label[np.concatenate(list(split.parts().values()))] >= 0).all()


# ---- what the numbers mean -----------------------------------------------------------------------------------


def test_the_statistics_are_those_of_the_known_pixels(tree: Path, store: ImageStore) -> None:
    found = said(tree / "metadata" / "dataset_statistics.json")
    whole = array(tree / "mega_images_full.npy")
    for number, name in enumerate(MEGA.channels):
        channel = np.asarray(whole[..., number], dtype=np.float64)
        value = channel[channel > 0]
        wanted = [value.min(), value.mean(), value.max(), value.std(), len(value) / channel.size]
        told = found["channels"][name]
        np.testing.assert_allclose(
            [told[key] for key in ("min", "mean", "max", "std", "share_known")], wanted, rtol=1e-9
        )
    labels = array(tree / "mega_images_labels.npy")
    counted = {word: int((labels == code).sum()) for word, code in (("sell", 0), ("hold", 1), ("buy", 2))}
    assert found["labels"]["counts"] == {"unknown": 0} | counted
    assert found["store_fingerprint"] == store.fingerprint()
    assert found["layout"]["hash"] == MEGA.hash == store.attrs["layout_hash"]
    assert sorted(found["synthetic_tables"]) == sorted(SYNTHETIC_TABLES)
    assert (found["sessions"], found["first_session"], found["last_session"]) == (24, "2015-12-02", "2016-01-06")


def test_the_encoding_file_says_what_the_layout_says(tree: Path) -> None:
    found = said(tree / "metadata" / "channel_encoding_spec.json")
    seen = []
    for number, channel in enumerate(MEGA.channels):
        assert found["channels"][channel]["index"] == number
        for name, told in found["channels"][channel]["regions"].items():
            region = MEGA.region(name)
            assert (told["rows"][0], told["rows"][1] + 1) == region.rows
            assert (told["columns"][0], told["columns"][1] + 1) == region.columns
            assert tuple(told["features"]) == region.features
            assert ENCODERS[told["encoder"]](**told["parameters"]) == region.encoder
            seen.append(name)
    assert sorted(seen) == sorted(region.name for region in MEGA.regions)


def test_a_pixel_can_be_turned_back_into_its_value_with_the_files_alone(tree: Path, store: ImageStore) -> None:
    """Follow the two JSON files by hand, for every feature of a heat map on the newest session and ten before it."""
    here = tree / "metadata"
    rules, places = said(here / "normalization_parameters.json"), said(here / "channel_encoding_spec.json")
    assert list(rules["features"]) == list(MEGA.catalogue.names)
    dates, location, scale = (array(here / f"normalization_{name}.npy") for name in ("dates", "location", "scale"))
    image = array(tree / "mega_images_full.npy")[-1]
    sessions = store.open_sessions(SYMBOL).sel(date=dates.astype("datetime64[ns]"))
    original = sessions["feature_original"].to_numpy()
    columns = {name: column for column, name in enumerate(rules["features"])}
    checked = 0
    for channel in places["channels"].values():
        for region in channel["regions"].values():
            if region["encoder"] != "heatmap":
                continue
            top, height = region["rows"][0], region["rows"][1] - region["rows"][0] + 1
            for number, name in enumerate(region["features"]):
                rule, column = rules["features"][name], columns[name]
                row = top + -(-number * height // len(region["features"]))
                for lag in (0, 10):
                    x = (
                        region["columns"][0]
                        + (places["lookback_sessions"] - 1 - lag) * region["parameters"]["session_px"]
                    )
                    bright = float(image[row, x, channel["index"]])
                    if not rules["floor"] + 1e-5 < bright < 1 - 1e-5:
                        continue
                    u = (bright - rules["floor"]) / (1 - rules["floor"])
                    u = 1 - u if rule["orientation"] == -1 else u
                    at = len(dates) - 1 - lag
                    value = location[at, column] + scale[at, column] * (rule["low"] + u * (rule["high"] - rule["low"]))
                    if not np.isnan(original[at, column]):  # else it was carried over from before
                        exact = (rule["high"] - rule["low"]) * scale[at, column] * (0.5 / rules["steps"] + 2e-6)
                        assert abs(value - original[at, column]) <= exact, name
                        checked += 1
    assert checked > 300


def test_pictures_show_the_sessions_they_are_called_after(tree: Path, store: ImageStore) -> None:
    here = tree / "visualizations"
    samples = sorted((here / "sample_mega_images").glob("mega_image_*.png"))
    assert len(samples) == 4
    for path in samples:
        shown = matplotlib.image.imread(path)
        day = np.datetime64(f"{path.name[11:15]}-{path.name[15:17]}-{path.name[17:19]}")
        assert shown.shape[:2] == (512, 512)
        assert np.abs(shown[:, :, :3] - store.image(SYMBOL, day)).max() <= 0.5 / 255 + 1e-6
    assert len(list((here / "channel_analysis").glob("*.png"))) == 12
    names = {path.name for path in (here / "feature_encoding_validation").glob("*.png")}
    assert {"layout.png", "coverage.png"} < names
    assert "Quality of the images" in (tree / "metadata" / "quality_assurance_report.html").read_text()
    drawn = [matplotlib.image.imread(path) for path in sorted((here / "channel_analysis").glob("*20160106*.png"))]
    assert all(picture.std() > 0.1 for picture in drawn)
    assert not np.array_equal(drawn[0], drawn[1])


def test_an_export_reads_no_table_and_its_report_says_where_they_end(
    config: Config, store: ImageStore, tmp_path: Path
) -> None:
    first, last = read_tables(config).limits()["prices"]
    inputs = config.inputs.model_copy(
        update={name: source_at(tmp_path / "gone.csv") for name, _ in config.inputs.tables()}
    )
    gone = config.model_copy(update={"inputs": inputs})
    export(gone, store, SYMBOL, tmp_path / "new", parts=["metadata"], start=date(2015, 12, 30), end=LAST)
    html = (tmp_path / "new" / "metadata" / "quality_assurance_report.html").read_text()
    assert f"<td>prices</td><td>{first}</td><td>{last}</td>" in html


# ---- whole, or not there -------------------------------------------------------------------------------------


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_overwritten(written: Exported, config: Config, store: ImageStore, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")}
    with pytest.raises(ExportError, match=r"exists and is not overwritten: it is not empty\. Choose another"):
        export(config, store, SYMBOL, written.folder, parts=["metadata"])
    assert {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="exists and is not overwritten"):
        export(config, store, SYMBOL, tmp_path / "file", parts=["metadata"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_appears_meanwhile_is_not_overwritten_either(
    config: Config, store: ImageStore, tmp_path: Path
) -> None:
    def appear(done: int, total: int, what: str) -> None:
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / "mine").write_text("mine")

    with pytest.raises(ExportError, match="is not overwritten: it is not empty"):
        export(config, store, SYMBOL, tmp_path / "new", parts=["mega_images_full"], end=LAST, on_progress=appear)
    assert leftovers(tmp_path) == ["new"]
    assert leftovers(tmp_path / "new") == ["mine"]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"parts": ["cnn_redy"]}, "part 'cnn_redy' is unknown. Did you mean 'cnn_ready'"),
        ({"parts": []}, "no part is named"),
        ({"start": date(2017, 1, 1)}, "no published session of NVDA from 2017-01-01 to its last; it has 2015-12-02 to"),
        ({"end": date(2015, 12, 9)}, r"cnn_ready cannot be written.*Or leave that part out"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    config: Config, store: ImageStore, tmp_path: Path, wish: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        export(config, store, SYMBOL, tmp_path / "new", **wish)
    assert leftovers(tmp_path) == []


def test_a_bucket_and_the_inside_of_a_store_are_no_places_for_an_export(config: Config, store: ImageStore) -> None:
    for address in (
        "s3://bucket/export",
        "S3://bucket/export",
        "s3a://bucket/export",
        "gs://bucket/export",
        "http://host/x",
    ):
        with pytest.raises(ExportError, match="lies in a bucket"):
            export(config, store, SYMBOL, Path(address))
    with pytest.raises(ExportError, match="lies inside the Zarr store"):
        export(config, store, SYMBOL, Path(str(store.path)) / "export")


def test_too_little_room_is_told_before_anything_is_written(
    config: Config, store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100_000_000))
    with pytest.raises(ExportError, match=r"needs 0\.0\d GB|needs 0\.\d\d GB, .* has 0\.10 GB free"):
        export(config, store, SYMBOL, tmp_path / "a" / "new", end=LAST)
    assert leftovers(tmp_path) == []


def test_a_disk_that_fills_up_leaves_no_half_export(config: Config, store: ImageStore, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the full disk: writing fails at the same place, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, before[1]))
    try:
        with pytest.raises(ExportError, match=r"could not be written \(File too large\); nothing of it is left"):
            export(config, store, SYMBOL, tmp_path / "new", parts=["mega_images_full", "batch_tensors"], end=LAST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert leftovers(tmp_path) == []


def test_an_interruption_leaves_no_half_export(config: Config, store: ImageStore, tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        assert list(tmp_path.glob(".finnex-export-*/mega_images_full.npy")) or what == "trainer"
        if what == "mega_images_full":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(
            config, store, SYMBOL, tmp_path / "new", parts=["trainer", "mega_images_full"], end=LAST,
            on_progress=interrupt,
        )  # fmt: skip
    assert leftovers(tmp_path) == []


def test_after_a_kill_the_next_export_clears_up_and_is_whole(config: Config, store: ImageStore, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from finnex.config import load_config
from finnex.export import export
from finnex.store import ImageStore
config = load_config(Path(sys.argv[1]))
def kill(done, total, what):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
export(config, ImageStore.open(config.store.path), "NVDA", Path(sys.argv[2]), parts=["trainer"], on_progress=kill)
"""
    command = [sys.executable, "-c", code, str(config.store.path.parent / "finnex.toml"), str(tmp_path / "new")]
    assert subprocess.run(command, timeout=120, check=False).returncode == -signal.SIGKILL
    [left] = leftovers(tmp_path)
    assert left.startswith(".finnex-export-")
    export(config, store, SYMBOL, tmp_path / "new", parts=["mega_images_full"], end=LAST)
    assert leftovers(tmp_path) == ["new"]
    assert leftovers(tmp_path / "new") == ["mega_images_full"]


def test_two_exports_to_one_folder_do_not_mix(config: Config, store: ImageStore, tmp_path: Path) -> None:
    refused = []
    (tmp_path / "new").mkdir()  # an empty folder is as good as none

    def second(done: int, total: int, what: str) -> None:
        if done == 3:
            with pytest.raises(ExportError, match="another process is exporting") as error:
                export(config, store, SYMBOL, tmp_path / "new", parts=["trainer"], end=LAST)
            refused.append(error)

    export(config, store, SYMBOL, tmp_path / "new", parts=["mega_images_full"], end=LAST, on_progress=second)
    assert len(refused) == 1
    assert len(leftovers(tmp_path / "new" / "mega_images_full")) == 26


@pytest.fixture
def own_store(config: Config, tmp_path: Path) -> Config:
    """A copy of the store that a test may spoil."""
    path = Path(shutil.copytree(config.store.path, tmp_path / "store" / "images.zarr"))
    return config.model_copy(update={"store": config.store.model_copy(update={"path": path})})


def test_a_damaged_image_is_named_and_not_exported(own_store: Config, tmp_path: Path) -> None:
    store = ImageStore.open(own_store.store.path)
    days = store.state(SYMBOL).days
    chunk = store.path / SYMBOL / "image" / f"c.{int(np.flatnonzero(days == np.datetime64(LAST))[0])}.0.0.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(bytes(content))
    with pytest.raises(StoreCorrupt, match="do not match their checksum"):
        export(own_store, store, SYMBOL, tmp_path / "new", parts=["trainer"], end=LAST)
    assert leftovers(tmp_path) == ["store"]


@pytest.mark.parametrize("position", [0, 20])
def test_an_image_that_is_drawn_anew_meanwhile_ends_the_export(
    own_store: Config, tmp_path: Path, position: int
) -> None:
    """Whether it was written already, or is still to be read."""
    store = ImageStore.open(own_store.store.path)
    index = int(np.flatnonzero(store.state(SYMBOL).days == published(store)[position])[0])
    regions = len(MEGA.regions)

    def redraw(done: int, total: int, what: str) -> None:
        if done == 10:
            writer = StoreWriter.prepare(store.path, read_run(own_store).template)
            draft, crc = writer.target(SYMBOL, "again").write(index, np.full((512, 512, 3), 0.5, dtype=np.float32))
            receipt = Receipt(index, 1, draft, crc, coverage=(1.0,) * regions, weights=(1.0,) * regions)
            assert not publish(writer, SYMBOL, [receipt])

    with pytest.raises(ExportError, match="changed while NVDA was exported"):
        export(own_store, store, SYMBOL, tmp_path / "new", parts=["trainer"], end=LAST, on_progress=redraw)
    assert leftovers(tmp_path) == ["store"]


@pytest.mark.accept
def test_memory_does_not_grow_with_the_number_of_sessions(
    config: Config, store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "BLOCK_SESSIONS", 20)
    days, peak = published(store), {}
    parts = ["trainer", "mega_images_full", "batch_tensors", "patch_datasets", "cnn_ready"]
    for sessions in (20, 60):
        tracemalloc.start()
        try:
            found = export(config, store, SYMBOL, tmp_path / "new", parts=parts, end=days[sessions - 1].item())
            peak[sessions] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            shutil.rmtree(tmp_path / "new")
        assert found.sessions == sessions
        assert found.bytes > 12_000_000 * sessions
    assert peak[60] < 1.1 * peak[20]
    assert peak[60] < 100_000_000


def test_an_array_file_refuses_more_fewer_and_other_rows_than_announced(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    with ArrayFile(tmp_path / "whole.npy", np.float32, (4, 3)) as file:
        file.append(rows[:1])
        file.append(rows[1:])
    np.testing.assert_array_equal(array(tmp_path / "whole.npy"), rows)
    for given in (rows[:3], np.concatenate([rows, rows])):
        with pytest.raises(ValueError, match="4 announced"), ArrayFile(tmp_path / "a.npy", np.float32, (4, 3)) as file:
            file.append(given)
    with pytest.raises(ValueError, match="rows have shape"), ArrayFile(tmp_path / "a.npy", np.float32, (4, 3)) as file:
        file.append(rows.T)


# ---- the command ---------------------------------------------------------------------------------------------


def test_the_command_says_where_and_how_large(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from finnex.cli import main

    where = str(config.store.path.parent / "finnex.toml")

    def call(*arguments: str, symbol: str = SYMBOL) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["export", symbol, "--config", where, "--end", str(LAST), *arguments])
        captured = capsys.readouterr()
        return captured.out if not ended.value.code else f"{ended.value.code}: {captured.err}"

    told = json.loads(call("--out", str(tmp_path / "a"), "--parts", "mega_images_full", "--json"))
    assert told["sessions"] == 24
    assert told["bytes"] == sum(path.stat().st_size for path in (tmp_path / "a").rglob("*.npy"))
    assert f"to {tmp_path / 'b'}: 0.08 GB" in call("--out", str(tmp_path / "b"), "--parts", "mega_images_full")
    assert call("--out", str(tmp_path / "a")).startswith("2: finnex: ")
    assert "Did you mean 'NVDA'" in call("--out", str(tmp_path / "c"), symbol="NVDIA")
