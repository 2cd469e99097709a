from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finnex.audit.constants import CONFIRMING, SHUFFLES, frozen_runs, shuffled
from finnex.audit.fresh import in_fresh_process
from finnex.audit.label_audit import audit_labels
from finnex.audit.label_inputs import LEAST_SESSIONS, MakeLabels, label_inputs, trending
from finnex.audit.sampling import special
from finnex.config import HORIZONS, LabelSettings
from finnex.data.calendar import session_calendar
from finnex.data.labels import Labels, make_labels

MEMO: dict[str, float] = {}


def remember(value: float) -> float:
    return MEMO.setdefault("first", value)


def test_a_memo_of_one_rebuild_is_not_there_in_the_next() -> None:
    assert in_fresh_process(lambda: remember(1.0), ()).value == 1.0
    assert in_fresh_process(lambda: remember(2.0), ()).value == 2.0
    assert MEMO == {}


def test_an_answer_a_named_failure_and_another_one_come_back_from_the_process() -> None:
    assert in_fresh_process(lambda: np.arange(3), ()).value.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    failed = in_fresh_process(lambda: ["a"].index("b"), (LookupError, ValueError))
    assert failed.value is None
    assert failed.error.startswith("ValueError")
    with pytest.raises(ZeroDivisionError):
        in_fresh_process(lambda: 1 / 0, (LookupError,))


def test_a_file_that_is_opened_is_named_with_the_function_and_can_be_denied(tmp_path: Path) -> None:
    path = tmp_path / "means.txt"
    path.write_text("3")

    def fitted() -> float:
        return float(path.read_text())

    found = in_fresh_process(fitted, ())
    assert found.value == 3
    assert [one.what for one in found.opened] == [str(path)]
    assert found.opened[0].by.startswith("fitted (test_audit_code.py")
    denied = in_fresh_process(fitted, (OSError,), frozenset([str(path)]))
    assert denied.error.startswith("FileNotFoundError")


def test_code_that_fits_its_file_anew_does_so_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "means.txt"
    path.write_text("3")

    def fitted() -> float:
        if not path.is_file():
            path.write_text("5")
        with open(path) as file:  # noqa: PTH123 - as code does
            return float(file.read())

    assert in_fresh_process(fitted, ()).value == 3
    assert in_fresh_process(fitted, (OSError,), frozenset([str(path)])).value == 5
    assert path.read_text() == "3"


def test_time_zones_imports_and_numbers_are_nothing_that_is_opened() -> None:
    def honest() -> float:
        import colorsys

        stamps = pd.date_range("2021-01-01", periods=9, tz="Asia/Tokyo").tz_convert("America/New_York")
        return float(stamps.hour.to_numpy().sum()) + colorsys.rgb_to_hsv(0, 0, 0)[0]

    assert in_fresh_process(honest, ()).opened == ()


def market(seed: int, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, n)))
    opened = close * np.exp(rng.normal(0, 0.005, n))
    high, low = np.maximum(opened, close) * 1.005, np.minimum(opened, close) * 0.995
    bars = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": 1e6})
    return bars, np.datetime64("2020-01-01") + np.arange(n)


@pytest.mark.parametrize("n", [260, pytest.param(420, marks=pytest.mark.accept)])
def test_shipped_labels_on_random_markets_raise_no_alarm(n: int) -> None:
    for seed in range(12):
        bars, days = market(seed, n)
        settings = LabelSettings()
        found = audit_labels(make_labels(bars, days, settings), bars, 56, days)
        found += label_inputs(make_labels, bars, days, settings, range(100, n - 30, 30), np.random.default_rng(seed))
        assert found == []


@pytest.mark.parametrize(("sign", "side"), [(1, 2), (-1, 0)])
def test_a_future_that_only_rises_or_falls_ends_at_its_barrier(sign: int, side: int) -> None:
    """So no label that later bars decide is the same in both, however few sessions are compared."""
    bars, days = market(0, 420)
    for position in range(80, 400, 20):
        label = make_labels(trending(bars, position, sign), days, LabelSettings())["triple_barrier"].label[position]
        assert set(label[label >= 0].tolist()) == {side}


def test_a_label_whose_first_barrier_any_noise_hits_raises_no_alarm() -> None:
    """A stop is asked for before anything else, as in a triple barrier: where it was hit, noise hits it again."""
    bars, days = market(0, 420)

    def stopped(opened: pd.Series, close: pd.Series, h: int) -> np.ndarray:
        lowest = close[::-1].rolling(h, min_periods=h).min()[::-1].shift(-1)
        return np.where(lowest.isna(), np.nan, np.where(lowest < 0.99 * opened.shift(-1), -1.0, 1.0))

    make = with_outcome(stopped)
    label = make(bars, days, LabelSettings())["price_movement"].label[:, -1]
    chosen = np.flatnonzero((label == 0) & (np.arange(420) > 100))[::20][:LEAST_SESSIONS].tolist()
    assert label_inputs(make, bars, days, LabelSettings(), chosen, np.random.default_rng(0)) == []


def with_outcome(outcome: object) -> MakeLabels:
    """Return labels whose outcome is a function of (open, close, horizon), and the side its sign."""

    def make(bars: pd.DataFrame, days: np.ndarray, settings: LabelSettings) -> dict[str, Labels]:
        one = make_labels(bars, days, settings)["price_movement"]
        series = bars.reindex(range(len(days)))
        values = np.stack([outcome(series["open"], series["close"], h) for h in HORIZONS], axis=1)  # type: ignore[operator]
        label = np.where(np.isnan(values), -1, np.where(values > 0, 2, 0)).astype(np.int8)
        return {"price_movement": Labels(label, values.astype(np.float32), one.end)}

    return make


