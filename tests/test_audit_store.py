from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finnex.audit.stored import COMPARED_AS_THEY_ARE, outcomes_of
from finnex.config import HORIZONS, LabelSettings
from finnex.data.labels import make_labels
from finnex.exam.exam import plant
from finnex.exam.kinds import ALL
from finnex.exam.market import write_market
from finnex.pipeline import read_run
from finnex.quality import drawn_again
from finnex.store import ImageStore


@pytest.mark.parametrize("kind", ["a_store_as_it_should_be", "every_image_one_session_ahead"])
def test_quality_draws_published_images_again(kind: str, tmp_path: Path) -> None:
    planted = plant(ALL[kind], 300, 1)
    config = write_market(tmp_path, planted.tables, planted.settings, planted.zone)
    assert planted.store is not None
    check = drawn_again(read_run(config), ImageStore.open(planted.store(config)), images=2)
    compared = int(check.meaning.split()[1])
    assert check.meaning.startswith(f"of {compared} published images")
    assert 20 < compared <= 2 + COMPARED_AS_THEY_ARE
    if kind == "a_store_as_it_should_be":
        assert check.passed
    else:
        assert not check.passed
        assert "is the image of 1 session after" in check.meaning


def test_outcomes_written_out_once_more_agree_with_the_labels() -> None:
    """Both kinds, all horizons, with bars that are missing: two programs, one definition."""
    import pandas as pd

    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 300)))
    opened = close * np.exp(rng.normal(0, 0.01, 300))
    bars = pd.DataFrame(
        {"open": opened, "high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99}
    )
    bars = bars.assign(close=close)
    given = bars.drop(index=[120, 121, 200])
    days = np.datetime64("2020-01-01") + np.arange(300)
    settings, position = LabelSettings(), np.arange(60, 299)
    for kind, labels in make_labels(given, days, settings).items():
        for column, horizon in enumerate(HORIZONS):
            ours = outcomes_of(kind, given.reindex(range(300)), position, horizon, settings)
            theirs = labels.outcome[position, column]
            both = ~np.isnan(ours) & ~np.isnan(theirs)
            assert both.sum() > 150
            assert np.allclose(ours[both], theirs[both], rtol=1e-4, atol=1e-6)
