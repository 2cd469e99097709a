"""Each kind of damage to each file of a store: a build ends in the undisturbed store, or names a remedy that works."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import finnex.pipeline.build_loop
import finnex.pipeline.stage_1
import finnex.pipeline.symbol_loop
from finnex.config import Config, parse_config
from finnex.errors import FinnexError, StoreCorrupt, StoreError
from finnex.pipeline import build, reach_of, read_run
from finnex.pipeline.run_inputs import Run
from finnex.sample import SYNTHETIC_TABLES
from finnex.store import READY, ImageStore, StoreTemplate, StoreWriter, restore, writing
from finnex.store.scrub import SCRUB
from tests.helpers.sampled_cases import sampled

FILES = (
    "zarr.json", ".finnex/root.json", ".finnex/journal.json",
    *(f"NVDA/{name}" for name in (
        "zarr.json", "image/zarr.json", "status/zarr.json", "image/c.{row}.0.0.0", "status/c.0", "input_hash/c.0",
        "image_crc/c.0", "image_tag/c.0", "rendered_at/c.0", "coverage/c.0.0", "region_weight/c.0.0", "date/c.0",
        "feature_original/c.0.0", "label_price_movement/c.0.0", "prediction/c.0.0", "prediction_version/c.0",
        "region/c/0", "horizon/c.0",
    )),
)  # fmt: skip
FOLDERS = (".finnex", ".finnex/partial", "NVDA", "NVDA/status", "NVDA/image", "NVDA/feature_scale", "NVDA/prediction")


def a_folder(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()
    (file / "letter.txt").write_text("dear")


def a_link(file: Path, target: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(target)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda file: file.unlink(missing_ok=True),
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if file.exists() else b"{"),
    "garbage": lambda file: file.write_bytes(bytes(range(128, 256))),
    "a folder": a_folder,
}
LINKED = ("zarr.json", ".finnex/root.json", "NVDA/zarr.json", "NVDA/coverage/c.0.0", "NVDA/image/c.{row}.0.0.0")
EMPTIED = (*FILES[:4], "NVDA/status/zarr.json", "NVDA/status/c.0", "NVDA/prediction/c.0.0", "NVDA/region/c/0")
CASES = [
    *sampled(((file, kind) for file in FILES for kind in DAMAGES if kind != "empty" or file in EMPTIED), every=3),
    *sampled(itertools.product(LINKED, ("a dangling link", "a cyclic link")), every=3),
    *sampled(itertools.product(FOLDERS, ("gone", "a file")), every=3),
]


@pytest.fixture(scope="module", autouse=True)
def inputs_read_once(sample_inputs: dict[str, Path]) -> Iterator[None]:
    """What is read and computed from the inputs is the same for every build here."""
    runs: list[Run] = []
    panels: dict[str, Any] = {}
    make_panel = finnex.pipeline.stage_1.make_panel

    def run_of(config: Config) -> Run:
        runs.append(runs[0] if runs else read_run(config))
        return Run(config, runs[0].tables, runs[0].layout, runs[0].template, runs[0].warnings)

    def panel_of(tables: Any, config: Config, symbol: str, entries: Any) -> Any:
        if symbol not in panels:
            panels[symbol] = make_panel(tables, config, symbol, entries)
        return panels[symbol]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finnex.pipeline.build_loop, "read_run", run_of)
        patch.setattr(finnex.pipeline.stage_1, "make_panel", panel_of)
        yield


def config_of(inputs: dict[str, Path], folder: Path) -> Config:
    document = {
        "inputs": {name: str(path) for name, path in inputs.items()} | {"synthetic": list(SYNTHETIC_TABLES)},
        "symbols": ["NVDA", "AAPL"], "start": date(2015, 3, 2), "end": date(2015, 3, 4),
        "store": {"path": str(folder / "images.zarr")},
    }  # fmt: skip
    return parse_config(document, folder / "finnex.toml")


@pytest.fixture(scope="module")
def whole(sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two companies, three images each, a prediction and a quarantined session."""
    folder = tmp_path_factory.mktemp("whole")
    config = config_of(sample_inputs, folder)
    build(config)
    with writing(config.store.path):
        store = StoreWriter.reopen(config.store.path)
        rows = np.flatnonzero(store.state("NVDA").status == READY)
        store.record_predictions("NVDA", [int(rows[0])], np.array([[0.2, 0.3, 0.5]]), 1)
        store.quarantine("NVDA", rows[2:], "odd")
    return folder / "images.zarr"


