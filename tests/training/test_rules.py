"""Networks find a planted rule on dates they never saw; the market it is planted in is what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.accept_models import NETWORKS, cell, wilson
from benchmarks.markets import CELLS, CHANNELS, RULE_SESSIONS, lead_market, one_cell_market
from tests.helpers.stores import blank, paint


def test_a_market_is_drawn_the_way_heat_maps_are() -> None:
    market = one_cell_market(CELLS[4], 3, seed=0)
    drawn = market.images(np.array([2]))[0].permute(1, 2, 0).float().numpy()
    image = blank()
    for (section, channel), values in zip(CELLS, market.values[2].astype(np.float32), strict=True):
        paint(image, section, CHANNELS.index(channel), (values - 0.02) / 0.98)
    np.testing.assert_allclose(drawn, image, atol=1e-6)


def test_the_label_is_the_state_of_the_chosen_cell_and_of_no_other() -> None:
    market = one_cell_market(CELLS[4], 400, seed=0)
    recent = market.values[..., -RULE_SESSIONS:].astype(np.float32)
    level = np.where(recent > 0, recent, np.nan)
    level = np.nanmean(level, axis=(2, 3))
    related = [abs(np.corrcoef(level[:, number], market.label)[0, 1]) for number in range(len(CELLS))]
    assert related[4] > 0.95
    assert max(related[:4] + related[5:]) < 0.2
    assert market.bound > 0.98


@pytest.mark.parametrize("both_signs", [False, True])
def test_who_leads_shows_in_no_single_session_but_can_be_known(both_signs: bool) -> None:
    market = lead_market(300, seed=0, both_signs=both_signs)
    assert market.bound > 0.98
    assert set(market.lag[market.label == 1]) == {0}
    assert set(market.lag[market.label != 1]) == set(range(1, 13))
    newest = market.values[..., -1].astype(np.float32).reshape(300, -1)
    best = max(abs(np.corrcoef(newest[:, column], market.label)[0, 1]) for column in range(newest.shape[1]))
    assert best < 0.3


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=2e-4)  # Newcombe 1998, table I


@pytest.mark.accept
@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_a_rule_of_one_region_is_found_on_unseen_dates(network: str) -> None:
    torch.set_num_threads(1)
    right, n = cell(network, CELLS.index(("behavioral", "green")))["parts"]["all"]
    assert right / n > 0.95
