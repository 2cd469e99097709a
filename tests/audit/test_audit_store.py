from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.audit.stored_images import COMPARED_AS_THEY_ARE, MOST_NAMED, audit_stored, what_was_compared
from finnex.audit.stored_labels import KINDS, labels_of
from finnex.audit.timing import Timing
from finnex.config import HORIZONS, LabelSettings
from finnex.data.labels import make_labels
from finnex.data.panel import make_panel
from finnex.exam import plants_store
from finnex.exam.exam import plant
from finnex.exam.hidden_paths import SYMBOL
from finnex.exam.kinds import ALL
from finnex.exam.random_market import write_market
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
    assert check.meaning.startswith(f"of {compared} published images (")
    if kind == "a_store_as_it_should_be":
        assert 20 < compared <= 2 + COMPARED_AS_THEY_ARE
        assert check.passed
    else:
        assert compared == MOST_NAMED
        assert not check.passed
        assert "is the image of 1 session after" in check.meaning


WRONG = {
    "a_store_as_it_should_be": ("", "", ""),
    "stored_classes_of_the_session_before": (
        "stored_label_differs", "label_price_movement[1]", "stored classes of price_movement",
    ),
    "stored_labels_that_end_the_next_session": (
        "stored_label_differs", "label_triple_barrier[20]", "stored ends of triple_barrier",
    ),
    "stored_features_one_session_ahead": (
        "stored_feature_differs", "return_1", "in 4 they are those of 1 session after",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_stored_beside_images_is_computed_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plants_store, "DRAWN", 4)
    planted = plant(ALL[kind], 260, 0)
    config = write_market(tmp_path, planted.tables, planted.settings, planted.zone)
    assert planted.store is not None
    store, run = ImageStore.open(planted.store(config)), read_run(config)
    found = audit_stored(
        Timing(run, SYMBOL, make_panel, 0, lambda _: None), store, 1, np.random.default_rng(0), lambda _: None
    )
    finding, feature, words = WRONG[kind]
    assert {one.kind for one in found.findings} == ({finding} if finding else set())
    assert any(feature in one.features and words in one.evidence for one in found.findings) or not finding
    assert (found.images, found.cut, found.features, found.outcomes) == (4, 1, 4, 4 * 2 * len(HORIZONS))
    assert (found.classes, found.ends) == (found.outcomes, found.outcomes)
    assert what_was_compared([found]) == (
        "4 published images (1 of them from tables cut at the decision), the features of 4 sessions, and of labels 40 "
        "outcomes, 40 classes and 40 ends"
    )


def test_labels_written_out_once_more_agree_with_the_shipped_ones() -> None:
    """Both kinds, all horizons, with bars that are missing: two programs, one definition."""
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
    classes = set()
    for kind, labels in make_labels(given, days, settings).items():
        for column, horizon in enumerate(HORIZONS):
            ours = labels_of(kind, given.reindex(range(300)), position, horizon, settings)
            theirs = labels.outcome[position, column]
            both = ~np.isnan(ours.outcome) & ~np.isnan(theirs)
            assert both.sum() > 150
            assert np.allclose(ours.outcome[both], theirs[both], rtol=1e-4, atol=1e-6)
            assert np.array_equal(ours.label[both], labels.label[position, column][both])
            assert np.array_equal(days[ours.end[both]], labels.end[position, column][both])
            classes |= {(kind, one) for one in ours.label[both].tolist()}
    assert classes == {(kind, one) for kind in KINDS for one in (0, 1, 2)}


def test_a_label_at_its_threshold_is_not_compared() -> None:
    """There the last bit decides: no claim is made of its class."""
    bars = pd.DataFrame(100.0, index=range(60), columns=["open", "high", "low", "close"])
    found = labels_of("price_movement", bars, np.array([30]), 5, LabelSettings())
    assert found.outcome.tolist() == [0.0]
    assert found.label.tolist() == [-1]
    assert np.isnan(labels_of("triple_barrier", bars, np.array([30]), 5, LabelSettings()).outcome).all()