WRONG = {
    "entered at today's open": lambda o, c, h: (c.shift(-h) / o - 1).to_numpy(),
    "means around today": lambda o, c, h: (c.rolling(h).mean().shift(-h) / c.rolling(h).mean() - 1).to_numpy(),
    "inside the window": lambda o, c, h: (c / c.shift(19) - 1).to_numpy(),
    "from the last shown close": lambda o, c, h: (c.shift(-h) / c - 1).to_numpy(),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_label_that_uses_what_the_window_shows_is_found(what: str) -> None:
    bars, days = market(1, 420)
    make = with_outcome(WRONG[what])
    found = label_inputs(make, bars, days, LabelSettings(), range(100, 390, 30), np.random.default_rng(0))
    assert {one.kind for one in found} == {"label_inside_the_window"}
    assert len(found) == len(HORIZONS)


def test_values_that_stand_in_code_are_found_and_shuffled_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(300, 3))
    flags = (rng.random((300, 1)) < 0.1).astype(float)
    original = np.hstack([honest, flags, np.zeros((300, 1))])
    others = []
    for seed in range(6):
        noise = np.random.default_rng(100 + seed)
        flag = (noise.random((300, 1)) < 0.1).astype(float)
        others.append(np.hstack([noise.normal(size=(300, 3)), flag, np.zeros((300, 1))]))
    names = ("a", "b", "c", "flag", "constant")
    assert frozen_runs(original, others, names) == []
    for table in (original, *others):
        table[120:140, 1] = 1.0  # a crisis, by its dates
    assert [(one.feature, one.first, one.sessions) for one in frozen_runs(original, others, names)] == [("b", 120, 20)]
    for table in (original, *others):
        table[:, 2] = np.arange(300) % 50 == 0
    found = frozen_runs(original, others, names, {"c", "constant"})
    assert {one.feature for one in found} == {"b", "c"}


def decay_since_a_monday(rng: np.random.Generator, sessions: int = 800) -> np.ndarray:
    """A feature that is 1 on a third of the Mondays, which have the records of three days, and decays after them."""
    here = np.arange(sessions)
    surge = (here % 5 == 0) & (rng.random(sessions) < 0.35)
    surge[0] = True
    return np.exp(-(here - np.maximum.accumulate(np.where(surge, here, 0))) / 5)[:, None]


def test_runs_that_agree_by_chance_in_six_shuffles_do_not_in_eighteen() -> None:
    few = many = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        original, *others = (decay_since_a_monday(rng) for _ in range(1 + SHUFFLES + CONFIRMING))
        few += bool(frozen_runs(original, others[:SHUFFLES], ["decay"]))
        many += bool(frozen_runs(original, others, ["decay"]))
    assert few >= 5  # what the confirming shuffles are for
    assert many == 0


def test_shuffled_prices_are_bars_with_the_same_moves() -> None:
    bars, days = market(3, 200)
    frame = bars.assign(symbol="A", date=pd.to_datetime(days.astype("datetime64[ns]")))
    other = shuffled("prices", frame, np.random.default_rng(0))
    assert (other["low"] <= other[["open", "close"]].min(axis=1) + 1e-9).all()
    assert (other["high"] >= other[["open", "close"]].max(axis=1) - 1e-9).all()
    before, after = (np.sort(np.log(one["close"]).diff().dropna()) for one in (frame, other))
    assert np.isclose(np.std(before), np.std(after), rtol=0.05)
    assert not np.allclose(frame["close"][1:], other["close"][1:])


def test_the_special_sessions_are_what_they_are_called() -> None:
    from datetime import date

    calendar = session_calendar("XNYS", date(2021, 1, 4), date(2022, 12, 30))
    splits = pd.DataFrame({"symbol": ["A"], "date": [pd.Timestamp("2022-07-18")]})
    found = special(calendar, np.arange(60, 480), splits, "A", np.random.default_rng(0))
    assert set(found) == {
        "month end", "quarter end", "half day", "split", "month start", "year start", "option expiry",
        "before a holiday",
    }  # fmt: skip
    on = {name: calendar.days[position] for name, position in found.items()}
    assert str(on["year start"]) == "2022-01-03"
    assert on["month start"].astype("datetime64[M]") > calendar.days[found["month start"] - 1].astype("datetime64[M]")
    after = calendar.days[found["before a holiday"] + 1]
    assert np.busday_count(on["before a holiday"], after) == 2  # a day of the week between them is no session
    third = {
        str(np.busday_offset(month, 2, roll="forward", weekmask="Fri"))
        for month in np.arange("2021-01", "2023-01", dtype="datetime64[M]")
    }
    assert str(on["option expiry"]) in third | {"2022-04-14"}  # Good Friday
    assert str(calendar.days[found["split"]]) == "2022-07-15"
    quarter = calendar.days[found["quarter end"]].astype("datetime64[M]").astype(int)
    assert quarter % 3 == 2
    hour = (calendar.decision_time - calendar.days.astype("datetime64[ns]"))[found["half day"]] / np.timedelta64(1, "h")
    assert hour in (17, 18)