@pytest.fixture
def config(whole: Path, sample_inputs: dict[str, Path], tmp_path: Path) -> Config:
    shutil.copytree(whole, tmp_path / "images.zarr")
    return config_of(sample_inputs, tmp_path)


def contents(path: Path) -> dict[str, str]:
    """Return all arrays of a store and its images as text, but for the times."""
    store = ImageStore.open(path)
    found: dict[str, str] = {}
    for symbol in store.symbols:
        for name in store.array_names(symbol):
            if name not in {"image", "image_tag", "rendered_at", "predicted_at"}:
                found[f"{symbol}/{name}"] = store.values(symbol, name).tobytes().hex()
        state = store.state(symbol)
        for index in np.flatnonzero(state.status == READY):
            found[f"{symbol} {index}"] = store.image(symbol, state.days[index]).tobytes().hex()
    return found


def harm(path: Path, where: str, kind: str) -> Path:
    row = int(np.flatnonzero(ImageStore.open(path).state("NVDA").status == READY)[0])
    place = path / where.format(row=row)
    if where in FOLDERS:
        shutil.rmtree(place, ignore_errors=True)
        if kind == "a file":
            place.write_text("dear")
    elif "link" in kind:
        a_link(place, place if kind == "a cyclic link" else path / "nowhere")
    else:
        DAMAGES[kind](place)
    return place


@pytest.mark.parametrize(("where", "kind"), CASES)
def test_a_build_or_the_remedy_that_it_names_gives_the_undisturbed_store(
    whole: Path, config: Config, where: str, kind: str
) -> None:
    path = Path(str(config.store.path))
    template = finnex.pipeline.build_loop.read_run(config).template
    harm(path, where, kind)
    refused = ""
    try:
        build(config)
    except FinnexError as error:
        refused = str(error)
    if refused:
        assert "finnex repair" in refused
        assert "AAPL" not in refused
        with writing(path):
            listed = restore(path, template, dry=True)
            assert restore(path, template, lambda _: True) == listed != []
        build(config)
    wanted, now = contents(whole), contents(path)
    given_up = refused and any(f"NVDA/{name}" in refused for name in ("prediction", "predicted_at"))
    lost = {name for name in wanted if "/prediction" in name} if given_up else set()
    assert {name for name in wanted if now.get(name) != wanted[name]} <= lost
    [(_, reason)] = ImageStore.open(path).record().companies["NVDA"].quarantined.items()
    assert reason == "odd" or where in {".finnex", ".finnex/root.json"}
    with writing(path):
        assert restore(path, template, dry=True) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [(".finnex/journal.json", "NVDA/image_crc/c.0"), ("zarr.json", "NVDA/status/c.0"),
     ("zarr.json", "NVDA/zarr.json"), ("NVDA/date/c.0", "NVDA/image_tag/c.0")],
)  # fmt: skip
def test_two_damages_at_once_are_mended_too(whole: Path, config: Config, first: str, second: str) -> None:
    path = Path(str(config.store.path))
    template = finnex.pipeline.build_loop.read_run(config).template
    for where in (first, second):
        (path / where).write_bytes(bytes(range(128, 256)))
    with writing(path):
        listed = restore(path, template, dry=True)
        assert restore(path, template, lambda _: True) == listed != []
    build(config)
    wanted, now = contents(whole), contents(path)
    assert {name for name in wanted if now.get(name) != wanted[name] and "/prediction" not in name} == set()
    with writing(path):
        assert restore(path, template, dry=True) == []


