"""What a day's fresh download of an unchanged history changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from benchmarks.rolling_downloads import DOWNLOADS, MEMORY, configuration, filings, history, input_hashes
from finnex.data.calendar import session_calendar
from finnex.data.features.price_basis import PRICE_STEP, levels, scale_free
from finnex.layout import load_layout

LAYOUT = load_layout("mega", blending=True)
SESSIONS = MEMORY + 250
DAYS = session_calendar("XNYS", pd.Timestamp("2015-01-02").date(), pd.Timestamp("2016-12-30").date()).days
Download = Callable[[str], "pd.Series[int]"]


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Download:
    """Hashes of the images of a history that is downloaded again, by date."""
    prices = history(SESSIONS, 0)
    fundamentals = filings(prices, 0)
    config = configuration(tmp_path_factory.mktemp("rolling"), prices)

    def hashes(how: str) -> pd.Series[int]:
        return input_hashes(DOWNLOADS[how](prices), fundamentals, config, LAYOUT)["window"]

    return hashes


@pytest.fixture(scope="module")
def before(download: Download) -> pd.Series[int]:
    return download("the same rows")


def test_a_file_that_begins_a_day_later_redraws_nothing_past_the_memory_of_features(
    download: Download, before: pd.Series[int]
) -> None:
    after = download("begins a day later")
    assert len(after) == len(before) - 1
    assert (after.to_numpy()[MEMORY:] == before.to_numpy()[MEMORY + 1 :]).all()


@pytest.mark.parametrize(
    "how",
    ["split 4:1 on the last session", "split 3:1 on the last session", "dividend of 0.5 % on the last session"],
)
def test_what_rescales_all_earlier_bars_redraws_its_own_session_only(
    how: str, download: Download, before: pd.Series[int]
) -> None:
    assert np.flatnonzero(download(how) != before).tolist() == [SESSIONS - 1]


def test_a_dividend_redraws_nothing_before_it(download: Download, before: pd.Series[int]) -> None:
    changed = np.flatnonzero(download("dividend of 0.5 % 250 sessions ago") != before)
    assert changed[0] == SESSIONS - 250


def test_noise_that_is_small_against_a_step_redraws_nothing(download: Download, before: pd.Series[int]) -> None:
    assert (download("noise of 1e-12") == before).all()


def test_noise_of_a_billionth_redraws_a_small_part(download: Download, before: pd.Series[int]) -> None:
    """Not nothing: a value may lie next to the middle of a step, and there is no tolerance."""
    assert (download("noise of 1e-9") != before).mean() < 0.4


def prices(seed: int = 0) -> pd.Series[float]:
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.01, len(DAYS)))
    return pd.Series(np.round(50 * np.exp(walk), 2))


def test_differences_of_levels_do_not_know_where_a_file_begins() -> None:
    close = prices().to_numpy()
    full, later = levels(close, DAYS), levels(close[1:], DAYS[1:])
    second_quarter = int(np.searchsorted(DAYS, np.datetime64("2015-04-01")))
    assert len(set(full[second_quarter:] - later[second_quarter - 1 :])) == 1
    assert np.array_equal(full, np.rint(full))


def test_levels_of_the_past_do_not_change_with_what_follows() -> None:
    close = prices().to_numpy()
    for end in (1, 60, 62, 63, 300):
        assert levels(close[:end], DAYS[:end]).tobytes() == levels(close, DAYS)[:end].tobytes()


def test_levels_are_exact_to_a_step_and_do_not_drift() -> None:
    close = prices()
    level = levels(close.to_numpy(), DAYS) * PRICE_STEP
    quarters = len(np.unique(DAYS.astype("datetime64[M]").astype(int) // 3))
    np.testing.assert_allclose(level, np.log(close / close[0]), atol=PRICE_STEP * (quarters + 1) / 2)


@pytest.mark.parametrize("factor", [1 / 4, 1 / 3, 0.995, 1e6])
def test_a_unit_of_prices_changes_no_bit(factor: float) -> None:
    close = prices()
    assert scale_free(close * factor, DAYS).to_numpy().tobytes() == scale_free(close, DAYS).to_numpy().tobytes()


def test_prices_that_are_equal_stay_equal_under_noise_of_the_seventh_digit() -> None:
    """Ties decide candlestick patterns; of those that lie next to the middle of a step some are lost."""
    close, rng = prices(), np.random.default_rng(1)
    again = [close * (1 + rng.uniform(-6e-8, 6e-8, len(close))) for _ in range(2)]
    first, second = (scale_free(one, DAYS, close) for one in again)
    assert (again[0] == again[1]).sum() == 0
    assert (first == second).mean() > 0.9


def test_zero_stays_zero_and_what_is_not_known_stays_so() -> None:
    volume = pd.Series([0.0, np.nan, 100.0, 0.0, 200.0])
    found = scale_free(volume, DAYS[:5])
    assert found[[0, 3]].tolist() == [0.0, 0.0]
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[4] / found[2], 2.0, rtol=PRICE_STEP)
    assert np.isnan(levels(np.full(5, np.nan), DAYS[:5])).all()
