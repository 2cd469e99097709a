"""A night's inputs: which session they should hold, and who is late."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from finnex.config import Config, load_config, source_at
from finnex.data.calendar import last_close
from finnex.data.freshness import expected_session, late_inputs, still_written
from finnex.data.tables import read_tables
from finnex.data.warnings import input_warnings
from finnex.errors import InputError, Problem, ServiceError
from finnex.store import ImageStore
from flows.nightly import nightly
from flows.prefect_api.requests import AuditRequest, BackfillRequest, ExportRequest, NightlyRequest, QaRequest
from flows.prefect_api.runs import FlowRuns
from tests.helpers.flow_runs import ignore, other_prices, other_project

pytest_plugins = ("tests.helpers.servers",)
Maker = Callable[..., Config]


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2024-03-08T20:59:59", date(2024, 3, 7)),  # a second before the close, winter time
        ("2024-03-08T21:00:00", date(2024, 3, 8)),
        ("2024-03-11T19:59:00", date(2024, 3, 8)),  # summer time began on the Sunday
        ("2024-03-11T20:00:00", date(2024, 3, 11)),
        ("2024-07-03T17:00:00", date(2024, 7, 3)),  # a half day closes at one
        ("2024-07-04T23:00:00", date(2024, 7, 3)),  # a holiday
        ("2024-09-01T12:00:00", date(2024, 8, 30)),  # a Sunday before Labor Day
    ],
)
def test_the_last_close_follows_holidays_half_days_and_daylight_saving(now: str, session: date) -> None:
    assert last_close("XNYS", np.datetime64(now)) == session


def test_who_is_late_is_named_with_where_every_table_ends(sample_config: Maker) -> None:
    config = sample_config(symbols=["NVDA", "AAPL"], start=None, end=None)
    tables = read_tables(config)
    assert late_inputs(tables, config, date(2023, 9, 21)) == ""
    told = late_inputs(tables, config, date(2023, 9, 22))
    assert "They end: prices of NVDA 2023-09-21, AAPL 2023-09-21. The other tables end: macro 2" in told
    assert "sentiment 2" in told


def test_quotes_are_late_as_their_delay_says(sample_config: Maker) -> None:
    tables, day = read_tables(sample_config()), np.datetime64("2015-06-10")
    macro, prices = tables.macro, tables.prices
    assert macro is not None
    tables = replace(
        tables, prices=prices[prices["date"] <= day], macro=macro[(macro["series"] == "VIX") & (macro["date"] < day)]
    )
    for minutes, late in ((0, True), (15, False), (24 * 60, False), (25 * 60, False)):
        inputs = sample_config().inputs.model_copy(update={"quote_delay_minutes": {"VIX": minutes}})
        told = late_inputs(tables, sample_config().model_copy(update={"inputs": inputs}), day.item())
        assert ("macro of VIX 2015-06-09" in told and "[inputs] quote_delay_minutes" in told) is late


def test_what_ended_long_before_the_rest_of_its_table_is_not_waited_for_and_is_said(sample_config: Maker) -> None:
    config = sample_config(symbols=["NVDA", "AAPL"], start=None, end=None)
    tables = read_tables(config)
    for last, late in ((date(2023, 9, 6), True), (date(2023, 9, 5), False)):
        prices = tables.prices[(tables.prices["symbol"] != "AAPL") | (tables.prices["date"] <= np.datetime64(last))]
        cut = replace(tables, prices=prices)
        assert bool(late_inputs(cut, config, date(2023, 9, 21))) is late
        assert any("prices of AAPL: they end on" in warning for warning in input_warnings(cut, config)) is not late


@pytest.mark.parametrize(("seconds_ago", "may"), [(-5, True), (590, True), (610, False)])
def test_only_a_file_that_changed_just_now_may_still_be_written(tmp_path: Path, seconds_ago: int, may: bool) -> None:
    (file := tmp_path / "prices.csv").touch()
    os.utime(file, (time.time() - seconds_ago,) * 2)
    error = InputError([Problem("elsewhere.csv", "is wrong", "Correct it."), Problem(str(file), "is cut", "Wait.")])
    assert still_written(error) is may


def test_a_file_that_was_cut_between_two_rows_is_one_that_may_still_be_written(
    sample_config: Maker, tmp_path: Path
) -> None:
    config = sample_config(symbols=["NVDA", "WMT", "AAPL"])
    bars = pd.read_csv(config.inputs.files_of("prices")[0])
    bars.sort_values("symbol", kind="stable").head(4000).to_csv(tmp_path / "prices.csv", index=False)
    inputs = config.inputs.model_copy(update={"prices": source_at(tmp_path / "prices.csv")})
    with pytest.raises(InputError, match=r"symbol 'NVDA' has no rows in .*\n.*symbol 'WMT' has no rows in") as refused:
        read_tables(config.model_copy(update={"inputs": inputs}))
    assert still_written(refused.value)


def test_rows_of_an_enhanced_file_are_waited_for(sample_config: Maker) -> None:
    config = sample_config(end=None)
    tables = read_tables(config)
    enhanced = pd.DataFrame({"symbol": "NVDA", "date": [pd.Timestamp("2023-09-20")], "anything": 1.0})
    told = late_inputs(replace(tables, enhanced=enhanced), config, date(2023, 9, 21))
    assert "They end: enhanced of NVDA 2023-09-20" in told


def test_a_bar_of_a_session_that_goes_on_or_is_to_come_is_refused(sample_config: Maker, tmp_path: Path) -> None:
    config = sample_config()
    bars = pd.read_csv(config.inputs.files_of("prices")[0])
    closed = last_close(config.exchange, np.datetime64("now"))
    for days, refused in ((0, False), (1, True)):
        last = bars[bars["symbol"] == "NVDA"].tail(1).assign(date=str(closed + timedelta(days=days)))
        pd.concat([bars, last]).to_csv(tmp_path / "prices.csv", index=False)
        inputs = config.inputs.model_copy(update={"prices": source_at(tmp_path / "prices.csv")})
        given = config.model_copy(update={"inputs": inputs})
        if refused:
            with pytest.raises(InputError, match=rf"1 bars are of days after {closed}, the last session of XNYS"):
                read_tables(given)
        else:
            assert read_tables(given).prices["date"].max().date() == closed


@pytest.mark.parametrize("kept", [30, -9])
def test_a_file_that_is_still_being_written_is_refused_in_words(
    sample_config: Maker, tmp_path: Path, kept: int
) -> None:
    config = sample_config()
    whole = gzip.compress(config.inputs.files_of("prices")[0].read_bytes()[:200_000])
    (tmp_path / "prices.csv.gz").write_bytes(whole[:kept])
    inputs = config.inputs.model_copy(update={"prices": source_at(tmp_path / "prices.csv.gz")})
    with pytest.raises(InputError, match=r"prices\.csv\.gz: is still arriving, or damaged"):
        read_tables(config.model_copy(update={"inputs": inputs}))


def test_a_configured_end_is_the_last_session_expected(sample_config: Maker) -> None:
    now = np.datetime64("2024-03-08T22:00")
    assert expected_session(sample_config(), now) == date(2015, 3, 31)
    assert expected_session(sample_config(end=None), now) == date(2024, 3, 8)
    for end in (date(2015, 4, 3), date(2015, 4, 4), date(2015, 4, 5)):  # Good Friday and the weekend after it
        assert expected_session(sample_config(end=end), now) == date(2015, 4, 2)


@pytest.mark.integration
def test_a_night_without_its_inputs_draws_what_there_is_and_says_which_table_ends_where(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    config = other_project(
        served_project, tmp_path, ("start = 2015-03-02", "start = 2023-09-18"), ("end = 2015-09-30", "# no end")
    )
    run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(config), wait_minutes=0))
    with pytest.raises(
        ServiceError, match=r"have not all arrived\. They end: prices of NVDA 2023-09-21, AAPL 2023-09-21"
    ):
        runs.follow(run, ignore)
    assert runs.table(run, "build-result")[0]["built"] == 8
    assert ImageStore.open(tmp_path / "images.zarr").symbols == ["AAPL", "NVDA"]


@pytest.mark.integration
def test_a_company_without_any_session_yet_keeps_no_other_from_being_drawn(
    runs: FlowRuns, served_project: Path, tmp_path: Path
) -> None:
    bars = pd.read_csv(load_config(served_project).inputs.files_of("prices")[0])
    bars[(bars["symbol"] != "NVDA") | (bars["date"] < "2018-01-01")].to_csv(tmp_path / "prices.csv", index=False)
    config = other_project(
        served_project, tmp_path, ("start = 2015-03-02", "start = 2023-09-18"), ("end = 2015-09-30", "# no end"),
        other_prices(served_project, tmp_path / "prices.csv"),
    )  # fmt: skip
    run = runs.start("finnex-nightly/nightly", NightlyRequest(config=str(config), wait_minutes=0))
    with pytest.raises(ServiceError, match=r"have not all arrived\. They end: prices of AAPL 2023-09-21\."):
        runs.follow(run, ignore)
    assert runs.table(run, "build-result")[0]["built"] == 4
    assert ImageStore.open(tmp_path / "images.zarr").symbols == ["AAPL"]


@pytest.mark.integration
def test_a_night_waits_for_a_file_that_is_not_there_or_not_whole(
    runs: FlowRuns, served_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = load_config(served_project).inputs.files_of("prices")[0]
    whole, arriving = given.read_bytes(), tmp_path / "arriving.csv.gz"
    config = other_project(
        served_project, tmp_path, ("end = 2015-09-30", "end = 2015-03-06"), other_prices(served_project, arriving)
    )
    seen: list[str] = []

    def pause(_: Config | NightlyRequest) -> Config:
        """What happens to the file between two looks."""
        state = ("missing", "half", "whole")[len(seen)]
        if state != "missing":
            arriving.write_bytes(whole if state == "whole" else whole[: len(whole) // 2])
        seen.append(state)
        return load_config(config)

    monkeypatch.setattr(NightlyRequest, "load", pause)
    monkeypatch.setattr("flows.nightly.LOOK_AGAIN_SECONDS", 2)
    with temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
        state = nightly(NightlyRequest(config=str(config), wait_minutes=1), return_state=True)
    assert state.is_completed(), state.message
    assert seen == ["missing", "half", "whole"]
    assert len(ImageStore.open(tmp_path / "images.zarr").open_images("NVDA")["date"]) == 5


@pytest.mark.integration
def test_a_file_that_is_wrong_and_no_longer_changes_is_refused_at_once(
    runs: FlowRuns, served_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wrong := tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close\n")
    os.utime(wrong, (time.time() - 1800,) * 2)
    config = other_project(served_project, tmp_path, other_prices(served_project, wrong))
    looks: list[int] = []
    load = NightlyRequest.load
    monkeypatch.setattr(NightlyRequest, "load", lambda self: looks.append(1) or load(self))
    with temporary_settings({PREFECT_API_URL: f"{runs.address}/api"}):
        state = nightly(NightlyRequest(config=str(config), wait_minutes=2), return_state=True)
    assert isinstance(state.result(raise_on_failure=False), InputError)
    assert len(looks) == 1


@pytest.fixture(scope="module")
def small_store(runs: FlowRuns, served_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a quarter of images of one symbol, drawn by its deployment."""
    config = other_project(served_project, tmp_path_factory.mktemp("quality"))
    request = BackfillRequest(config=str(config), symbols=["NVDA"], end=date(2015, 5, 29))
    runs.follow(runs.start("finnex-backfill/backfill", request), ignore)
    return config