def test_a_damaged_company_holds_no_other_up_and_stays_as_it_is(whole: Path, config: Config) -> None:
    path = Path(str(config.store.path))
    harm(path, "NVDA/prediction/c.0.0", "garbage")
    [*_, chunk] = sorted(path.glob("AAPL/image/c.*"))
    wanted = chunk.read_bytes()
    chunk.write_bytes(b"other")
    before = {file: file.read_bytes() for file in (path / "NVDA").rglob("*") if file.is_file()}
    with pytest.raises(StoreCorrupt, match=r"NVDA/prediction is damaged.*finnex repair.*\n.*other companies is drawn"):
        build(config)
    assert chunk.read_bytes() == wanted
    assert {file: file.read_bytes() for file in (path / "NVDA").rglob("*") if file.is_file()} == before
    assert build(config, symbols=["AAPL"]).built == 0


def test_a_build_says_in_one_line_what_it_mended(config: Config) -> None:
    harm(Path(str(config.store.path)), "NVDA/status/c.0", "gone")
    said: list[str] = []
    build(config, on_mended=said.append)
    assert said == [
        "The store was damaged and is mended: NVDA/status (made again from the images that match their checksum; "
        "a build adds sessions of its range without a bar)."
    ]
    build(config, on_mended=said.append)
    assert len(said) == 1


TABLES = ("coverage/c.0.0", "image_crc/c.0", "input_hash/c.0", "feature_original/c.5.0", "label_price_movement/c.0.0")


def flip_a_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


NARROWED = [
    *((array, "symbols") for array in TABLES),
    *((array, "start") for array in TABLES[:3]),
    *((array, "end") for array in TABLES[:4]),
]


@pytest.mark.parametrize(("array", "narrowed"), sampled(NARROWED))
def test_what_a_build_does_not_make_again_is_not_emptied_without_consent(
    whole: Path, config: Config, narrowed: str, array: str
) -> None:
    path = Path(str(config.store.path))
    chunk = path / "AAPL" / array
    if not chunk.exists():
        [*_, chunk] = sorted(chunk.parent.glob("c.*"))
    narrow = {"symbols": ("NVDA",)} if narrowed == "symbols" else {narrowed: date(2015, 3, 3)}
    narrower = config.model_copy(update=narrow)
    flip_a_byte(chunk)
    harm(path, "NVDA/image/c.{row}.0.0.0", "gone")
    before = bytes_of(path / "AAPL")
    said: list[str] = []
    name = array.partition("/")[0]
    if narrowed == "symbols" and name in {"coverage", "feature_original"}:
        assert build(narrower, on_mended=said.append).failed == 0  # nothing that was asked for needs it
    else:
        with pytest.raises(StoreCorrupt, match=rf"AAPL/{name} .*not make again.*range covers 20") as refused:
            build(narrower, on_mended=said.append)
        assert "NVDA" not in str(refused.value)
    assert said == []
    assert bytes_of(path / "AAPL") == before
    if narrowed != "start":  # its first image is before it
        assert ImageStore.open(path).damaged("NVDA").tolist() == []
    with writing(path):
        run = finnex.pipeline.build_loop.read_run(narrower)
        [finding] = restore(path, run.template, reaches=partial(reach_of, run))
        assert finding.symbol == "AAPL"
        assert finding.lost
    assert bytes_of(path / "AAPL") == before
    build(config)
    assert contents(path) == contents(whole)


