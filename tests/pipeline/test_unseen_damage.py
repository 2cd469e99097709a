"""What a build takes as unchanged is so: damage that no size shows, older records, earlier builds by force."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from finnex.errors import InputError
from finnex.pipeline import build
from finnex.store import ImageStore
from finnex.store.record import RECORD
from finnex.store.scrub import SCRUB
from finnex.store.sealed import seal, unseal
from tests.pipeline.test_damaged_builds import flip_a_byte
from tests.pipeline.test_unchanged_companies import (
    COMPANIES,
    KEPT,
    OTHER,
    OWN,
    PEER,
    computed,
    in_table,
    made,
    of,
    panel,
    scaled,
)

__all__ = ["computed", "made", "panel"]


def damaged_unseen(path: Path) -> None:
    """Flip a byte of a file, or of the first chunk of an array, so that neither size nor time shows it."""
    chunk = path if path.is_file() else next(path.glob("c*"))
    known = chunk.stat()
    flip_a_byte(chunk)
    os.utime(chunk, ns=(known.st_atime_ns, known.st_mtime_ns))


@pytest.mark.parametrize(
    ("where", "night"),
    [
        *((where, "new inputs") for where in ("status", "date", "image_crc", "zarr.json", "label_price_movement")),
        *((where, "the same") for where in ("status", "zarr.json")),  # the scrub reads them, and nothing the others
    ],
)
def test_unseen_damage_that_a_build_runs_into_is_mended_by_it(panel: Path, where: str, night: str) -> None:
    wanted = ImageStore.open(of(panel).store.path).open_images(OWN).load()
    if night == "new inputs":
        path = panel / "finnex.toml"
        path.write_text(path.read_text().replace('sectors = ["XLK"]', 'sectors = ["XLK", "XLF"]'))
    damaged_unseen(panel / "images.zarr" / OWN / where)
    (panel / "images.zarr" / SCRUB).unlink(missing_ok=True)  # the first build of a day
    said: list[str] = []
    result = build(of(panel), on_mended=said.append)
    assert result.built + result.skipped == COMPANIES * KEPT
    assert len(said) == 1
    assert OWN in said[0]
    found = ImageStore.open(of(panel).store.path).open_images(OWN).load()
    assert found.drop_vars(["rendered_at", "image_tag"]).equals(wanted.drop_vars(["rendered_at", "image_tag"]))


@pytest.mark.parametrize("where", ["feature_original", "feature_normalized", "return_price_movement", "input_hash"])
def test_unseen_damage_of_what_a_night_writes_stops_no_company(panel: Path, where: str) -> None:
    in_table("filings", scaled("revenue", PEER))(panel)
    shutil.copytree(panel, other := panel.with_name("other"), copy_function=shutil.copy2)
    damaged_unseen(panel / "images.zarr" / OWN / where)
    said: list[str] = []
    one, two = build(of(panel), on_mended=said.append), build(of(other))
    assert len(said) == 1
    assert one.fingerprint == two.fingerprint
    for symbol in (OWN, OTHER):
        found, wanted = (ImageStore.open(of(each).store.path).open_images(symbol).load() for each in (panel, other))
        assert found.drop_vars(["rendered_at", "image_tag"]).equals(wanted.drop_vars(["rendered_at", "image_tag"]))


def test_a_root_record_of_before_is_no_reason_to_leave_a_company_alone(panel: Path, computed: list[str]) -> None:
    path = panel / "images.zarr" / RECORD
    wanted = ImageStore.open(of(panel).store.path).record().renderer(OWN)
    assert wanted
    path.write_bytes(seal({**unseal(path.read_bytes()), "inputs": []}))
    assert build(of(panel)).built == 0
    assert len(computed) == COMPANIES
    assert ImageStore.open(of(panel).store.path).record().renderer(OWN) == wanted


def test_bars_that_a_build_by_force_did_without_are_missed_by_the_next(panel: Path) -> None:
    days = pd.read_parquet(panel / "prices.parquet")["date"].unique()
    start, before = days[-2].date(), days[-8].date()
    build(of(panel), start=before)
    in_table("prices", lambda rows: rows[(rows["symbol"] != OWN) | (rows["date"] != days[-7])])(panel)
    build(of(panel), start=start, force=True)
    with pytest.raises(InputError, match=f"no bar of {OWN} on 1 sessions that have an image"):
        build(of(panel), start=start)


def test_a_build_names_the_companies_that_it_leaves_alone(panel: Path, computed: list[str]) -> None:
    started: list[tuple[str, int]] = []
    build(of(panel), on_start=lambda symbol, due: started.append((symbol, due)))
    assert started == [(symbol, 0) for symbol in of(panel).symbols]
    assert computed == []


def test_a_company_that_is_built_alone_costs_no_other(panel: Path, computed: list[str]) -> None:
    config = of(panel)
    shutil.rmtree(panel / "images.zarr")
    build(config, symbols=[PEER, OWN])
    build(config, symbols=[OTHER])  # writes the metadata of the root
    computed.clear()
    assert build(config, symbols=[PEER, OWN, OTHER]).built == 0
    assert computed == []


def test_damaged_images_that_a_build_does_not_cover_are_named_and_the_remedy_draws_them(panel: Path) -> None:
    config = of(panel)
    whole = config.model_copy(update={"store": config.store.model_copy(update={"scrub_share": 1})})
    damaged_unseen(panel / "images.zarr" / OWN / "image")
    (panel / "images.zarr" / SCRUB).unlink(missing_ok=True)
    said = [one for one in build(whole, symbols=[OTHER]).warnings if "damaged" in one]
    assert len(said) == 1
    assert said[0].startswith(f"{OWN}: 1 image in {config.store.path} damaged, of ")
    assert build(config).built == 1  # symbols and range cover it
    (panel / "images.zarr" / SCRUB).unlink()
    again = build(whole)
    assert (again.built, [one for one in again.warnings if "damaged" in one]) == (0, [])
    assert len(ImageStore.open(config.store.path).damaged(OWN)) == 0
