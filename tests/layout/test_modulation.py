from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finnex.config import Config
from finnex.data.features.regime import STATES, filtered_states, transition
from finnex.data.panel import Panel, make_panel
from finnex.errors import LayoutError
from finnex.images.blending import BLENDS, apply, region_weights, undo
from finnex.layout import load_layout, parse_layout
from finnex.layout.layout import BLENDS as NAMES
from finnex.pipeline import build, read_run
from finnex.store import ImageStore

Maker = Callable[..., Config]


@pytest.fixture
def panel(sample_config: Maker) -> Panel:
    run = read_run(sample_config())
    return make_panel(run.tables, run.config, "NVDA", run.layout.catalogue.entries)


def test_states_are_probabilities_and_follow_volatility() -> None:
    z = np.concatenate([np.full(5, np.nan), np.full(60, -1.5), np.full(60, 3.0), np.full(5, np.nan)])
    p = filtered_states(z)
    assert np.isnan(p[:5]).all()
    np.testing.assert_allclose(p[5:].sum(axis=1), 1)
    assert STATES[int(p[60].argmax())] == "calm"
    assert STATES[int(p[120].argmax())] == "stressed"
    assert p[-1, 2] < p[-6, 2]  # without news a belief fades


def test_a_state_is_filtered_and_never_smoothed() -> None:
    z = np.random.default_rng(0).normal(size=300)
    assert filtered_states(z)[:200].tobytes() == filtered_states(z[:200]).tobytes()


def test_a_transition_shows_when_the_state_changes_and_fades_when_it_has() -> None:
    p = filtered_states(np.concatenate([np.full(80, -1.5), np.full(80, 3.0)]))
    change = transition(p)
    assert np.isnan(change[:5]).all()
    assert change[70] < 0.1
    assert change[81:85].max() > 0.9
    assert change[120] < 0.1


def test_layout_and_modulation_know_the_same_blends() -> None:
    assert set(NAMES) == set(BLENDS)
    mega = load_layout("mega")
    with pytest.raises(LayoutError, match="technical_regime"):
        parse_layout(mega.text.replace('blend = "technical_regime"', 'blend = "technical_regim"', 1), mega.catalogue)


def test_blending_is_off_unless_asked_for(panel: Panel) -> None:
    assert (region_weights(panel, load_layout("mega")) == 1).all()


def test_weights_act_on_their_regions_only_and_stay_between_a_half_and_one(panel: Panel) -> None:
    layout = load_layout("mega", blending=True)
    weights = region_weights(panel, layout)
    assert weights.min() >= 0.5
    assert weights.max() <= 1
    for column, region in enumerate(layout.regions):
        moves = np.ptp(weights[300:700, column]) > 0
        assert moves == bool(region.blend), region.name


def test_weights_know_nothing_of_later_sessions(sample_config: Maker) -> None:
    run = read_run(sample_config())
    layout = load_layout("mega", blending=True)
    tables = run.tables
    prices = tables.prices[tables.prices["date"] <= "2015-06-30"].reset_index(drop=True)
    from dataclasses import replace

    full = region_weights(make_panel(tables, run.config, "NVDA", layout.catalogue.entries), layout)
    cut = region_weights(
        make_panel(replace(tables, prices=prices), run.config, "NVDA", layout.catalogue.entries), layout
    )
    assert full[: len(cut)].tobytes() == cut.tobytes()


def test_what_is_muted_comes_back() -> None:
    tile = np.random.default_rng(0).uniform(0.02, 1, (40, 40)).astype(np.float32)
    tile[3, 4] = np.nan
    for weight in (0.5, 0.7, 1.0):
        drawn = apply(tile, weight)
        assert np.nanmin(drawn) >= np.float32(0.02)
        np.testing.assert_allclose(undo(drawn, weight), tile, atol=1e-6)


def test_a_blended_store_differs_and_keeps_its_weights(sample_config: Maker, tmp_path: Path) -> None:
    plain, blended = sample_config(), sample_config(image={"blending": True}, store={"path": str(tmp_path / "b.zarr")})
    build(plain)
    build(blended)
    a, b = (ImageStore.open(config.store.path).open_images("NVDA") for config in (plain, blended))
    assert (a["region_weight"] == 1).all()
    weight = b["region_weight"].sel(region="technical").to_numpy()
    assert ((weight >= 0.5) & (weight < 1)).any()
    assert not np.array_equal(a["image"][3].to_numpy(), b["image"][3].to_numpy())
    np.testing.assert_array_equal(a["image"][3, :171, :, 0].to_numpy(), b["image"][3, :171, :, 0].to_numpy())