def test_damage_that_is_found_while_a_company_is_drawn_holds_no_other_up(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(config.store.path))
    [chunk, *_] = sorted(path.glob("AAPL/image/c.*"))
    wanted = chunk.read_bytes()
    flip_a_byte(chunk)
    prepare = finnex.pipeline.symbol_loop.prepare_symbol

    def damaged(run: Run, store: StoreWriter, symbol: str, **given: Any) -> Any:
        if symbol == "NVDA":
            raise StoreCorrupt("NVDA/status is damaged.")
        return prepare(run, store, symbol, **given)

    monkeypatch.setattr(finnex.pipeline.symbol_loop, "prepare_symbol", damaged)
    with pytest.raises(StoreCorrupt, match=r"NVDA/status is damaged\. Nothing more of NVDA is drawn"):
        build(config)
    assert chunk.read_bytes() == wanted


def test_the_loss_of_images_that_the_run_does_not_draw_can_be_agreed_to(whole: Path, config: Config) -> None:
    path = Path(str(config.store.path))
    narrower = config.model_copy(update={"start": date(2015, 3, 3)})
    flip_a_byte(path / "AAPL/image_crc/c.0")
    with writing(path):
        run = finnex.pipeline.build_loop.read_run(narrower)
        [finding] = restore(path, run.template, lambda _: True, reaches=partial(reach_of, run))
        assert "images of AAPL of 2015-03-02, which" in finding.lost
    build(narrower)
    lost = set(contents(whole)) - set(contents(path))
    assert len(lost) == 1
    build(config)
    assert contents(path) == contents(whole)


def test_a_bar_that_is_gone_is_refused_before_anything_is_mended(
    whole: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(config.store.path))
    run = finnex.pipeline.build_loop.read_run(config)
    prices = run.tables.prices
    gone = (prices["symbol"] == "NVDA") & (prices["date"].astype("datetime64[s]") == np.datetime64("2015-03-03"))
    assert gone.sum() == 1
    without = replace(run, tables=replace(run.tables, prices=prices[~gone]))
    monkeypatch.setattr(finnex.pipeline.build_loop, "read_run", lambda _: without)
    for arrays in (["image_crc/c.0"], ["image_crc/c.0", "status/c.0"]):
        for array in arrays:
            flip_a_byte(path / "NVDA" / array)
        before = bytes_of(path)
        with pytest.raises(FinnexError, match=r"no bar of NVDA on 1 sessions|images of NVDA of 2015-03-03"):
            build(config)
        after = bytes_of(path)
        after.pop(path / SCRUB, None)  # which images of other companies were read and compared
        assert after == before
        shutil.rmtree(path)
        shutil.copytree(whole, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
@pytest.mark.parametrize(
    "where",
    ["zarr.json", ".finnex", ".finnex/root.json", "NVDA", "NVDA/zarr.json", "NVDA/status", "NVDA/status/c.0",
     "NVDA/image", "NVDA/prediction/c.0.0"],
)  # fmt: skip
def test_what_this_account_may_not_read_is_no_damage_and_the_message_says_so(
    whole: Path, sample_inputs: dict[str, Path], where: str
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="finnex-rights-"))
    try:
        folder.chmod(0o755)
        shutil.copytree(whole, folder / "images.zarr")
        for one in (folder, *folder.rglob("*")):
            os.chown(one, 65534, 65534)
        config = config_of(sample_inputs, folder)
        template = finnex.pipeline.build_loop.read_run(config).template
        rights = (folder / "images.zarr" / where).stat().st_mode
        (folder / "images.zarr" / where).chmod(0)
        os.seteuid(65534)
        for attempt in (lambda: build(config), lambda: repair(config, template)):
            with pytest.raises(StoreError, match=r"(cannot be read|cannot be read or written) \(Permission denied\)"):
                attempt()
        (folder / "images.zarr" / where).chmod(rights)
        assert build(config).built == 0
        assert contents(folder / "images.zarr") == contents_of_the_whole(whole)
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def repair(config: Config, template: StoreTemplate) -> None:
    with writing(config.store.path):
        restore(config.store.path, template, lambda _: True)


def contents_of_the_whole(whole: Path) -> dict[str, str]:
    os.seteuid(0)
    return contents(whole)