@pytest.mark.accept
@pytest.mark.integration
def test_quality_is_checked_from_the_ui_and_damage_fails_the_run(runs: FlowRuns, small_store: Path) -> None:
    request = QaRequest(config=str(small_store), sample=16)
    run = runs.start("finnex-qa/qa", request)
    runs.follow(run, ignore)
    checks = {row["check"]: row["passed"] for row in runs.table(run, "quality-checks")}
    assert set(checks.values()) == {"yes"}
    assert "variety: behavioral_technical" in checks
    report = Path(runs.table(run, "quality-report")[0]["report"])
    assert report == small_store.parent / "report" / "quality.html"
    assert "Quality of the images" in report.read_text()
    chunk = next((small_store.parent / "images.zarr" / "NVDA" / "image").glob("c.*"))
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-10])
    try:
        with pytest.raises(ServiceError, match=r"checksums is 1, wanted = 0"):
            runs.follow(runs.start("finnex-qa/qa", request), ignore)
    finally:
        chunk.write_bytes(whole)


@pytest.mark.accept
@pytest.mark.integration
def test_the_audit_runs_from_the_ui_and_answers_for_every_table(runs: FlowRuns, small_store: Path) -> None:
    run: UUID = runs.start("finnex-audit/audit", AuditRequest(config=str(small_store), sessions=1))
    runs.follow(run, ignore)
    answers = {row["table"]: row["computation"] for row in runs.table(run, "audit-tables")}
    assert {"prices", "macro", "sentiment", "fundamentals"} <= set(answers)
    assert answers["prices"].startswith("causal")
    assert [row["symbol"] for row in runs.table(run, "audit-next-filing")] == ["NVDA", "AAPL"]
    assert {row["what"] for row in runs.table(run, "audit-not-shown")} >= {"adjusted_prices", "revised_macro"}


@pytest.mark.accept
@pytest.mark.integration
def test_an_export_runs_from_the_ui_and_says_what_it_wrote(runs: FlowRuns, small_store: Path, tmp_path: Path) -> None:
    """The store holds one symbol, so the form may leave it out."""
    request = ExportRequest(
        config=str(small_store), folder=str(tmp_path / "files"), parts=["mega_images_full", "metadata"],
        end=date(2015, 3, 31),
    )  # fmt: skip
    run = runs.start("finnex-export/export", request)
    runs.follow(run, ignore)
    rows = {row["part"]: row for row in runs.table(run, "export-parts")}
    assert list(rows) == ["metadata", "mega_images_full"]
    assert rows["mega_images_full"]["files"] == 24
    assert len(list((tmp_path / "files" / "mega_images_full").glob("mega_image_2015*.npy"))) == 22
    with pytest.raises(ServiceError, match=r"files exists and is not overwritten"):
        runs.follow(runs.start("finnex-export/export", request), ignore)
