"""Where a store lies: a folder or `s3://bucket/prefix`; what looks like another service never becomes a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from finnex.cnn_training import FinNeXCNNTrainer
from finnex.config import Config, parse_config
from finnex.errors import ConfigError, StoreError
from finnex.mega_image_generation import FinNeXMegaImageGenerator
from finnex.store import ImageStore, holds_a_store, writing
from finnex.store_path import store_path

Maker = Callable[..., Config]

OTHER_SERVICES = [
    "gs://bucket/x", "GS://bucket/x", "http://host/x", "https://host/x", "az://container/x", "abfs://c@account/x",
    "hdfs://host/x", "ftp://host/x", "memory://x", "file:///data/x", "FILE:///data/x", "file:/data/x", "gs:/bucket/x",
    "host:/data/x", "data/gs://bucket/x", "simplecache::s3://bucket/x",
]  # fmt: skip
S3_MISSPELT = [
    "s3a://bucket/x", "S3A://bucket/x", "s3n://bucket/x", "s3:/bucket/x", "s3:bucket/x", "S3:/bucket/x", " s3://bucket/x",
    "s3://bucket/x ", "\ts3://bucket/x", "s3://", "s3:///x", "s3://bucket/a/../x", "s3://bucket/./x",
    "s3://bucket/x?versionId=1",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, which stays empty where an address is refused."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("address", OTHER_SERVICES + S3_MISSPELT)
def test_an_address_that_is_no_folder_and_no_bucket_is_refused_with_a_remedy(
    address: str, here: Path, sample_config: Maker
) -> None:
    doors: list[Callable[[], object]] = [
        lambda: store_path(address),
        lambda: sample_config(store={"path": address}),
        lambda: ImageStore.open(address),
        lambda: holds_a_store(address),
        lambda: writing(address).__enter__(),  # type: ignore[arg-type]  # what a user without a type checker does
        lambda: FinNeXCNNTrainer(address),
    ]
    for door in doors:
        with pytest.raises(ConfigError, match=r"s3://BUCKET/PREFIX"):
            door()
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["gs://bucket/x", "s3://bucket/x", "s3a://bucket/x", "http://host/x", "file:///data/x"]
)
def test_an_address_inside_a_path_object_is_refused(address: str, here: Path) -> None:
    for door in (store_path, ImageStore.open, holds_a_store, lambda path: writing(path).__enter__()):
        with pytest.raises(ConfigError, match="absolute path"):
            door(Path(address))
    with pytest.raises(ConfigError, match=r"Give a folder, or s3://BUCKET/PREFIX"):
        store_path(UPath("memory://x"))
    assert list(here.iterdir()) == []


def test_the_message_of_a_configuration_names_file_and_key_and_shows_no_password(sample_config: Maker) -> None:
    with pytest.raises(ConfigError, match=r"finnex\.toml: key 'store\.path': .*'gs://bucket/x'"):
        sample_config(store={"path": "gs://bucket/x"})
    for address in (
        "http://user:geheim@host/x",
        "s3://user:geheim@bucket/x",
        "S3://user:geheim@bucket/x",
        "s3a://u:geheim@b/x",
    ):
        with pytest.raises(ConfigError) as caught:
            sample_config(store={"path": address})
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("s3a://bucket/x", "s3://bucket/x"),
        ("s3:/bucket/x", "s3://bucket/x"),
        ("s3:bucket/x", "s3://bucket/x"),
        (" s3://bucket/x", "s3://bucket/x"),
        ("file:///data/x", "/data/x"),
        ("file://localhost/data/x", "/data/x"),
    ],
)
def test_the_remedy_is_an_address_that_works(address: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{remedy}'"):
        store_path(address)
    assert str(store_path(remedy)) == remedy


def test_the_generator_refuses_another_service(here: Path, sample_inputs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=r"s3://BUCKET/PREFIX"):
        FinNeXMegaImageGenerator(sample_inputs["prices"], None, None, symbol="NVDA", store="gs://bucket/x")
    with pytest.raises(ConfigError, match="Did you mean 's3://bucket/x'"):
        FinNeXMegaImageGenerator(sample_inputs["prices"], None, None, symbol="NVDA", store=Path("s3://bucket/x"))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "address",
    ["C:/data/x", "C:\\data\\x", "c:x", "run:1/x", "2015-03-02T10:00/x", "images.zarr", "/data/gs:/x", "a:b", "x "],
)
def test_folders_with_colons_and_drives_stay_folders(address: str, tmp_path: Path) -> None:
    assert store_path(address) == Path(address)
    assert store_path(address, tmp_path) == tmp_path / address


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("s3://bucket/x", "s3://bucket/x"), ("s3://bucket/x/", "s3://bucket/x"), ("s3://bucket/x//", "s3://bucket/x"),
        ("S3://bucket/x", "s3://bucket/x"), ("s3://bucket/X", "s3://bucket/X"), ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/", "s3://bucket/"), ("s3://bucket/a//x", "s3://bucket/a//x"),
        ("s3://bucket/a b%20", "s3://bucket/a b%20"),
    ],
)  # fmt: skip
def test_spellings_of_one_place_in_a_bucket_become_one_address(address: str, canonical: str) -> None:
    assert str(store_path(address)) == canonical
    assert str(store_path(store_path(address))) == canonical
    if address.startswith("s3"):
        assert str(store_path(UPath(address))) == canonical


def test_home_and_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_config: Maker) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FINNEX_TEST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FINNEX_TEST_BUCKET", "s3://bucket")
    monkeypatch.delenv("FINNEX_TEST_UNSET", raising=False)
    assert store_path("~/x") == tmp_path / "home" / "x"
    assert store_path("$FINNEX_TEST_DATA/x") == store_path("${FINNEX_TEST_DATA}/x") == tmp_path / "data" / "x"
    assert str(store_path("$FINNEX_TEST_BUCKET/x")) == "s3://bucket/x"
    assert sample_config(store={"path": "~/x"}).store.path == tmp_path / "home" / "x"
    assert store_path(Path("~/x")) == Path("~/x"), "Python's paths are taken as they are"
    with pytest.raises(ConfigError, match="FINNEX_TEST_UNSET, which is not set"):
        store_path("$FINNEX_TEST_UNSET/x")
    with pytest.raises(ConfigError, match="FINNEX_TEST_UNSET, which is not set"):
        sample_config(store={"path": "/scratch/${FINNEX_TEST_UNSET}/x"})
    with pytest.raises(ConfigError, match="no account 'no-such-account'"):
        store_path("~no-such-account/x")


def test_a_store_that_an_earlier_version_made_under_the_literal_name_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    literal = tmp_path / "~" / "x"
    literal.mkdir(parents=True)
    (literal / "zarr.json").write_text("{}")
    with pytest.raises(ConfigError, match=str(literal)):
        store_path("~/x", tmp_path)
    assert store_path(str(literal), tmp_path) == literal  # the remedy: its absolute path
    monkeypatch.delenv("FINNEX_TEST_UNSET", raising=False)
    dollar = tmp_path / "a$FINNEX_TEST_UNSET"
    dollar.mkdir()
    assert store_path("a$FINNEX_TEST_UNSET", tmp_path) == dollar


def test_no_path_at_all_is_refused(sample_config: Maker) -> None:
    for address in ("", "  ", "a\0b"):
        with pytest.raises(ConfigError):
            sample_config(store={"path": address})


def test_the_working_folder_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StoreError, match=r"images\.zarr"):
        ImageStore.open("images.zarr")


def test_a_relative_path_starts_at_the_configuration(sample_inputs: dict[str, Path], tmp_path: Path) -> None:
    document: dict[str, object] = {
        "inputs": {name: str(path) for name, path in sample_inputs.items()},
        "symbols": ["NVDA"],
        "store": {"path": "images.zarr"},
    }
    assert parse_config(document, tmp_path / "finnex.toml").store.path == tmp_path / "images.zarr"


@pytest.mark.parametrize("address", ["s3://bucket/study/images.zarr", "/data/images.zarr"])
def test_a_configuration_is_written_as_json_with_the_address_that_it_was_given(
    address: str, sample_config: Maker
) -> None:
    config = sample_config(store={"path": address})
    written = json.loads(config.model_dump_json())
    assert written["store"]["path"] == address
    assert type(config).model_validate(written).store.path == config.store.path
