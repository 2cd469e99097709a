from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from finnex.config import Config, source_at
from finnex.data.normalize import STEPS
from finnex.errors import LayoutError, StoreError
from finnex.explain import PixelAnswer, explain, of_channel
from finnex.images.decode import decode, feature_map, to_original
from finnex.layout import load_layout, stored_layout
from finnex.pipeline import build
from finnex.store import ImageStore
from tests.helpers.sample_configs import sampled_config

Maker = Callable[..., Config]
MEGA = load_layout("mega")
DAY = date(2015, 3, 17)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "blended"])
def store(
    request: pytest.FixtureRequest, sample_inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> ImageStore:
    """A store that is only read."""
    config = sampled_config(sample_inputs, tmp_path_factory.mktemp("explained"), image={"blending": request.param})
    build(config, start=DAY, end=DAY)
    return ImageStore.open(config.store.path)


def window(store: ImageStore, name: str) -> pd.DataFrame:
    data = store.open_sessions("NVDA")
    here = int(np.flatnonzero(data["date"].to_numpy() == np.datetime64(DAY))[0])
    rows = data[name].isel(date=slice(here - 55, here + 1)).to_numpy()
    return pd.DataFrame(rows, columns=list(data["feature"].to_numpy()), index=pd.Index(range(55, -1, -1), name="lag"))


def test_decoding_an_image_gives_back_every_normalised_value(store: ImageStore) -> None:
    layout = stored_layout(store.attrs)
    weights = store.open_images("NVDA")["region_weight"][0].to_numpy()
    found = decode(store.image("NVDA", np.datetime64(DAY)), layout, weights)
    assert tuple(found.columns) == layout.catalogue.names
    stored = window(store, "feature_normalized")
    assert (found.isna() == stored.isna()).all(axis=None)
    assert np.nanmax(np.abs(found.to_numpy() - stored.to_numpy())) < 1e-6


def test_decoding_gives_back_original_values_that_were_not_clipped(store: ImageStore) -> None:
    layout = stored_layout(store.attrs)
    weights = store.open_images("NVDA")["region_weight"][0].to_numpy()
    normalized = decode(store.image("NVDA", np.datetime64(DAY)), layout, weights)
    location, scale = window(store, "feature_location"), window(store, "feature_scale")
    found, stored = to_original(normalized, layout, location, scale), window(store, "feature_original")
    for entry in layout.catalogue.entries:
        known = found[entry.name].notna().to_numpy()
        step = (entry.high - entry.low) * scale[entry.name].to_numpy()[known]
        error = np.abs(found[entry.name].to_numpy() - stored[entry.name].to_numpy())[known]
        # Half a step of brightness is what rounding takes away; the rest is float32's.
        allowed = (1 / (2 * STEPS) + 4e-6) * step + 1e-9 * np.abs(stored[entry.name].to_numpy()[known])
        assert (error <= allowed).all(), entry.name
    assert found.notna().sum(axis=None) > 0.7 * stored.notna().sum(axis=None)


def test_every_pixel_has_an_answer() -> None:
    pixels = feature_map(MEGA)
    assert (pixels.region >= 0).all()
    assert (
        (pixels.feature >= 0)
        | (pixels.lag < 0)
        | np.isin(pixels.region, [MEGA.regions.index(MEGA.region("price_chart"))])
    ).all()
    assert pixels.lag.max() == MEGA.lookback - 1
    for number, region in enumerate(MEGA.regions):
        shown = np.unique(pixels.feature[(pixels.region == number) & (pixels.lag >= 0)])
        assert [MEGA.catalogue.names[feature] for feature in shown if feature >= 0] == sorted(
            region.features, key=MEGA.catalogue.names.index
        )


def test_a_pixel_is_not_explained_by_values_that_came_after_it(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config(start=DAY, end=date(2015, 3, 20))
    build(config)
    rows = pd.read_csv(config.inputs.files_of("sentiment")[0])
    day = pd.to_datetime(rows["timestamp"], utc=True)
    rows.loc[(day >= "2015-03-02") & (day < "2015-03-16"), "score"] *= -1
    rows.to_csv(tmp_path / "sentiment.csv", index=False)
    inputs = config.inputs.model_copy(update={"sentiment": source_at(tmp_path / "sentiment.csv")})
    changed = config.model_copy(update={"inputs": inputs})
    build(changed, start=date(2015, 3, 20))
    store, tone = ImageStore.open(config.store.path), MEGA.region("news")
    newest = tone.columns[0] + 53 * 3  # two sessions before: the 13th
    with pytest.raises(StoreError, match="its inputs changed"):
        explain(store, "NVDA", DAY, tone.rows[0] + 1, newest)
    build(changed)
    assert explain(store, "NVDA", DAY, tone.rows[0] + 1, newest)[0].session == date(2015, 3, 13)


def answer_at(store: ImageStore, row: int, column: int, channel: str) -> PixelAnswer:
    return of_channel(explain(store, "NVDA", DAY, row, column), channel)


def test_a_heat_map_pixel_names_its_feature_session_and_values(store: ImageStore) -> None:
    region = MEGA.region("technical")
    where = region.features.index("rsi_14") * region.height // len(region.features) + 1
    found = answer_at(store, region.rows[0] + where, region.columns[0] + 55 * 3, "green")
    data: xr.Dataset = store.open_sessions("NVDA").sel(date=np.datetime64(DAY), feature="rsi_14")
    assert (found.section, found.region, found.feature, found.session) == (
        "behavioral_technical",
        "technical",
        "rsi_14",
        DAY,
    )
    assert found.original_value == pytest.approx(float(data["feature_original"]))
    assert found.normalized_value == pytest.approx(float(data["feature_normalized"]))
    assert (found.unit, found.source_table) == ("points", "prices")
    assert found.value == pytest.approx(0.51 + found.weight * (found.normalized_value - 0.51), abs=1e-6)


def test_a_pixel_of_a_pair_names_both_sessions(store: ImageStore) -> None:
    region = MEGA.region("volatility_recurrence")
    found = answer_at(store, region.rows[0], region.columns[0] + 55 * 3, "blue")
    assert {found.session, found.session_other} == {DAY, date(2014, 12, 24)}


def test_the_margin_and_the_chart_say_what_they_are(store: ImageStore) -> None:
    assert "margin" in answer_at(store, 5, 511, "red").meaning
    chart = answer_at(store, 180, 166, "green")
    assert (chart.region, chart.feature, chart.session) == ("price_chart", None, DAY)
    assert chart.source_table == "prices"


def test_a_pixel_outside_and_a_session_that_is_not_there_are_refused(store: ImageStore) -> None:
    with pytest.raises(LayoutError, match="outside"):
        explain(store, "NVDA", DAY, 512, 0)
    with pytest.raises(StoreError, match="no published image"):
        explain(store, "NVDA", date(2015, 3, 18), 0, 0)
    with pytest.raises(LayoutError, match="green"):
        of_channel(explain(store, "NVDA", DAY, 0, 0), "gren")
